"""What a technique is, and how one is read from TOML with every mistake in the file said."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from agent.ideation.acts import Kind
from retrieval.errors import SettingsError

ROUNDS = 6  # of a stage that repeats: 6-3-5 was made for six
_SLOT = re.compile(r"\{(\w+)\}")
_SLOTS = {"roles": "{role}", "turn": "{item}", "answer": "{item}", "cells": "{cell}", "spark": "{spark}"}


class Deal(StrEnum):
    """What each person is given to work on in a stage."""

    NOTHING = ""  # all answer the same question
    SHEETS = "sheets"  # a sheet each, which goes to the next person every round
    ROLES = "roles"  # a role each
    TURN = "turn"  # one of the bad ideas, to be turned round
    ANSWER = "answer"  # one of the questions
    CELLS = "cells"  # an empty cell of the design space
    SPARK = "spark"  # the same stimulus for all, from the documents or a list of things


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a technique in a session.

    ask: the question, with {topic} (and {role}, {spark}, {item} or {cell} where that is dealt). takes: what is given in
    it. quota: so many a person, 0 as many as they like; a stage in which everybody has given them is over. minutes: of
    its timer, 0 for none. private: by direct message, and shown to others only later. begins: words that a contribution
    must begin with one of. tag: what is given carries it. repeats: once for each person, at most six times.
    """

    ask: str
    takes: Kind = Kind.IDEA
    quota: int = 0
    minutes: float = 0
    private: bool = False
    deal: Deal = Deal.NOTHING
    begins: tuple[str, ...] = ()
    tag: str = ""
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Technique:
    """A facilitation technique.

    about: what it is, in a sentence. suits: words of topics it is tried on first. rounds: what one person is asked, one
    a turn, with {topic}. stimulus: documents may spark it. stages: what a group does in a session. roles: are dealt.
    """

    id: str
    title: str
    names: tuple[str, ...]
    when: str
    suits: frozenset[str]
    source: str
    rounds: tuple[str, ...]
    stimulus: bool
    stages: tuple[Stage, ...] = ()
    roles: tuple[str, ...] = ()
    about: str = ""

    def ask(self, number: int, topic: str) -> str:
        """The words of round `number` (from 0) about `topic`."""
        return put_in(self.rounds[number], topic)

    @property
    def minutes(self) -> float:
        """How long it takes a small group, where its stages have timers; of a stage that repeats, three rounds."""
        return sum(each.minutes * (3 if each.repeats else 1) for each in self.stages)

    def plan(self, people: int) -> tuple[Stage, ...]:
        """The stages as they are gone through by so many people."""
        planned: list[Stage] = []
        for stage in self.stages:
            planned += [stage] * (min(max(people, 2), ROUNDS) if stage.repeats else 1)
        return tuple(planned)


def put_in(text: str, topic: str, **dealt: str) -> str:
    """The words of a question about `topic`, with what is dealt; what people wrote is put in as it is, braces too."""
    topic = topic.rstrip(" ?!.") or topic  # it stands within a sentence
    slots = {"topic": topic, "topic_start": topic[:1].upper() + topic[1:], **dealt}
    return _SLOT.sub(lambda found: slots.get(found[1], found[0]), text)


def parse(text: str, file: str) -> tuple[Technique, ...]:
    """The techniques of a TOML file: a list `technique`, each with its `stages`.

    Raises SettingsError that names every mistake, with the technique and the stage it is in.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The techniques in {file} are no TOML: {error}.") from error
    problems: list[str] = []
    entries = data.get("technique")
    if not isinstance(entries, list) or not entries or set(data) != {"technique"}:
        raise SettingsError(f"{file} holds no techniques. Write each one under a heading [[technique]].")
    found = [_technique(entry, number, problems) for number, entry in enumerate(entries, 1)]
    ids = [each.id for each in found]
    problems += [
        f"two techniques have the id {each!r}" for each in sorted({each for each in ids if ids.count(each) > 1})
    ]
    if problems:
        raise SettingsError(f"The techniques in {file} have mistakes: " + "; ".join(problems) + ".")
    return tuple(found)


_STRINGS, _TEXT, _NUMBER, _YES = "a list of texts", "a text", "a number", "true or false"
_OF_TECHNIQUE = {
    "id": _TEXT,
    "title": _TEXT,
    "names": _STRINGS,
    "when": _TEXT,
    "about": _TEXT,
    "suits": _STRINGS,
    "source": _TEXT,
    "rounds": _STRINGS,
    "stimulus": _YES,
    "roles": _STRINGS,
}
_OF_STAGE = {
    "ask": _TEXT,
    "takes": _TEXT,
    "quota": _NUMBER,
    "minutes": _NUMBER,
    "private": _YES,
    "deal": _TEXT,
    "begins": _STRINGS,
    "tag": _TEXT,
    "repeats": _YES,
}


def _technique(entry: Mapping[str, Any], number: int, problems: list[str]) -> Technique:
    where = f"technique {entry.get('id', number)!r}"
    stages = entry.get("stages", [])
    given = {name: value for name, value in entry.items() if name != "stages"}
    good = _checked(given, _OF_TECHNIQUE, where, problems)
    problems += [f"{where} has no `{name}`" for name in ("id", "title") if not good.get(name)]
    if not isinstance(stages, list) or not all(isinstance(each, dict) for each in stages):
        problems.append(f"{where}: write each stage under a heading [[technique.stages]]")
        stages = []
    read = [_stage(each, f"{where}, stage {i}", problems) for i, each in enumerate(stages, 1)]
    rounds = tuple(good.get("rounds", ()))
    if not read and not rounds:
        problems.append(f"{where} asks nothing: give it `rounds` or [[technique.stages]]")
    if any(each.deal is Deal.ROLES for each in read) and not good.get("roles"):
        problems.append(f"{where} deals roles and has no `roles`")
    title = good.get("title", "")
    return Technique(
        id=good.get("id", ""),
        title=title,
        names=tuple(good.get("names", [title.casefold()])),
        when=good.get("when", ""),
        suits=frozenset(good.get("suits", ())),
        source=good.get("source", ""),
        rounds=rounds or tuple(each.ask for each in read),
        stimulus=good.get("stimulus", False),
        stages=tuple(read) or tuple(Stage(each) for each in rounds),
        roles=tuple(good.get("roles", ())),
        about=good.get("about", ""),
    )


def _stage(entry: Mapping[str, Any], where: str, problems: list[str]) -> Stage:
    good = _checked(entry, _OF_STAGE, where, problems)
    if not good.get("ask"):
        problems.append(f"{where} has no `ask`")
    for name, kind in (("takes", Kind), ("deal", Deal)):
        if name in good and good[name] not in set(kind):
            known = ", ".join(each for each in kind if each)
            problems.append(f"{where}: `{name}` is {good.pop(name)!r}, and may be one of {known}")
    problems += [f"{where}: `{name}` is below 0" for name in ("quota", "minutes") if good.get(name, 0) < 0]
    slot = _SLOTS.get(good.get("deal", ""), "")
    if slot not in good.get("ask", ""):
        problems.append(f"{where} deals {good['deal']} and does not say them: put {slot} into `ask`")
    values = {**good, "takes": Kind(good.get("takes", "idea")), "deal": Deal(good.get("deal", ""))}
    values |= {"ask": good.get("ask", ""), "begins": tuple(good.get("begins", ()))}
    return Stage(**{each.name: values[each.name] for each in fields(Stage) if each.name in values})


def _checked(entry: Mapping[str, Any], known: Mapping[str, str], where: str, problems: list[str]) -> dict[str, Any]:
    """The entries that have a known name and the right kind of value; the others are problems."""
    good = {}
    for name, value in entry.items():
        if name not in known:
            problems.append(f"{where} has an unknown `{name}`")
        elif not _fits(value, known[name]):
            problems.append(f"{where}: `{name}` is to be {known[name]}")
        else:
            good[name] = value
    return good


def _fits(value: object, wanted: str) -> bool:
    if wanted == _STRINGS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if wanted == _NUMBER:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str if wanted == _TEXT else bool)
