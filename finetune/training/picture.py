"""The losses of a run as a picture that can be read on a telephone."""

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from finetune.training.metrics import read_metrics

FILE = "loss.png"
SIZE = (1200, 900)
LEFT, TOP, RIGHT, BOTTOM = 140, 150, 1160, 790
PAPER, INK, GRID, FAINT, TRAINING, HELD_OUT = "#ffffff", "#222222", "#e2e2e2", "#b9d3ee", "#1f6fb5", "#d1490c"
TEXT = 34  # pixels: about 3 mm where the picture is as wide as a telephone

Point = tuple[float, float]


def draw_losses(folder: Path) -> Path | None:
    """Draw folder/metrics.jsonl as folder/loss.png; None if there is nothing to draw."""
    lines = read_metrics(folder)
    training = [(line["step"], line["loss"]) for line in lines if math.isfinite(line.get("loss", math.nan))]
    held_out = [(line["step"], line["held_out"]) for line in lines if math.isfinite(line.get("held_out", math.nan))]
    if not training and not held_out:
        return None
    picture = Image.new("RGB", SIZE, PAPER)
    _draw(ImageDraw.Draw(picture), training, held_out)
    picture.save(folder / FILE)
    return folder / FILE


def _draw(pen: ImageDraw.ImageDraw, training: Sequence[Point], held_out: Sequence[Point]) -> None:
    smooth = _smoothed(training)
    shown = [loss for _, loss in (*smooth, *held_out)]
    steps = max(step for step, _ in (*training, *held_out)) or 1.0
    marks = ticks(min(shown), max(shown))
    low, high = marks[0], marks[-1]

    def at(point: Point) -> Point:
        share = min(1.0, max(0.0, (point[1] - low) / (high - low)))
        return LEFT + point[0] / steps * (RIGHT - LEFT), BOTTOM - share * (BOTTOM - TOP)

    small, large = ImageFont.load_default(TEXT), ImageFont.load_default(TEXT + 8)
    for mark in marks:
        y = at((0, mark))[1]
        pen.line([(LEFT, y), (RIGHT, y)], GRID, 2)
        pen.text((LEFT - 16, y), f"{mark:.4g}", INK, small, anchor="rm")
    for share in (0.0, 0.5, 1.0):
        x, anchor = LEFT + share * (RIGHT - LEFT), {0.0: "lt", 0.5: "mt", 1.0: "rt"}[share]
        pen.text(
            (x, BOTTOM + 18), f"{'step ' if share == 0.5 else ''}{round(steps * share)}", INK, small, anchor=anchor
        )
    for line, colour, width in ((training, FAINT, 3), (smooth, TRAINING, 6), (held_out, HELD_OUT, 6)):
        if len(line) > 1:
            pen.line([at(point) for point in line], colour, width, joint="curve")
    for x, y in map(at, held_out):
        pen.ellipse([x - 9, y - 9, x + 9, y + 9], HELD_OUT)
    pen.text((LEFT, 28), "Loss per token (lower is better)", INK, large)
    x = float(LEFT)
    for words, colour in (("training", TRAINING), (_held_out_words(held_out), HELD_OUT)):
        if words:
            pen.rectangle([x, 102, x + 40, 114], colour)
            pen.text((x + 54, 108), words, colour, small, anchor="lm")
            x += 54 + pen.textlength(words, small) + 50


def _held_out_words(held_out: Sequence[Point]) -> str:
    """Colours alone do not tell everybody apart which line is which: the numbers stand in words too."""
    if not held_out:
        return ""
    return f"held out: {held_out[0][1]:.3g} at first, {min(loss for _, loss in held_out):.3g} at best"


def _smoothed(points: Sequence[Point]) -> list[Point]:
    """A running mean over about a thirtieth of the run; it begins and ends with the line."""
    reach = len(points) // 60
    return [
        (step, sum(loss for _, loss in near) / len(near))
        for i, (step, _) in enumerate(points)
        if (near := points[max(0, i - reach) : i + reach + 1])
    ]


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers that enclose `low` and `high`."""
    span = (high - low) or max(abs(high), 1.0) * 0.1
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= span / 4)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * i, 12) for i in range(first, max(last, first + 1) + 1)]
