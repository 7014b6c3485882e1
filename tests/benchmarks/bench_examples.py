"""Training data: how many rows a second are prepared, and how rightly personal data and languages are told."""

import gzip
import json
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from finetune.examples.chats import read_chats
from finetune.examples.languages import UNKNOWN, language_of
from finetune.examples.personal import Finder
from finetune.examples.prepare import prepare
from finetune.recipe import Recipe
from tests.agent.models import build_tokenizer
from tests.benchmarks import Cell, Report

DATA = Path(os.environ.get("ATELIER_DATA", "../shared/data"))
PERSONAL = Path(__file__).parent.parent / "finetune" / "examples" / "personal.jsonl"
_MARKED = re.compile("«(.*?)»", re.DOTALL)


def lines(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def row(what: str, figure: float, unit: str) -> dict[str, Cell]:
    return {"what": what, "figure": figure, "in": unit}


def conversations(count: int) -> Iterator[dict[str, object]]:
    """Support requests with their answers; without the data folder made-up ones."""
    if (DATA / "bitext_support").is_dir():
        asked = [*lines("bitext_support/train"), *lines("bitext_support/dev"), *lines("bitext_support/test")]
        pairs = [(each["instruction"], each["response"]) for each in asked[:count]]
    else:
        pairs = [(f"Where is box {i * 7919 % 9973}?", f"Box {i} stands in room {i}. " * 30) for i in range(count)]
    for question, answer in pairs:
        yield {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def speed(count: int) -> list[dict[str, Cell]]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "chats.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in conversations(count)), encoding="utf-8")
        tokenizer = build_tokenizer()
        start = time.process_time()
        read = read_chats(path)
        reading = time.process_time() - start
        start = time.process_time()
        card = prepare([read], Recipe(), tokenizer, Path(name) / "data").card
        preparing = time.process_time() - start
    return [
        row(f"{card.read:,} rows of chat JSONL read", card.read / reading, "rows/CPU s"),
        row(f"{card.read:,} rows prepared", card.read / preparing, "rows/CPU s"),
    ]


def personal_data() -> list[dict[str, Cell]]:
    """On the project's own texts with hard negatives; the rules were written with them at hand."""
    finder = Finder()
    right = wrong = missed = 0
    for case in map(json.loads, PERSONAL.read_text("utf-8").splitlines()):
        text = _MARKED.sub(r"\1", case["text"])
        wanted = {(case["kind"], value) for value in _MARKED.findall(case["text"])}
        found = {(each.kind.value, text[each.start : each.end]) for each in finder.find(text)}
        right += len(found & wanted)
        wrong += len(found - wanted)
        missed += len(wanted - found)
    return [
        row(f"personal data in own texts ({right + missed}): precision", right / (right + wrong), "share"),
        row(f"personal data in own texts ({right + missed}): recall", right / (right + missed), "share"),
    ]


def finds_in_prose(limit: int) -> list[dict[str, Cell]]:
    """Encyclopedia text holds hardly any phone number, account or secret: what is found there is mostly a mistake."""
    finder, found, characters = Finder(), Counter[str](), 0
    for each in lines("squad/dev_v1.1.passages")[:limit]:
        characters += len(each["text"])
        found.update(stretch.kind.value for stretch in finder.find(each["text"]))
    people = found.pop("person", 0)
    return [
        row(
            "found in SQuAD's passages, people aside", sum(found.values()) * 1e6 / characters, "per million characters"
        ),
        row("people found by a form of address there", people * 1e6 / characters, "per million characters"),
    ]


def languages(limit: int) -> list[dict[str, Cell]]:
    asked = [each for each in lines("covid_faq/faq") if len(each["question"].split()) >= 5]
    told = [(language_of(each["question"]), each["lang"]) for each in asked[-limit:]]
    sure = [said == true for said, true in told if said != UNKNOWN]
    return [
        row("FAQ questions whose language is told (de, en, pl, it, sv)", len(sure) / len(told), "share"),
        row("of those, rightly", sum(sure) / len(sure), "share"),
    ]


def run(quick: bool) -> Report:
    """quick: a thousand rows instead of ten thousand."""
    rows = [*speed(1_000 if quick else 10_000), *personal_data()]
    if DATA.is_dir():
        rows += [*finds_in_prose(200 if quick else 2_067), *languages(100 if quick else 961)]
    return Report(
        name="examples",
        question="How fast is training data prepared, and how rightly is it told what must not be learned?",
        rows=rows,
        notes=(
            "Rows a second of processor time: on one core, as an idle machine gives, however busy this one is.",
            "Prepared: cleaned, redacted, loss mask counted, duplicates found, language told, split and sealed.",
            "The rules for personal data were written with the own texts at hand; SQuAD's were only looked at.",
        ),
    )
