"""Atelier's own sentences in the reader's language."""

import tomllib
from functools import cache
from pathlib import Path

FALLBACK = "en"


@cache
def _texts() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("texts.toml").read_text("utf-8"))


def say(language: str, name: str, /, **values: object) -> str:
    """The sentence `name` in `language` (`de`, `pt-BR`), or in English where it is not translated."""
    texts = _texts()
    own = texts.get(language.replace("_", "-").partition("-")[0].lower(), {})
    return own.get(name, texts[FALLBACK][name]).format(**values)


def prefix(platform: str) -> str:
    """How a command is begun on a platform."""
    return "/atelier " if platform == "slack" else "/"
