"""Train and measure one set at several depths, a JSON line a finished run: `python -m tests.benchmarks.intent_runs`.

A whole table takes hours on two cores, so runs are kept: one that is in the file is not done again. bench_intents reads
the file and does what it lacks.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.branches import Branch
from agent.head import Inputs, probabilities
from finetune.branch import (
    BranchRecipe,
    Cached,
    Logits,
    Trained,
    embed,
    even,
    mix,
    probe,
    read,
    targets_of,
    train_branch,
)
from finetune.branch_scope import evidence_in, weigh
from finetune.heads import calibration_error, fit
from finetune.heads_data import Row
from finetune.measures import auroc
from retrieval.encoder import TransformerEncoder
from tests.benchmarks.intent_sets import MORE_TWEETS, SETS, Split

RUNS = Path(os.environ.get("ATELIER_RUNS", Path(__file__).parents[2] / ".bench_intents.jsonl"))
FEW = 10  # labels for which n-grams are fitted too
PROBE_L2 = (3e-6, 1e-5, 3e-5)  # of the frozen baseline, chosen on held-out rows
CUT = 32  # directions of each matrix, in which a branch is written for comparison
RECIPES: dict[str, BranchRecipe] = {
    "banking77": BranchRecipe(epochs=5),
    "clinc150": BranchRecipe(epochs=2),
    "sst2": BranchRecipe(epochs=3, dropout=0.2),
    "tweeteval": BranchRecipe(epochs=1.5, dropout=0.2),
}
RECIPES |= dict.fromkeys(MORE_TWEETS, RECIPES["tweeteval"])
ALL_ROWS = {"banking77": (2,)}  # depths at which the rows kept back of train are learned too in the end
ALONE, ON_ALL = "branch alone", "branch alone, all rows"


@dataclass(frozen=True, slots=True)
class Material:
    """One set as the encoder reads it, for several depths. caches: by start, texts of train, held and test together."""

    split: Split
    caches: dict[int, Cached]
    inputs: Inputs
    ends: tuple[int, int]  # where train and held end

    @property
    def labels(self) -> list[str]:
        return self.split.labels

    def parts(self) -> tuple[range, range, range]:
        train, held = self.ends
        return range(train), range(train, held), range(held, len(self.inputs.dense))


def material(name: str, seed: int, depths: Sequence[int], encoder: TransformerEncoder, most: int = 0) -> Material:
    split = SETS[name](seed)
    if most:
        known = {label for _, label in split.train[:most]} | {None}
        held, test = ([pair for pair in part if pair[1] in known][:most] for part in (split.held, split.test))
        split = replace(split, train=split.train[:most], held=held, test=test)
    texts = [text for part in (split.train, split.held, split.test) for text, _ in part]
    starts = {encoder.depth - depth for depth in depths}
    caches = read(encoder, texts, starts or {encoder.depth}, lambda _: None)
    inputs = Inputs.of(next(iter(caches.values())).embeddings, texts)
    return Material(split, caches, inputs, (len(split.train), len(split.train) + len(split.held)))


def scores(split: Split, said: Logits, rows: Sequence[tuple[str, str | None]]) -> dict[str, float]:
    """The set's measure and the calibration error, over rows in scope. said: calibrated logits, (rows, labels)."""
    known = np.array([label is not None for _, label in rows])
    right = np.array([split.labels.index(label) for _, label in rows if label is not None])
    chances = probabilities(said[known], 1.0)
    best = chances.argmax(axis=1)
    hit = best == right
    recall = float(np.mean([hit[right == k].mean() for k in np.unique(right)]))
    return {
        "accuracy": float(hit.mean()),
        "macro-recall": recall,
        "ece": calibration_error(chances, hit),
    }


def frozen(made: Material) -> dict[str, Logits]:
    """Logits of all rows by logistic regression on the embedding alone and, of few labels, by Atelier's head.

    The last is what a branch is joined with: n-grams take minutes for many labels, and gained nothing on banking77.
    """
    train, held, _ = made.parts()
    targets = targets_of([label for _, label in made.split.train], made.labels)
    share = even(targets) if made.split.even else np.full(len(train), 1 / len(train), dtype=np.float32)
    vectors = next(iter(made.caches.values())).embeddings
    tried = []
    for l2 in PROBE_L2:
        weights, bias = probe(vectors[train], targets, share, l2)
        logits = vectors @ weights + bias
        kept = scores(made.split, logits[held], made.split.held)["accuracy"] if made.split.held else -l2
        tried.append((kept, logits))
    best = max(tried, key=lambda pair: pair[0])[1]
    found = {"frozen embedding + logistic": best.astype(np.float32)}
    if len(made.labels) <= FEW:
        rows = [Row(text, label, "set") for text, label in made.split.train]
        head = fit("topic", made.inputs.chosen(train), rows, made.labels)
        found["Atelier's head, frozen"] = head.logits(made.inputs)
    return found


def trained_at(
    made: Material, depth: int, recipe: BranchRecipe, encoder: TransformerEncoder
) -> tuple[Trained, Trained]:
    """The branch after being written down and read again: whole, and in few directions."""
    train, _, _ = made.parts()
    branch = Branch.copied(encoder, depth)
    targets = targets_of([label for _, label in made.split.train], made.labels)
    cached = made.caches[branch.start].chosen(train)
    share = even(targets) if made.split.even else None
    trained = train_branch(branch, cached, targets, replace(recipe, layers=depth), share, _shown)
    whole, cut = (Branch.load(trained.branch.tensors(encoder, rank), encoder) for rank in (None, CUT))
    return replace(trained, branch=whole), replace(trained, branch=cut)


def _shown(step: int, steps: int, loss: float) -> None:
    if step % 100 == 0 or step == steps:
        print(f"  step {step} of {steps}, loss {loss:.4f}", flush=True)


def run_set(
    name: str, seed: int, depths: Sequence[int], encoder: TransformerEncoder, most: int = 0, epochs: float = 0
) -> Iterator[list[dict[str, Any]]]:
    """Measure a set at one of `depths` after another (0: frozen). most, epochs: fewer, for a quick look."""
    made = material(name, seed, [depth for depth in depths if depth], encoder, most)
    split, (_, held, test) = made.split, made.parts()
    print(f"{name}, seed {seed}: read", flush=True)
    plain = frozen(made)
    today = list(plain.values())[-1]
    known = [i for i, (_, label) in enumerate(split.held) if label is not None]
    right = [made.labels.index(split.held[i][1] or "") for i in known]
    kept = np.array(held)[known]
    for depth in depths:
        begun = time.perf_counter()
        if depth == 0:
            yield [
                _result(made, name, seed, depth, model, _calmed(logits, kept, right) * logits, [], begun)
                for model, logits in plain.items()
            ]
            continue
        recipe = replace(RECIPES[name], layers=depth, epochs=epochs or RECIPES[name].epochs, seed=seed)
        whole, cut = trained_at(made, depth, recipe, encoder)
        cached = made.caches[whole.branch.start]
        asked = range(0 if _has_outside(split) else held.start, len(cached))  # trained rows only where distance counts
        vectors = np.zeros_like(cached.embeddings)
        vectors[asked] = embed(whole.branch, cached.chosen(asked))
        branched = whole.logits(vectors)
        in_few = cut.logits(embed(cut.branch, cached.chosen(test)))
        a, b = mix(today[kept], branched[kept], right)
        spaces = [vectors, cached.embeddings]
        factor = _calmed(branched, kept, right)
        sole = _result(made, name, seed, depth, ALONE, factor * branched, spaces, begun)
        sole |= {"factor": factor, "cut": scores(split, in_few, split.test)[split.measure]}
        mixed = _result(made, name, seed, depth, "branch + head", a * today + b * branched, spaces, begun)
        mixed |= {"shares": [a, b], "recipe": str(recipe)}
        yield [sole, mixed]
        if depth in ALL_ROWS.get(name, ()):
            yield [on_all(made, name, depth, recipe, encoder, factor)]


def on_all(
    made: Material, name: str, depth: int, recipe: BranchRecipe, encoder: TransformerEncoder, factor: float
) -> dict[str, Any]:
    """The branch trained on the rows kept back too, as one does in the end.

    factor: of its logits, as rows kept back have it of a branch that was trained without them.
    """
    begun, rows = time.perf_counter(), [*made.split.train, *made.split.held]
    whole = replace(made, split=replace(made.split, train=rows, held=()), ends=(len(rows), len(rows)))
    trained, _ = trained_at(whole, depth, recipe, encoder)
    _, _, test = whole.parts()
    said = np.zeros((len(made.inputs.dense), len(made.labels)), dtype=np.float32)
    said[test] = factor * trained.logits(embed(trained.branch, made.caches[trained.branch.start].chosen(test)))
    return _result(whole, name, recipe.seed, depth, ON_ALL, said, [], begun)


def _has_outside(split: Split) -> bool:
    """Whether some of its held-out and of its test rows are of no label that is known."""
    return all(any(label is None for _, label in rows) for rows in (split.held, split.test))


def _calmed(logits: Logits, kept: NDArray[np.intp], right: list[int]) -> float:
    return sum(mix(logits[kept], logits[kept], right))


def _result(
    made: Material, name: str, seed: int, depth: int, model: str, logits: Logits, spaces: list[Any], begun: float
) -> dict[str, Any]:
    split, (train, held, test) = made.split, made.parts()
    found = scores(split, logits[test], split.test)
    result: dict[str, Any] = {"set": name, "seed": seed, "depth": depth, "model": model, **found}
    if split.held:
        on_held = scores(split, logits[held], split.held)
        result |= {"held": on_held[split.measure], "held_ece": on_held["ece"]}
    if not _has_outside(split):
        return result | {"seconds": round(time.perf_counter() - begun, 1)}
    inside = {
        part: np.array([label is not None for _, label in rows], dtype=bool)
        for part, rows in (("held", split.held), ("test", split.test))
    }
    spaces = spaces or [made.inputs.dense[:, : next(iter(made.caches.values())).embeddings.shape[1]]]
    taught = [i for i in train if split.train[i][1] is not None]
    seen = {
        part: evidence_in(logits[rows], [(space[rows], space[taught]) for space in spaces])
        for part, rows in (("held", held), ("test", test))
    }
    chance = weigh(seen["held"], inside["held"]).chance(seen["test"])
    result["auroc"] = auroc(chance, inside["test"])
    result["auroc_each"] = [round(auroc(column, inside["test"]), 4) for column in seen["test"].T]
    return result | {"seconds": round(time.perf_counter() - begun, 1)}


def finished() -> list[dict[str, Any]]:
    """The runs that the file holds."""
    return [json.loads(line) for line in RUNS.read_text("utf-8").splitlines()] if RUNS.exists() else []


def keep(results: Sequence[dict[str, Any]]) -> None:
    with RUNS.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(result) + "\n" for result in results)


def _again(name: str, seed: int, depths: Sequence[int], encoder: TransformerEncoder) -> None:
    """Keep what `on_all` gives at each of `depths` that a run of any seed was kept of, and that it was not kept of."""
    kept = [run for run in finished() if run["set"] == name]
    factors = {run["depth"]: run["factor"] for run in kept if "factor" in run}
    done = {run["depth"] for run in kept if (run["seed"], run["model"]) == (seed, ON_ALL)}
    made = material(name, seed, depths, encoder)
    for depth in (each for each in depths if each in factors.keys() - done):
        keep([on_all(made, name, depth, replace(RECIPES[name], seed=seed), encoder, factors[depth])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[name for name in SETS if name in RECIPES])
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--all", action="store_true", help="on the rows kept back too, with the factor of a kept run")
    chosen = parser.parse_args()
    encoder = TransformerEncoder()
    if chosen.all:
        for seed in chosen.seeds:
            _again(chosen.name, seed, chosen.depths, encoder)
        return
    for seed in chosen.seeds:
        done = {run["depth"] for run in finished() if (run["set"], run["seed"]) == (chosen.name, seed)}
        if left := [depth for depth in chosen.depths if depth not in done]:
            for results in run_set(chosen.name, seed, left, encoder):
                keep(results)


if __name__ == "__main__":
    main()
