"""Are the named words those that decide? Leaving them out must change the label more than leaving out any others.

Beside words at random stand those that Captum's integrated gradients name, as many of them. By what leaving out does
our own way has the advantage, being made of it; so it is asked too whether the named words alone keep the label.
"""

import random
import statistics
import time
from contextlib import suppress

import numpy as np

from agent.explain import Reading, Span, explain, parts_of, without
from agent.head import Head
from agent.understanding import SHIPPED, Understander
from finetune.heads_data import own_rows
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Cell, Report
from tests.benchmarks.explain_captum import Gradients

DRAWS = 5  # of as many words at random
KINDS = ("intent", "sentiment")
NAMED, CAPTUM, RANDOM = "named", "Captum", "random"


def run(quick: bool) -> Report:
    encoder = TransformerEncoder()
    understander = Understander(encoder)
    heads = {kind: Head.load(SHIPPED, kind, encoder) for kind in KINDS}
    gradients: Gradients | None = None
    with suppress(ImportError):
        gradients = Gradients(encoder)
    chance = random.Random(0)
    texts = [row.text for row in own_rows("sentiment") if 6 <= len(row.text.split()) <= 30]
    chance.shuffle(texts)
    seconds: dict[str, list[float]] = {NAMED: [], CAPTUM: []}
    found: dict[str, list[dict[str, list[float]]]] = {kind: [] for kind in KINDS}
    for text in texts[: 10 if quick else 120]:
        begun = time.process_time()
        explanation = explain(understander, text)
        seconds[NAMED].append(time.process_time() - begun)
        parts, spent = parts_of(text), 0.0
        for reading in explanation.readings:
            if reading.kind not in found or not reading.decisive:
                continue
            count = len(reading.decisive)
            words = {NAMED: [[each.span for each in reading.decisive]]}
            if gradients is not None:
                begun = time.process_time()
                weighed = gradients.weigh(heads[reading.kind], text, parts, reading.label)
                spent += time.process_time() - begun
                words[CAPTUM] = [[parts[i] for i in np.argsort(-weighed)[:count]]]
            words[RANDOM] = [chance.sample(parts, count) for _ in range(DRAWS)]
            figures = {way: _effect(understander, text, reading, chosen) for way, chosen in words.items()}
            found[reading.kind].append({**figures, "count": [count]})
        seconds[CAPTUM].append(spent)
    rows = [_row(kind, each) for kind, each in found.items()]
    taken = f"The project's own rows; an explanation takes {1000 * statistics.median(seconds[NAMED]):.0f} ms of the "
    taken += "processor in the median, all heads together"
    if gradients is None:
        return Report("explain", "Do the named words decide?", rows, [f"{taken}.", "Captum is not installed."])
    taken += f"; Captum's {1000 * statistics.median(seconds[CAPTUM]):.0f} ms, intent and mood."
    return Report("explain", "Do the named words decide?", rows, [taken])


def _effect(understander: Understander, text: str, reading: Reading, chosen: list[list[Span]]) -> list[float]:
    """Of words left out, the mean over `chosen`: label changes, chance falls by; of those words alone: label stays."""
    rest = [[part for part in parts_of(text) if part not in words] for words in chosen]
    asked = [*(without(text, words) for words in chosen), *(without(text, others) for others in rest)]
    scores = understander.scores(asked)[reading.kind]
    place = scores.labels.index(reading.label)
    same = scores.probabilities.argmax(axis=1) == place
    fallen = reading.confidence - scores.probabilities[: len(chosen), place]
    return [float(1 - same[: len(chosen)].mean()), float(fallen.mean()), float(same[len(chosen) :].mean())]


def _row(kind: str, each: list[dict[str, list[float]]]) -> dict[str, Cell]:
    row: dict[str, Cell] = {"head": kind, "messages": len(each)}
    row["words left out"] = round(statistics.mean(one["count"][0] for one in each), 2)
    for place, (called, scale, digits) in enumerate(
        (("label changes, {} %", 100, 1), ("chance falls by, {}", 1, 3), ("alone keep the label, {} %", 100, 1))
    ):
        for way in (NAMED, CAPTUM, RANDOM):
            if all(way in one for one in each):
                row[called.format(way)] = round(scale * statistics.mean(one[way][place] for one in each), digits)
    return row
