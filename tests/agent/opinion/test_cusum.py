"""A surge is noticed within a few messages; calm channels, one angry person and slow changes make no alarm."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from agent.opinion.cusum import WARM, Point, State, follow

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)


def stream(shares: Sequence[float], seed: int, minutes: float = 5, people: int = 40) -> list[Point]:
    """Messages of which each is negative with its own probability, as a sure head would say."""
    chance = np.random.default_rng(seed)
    return [
        Point(
            BEGIN + timedelta(minutes=minutes * i),
            0.95 if chance.random() < share else 0.03,
            f"p{chance.integers(people)}",
        )
        for i, share in enumerate(shares)
    ]


def alarms(states: Sequence[State]) -> list[int]:
    return [i for i, state in enumerate(states) if state.is_alarm]


def test_calm_channels_make_hardly_an_alarm() -> None:
    """The bound allows one in 500 messages here, 24 in all; it is a bound, so far fewer come."""
    found = [
        len(alarms(follow(stream([share] * 3000, seed), every=500))) for seed, share in enumerate((0.1, 0.2, 0.3, 0.4))
    ]
    assert sum(found) <= 24


def test_a_surge_is_noticed_within_some_thirty_messages_and_its_beginning_is_found() -> None:
    delays = []
    for seed in range(10):
        found = alarms(states := follow(stream([0.1] * 200 + [0.6] * 80, seed)))
        assert found
        delays.append(found[0] - 199)
        assert abs(states[found[0]].since - 200) <= 45
        assert states[found[0]].expected < 0.25
    assert np.median(delays) <= 30


def test_one_angry_person_is_no_surge() -> None:
    calm = stream([0.1] * 200, 1)
    angry = [Point(calm[-1].at + timedelta(minutes=i), 0.95, "angry") for i in range(12)]
    assert not alarms(follow([*calm, *angry]))
    crowd = [Point(each.at, each.negative, f"p{i}") for i, each in enumerate(angry)]
    assert alarms(follow([*calm, *crowd]))


def test_a_change_that_takes_weeks_is_no_sudden_one() -> None:
    slow = stream([0.1] * 200 + [0.6] * 40, 3, minutes=60 * 24)
    assert not alarms(follow(slow))


def test_before_what_is_usual_is_known_there_is_no_alarm() -> None:
    assert not alarms(follow(stream([1.0] * WARM, 1)))
    assert follow([]) == []
