"""Risk over coverage as a picture that can be read on a telephone."""

from collections.abc import Mapping, Sequence
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

SIZE = (1200, 1000)
LEFT, TOP, RIGHT, BOTTOM = 150, 250, 1150, 880
PAPER, INK, GRID = "#ffffff", "#222222", "#e2e2e2"
COLOURS = ("#1f6fb5", "#b9d3ee", "#2e8b57", "#b5dcc4", "#d1490c", "#f0c1ad")
TEXT = 30


def draw(curves: Mapping[str, Sequence[tuple[float, float]]], goal: float = 0.05) -> bytes:
    """A PNG. curves: by name, points of the share answered and of those the share wrong. goal: a line across."""
    picture = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(TEXT)
    for number, name in enumerate(curves):
        left, top = 40 + number % 2 * 560, 30 + number // 2 * 56
        pen.line([(left, top + 18), (left + 60, top + 18)], COLOURS[number], 8)
        pen.text((left + 76, top), name, INK, font)
    for step in range(6):
        share = step / 5
        x, y = _x(share), _y(share)
        pen.line([(LEFT, y), (RIGHT, y)], GRID, 2)
        pen.text((LEFT - 14, y), f"{share:.0%}", INK, font, anchor="rm")
        pen.text((x, BOTTOM + 14), f"{share:.0%}", INK, font, anchor="mt")
    pen.line([(LEFT, _y(goal)), (RIGHT, _y(goal))], INK, 2)
    pen.text((LEFT, TOP - 56), "of the answers, wrong", INK, font)
    pen.text((RIGHT, BOTTOM + 58), "of the questions, answered", INK, font, anchor="rt")
    for number, points in enumerate(curves.values()):
        pen.line([(_x(x), _y(y)) for x, y in points], COLOURS[number], 5)
    written = BytesIO()
    picture.save(written, "PNG", optimize=True)
    return written.getvalue()


def _x(share: float) -> float:
    return LEFT + share * (RIGHT - LEFT)


def _y(share: float) -> float:
    return BOTTOM - share * (BOTTOM - TOP)
