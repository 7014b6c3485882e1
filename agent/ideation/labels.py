"""The words on maps and in what is exported, in a session's language."""

import tomllib
from functools import cache
from importlib.resources import files

from agent.message import primary_language

FALLBACK = "en"


@cache
def _labels() -> dict[str, dict[str, str]]:
    return tomllib.loads((files("agent.ideation") / "labels.toml").read_text("utf-8"))


def spoken_in(language: str) -> str:
    """The language that a page for readers of `language` (`de-AT`) is in: `de`."""
    bare = primary_language(language)
    return bare if bare in _labels() else FALLBACK


def label(language: str, name: str, /, **values: object) -> str:
    """The words `name` in a language (`de`, `de-AT`), in English where there are none."""
    return _labels()[spoken_in(language)][name].format(**values)


def counted(language: str, name: str, count: int) -> str:
    """`1 idea`, `7 ideas`; `people`, `places`."""
    return label(language, f"{name}_one") if count == 1 else label(language, name, count=count)


def decimal(language: str, value: float, shape: str = "{:.1f}") -> str:
    """A figure as it is written there: `4.5`, `4,5`."""
    said = shape.format(value)
    return said.replace(".", ",") if spoken_in(language) == "de" else said
