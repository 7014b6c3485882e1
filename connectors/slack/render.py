"""Outgoing messages as Slack's: Markdown stays Markdown (its `markdown` blocks), cut where a reader would cut.

Limits: https://docs.slack.dev/reference/block-kit/blocks and https://docs.slack.dev/reference/methods/chat.update
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from agent.events import Button, Outgoing
from agent.message import Source
from connectors.slack.text import calm, escaped

Block = dict[str, Any]  # one block of Block Kit, whose shape its page gives

PART = 3_500  # UTF-16 units a message: edits above 4,000 are refused
FALLBACK = 3_500  # characters of `text`, read out by notifications and screen readers
CONTEXT = 2_900  # a text in a context block; Slack takes 3,000
LABEL = 75  # a button's text
VALUE = 2_000  # a button's value
ROW = 25  # buttons in one block
SOURCE = 200  # of one source's label
FEEDBACK = ("👍", "👎")

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^`\n]*)", re.MULTILINE)
# Where to cut, best first: a paragraph, a line, a sentence, a word.
_CUTS = tuple(re.compile(pattern) for pattern in (r"\n[ \t]*\n\s*", r"\n", r"(?<=[.!?…])\s+|(?<=[。！？])", r"\s+"))


def parts(outgoing: Outgoing) -> list[Outgoing]:
    """`outgoing` cut into messages; sources, notice, buttons and suggestions stand on the last, pictures behind it."""
    texts = cut(calm(outgoing.text).strip())
    bare = replace(outgoing, sources=(), notice="", buttons=(), suggestions=(), pictures=())
    shown = [*(replace(bare, text=text) for text in texts[:-1]), replace(outgoing, text=texts[-1], pictures=())]
    return shown + [replace(bare, text=one.text, pictures=(one,)) for one in outgoing.pictures]


def cut(text: str) -> list[str]:
    """Pieces of at most PART units; a code block that is cut is closed, and opened again in the next piece."""
    pieces = []
    while _units(text) > PART:
        room = PART - 16 - _longest_fence(text)  # what closing a fence takes
        at = _cut_at(text, _reach(text, room))
        head, tail = text[:at], text[at:]
        fence = _open_fence(head)
        if fence is not None and len(fence[0]) + len(fence[1]) < PART // 4:
            head = head.rstrip("\n") + f"\n{fence[0]}"
            tail = f"{fence[0]}{fence[1]}\n" + tail.removeprefix("\n")
        else:
            head, tail = head.rstrip(), tail.lstrip("\n") if tail.startswith("\n") else tail.lstrip()
        pieces.append(head)
        text = tail
    return [*pieces, text]


def _cut_at(text: str, reach: int) -> int:
    """The best place to cut in text[:reach], in its second half if there is one."""
    for cuts in _CUTS:
        places = [found.start() for found in cuts.finditer(text, reach // 2, reach) if found.start() > reach // 2]
        if places:
            return places[-1]
    return reach


def _open_fence(text: str) -> tuple[str, str] | None:
    """The marker and the language of the code block that `text` ends in."""
    opened: tuple[str, str] | None = None
    for mark, rest in _FENCE.findall(text):
        if opened is None:
            opened = mark, rest.strip()
        elif mark[0] == opened[0][0] and len(mark) >= len(opened[0]) and not rest.strip():
            opened = None
    return opened


def _longest_fence(text: str) -> int:
    return min(max((len(mark) for mark, _ in _FENCE.findall(text)), default=0), PART // 4)


def _units(text: str) -> int:
    """UTF-16 units, the strictest of the ways in which Slack may count."""
    return len(text) + sum(char > "\uffff" for char in text)


def _reach(text: str, units: int) -> int:
    """How many characters of `text` fit into so many units."""
    taken = 0
    for at, char in enumerate(text):
        taken += 1 + (char > "\uffff")
        if taken > units:
            return at
    return len(text)


def blocks(part: Outgoing) -> list[Block]:
    """The blocks of one part: its text, and what stands below."""
    text = calm(part.text).strip()
    return [*([markdown(text)] if text else []), *below(part)]


def below(part: Outgoing) -> list[Block]:
    """What stands under the text: sources, the open word, the buttons."""
    return [*_sources(part.sources), *_notice(part.notice), *_buttons(part.buttons)]


def markdown(text: str) -> Block:
    return {"type": "markdown", "text": text}


def stop_row(stop: Button | None) -> list[Block]:
    return _buttons((stop,)) if stop else []


def fallback(part: Outgoing) -> str:
    """What a notification and a screen reader say."""
    return escaped(calm(part.text).strip() or part.notice or "…", FALLBACK)


def _sources(sources: Sequence[Source]) -> Iterator[Block]:
    lines: list[str] = []
    for source in sources:
        one = f"[{source.number}] {_short(source.label, SOURCE)}"
        if lines and len(lines[-1]) + 3 + len(one) <= CONTEXT:
            lines[-1] += f" · {one}"
        else:
            lines.append(one)
    if lines:
        yield {"type": "context", "elements": [_plain(line) for line in lines[:10]]}


def _notice(notice: str) -> Iterator[Block]:
    if notice.strip():
        yield {"type": "context", "elements": [_plain(_short(notice, CONTEXT))]}


def _buttons(buttons: Sequence[Button]) -> list[Block]:
    """A 👍 and a 👎 become Slack's own feedback buttons, all others a row."""
    thumbs = [next((one for one in buttons if one.label.startswith(sign)), None) for sign in FEEDBACK]
    rows: list[Block] = []
    if thumbs[0] and thumbs[1]:
        good, bad = thumbs[0], thumbs[1]
        pair = {
            "type": "feedback_buttons",
            "action_id": f"{good.id}.{bad.id}",
            "positive_button": {"text": _plain(_label(good)), "value": _value(good)},
            "negative_button": {"text": _plain(_label(bad)), "value": _value(bad)},
        }
        rows.append({"type": "context_actions", "elements": [pair]})
        buttons = [one for one in buttons if one not in thumbs]
    for at in range(0, len(buttons), ROW):
        row = [
            {"type": "button", "action_id": one.id, "text": _plain(_label(one), emoji=True), "value": _value(one)}
            for one in buttons[at : at + ROW]
        ]
        rows.append({"type": "actions", "elements": row})
    return rows


def _label(button: Button) -> str:
    return _short(button.label, LABEL) or "…"


def _value(button: Button) -> str:
    """What comes back when it is pressed: its id, and the question of its form, which must be known at that moment."""
    if not button.form:
        return button.id
    form = button.form
    while len(value := json.dumps({"id": button.id, "form": form}, ensure_ascii=False)) > VALUE:
        form = form[: len(form) - max(1, (len(value) - VALUE) // 6)]
    return value


def _plain(text: str, *, emoji: bool = False) -> Block:
    return {"type": "plain_text", "text": text, "emoji": emoji}


def _short(text: str, limit: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
