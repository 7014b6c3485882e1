"""covid_faq as a benchmark: entries, and questions reworded by people (deepset, 2020; Apache 2.0).

The set names one entry for each reworded question, but its entries come of several health bodies that answer the same
questions. `faq_judged.json` says which others answer as well: of the entries found by cosine, by words and by answer
for each reworded question, those were chosen whose question asks the same; later also of what was answered wrongly.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.squad import DATA

JUDGED = Path(__file__).parent / "faq_judged.json"


@dataclass(frozen=True, slots=True)
class Reworded:
    """A question that asks what an entry answers. right: all entries that answer it, that one first."""

    text: str
    right: tuple[str, ...]
    is_test: bool  # the entries of half the set: nothing is fitted on how they are asked


def reworded() -> list[Reworded]:
    """The reworded English questions, each once for its entry. Raises FileNotFoundError without the shared data."""
    judged = json.loads(JUDGED.read_text(encoding="utf-8"))
    entries = faq_entries()
    pairs = dict.fromkeys(_pairs())
    numbers = {entry: number for number, entry in enumerate(dict.fromkeys(entry for entry, _ in pairs))}
    found = []
    for entry, other in pairs:
        right = [entry, *judged["entries"].get(entry, ()), *judged["rewordings"].get(other, ())]
        answers = {entries[each] for each in right}
        right += [each for each, answer in entries.items() if answer in answers]
        found.append(Reworded(other, tuple(dict.fromkeys(right)), numbers[entry] % 2 == 1))
    return found


def faq_entries() -> dict[str, str]:
    """The English questions with their answers."""
    return {row["question"].strip(): row["answer"] for row in _rows("covid_faq/faq") if row["lang"] == "en"}


def intents(name: str) -> dict[str, list[str]]:
    """Messages by intent of `clinc150/train` or `banking77/train`; "oos": those of none."""
    found: dict[str, list[str]] = {}
    for row in _rows(name):
        found.setdefault(row["intent"], []).append(row["text"])
    return found


def _pairs() -> Iterator[tuple[str, str]]:
    for row in _rows("covid_faq/question_pairs_en"):
        if row["similar"]:
            yield row["question"].strip(), row["other"]


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)
