"""Which desk takes a case, and when somebody is there, in the desk's own time."""

from datetime import UTC, datetime

import pytest

from agent.support.desks import Desk, Hours, choose

OFFICE = Hours.of("mon-fri 09:00-17:00, sat 10:00-12:00", "Europe/Berlin")
NIGHT = Hours.of("fri-sat 22:00-06:00", "UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "is_there", "again"),
    [
        ("2026-11-27 08:00", True, None),  # a Friday, nine in Berlin
        ("2026-11-27 07:59", False, "2026-11-27 09:00"),
        ("2026-11-27 16:00", False, "2026-11-28 10:00"),
        ("2026-11-28 11:30", False, "2026-11-30 09:00"),
        ("2026-07-27 07:00", True, None),  # summer time
        ("2026-03-28 23:30", False, "2026-03-30 09:00"),  # over the change of the clocks
    ],
)
def test_office_hours(moment: str, is_there: bool, again: str | None) -> None:
    assert OFFICE.are_on(at(moment)) is is_there
    found = OFFICE.next(at(moment))
    assert (found and f"{found:%Y-%m-%d %H:%M}") == again


def test_hours_may_run_into_the_next_morning() -> None:
    assert NIGHT.are_on(at("2026-11-28 05:59"))  # of Friday's night
    assert NIGHT.are_on(at("2026-11-29 05:59"))
    assert not NIGHT.are_on(at("2026-11-30 05:59"))
    assert not NIGHT.are_on(at("2026-11-27 05:59"))
    assert Hours().are_on(at("2026-11-30 03:00"))
    assert Hours.of("08:00-08:00", "UTC").are_on(at("2026-11-30 03:00"))  # a whole day, each day


@pytest.mark.parametrize(
    "text", ["mon-fri", "9-17", "mon 25:00-26:00", "xyz 09:00-17:00", "mon-xyz 09:00-17:00", "09:61-10:00"]
)
def test_what_are_no_hours_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="Write them like: mon-fri"):
        Hours.of(text, "UTC")


@pytest.mark.parametrize("zone", ["Mars/Base", "../etc/passwd", ""])
def test_what_is_no_time_zone_is_refused_with_an_example(zone: str) -> None:
    with pytest.raises(ValueError, match="Write one like Europe/Berlin"):
        Hours.of("09:00-17:00", zone)


def test_the_first_desk_that_is_open_takes_it_and_a_topic_goes_to_its_own() -> None:
    day, night = Desk("slack:C1", hours=OFFICE), Desk("telegram:-1", hours=NIGHT)
    money = Desk("telegram:42", topics=("refund*",), hours=OFFICE)
    only = Desk("slack:C2", platforms=("telegram",))
    desks = (day, night, money)
    noon, late = at("2026-11-27 12:00"), at("2026-11-27 23:00")
    assert choose(desks, "Help!", "slack", noon) == day
    assert choose(desks, "Help!", "slack", late) == night
    assert choose(desks, "Help!", "slack", at("2026-11-26 03:00")) == day  # nobody is there: the first hears of it
    assert choose(desks, "My refunds?", "slack", noon) == money
    assert choose(desks, "My refunds?", "slack", late) == money
    assert choose((only, day), "Help!", "slack", late) == day
    assert choose((only,), "Help!", "slack", noon) is None
    assert [each.is_person for each in (day, night, money, Desk("slack:U7"))] == [False, False, True, True]
