"""Personal data and secrets replaced by placeholders: the same for the same value throughout a conversation."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from agent.generation.rendering import ChatMessage
from finetune.example import Example
from finetune.examples.personal import Finder, Kind

# Found by the words beside it, a value is replaced wherever else it stands in the conversation.
_REPEATED = frozenset({Kind.PERSON, Kind.SECRET, Kind.PHONE})
_TELLING = 4  # characters from which a value is looked for elsewhere


class Redactor:
    """names: as `Finder`'s."""

    def __init__(self, names: Collection[str] = ()) -> None:
        self._finder = Finder(names)

    def redact(self, example: Example) -> tuple[Example, Counter[Kind]]:
        """The example without personal data and secrets, and how many stretches of each kind were replaced."""
        texts = [message.content for message in example.messages]
        found = [self._finder.find(text) for text in texts]
        if not any(found):
            return example, Counter()
        placeholders: dict[tuple[Kind, str], str] = {}
        spellings: dict[str, str] = {}  # how a value is spelled -> its placeholder
        for text, stretches in zip(texts, found, strict=True):
            for each in stretches:
                spelled = text[each.start : each.end]
                before = sum(kind is each.kind for kind, _ in placeholders)
                new = _placeholder(each.kind, before)
                placeholder = placeholders.setdefault((each.kind, _value(spelled)), new)
                if each.kind in _REPEATED:
                    spellings |= dict.fromkeys(_spellings(each.kind, spelled), placeholder)
        counted: Counter[Kind] = Counter()
        redacted = []
        for text, stretches in zip(texts, found, strict=True):
            parts, at = [], 0
            for each in stretches:
                parts += [text[at : each.start], placeholders[each.kind, _value(text[each.start : each.end])]]
                at = each.end
                counted[each.kind] += 1
            redacted.append("".join([*parts, text[at:]]))
        redacted = _elsewhere(redacted, spellings)
        pairs = zip(example.messages, redacted, strict=True)
        messages = tuple(ChatMessage(message.role, text) for message, text in pairs)
        return replace(example, messages=messages), counted

    def text(self, text: str) -> str:
        """A single text, as the quarantine keeps it."""
        for each in reversed(self._finder.find(text)):
            text = text[: each.start] + _placeholder(each.kind, 0) + text[each.end :]
        return text


def _value(text: str) -> str:
    """What makes two spellings one value: a phone number with and without spaces, a mention with and without @."""
    plain = text.casefold().strip("<@>")
    return re.sub(r"[\s().\-/]", "", plain) or plain


def _placeholder(kind: Kind, before: int) -> str:
    return f"[{kind} {before + 1}]" if before else f"[{kind}]"


def _spellings(kind: Kind, spelled: str) -> list[str]:
    """How else the value may stand in the conversation: a person by one of their names."""
    plain = spelled.strip("<@>")
    parts = [part for part in plain.split() if part[0].isupper()] if kind is Kind.PERSON else []
    return [each for each in [plain, *parts] if len(each) >= _TELLING]


def _elsewhere(texts: list[str], spellings: dict[str, str]) -> list[str]:
    if not spellings:
        return texts
    longest_first = sorted(spellings, key=len, reverse=True)
    bare = re.compile(rf"(?<![\w\[])(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
    return [bare.sub(lambda match: spellings[match[0]], text) for text in texts]
