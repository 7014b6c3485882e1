"""Text as Telegram counts and formats it: UTF-16 units, entities, HTML, what is recognised on its own."""

import html
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from tests.emulators.telegram_markdown import parse_markdown
from tests.emulators.telegram_values import Entity, Json, bad_request

# Undocumented but constant for years; python-telegram-bot's constants.MessageLimit.MESSAGE_ENTITIES says the same.
MOST_ENTITIES = 100


class Formatted(NamedTuple):
    """Text with its entities; dropped: how many of the bot's entities were beyond the 100th."""

    text: str
    entities: tuple[Json, ...]
    dropped: int


def utf16(text: str) -> int:
    """The length in UTF-16 code units, Telegram's unit everywhere. https://core.telegram.org/bots/api#messageentity"""
    return len(text) + sum(character > "\uffff" for character in text)


def covered(text: str, entity: Json) -> str:
    """The stretch of text that an entity covers."""
    raw = text.encode("utf-16-le")
    start = 2 * int(entity["offset"])
    return raw[start : start + 2 * int(entity["length"])].decode("utf-16-le", "replace")


def as_entities(text: str, entities: Sequence[Json]) -> tuple[Entity, ...]:
    return tuple(
        Entity(
            entity["type"],
            entity["offset"],
            entity["length"],
            covered(text, entity),
            entity.get("url"),
            entity.get("language"),
        )
        for entity in entities
    )


def format_text(text: str, parse_mode: str, entities: object) -> Formatted:
    """Apply `parse_mode` or explicit entities, trim, add what Telegram recognises on its own.

    https://core.telegram.org/bots/api#formatting-options; raises ApiError "can't parse entities".
    """
    mode = parse_mode.lower()
    if mode == "html":
        text, found = parse_html(text)
    elif mode == "markdownv2":
        text, found = parse_markdown(text)
    elif mode:  # legacy Markdown is not emulated: nothing new should use it
        raise bad_request("unsupported parse_mode")
    else:
        found = _explicit(text, entities)
    text, found = _trim(text, found)
    found.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    kept = found[:MOST_ENTITIES]
    return Formatted(text, (*_merge(kept, recognise(text)),), len(found) - len(kept))


def _explicit(text: str, entities: object) -> list[Json]:
    """Check entities as the server does. https://core.telegram.org/bots/api#messageentity"""
    if not entities:
        return []
    if not isinstance(entities, list):
        raise bad_request("can't parse entities: expected an Array")
    end_of_text = utf16(text)
    boundaries = _boundaries(text)
    checked = []
    for entity in entities:
        if not isinstance(entity, dict) or not isinstance(entity.get("type"), str):
            raise bad_request("can't parse entities: expected an Object with a type")
        offset, length = entity.get("offset"), entity.get("length")
        if not isinstance(offset, int) or not isinstance(length, int) or offset < 0 or length < 0:
            raise bad_request("can't parse entities: receive an entity with incorrect offset or length")
        begins = f"entity beginning at UTF-16 offset {offset}"
        if offset + length > end_of_text:
            raise bad_request(f"can't parse entities: {begins} ends after the end of the text at {end_of_text}")
        if not {offset, offset + length} <= boundaries:
            raise bad_request(f"can't parse entities: {begins} begins or ends in the middle of a UTF-16 symbol")
        if entity["type"] == "text_link" and not entity.get("url"):
            raise bad_request("can't parse entities: a text_link needs a url")
        if length:
            checked.append(entity)
    return checked


def _boundaries(text: str) -> set[int]:
    """Offsets in UTF-16 units at which a character begins, and the end."""
    offset = 0
    found = {0}
    for character in text:
        offset += utf16(character)
        found.add(offset)
    return found


def _trim(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    """Cut white space at both ends, as the server does; at the front only up to the first entity."""
    cut = len(text) - len(text.lstrip(" \n"))
    cut = min([cut, *(entity["offset"] for entity in entities)])
    text = text[cut:].rstrip()
    end = utf16(text)
    trimmed = []
    for entity in entities:
        offset = entity["offset"] - cut
        length = min(entity["length"], end - offset)
        if length > 0:
            trimmed.append({**entity, "offset": offset, "length": length})
    return text, trimmed


_KNOWN = re.compile(
    r"(?P<email>\b[\w.+-]+@(?:\w(?:[\w-]{0,28}\w)?\.){1,6}[A-Za-z]{2,8}\b)"  # tdlib's is_email_address
    # Bare domains become links too, file names with a country's ending among them ("notes.md").
    r"|(?P<url>\bhttps?://[^\s<>]+|\b(?:[\w-]+\.)+(?:com|org|net|io|dev|ai|app|de|eu|me|co|uk|md|py)\b(?:/[^\s<>]*)?)"
    r"|(?P<mention>(?<![\w/@])@[A-Za-z]\w{3,31}\b)"
    r"|(?P<bot_command>(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@\w{3,32})?(?![\w/]))"
    r"|(?P<hashtag>(?<![\w#])#\w*[^\W\d]\w*)",
)


def recognise(text: str) -> list[Json]:
    """What the server marks by itself: e-mail, url, mention, bot_command, hashtag. Same page as above."""
    found = []
    for match in _KNOWN.finditer(text):
        whole = match.group().rstrip(".,;:!?)\"'")
        found.append({"type": match.lastgroup, "offset": utf16(text[: match.start()]), "length": utf16(whole)})
    return found


def _merge(given: list[Json], recognised: list[Json]) -> list[Json]:
    """The recognised ones fill the room that the given ones leave."""
    ends = [(entity["offset"], entity["offset"] + entity["length"]) for entity in given]
    free = [
        entity
        for entity in recognised
        if not any(start < entity["offset"] + entity["length"] and entity["offset"] < end for start, end in ends)
    ]
    return sorted([*given, *free[: MOST_ENTITIES - len(given)]], key=lambda entity: entity["offset"])


_TAGS = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler", "code": "code",
    "pre": "pre", "blockquote": "blockquote", "a": "text_link", "tg-emoji": "custom_emoji", "span": "spoiler",
}  # fmt: skip
_REFERENCE = re.compile(r"&(?:lt|gt|amp|quot|#\d{1,7}|#x[0-9a-fA-F]{1,6});")  # the only ones the server knows
_ATTRIBUTE = re.compile(r"([\w-]+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+))?")


def parse_html(source: str) -> tuple[str, list[Json]]:
    """https://core.telegram.org/bots/api#html-style"""
    text: list[str] = []
    units = 0
    open_tags: list[tuple[str, Json]] = []
    entities: list[Json] = []
    at = 0
    while at < len(source):
        here = f"at byte offset {len(source[:at].encode())}" if source[at] == "<" else ""
        if source[at] != "<":
            reference = _REFERENCE.match(source, at)
            piece = html.unescape(reference.group()) if reference else source[at]
            at = reference.end() if reference else at + 1
            text.append(piece)
            units += utf16(piece)
            continue
        closing = source.find(">", at)
        if closing < 0:
            raise bad_request(f"can't parse entities: Unclosed start tag {here}")
        name, _, rest = source[at + 1 : closing].replace("\n", " ").partition(" ")
        name = name.lower()
        at = closing + 1
        if not name.startswith("/"):
            open_tags.append((name, {**_opened(name, rest, here), "offset": units}))
            continue
        if not open_tags:
            raise bad_request(f"can't parse entities: Unexpected end tag {here}")
        opened, entity = open_tags.pop()
        if name not in {"/" + opened, "/"}:
            raise bad_request(
                f'can\'t parse entities: Unmatched end tag {here}, expected "</{opened}>", found "<{name}>"'
            )
        if (
            opened == "code"
            and open_tags
            and open_tags[-1][0] == "pre"
            and open_tags[-1][1]["offset"] == entity["offset"]
        ):
            open_tags[-1][1].update({key: entity[key] for key in ("language",) if key in entity})
            continue
        if opened == "a" and "url" not in entity:  # <a>https://…</a>: the text is the address, or there is no link
            continue
        if opened == "code":
            entity.pop("language", None)
        entity["length"] = units - entity["offset"]
        if entity["length"]:
            entities.append(entity)
    if open_tags:
        raise bad_request(f"can't parse entities: Can't find end tag corresponding to start tag \"{open_tags[-1][0]}\"")
    return "".join(text), entities


def _opened(name: str, rest: str, here: str) -> Json:
    """The entity that a start tag opens, without its place."""
    attributes = {key.lower(): html.unescape(value.strip("\"'")) for key, value in _ATTRIBUTE.findall(rest)}
    if name not in _TAGS:
        raise bad_request(f'can\'t parse entities: Unsupported start tag "{name}" {here}')
    if name == "span" and attributes.get("class") != "tg-spoiler":
        raise bad_request(f'can\'t parse entities: Tag "span" must have class "tg-spoiler" {here}')
    entity: Json = {"type": _TAGS[name]}
    if name == "a" and attributes.get("href"):
        entity["url"] = attributes["href"]
    elif name == "code" and attributes.get("class", "").startswith("language-"):
        entity["language"] = attributes["class"].removeprefix("language-")
    elif name == "blockquote" and "expandable" in attributes:
        entity["type"] = "expandable_blockquote"
    elif name == "tg-emoji":
        entity["custom_emoji_id"] = attributes.get("emoji-id", "")
    return entity


def parse_json(source: str, what: str) -> object:
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        raise bad_request(f"can't parse {what}: can't parse JSON object") from None
