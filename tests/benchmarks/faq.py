"""covid_faq as a benchmark: entries, and questions reworded by people (deepset, 2020; Apache 2.0)."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.squad import DATA

LIKE = 0.8  # the cosine from which two entries are taken to ask the same


def faq_pairs() -> list[tuple[str, str]]:
    """English questions, each with the same in other words. Raises FileNotFoundError without the shared data."""
    return [(row["question"].strip(), row["other"]) for row in _rows("question_pairs_en") if row["similar"]]


def faq_entries() -> dict[str, str]:
    """The English questions with their answers, those of the pairs among them."""
    entries = {row["question"].strip(): row["answer"] for row in _rows("faq") if row["lang"] == "en"}
    for question, _ in faq_pairs():
        entries.setdefault(question, question)
    return entries


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / f"covid_faq/{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)
