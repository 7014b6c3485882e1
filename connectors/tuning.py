"""Fine-tuning as the terminal and the chat both order it: what may be ordered, what it takes, how it went, in words."""

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from connectors.settings import Settings
from finetune import job as jobs
from finetune import report
from finetune.job import Figures, Job, Order, Progress, State
from finetune.jobs import Jobs
from finetune.recipe import PRESETS, Method, Recipe, load_recipe
from finetune.registry import AdapterRegistry, Aliases, Version
from retrieval.errors import FinetuneError, RegistryError, SettingsError

RECIPES = "recipes"  # in the home folder: the team's own
FAMILY = "team"  # what versions are called where nobody says otherwise
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_BAR = 12  # characters
NO_MODEL = (
    "There is no language model to fine-tune: Atelier answers with quotes from your documents. Set `generator` to "
    '"local" and `model` to a model in atelier.toml ("starter" is the one that comes along), or name one with --base.'
)
REMOTE = (
    "Your model answers on a server, and training needs its weights here. Name the model's folder or hub name with "
    "--base."
)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What both doors need. registry: of the same store."""

    settings: Settings
    jobs: Jobs
    registry: AdapterRegistry

    @classmethod
    def of(cls, settings: Settings, engine: Engine) -> "Tuning":
        return cls(settings, Jobs(settings.home), AdapterRegistry(engine, settings.home / "versions"))

    def order(
        self,
        *,
        recipe: str = "",
        base: str = "",
        name: str = "",
        files: Sequence[str] = (),
        rated: bool = False,
        knowledge: bool = False,
        promote: bool = False,
        threads: int = 0,
        from_afar: bool = False,
    ) -> Order:
        """A checked order. threads: 0 for all cores. from_afar: from a chat, where nobody names this machine's files.

        Raises SettingsError, FinetuneError or ModelFolderError with what to do instead.
        """
        name = name or FAMILY
        if not _NAME.fullmatch(name):
            raise SettingsError(f"A version cannot be called {name!r}. Use letters, digits, '-' and '_', at most 40.")
        if not (files or rated or knowledge):
            raise SettingsError(
                "Say what to learn from: --rated (turns that people rated), --knowledge (your documents) or "
                "--data FILE.jsonl (conversations)."
            )
        if threads < 0:
            raise SettingsError("A job runs on at least one thread. Name a number from 1 on, or 0 for all cores.")
        paths = []
        for file in files:
            path = Path(file).expanduser().absolute()
            if not path.is_file():
                raise SettingsError(f"There is no file {file}. Name a JSONL file with one conversation a line.")
            paths.append(str(path))
        model = self._base(base)
        learns = self._recipe(recipe, from_afar=from_afar)
        _refuse_too_large(model, learns, self.settings.device)
        return Order(
            name=name,
            base=model,
            recipe=learns,
            tenant=self.settings.tenant,
            files=tuple(paths),
            rated=rated,
            knowledge=knowledge,
            encoder=self.settings.encoder,
            device=self.settings.device,
            persona=self.settings.persona,
            passages=self.settings.passages,
            max_tokens=self.settings.max_tokens,
            threads=threads,
            promote=promote,
        )

    def _base(self, base: str) -> str:
        from agent.generation.loading import check

        settings = self.settings
        if not base and settings.generator == "remote":
            raise SettingsError(REMOTE)
        if not base and not settings.model:
            raise SettingsError(NO_MODEL)
        chosen = base or settings.model
        check(chosen)
        folder = Path(chosen).expanduser()
        return str(folder.absolute()) if folder.is_dir() else chosen

    def _recipe(self, name: str, *, from_afar: bool) -> Recipe:
        """A preset, one of the team's own in the home folder's `recipes`, or a file."""
        if not name:
            return load_recipe("one-gpu" if _has_gpu(self.settings.device) else "small-cpu")
        own = {path.stem: path for path in sorted((self.settings.home / RECIPES).glob("*.toml"))}
        if from_afar and name not in (*PRESETS, *own):
            raise SettingsError(f"There is no such recipe. Name one of {', '.join((*PRESETS, *own))}.")
        return load_recipe(str(own.get(name, name)))

    def begin(self, order: Order, *, key: str = "", confirmed: bool = True) -> Job:
        """A job with a worker at it. Raises FinetuneError while another is running."""
        self.jobs.refuse_when_busy()
        job = self.jobs.create(order, key=key, confirmed=confirmed)
        return self.start(job)

    def start(self, job: Job) -> Job:
        self.jobs.start(job.id, self.settings.store_url)
        return jobs.read(job.folder)

    def resume(self, name: str) -> Job:
        """Take a job up again that ended early. Raises FinetuneError."""
        job = self.jobs.get(name)
        if job.has_worker:
            raise FinetuneError(f"Job {job.id} is running already.")
        self.jobs.refuse_when_busy()
        return self.start(self.jobs.resume(job.id))

    def version(self, name: str) -> Version:
        """The version of this name, or that a job made; "" for the latest that the gate let through.

        Raises RegistryError, and FinetuneError where there is none yet or the job made none.
        """
        found = self.jobs.known()
        if name:
            job = next((each for each in found if each.id == name), None)
            if job is None or any(each.name == name for each in self.registry.versions()):
                return self.registry.get(name)
            if not job.version:
                raise FinetuneError(f"Job {job.id} made no version. {progress_said(job)}")
            return self.registry.get(job.version)
        known = self.registry.versions("adapter")
        if known:
            return known[-1]
        if found and found[-1].state is State.REJECTED:
            raise FinetuneError(f"There is no version yet. Job {found[-1].id}: {outcome_said(found[-1])}")
        raise FinetuneError("There is no version yet. `atelier finetune run` makes one.")

    def tried(self, version: Version, share: float, channels: Collection[str]) -> str:
        """Let a version answer a share of conversations, or channels, on trial; neither: end its trial. What was done.

        Raises RegistryError, and FinetuneError where it is not on trial.
        """
        if share or channels:
            now = self.registry.set_candidate(version.name, share=share, channels=channels)
            part = f"{now.share:.0%} of conversations" if now.share else ""
            where = " and ".join(filter(None, [part, ", ".join(sorted(now.channels))]))
            return (
                f"{version.name} answers {where} on trial. Make it live with `atelier finetune promote {version.name}`."
            )
        candidate = self.registry.aliases(version.kind).candidate
        if candidate is None or candidate.name != version.name:
            raise FinetuneError(f"{version.name} is not on trial.")
        live = self.registry.withdraw(version.kind).live
        serves = live.name if live is not None else "the model without an adapter"
        return f"The trial of {version.name} is over: {serves} answers everywhere."

    def flagged(self, name: str) -> str:
        """Why a version that was just made should not answer; empty where nothing speaks against it, or it is gone."""
        with suppress(RegistryError):
            version = self.registry.get(name)
            return f"{name} is flagged: {version.flagged} Train it anew." if version.flagged else ""
        return ""

    def serves(self, version: Version) -> str:
        """A word of warning where this house's model is not the one that the version was trained on; else empty."""
        if self.settings.generator == "remote" or version.kind != "adapter":
            return ""
        if self.settings.generator != "local":
            return (
                f'Answers are quotes here (generator = "{self.settings.generator}"), so {version.name} is not heard '
                'until generator = "local" and `model` is the model that it was trained on.'
            )
        from agent.generation.adapters import base_fingerprint
        from finetune.steps import folder_of

        if base_fingerprint(folder_of(self.settings.model)) == version.base_fingerprint:
            return ""
        return f"{version.name} was trained on another model than {self.settings.model}, so it cannot answer here."


def _refuse_too_large(base: str, recipe: Recipe, device: str) -> None:
    """Raises FinetuneError where not even the weights would fit: the system would end the process without a word."""
    from agent.generation.loading import weights
    from agent.generation.separate import free_bytes
    from finetune.training.base import precision_of

    bits: int = recipe.bits if recipe.bits < 16 or precision_of(recipe) == "bf16" else 32
    if recipe.method is Method.FULL:
        bits = 4 * 32  # beside their gradients and two moments
    needed = weights(base) * bits // 8
    free = free_bytes(device or ("cuda" if _has_gpu(device) else "cpu"))
    if needed > free:
        raise FinetuneError(
            f"{base} does not fit: training it takes more than {size(needed)} of memory, and {size(free)} are free "
            "here. Name a smaller model with --base, or end what else takes memory."
        )


def cores() -> int:
    """A container's cores, not its machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cores_beside_the_bot() -> int:
    """Threads for training while the same machine answers people."""
    return max(1, cores() - 1)


def _has_gpu(device: str) -> bool:
    if device:
        return device.startswith("cuda")
    import torch

    return torch.cuda.is_available()


def figures_said(figures: Figures) -> str:
    """What a job will take, in a sentence or two."""
    left_out = f", {figures.removed:,} left out" if figures.removed else ""
    takes = ""
    if figures.steps:
        about = f"about {duration(figures.seconds)} and {size(figures.memory_bytes)} of memory"
        takes = f" In {counted(figures.steps, 'step')}: {about}."
    return (
        f"{figures.rows:,} rows to learn from, {figures.held_out:,} held out to measure with{left_out}. "
        f"{figures.tokens:,} tokens, {figures.trained_tokens:,} of them learned.{takes}"
    )


def progress_said(job: Job) -> str:
    """How far a job is, in a line."""
    if job.cancel_requested:
        return "Ending; a checkpoint is kept."
    match job.state:
        case State.VALIDATING:
            return "Reading the data …"
        case State.QUEUED:
            return "Waiting to begin …" if job.is_confirmed else "Waiting for its confirmation."
        case State.EVALUATING:
            now = job.progress
            share = f" ({now.what}, {now.step} of {now.steps})" if now and now.what else ""
            return f"Measuring what was trained against what serves{share} …"
        case State.RUNNING if job.progress and job.progress.steps:
            return _progress(job.progress)
        case State.RUNNING:
            return "Loading the model …"
        case _:
            return outcome_said(job)


def _progress(progress: Progress) -> str:
    share = min(1.0, progress.step / progress.steps)
    full = round(_BAR * share)
    parts = [f"{'▓' * full}{'░' * (_BAR - full)} {share:.0%}", f"step {progress.step:,} of {progress.steps:,}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.held_out_loss is not None:
        parts.append(f"held-out {progress.held_out_loss:.3f}")
    if progress.seconds_left is not None:
        parts.append(f"about {duration(progress.seconds_left)} left")
    return " · ".join(parts)


def outcome_said(job: Job) -> str:
    """How a job ended."""
    match job.state:
        case State.SUCCEEDED:
            return f"{job.version} is trained, and the gate lets it through."
        case State.REJECTED:
            return f"Trained, but the gate does not let it through: {job.reason}"
        case State.FAILED:
            return f"It failed: {job.reason}"
        case State.CANCELLED:
            return "Cancelled. What was trained so far is kept in a checkpoint."
        case _:
            return str(job.state)


def listed(found: Sequence[Job], serving: Aliases) -> list[str]:
    """A line for each job, oldest first."""
    lines = []
    for job in found:
        state = "interrupted" if job.is_interrupted else str(job.state)
        mark = ""
        if job.version:
            mark = f"  {job.version}{alias_of(job.version, serving)}"
        elif job.progress and job.progress.steps:
            mark = f"  {job.progress.step / job.progress.steps:.0%}"
        lines.append(f"{job.id}  {state:<11}  {sources(job.order)}{mark}")
    return lines


def versions_listed(found: Sequence[Version], serving: Aliases) -> list[str]:
    """A line for each version, oldest first: its name, where it serves, how it was measured, why it is flagged."""
    lines = []
    for version in found:
        scores = "  ".join(f"{name} {score:.3f}" for name, score in sorted(version.scores.items()))
        flagged = f"  flagged: {version.flagged}" if version.flagged else ""
        lines.append(f"{version.name}{alias_of(version.name, serving)}  {scores}{flagged}")
    return lines


def alias_of(version: str, serving: Aliases) -> str:
    """` (live)` and the like; empty for one that serves nowhere."""
    for alias in ("live", "candidate", "previous"):
        each: Version | None = getattr(serving, alias)
        if each is not None and each.name == version:
            return f" ({alias})"
    return ""


def sources(order: Order) -> str:
    """What a job learns from."""
    parts = [Path(file).name for file in order.files]
    parts += ["rated turns"] * order.rated + ["knowledge base"] * order.knowledge
    return " + ".join(parts)


def compared(one: Version, other: Version | None) -> list[str]:
    """The scores of two versions side by side; with none, the first's alone."""
    names = [one.name, *([other.name] if other else [])]
    known = dict.fromkeys([*one.scores, *(other.scores if other else {})])
    width = max([len(name) for name in known] + [8])
    lines = [" " * width + "".join(f"  {name:>12}" for name in names)]
    for score in known:
        values = [one.scores.get(score), *([other.scores.get(score)] if other else [])]
        shown = "".join(f"  {value:>12.4f}" if value is not None else f"  {'–':>12}" for value in values)
        lines.append(f"{score:<{width}}{shown}")
    return lines


def promoted_said(before: Aliases, after: Aliases) -> str:
    """What a promotion changed."""
    assert after.live is not None
    was = f" Before it was {before.live.name}." if before.live and before.live.name != after.live.name else ""
    serves = "understands" if after.live.kind == "heads" else "answers"
    return f"{after.live.name} is live: the running bot {serves} with it within seconds.{was}"


def rolled_back_said(before: Aliases, after: Aliases) -> str:
    gone = before.live.name if before.live else before.candidate.name if before.candidate else "it"
    plain = "heads that come with Atelier serve" if gone.startswith("heads-") else "model without an adapter serves"
    return f"{gone} is taken back: {f'{after.live.name} serves' if after.live else f'the {plain}'} within seconds."


def summary(job: Job) -> list[str]:
    """What the gate found, a line each, for a job that got so far."""
    found = report.judged(job.folder)
    return [f"- {reason}" for reason in found.reasons[1:]] if found is not None else []


def evaluation(job: Job) -> Mapping[str, Any]:
    """What the gate measured; empty where it has not."""
    try:
        found: dict[str, Any] = json.loads((job.folder / jobs.EVALUATION).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def counted(count: int, what: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    if seconds < 90:
        return counted(max(1, round(seconds)), "second")
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"


def size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{max(1, round(count / 1e6))} MB"
