"""What Atelier shows as Telegram has it: text with entities, and buttons under it. Pure.

https://core.telegram.org/bots/api#messageentity: offsets and lengths count UTF-16 units; a message holds at most 4,096
of them and 100 entities.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import telegramify_markdown
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, MessageEntity
from telegramify_markdown import RenderConfig

from agent.events import Button, Outgoing
from connectors.telegram.markdown import LANGUAGE, clean, settle

MOST_UNITS = 4096
MOST_ENTITIES = 100
NOTHING = "…"  # Telegram takes no empty message
ASK = "You could ask:"
_THUMBS = ("👍", "👎")
_ROW = 3  # buttons
_ROW_WIDTH = 36  # characters of labels that a telephone shows side by side
_LINK = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters by category, but nothing to see


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message ready to send. formats: how many entities the text had before those beyond 100 were dropped."""

    text: str
    entities: tuple[MessageEntity, ...]
    formats: int

    @property
    def fits(self) -> bool:
        return units(self.text) <= MOST_UNITS and self.formats <= MOST_ENTITIES


def units(text: str) -> int:
    """The length of `text` as Telegram counts it."""
    return telegramify_markdown.utf16_len(text)


def render(outgoing: Outgoing) -> Rendered:
    """`outgoing` as it is sent: its text, then sources, notice and suggestions, each as a paragraph of its own."""
    text, entities = _converted(settle(outgoing.text))
    for tail, is_italic in _tails(outgoing):
        if text:
            text += "\n\n"
        if is_italic:
            entities.append(MessageEntity(MessageEntity.ITALIC, units(text), units(tail)))
        text += tail
    return _trimmed(text, entities)


def keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    """At most three buttons a row, fewer where their labels are long; thumbs stand together."""
    rows: list[list[Button]] = []
    for button in buttons:
        row = rows[-1] if rows else []
        labels = [*(other.label for other in row), button.label]
        is_of_a_kind = (button.label in _THUMBS) == bool(row and row[-1].label in _THUMBS)
        if row and is_of_a_kind and len(labels) <= _ROW and sum(map(len, labels)) <= _ROW_WIDTH:
            row.append(button)
        else:
            rows.append([button])
    keys = [[InlineKeyboardButton(clean(b.label), callback_data=b.id) for b in row] for row in rows]
    return InlineKeyboardMarkup(keys) if keys else None


def _tails(outgoing: Outgoing) -> Iterable[tuple[str, bool]]:
    """What stands under the text, and whether in italics. Plain text: a label is no Markdown."""
    if outgoing.sources:
        yield "\n".join(f"[{source.number}] {_line(source.label)}" for source in outgoing.sources), False
    if notice := clean(outgoing.notice).strip():
        yield notice, True
    if outgoing.suggestions:
        yield "\n".join((ASK, *(f"• {_line(question)}" for question in outgoing.suggestions))), False


def _line(text: str) -> str:
    return " ".join(clean(text).split())


def _config() -> RenderConfig:
    config = RenderConfig.isolated()
    symbols = config.markdown_symbol
    symbols.heading_level_1 = symbols.heading_level_2 = symbols.heading_level_3 = symbols.heading_level_4 = ""
    symbols.image = ""
    symbols.unordered_list_item = "•"
    symbols.task_uncompleted = "☐"
    symbols.task_completed = "☑"
    symbols.horizontal_rule = "———"
    return config


_CONFIG = _config()


def _converted(markdown: str) -> tuple[str, list[MessageEntity]]:
    text, found = telegramify_markdown.convert(markdown, latex_escape=False, config=_CONFIG)
    text = text.rstrip("\n")
    entities = []
    for entity in found:
        if entity.type == "custom_emoji" or (entity.type == "text_link" and not _LINK.match(entity.url or "")):
            continue  # an emoji of somebody's set; a link to a person or into the app
        language = entity.language if LANGUAGE.fullmatch(entity.language or "") else None
        entities.append(MessageEntity(entity.type, entity.offset, entity.length, url=entity.url, language=language))
    return text, entities


def _trimmed(text: str, entities: Iterable[MessageEntity]) -> Rendered:
    """Without space around it, which Telegram takes off; entities lie inside it, outer ones first."""
    if not any(_is_visible(character) for character in text):
        return Rendered(NOTHING, (), 0)
    before = units(text) - units(text.lstrip())
    text = text.strip()
    length = units(text)
    kept = []
    for entity in entities:
        start = max(entity.offset - before, 0)
        end = min(entity.offset - before + entity.length, length)
        if end > start:
            kept.append(MessageEntity(entity.type, start, end - start, url=entity.url, language=entity.language))
    kept.sort(key=lambda entity: (entity.offset, -entity.length))
    return Rendered(text, tuple(kept[:MOST_ENTITIES]), len(kept))


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] not in "ZC" and character not in _BLANK
