"""`atelier finetune …`: training in the terminal, from the data to the version that answers."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.cases import noted
from connectors.compose import open_store
from connectors.finetune_parts import LEARN_BY_THEMSELVES
from connectors.settings import load_settings
from connectors.tuning import (
    Tuning,
    compared,
    cores,
    cores_beside_the_bot,
    evaluation,
    figures_said,
    listed,
    outcome_said,
    progress_said,
    promoted_said,
    rolled_back_said,
    sources,
    versions_listed,
)
from finetune import job as jobs
from finetune.job import Job, State
from finetune.registry import Kind
from retrieval.errors import FinetuneError, SettingsError

Arguments = argparse.Namespace
LOOK = 0.2  # seconds between looks at a job that is followed
ACTS = frozenset({"run", "cancel", "resume", "promote", "rollback", "export", "push"})  # they change or give out
SHOWN = 20  # problems of the data that are printed; the card holds all


def finetune(arguments: Arguments) -> int:
    """Do what `arguments.part` names."""
    settings = load_settings(arguments.settings)
    if arguments.part in LEARN_BY_THEMSELVES:
        return LEARN_BY_THEMSELVES[arguments.part](settings, arguments)
    store = open_store(settings)
    try:
        status = PARTS[arguments.part](Tuning.of(settings, store.engine), arguments)
        if arguments.part in ACTS and not getattr(arguments, "dry_run", False):
            about = getattr(arguments, "job", None) or getattr(arguments, "version", None) or ""
            noted(store, f"finetune {arguments.part}", about)
        return status
    finally:
        store.close()


def _run(tuning: Tuning, arguments: Arguments) -> int:
    order = tuning.order(
        recipe=arguments.recipe or "",
        base=arguments.base or "",
        name=arguments.name or "",
        files=arguments.data or (),
        rated=arguments.rated,
        knowledge=arguments.knowledge,
        promote=arguments.promote,
        threads=cores_beside_the_bot() if arguments.threads is None else arguments.threads,
    )
    if arguments.dry_run:
        return _dry_run(tuning, order, as_json=arguments.json)
    job = tuning.begin(order)
    if arguments.detach:
        _say_or_print(arguments, {"job": job.id}, f"Job {job.id} has begun. Follow it: atelier finetune show --follow")
        return 0
    return _followed(tuning, job, as_json=arguments.json)


def _dry_run(tuning: Tuning, order: jobs.Order, *, as_json: bool) -> int:
    """Read and check the data as a job would, in a folder that is gone afterwards."""
    print(f"Reading the data, then timing a few steps with {order.base}; a minute or so …", file=sys.stderr, flush=True)
    from finetune.steps import Steps

    with tempfile.TemporaryDirectory(prefix="atelier-") as scratch, _on_threads(order.threads):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        job = Job("dry-run", Path(scratch), order, State.VALIDATING, now, is_confirmed=False)
        steps = Steps(job, tuning.settings.store_url, lambda _: None, lambda: False)
        figures = steps.prepare()
        found = [problem.in_full for problem in steps.problems]
    if as_json:
        _print_json({**asdict(figures), "base": order.base, "recipe": asdict(order.recipe), "problems": found})
        return 0
    print(figures_said(figures))
    for problem in found[:SHOWN]:
        print(f"  {problem}")
    if len(found) > SHOWN:
        print(f"  … and {len(found) - SHOWN:,} more; --json lists them all.")
    return 0


@contextmanager
def _on_threads(count: int) -> Iterator[None]:
    """With as many as the job would have, or time is told wrongly. 0: all."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _followed(tuning: Tuning, job: Job, *, as_json: bool) -> int:
    """Watch a job to its end, and say how it ended."""
    try:
        job = _watched(job, shown=not as_json)
    except KeyboardInterrupt:
        if not _is_to_end():
            print(f"\nIt goes on by itself. Follow it: atelier finetune show {job.id} --follow", file=sys.stderr)
            return 130
        print("\nEnding; a checkpoint is kept …", file=sys.stderr)
        if not jobs.read(job.folder).is_over:
            tuning.jobs.cancel(job.id)
        job = _watched(job, shown=False)
    if as_json:
        _print_json(_described(job))
    else:
        _print_end(tuning, job)
    return {State.SUCCEEDED: 0, State.CANCELLED: 130}.get(job.state, 1)


def _is_to_end() -> bool:
    if not sys.stdin.isatty():
        return True
    try:
        asked = "\nStop training? What is done so far is kept in a checkpoint. [y/N] "
        return input(asked).strip().lower() in {"y", "yes"}
    except (KeyboardInterrupt, EOFError):
        return True


def _watched(job: Job, *, shown: bool) -> Job:
    """The job once it is over, or nobody is at it any more."""
    with _bar(shown=shown) as tell:
        while True:
            time.sleep(LOOK)
            job = jobs.read(job.folder)
            if job.is_over or not job.has_worker:
                return jobs.read(job.folder)  # it may have ended between the two looks that make one reading
            tell(job)


@contextmanager
def _bar(*, shown: bool) -> Iterator[Callable[[Job], None]]:
    if not shown or not sys.stderr.isatty():
        said: set[State] = set()

        def tell_once(job: Job) -> None:
            if shown and job.state not in said:
                said.add(job.state)
                print(progress_said(replace(job, progress=None)), file=sys.stderr, flush=True)

        yield tell_once
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def tell(job: Job) -> None:
            at = job.progress if job.state is State.RUNNING else None
            words = progress_said(job)
            if at and at.steps:
                bar.update(task, completed=at.step, total=at.steps, description=words.partition(" ")[2])
            else:
                bar.update(task, total=None, description=words)

        yield tell


def _print_end(tuning: Tuning, job: Job) -> None:
    if not job.is_over:
        print(f"The training process of job {job.id} was ended from outside, as a system does that is out of memory.")
        print(f"Go on from its last checkpoint: atelier finetune resume {job.id}")
        return
    print(outcome_said(job))
    if job.state in (State.SUCCEEDED, State.REJECTED):
        print(f"The report: {job.folder / jobs.REPORT}")
    if job.state in jobs.RESUMABLE:
        print(f"Go on from its last checkpoint: atelier finetune resume {job.id}")
    if job.state is State.SUCCEEDED:
        flagged, live = tuning.flagged(job.version), tuning.registry.aliases().live
        if live is not None and live.name == job.version:
            print(f"{job.version} is live: the running bot answers with it within seconds.")
        elif not flagged:
            print(f"Make it live: atelier finetune promote {job.version}")
        for warning in filter(None, (flagged, tuning.serves(tuning.registry.get(job.version)))):
            print(f"Note: {warning}")


def _list(tuning: Tuning, arguments: Arguments) -> int:
    if arguments.heads:
        return _list_heads(tuning, as_json=arguments.json)
    found = tuning.jobs.known()
    if arguments.json:
        _print_json([_described(job) for job in found])
        return 0
    if not found:
        print("There are no jobs yet. `atelier finetune run --rated` learns from what people rated.")
        return 0
    print("\n".join(listed(found, tuning.registry.aliases())))
    return 0


def _list_heads(tuning: Tuning, *, as_json: bool) -> int:
    found, serving = tuning.registry.versions("heads"), tuning.registry.aliases("heads")
    if as_json:
        live = serving.live.name if serving.live is not None else None
        _print_json([{"version": each.name, "live": each.name == live, "scores": dict(each.scores)} for each in found])
    else:
        none = "The heads that come with Atelier serve. `atelier finetune heads` and `intent` train others."
        print("\n".join(versions_listed(found, serving)) or none)
    return 0


def _show(tuning: Tuning, arguments: Arguments) -> int:
    job = tuning.jobs.get(arguments.job or "")
    if arguments.follow and not job.is_over:
        return _followed(tuning, job, as_json=arguments.json)
    if arguments.json:
        events = [asdict(event) for event in jobs.events(job.folder)]
        _print_json({**_described(job), "events": events, "evaluation": dict(evaluation(job))})
        return 0
    recipe = job.order.recipe
    print(f"Job {job.id}: {progress_said(job)}")
    print(f"  learns from  {sources(job.order)}")
    print(f"  trains       {job.order.base} with {recipe.method}, {recipe.objective}")
    if job.figures:
        print(f"  takes        {figures_said(job.figures)}")
    if job.is_interrupted:
        print(f"  interrupted  go on with: atelier finetune resume {job.id}")
    for event in jobs.events(job.folder):
        if event.type == "message":
            print(f"  {event.time}  {event.message}")
    if job.is_over:
        _print_end(tuning, job)
    print(f"Everything about it lies in {job.folder}")
    return 0


def _cancel(tuning: Tuning, arguments: Arguments) -> int:
    job = tuning.jobs.get(arguments.job) if arguments.job else tuning.jobs.busy() or tuning.jobs.get()
    job = tuning.jobs.cancel(job.id)
    until = time.monotonic() + 60
    while not job.is_over and time.monotonic() < until:
        time.sleep(LOOK)
        job = jobs.read(job.folder)
    _say_or_print(arguments, _described(job), f"Job {job.id}: {progress_said(job)}")
    if not arguments.json and job.state is State.CANCELLED:
        print(f"Go on from its last checkpoint: atelier finetune resume {job.id}")
    return 0


def _resume(tuning: Tuning, arguments: Arguments) -> int:
    job = tuning.resume(arguments.job or "")
    if arguments.detach:
        _say_or_print(arguments, {"job": job.id}, f"Job {job.id} goes on.")
        return 0
    return _followed(tuning, job, as_json=arguments.json)


def _promote(tuning: Tuning, arguments: Arguments) -> int:
    version = tuning.version(arguments.version or "")
    before = tuning.registry.aliases(version.kind)
    if arguments.share is not None or arguments.channel:
        text = tuning.tried(version, arguments.share or 0.0, arguments.channel or ())
    else:
        now = tuning.registry.promote(version.name, despite_flag=arguments.force)
        text = promoted_said(before, now)
    _say_or_print(arguments, _serving(tuning, version.kind), text)
    if not arguments.json and (warning := tuning.serves(version)):
        print(f"Note: {warning}")
    return 0


def _rollback(tuning: Tuning, arguments: Arguments) -> int:
    kind: Kind = "heads" if arguments.heads else "adapter"
    before = tuning.registry.aliases(kind)
    heads = tuning.registry.aliases("heads").live
    if kind == "adapter" and before.live is before.candidate is None and heads is not None:
        said = f"No adapter is live, so there is none to go back from. Of the heads {heads.name} is live:"
        raise FinetuneError(f"{said} `atelier finetune rollback --heads` goes back from it.")
    now = tuning.registry.rollback(kind)
    _say_or_print(arguments, _serving(tuning, kind), rolled_back_said(before, now))
    return 0


def _compare(tuning: Tuning, arguments: Arguments) -> int:
    one = tuning.version(arguments.version or "")
    live = tuning.registry.aliases(one.kind).live
    other = tuning.registry.get(arguments.other) if arguments.other else live
    if other is not None and other.name == one.name:
        other = None
    if arguments.json:
        _print_json({each.name: dict(each.scores) for each in (one, other) if each is not None})
        return 0
    if not one.scores:
        raise FinetuneError(f"{one.name} was registered without scores, so there is nothing to compare.")
    print("\n".join(compared(one, other)))
    if other is not None and other.base_fingerprint != one.base_fingerprint:
        print("They were trained on different models, so their losses cannot be compared.")
    if other is None and one.job:
        print("No other version is live; its job's report holds it against the model without an adapter.")
    return 0


def _export(tuning: Tuning, arguments: Arguments) -> int:
    from finetune.registry_export import export_merged

    version, base = tuning.version(arguments.version or ""), arguments.base or tuning.settings.model
    if not base:
        raise SettingsError("Name the model that the version was trained on with --base.")
    folder = export_merged(tuning.registry, version.name, base, Path(arguments.folder).expanduser().absolute())
    shown = {"version": version.name, "folder": str(folder)}
    _say_or_print(arguments, shown, f"{folder} is a model that speaks as {version.name}.")
    return 0


def _push(tuning: Tuning, arguments: Arguments) -> int:
    from finetune.registry_export import push_vllm

    settings, version = tuning.settings, tuning.version(arguments.version or "")
    if not settings.remote_url:
        raise SettingsError("No server is named. Set `remote_url` to the vLLM server's address, ending in /v1.")
    key = settings.remote_key.get_secret_value() or None
    model = push_vllm(tuning.registry, version.name, settings.remote_url, key, seen_as=arguments.seen_as)
    said = (
        f"The server knows {version.name} as the model {model}. The digits are the first of the version's SHA-256: "
        "other weights of that name are another model to the server."
    )
    _say_or_print(arguments, {"version": version.name, "model": model}, said)
    return 0


def _serving(tuning: Tuning, kind: Kind = "adapter") -> dict[str, Any]:
    serving = tuning.registry.aliases(kind)
    names = {alias: getattr(serving, alias) for alias in ("live", "previous", "candidate")}
    shown: dict[str, Any] = {alias: each.name if each else None for alias, each in names.items()}
    return shown | {"share": serving.share, "channels": sorted(serving.channels)}


def _described(job: Job) -> dict[str, Any]:
    return {
        "job": job.id,
        "state": "interrupted" if job.is_interrupted else job.state,
        "cancel_requested": job.cancel_requested,
        "reason": job.reason,
        "version": job.version,
        "made": job.made,
        "base": job.order.base,
        "learns_from": sources(job.order),
        "method": job.order.recipe.method,
        "figures": asdict(job.figures) if job.figures else None,
        "progress": asdict(job.progress) if job.progress else None,
        "folder": str(job.folder),
    }


def _say_or_print(arguments: Arguments, value: object, text: str) -> None:
    if arguments.json:
        _print_json(value)
    else:
        print(text)


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


PARTS: dict[str, Callable[[Tuning, Arguments], int]] = {
    "run": _run,
    "list": _list,
    "show": _show,
    "cancel": _cancel,
    "resume": _resume,
    "promote": _promote,
    "rollback": _rollback,
    "compare": _compare,
    "export": _export,
    "push": _push,
}
