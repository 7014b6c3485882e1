"""One line of chat JSONL to conversations, in OpenAI's form. Pure; every problem of the line is found at once.

`{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…", "weight": 1}], "rating": 1}`, or
a preference: `{"input": {"messages": […]}, "preferred_output": […], "non_preferred_output": […]}`
(https://platform.openai.com/docs/guides/supervised-fine-tuning, …/direct-preference-optimization). `rating` (-1, 0, 1)
is Atelier's own.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.generation.rendering import ChatMessage
from finetune.examples.problems import Code

LONGEST_NAME = 40  # characters of a field's name that a message repeats
_ROLES: Mapping[object, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",  # OpenAI's newer name
    "user": "user",
    "assistant": "assistant",
}
_TOOL_ROLES = ("tool", "function")
_TOOL_FIELDS = ("tool_calls", "function_call", "tool_call_id", "tools", "functions")
_MESSAGE_FIELDS = frozenset({"role", "content", "name", "weight", *_TOOL_FIELDS})
_ROW_FIELDS = frozenset(
    {"messages", "rating", "input", "preferred_output", "non_preferred_output", "parallel_tool_calls", *_TOOL_FIELDS}
)
# What people hand in instead, by a field of it.
_OTHER_FORMS = {
    "conversations": "ShareGPT's form; here the list is `messages`, of objects with `role` and `content`",
    "prompt": "a prompt and its completion; here they are two `messages`, of user and assistant",
    "instruction": "Alpaca's form; here they are two `messages`, of user and assistant",
    "text": "plain text; here a row is a list of `messages`",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A conversation as its row states it. author: the first user message's `name`, or empty."""

    messages: tuple[ChatMessage, ...]
    untrained: frozenset[int]
    rating: int
    author: str


@dataclass(slots=True)
class Parsed:
    """What a line gave. findings: why it is not used; then there are no drafts. notes: what is worth a look."""

    drafts: list[Draft] = field(default_factory=list)
    findings: list[tuple[Code, str]] = field(default_factory=list)
    notes: list[tuple[Code, str]] = field(default_factory=list)


def parse(line: bytes) -> Parsed:
    """The conversations of one line: one, or the two sides of a preference. Never raises."""
    parsed = Parsed()
    row = _loaded(line, parsed)
    if row is None:
        return parsed
    for name in row:
        if name not in _ROW_FIELDS:
            parsed.notes.append((Code.IGNORED_FIELD, f"The field `{_shown(name)}` is not read."))
    if any(row.get(name) for name in _TOOL_FIELDS):
        parsed.findings.append((Code.TOOLS, "The row offers tools or functions; only plain conversations are learned."))
    rating = row.get("rating", 0)
    if type(rating) is not int or rating not in (-1, 0, 1):
        parsed.findings.append((Code.BAD_RATING, "`rating` must be -1 (bad), 0 (not rated) or 1 (good)."))
        rating = 0
    for messages, label in _conversations(row, rating, parsed):
        _Conversation(parsed).read(messages, label)
    parsed.findings = list(dict.fromkeys(parsed.findings))  # the two sides of a preference begin alike
    parsed.notes = list(dict.fromkeys(parsed.notes))
    if parsed.findings:
        parsed.drafts = []
    return parsed


class _KeyTwice(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _KeyTwice
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _loaded(line: bytes, parsed: Parsed) -> dict[str, Any] | None:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        parsed.findings.append((Code.NOT_UTF8, f"Byte {error.start + 1} is not UTF-8. Save the file as UTF-8."))
        return None
    try:
        row = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        parsed.findings.append((Code.BAD_JSON, f"{error.msg} at character {error.pos + 1}."))
    except _KeyTwice:
        parsed.findings.append((Code.BAD_JSON, "A key stands twice in one object, so what is meant is not clear."))
    except RecursionError:
        parsed.findings.append((Code.BAD_JSON, "The JSON is nested too deep."))
    except ValueError:  # a number of thousands of digits, NaN
        parsed.findings.append((Code.BAD_JSON, "A value is no number that JSON knows."))
    else:
        if isinstance(row, dict):
            return row
        parsed.findings.append((Code.BAD_JSON, "The line holds JSON, but not an object: { … }."))
    return None


def _conversations(row: dict[str, Any], rating: int, parsed: Parsed) -> Iterator[tuple[list[Any], int]]:
    if "messages" in row or "input" not in row:
        if isinstance(row.get("messages"), list):
            yield row["messages"], rating
            return
        other = next((said for name, said in _OTHER_FORMS.items() if name in row), None)
        hint = f" This looks like {other}." if other else ""
        parsed.findings.append((Code.NO_MESSAGES, f"The row has no list `messages`.{hint}"))
        return
    asked = row["input"]
    before = asked.get("messages") if isinstance(asked, dict) else None
    good, bad = row.get("preferred_output"), row.get("non_preferred_output")
    if not (isinstance(before, list) and isinstance(good, list) and isinstance(bad, list)):
        needs = "`input.messages`, `preferred_output` and `non_preferred_output`, each a list of messages"
        parsed.findings.append((Code.NO_MESSAGES, f"A preference needs {needs}."))
        return
    if isinstance(asked, dict) and any(asked.get(name) for name in _TOOL_FIELDS):
        parsed.findings.append((Code.TOOLS, "The row offers tools or functions; only plain conversations are learned."))
    yield [*before, *good], 1
    yield [*before, *bad], -1


class _Conversation:
    """Reads one list of messages into one draft and the findings on the way."""

    def __init__(self, parsed: Parsed) -> None:
        self._parsed = parsed
        self._messages: list[ChatMessage] = []
        self._untrained: set[int] = set()
        self._author = ""

    def read(self, raw: list[Any], rating: int) -> None:
        for number, message in enumerate(raw, 1):
            self._read_one(number, message)
        if raw:
            self._check_order()
        else:
            self._find(Code.NO_MESSAGES, "The list `messages` is empty.")
        draft = Draft(tuple(self._messages), frozenset(self._untrained), rating, self._author)
        self._parsed.drafts.append(draft)

    def _find(self, code: Code, message: str) -> None:
        self._parsed.findings.append((code, message))

    def _read_one(self, number: int, raw: Any) -> None:
        if not isinstance(raw, dict):
            self._find(Code.BAD_MESSAGE, f"Message {number} is not an object with `role` and `content`.")
            return
        for name, value in raw.items():
            if name not in _MESSAGE_FIELDS and value not in (None, [], ""):
                self._parsed.notes.append((Code.IGNORED_FIELD, f"The field `{_shown(name)}` of messages is not read."))
        named = raw.get("role")
        role = _ROLES.get(named) if isinstance(named, str) else None
        if named in _TOOL_ROLES or any(raw.get(name) for name in _TOOL_FIELDS):
            self._find(Code.TOOLS, f"Message {number} calls or answers a tool; only plain conversations are learned.")
            return
        if role is None:
            self._find(Code.BAD_ROLE, f"Message {number} has no role of system, user or assistant.")
        content = self._content(number, raw.get("content"))
        self._weight(number, raw, role)
        if role is None or content is None:
            return
        if role == "system" and not content.strip():
            self._parsed.notes.append((Code.EMPTY_CONTENT, "The empty system message was left out."))
            return
        if not content.strip():
            self._find(Code.EMPTY_CONTENT, f"Message {number} is empty.")
        name = raw.get("name")
        if role == "user" and not self._author and isinstance(name, str):
            self._author = name.strip()
        if role == "assistant" and raw.get("weight") == 0:
            self._untrained.add(len(self._messages))
        self._messages.append(ChatMessage(role, content))

    def _content(self, number: int, content: Any) -> str | None:
        if content is None:
            return ""
        if isinstance(content, str):
            return content
        if not isinstance(content, list):
            self._find(Code.BAD_MESSAGE, f"The content of message {number} is neither text nor a list of parts.")
            return None
        texts = [part["text"] for part in content if _is_text(part)]
        if len(texts) != len(content):
            self._find(Code.NOT_TEXT, f"Message {number} has a part that is not text, and only text is learned.")
            return None
        return "\n".join(texts)

    def _weight(self, number: int, raw: dict[str, Any], role: str | None) -> None:
        weight = raw.get("weight")
        if weight is None:
            return
        if role != "assistant":
            self._find(Code.BAD_WEIGHT, f"Message {number} has a weight, and only assistant messages have one.")
        elif type(weight) is not int or weight not in (0, 1):
            self._find(Code.BAD_WEIGHT, f"The weight of message {number} is neither 0 nor 1.")

    def _check_order(self) -> None:
        if any(
            code in (Code.BAD_MESSAGE, Code.BAD_ROLE, Code.TOOLS, Code.NOT_TEXT) for code, _ in self._parsed.findings
        ):
            return  # what stands between is not known
        roles = [message.role for message in self._messages]
        if "assistant" not in roles:
            self._find(Code.NO_ASSISTANT, "No message is the assistant's.")
            return
        talk = roles[1:] if roles[0] == "system" else roles
        if "system" in talk:
            self._find(Code.ROLE_ORDER, "A system message stands elsewhere than first.")
        elif any(role != ("user", "assistant")[i % 2] for i, role in enumerate(talk)):
            self._find(Code.ROLE_ORDER, "After the system message, user and assistant must take turns, the user first.")
        elif talk[-1] != "assistant":
            self._find(Code.ROLE_ORDER, "The last message is the user's, so there is no reply to it.")
        elif all(i in self._untrained for i, role in enumerate(roles) if role == "assistant"):
            self._find(Code.NO_TRAINABLE_TOKEN, "Every assistant message has weight 0, so nothing is learned.")


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type", "text") == "text" and isinstance(part.get("text"), str)


def _shown(name: str) -> str:
    """A field's name where it looks like one: a stranger's key may hold anything."""
    return name if name.isascii() and name.replace("_", "").isalnum() and len(name) <= LONGEST_NAME else "…"
