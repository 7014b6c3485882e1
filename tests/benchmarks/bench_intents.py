"""Intent, scope and sentiment on official splits, by how many upper layers a task has of its own, and what that costs.

0 layers: logistic regression on the frozen embedding, alone and as Atelier's head. 1 to 3: a branch on the shared lower
layers. 6: every layer trained, as full fine-tuning is (word embeddings stay). The whole table takes hours on two cores,
so finished runs are read from the file that ATELIER_RUNS names (`tests/benchmarks/intent_runs.py`).
"""

import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from agent.branches import Branch
from agent.head import Head, Inputs, probabilities
from agent.understanding import SHIPPED
from finetune.few_shot import learn
from finetune.few_shot_folder import write_intents
from finetune.heads import calibration_error, embed, fit
from finetune.heads_data import OWN, Row
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Cell, Report
from tests.benchmarks.bench_understanding import TWENTY_TOKENS
from tests.benchmarks.intent_runs import RECIPES, finished, keep, run_set
from tests.benchmarks.intent_sets import DATA, SETS
from tests.benchmarks.intents_picture import draw_curve

DEPTHS = (0, 1, 2, 3, 6)
SEEDS = (0, 1, 2)
FEW_SEEDS = (0, 1, 2)
PICTURE = Path(__file__).parent / "results" / "intents.png"
FROZEN = "frozen embedding + logistic"


def few_shots(seed: int, encoder: TransformerEncoder, most_labels: int = 0) -> list[dict[str, Any]]:
    """Ten rows an intent as a team gives them, by `atelier finetune intent`, written, read again, and asked."""
    split = SETS["banking77-10"](seed)
    labels = split.labels[: most_labels or None]
    rows = [Row(text, label, OWN) for text, label in split.train if label in labels]
    asked = [(text, label) for text, label in split.test if label in labels]
    texts = [text for text, _ in asked]
    right = np.array([labels.index(label) for _, label in asked if label is not None])
    learned = learn(encoder, rows, seed=seed)
    with tempfile.TemporaryDirectory() as scratch:
        write_intents(Path(scratch) / "heads", learned, encoder, SHIPPED)
        head = Head.load(Path(scratch) / "heads", "topic", encoder)
    chances = []
    for at in range(0, len(texts), 256):
        part = texts[at : at + 256]
        states = encoder.states(part, head.reads)
        chances.append(head.probabilities(Inputs.of(states.embeddings, part), states))
    vectors = embed(encoder, [row.text for row in rows], lambda _: None)
    plain = fit("topic", Inputs.of(vectors, [row.text for row in rows]), rows, labels)
    frozen = probabilities(plain.logits(Inputs.of(embed(encoder, texts, lambda _: None), texts)), 1.0)
    common = {"set": "banking77-10", "seed": seed}
    depth = 0 if learned.branch is None else len(learned.branch.branch.layers)
    return [
        {**common, "depth": 0, "model": "Atelier's head, frozen", **_hit(frozen, right), "seconds": 0.0},
        {
            **common,
            "depth": depth,
            "model": "atelier finetune intent",
            **_hit(np.vstack(chances), right),
            "held": learned.judged.accuracy,
            "seconds": round(learned.seconds, 1),
        },
    ]


def _hit(chances: np.ndarray, right: np.ndarray) -> dict[str, float]:
    hit = chances.argmax(axis=1) == right
    return {"accuracy": float(hit.mean()), "ece": calibration_error(chances, hit)}


def times(encoder: TransformerEncoder, repeats: int) -> list[dict[str, Cell]]:
    """Milliseconds of one message of 20 tokens: the bare encoder, with one branch, and with several, in turn."""
    branches = {depth: Branch.copied(encoder, depth) for depth in (1, 2, 3, 6)}
    asked: dict[str, list[Branch]] = {"bare encoder": []}
    asked |= {f"one branch of {depth}": [branch] for depth, branch in branches.items()}
    asked |= {f"three branches of {depth}": [branches[depth]] * 3 for depth in (1, 2)}
    spent: dict[str, list[float]] = defaultdict(list)
    for _ in range(repeats):
        for name, chosen in asked.items():
            start = time.perf_counter()
            if chosen:
                states = encoder.states([TWENTY_TOKENS], {branch.start for branch in chosen})
                for branch in chosen:
                    branch(states)
            else:
                encoder([TWENTY_TOKENS])
            spent[name].append(time.perf_counter() - start)
    base = statistics.median(spent["bare encoder"])
    return [
        {
            "set": "time",
            "model": name,
            "ms": round(statistics.median(each) * 1e3, 3),
            "passes": round(statistics.median(each) / base, 3),
        }
        for name, each in spent.items()
    ]


def _summed(runs: list[dict[str, Any]]) -> list[dict[str, Cell]]:
    """A row for each set, depth and model: means over its seeds."""
    groups: dict[tuple[str, int, str], list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        groups[run["set"], run["depth"], run["model"]].append(run)
    rows: list[dict[str, Cell]] = []
    for (name, depth, model), group in sorted(groups.items(), key=lambda pair: (list(SETS).index(pair[0][0]), pair[0])):
        split = SETS[name](0)
        rows.append(
            {
                "set": split.name,
                "may ship": "yes" if split.may_ship else "no",
                "layers": depth,
                "model": model,
                "seeds": len(group),
                split.measure.replace("-", "_"): round(statistics.mean(run[split.measure] for run in group), 4),
                "goal": split.goal,
                "ece": round(statistics.mean(run["ece"] for run in group), 4),
                "seconds": round(statistics.mean(run["seconds"] for run in group), 1),
            }
        )
        if all("auroc" in run for run in group):
            rows[-1]["scope_auroc"] = round(statistics.mean(run["auroc"] for run in group), 4)
    return rows


def _curve(runs: list[dict[str, Any]], timed: list[dict[str, Cell]]) -> dict[str, list[tuple[float, float]]]:
    passes = {0: 1.0} | {
        depth: float(row["passes"]) for depth in DEPTHS for row in timed if row["model"] == f"one branch of {depth}"
    }
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run["set"] in RECIPES and run["model"] == ("branch + head" if run["depth"] else FROZEN):
            found[run["set"]][run["depth"]].append(run[SETS[run["set"]](0).measure])
    return {
        name: [(passes[depth], statistics.mean(values)) for depth, values in sorted(depths.items())]
        for name, depths in found.items()
    }


def run(quick: bool) -> Report:
    question = "How well are public intents and moods read, by layers of a task's own, and at what cost?"
    if not DATA.is_dir():
        return Report("intents", question, [], ["The shared data sets are missing: nothing was measured."])
    encoder = TransformerEncoder()
    runs: list[dict[str, Any]] = []
    if quick:
        for name in RECIPES:
            for found in run_set(name, 0, (0, 1), encoder, most=300, epochs=1):
                runs += found
        runs += few_shots(0, encoder, most_labels=6)
        return Report("intents", question, [*_summed(runs), *times(encoder, 10)], ["Quick: 300 rows, one epoch."])
    runs = finished()
    for seed in SEEDS:
        for name in RECIPES:
            done = {each["depth"] for each in runs if (each["set"], each["seed"]) == (name, seed)}
            for found in run_set(name, seed, left, encoder) if (left := [d for d in DEPTHS if d not in done]) else ():
                keep(found)
                runs += found
    for seed in FEW_SEEDS:
        if not any((each["set"], each["seed"]) == ("banking77-10", seed) for each in runs):
            keep(found := few_shots(seed, encoder))
            runs += found
    return report(runs, times(encoder, 200), question)


def report(runs: list[dict[str, Any]], timed: list[dict[str, Cell]], question: str) -> Report:
    """What runs and times come to, and their picture."""
    PICTURE.parent.mkdir(exist_ok=True)
    draw_curve(_curve(runs, timed), PICTURE)
    notes = [
        "layers: upper layers of the task's own, trained on cached states below; 6: all, word embeddings frozen.",
        "may ship: whether the rows' licence lets trained weights be given away; others are a user's own command.",
        "Nothing was chosen on a test split. Calibration and the weights of scope evidence come from held-out rows:",
        "500 of banking77's train, the others' own. tweeteval: 12,000 of its rows are trained on.",
        "branch + head: the branch, written in 32 directions a matrix and read again, with Atelier's frozen head.",
        "scope_auroc: distance in both spaces, energy, margin and probability, weighed on held-out rows.",
        "atelier finetune intent: 10 rows an intent, no other rows for calibration than folds of them.",
    ]
    return Report("intents", question, [*_summed(runs), *timed], notes)
