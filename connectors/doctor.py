"""`atelier doctor`: each part is looked at, and where something is wrong the check says what to do.

What it prints holds no secret and nothing that people wrote, so it can go into a problem report.
"""

import platform
import shutil
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from connectors.settings import Settings
from retrieval.errors import AtelierError, IndexCorrupt, SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Engine

ENOUGH_SPACE = 500_000_000  # bytes free in the home folder's file system
LIBRARIES = ("torch", "transformers", "peft", "sqlalchemy", "numpy")


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what was looked at, whether it is well, and what was seen or should be done."""

    name: str
    well: bool
    finding: str


def examine(settings: Settings, file: Path | None) -> Iterator[Check]:
    """Every check in turn; none raises."""
    yield Check("settings", well=True, finding=str(file) if file else "no atelier.toml, all defaults")
    yield Check("python", sys.version_info >= (3, 11), f"{platform.python_version()} on {platform.platform()}")
    yield _guarded("libraries", _libraries)
    yield _guarded("faiss", _faiss)
    yield _guarded("home", lambda: _home(settings.home))
    yield _guarded("store", lambda: _store(settings))
    yield _guarded("index", lambda: _index(settings.home / "index"))
    yield _guarded("encoder", lambda: _encoder(settings))
    yield _guarded("understanding", lambda: _heads(settings))
    yield _guarded("generator", lambda: _generator(settings))
    yield _guarded("versions", lambda: _versions(settings))
    yield from doors(settings)


def doors(settings: Settings) -> Iterator[Check]:
    """The platforms, asked themselves; of one that is not set up, what to set."""
    yield _guarded("slack", lambda: _slack(settings))
    yield _guarded("telegram", lambda: _telegram(settings))


def _guarded(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, well=True, finding=look())
    except (AtelierError, PackageNotFoundError, OSError) as error:
        return Check(name, well=False, finding=str(error))
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the other checks are wanted too
        return Check(name, well=False, finding=f"It failed unexpectedly ({type(error).__name__}).")


def _libraries() -> str:
    return ", ".join(f"{name} {version(name)}" for name in LIBRARIES)


def _faiss() -> str:
    from retrieval.structure import has_gpu  # raises when FAISS is missing or damaged

    installed = {each.metadata["Name"]: each.version for each in distributions()}
    builds = [f"{name} {installed[name]}" for name in ("faiss-cpu", "faiss-gpu") if name in installed]
    return f"{', '.join(builds) or 'faiss'}, {'with' if has_gpu() else 'without'} a GPU"


def _home(home: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    probe = home / ".doctor"
    probe.write_bytes(b"")
    probe.unlink()
    free = shutil.disk_usage(home).free
    if free < ENOUGH_SPACE:
        raise OSError(f"{home} has only {free / 1e6:.0f} MB left. Free some space before you ingest documents.")
    return f"{home}, {free / 1e9:.1f} GB free"


def _store(settings: Settings) -> str:
    from connectors.compose import open_store

    store = open_store(settings)
    try:
        count = store.shelf.count(settings.tenant)
    finally:
        store.close()
    engine = store.engine.dialect.name
    kind = f"SQLite {sqlite3.sqlite_version}, rollback journal" if engine == "sqlite" else "PostgreSQL"
    return f"{kind}, {count} documents"


def _index(folder: Path) -> str:
    from retrieval.files import read_manifest

    parts = [folder / name for name in ("vectors", "words") if (folder / name).exists()]
    if not parts:
        return "not built yet; it is built from the store when it is first needed"
    for part in parts:
        try:
            read_manifest(part)
        except ValueError as error:
            raise IndexCorrupt(f"Damaged: {error}. It is rebuilt from the store at the next question.") from error
    return f"{folder} matches its manifest"


def _encoder(settings: Settings) -> str:
    from retrieval.encoder import TransformerEncoder

    encoder = TransformerEncoder(settings.encoder, device=settings.device or None)
    encoder(["Is everything in order?"])
    return f"{encoder.id}, {encoder.dim} dimensions"


def _heads(settings: Settings) -> str:
    from agent.understanding import Understander
    from connectors.compose import heads_folder
    from retrieval.encoder import TransformerEncoder

    encoder = TransformerEncoder(settings.encoder, device=settings.device or None)
    understander = Understander(encoder, heads_folder(settings))
    if understander.notice:
        return understander.notice
    understanding = understander.understand("How do I reset my password?")
    return f"a question is understood as {understanding.intent} ({understanding.confidence:.0%})"


def _generator(settings: Settings) -> str:
    from connectors.compose import check_generator

    return check_generator(settings)


def _versions(settings: Settings) -> str:
    from agent.generation.adapters import base_fingerprint
    from agent.generation.loading import model_folder
    from connectors.compose import open_store
    from retrieval.errors import RegistryError

    store = open_store(settings)
    try:
        now = store.registry.aliases()
        named = {"live": now.live, "previous": now.previous, "candidate": now.candidate}
        serving = {alias: version for alias, version in named.items() if version is not None}
        if not serving:
            return "no fine-tuned version is live"
        shown = ", ".join(f"{alias} {version.name} ({version.method})" for alias, version in serving.items())
        if settings.generator in ("extractive", "starter"):
            raise RegistryError(f"{shown}, but there is no language model: set generator to local or remote.")
        known = base_fingerprint(model_folder(settings.model)) if settings.generator == "local" else ""
        for version in serving.values():
            store.registry.fetch(version)
            if known and version.base_fingerprint != known:
                raise RegistryError(f"{version.name} was trained on another base model than {settings.model}.")
    finally:
        store.close()
    return f"{shown}, whole"


def _slack(settings: Settings) -> str:
    bot, app = settings.slack_bot_token.get_secret_value(), settings.slack_app_token.get_secret_value()
    if not bot and not settings.slack_client_id:
        if app or settings.slack_signing_secret.get_secret_value():
            raise SettingsError("Slack's bot token is missing: set ATELIER_SLACK_BOT_TOKEN (xoxb-…; Install App).")
        return "not set up; to answer there set ATELIER_SLACK_APP_TOKEN and ATELIER_SLACK_BOT_TOKEN (README, “Slack”)"

    async def amiss(engine: "Engine") -> list[str]:
        from connectors.slack import rights
        from connectors.slack.oauth import Installations

        installed = await Installations(engine).tokens() if settings.slack_client_id else {}
        return await rights.amiss(settings.slack_api, bot, app, installed, settings.public_url)

    return _door(settings.model_copy(update={"telegram_token": SecretStr("")}), "slack", amiss)


def _telegram(settings: Settings) -> str:
    token = settings.telegram_token.get_secret_value()
    if not token:
        if settings.telegram_webhook or settings.telegram_secret.get_secret_value():
            raise SettingsError("Telegram's token is missing: set ATELIER_TELEGRAM_TOKEN (@BotFather gives it).")
        return "not set up; to answer there set ATELIER_TELEGRAM_TOKEN (README, “Telegram”)"

    async def amiss(_: "Engine") -> list[str]:
        from connectors.telegram import rights

        return await rights.amiss(settings.telegram_api, token, settings.telegram_webhook)

    alone = settings.model_copy(update={"slack_bot_token": SecretStr(""), "slack_client_id": ""})
    return _door(alone, "telegram", amiss)


def _door(settings: Settings, name: str, amiss: Callable[["Engine"], Awaitable[list[str]]]) -> str:
    """Who Atelier is there. Raises Refused where something is amiss, and ConnectorError.

    settings: without the other platform, whose faults are its own.
    """
    import asyncio

    from connectors.compose import open_store
    from connectors.connector import Refused
    from connectors.serve import introduced, make_connectors

    async def look() -> str:
        store = open_store(settings)
        connectors = make_connectors(settings, store.engine)
        try:
            said = await introduced(connectors[name])
            if found := await amiss(store.engine):
                raise Refused(" ".join([said, *found]))
        finally:
            for each in connectors.values():
                await each.close()
            store.close()
        return said

    return asyncio.run(look())
