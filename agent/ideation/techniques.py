"""Ways to think a topic through: each technique is data, and choosing one is a pure function of the conversation."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from agent.ideation.technique import Deal, Stage, Technique, parse, put_in
from agent.message import Line
from retrieval.errors import SettingsError

__all__ = ["Deal", "Stage", "Technique", "choose", "named", "put_in", "techniques", "used", "with_own"]


@cache
def techniques() -> tuple[Technique, ...]:
    """All techniques, in the order in which they are offered."""
    return parse((files("agent.ideation") / "techniques.toml").read_text("utf-8"), "techniques.toml")


def with_own(file: Path) -> tuple[Technique, ...]:
    """All techniques and a team's own, which come first and replace those of the same id. Raises SettingsError."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The techniques in {file} cannot be read: {error}.") from error
    own = parse(text, str(file))
    replaced = {each.id for each in own}
    return (*own, *(each for each in techniques() if each.id not in replaced))


def named(text: str, among: Sequence[Technique] | None = None) -> Technique | None:
    """The technique a message names, if it names one."""
    for technique in techniques() if among is None else among:
        names = "|".join(re.escape(name) for name in sorted(technique.names, key=len, reverse=True))
        if re.search(rf"(?<!\w)(?:{names})(?!\w)", text, re.IGNORECASE):
            return technique
    return None


def used(lines: Sequence[Line]) -> list[Technique]:
    """The techniques Atelier has used in a conversation, in order; a reply names its technique by its title."""
    said = [line.text for line in lines if line.role == "assistant"]
    return [technique for text in said for technique in techniques() if f"*{technique.title}*" in text]


def choose(topic: str, lines: Sequence[Line]) -> Technique:
    """A technique that this conversation has not used yet, one that suits the topic first; the topic decides which."""
    before = {technique.id for technique in used(lines)}
    offered = [technique for technique in techniques() if technique.id not in before] or list(techniques())
    said = set(re.findall(r"\w+", topic.casefold()))
    offered = [technique for technique in offered if technique.suits & said] or offered
    return offered[sum(map(ord, topic.casefold())) % len(offered)]
