"""The idea map as a picture that can be read on a telephone, and by people who do not tell all colours apart.

Who made an idea shows in its shape: a circle is people's, a square the machine's. Groups have a colour of Okabe & Ito's
palette (2008) each, and their label beside them; the size of a mark goes with the votes, the best have their number.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from agent.ideation.groups import Group
from agent.ideation.labels import label
from agent.ideation.layout import Points, apart
from agent.lettering import Font, lettered

SIZE = (1200, 1200)
LEFT, TOP, RIGHT, BOTTOM = 70, 240, 1130, 1020
PAPER, INK, SOFT = "#ffffff", "#222222", "#666666"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#555555")
LIGHT = frozenset({"#e69f00", "#56b4e9", "#cc79a7", "#bbbbbb"})  # white numbers would be faint on these
TEXT, SMALL = 36, 30  # pixels: 3 mm and more where the picture is as wide as a telephone
APART = 300  # marks that are moved off each other
LABELS = 8  # groups that are named, and have a colour
OTHERS = "#bbbbbb"  # the rest of the groups
NUMBERED = 60  # ideas up to which every mark has its number; of more, only the leading ones


@dataclass(frozen=True, slots=True)
class Mark:
    """One idea on the map. votes: 0 to 1, of the most voted. is_machine: the machine made most of it."""

    id: str
    votes: float = 0.0
    is_machine: bool = False
    is_decided: bool = False


Box = tuple[float, float, float, float]


def draw_map(
    title: str, marks: Sequence[Mark], points: Points, groups: Sequence[Group], note: str = "", language: str = ""
) -> bytes:
    """The map as a PNG. points: of the marks, in the unit square, (n, 2). note: a line of figures below.

    language: that the legend is written in.
    """
    picture = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(picture)
    (title, large), (note, small) = lettered(title, TEXT + 10), lettered(note, SMALL)
    for i, line in enumerate(_wrapped(title, large, RIGHT - LEFT, pen)):
        pen.text((LEFT, 36 + i * 58), line, INK, large)
    shades = [*PALETTE[:LABELS], *[OTHERS] * len(groups)]
    colour = {idea: shades[i] for i, group in enumerate(groups) for idea in group.ideas}
    size = _size(len(marks))
    at = _spots(marks, points, size)
    leading = {mark.id for mark in sorted(marks, key=lambda each: -each.votes)[:8] if mark.votes > 0}
    taken: list[Box] = []
    for mark in sorted(marks, key=lambda each: (each.is_decided, each.votes)):
        taken.append(_draw_mark(pen, mark, at[mark.id], size, colour.get(mark.id, PALETTE[0])))
        if len(marks) <= NUMBERED or mark.id in leading:
            _number(pen, mark, at[mark.id], size, INK if colour.get(mark.id) in LIGHT else PAPER)
    for i, group in enumerate(groups[:LABELS]):
        spots = [at[each] for each in group.ideas if each in at]
        if spots:
            _label(pen, group.label, spots, PALETTE[i], taken)
    _legend(pen, marks, note, small, language)
    out = io.BytesIO()
    picture.save(out, "PNG")  # optimizing takes three times as long for 4% of the size
    return out.getvalue()


def _size(count: int) -> float:
    """Half the width of a mark without votes, in pixels."""
    return float(np.clip(150 / np.sqrt(max(count, 1)), 6, 26))


def _spots(marks: Sequence[Mark], points: Points, size: float) -> dict[str, tuple[float, float]]:
    """Where each mark is drawn, in pixels; few enough ones are moved until none hides another."""
    frame = np.array([[LEFT, TOP], [RIGHT, BOTTOM]], dtype=float)
    spots = frame[0] + points * (frame[1] - frame[0])
    if len(marks) <= APART:
        halves = np.array([size * (1 + 0.9 * mark.votes) + (10 if mark.is_decided else 3) for mark in marks])
        for _ in range(4):
            spots = np.clip(apart(spots, halves), frame[0], frame[1])
    return {mark.id: (float(x), float(y)) for mark, (x, y) in zip(marks, spots, strict=True)}


def _draw_mark(pen: ImageDraw.ImageDraw, mark: Mark, spot: tuple[float, float], size: float, colour: str) -> Box:
    half = size * (1 + 0.9 * mark.votes)
    x, y = spot
    box = (x - half, y - half, x + half, y + half)
    draw = pen.rectangle if mark.is_machine else pen.ellipse
    if mark.is_decided:
        ring = tuple(edge + (-9 if i < 2 else 9) for i, edge in enumerate(box))
        draw(ring, PAPER, INK, 5)
    draw(box, colour, PAPER, 2)
    return box


def _number(pen: ImageDraw.ImageDraw, mark: Mark, spot: tuple[float, float], size: float, ink: str) -> None:
    """Inside the mark where there is room, else beside it."""
    half = size * (1 + 0.9 * mark.votes)
    if half >= 17:
        pen.text(spot, mark.id, ink, ImageFont.load_default(min(30, half * 1.25)), anchor="mm")
    else:
        beside = (spot[0] + half + 4, spot[1])
        pen.text(beside, mark.id, INK, ImageFont.load_default(24), anchor="lm", stroke_width=3, stroke_fill=PAPER)


def _label(
    pen: ImageDraw.ImageDraw, text: str, spots: Sequence[tuple[float, float]], colour: str, taken: list[Box]
) -> None:
    """A group's label above it, below or beside it, where it hides least."""
    text, font = lettered(text, SMALL)
    text = text if len(text) <= 34 else f"{text[:33].rstrip(' ,')}…"
    width = pen.textlength(text, font)
    xs, ys = [each[0] for each in spots], [each[1] for each in spots]
    x, y, wide = float(np.mean(xs)), float(np.mean(ys)), width / 2 + 50
    choices = [(x, min(ys) - 52), (x, max(ys) + 52), (x, min(ys) - 96), (x, max(ys) + 96)]
    choices += [(max(xs) + wide, y), (min(xs) - wide, y), (min(xs), min(ys) - 52), (max(xs), max(ys) + 52)]
    low, high = (LEFT - 40 + width / 2, TOP - 52), (RIGHT + 40 - width / 2, BOTTOM + 48)
    middles = [(float(np.clip(x, low[0], high[0])), float(np.clip(y, low[1], high[1]))) for x, y in choices]
    boxes = [(x - width / 2 - 6, y - 20, x + width / 2 + 6, y + 20) for x, y in middles]
    best = min(boxes, key=lambda box: sum(_overlap(box, each) for each in taken))
    taken.append(tuple(edge + (-8 if i < 2 else 8) for i, edge in enumerate(best)))  # type: ignore[arg-type]  # four edges stay four
    middle = ((best[0] + best[2]) / 2, (best[1] + best[3]) / 2)
    pen.rectangle((best[0], best[3] - 1, best[2], best[3] + 3), colour)
    pen.text(middle, text, INK, font, anchor="mm", stroke_width=4, stroke_fill=PAPER)


def _overlap(first: Box, second: Box) -> float:
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    return wide * high if wide > 0 and high > 0 else 0.0


def _legend(pen: ImageDraw.ImageDraw, marks: Sequence[Mark], note: str, font: Font, language: str) -> None:
    y, x = 1112.0, float(LEFT)
    entries = [("map_people", False, False)]
    entries += [("map_machine", True, False)] if any(each.is_machine for each in marks) else []
    entries += [("map_decided", False, True)] if any(each.is_decided for each in marks) else []
    for name, is_machine, is_decided in entries:
        words, legible = lettered(label(language, name), SMALL)
        _draw_mark(pen, Mark("", 0, is_machine, is_decided), (x + 14, y), 13, SOFT)
        beside = 50 if is_decided else 42
        pen.text((x + beside, y), words, INK, legible, anchor="lm")
        x += beside + pen.textlength(words, legible) + 44
    if any(each.votes for each in marks):
        words, legible = lettered(label(language, "map_larger"), SMALL)
        pen.text((x, y), words, INK, legible, anchor="lm")
    if note:
        pen.text((LEFT, y + 48), note, SOFT, font, anchor="lm")


def _wrapped(text: str, font: Font, width: float, pen: ImageDraw.ImageDraw) -> list[str]:
    """At most two lines; what does not fit ends in an ellipsis."""
    lines = [""]
    for word in " ".join(text.split()).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, font) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    shown = lines[:2]
    cut = len(lines) > 2
    while shown[-1] and pen.textlength(shown[-1] + ("…" if cut else ""), font) > width:
        shown[-1], cut = shown[-1][:-1], True
    shown[-1] += "…" if cut else ""
    return shown
