"""What LoRA does to the starter on customer support (bitext_support): held-out loss, and its answers before and after.

The rows to learn from are of the set's dev part and those to measure on of its test part; the starter never saw either.
Each is asked as chat asks where no document answers, so that the bare starter has learned to refuse. What was trained
stays in the folder that ATELIER_WORK names, so that a run that was stopped goes on.
"""

import gzip
import json
import os
import random
import tempfile
import time
import warnings
from pathlib import Path
from statistics import mean

from agent.generation.loading import STARTER
from agent.generation.rendering import ChatMessage, messages_of
from agent.message import History, Intent, Move
from agent.prompt import PERSONA, compose
from finetune.example import Example, Origin
from finetune.gate.speaking import CANDIDATE, LIVE, Speakers
from finetune.recipe import Recipe
from finetune.training.loop import train
from tests.benchmarks import Cell, Report
from tests.benchmarks.squad import DATA

LEARNED, WATCHED, MEASURED = 96, 8, 24  # rows: to learn from, to stop by, to measure on
SHOWN = 6  # answers side by side
REPLY = 60  # tokens
LONGEST = {"short": 400, "long": 900}  # characters of an answer, by the set's own styles
RECIPE = Recipe(rank=16, learning_rate=1e-3, epochs=2.0, batch_tokens=1024, max_tokens=512, evaluations=2)


def rows(part: str, count: int, style: str = "short") -> list[Example]:
    """Answers without placeholders, in an order drawn once."""
    with gzip.open(DATA / "bitext_support" / f"{part}.jsonl.gz", "rt", encoding="utf-8") as lines:
        found = [row for row in map(json.loads, lines) if row["style"] == style]
    found = [row for row in found if len(row["response"]) <= LONGEST[style] and "{{" not in row["response"]]
    random.Random(0).shuffle(found)
    return [_example(row["instruction"], row["response"].replace("\r\n", "\n")) for row in found[:count]]


def _example(message: str, reply: str) -> Example:
    asked = messages_of(compose(PERSONA, History(), message, Intent.ASK, Move.ANSWER, ()))
    return Example((*asked, ChatMessage("assistant", reply)), Origin("bitext_support"))


def run(quick: bool) -> Report:
    found: list[dict[str, Cell]] = []
    if (DATA / "bitext_support").is_dir():
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 on transformers 5.23
            work = Path(folder if quick else os.environ.get("ATELIER_WORK", folder)) / "starter-lora"
            found = _rows(work, quick=quick)
    return Report(
        "starter_lora",
        "does LoRA on customer support lower the starter's held-out loss, and does it show in its answers?",
        found,
        (
            f"LoRA of rank {RECIPE.rank}, {RECIPE.epochs:.0f} epochs of {LEARNED} rows at {RECIPE.learning_rate:g}.",
            "Loss: mean nats a token of the wanted answers. Answers: greedy, of messages that it did not learn from.",
            "The messages are new, the short answers are not: the set has one to each of 27 intents. The starter",
            "met them before under another system message. The long answers, each its own, were not taught at all.",
        ),
    )


def _rows(work: Path, *, quick: bool) -> list[dict[str, Cell]]:
    def told(_: int) -> None:
        pass

    count = 8 if quick else MEASURED
    held_out, longer = rows("test", count), rows("test", count, "long")
    work.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    own = rows("dev", LEARNED + WATCHED)
    outcome = train(STARTER, own[: 8 if quick else LEARNED], own[LEARNED:], RECIPE, work)
    spent = time.process_time() - began
    speakers = Speakers(STARTER, work / "adapter", None)
    try:
        losses = [
            [f"{mean(speakers.losses(who, some, told)):.3f}" for who in (LIVE, CANDIDATE)]
            for some in (held_out, longer)
        ]
        asked = [each.messages[:-1] for each in held_out[:SHOWN]]
        said = {who: speakers.replies(who, asked, REPLY, told) for who in (LIVE, CANDIDATE)}
    finally:
        speakers.close()
    figures: list[dict[str, Cell]] = [
        {
            "message": f"held-out loss of {count} rows, {name}",
            "before": before,
            "after": after,
            "wanted": f"{outcome.steps} steps, {spent:.0f} CPU s in this process" if name == "short answers" else "",
        }
        for name, (before, after) in zip(("short answers", "long answers"), losses, strict=True)
    ]
    shown: list[dict[str, Cell]] = [
        {
            "message": each.messages[-2].content.partition("\n\n")[0],  # without what chat says of absent passages
            "before": before,
            "after": after,
            "wanted": each.messages[-1].content,
        }
        for each, before, after in zip(held_out, said[LIVE], said[CANDIDATE], strict=False)
    ]
    return [*figures, *shown]
