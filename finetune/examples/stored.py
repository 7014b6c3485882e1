"""The sealed data folder of a job: train, held-out and quarantined rows as JSON Lines, and the data card.

Each line of the first two is chat JSONL in OpenAI's form, with `origin` and `rating` beside the messages.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from agent.generation.rendering import ChatMessage
from finetune.example import Example, Origin
from retrieval.errors import DataRefused, StoreError
from retrieval.files import read_manifest, recover_folder, sha256_of

TRAIN, HELD_OUT, QUARANTINE = "train.jsonl", "held_out.jsonl", "quarantine.jsonl"
CARD, CARD_TEXT = "card.json", "card.md"
LOCK_SECONDS = 60.0


def row_of(example: Example) -> dict[str, object]:
    """An example as its line holds it."""
    messages = [
        {"role": message.role, "content": message.content} | ({"weight": 0} if i in example.untrained else {})
        for i, message in enumerate(example.messages)
    ]
    return {"messages": messages, "origin": origin_row(example.origin), "rating": example.rating}


def origin_row(origin: Origin) -> dict[str, object]:
    return {
        "place": origin.place,
        "person": origin.person,
        "others": list(origin.others),
        "documents": list(origin.documents),
        "audiences": sorted(origin.audiences),
        "conversation": origin.conversation,
    }


def example_of(row: dict[str, Any]) -> Example:
    """The example that `row_of` wrote."""
    origin = row["origin"]
    return Example(
        tuple(ChatMessage(each["role"], each["content"]) for each in row["messages"]),
        Origin(
            origin["place"],
            origin["person"],
            tuple(origin["others"]),
            tuple(origin["documents"]),
            frozenset(origin["audiences"]),
            origin["conversation"],
        ),
        row["rating"],
        frozenset(i for i, each in enumerate(row["messages"]) if each.get("weight") == 0),
    )


def write_rows(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """One JSON object a line, letters of every alphabet as they are. Raises OSError."""
    with path.open("wb") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n")


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file that `write_rows` wrote. Raises OSError or ValueError."""
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


@contextmanager
def rewriting(folder: Path) -> Iterator[None]:
    """One process at a time writes a job's data. Raises StoreError when another takes too long."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name("data.lock"), timeout=LOCK_SECONDS):
            yield
    except TimeoutError as error:
        raise StoreError(f"{folder} is being rewritten by another process. Try again in a minute.") from error


def load_split(folder: Path) -> tuple[list[Example], list[Example]]:
    """Train and held-out examples of a job's data folder.

    Raises DataRefused when the folder is missing or a byte of it was changed.
    """
    recover_folder(folder)
    try:
        read_manifest(folder)
        train, held_out = ([example_of(row) for row in read_rows(folder / name)] for name in (TRAIN, HELD_OUT))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error if isinstance(error, ValueError) else "it is not there or not whole"
        raise DataRefused(f"The job's data cannot be used: {reason}. Start a new job.") from error
    return train, held_out


def data_sha256(folder: Path) -> str:
    """What tells this data from other data: the SHA-256 of its manifest. Raises DataRefused."""
    try:
        return sha256_of(folder / "manifest.json")
    except OSError as error:
        raise DataRefused("The job has no data. Start a new job.") from error
