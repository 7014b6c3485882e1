"""Accuracy against time, a line a set, as a picture that can be read on a telephone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from finetune.training.picture import ticks

SIZE = (1200, 900)
LEFT, TOP, RIGHT, BOTTOM = 140, 150, 1140, 780
PAPER, INK, GRID = "#ffffff", "#222222", "#e2e2e2"
COLOURS = ("#1f6fb5", "#d1490c", "#2a7d6b", "#7a4fa3", "#b58900")
TEXT = 30  # pixels

Point = tuple[float, float]  # multiples of one encoder pass, the set's measure


def draw_curve(lines: Mapping[str, Sequence[Point]], file: Path) -> None:
    """Draw each set's points, by time, with a mark for each and the set's name at the end of its line."""
    picture = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(picture)
    small, large = ImageFont.load_default(TEXT), ImageFont.load_default(TEXT + 8)
    points = [point for line in lines.values() for point in line]
    marks = ticks(min(y for _, y in points), max(y for _, y in points))
    low, high = marks[0], marks[-1]
    first, last = 1.0, max(2.0, *(x for x, _ in points))

    def at(point: Point) -> Point:
        across, up = (point[0] - first) / (last - first), (point[1] - low) / (high - low)
        return LEFT + across * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)

    for mark in marks:
        y = at((first, mark))[1]
        pen.line([(LEFT, y), (RIGHT, y)], GRID, 2)
        pen.text((LEFT - 16, y), f"{mark:.2f}", INK, small, anchor="rm")
    for share in (0.0, 0.5, 1.0):
        x = LEFT + share * (RIGHT - LEFT)
        anchor = {0.0: "lt", 0.5: "mt", 1.0: "rt"}[share]
        pen.text((x, BOTTOM + 18), f"{first + share * (last - first):.1f}", INK, small, anchor=anchor)
    pen.text(((LEFT + RIGHT) / 2, BOTTOM + 60), "time of a message, in encoder passes", INK, small, anchor="mt")
    pen.text((LEFT, 28), "Accuracy (macro-recall of tweeteval) by upper layers trained", INK, large)
    across = float(LEFT)
    for (name, line), colour in zip(lines.items(), COLOURS * len(lines), strict=False):
        places = [at(point) for point in sorted(line)]
        if len(places) > 1:
            pen.line(places, colour, 6, joint="curve")
        for x, y in places:
            pen.ellipse([x - 9, y - 9, x + 9, y + 9], colour)
        pen.rectangle([across, 102, across + 30, 114], colour)
        pen.text((across + 40, 108), name, colour, small, anchor="lm")
        across += 40 + pen.textlength(name, small) + 40
    picture.save(file, "PNG", optimize=True)
