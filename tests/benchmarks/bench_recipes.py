"""How gently the starter is taught: what a team's FAQ gives it at each learning rate, and what it forgets for it.

The preset's learning rate was chosen on development rows, and is then told on test rows. What was done stays in the
folder that ATELIER_WORK names, so that a run that was stopped goes on.
"""

import gzip
import hashlib
import json
import os
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from agent.generation.loading import STARTER
from agent.generation.rendering import ChatMessage, messages_of
from agent.message import History, Intent, Move
from agent.prompt import PERSONA, compose
from finetune.example import Example, Origin
from finetune.gate.grounded import RIGHT, Case, Kind, outcome, suite
from finetune.gate.speaking import CANDIDATE, LIVE, Speakers
from finetune.recipe import load_recipe
from finetune.training.loop import train
from tests.benchmarks import Cell, Report
from tests.benchmarks.bench_starter_talk import MESSAGES
from tests.benchmarks.squad import DATA, articles

RATES = (1e-4, 3e-4, 1e-3)
EPOCHS = 3.0
LONGEST = 120  # words of an answer
REPLY = 64  # tokens
TALK = ("greeting", "goodbye", "thank_you", "tell_joke", "what_is_your_name", "are_you_a_bot", "how_old_are_you")
Talk = Sequence[Sequence[ChatMessage]]


@cache
def faq() -> Mapping[str, list[Example]]:
    """English questions and answers of covid_faq, which the starter never saw, drawn by their text: 60, 20 and 20%."""
    parts: dict[str, list[Example]] = {"train": [], "dev": [], "test": []}
    with gzip.open(DATA / "covid_faq" / "faq.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for row in rows:
        if row["lang"] == "en" and len(row["answer"].split()) < LONGEST:
            messages = (ChatMessage("user", row["question"]), ChatMessage("assistant", row["answer"]))
            drawn = hashlib.sha256(row["question"].encode()).digest()[0] % 10
            part = "train" if drawn < 6 else "dev" if drawn < 8 else "test"
            parts[part].append(Example(messages, Origin(row["id"])))
    return parts


def small_talk(split: str, each: int = 5) -> Talk:
    """Messages that call for the starter's own manner: of clinc150's val rows, or the fixed ones of `starter_talk`."""
    if split == "test":
        texts = list(MESSAGES["chat"])
    else:
        with gzip.open(DATA / "clinc150" / "val.jsonl.gz", "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        texts = [text for intent in TALK for text in [r["text"] for r in rows if r["intent"] == intent][:each]]
    return [messages_of(compose(PERSONA, History(), text, Intent.SMALL_TALK, Move.CHAT, ())) for text in texts]


def cases(split: str, count: int = 24) -> Sequence[Case]:
    """Questions to be answered from passages or refused: SQuAD 2.0's dev articles, or the gate's own suite."""
    if split == "test":
        return suite()
    found: list[Case] = []
    for article in articles("dev_v2.0"):
        for kind in Kind:
            asked = next(each for each in article.questions if bool(each.answers) is (kind is not Kind.UNANSWERABLE))
            shown = article.passages_for(asked, 3, hide_gold=kind is Kind.FORBIDDEN)
            gold = next((n for n, each in enumerate(shown, 1) if each.id == asked.passage), 0)
            if gold or kind is not Kind.ANSWERABLE:
                found.append(Case(kind, asked.text, shown, gold, tuple(map(str.lower, asked.answers))))
    return found[:count]


def taught(work: Path, rate: float, epochs: float) -> tuple[Path, dict[str, Cell]]:
    """The starter taught the FAQ by the preset for a small CPU at a learning rate, or as it was taught before."""
    folder = work / f"rate-{rate:g}"
    kept = folder / "trained.json"
    if not kept.exists():
        recipe = replace(load_recipe("small-cpu"), learning_rate=rate, epochs=epochs, patience=0, save_seconds=30.0)
        began = time.process_time()
        folder.mkdir(parents=True, exist_ok=True)
        outcome_ = train(STARTER, faq()["train"], faq()["dev"], recipe, folder)
        figures = {"steps": outcome_.steps, "CPU s": round(time.process_time() - began)}
        kept.write_text(json.dumps(figures))
    return folder / "adapter", json.loads(kept.read_text())


def bare(work: Path, split: str, speakers: Speakers) -> tuple[list[str], list[str]]:
    """What the starter says before it is taught, to small talk and to the questions; said once for all rates."""
    kept = work / f"bare-{split}.json"
    if not kept.exists():
        asked = [*small_talk(split), *(case.messages() for case in cases(split))]
        kept.write_text(json.dumps(speakers.replies(LIVE, asked, REPLY, _untold)))
    said: list[str] = json.loads(kept.read_text())
    own = len(small_talk(split))
    return said[:own], said[own:]


def measured(work: Path, adapter: Path, split: str) -> dict[str, Cell]:
    """Losses of the FAQ's held-out rows and of what the starter said itself; on test rows also what it says now."""
    speakers = Speakers(STARTER, adapter, None)
    try:
        talk, answers = bare(work, split, speakers)
        asked = [case.messages() for case in cases(split)]
        measures = {
            "FAQ": faq()[split],
            "small talk": _examples(small_talk(split), talk),
            "from passages": _examples(asked, answers),
        }
        found: dict[str, Cell] = {}
        for what, examples in measures.items():
            after, before = (_mean(speakers.losses(who, examples, _untold)) for who in (CANDIDATE, LIVE))
            found[f"{what}: loss"] = round(after, 3)
            found[f"{what}: before"] = round(before, 3)
        if split == "test":
            now = speakers.replies(CANDIDATE, [*small_talk(split), *asked], REPLY, _untold)
            same = sum(a == b for a, b in zip(now, talk, strict=False))
            found["small talk word for word"] = f"{same} of {len(talk)}"
            right = [
                sum(outcome(case, reply) in RIGHT for case, reply in zip(cases(split), replies, strict=True))
                for replies in (now[len(talk) :], answers)
            ]
            found["grounded or silent"] = f"{right[0]} of {len(asked)}, before {right[1]}"
    finally:
        speakers.close()
    return found


def _examples(asked: Talk, replies: Sequence[str]) -> list[Example]:
    return [
        Example((*messages, ChatMessage("assistant", reply)), Origin("bare"))
        for messages, reply in zip(asked, replies, strict=True)
        if reply.strip()
    ]


def _untold(_: int) -> None:
    pass


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def row(work: Path, rate: float, split: str, epochs: float = EPOCHS) -> dict[str, Cell]:
    kept = work / f"rate-{rate:g}" / f"{split}.json"
    if not kept.exists():
        adapter, figures = taught(work, rate, epochs)
        found = {"split": split, "learning rate": f"{rate:g}", **figures, **measured(work, adapter, split)}
        kept.write_text(json.dumps(found))
    loaded: dict[str, Cell] = json.loads(kept.read_text())
    return loaded


def run(quick: bool) -> Report:
    rows: list[dict[str, Cell]] = []
    if (DATA / "covid_faq").is_dir():
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 on transformers 5.23
            work = Path(folder if quick else os.environ.get("ATELIER_WORK", folder))
            chosen = load_recipe("small-cpu").learning_rate
            if quick:
                rows = [row(work, chosen, "dev", 0.05)]
            else:
                rows = [*(row(work, rate, "dev") for rate in RATES), row(work, chosen, "test")]
    what = (
        f"The preset small-cpu on the starter, {EPOCHS:g} epochs of covid_faq's English answers below {LONGEST} words."
    )
    losses = "small talk, from passages: of what the starter said before; they rise as its manner is forgotten."
    dev = "dev: clinc150's val rows and SQuAD 2.0's dev articles, by which the learning rate was chosen."
    test = "test: the 13 messages of chat in starter_talk and the gate's own 72 questions."
    notes = (what, losses, dev, test)
    return Report("recipes", "What does teaching the starter give, and what does it take?", rows, notes)
