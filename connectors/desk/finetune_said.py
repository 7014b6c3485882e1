"""What fine-tuning says of jobs and versions, in the language of the chat that ordered it."""

import re
import tomllib
from functools import cache
from pathlib import Path

from agent.message import primary_language

_NAMED = re.compile(r"\\\{(\w)\\\}")
_WORD, _WORDS = r"[^\s`*]+?", r"[^\n]+?"
_Pattern = tuple[re.Pattern[str], str, str]


def said_in(language: str, text: str) -> str:
    """`text` with every sentence of `finetune.toml` in `language` (`de`, `de-AT`); others stay as they are."""
    for pattern, own, fixed in _patterns(primary_language(language)):
        if fixed in text:  # else the pattern would look for its end from every place
            text = pattern.sub(own, text)
    return text


@cache
def _patterns(language: str) -> tuple[_Pattern, ...]:
    """The longest first, so that a part of a sentence does not stand in for the whole."""
    known: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("finetune.toml").read_text("utf-8"))
    longest = sorted(known.get(language, {}).items(), key=lambda each: -len(each[0]))
    return tuple((_pattern(english), _template(own), _fixed(english)) for english, own in longest)


def _fixed(english: str) -> str:
    """The longest part of a sentence that is always the same."""
    return max(re.split(r"\{\w\}", english), key=len)


def _pattern(english: str) -> re.Pattern[str]:
    """A small letter stands for one word, a large one for words of one line."""

    def group(name: re.Match[str]) -> str:
        return f"(?P<{name[1]}>{_WORD if name[1].islower() else _WORDS})"

    marked = _NAMED.sub(group, re.escape(english))
    if english.endswith("}"):
        marked += r"(?=\s|$)" if english[-2].islower() else r"(?=\n|$)"
    return re.compile(rf"(?<!\S){marked}" if english[0] == "{" else marked)


def _template(own: str) -> str:
    return re.sub(r"\{(\w)\}", r"\\g<\1>", own.replace("\\", r"\\"))
