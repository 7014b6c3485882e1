"""The gate's proof: ten times a better adapter must pass, and ten times a damaged one must not.

SQuAD 2.0 is asked too where the public data lies (ATELIER_DATA): the same judge, other people's questions.
"""

import random
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from agent.generation.extractive import ExtractiveGenerator
from agent.message import History, Intent, Move
from agent.prompt import PERSONA, compose
from finetune.gate.gate import GROUNDED, MARGINS, Verdict, gate
from finetune.gate.grounded import RIGHT, Case, Kind, outcome, suite
from finetune.gate.intervals import difference
from retrieval.encoder import TransformerEncoder
from tests.agent.models import build_model
from tests.benchmarks import Cell, Report
from tests.benchmarks.squad import DATA, articles
from tests.finetune.school import damaged, lessons, noise, school

SEEDS = range(10)
STEPS = {"novice": 3, "pupil": 45}
REPLY = 12  # tokens: what these models learn to say is shorter
HELD_OUT = 16
CASES = suite()[::2]  # all three kinds alike
Weights = dict[str, torch.Tensor]


def negated(weights: Weights) -> None:
    """Every second half of a pair of factors with the other sign: all that was learned is unlearned twice over."""
    for name, weight in weights.items():
        if "lora_B" in name:
            weight.neg_()


def exchanged(weights: Weights) -> None:
    """The two layers' factors in each other's place."""
    for name in [each for each in weights if ".layers.0." in each]:
        other = name.replace(".layers.0.", ".layers.1.")
        weights[name], weights[other] = weights[other].clone(), weights[name].clone()


def inflated(weights: Weights) -> None:
    for weight in weights.values():
        weight.mul_(3.0)


def scrambled(weights: Weights) -> None:
    """Rows of each factor in another order."""
    for weight in weights.values():
        weight.copy_(weight[torch.randperm(len(weight), generator=torch.Generator().manual_seed(0))])


def halved(weights: Weights) -> None:
    """The last layer's part is gone."""
    for name, weight in weights.items():
        if ".layers.1." in name:
            weight.zero_()


DAMAGE: Mapping[str, Callable[[Weights], None]] = {
    "noise as large as the weights": partial(noise, seed=1, share=1.0),
    "noise half as large": partial(noise, seed=2, share=0.5),
    "signs turned": negated,
    "layers exchanged": exchanged,
    "three times as strong": inflated,
    "rows scrambled": scrambled,
    "a layer missing": halved,
    "noise twice as large": partial(noise, seed=3, share=2.0),
    "signs turned, some noise": lambda weights: (negated(weights), noise(weights, seed=4, share=0.1))[0],
    "layers exchanged, some noise": lambda weights: (exchanged(weights), noise(weights, seed=5, share=0.1))[0],
}


def row(seed: int, what: str, verdict: Verdict, wanted: str) -> dict[str, Cell]:
    """One verdict as a row: differences with the ends of their intervals."""
    cells: dict[str, Cell] = {"what": f"seed {seed}: {what}", "wanted": wanted}
    cells["gate"] = "accepted" if verdict.accepted else "rejected"
    for measure in verdict.measures:
        d = measure.difference
        cells[measure.name] = f"{d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}]"
    return cells


def proof(seed: int, encoder: TransformerEncoder, *, quick: bool) -> list[dict[str, Cell]]:
    """The better adapter against the novice, and the damaged one against the better."""
    steps = {name: max(2, number // 4) if quick else number for name, number in STEPS.items()}
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 on transformers 5.23
        folder = Path(name)
        base = build_model(folder / "base", seed=seed)
        novice, pupil = (school(base, folder / each, seed, number) for each, number in steps.items())
        how = list(DAMAGE)[seed % len(DAMAGE)]
        broken = damaged(pupil, folder / "damaged", DAMAGE[how])
        held_out = lessons(5000 + seed, 8 if quick else HELD_OUT)
        judge = partial(
            gate, base, held_out=held_out, encoder=encoder, device="cpu", reply=REPLY, seed=seed, against="it"
        )
        cases = CASES[:6] if quick else CASES
        better = judge(pupil, live=novice, cases=cases)
        worse = judge(broken, live=pupil, cases=cases)
    return [
        row(seed, f"{steps['pupil']} steps against {steps['novice']}", better, "accepted"),
        row(seed, f"damaged: {how}", worse, "rejected"),
    ]


def squad(encoder: TransformerEncoder, per_article: int) -> list[dict[str, Cell]]:
    """What the quoting generator makes of SQuAD 2.0 dev under the same judge: its gold passage among five."""
    generator, counts = ExtractiveGenerator(encoder), {kind: [0, 0] for kind in Kind}
    dice = random.Random(0)
    for article in articles("dev_v2.0"):
        for kind in (Kind.ANSWERABLE, Kind.UNANSWERABLE, Kind.FORBIDDEN):
            fitting = [each for each in article.questions if bool(each.answers) is (kind is not Kind.UNANSWERABLE)]
            for asked in dice.sample(fitting, min(per_article, len(fitting))):
                hide = kind is Kind.FORBIDDEN  # the passage that answers is one that the asker may not read
                passages = article.passages_for(asked, 5, hide_gold=hide)
                gold = next((n for n, each in enumerate(passages, 1) if each.id == asked.passage), 0)
                if kind is Kind.ANSWERABLE and not gold:
                    continue
                case = Case(kind, asked.text, passages, gold, tuple(each.lower() for each in asked.answers))
                said = generator.reply(
                    compose(PERSONA, History(), case.question, Intent.ASK, Move.ANSWER, case.passages)
                )
                counts[kind][0] += 1
                counts[kind][1] += outcome(case, said) in RIGHT
    return [
        {"what": f"quotes on SQuAD 2.0, {kind.value}", "figure": f"{right / total:.2f} of {total} met rightly"}
        for kind, (total, right) in counts.items()
    ]


def run(quick: bool) -> Report:
    encoder = TransformerEncoder()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    proofs = [proof(seed, encoder, quick=quick) for seed in (SEEDS[:1] if quick else SEEDS)]
    torch.set_num_threads(threads)
    return report(proofs, encoder, quick=quick)


def report(proofs: Sequence[Sequence[Mapping[str, Cell]]], encoder: TransformerEncoder, *, quick: bool) -> Report:
    """All seeds together, how often the suite's margin errs, and SQuAD where it lies."""
    rows: list[Mapping[str, Cell]] = [each for one in proofs for each in one]
    for wanted in ("accepted", "rejected"):
        asked = [each for each in rows if each["wanted"] == wanted]
        hits = sum(each["gate"] == wanted for each in asked)
        rows.append({"what": f"all that should be {wanted}", "wanted": "", "figure": f"{hits} of {len(asked)} are"})
    rows.append(equal_versions())
    if (DATA / "squad").exists():
        rows += squad(encoder, 1 if quick else 8)
    notes = (
        "Models of two layers with random weights, taught for seconds by LoRA through the project's own training loop.",
        f"The damaged ones are sealed again, so that only measuring can tell. {len(CASES)} of the suite's questions.",
        "Differences are candidate minus live with their 95% intervals; the loss is better when it falls.",
        "Small models that repeat taught sentences: the proof is of the gate, not of what such a model is good for.",
    )
    return Report("gate", "Does the gate let the better pass and stop the damaged, ten seeds each?", rows, notes)


def equal_versions(share: float = 0.05, runs: int = 200) -> dict[str, Cell]:
    """How often a suite of this size refuses a version that is as good, where chance decides `share` of the answers."""
    rng, refused = np.random.default_rng(0), 0
    count = len(suite())
    for seed in range(runs):
        settled, by_chance = rng.random(count) < 0.7, rng.random(count) < share
        candidate, live = (np.where(by_chance, rng.integers(0, 2, count), settled).astype(float) for _ in range(2))
        refused += difference(list(candidate), list(live), seed).low < -MARGINS[GROUNDED]
    return {"what": f"as good, {share:.0%} of its answers by chance", "figure": f"{refused / runs:.3f} refused"}
