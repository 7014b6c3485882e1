"""The gate's three differences and how the suite was met, as a picture that can be read on a telephone."""

from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from agent.lettering import write
from finetune.gate.gate import LOSS, Measure, Verdict
from finetune.gate.grounded import RIGHT, Kind
from finetune.gate.speaking import CANDIDATE, LIVE

SIZE = (1200, 1130)
PAPER, INK, GRID, FAINT, GOOD, BAD, ZONE = "#ffffff", "#222222", "#d8d8d8", "#9a9a9a", "#1f6fb5", "#c2361b", "#fbe9e5"
LEFT, RIGHT_EDGE, MIDDLE = 60, 1140, 600
REACH = 3.0  # margins that the axis shows to each side; what lies beyond ends in an arrow
TEXT, LARGE = 30, 40
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
_KINDS = {Kind.ANSWERABLE: "a passage answers", Kind.UNANSWERABLE: "none answers", Kind.FORBIDDEN: "not for the asker"}


def draw(verdict: Verdict) -> bytes:
    """The picture as a PNG."""
    picture = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(picture)
    small = ImageFont.load_default(TEXT)
    title = f"{'Accepted' if verdict.accepted else 'Rejected'}: candidate against {verdict.against}"
    write(pen, (LEFT, 24), title, LARGE, GOOD if verdict.accepted else BAD, width=RIGHT_EDGE - LEFT)
    zone = MIDDLE - (MIDDLE - LEFT) / REACH
    pen.rectangle([LEFT, 96, zone, 600], ZONE)
    pen.text((LEFT + 10, 104), "worse than allowed", BAD, small)
    pen.text((RIGHT_EDGE, 104), "better", INK, small, anchor="rt")
    pen.line([(MIDDLE, 100), (MIDDLE, 600)], INK, 3)
    pen.line([(zone, 100), (zone, 600)], BAD, 3)
    for number, measure in enumerate(verdict.measures):
        _interval(pen, measure, 160 + number * 150, small)
    if verdict.outcomes:
        _bars(pen, verdict, 660, small)
    written = BytesIO()
    picture.save(written, "PNG", optimize=True)
    return written.getvalue()


def _interval(pen: ImageDraw.ImageDraw, measure: Measure, top: float, font: Font) -> None:
    """One difference with its interval, in margins, so turned that the right is better."""
    sign = -1 if measure.name == LOSS else 1
    d = measure.difference
    ends = sorted(sign * each / measure.margin for each in (d.low, d.high))
    colour = FAINT if not measure.is_judged else GOOD if measure.passes else BAD
    y = top + 78
    first, last = (_place(each) for each in ends)
    pen.line([(first, y), (last, y)], colour, 8)
    for place, end, way in ((first, ends[0], -1), (last, ends[1], 1)):
        if abs(end) > REACH:
            pen.polygon([(place + 20 * way, y), (place, y - 16), (place, y + 16)], colour)
        else:
            pen.line([(place, y - 16), (place, y + 16)], colour, 6)
    mean = _place(sign * d.mean / measure.margin)
    pen.ellipse([mean - 13, y - 13, mean + 13, y + 13], colour)
    words = f"{measure.name}: {measure.candidate:.3f} against {measure.live:.3f}"
    words += "" if measure.is_judged else " (too few rows to decide by)"
    width = pen.textlength(words, font)
    pen.rectangle([MIDDLE - width / 2 - 8, top + 6, MIDDLE + width / 2 + 8, top + 46], PAPER)
    pen.text((MIDDLE, top + 10), words, INK, font, anchor="mt")


def _place(margins: float) -> float:
    return MIDDLE + max(-REACH, min(REACH, margins)) / REACH * (MIDDLE - LEFT)


def _bars(pen: ImageDraw.ImageDraw, verdict: Verdict, top: float, font: Font) -> None:
    """Of each kind of question, the share that was met rightly, by both."""
    pen.text((LEFT, top), "Suite: met rightly", INK, font)
    pen.rectangle([420, top + 6, 460, top + 26], GOOD)
    pen.text((474, top), "candidate", INK, font)
    pen.rectangle([660, top + 6, 700, top + 26], FAINT)
    write(pen, (714, top), verdict.against, TEXT, INK, width=RIGHT_EDGE - 714)
    start, end = 380, 1000
    for number, (kind, words) in enumerate(_KINDS.items()):
        y = top + 70 + number * 130
        pen.text((LEFT, y + 26), words, INK, font)
        for row, (who, colour) in enumerate(((CANDIDATE, GOOD), (LIVE, FAINT))):
            counts = verdict.outcomes[who][kind]
            total, right = sum(counts.values()), sum(count for how, count in counts.items() if how in RIGHT)
            length = (end - start) * right / total if total else 0.0
            pen.rectangle([start, y + row * 46, end, y + 38 + row * 46], None, GRID, 2)
            pen.rectangle([start, y + row * 46, start + length, y + 38 + row * 46], colour)
            pen.text((end + 20, y + 3 + row * 46), f"{right} of {total}", INK, font)
