"""Atelier's own sentences in the reader's language."""

import tomllib
from functools import cache
from pathlib import Path

from agent.message import primary_language

FALLBACK = "en"
FILES = ("texts.toml", "ideation.toml", "understanding.toml", "gaps.toml", "labelling.toml")


@cache
def _texts() -> dict[str, dict[str, str]]:
    joined: dict[str, dict[str, str]] = {}
    for name in FILES:
        for language, said in tomllib.loads(Path(__file__).with_name(name).read_text("utf-8")).items():
            joined.setdefault(language, {}).update(said)
    return joined


@cache
def _sentences() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("sentences.toml").read_text("utf-8"))


def languages() -> tuple[str, ...]:
    """Those that there are texts in."""
    return tuple(_texts())


def say(language: str, name: str, /, **values: object) -> str:
    """The sentence `name` in `language` (`de`, `pt-BR`), or in English where it is not translated."""
    texts = _texts()
    own = texts.get(primary_language(language), {})
    return own.get(name, texts[FALLBACK][name]).format(**values)


def translated(language: str, text: str) -> str:
    """What the lower rooms say in English (notices, reasons), with each sentence that is known in `language`."""
    for sentence, own in _sentences().get(primary_language(language), {}).items():
        text = text.replace(sentence, own)
    return text


def prefix(platform: str) -> str:
    """How a command is begun on a platform."""
    return "/atelier " if platform == "slack" else "/"
