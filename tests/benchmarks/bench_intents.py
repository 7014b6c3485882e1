"""Intent, scope and sentiment on official splits, by how many upper layers a task has of its own, and what that costs.

0 layers: logistic regression on the frozen embedding, alone and as Atelier's head. 1 to 3: a branch on the shared lower
layers. 6: every layer trained, as full fine-tuning is (word embeddings stay). The whole table takes hours on two cores:
where ATELIER_RUNS names a file of finished runs (`tests/benchmarks/intent_runs.py` and its neighbours add to it), it is
made of those, only times are taken, and rows of the kept results that these runs know no better stay as they are.
"""

import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from agent.branches import Branch
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Cell, Report
from tests.benchmarks.bench_understanding import TWENTY_TOKENS
from tests.benchmarks.intent_contenders import left as contenders_left
from tests.benchmarks.intent_extras import PLAIN, command_of, extras, extras_left
from tests.benchmarks.intent_extras import SET as EXTRAS
from tests.benchmarks.intent_few import EMOTION, FROZEN, emotions, few_at, few_left, few_shots, team_time
from tests.benchmarks.intent_runs import ALONE, CUT, RECIPES, RUNS, finished, keep, run_set
from tests.benchmarks.intent_sets import DATA, HELD, MORE_TWEETS, SETS, TWEETS
from tests.benchmarks.intents_picture import draw_curve, panels_of

DEPTHS = (0, 1, 2, 3, 6)
DEPTHS_BY_ROWS = (0, 2, 6)  # of the curve by rows, for which one seed is enough
SEEDS = (0, 1, 2)
FEW_SEEDS = (0, 1, 2)
RESULTS = Path(__file__).parent / "results"


def times(encoder: TransformerEncoder, repeats: int) -> list[dict[str, Cell]]:
    """Milliseconds of one message of 20 tokens: the bare encoder, with one branch, and with several, in turn."""
    written = {depth: Branch.copied(encoder, depth).tensors(encoder) for depth in (1, 2, 3, 6)}
    branches = {depth: Branch.load(tensors, encoder) for depth, tensors in written.items()}  # as they serve
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
    for run in (each for each in runs if each["set"] in SETS):
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
                "seconds": round(statistics.mean(run["seconds"] for run in group), 1),
            }
        )
        further = {"ece": "ece", "held_ece": "held_ece", "auroc": "scope_auroc"}
        for key, called in (further | {"cut": f"in_{CUT}"}).items():
            if all(key in run for run in group):
                rows[-1][called] = round(statistics.mean(run[key] for run in group), 4)
    return rows


def _curve(rows: Sequence[Mapping[str, Cell]]) -> dict[str, list[tuple[float, float]]]:
    """By set: a message's time, in passes of the encoder, and what a branch alone of that many layers reads right."""
    passes = {0: 1.0} | {
        depth: float(row["passes"]) for depth in DEPTHS for row in rows if row["model"] == f"one branch of {depth}"
    }
    found: dict[str, list[tuple[float, float]]] = {}
    for name, split in ((name, made(0)) for name, made in SETS.items()):
        measured = {
            int(row["layers"]): float(row[split.measure.replace("-", "_")])
            for row in rows
            if row["set"] == split.name and row["model"] == (ALONE if row["layers"] else FROZEN)
        }
        found[name] = [(passes[depth], value) for depth, value in sorted(measured.items())]
    return {name: points for name, points in found.items() if points}


def _with_kept(rows: Sequence[dict[str, Cell]], kept: Sequence[dict[str, Cell]]) -> list[dict[str, Cell]]:
    """Rows, and those of the kept results that they lack or have of fewer seeds, set by set."""
    known = {_key(row): row for row in kept}
    known |= {_key(row): row for row in rows if _seeds(row) >= _seeds(known.get(_key(row), {}))}
    sets = list(dict.fromkeys(str(row["set"]) for row in (*kept, *rows)))

    def place(row: Mapping[str, Cell]) -> tuple[bool, int, int]:
        name = str(row["set"])
        return name == "time", sets.index(name), int(row.get("layers", 0))

    return sorted(known.values(), key=place)


def _key(row: Mapping[str, Cell]) -> tuple[Cell, Cell, Cell]:
    return row["set"], row.get("layers", 0), row["model"]


def _seeds(row: Mapping[str, Cell]) -> int:
    return int(row.get("seeds", 0))


def _wanted(seed: int) -> list[tuple[str, Sequence[int]]]:
    """Which sets are measured with this seed, and at which depths."""
    return [
        (name, DEPTHS_BY_ROWS if name in MORE_TWEETS else DEPTHS)
        for name in RECIPES
        if seed == SEEDS[0] or name not in MORE_TWEETS
    ]


def run(quick: bool) -> Report:
    question = "How well are public intents and moods read, by layers of a task's own, and at what cost?"
    if not DATA.is_dir():
        return Report("intents", question, [], ["The shared data sets are missing: nothing was measured."])
    encoder = TransformerEncoder()
    runs: list[dict[str, Any]] = []
    if quick:
        for name in RECIPES.keys() - MORE_TWEETS.keys():
            for found in run_set(name, 0, (0, 1), encoder, most=300, epochs=1):
                runs += found
        runs += few_shots(0, encoder, most_labels=6)
        runs += few_at(0, (0, 1), encoder, most_labels=6)
        runs += extras(0, encoder, [PLAIN], intents=6)
        return Report(
            "intents", question, [*_summed(runs), *_others(runs), *times(encoder, 10)], ["Quick: 300 rows, one epoch."]
        )
    runs = finished()
    if "ATELIER_RUNS" in os.environ and RUNS.exists():
        kept = json.loads((RESULTS / "intents.json").read_text("utf-8"))["rows"]
        return report(runs, timed(encoder), question, kept)
    for seed in SEEDS:
        for name, wanted in _wanted(seed):
            done = {each["depth"] for each in runs if (each["set"], each["seed"]) == (name, seed)}
            for found in run_set(name, seed, left, encoder) if (left := [d for d in wanted if d not in done]) else ():
                keep(found)
                runs += found
    for seed in FEW_SEEDS:
        for found in chain(few_left(seed, DEPTHS, encoder), extras_left(seed, encoder)):
            keep(found)
            runs += found
    others = list(contenders_left(0, encoder))
    others += [] if any(run["set"] == EMOTION for run in runs) else [emotions(0, encoder)]
    keep(others)
    runs += others
    return report(runs, timed(encoder), question)


def timed(encoder: TransformerEncoder) -> list[dict[str, Cell]]:
    return [*times(encoder, 200), team_time(encoder), team_time(encoder, 8, 8)]


def report(
    runs: list[dict[str, Any]], times: list[dict[str, Cell]], question: str, kept: Sequence[dict[str, Cell]] = ()
) -> Report:
    """What runs and times come to beside the rows that are kept, and their picture."""
    rows = _with_kept([*_summed(runs), *_others(runs), *times], kept)
    RESULTS.mkdir(exist_ok=True)
    goals = {name: split(0).goal for name, split in SETS.items()}
    draw_curve(panels_of(_curve(rows), goals), RESULTS / "intents.png")
    notes = [
        "layers: upper layers of the task's own, trained on cached states below; 6: all, word embeddings frozen.",
        "seeds: over how many the row is a mean. seconds: of one seed, beside other programs.",
        "may ship: whether the rows' licence lets trained weights be given away; others are a user's own command.",
        "Nothing was chosen on a test split. Calibration and the weights of scope evidence come from held-out rows:",
        f"{HELD} of banking77's train, the others' own. tweeteval: {TWEETS:,} of its rows where no number stands.",
        "branch alone, all rows: of those kept back too, with the factor of logits of a branch trained without them.",
        "branch + head: with Atelier's frozen head, each believed as it makes held-out rows likeliest.",
        f"in_{CUT}, in {CUT} directions: the branch cut to these of each matrix.",
        "held_ece: of the held-out rows, on which it was fitted: they are of train's source, test may be of another.",
        "scope_auroc: distance in both spaces, energy, margin and probability, weighed on held-out rows.",
        "atelier finetune intent: 10 rows an intent, no other rows for calibration than folds of them.",
        "banking77, 10 shots: other models are not calibrated and have no head beside; seconds are of the processor.",
        "LoRA: 16 directions in every matrix of every layer, rate 1e-3; full: words and places too; nothing tuned.",
        "taught: of 400 messages without labels, 300 of the domain; those that teach passed the guard.",
        "with numbers for names: the names of intents, which teach as examples do, say nothing there.",
        "Rows that later runs did not repeat are kept, some of an Intel Xeon: compare no seconds of different rows.",
    ]
    return Report("intents", question, rows, notes)


def _others(runs: list[dict[str, Any]]) -> list[dict[str, Cell]]:
    """What the command makes of emotions, and of more rows or messages: means over the seeds."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for run in (each for each in runs if each["set"] in (EMOTION, EXTRAS)):
        groups[run["set"], run["model"]].append(run)
    rows: list[dict[str, Cell]] = []
    for (name, model), group in groups.items():
        is_mood = name == EMOTION
        row: dict[str, Cell] = {"set": name, "may ship": "no" if is_mood else "yes", "layers": group[0]["depth"]}
        row |= {"model": model if is_mood else command_of(model), "seeds": len(group)}
        for key, digits in (("macro-f1", 4), ("accuracy", 4), ("ece", 4), ("taught", 1), ("seconds", 1)):
            if key in group[0]:
                row[key.replace("-", "_")] = round(statistics.mean(run[key] for run in group), digits)
        rows.append(row)
    return rows
