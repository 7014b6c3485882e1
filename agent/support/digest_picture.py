"""The week as one picture that can be read on a telephone, and by people who do not tell all colours apart.

Four parts below each other: questions by day, times and ratings in numbers, the mood by topic, the largest gaps.
Colours are of Okabe & Ito's palette (2008); every part of a bar has its number or its place in words too.
"""

import io
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from agent.lettering import write
from agent.support.digest import Day, Figures, Topic
from agent.support.gaps import Gap

WIDTH = 1200
LEFT, RIGHT = 60, 1140
PAPER, INK, SOFT, GRID = "#ffffff", "#222222", "#666666", "#e2e2e2"
ANSWERED, REFUSED, HANDED = "#0072b2", "#e69f00", "#d55e00"
NEGATIVE, NEUTRAL, POSITIVE = "#d55e00", "#bbbbbb", "#0072b2"
TITLE, TEXT, SMALL = 52, 36, 32  # pixels: 3 mm and more where the picture is as wide as a telephone
CHART = 380  # height of the chart of days
ROW = 92  # of a topic or a gap
SHOWN = 5  # topics and gaps
LABEL = 36  # characters

_WORDS = {
    "en": {
        "title": "Questions, {since} to {until}",
        "answered": "answered",
        "refused": "not in the documents",
        "handed": "to people",
        "reply": "half answered within",
        "person": "by people within",
        "rated": "rated good / bad",
        "topics": "Mood by topic",
        "moods": ("negative", "neutral", "positive"),
        "gaps": "Largest gaps (questions)",
        "days": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    },
    "de": {
        "title": "Fragen, {since} bis {until}",
        "answered": "beantwortet",
        "refused": "nicht in den Dokumenten",
        "handed": "an Menschen",
        "reply": "die Hälfte beantwortet binnen",
        "person": "von Menschen binnen",
        "rated": "gut / schlecht bewertet",
        "topics": "Stimmung nach Themen",
        "moods": ("negativ", "neutral", "positiv"),
        "gaps": "Größte Lücken (Fragen)",
        "days": ("Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"),
    },
}


def draw_week(figures: Figures, language: str = "") -> bytes:
    """The picture as a PNG, 1200 pixels wide and as high as there is to show."""
    words = _WORDS["de" if language.lower().startswith("de") else "en"]
    topics, gaps = figures.topics[:SHOWN], figures.gaps[:SHOWN]
    height = 840 + (150 + ROW * len(topics) if topics else 0) + (100 + ROW * len(gaps) if gaps else 0)
    picture = Image.new("RGB", (WIDTH, height), PAPER)
    pen = ImageDraw.Draw(picture)
    title = str(words["title"]).format(since=f"{figures.since:%d.%m.}", until=f"{figures.until:%d.%m.%Y}")
    write(pen, (LEFT, 36), title, TITLE, INK)
    _legend(pen, 128, [(str(words[name]), colour) for name, colour in _PARTS])
    y = _days(pen, 200, figures.days, words["days"])
    y = _numbers(pen, y + 96, figures, words)
    if topics:
        y = _topics(pen, y + 60, topics, words)
    if gaps:
        _gaps(pen, y + 60, gaps, str(words["gaps"]))
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


_PARTS = (("answered", ANSWERED), ("refused", REFUSED), ("handed", HANDED))


def _legend(pen: ImageDraw.ImageDraw, y: int, entries: Sequence[tuple[str, str]]) -> None:
    x = float(LEFT)
    for words, colour in entries:
        pen.rectangle((x, y + 4, x + 28, y + 32), colour)
        x += 80 + write(pen, (x + 40, y + 18), words, SMALL, INK, anchor="lm")


def _days(pen: ImageDraw.ImageDraw, top: int, days: Sequence[Day], names: Sequence[str]) -> int:
    """A bar a day, of answered above refused, and beside it what went to people; where it ends."""
    bottom = top + CHART
    most = max([1, *(each.answered + each.refused for each in days), *(each.handed for each in days)])
    step = (RIGHT - LEFT) / len(days)
    pen.line([(LEFT, bottom), (RIGHT, bottom)], GRID, 3)
    for place, day in enumerate(days):
        x, y = LEFT + place * step, float(bottom)
        for count, colour in ((day.answered, ANSWERED), (day.refused, REFUSED)):
            high = count / most * (CHART - 50)
            pen.rectangle((x + 0.12 * step, y - high, x + 0.62 * step, y), colour) if count else None
            y -= high
        if day.answered + day.refused:
            middle = x + 0.37 * step
            write(pen, (middle, y - 8), str(day.answered + day.refused), SMALL, INK, anchor="mb")
        if day.handed:
            high = day.handed / most * (CHART - 50)
            pen.rectangle((x + 0.66 * step, bottom - high, x + 0.88 * step, bottom), HANDED)
            write(pen, (x + 0.77 * step, bottom - high - 8), str(day.handed), SMALL, INK, anchor="mb")
        label = f"{names[day.day.weekday()]} {day.day.day}."
        write(pen, (x + 0.5 * step, bottom + 14), label, SMALL, INK, anchor="mt")
    return bottom


def _numbers(pen: ImageDraw.ImageDraw, y: int, figures: Figures, words: Mapping[str, object]) -> int:
    """What is best said in numbers; where it ends."""
    facts = []
    if figures.reply is not None:
        facts.append((f"{words['reply']}", f"{figures.reply:.1f} s"))
    if figures.person is not None:
        facts.append((f"{words['person']}", _time(figures.person)))
    if figures.liked or figures.disliked:
        facts.append((f"{words['rated']}", f"{figures.liked} / {figures.disliked}"))
    wide = (RIGHT - LEFT) / max(1, len(facts))
    for place, (name, value) in enumerate(facts):
        write(pen, (LEFT + place * wide, y), value, TEXT + 14, INK)
        write(pen, (LEFT + place * wide, y + 62), name, SMALL - 4, SOFT, width=wide - 20)
    return y + 100


def _time(seconds: float) -> str:
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"


def _topics(pen: ImageDraw.ImageDraw, y: int, topics: Sequence[Topic], words: Mapping[str, object]) -> int:
    write(pen, (LEFT, y), str(words["topics"]), TEXT + 6, INK)
    moods = words["moods"]
    assert isinstance(moods, tuple)
    _legend(pen, y + 58, list(zip(moods, (NEGATIVE, NEUTRAL, POSITIVE), strict=True)))
    y += 112
    for topic in topics:
        write(pen, (LEFT, y), f"{_short(topic.label)} ({topic.questions})", SMALL, INK, width=RIGHT - LEFT)
        x = float(LEFT)
        for share, colour in ((topic.negative, NEGATIVE), (topic.neutral, NEUTRAL), (topic.positive, POSITIVE)):
            wide = share * (RIGHT - LEFT)
            if wide >= 1:
                pen.rectangle((x, y + 42, x + wide, y + 74), colour)
            if wide > 90:
                ink = INK if colour == NEUTRAL else PAPER
                write(pen, (x + wide / 2, y + 58), f"{share:.0%}", 26, ink, anchor="mm")
            x += wide
        y += ROW
    return y


def _gaps(pen: ImageDraw.ImageDraw, y: int, gaps: Sequence[Gap], title: str) -> None:
    write(pen, (LEFT, y), title, TEXT + 6, INK)
    y += 60
    most = max(gap.count for gap in gaps)
    for gap in gaps:
        write(pen, (LEFT, y), _short(gap.label), SMALL, INK, width=RIGHT - LEFT)
        wide = gap.count / most * (RIGHT - LEFT - 90)
        pen.rectangle((LEFT, y + 42, LEFT + wide, y + 74), REFUSED)
        write(pen, (LEFT + wide + 14, y + 58), str(gap.count), SMALL, INK, anchor="lm")
        y += ROW


def _short(label: str) -> str:
    return label if len(label) <= LABEL else f"{label[: LABEL - 1].rstrip(' ,')}…"
