"""What all that is read out of one message costs together, in passes of the bare encoder: batch 1, 20 tokens.

Each row adds a task to those before it, all in the one pass that the embedding takes anyway. Heads of a team's own have
two upper layers each, as `atelier finetune intent` trains them; untrained ones cost the same. The rows are measured in
turn, so that a slow moment slows all of them.
"""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
from torch import get_num_threads

from agent.branches import Branch
from agent.head import Inputs
from agent.opinion.hearing import Ear
from agent.syntax.parser import Parser
from agent.understanding import SHIPPED, Understander
from finetune.branch import Trained
from finetune.few_shot import RECIPE, Judged, Learned
from finetune.few_shot_folder import write_intents
from finetune.heads import embed, fit, labels_of
from finetune.heads_data import Row, own_rows
from retrieval.encoder import TransformerEncoder, _has_bf16
from tests.benchmarks import Cell, Report
from tests.benchmarks.bench_understanding import TWENTY_TOKENS

EXAMPLES = 12  # of each label
GOAL = 2.0  # passes of the bare encoder
FIRST = "bare encoder"


def untrained(encoder: TransformerEncoder) -> Learned:
    """A head of a team's own as it is kept, with layers that are still the encoder's."""
    taken: dict[str, list[Row]] = defaultdict(list)
    for row in own_rows("intent"):
        if row.label is not None and len(taken[row.label]) < EXAMPLES:
            taken[row.label].append(row)
    rows = tuple(row for some in taken.values() for row in some)
    texts, labels = [row.text for row in rows], labels_of("topic", rows)
    vectors = embed(encoder, texts, lambda _: None)
    linear = fit("topic", Inputs.of(vectors, texts), rows, labels)
    branch = Trained(Branch.copied(encoder, RECIPE.layers), linear.weights[: encoder.dim], linear.bias)
    judged = Judged(1.0, 0.0, (0.5, 0.5), np.zeros((len(rows), len(labels)), dtype=np.float32))
    return Learned(labels, rows, vectors, linear, branch, judged, judged, 0.3, (), (), "nothing", (), seconds=0.0)


def tasks(encoder: TransformerEncoder, folder: Path) -> dict[str, Callable[[], object]]:
    """What is measured, by name; each reads one message."""
    learned = untrained(encoder)
    write_intents(folder / "topic", learned, encoder, SHIPPED)
    write_intents(folder / "both", learned, encoder, folder / "topic", "emotion")
    plain, one, two = (Understander(encoder, each) for each in (SHIPPED, folder / "topic", folder / "both"))
    parser = Parser(encoder)
    ears = {each: Ear(each, lambda: parser) for each in (plain, one, two)}
    return {
        FIRST: lambda: encoder([TWENTY_TOKENS]),
        "intent, sentiment": lambda: plain.understand(TWENTY_TOKENS),
        "intent, sentiment, syntax": lambda: ears[plain].hear(TWENTY_TOKENS),
        "intent, sentiment, intents of a team's own": lambda: one.understand(TWENTY_TOKENS),
        "intent, sentiment, intents of a team's own, emotion": lambda: two.understand(TWENTY_TOKENS),
        "intent, sentiment, intents of a team's own, syntax": lambda: ears[one].hear(TWENTY_TOKENS),
        "all: intent, sentiment, intents of a team's own, emotion, syntax": lambda: ears[two].hear(TWENTY_TOKENS),
    }


def run(quick: bool) -> Report:
    rows = measured("bfloat16" if _has_bf16() else "float32", quick)
    if _has_bf16():  # as on a processor that does not multiply it
        with patch("retrieval.encoder._has_bf16", lambda: False):
            rows += measured("float32", quick)
    notes = [
        "passes: of the bare encoder, in the same run. cpu: the processor's time, which other programs hardly change.",
        "Everything but the first row also cuts words, counts n-grams and writes reasons or key phrases.",
        f"Beside the layers above its own, syntax has a second core. Threads of torch: {get_num_threads()}.",
    ]
    return Report("tasks", "What does all that is read out of one message cost?", rows, notes)


def measured(weights: str, quick: bool) -> list[dict[str, Cell]]:
    """weights: those that the encoder is loaded with."""
    encoder = TransformerEncoder()
    wall: dict[str, list[float]] = defaultdict(list)
    spent: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        asked = tasks(encoder, Path(scratch))
        for act in asked.values():
            act()
        for _ in range(10 if quick else 200):
            for name, act in asked.items():
                begun, clock = time.perf_counter(), time.process_time()
                act()
                wall[name].append(time.perf_counter() - begun)
                spent[name].append(time.process_time() - clock)
    middle = {name: (statistics.median(wall[name]), statistics.median(spent[name])) for name in asked}
    base = middle[FIRST]
    return [
        {
            "read": name,
            "weights": weights,
            "ms": round(time_ * 1e3, 2),
            "passes": round(time_ / base[0], 2),
            "cpu ms": round(cpu * 1e3, 2),
            "cpu passes": round(cpu / base[1], 2),
            "goal": GOAL,
        }
        for name, (time_, cpu) in middle.items()
    ]
