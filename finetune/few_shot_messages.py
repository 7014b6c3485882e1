"""Messages without labels that a head may learn from: a file of the team's, or stored ones of people who agreed."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.memory_tables import persons, places, turns
from finetune.heads_rows import table_of, text_of
from retrieval.database import reading
from retrieval.errors import DataRefused

MOST = 2_000  # the latest: each is compared with every other
LONGEST = 1_000  # characters; the encoder reads about as many


def messages_in(file: Path) -> list[str]:
    """The messages of a file: a column `text` of CSV, a key `text` of JSONL, else one a line. Raises DataRefused."""
    content = text_of(file, "a file with one message a line")
    try:
        if file.suffix == ".jsonl":
            found = [json.loads(line)["text"] for line in content.split("\n") if line.strip()]
        elif file.suffix == ".csv":
            reader = table_of(content)
            names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            found = [row[names["text"]] for row in reader]
        else:
            found = content.splitlines()
    except (ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
        raise DataRefused(f"{file} holds a line without a `text`. Name a file with one message a line.") from error
    return _fit([text for text in found if isinstance(text, str)])


def agreed_messages(engine: Engine, tenant: str) -> dict[str, str]:
    """The latest stored messages of people who agreed to be learned from, and whose each is. Raises StoreError."""
    agreed = sa.select(persons.c.id).where(persons.c.consent)
    of_tenant = sa.select(places.c.key).where(places.c.tenant == tenant)
    asked = (
        sa.select(turns.c.text, turns.c.author)
        .where(turns.c.author.in_(agreed), turns.c.place.in_(of_tenant))
        .order_by(turns.c.sent.desc())
        .limit(MOST)
    )
    with reading(engine) as connection:
        authors = {row.text: row.author for row in connection.execute(asked)}
    return {text: authors[whole] for whole in authors for text in _fit([whole])}


def said_by(engine: Engine, tenant: str, texts: Iterable[str]) -> dict[str, frozenset[str]]:
    """Those of these texts that are stored messages, and whose each is, agreed or not. Raises StoreError.

    A file may hold what was copied out of the chat: such rows are people's words still.
    """
    asked = defaultdict(set)
    for text in texts:
        asked[_plain(text)].add(text)
    found: defaultdict[str, set[str]] = defaultdict(set)
    of_tenant = sa.select(places.c.key).where(places.c.tenant == tenant)
    stored = sa.select(turns.c.text, turns.c.author).where(turns.c.place.in_(of_tenant))
    with reading(engine) as connection:
        for row in connection.execute(stored.execution_options(yield_per=1_000)):
            for text in asked.get(_plain(row.text), ()):
                found[text].add(row.author)
    return {text: frozenset(authors) for text, authors in found.items()}


def _plain(text: str) -> str:
    """What two copies of a message have in common: a spreadsheet changes line ends, and long ones were cut."""
    return " ".join(text.strip()[:LONGEST].split())


def _fit(texts: list[str]) -> list[str]:
    """Each once, cut to what is read; commands are no messages."""
    kept = (text.strip()[:LONGEST] for text in texts)
    return [text for text in dict.fromkeys(kept) if text and not text.startswith("/")][:MOST]
