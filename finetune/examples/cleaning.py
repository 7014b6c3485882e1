"""Text as it is learned: one spelling of each letter, nothing invisible, no stray space, no control token."""

import re
import unicodedata
from dataclasses import replace
from typing import Any

from agent.generation.rendering import COMMON_CONTROL, ChatMessage
from agent.visible import visible
from finetune.example import Example

# How `rendering.neutralised` breaks a forged fence; taken out, the fence would be whole again.
_BROKEN_FENCE = re.compile("<\u200b(?=\\s*+/?\\s*+passages)", re.IGNORECASE)
_HELD = "\ue002"  # stands for it while invisible characters go
_ODD_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
_LINE_END = re.compile(r"(?<![ \t])[ \t]++(?=\n|$)")
_GAP = re.compile(r"\n{4,}")


def cleaned(text: str) -> str:
    """`text` in NFC, without invisible, direction and control characters, with plain spaces and few empty lines.

    Idempotent.
    """
    held = _BROKEN_FENCE.sub(f"<{_HELD}", text.replace(_HELD, "")) if "\u200b" in text or _HELD in text else text
    # Line by line: what `visible` must read letter by letter is then one line, and none of its states outlives a line.
    shown = "\n".join(map(visible, held.replace("\r\n", "\n").split("\n")))
    if not shown.isascii():
        shown = _ODD_SPACES.sub(" ", unicodedata.normalize("NFC", shown))
    shown = _GAP.sub("\n\n\n", _LINE_END.sub("", shown)).strip()
    return shown.replace(_HELD, "\u200b")


def clean_example(example: Example) -> tuple[Example, bool]:
    """The example with every text cleaned, and whether more than spaces and line ends was changed."""
    messages = tuple(ChatMessage(message.role, cleaned(message.content)) for message in example.messages)
    pairs = zip(messages, example.messages, strict=True)
    changed = any(new.content.split() != old.content.split() for new, old in pairs)
    return (replace(example, messages=messages) if messages != example.messages else example), changed


def control_pattern(tokenizer: Any) -> re.Pattern[str]:
    """The control tokens of this tokenizer, and those of the common chat formats."""
    own = {
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if len(token.content) > 2 and (token.special or re.fullmatch(r"[<\[].*[>\]]", token.content))
    }
    longest_first = sorted(own, key=len, reverse=True)
    return re.compile("|".join([*map(re.escape, longest_first), COMMON_CONTROL.pattern]), re.IGNORECASE)


def speaks_control(example: Example, control: re.Pattern[str]) -> int | None:
    """The number of the first message, from 1, that holds a control token, also one in look-alike letters."""
    for number, message in enumerate(example.messages, 1):
        text = message.content
        if control.search(text) or (not text.isascii() and control.search(unicodedata.normalize("NFKC", text))):
            return number
    return None
