"""Facilitation without a language model: techniques' questions one a turn, people's ideas first, sparks after. Pure.

Where a session stands is read off the conversation: a reply names its technique as *Title* once, when it begins.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from agent.generation.answer import unmarked
from agent.generation.phrases import LANGUAGES, phrase, phrases
from agent.generation.sentences import Kind, cut
from agent.generation.steering import (
    AFRESH,
    CHANGES,
    ENDS,
    ORDER,
    WANTS_OURS,
    Order,
    asks_us,
    contributes,
    handles,
    is_order,
    lists,
    steers,
    undone,
)
from agent.generation.topics import topic_of
from agent.ideation.stimuli import things
from agent.ideation.techniques import Technique, choose, named, spoken, techniques
from agent.message import Line, Prompt
from retrieval.passage import Passage

__all__ = [
    "Session",
    "asks_us",
    "card",
    "contributes",
    "facilitate",
    "handles",
    "latest",
    "lists",
    "running",
    "steers",
    "topic_of",
]

POINTS = 3  # starting points at a time
SPARK = 0.25  # a passage less likely to have to do with the topic is noise, not a spark
_MARK = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s*")


@dataclass(frozen=True, slots=True)
class Session:
    """What the conversation says of the session that runs. asked: questions put so far. ideas: people's, in order.

    technique, language: as it is held, `de`, or empty for English.
    """

    technique: Technique
    topic: str
    asked: int
    ideas: tuple[str, ...]
    language: str = ""


def facilitate(prompt: Prompt) -> str:
    """The next turn of thinking together: a technique's question, and what people and documents gave so far."""
    bare = ORDER.sub("", prompt.message)
    if steers(bare):  # "/ideate next" is no topic
        prompt = replace(prompt, message=bare)
    lines = prompt.history.lines
    session, technique, topic = running(lines), named(prompt.message), topic_of(prompt.message)
    if lists(prompt.message):
        return _list(session or latest(lines), prompt.language, goes_on=session is not None)
    if session is None and technique is None and asks_us(prompt.message):
        session = just_over(lines)  # "give me some of yours", right after the last question
    if session is None:
        return _open(prompt, technique, topic or _last_topic(lines))
    if topic and AFRESH.search(prompt.message):
        return _open(prompt, technique, topic)
    if technique is not None:
        return _open(prompt, technique, topic or session.topic)
    if CHANGES.search(prompt.message):
        return _open(prompt, None, session.topic)
    if ENDS.match(prompt.message):
        return _close(session)
    if asks_us(prompt.message):
        points = _points(prompt, session.topic, session.language)
        return f"{points}\n\n{phrase('ideate', 'argue', prompt.history, session.language)}"
    if (order := handles(prompt.message)) is not None:
        return _obey(prompt, session, order)
    return _go_on(prompt, session)


def card(technique: Technique, language: str) -> str:
    """What a technique is, when it helps, how long it takes, and where it comes from."""
    own = spoken(technique, language)
    minutes = max(1, round(own.minutes or 4 * len(own.rounds)))
    return phrase("ideate", "card", language=language).format(
        title=own.title, about=own.about or own.ask(0, "…"), when=own.when, minutes=minutes, source=own.source or "–"
    )


def running(lines: Sequence[Line]) -> Session | None:
    """The session a conversation is in, or None."""
    session, is_on = _followed(lines)
    return session if is_on else None


def latest(lines: Sequence[Line]) -> Session | None:
    """The last session of a conversation, be it over or not; None when there was none."""
    return _followed(lines)[0]


def just_over(lines: Sequence[Line]) -> Session | None:
    """The session that has just ended, after which nothing but more ideas was asked for; mostly None."""
    session, is_on = _followed(lines)
    if session is None or is_on:
        return None
    for line in reversed(lines):
        if line.role != "assistant":
            if not asks_us(line.text):
                return None
        elif _ends(line.text, session.language):
            return session
    return None


def _followed(lines: Sequence[Line]) -> tuple[Session | None, bool]:
    """The last session, and whether it is still on."""
    technique, asked, topic, ideas, language, is_on = None, 0, "", list[str](), "", False
    for i, line in enumerate(lines):
        if line.role == "assistant":
            begun = _begun(line.text)
            if begun is not None:
                said = lines[i - 1].text if i and lines[i - 1].role == "user" else ""
                kept = begun[1]
                if (kept and kept != topic) or not is_on:
                    ideas.clear()
                technique, language = begun[0], begun[2]
                asked, topic, is_on = 1, kept or topic_of(said) or topic, True
            elif not is_on or technique is None:
                continue
            elif _ends(line.text, language):
                is_on = False
            elif any(technique.ask(n, topic) in line.text for n in range(asked, len(technique.rounds))):
                asked += 1
        elif is_on and (place := undone(line.text, ideas)) is not None:
            ideas.pop(place)
        elif is_on and not is_order(line.text) and contributes(line.text):
            ideas += _ideas_in(line.text)
    return (Session(technique, topic, asked, tuple(ideas), language), is_on) if technique is not None else (None, False)


def _ends(text: str, language: str) -> bool:
    nothing = phrase("ideate", "nothing_yet", language=language)[:40]
    return phrase("ideate", "collected", language=language) in text or nothing in text


def _begun(text: str) -> tuple[Technique, str, str] | None:
    """The technique that a reply begins, its topic, and the language."""
    if text.count("*") < 2:  # it would be named as *Title*, and this is asked of every line of a conversation
        return None
    for language in LANGUAGES:
        for own in _all_spoken(language):
            if f"*{own.title}*" in text and (topic := _topic_said(text, own, language)):
                return own, topic, language
    return None


@cache
def _all_spoken(language: str) -> tuple[Technique, ...]:
    return tuple(spoken(each, language) for each in techniques())


def _topic_said(text: str, technique: Technique, language: str) -> str:
    for name in ("open", "open_named"):
        shape = phrase("ideate", name, language=language)
        pattern = re.escape(shape).replace(r"\{topic\}", "(?P<topic>.+?)")
        pattern = pattern.replace(r"\{title\}", re.escape(technique.title)).replace(r"\{when\}", ".+?")
        found = re.match(rf"{pattern}(?=\n|$)", text)
        if found:
            return found["topic"]
    return ""


def _open(prompt: Prompt, technique: Technique | None, topic: str) -> str:
    language = prompt.language
    if not topic:
        return phrase("ideate", "no_topic", language=language)
    chosen = spoken(technique or choose(topic, prompt.history.lines), language)
    shape = phrase("ideate", "open_named" if technique else "open", language=language)
    opening = shape.format(topic=topic, title=chosen.title, when=chosen.when)
    ours = [_points(prompt, topic, language)] if WANTS_OURS.search(prompt.message) else []
    return "\n\n".join([opening, chosen.ask(0, topic), *ours, phrase("ideate", "invite", prompt.history, language)])


def _points(prompt: Prompt, topic: str, language: str) -> str:
    """Three questions to argue with, made from the topic and from things that have nothing to do with it."""
    turn = len(prompt.history.lines) // 2
    shapes, given = phrases("ideate", "points", language), things(language)
    chosen = [shapes[(POINTS * turn + i) % len(shapes)] for i in range(POINTS)]
    thing = given[zlib.crc32(f"{topic}/{turn}".encode()) % len(given)]
    listed = "\n".join(f"- {shape.format(topic=topic, thing=thing)}" for shape in chosen)
    first, more = phrases("ideate", "offered", language)
    said = more if any(first in line.text for line in prompt.history.lines) else first
    return f"{said}\n\n{listed}"


def _go_on(prompt: Prompt, session: Session) -> str:
    language, history = session.language, prompt.history
    ideas = [] if is_order(prompt.message) else _ideas_in(prompt.message)
    now = replace(session, ideas=(*session.ideas, *ideas))
    received = phrase("ideate", "received", history, language)
    parts = [received.format(count=_counted(len(now.ideas), language))] if ideas else []
    if now.asked >= len(now.technique.rounds):
        done = phrase("ideate", "done", language=language).format(title=now.technique.title)
        return "\n\n".join([*parts, done, _close(now)])
    parts.append(now.technique.ask(now.asked, now.topic))
    spark = _spark(prompt.passages, now) if now.technique.stimulus else ""
    return "\n\n".join([*parts, spark or phrase("ideate", "go_on", history, language)])


def _obey(prompt: Prompt, session: Session, order: Order) -> str:
    """What is said to an order that adds no idea; the question that was put stays the question."""
    language, history = session.language, prompt.history
    question = session.technique.ask(max(session.asked, 1) - 1, session.topic)
    go_on = phrase("ideate", "go_on", history, language)
    if order == "undo":
        place = undone(prompt.message, session.ideas)
        if place is None:
            said = phrase("ideate", "not_undone" if session.ideas else "none_yet", language=language)
        else:
            count = _counted(len(session.ideas) - 1, language)
            said = phrase("ideate", "undone", language=language).format(idea=session.ideas[place], count=count)
        return f"{said}\n\n{go_on}"
    if order == "wait":
        return phrase("ideate", "wait", language=language)
    said = phrase("ideate", order, language=language)
    if order == "why":
        said = f"{said.format(title=session.technique.title, when=session.technique.when)} {question}"
    return f"{said}\n\n{question}" if order == "again" else f"{said}\n\n{go_on}"


def _close(session: Session) -> str:
    language = session.language
    others = [spoken(each, language).title for each in techniques() if each.id != session.technique.id]
    start = len(session.topic) % len(others)
    either = phrase("ideate", "either", language=language)
    named_others = either.format(one=others[start], other=others[(start + 3) % len(others)])
    if not session.ideas:
        return phrase("ideate", "nothing_yet", language=language).format(others=named_others)
    choose_one = phrase("ideate", "choose", language=language).format(others=named_others)
    return "\n\n".join([phrase("ideate", "collected", language=language), _numbered(session.ideas), choose_one])


def _list(session: Session | None, language: str, *, goes_on: bool) -> str:
    """The ideas so far; the session goes on where it was."""
    language = session.language if session is not None else language
    if session is None or not session.ideas:
        return phrase("ideate", "none_yet" if goes_on else "none", language=language)
    opening = phrase("ideate", "listed", language=language)
    opening = opening.format(topic=session.topic, count=_counted(len(session.ideas), language))
    end = phrase("ideate", "listed_end" if goes_on else "listed_over", language=language)
    return "\n\n".join([opening, _numbered(session.ideas), end])


def _numbered(ideas: Sequence[str]) -> str:
    return "\n".join(f"{i}. {idea}" for i, idea in enumerate(ideas, 1))


def _spark(passages: Sequence[Passage], session: Session) -> str:
    """A sentence of the documents that nobody has been shown in this session: another one each round."""
    found = [
        (unit.text, number)
        for number, passage in enumerate(passages, 1)
        if passage.score >= SPARK
        for unit in cut(passage.text)
        if unit.kind is Kind.SENTENCE and 40 <= len(unit.text) <= 220 and not unit.announces
    ]
    if not found:
        return ""
    text, number = found[(session.asked - 1) % len(found)]
    quote = unmarked(text).replace('"', "'")
    return phrase("ideate", "spark", language=session.language).format(quote=quote, citation=f"[{number}]")


def _last_topic(lines: Sequence[Line]) -> str:
    """The topic of the last session, where a message only says "let's use six hats"."""
    said = (line.text for line in reversed(lines) if line.role == "assistant")
    return next((begun[1] for text in said if (begun := _begun(text)) is not None), "")


def _ideas_in(text: str) -> list[str]:
    """One idea a line; a single line may hold several, set apart by semicolons."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) == 1 and ";" in lines[0]:
        lines = lines[0].split(";")
    found = [_MARK.sub("", line).strip() for line in lines]
    return [idea for idea in found if re.search(r"\w", idea)]


def _counted(count: int, language: str) -> str:
    name = ("zero", "one")[count] if count < 2 else "several"
    return phrase("ideate", name, language=language).format(count=count)
