"""How soon a surge of negative messages is noticed, and how often an alarm is false, beside a plain threshold.

First by simulation, messages by their labels; then real tweets in the order of chance with a surge put in, read by the
sentiment head that is shipped. The plain alarm: more than half of the last 20 messages are negative.
"""

import gzip
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.message import Sentiment
from agent.opinion.cusum import EVERY, WARM, Point, follow
from agent.understanding import Understander
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Cell, Report

DATA = Path(os.environ.get("ATELIER_DATA", Path(__file__).parents[3] / "shared" / "data"))
BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
WINDOW, SHARE = 20, 0.5  # of the plain alarm
CALM, SURGE = 300, 80  # messages before the surge, and of it
Chances = NDArray[np.float64]
Alarm = Callable[[Chances], list[int]]


def cusum(chances: Chances) -> list[int]:
    points = [Point(BEGIN + timedelta(minutes=2 * i), float(each), f"p{i % 50}") for i, each in enumerate(chances)]
    return [i for i, state in enumerate(follow(points)) if state.is_alarm]


def plain(chances: Chances) -> list[int]:
    """One alarm each time the share goes over the limit."""
    hits = np.convolve(chances > 0.5, np.ones(WINDOW), "full")[: len(chances)] / WINDOW > SHARE
    return [i for i in range(WARM, len(chances)) if hits[i] and not hits[i - 1]]


def run(quick: bool) -> Report:
    chance = np.random.default_rng(0)
    rows: list[dict[str, Cell]] = []
    for share in (0.1, 0.2, 0.35):
        draw = _labels(chance)
        rows += _rows(f"simulated, {share:.0%} negative, then 60%", draw, (share, 0.6), quick=quick)
    notes = [
        f"CUSUM is set to at most one false alarm in {EVERY:,} messages; false: alarms in streams without a surge.",
        f"delay: messages of the surge until the alarm, median; missed: none came in {SURGE}, after {CALM} calm ones.",
    ]
    file = DATA / "tweeteval_sentiment" / "test.jsonl.gz"
    if file.exists():
        pools = _read_tweets(file, 200 if quick else 1500, chance)
        draw = _tweets(pools, chance)
        rows += _rows("tweets as read, 15% negative, then 60%", draw, (0.15, 0.6), quick=quick)
        rows += _rows("tweets as read, 30% negative, then 75%", draw, (0.3, 0.75), quick=quick)
    else:
        notes.append("Tweets were not there: point ATELIER_DATA at the data sets.")
    return Report("opinion", "Is a surge noticed soon, and how often is an alarm false?", rows, notes)


def _labels(chance: np.random.Generator) -> Callable[[int, float], Chances]:
    return lambda count, share: np.where(chance.random(count) < share, 0.95, 0.03)


def _tweets(pools: tuple[Chances, Chances], chance: np.random.Generator) -> Callable[[int, float], Chances]:
    negative, others = pools
    return lambda count, share: np.where(
        chance.random(count) < share, chance.choice(negative, count), chance.choice(others, count)
    )


def _rows(
    name: str, draw: Callable[[int, float], Chances], shares: tuple[float, float], *, quick: bool
) -> list[dict[str, Cell]]:
    streams = 10 if quick else 100
    calm = [draw(2000, shares[0]) for _ in range(streams // 2)]
    surges = [np.concatenate([draw(CALM, shares[0]), draw(SURGE, shares[1])]) for _ in range(streams)]
    rows: list[dict[str, Cell]] = []
    for how, alarm in (("CUSUM", cusum), ("more than half of the last 20", plain)):
        false = sum(len(alarm(each)) for each in calm)
        delays = [_delay(alarm(each)) for each in surges]
        found = [each for each in delays if each is not None]
        rows.append(
            {
                "stream": name,
                "alarm": how,
                "false alarms in 1,000": round(1000 * false / (2000 * len(calm)), 3),
                "delay": float(np.median(found)) if found else "none",
                "missed %": round(100 * (1 - len(found) / len(delays)), 1),
            }
        )
    return rows


def _delay(alarms: Sequence[int]) -> int | None:
    late = [each - CALM + 1 for each in alarms if each >= CALM]
    return late[0] if late else None


def _read_tweets(file: Path, size: int, chance: np.random.Generator) -> tuple[Chances, Chances]:
    """How likely the shipped head finds tweets negative: those labelled negative, and the others."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        tweets = [json.loads(line) for line in lines]
    scores_of = Understander(TransformerEncoder()).scores
    pools = []
    for wanted in (True, False):
        texts = [each["text"] for each in tweets if (each["label"] == Sentiment.NEGATIVE) is wanted]
        chosen = [texts[i] for i in chance.permutation(len(texts))[:size]]
        mood = scores_of(chosen)["sentiment"]
        pools.append(mood.probabilities[:, mood.labels.index(Sentiment.NEGATIVE)].astype(np.float64))
    return pools[0], pools[1]
