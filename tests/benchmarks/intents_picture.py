"""Accuracy against time, a panel a set with its goal, as a picture that can be read on a telephone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from finetune.training.picture import ticks

WIDTH, HEIGHT, ACROSS = 600, 440, 2  # of a panel, and how many stand side by side
LEFT, TOP, RIGHT, BOTTOM = 100, 70, 560, 350  # of a panel's plot
HEAD, FOOT = 70, 50
PAPER, INK, GRID, LINE, GOAL = "#ffffff", "#222222", "#e2e2e2", "#1f6fb5", "#2a7d6b"
TEXT, DASH = 26, 12  # pixels

Point = tuple[float, float]  # multiples of one encoder pass, the set's measure


@dataclass(frozen=True, slots=True)
class Panel:
    """One set. goal: of its measure, the issue's."""

    title: str
    points: Sequence[Point]
    goal: float


def draw_curve(panels: Sequence[Panel], file: Path) -> None:
    """Draw each set's points by time, the best one named, and its goal as a broken line."""
    down = -(-len(panels) // ACROSS)
    picture = Image.new("RGB", (WIDTH * ACROSS, HEAD + HEIGHT * down + FOOT), PAPER)
    pen = ImageDraw.Draw(picture)
    large = ImageFont.load_default(TEXT + 8)
    pen.text((LEFT - 60, 24), "What is read right, by the time a message takes (broken: the goal)", INK, large)
    last = max((x for panel in panels for x, _ in panel.points), default=2.0)
    for i, panel in enumerate(panels):
        _draw(pen, panel, (WIDTH * (i % ACROSS), HEAD + HEIGHT * (i // ACROSS)), max(2.0, last))
    middle, foot = WIDTH * ACROSS / 2, HEAD + HEIGHT * down
    pen.text((middle, foot), "time of a message, in encoder passes", INK, ImageFont.load_default(TEXT), anchor="mt")
    picture.save(file, "PNG", optimize=True)


def _draw(pen: ImageDraw.ImageDraw, panel: Panel, corner: Point, last: float) -> None:
    small = ImageFont.load_default(TEXT)
    x0, y0 = corner
    values = [panel.goal, *(y for _, y in panel.points)]
    marks = ticks(min(values), max(values))
    low, high = marks[0], marks[-1]

    def at(point: Point) -> Point:
        across, up = (point[0] - 1.0) / (last - 1.0), (point[1] - low) / (high - low)
        return x0 + LEFT + across * (RIGHT - LEFT), y0 + BOTTOM - up * (BOTTOM - TOP)

    pen.text((x0 + LEFT, y0 + 24), panel.title, INK, small)
    digits = next(d for d in (2, 3, 4) if d == 4 or all(abs(mark - round(mark, d)) < 1e-9 for mark in marks))
    for mark in marks:
        y = at((1.0, mark))[1]
        pen.line([(x0 + LEFT, y), (x0 + RIGHT, y)], GRID, 2)
        pen.text((x0 + LEFT - 12, y), f"{mark:.{digits}f}", INK, small, anchor="rm")
    for share, anchor in ((0.0, "lt"), (0.5, "mt"), (1.0, "rt")):
        x = x0 + LEFT + share * (RIGHT - LEFT)
        pen.text((x, y0 + BOTTOM + 16), f"{1 + share * (last - 1):.1f}", INK, small, anchor=anchor)
    goal = at((1.0, panel.goal))[1]
    for x in range(int(x0) + LEFT, int(x0) + RIGHT, 2 * DASH):
        pen.line([(x, goal), (x + DASH, goal)], GOAL, 4)
    places = [at(point) for point in sorted(panel.points)]
    if len(places) > 1:
        pen.line(places, LINE, 5, joint="curve")
    for x, y in places:
        pen.ellipse([x - 8, y - 8, x + 8, y + 8], LINE)
    if panel.points:
        best = max(panel.points, key=lambda point: point[1])
        x, y = at(best)
        is_last, figure = x >= x0 + RIGHT - 60, f"{best[1]:.3f}"
        if goal < y < goal + 2 * TEXT:  # above it the goal's line would cross the figure
            pen.text((x if is_last else x + 12, y + 18), figure, LINE, small, anchor="rt" if is_last else "lt")
        else:
            side = "r" if is_last else "m" if x > x0 + LEFT + 60 else "l"
            pen.text((x, y - 14), figure, LINE, small, anchor=f"{side}s")


def panels_of(curves: Mapping[str, Sequence[Point]], goals: Mapping[str, float]) -> list[Panel]:
    """A panel for each set, in the order of `goals`, titled with what is measured."""
    titles = {"tweeteval": "tweeteval, macro-recall", "banking77-10": "banking77, ten examples"}
    named = {name: titles.get(name, name.replace("-", ", rows: ")) for name in goals}
    return [Panel(named[name], curves[name], goal) for name, goal in goals.items() if len(curves.get(name, ())) > 1]
