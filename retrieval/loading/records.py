"""JSON and JSON Lines: question-answer pairs, articles, chats, and whatever else as `key: value` lines."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from retrieval.document import Document, Section
from retrieval.loading.faq import LONGEST_QUESTION, field_of, pair_fields
from retrieval.loading.source import Source
from retrieval.loading.text import clean_line, decode

_TITLE_FIELDS = ("title", "headline", "heading", "subject", "name")
_TEXT_FIELDS = ("text", "content", "body", "article", "passage", "document")
_CHAT_FIELDS = ("messages", "conversations", "conversation", "turns", "dialog", "dialogue")
_SPEAKER_FIELDS = ("role", "speaker", "from", "author", "user")
_SAID_FIELDS = ("content", "text", "value", "message")


def load_jsonl(source: Source) -> Document:
    """One section a record. A line that is no JSON stays text; a file without any record is refused."""
    sections: list[Section] = []
    records = 0
    broken = 0
    for number, line in enumerate(decode(source).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:  # a RecursionError is for the whole file
            broken = broken or number
            sections.append(Section(line, line=number))
            continue
        records += 1
        sections.extend(_record(value, number))
    if not records:
        raise source.unreadable(f"is not JSON Lines: line {broken} is no JSON. Put one complete record on each line.")
    return Document("", tuple(sections))


def load_json(source: Source) -> Document:
    text = decode(source)
    try:
        value = json.loads(text)
    except ValueError as error:
        if _begins_with_record(text):
            return load_jsonl(source)
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise source.unreadable(
            f"is not valid JSON{where}. Repair it, or rename it to .txt to read it as text."
        ) from error
    return Document("", tuple(_top_level(value)))


def _begins_with_record(text: str) -> bool:
    try:
        return isinstance(json.loads(text.lstrip().split("\n", 1)[0]), dict | list)
    except ValueError:
        return False


def _top_level(value: Any) -> Iterator[Section]:
    if isinstance(value, list):
        for record in value:
            yield from _record(record, None)
    elif isinstance(value, dict) and _is_plain(value):
        lists = [key for key, item in value.items() if isinstance(item, list) and item and isinstance(item[0], dict)]
        for key, item in value.items():
            if key in lists:
                for record in item:
                    yield from _record(record, None, heading=(clean_line(key),) if len(lists) > 1 else ())
            elif isinstance(item, dict):
                yield Section(_readable(item), (clean_line(key),))
        rest = {key: item for key, item in value.items() if key not in lists and not isinstance(item, dict)}
        if rest:
            yield Section(_readable(rest))
    else:
        yield from _record(value, None)


def _is_plain(value: Mapping[str, object]) -> bool:
    return not pair_fields(value) and not field_of(_CHAT_FIELDS, value) and not field_of(_TEXT_FIELDS, value)


def _record(value: Any, line: int | None, heading: tuple[str, ...] = ()) -> Iterator[Section]:
    """The section of one record: a pair, a chat, an article, or its fields."""
    if not isinstance(value, dict):
        yield Section(_readable(value), heading, line=line, whole=True)
        return
    pair = pair_fields(value)
    if pair and all(isinstance(value[key], str) and value[key].strip() for key in pair):
        question, answer = value[pair[0]], value[pair[1]]
        if len(question) <= LONGEST_QUESTION:
            yield Section(answer, (clean_line(question),), line=line, whole=True)
            return
    chat = field_of(_CHAT_FIELDS, value)
    title_field, text_field = field_of(_TITLE_FIELDS, value), field_of(_TEXT_FIELDS, value)
    said = _chat(value[chat]) if chat else ""
    if title_field and isinstance(value[title_field], str) and (said or text_field):
        heading = (*heading, clean_line(value[title_field]))
    if said:
        yield Section(said, heading, line=line, whole=True)
    elif text_field and isinstance(value[text_field], str) and value[text_field].strip():
        yield Section(value[text_field], heading, line=line, whole=True)
    else:
        yield Section(_readable(value), heading, line=line, whole=True)


def _chat(messages: Any) -> str:
    """`Role: words` lines of a list of messages (OpenAI's chat form and its kin), or nothing if it is none."""
    if not isinstance(messages, list):
        return ""
    lines = []
    for message in messages:
        if not isinstance(message, dict):
            return ""
        speaker, said = field_of(_SPEAKER_FIELDS, message), field_of(_SAID_FIELDS, message)
        if said is None:
            return ""
        words = _words(message[said])
        who = clean_line(str(message[speaker])).capitalize() if speaker else ""
        if words:
            lines.append(f"{who}: {words}" if who else words)
    return "\n".join(lines)


def _words(content: Any) -> str:
    """A message's text; of a list of parts (text, pictures) the texts."""
    if isinstance(content, str):
        return content.strip()
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return " ".join(part.strip() for part in parts if isinstance(part, str))
    return ""


def _readable(value: Any, name: str = "") -> str:
    """`key: value` lines; inner keys are joined with dots, lists of plain values with commas."""
    if isinstance(value, dict):
        inner = (_readable(item, f"{name}.{key}" if name else str(key)) for key, item in value.items())
        return "\n".join(line for line in inner if line)
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "\n".join(line for item in value if (line := _readable(item, name)))
    shown = ", ".join(map(_scalar, value)) if isinstance(value, list) else _scalar(value)
    return (f"{name}: {shown}" if name else shown) if shown else ""


def _scalar(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).strip()
