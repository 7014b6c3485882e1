"""The check after forgetting: where in the store and the home folder words, or names, of a person still stand."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, String, Text

from agent.memory_tables import CleanText, Json, turns
from agent.message import Place
from connectors.delivery.tables import inbox, outbox
from connectors.desk.texts import say
from retrieval.database import metadata, reading
from retrieval.errors import StoreError
from retrieval.tables import contents, documents, passages, roots

_PIECE = 8 << 20  # bytes of a file read at a time
_WEIGHTS = {".safetensors", ".bin"}  # large, and no text
_TEXTS = (String, CleanText, Json)
_QUEUE = (inbox, outbox)
_KNOWLEDGE = (documents, passages, contents, roots)

_KINDS = {  # of what people would call it
    "talks": frozenset({"turns", "summaries", "places", "feedback", "labels", "followed_threads"}),
    "sessions": frozenset({"ideation_events", "ideation_sessions", "ideation_places"}),
    "cases": frozenset({"cases", "case_lines", "curated"}),
    "channels": frozenset({"opinions", "opinion_watches", "opinion_alarms", "channel_rules"}),
    "waiting": frozenset({"inbox", "outbox"}),
    "documents": frozenset({"documents", "passages", "contents", "roots", "watched"}),
    "training": frozenset({"versions", "version_pieces", "version_aliases"}),
    "acts": frozenset({"audit"}),
}


def left_in_store(engine: Engine, phrases: list[str]) -> set[str]:
    """Columns that hold a phrase which is in nobody else's message and no document, and the freed space of a file."""
    store = _store_file(engine)
    suspects = _found_in(store, phrases) if store else set(phrases)
    columns = _text_columns()
    left: set[str] = set()
    for phrase in sorted(suspects):
        with reading(engine) as connection:
            holding = [column for column in columns if _holds(connection, column, phrase)]
        if not holding and store:
            left.add(f"the freed space of {store}")
        if not any(column is turns.c.text or column.table in _KNOWLEDGE for column in holding):
            left |= {f"{column.table.name}.{column.name}" for column in holding}
    return left


def _text_columns() -> list[sa.Column[Any]]:
    return [column for table in metadata.sorted_tables for column in table.c if isinstance(column.type, _TEXTS)]


def accounts_left(engine: Engine, accounts: Iterable[str]) -> set[str]:
    """Columns that name an account or the private chat with it; but what is on its way, as the answer goes there."""
    left: set[str] = set()
    for account in accounts:
        platform, tenant, user = account.split(":", 2)
        chat = Place(platform, tenant, user).key
        for column in _text_columns():
            if column.table in _QUEUE:
                continue
            text = sa.cast(column, Text)
            forms = [text == account, text.startswith(chat, autoescape=True)]
            forms += [text == user] if column.name.endswith("channel") else []
            for part in (f'"{account}"', f'"{chat}', f'"channel": "{user}"'):
                forms.append(text.contains(part, autoescape=True))
            with reading(engine) as connection:
                if connection.execute(sa.select(sa.literal(1)).where(sa.or_(*forms)).limit(1)).first() is not None:
                    left.add(f"{column.table.name}.{column.name}")
    return left


def left_in_files(engine: Engine, home: Path, phrases: list[str]) -> list[str]:
    store = _store_file(engine)
    files = [path for path in sorted(home.rglob("*")) if path.is_file() and path.suffix not in _WEIGHTS]
    return [str(path) for path in files if path.resolve() != store and _found_in(path, phrases)]


def places_said(left: Iterable[str], language: str) -> list[str]:
    """What was found, in words: no person knows our tables. Files stay as they are called."""
    tables = {each: each.partition(".")[0] for each in left}
    return list(
        dict.fromkeys(_said(table, language) if table in metadata.tables else each for each, table in tables.items())
    )


def _said(table: str, language: str) -> str:
    return say(language, f"forget_in_{next((what for what, names in _KINDS.items() if table in names), 'other')}")


def _holds(connection: Connection, column: sa.Column[object], phrase: str) -> bool:
    query = sa.select(sa.literal(1)).where(sa.cast(column, Text).contains(phrase, autoescape=True)).limit(1)
    return connection.execute(query).first() is not None


def _store_file(engine: Engine) -> Path | None:
    return Path(engine.url.database).resolve() if engine.dialect.name == "sqlite" and engine.url.database else None


def _found_in(path: Path, phrases: Iterable[str]) -> set[str]:
    wanted = {phrase: phrase.encode() for phrase in phrases}
    overlap = max(map(len, wanted.values()), default=1)
    found: set[str] = set()
    try:
        with path.open("rb") as file:
            window = b""
            while piece := file.read(_PIECE):
                window = window[-overlap:] + piece
                found |= {phrase for phrase, content in wanted.items() if content in window}
    except FileNotFoundError:  # replaced meanwhile
        pass
    except OSError as error:
        raise StoreError(f"{path} could not be searched ({error.strerror}). Look into it yourself.") from error
    return found
