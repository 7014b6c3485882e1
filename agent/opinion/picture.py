"""The mood of a channel as a picture that can be read on a telephone, and by people who do not tell all colours apart.

Above, how many messages there were in each stretch of time, the negative ones below the line and the others above it;
below, the topics with the share of negative messages and its bounds. Colours are of Okabe & Ito's palette (2008), and
each part is also told by where it stands.
"""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime

from PIL import Image, ImageDraw

from agent.lettering import write
from agent.opinion.mood import Span, Topic

SIZE = (1200, 1340)
LEFT, RIGHT = 70, 1130
TOP, LINE, BOTTOM = 250, 520, 700  # of the bars: upper end, the line, lower end
TOPICS = 820  # where they begin
ROW = 74
PAPER, INK, SOFT, FAINT = "#ffffff", "#222222", "#5f5f5f", "#dddddd"
BAD, CALM, GOOD = "#d55e00", "#bdbdbd", "#0072b2"
TITLE, TEXT, SMALL = 46, 32, 28  # pixels: 2.5 mm and more where the picture is as wide as a telephone
MOST = 6  # topics


def draw_mood(
    title: str,
    line: str,
    spans: Sequence[Span],
    topics: Sequence[Topic],
    alarms: Sequence[datetime],
    words: Mapping[str, str],
) -> bytes:
    """The picture as a PNG.

    line: figures under the title. words: what the parts are called, in the reader's language: `negative`, `neutral`,
    `positive`, `topics`, `alarm`, `none`.
    """
    picture = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(picture)
    write(pen, (LEFT, 36), title, TITLE, INK, width=RIGHT - LEFT)
    write(pen, (LEFT, 102), line, TEXT, SOFT, width=RIGHT - LEFT)
    _legend(pen, words)
    _bars(pen, spans, alarms, words)
    write(pen, (LEFT, TOPICS - 58), words["topics"], TEXT, INK, width=RIGHT - LEFT)
    if not topics:
        write(pen, (LEFT, TOPICS + 6), words["none"], SMALL, SOFT, width=RIGHT - LEFT)
    for i, topic in enumerate(topics[:MOST]):
        _row(pen, topic, TOPICS + i * ROW)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _legend(pen: ImageDraw.ImageDraw, words: Mapping[str, str]) -> None:
    x = float(LEFT)
    for name, colour in (("positive", GOOD), ("neutral", CALM), ("negative", BAD)):
        pen.rectangle((x, 170, x + 28, 198), colour)
        x += 84 + write(pen, (x + 40, 184), words[name], SMALL, INK, anchor="lm")


def _bars(
    pen: ImageDraw.ImageDraw,
    spans: Sequence[Span],
    alarms: Sequence[datetime],
    words: Mapping[str, str],
) -> None:
    if not spans:
        return
    up = max([each.shares.neutral + each.shares.positive for each in spans] + [1])
    down = max([each.shares.negative for each in spans] + [1])
    unit = min((LINE - TOP) / up, (BOTTOM - LINE) / down)
    step = (RIGHT - LEFT) / len(spans)
    wide = step * 0.72
    for i, each in enumerate(spans):
        x = LEFT + i * step + (step - wide) / 2
        shares = each.shares
        calm = LINE - shares.neutral * unit
        pen.rectangle((x, calm, x + wide, LINE), CALM)
        pen.rectangle((x, calm - shares.positive * unit, x + wide, calm), GOOD)
        pen.rectangle((x, LINE, x + wide, LINE + shares.negative * unit), BAD)
        if any(each.begins <= at < _end(spans, i) for at in alarms):
            low = LINE + shares.negative * unit
            pen.polygon([(x + wide / 2, low + 8), (x + wide / 2 - 14, low + 34), (x + wide / 2 + 14, low + 34)], INK)
            write(pen, (x + wide / 2, low + 52), words["alarm"], SMALL, INK, anchor="mm")
    pen.line((LEFT, LINE, RIGHT, LINE), INK, 2)
    shown = (0, len(spans) // 2, len(spans) - 1) if len(spans) > 2 else range(len(spans))
    for i in shown:
        x = min(max(LEFT + (i + 0.5) * step, LEFT + 60), RIGHT - 60)
        write(pen, (x, BOTTOM + 26), f"{spans[i].begins:%m-%d}", SMALL, SOFT, anchor="mm")
    tallest = max(spans, key=lambda each: each.shares.neutral + each.shares.positive)
    count = tallest.shares.neutral + tallest.shares.positive
    top = LINE - count * unit
    x = LEFT + spans.index(tallest) * step + step / 2
    write(pen, (x, top - 18), str(count), SMALL, SOFT, anchor="mm")


def _end(spans: Sequence[Span], i: int) -> datetime:
    return (
        spans[i].begins + (spans[1].begins - spans[0].begins)
        if len(spans) > 1
        else datetime.max.replace(tzinfo=spans[0].begins.tzinfo)
    )


def _row(pen: ImageDraw.ImageDraw, topic: Topic, y: int) -> None:
    """Name, count, and the share of negative messages as a bar with its bounds."""
    begins, width = 560, 420
    write(pen, (LEFT, y + 22), topic.name, TEXT, INK, anchor="lm", width=begins - LEFT - 110)
    write(pen, (begins - 24, y + 22), str(topic.shares.count), SMALL, SOFT, anchor="rm")
    low, high = topic.shares.bounds
    pen.rectangle((begins, y + 6, begins + width, y + 38), FAINT)
    pen.rectangle((begins, y + 6, begins + width * topic.shares.share, y + 38), BAD)
    for at in (low, high):
        pen.line((begins + width * at, y + 2, begins + width * at, y + 42), INK, 3)
    pen.line((begins + width * low, y + 22, begins + width * high, y + 22), INK, 3)
    write(pen, (begins + width + 24, y + 22), f"{topic.shares.share:.0%}", TEXT, INK, anchor="lm")
