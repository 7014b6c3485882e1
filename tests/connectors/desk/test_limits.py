"""Limits: a minute holds so many messages, and whoever is over is told once."""

from connectors.desk.access import Limiter


def test_what_is_over_the_limit_waits_for_the_oldest_to_be_a_minute_old() -> None:
    limiter = Limiter(2)
    assert [limiter.wait("ann", now) for now in (0.0, 10.0)] == [(0.0, False), (0.0, False)]
    assert limiter.wait("ann", 20.0) == (40.0, False)
    assert limiter.wait("ann", 30.0) == (30.0, True)
    assert limiter.wait("bob", 30.0) == (0.0, False)
    assert limiter.wait("ann", 60.0) == (0.0, False)


def test_whoever_is_over_again_a_minute_later_is_told_again() -> None:
    limiter = Limiter(1)
    limiter.wait("ann", 0.0)
    assert limiter.wait("ann", 1.0) == (59.0, False)
    limiter.wait("ann", 61.0)
    assert limiter.wait("ann", 62.0) == (59.0, False)
