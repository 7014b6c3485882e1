"""Ten rows an intent, as a team gives them: by `atelier finetune intent`, and by branches of several depths.

`python -m tests.benchmarks.intent_few --seeds 0 --depths 0 1 2 3 6` adds the runs that the file lacks.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agent.branches import Branch
from agent.head import Head, Inputs
from agent.understanding import SHIPPED
from finetune.branch import Logits, even, probe, read, targets_of, train_branch
from finetune.branch import embed as embed_branch
from finetune.few_shot import RECIPE, STEPS, Learned, learn
from finetune.few_shot_folder import write_intents
from finetune.heads import calibration_error
from finetune.heads_data import OWN, Row
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Cell
from tests.benchmarks.intent_runs import ALONE, finished, keep
from tests.benchmarks.intent_sets import SETS, rows

SET = "banking77-10"
EMOTION = "tweeteval emotion"
COMMAND = "atelier finetune intent"
FROZEN = "frozen embedding + logistic"


def few_shots(seed: int, encoder: TransformerEncoder, most_labels: int = 0) -> list[dict[str, Any]]:
    """Learned by `atelier finetune intent`, written, read again, and asked."""
    split = SETS[SET](seed)
    labels = split.labels[: most_labels or None]
    taught = [Row(text, label, OWN) for text, label in split.train if label in labels]
    asked = [(text, label) for text, label in split.test if label in labels]
    texts = [text for text, _ in asked]
    right = np.array([labels.index(label) for _, label in asked if label is not None])
    begun = time.process_time()
    learned = learn(encoder, taught, seed=seed)
    spent = round(time.process_time() - begun, 1)
    chances = said_by(learned, encoder, texts)
    depth = 0 if learned.branch is None else len(learned.branch.branch.layers)
    return [
        {
            "set": SET,
            "seed": seed,
            "depth": depth,
            "model": COMMAND,
            **_hit(chances, right),
            "held": learned.judged.accuracy,
            "believed": learned.judged.believed,
            "seconds": spent,
        },
    ]


def said_by(learned: Learned, encoder: TransformerEncoder, texts: Sequence[str]) -> np.ndarray:
    """Chances of each label, (texts, labels), by the head as it is written and read again."""
    with tempfile.TemporaryDirectory() as scratch:
        write_intents(Path(scratch) / "heads", learned, encoder, SHIPPED)
        head = Head.load(Path(scratch) / "heads", "topic", encoder)
    chances = []
    for at in range(0, len(texts), 256):
        part = texts[at : at + 256]
        states = encoder.states(part, head.reads)
        chances.append(head.probabilities(Inputs.of(states.embeddings, part), states))
    return np.vstack(chances)


def emotions(seed: int, encoder: TransformerEncoder, most: int = 0) -> dict[str, Any]:
    """What `atelier finetune intent FILE --as emotion` makes of all that tweeteval_emotion's train has."""
    taught = [Row(row["text"], row["label"], OWN) for row in rows("tweeteval_emotion/train")][: most or None]
    asked = rows("tweeteval_emotion/test")[: most or None]
    begun = time.process_time()
    learned = learn(encoder, list({row.text: row for row in taught}.values()), seed=seed, is_scoped=False)
    spent = round(time.process_time() - begun, 1)
    chances = said_by(learned, encoder, [row["text"] for row in asked])
    right = np.array([learned.labels.index(row["label"]) for row in asked])
    said = chances.argmax(axis=1)
    each = [2 * ((said == k) & (right == k)).sum() / ((said == k).sum() + (right == k).sum()) for k in set(right)]
    depth = 0 if learned.branch is None else len(learned.branch.branch.layers)
    common = {"set": EMOTION, "seed": seed, "depth": depth, "model": f"{COMMAND} --as emotion"}
    judged = {"held": learned.judged.accuracy, "frozen by folds": learned.plain.accuracy, "seconds": spent}
    return {**common, "macro-f1": float(np.mean(each)), **_hit(chances, right), **judged}


def few_at(seed: int, depths: Sequence[int], encoder: TransformerEncoder, most_labels: int = 0) -> list[dict[str, Any]]:
    """A branch of each of `depths` alone, uncalibrated: nothing is left to calibrate with. 0: logistic regression."""
    split = SETS[SET](seed)
    if most_labels:
        few = split.labels[:most_labels]
        split = replace(
            split,
            train=[pair for pair in split.train if pair[1] in few],
            test=[pair for pair in split.test if pair[1] in few],
        )
    texts = [text for text, _ in (*split.train, *split.test)]
    caches = read(encoder, texts, {encoder.depth - depth for depth in (*depths, 1) if depth}, lambda _: None)
    train, test = range(len(split.train)), range(len(split.train), len(texts))
    targets = targets_of([label for _, label in split.train], split.labels)
    right = np.array([split.labels.index(label) for _, label in split.test if label is not None])
    steps = max(1, min(STEPS, round(RECIPE.epochs * len(train) / RECIPE.rows)))
    found = []
    for depth in depths:
        begun = time.process_time()
        if depth:
            branch = Branch.copied(encoder, depth)
            cached = caches[branch.start]
            recipe = replace(RECIPE, layers=depth, seed=seed, epochs=steps * RECIPE.rows / len(train))
            trained = train_branch(branch, cached.chosen(train), targets, recipe)
            logits: Logits = trained.logits(embed_branch(trained.branch, cached.chosen(test)))
        else:
            vectors = next(iter(caches.values())).embeddings
            weights, bias = probe(vectors[train], targets, even(targets))
            logits = vectors[test] @ weights + bias
        hit = {"accuracy": float((logits.argmax(axis=1) == right).mean())}
        model = ALONE if depth else FROZEN
        spent = round(time.process_time() - begun, 1)
        found.append({"set": SET, "seed": seed, "depth": depth, "model": model, **hit, "seconds": spent})
    return found


def team_time(encoder: TransformerEncoder, intents: int = 10, examples: int = 12) -> dict[str, Cell]:
    """What `atelier finetune intent` takes for a team of a usual size, and how right it is by folds."""
    split = SETS[SET](0)
    taken: dict[str, list[Row]] = {label: [] for label in split.labels[::7][:intents]}
    for row in rows("banking77/train"):
        if len(known := taken.get(row["intent"], [])) < examples:
            known.append(Row(row["text"], row["intent"], OWN))
    began, clock = time.perf_counter(), time.process_time()
    learned = learn(encoder, [row for some in taken.values() for row in some])
    return {
        "set": "time",
        "model": f"{COMMAND}, {intents} intents of {examples} examples",
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - clock, 1),
        "by_folds": round(learned.judged.accuracy, 4),
    }


def few_left(seed: int, depths: Sequence[int], encoder: TransformerEncoder) -> Iterator[list[dict[str, Any]]]:
    """What the kept runs lack, one after another."""
    done = {(run["depth"], run["model"]) for run in finished() if (run["set"], run["seed"]) == (SET, seed)}
    for depth in depths:
        if (depth, ALONE if depth else FROZEN) not in done:
            yield few_at(seed, [depth], encoder)
    if not any(model == COMMAND for _, model in done):
        yield few_shots(seed, encoder)


def _hit(chances: np.ndarray, right: np.ndarray) -> dict[str, float]:
    hit = chances.argmax(axis=1) == right
    return {"accuracy": float(hit.mean()), "ece": calibration_error(chances, hit)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--depths", type=int, nargs="*", default=[])
    parser.add_argument("--emotions", action="store_true", help="emotions too")
    chosen = parser.parse_args()
    encoder = TransformerEncoder()
    if chosen.emotions and not any(run["set"] == EMOTION for run in finished()):
        keep([emotions(0, encoder)])
    for seed in chosen.seeds:
        for found in few_left(seed, chosen.depths, encoder):
            keep(found)


if __name__ == "__main__":
    main()
