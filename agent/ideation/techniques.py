"""Ways to think a topic through: each technique is data, and choosing one is a pure function of the conversation."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from agent.message import Line


@dataclass(frozen=True, slots=True)
class Technique:
    """A facilitation technique.

    suits: words of topics it is tried on first. rounds: what is asked, one a turn, with {topic}. stimulus: documents
    may spark it.
    """

    id: str
    title: str
    names: tuple[str, ...]
    when: str
    suits: frozenset[str]
    source: str
    rounds: tuple[str, ...]
    stimulus: bool

    def ask(self, number: int, topic: str) -> str:
        """The words of round `number` (from 0) about `topic`."""
        start = topic[:1].upper() + topic[1:]
        return self.rounds[number].replace("{topic_start}", start).replace("{topic}", topic)


@cache
def techniques() -> tuple[Technique, ...]:
    """All techniques, in the order in which they are offered."""
    data = tomllib.loads((files("agent.ideation") / "techniques.toml").read_text("utf-8"))
    return tuple(
        Technique(
            id=entry["id"],
            title=entry["title"],
            names=tuple(entry["names"]),
            when=entry["when"],
            suits=frozenset(entry["suits"]),
            source=entry["source"],
            rounds=tuple(entry["rounds"]),
            stimulus=entry["stimulus"],
        )
        for entry in data["technique"]
    )


def named(text: str) -> Technique | None:
    """The technique a message names, if it names one."""
    for technique in techniques():
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
