"""Shares with bounds, topics that nobody is recognised by, and how a conversation goes."""

from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from PIL import Image

from agent.opinion.mood import Heard, behind, midnight, open_days, over_time, shares, topics, trend, wilson
from agent.opinion.picture import SIZE, draw_mood

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
WORDS = {name: name for name in ("negative", "neutral", "positive", "topics", "alarm", "none")}


def heard(number: int, mood: float, *topics: str, who: int = 0, hours: float = 1) -> Heard:
    negative, positive = max(0.0, -mood), max(0.0, mood)
    at = NOW - timedelta(hours=hours)
    return Heard(str(number), "c", "t", f"p{who or number}", at, negative, positive, topics)


def test_shares_say_how_little_few_messages_tell() -> None:
    figures = shares([heard(1, -0.9), heard(2, 0.1), heard(3, 0.8), heard(4, 0.0, who=3)])
    assert (figures.negative, figures.neutral, figures.positive, figures.persons) == (1, 2, 1, 3)
    low, high = figures.bounds
    assert low < 0.25 < high
    assert high - low > 0.5
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(50, 100) == pytest.approx((0.404, 0.596), abs=0.001)  # as tables give it


def test_a_topic_of_fewer_than_three_people_is_not_shown() -> None:
    alone = [heard(i, -0.9, "raise", who=1) for i in range(5)] + [heard(9, -0.9, "raise", who=2)]
    many = [heard(10 + i, -0.9, "coffee machine") for i in range(3)]
    assert [each.name for each in topics([*alone, *many], 5)] == ["coffee machine"]


def test_what_a_rise_is_about_is_what_was_not_spoken_of_before() -> None:
    before = [heard(i, 0.1, "meeting", *(["printer"] if i % 10 == 0 else [])) for i in range(50)]
    rise = [heard(100 + i, -0.9, "printer", *(["meeting"] if i % 2 else [])) for i in range(8)]
    assert behind(rise, before)[0] == "printer"


def test_what_one_person_alone_is_angry_about_is_not_told_of_a_rise() -> None:
    before = [heard(i, 0.1, "meeting") for i in range(20)]
    alone = [heard(100 + i, -0.9, "raise", who=1) for i in range(4)]
    assert behind([*alone, *(heard(110 + i, -0.9, "printer") for i in range(4))], before) == ["printer"]


def test_every_message_is_in_one_stretch_of_time() -> None:
    spans = over_time([heard(i, -0.9, hours=i * 12 + 1) for i in range(14)], NOW, timedelta(days=1), 7)
    assert [each.shares.count for each in spans] == [2] * 7
    assert spans[-1].begins == NOW - timedelta(days=1)


def test_a_day_of_fewer_than_three_people_is_in_no_figure() -> None:
    many = [heard(i, -0.9, who=1 + i % 3, hours=30) for i in range(6)]
    few = [heard(10 + i, 0.9, who=1 + i % 2, hours=54) for i in range(6)]
    open_ones, hidden = open_days([*few, *many])
    assert (open_ones, hidden) == (many, 1)
    assert open_days([]) == ([], 0)
    assert midnight(NOW) == datetime(2026, 3, 21, tzinfo=UTC) == midnight(NOW + timedelta(hours=11))


def test_a_conversation_falls_rises_or_stays() -> None:
    falling, rising = trend([0.5, 0.6, 0.4, -0.5, -0.7, -0.6]), trend([-0.5, -0.6, -0.4, 0.5, 0.7, 0.6])
    mixed = trend([0.5, -0.6, 0.4, -0.5, 0.7, -0.6])
    assert falling is not None and falling.is_falling and not falling.is_rising  # noqa: PT018 - one thing
    assert rising is not None and rising.is_rising and not rising.is_falling  # noqa: PT018 - as above
    assert mixed is not None and not mixed.is_falling and not mixed.is_rising  # noqa: PT018 - as above
    assert trend([0.5] * 5) is None


@pytest.mark.parametrize("count", [0, 1, 14, 60])
def test_the_picture_is_drawn_of_anything(count: int) -> None:
    messages = [
        heard(i, (-1) ** i * 0.9, "a very long topic that has no room in one line of it", hours=i) for i in range(30)
    ]
    spans = over_time(messages, NOW, timedelta(days=1), count)
    alarms = [NOW - timedelta(hours=3)]
    content = draw_mood("Mood in " + "x" * 100, "30", spans, topics(messages, 9) if count else [], alarms, WORDS)
    picture = Image.open(BytesIO(content))
    assert picture.size == SIZE
    assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 3
