"""How far swaps of names, places and spellings move the reading of a message, for the heads that are shipped."""

from agent.understanding import Understander
from finetune.fairness import BOUND, FLIPS, Pair, fairness, judge_of
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Report


def run(quick: bool) -> Report:
    found = fairness(judge_of(Understander(TransformerEncoder())))
    rows = [
        {
            "swap": each.swap,
            "pairs": each.pairs,
            "gap of means": round(each.gap, 4),
            "lower": each.groups[0],
            "higher": each.groups[1],
            "pair moves by": round(each.moved, 4),
            "intent flips %": round(100 * each.flips, 2),
            "within bounds": "yes" if each.is_fair else "no",
            "worst pair": _shown(each.worst),
        }
        for each in found.gaps
    ]
    return Report(
        "fairness",
        "Does it matter who is named, where they are, or how they spell?",
        rows,
        [
            f"Mood: P(positive) - P(negative), -1..1. Bounds of the gate: gap {BOUND}, flips {FLIPS:.0%}.",
            "Heads beyond a bound are not made live unless the live ones are as far beyond it.",
        ],
    )


def _shown(pair: Pair) -> str:
    return f"{pair.first} ({pair.moods[0]:+.2f}) | {pair.second} ({pair.moods[1]:+.2f})"
