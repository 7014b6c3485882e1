"""Ways to think a topic through: each technique is data, and choosing one is a pure function of the conversation."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from agent.ideation.technique import Deal, Stage, Technique, parse, put_in
from agent.message import Line, primary_language
from retrieval.errors import SettingsError

__all__ = [
    "Deal", "Stage", "Technique", "about", "choose", "named", "put_in", "spoken", "techniques", "used", "with_own",
]  # fmt: skip

TRANSLATED = frozenset({"de"})
# Names that are words of every day: a question is about the technique only where it says so.
_EVERYDAY = frozenset("reverse hats dimensions analogy analogies analogie analogien".split())
_ASKED = re.compile(
    r"""^\W*(?:(?:ok(?:ay)?|so|hey|hi|hello|and|but|please|atelier|hallo|und|bitte)\b[\s,!.:]*)*
    (?:(?:can|could)\s+you\s+|kannst\s+du\s+(?:mir\s+)?)?
    (?:what(?:['’]?s|\s+(?:is|are|was|does))|how\s+(?:does|do|long\s+(?:does|is))|(?:please\s+)?(?:explain|describe|tell\s+(?:me|us)\s+about)
    |was\s+(?:ist|sind|heißt|bedeutet)|wie\s+(?:geht|gehen|funktionier(?:t|en)|läuft|lange\s+dauert)|erklär(?:e|st|en)?)\s+
    (?:(?:me|us|mir|uns|the|a|an|this|that|called|die|das|der|eine?|diese[rs]?)\s+)*
    (?P<name>.+?)
    (?:\s+(?:techniques?|methods?|technik|methode)(?P<said>))?
    (?:\s+(?:work|works|mean|means|about|again|exactly|take|for|good|please|actually|denn|eigentlich|genau|nochmal|bitte|erklären|gut))*
    [\s?!.]*$""",
    re.IGNORECASE | re.VERBOSE,
)


@cache
def techniques() -> tuple[Technique, ...]:
    """All techniques, in the order in which they are offered, by the names they have in any language."""
    found = parse((files("agent.ideation") / "techniques.toml").read_text("utf-8"), "techniques.toml")
    more = {
        each.id: [n for known in TRANSLATED for n in _words(known).get(each.id, {}).get("names", ())] for each in found
    }
    return tuple(replace(each, names=(*each.names, *more[each.id])) for each in found)


@cache
def _words(language: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((files("agent.ideation") / f"techniques.{language}.toml").read_text("utf-8"))


def spoken(technique: Technique, language: str) -> Technique:
    """A technique in the words of a language (`de`, `de-AT`), where it is one of ours and there are any."""
    bare = primary_language(language)
    own = _words(bare).get(technique.id) if bare in TRANSLATED else None
    if own is None or technique not in techniques():
        return technique
    plain = [stage.tag for stage in technique.stages]
    begins = [*own.get("begins", ()), *([] for _ in technique.stages)]
    parts = zip(technique.stages, own.get("asks", own["rounds"]), own.get("tags", plain), begins, strict=False)
    stages = tuple(
        replace(stage, ask=ask, tag=tag, begins=tuple(first) or stage.begins) for stage, ask, tag, first in parts
    )
    return replace(
        technique,
        title=own["title"],
        when=own["when"],
        about=own["about"],
        source=technique.source.replace(", after ", ", nach "),
        rounds=tuple(own["rounds"]),
        stages=stages,
        roles=tuple(own.get("roles", technique.roles)),
    )


def in_every_language(technique: Technique) -> tuple[Technique, ...]:
    """The technique as it is, and in each language that it is said in."""
    return (technique, *(each for known in sorted(TRANSLATED) if (each := spoken(technique, known)) != technique))


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


def about(text: str, among: Sequence[Technique] | None = None) -> Technique | None:
    """The technique that a message asks about: "what is SCAMPER?"; None for any other message."""
    asked = _ASKED.match(text)
    if asked is None:
        return None
    name = " ".join(asked["name"].casefold().split()).strip("\"'“”„*_`")
    if name in _EVERYDAY and asked["said"] is None:
        return None
    known = techniques() if among is None else among
    return next((each for each in known if name in (*(n.casefold() for n in each.names), each.title.casefold())), None)


def used(lines: Sequence[Line]) -> list[Technique]:
    """The techniques Atelier has used in a conversation, in order; a reply names its technique by its title."""
    said = [line.text for line in lines if line.role == "assistant"]
    titles = [(each, own.title) for each in techniques() for own in in_every_language(each)]
    return [technique for text in said for technique, title in titles if f"*{title}*" in text]


def choose(topic: str, lines: Sequence[Line]) -> Technique:
    """A technique that this conversation has not used yet, one that suits the topic first; the topic decides which."""
    before = {technique.id for technique in used(lines)}
    offered = [technique for technique in techniques() if technique.id not in before] or list(techniques())
    said = set(re.findall(r"\w+", topic.casefold()))
    offered = [technique for technique in offered if technique.suits & said] or offered
    return offered[sum(map(ord, topic.casefold())) % len(offered)]
