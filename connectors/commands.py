"""What each command does. One function a command, named after it; each returns the exit status.

`knowledge`, `forget`, `export` and `backup` open the store and no model, so they answer in a moment.
"""

import argparse
import asyncio
import difflib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from uuid import uuid4

from agent.message import Message, Place, Turn
from connectors import backup as archive
from connectors import privacy
from connectors.cases import noted
from connectors.compose import House, open_house, open_knowledge, open_store, user_name
from connectors.settings import FILE, Settings, default_home, documented_toml, find_settings_file, load_settings
from retrieval.errors import MessageRefused, SettingsError, StoreError
from retrieval.files import write_atomically
from retrieval.ingest import IngestReport, Progress
from retrieval.ingest import ingest as read_documents
from retrieval.shelf import Shelf

Arguments = argparse.Namespace


def version(_arguments: Arguments) -> int:
    _print_json({"atelier": installed_version("atelier"), "python": sys.version.split()[0]})
    return 0


def init(arguments: Arguments) -> int:
    if arguments.folder == "slack":
        from connectors.slack import manifest

        print(manifest.text(), end="")
        return 0
    if arguments.folder == "telegram":  # who has made the Slack app so looks for it
        print("Write /newbot to @BotFather in Telegram, set ATELIER_TELEGRAM_TOKEN to the token, run `atelier serve`.")
        return 0
    home = Path(arguments.folder or default_home()).expanduser().absolute()
    near = difflib.get_close_matches(arguments.folder or "", ["slack", "telegram"], cutoff=0.75)
    if near and not home.exists() and "/" not in arguments.folder:
        raise SettingsError(f"Did you mean `atelier init {near[0]}`? A folder of that name is asked for as ./NAME.")
    file = home / FILE
    if file.exists():
        raise SettingsError(f"{file} exists already. Edit it, or name another folder.")
    try:
        write_atomically(file, documented_toml(home=".").encode())
    except OSError as error:
        raise StoreError(f"{home} cannot be written ({error.strerror}). Name another folder.") from error
    open_store(load_settings(file)).close()
    print(f"{file} is written; every setting is explained in it.")
    if home != Path(default_home()).expanduser().absolute():
        print(f"Use it with `atelier --settings {file} chat`, or set ATELIER_SETTINGS to it.")
    return 0


def chat(arguments: Arguments) -> int:
    from connectors.terminal import Terminal

    settings = load_settings(arguments.settings)

    async def talk() -> None:
        def load() -> House:
            return open_house(settings, _notice)

        await Terminal(asyncio.to_thread(load)).run()

    asyncio.run(talk())
    return 0


def serve(arguments: Arguments) -> int:
    import logging

    from connectors.logs import set_up
    from connectors.loop import run
    from connectors.serve import serve as serve_doors

    settings = load_settings(arguments.settings)
    set_up(settings.log_format)
    logging.getLogger("alembic").setLevel(logging.WARNING)

    def reload() -> Settings:
        return load_settings(arguments.settings)

    run(serve_doors(settings, lambda: open_house(settings, _notice), _notice, reload))
    return 0


def ask(arguments: Arguments) -> int:
    settings, question = load_settings(arguments.settings), " ".join(arguments.question)
    if not question.strip():  # said before everything is loaded
        raise MessageRefused("The question is empty. Write one behind `atelier ask`.")
    turn = asyncio.run(_ask(settings, question, streamed=not arguments.json))
    if arguments.json:
        sources = [{"number": s.number, "source": s.label, "passage": s.passage} for s in turn.reply.sources]
        understanding, decision = turn.understanding, turn.decision
        _print_json(
            {
                "answer": turn.reply.text,
                "sources": sources,
                "notice": turn.reply.notice,
                "generator": turn.reply.generator,
                "intent": understanding.intent,
                "confidence": round(understanding.confidence, 3),
                "sentiment": understanding.sentiment,
                "move": decision.move,
                "reasons": [decision.reason, *understanding.reasons],
            }
        )
    return 0


async def _ask(settings: Settings, question: str, *, streamed: bool) -> Turn:
    house = await asyncio.to_thread(open_house, settings, _notice)
    try:
        person = house.store.person()
        once = Place("terminal", settings.tenant, user_name(), f"ask-{uuid4().hex}")  # a question of its own
        message = Message(uuid4().hex, once, person, question, datetime.now(UTC), person.audiences)
        async for event in house.colleague.reply(message):
            if isinstance(event, Turn):
                if streamed:
                    print("".join(f"\n  [{each.number}] {each.label}" for each in event.reply.sources))
                    if event.reply.notice:
                        print(f"  Note: {event.reply.notice}")
                return event
            if streamed:
                print("\n" * event.replaces + event.text, end="", flush=True)
    finally:
        await house.close()
    raise AssertionError("a reply ends with its turn")


def ingest(arguments: Arguments) -> int:
    paths = [Path(path).expanduser() for path in arguments.paths]
    store = open_store(load_settings(arguments.settings))
    _, knowledge = open_knowledge(store, _notice)
    try:
        with _ingest_progress(shown=not arguments.json) as progress:
            report = read_documents(
                paths, knowledge, tenant=store.settings.tenant, audience=arguments.audience, progress=progress
            )
    finally:
        knowledge.close()
        store.close()
    if arguments.json:
        _print_json(asdict(report))
    else:
        _print_report(report)
    return 0 if not report.unreadable else 1


@contextmanager
def _ingest_progress(*, shown: bool) -> Iterator[Callable[[Progress], None] | None]:
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def progress(now: Progress) -> None:
            bar.update(task, completed=now.done, total=now.total, description=now.source[-60:])

        yield progress


def _print_report(report: IngestReport) -> None:
    parts = [
        (report.added, "added"),
        (report.updated, "updated"),
        (report.duplicates, "the same as another"),
        (report.unchanged, "unchanged"),
        (report.removed, "removed"),
        (report.unreadable, "not readable"),
    ]
    counts = ", ".join(f"{len(which)} {what}" for which, what in parts if which)
    print(f"{counts or 'Nothing to read there'}.")
    if report.ignored:
        kinds = f" ({', '.join(report.ignored_kinds[:8])})" if report.ignored_kinds else ""
        print(
            f"{report.ignored} {'file is' if report.ignored == 1 else 'files are'} of a kind that is not read{kinds}."
        )
    for each in report.unreadable:
        kept = " Its last readable version stays." if each.kept else ""
        print(f"  {each.source}: {each.reason}{kept}")


def knowledge(arguments: Arguments) -> int:
    store = open_store(load_settings(arguments.settings))
    tenant = store.settings.tenant
    shelf = store.shelf
    try:
        if arguments.action == "list":
            return _list_documents(shelf, tenant, as_json=arguments.json)
        known = [each.source for each in shelf.documents(tenant)]
        if arguments.action == "audience":
            if not shelf.set_audience(tenant, arguments.source, arguments.audience):
                raise SettingsError(_no_document(arguments.source, known))
            noted(store, "knowledge audience", f"{arguments.source} {arguments.audience}")
            print(f"{arguments.source} may now be read by {arguments.audience}.")
            return 0
        for source in arguments.sources:
            chosen = [each for each in known if each == source or each.startswith(source.rstrip("/") + "/")]
            if not chosen:
                raise SettingsError(_no_document(source, known))
            for each in chosen:
                shelf.remove(tenant, each)
                noted(store, "knowledge remove", each)
                print(f"{each} is removed.")
    finally:
        store.close()
    return 0


def forget(arguments: Arguments) -> int:
    store = open_store(load_settings(arguments.settings))
    try:
        if not arguments.yes and not _confirmed("Delete everything about you: messages, replies, summaries, feedback?"):
            print("Nothing was deleted.")
            return 1
        report = privacy.forget(store.person(), store.memory, store.shelf, store.settings.home)
        print("\n".join(report.sentences))
    finally:
        store.close()
    return 0


def export(arguments: Arguments) -> int:
    store = open_store(load_settings(arguments.settings))
    try:
        file = Path(arguments.file).expanduser()
        copy = privacy.write_copy(store.person(), store.memory, store.settings.home, file)
        print(f"{file} holds everything about you: {len(copy['turns'])} messages with their replies.")
    finally:
        store.close()
    return 0


def backup(arguments: Arguments) -> int:
    store = open_store(load_settings(arguments.settings))
    try:
        report = archive.backup(store.settings.home, store.engine, Path(arguments.file).expanduser())
        noted(store, "backup", Path(arguments.file).name)
        print("\n".join(report.sentences))
    finally:
        store.close()
    return 0


def restore(arguments: Arguments) -> int:
    home = Path(arguments.folder or default_home()).expanduser()
    print("\n".join(archive.restore(Path(arguments.file).expanduser(), home).sentences))
    return 0


def finetune(arguments: Arguments) -> int:
    from connectors.finetune import finetune as carry_out

    return carry_out(arguments)


def cases(arguments: Arguments) -> int:
    from connectors.cases import cases as shown

    return shown(arguments)


def curated(arguments: Arguments) -> int:
    from connectors.curated import curated as carry_out

    return carry_out(arguments)


def why(arguments: Arguments) -> int:
    from connectors.why import why as explained

    return explained(arguments)


def gaps(arguments: Arguments) -> int:
    from connectors.growth_reports import gaps as shown

    return shown(arguments)


def digest(arguments: Arguments) -> int:
    from connectors.growth_reports import digest as shown

    return shown(arguments)


def sources(arguments: Arguments) -> int:
    from connectors.sources import sources as carry_out

    return carry_out(arguments)


def audit(arguments: Arguments) -> int:
    from connectors.cases import audit as shown

    return shown(arguments)


def doctor(arguments: Arguments) -> int:
    from connectors.doctor import examine

    file = find_settings_file(arguments.settings)
    checks = []
    for check in examine(load_settings(arguments.settings), file):
        checks.append(check)
        if not arguments.json:
            print(f"{'ok  ' if check.well else 'FAIL'} {check.name:<14} {check.finding}", flush=True)
    if arguments.json:
        _print_json({check.name: {"well": check.well, "finding": check.finding} for check in checks})
    return 0 if all(check.well for check in checks) else 1


def _list_documents(shelf: Shelf, tenant: str, *, as_json: bool) -> int:
    documents = shelf.documents(tenant)
    if as_json:
        _print_json(
            [
                {"source": d.source, "title": d.title, "audience": d.audience, "passages": d.passages, "added": d.added}
                for d in documents
            ]
        )
        return 0
    if not documents:
        print("There are no documents yet. Add some with `atelier ingest FOLDER`.")
        return 0
    width = max(len(document.source) for document in documents)
    for each in documents:
        audience = each.audience.partition("/")[2]
        print(f"{each.source:<{width}}  {each.passages:>5} passages  {audience}")
    return 0


def _no_document(source: str, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(source, known, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]}?" if nearest else " `atelier knowledge list` shows them all."
    return f"There is no document {source}.{hint}"


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise SettingsError("This deletes for good. Add --yes to do it without a keyboard.")
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def _notice(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))
