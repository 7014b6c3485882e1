"""Are the named words those that decide? Leaving them out must change the label more than leaving out any others."""

import random
import statistics
import time

from agent.explain import explain, parts_of, without
from agent.understanding import Understander
from finetune.heads_data import own_rows
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Cell, Report

DRAWS = 5  # of as many words at random


def run(quick: bool) -> Report:
    understander = Understander(TransformerEncoder())
    chance = random.Random(0)
    texts = [row.text for row in own_rows("sentiment") if 6 <= len(row.text.split()) <= 30]
    chance.shuffle(texts)
    rows: list[dict[str, Cell]] = []
    seconds = []
    found: dict[str, list[tuple[int, float, float, float, float]]] = {"intent": [], "sentiment": []}
    for text in texts[: 10 if quick else 120]:
        begun = time.perf_counter()
        explanation = explain(understander, text)
        seconds.append(time.perf_counter() - begun)
        for reading in explanation.readings:
            if reading.kind in found and reading.decisive:
                count = len(reading.decisive)
                named = without(text, [each.span for each in reading.decisive])
                others = [without(text, chance.sample(parts_of(text), count)) for _ in range(DRAWS)]
                scores = understander.scores([named, *others])[reading.kind]
                column = scores.probabilities[:, scores.labels.index(reading.label)]
                labels = [scores.labels[int(each)] != reading.label for each in scores.probabilities.argmax(axis=1)]
                fallen = reading.confidence - column
                found[reading.kind].append(
                    (count, labels[0], statistics.mean(labels[1:]), float(fallen[0]), float(fallen[1:].mean()))
                )
    for kind, each in found.items():
        means = [statistics.mean(column) for column in zip(*each, strict=True)]
        rows.append(
            {
                "head": kind,
                "messages": len(each),
                "words left out": round(means[0], 2),
                "label changes, named %": round(100 * means[1], 1),
                "label changes, random %": round(100 * means[2], 1),
                "chance falls by, named": round(means[3], 3),
                "chance falls by, random": round(means[4], 3),
            }
        )
    return Report(
        "explain",
        "Do the named words decide?",
        rows,
        [f"The project's own rows; one explanation takes {1000 * statistics.median(seconds):.0f} ms in the median."],
    )
