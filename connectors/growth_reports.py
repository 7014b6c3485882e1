"""`atelier gaps` and `atelier digest`: what the knowledge lacks, and the week in figures, at the terminal."""

import argparse
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from agent.support.digest_picture import draw_week
from agent.support.gaps import Encode
from connectors.cases import noted
from connectors.compose import Store, open_store
from connectors.desk.digest import said, week_of
from connectors.desk.gaps import MOST_DAYS, Knowledge, examined, listed
from connectors.settings import load_settings
from connectors.terminal_session import plain
from retrieval.encoder import TransformerEncoder
from retrieval.errors import StoreError
from retrieval.files import write_atomically

Arguments = argparse.Namespace


def gaps(arguments: Arguments) -> int:
    store = open_store(load_settings(arguments.settings))
    try:
        person = store.person()
        days = min(max(1, arguments.days), MOST_DAYS)
        found = examined(store, _encode(store), person.audiences, days, person.id)
        noted(store, "gaps", str(days))
    finally:
        store.close()
    if arguments.json:
        print(json.dumps(_gaps(found, arguments.top), ensure_ascii=False, indent=2))
    else:
        print(plain(listed(found, "en", "atelier ", arguments.top)))
    return 0


def digest(arguments: Arguments) -> int:
    store = open_store(load_settings(arguments.settings))
    try:
        week = week_of(store, _encode(store), datetime.now(UTC))
        print(plain(said(week, "en")))
        if arguments.out:
            path = Path(arguments.out).expanduser()
            try:
                write_atomically(path, draw_week(week.figures))
            except OSError as error:
                raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
            print(f"{path} shows it.")
        noted(store, "digest", arguments.out or "")
    finally:
        store.close()
    return 0


def _encode(store: Store) -> Encode:
    """Loaded at the first text: where nothing was asked, no model is."""

    @cache
    def encoder() -> TransformerEncoder:
        return TransformerEncoder(store.settings.encoder, device=store.settings.device or None)

    return lambda texts: encoder()(texts)  # noqa: PLW0108 - not loaded before it is needed


def _gaps(found: Knowledge, most: int) -> dict[str, object]:
    return {
        "days": found.days,
        "gaps": [
            {
                "label": gap.label,
                "questions": gap.count,
                "people": gap.people,
                "rated_badly": gap.disliked,
                "last": gap.last.isoformat(timespec="seconds"),
                "examples": list(gap.examples),
            }
            for gap in found.gaps[:most]
        ],
        "old": [
            {"source": each.source, "changed": each.changed.isoformat(timespec="seconds"), "questions": each.questions}
            for each in found.old
        ],
        "contradicting": [
            {"first": each.first, "second": each.second, "questions": each.questions} for each in found.differing
        ],
    }
