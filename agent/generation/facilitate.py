"""Facilitation without a language model: techniques' questions one a turn, people's ideas first, sparks after. Pure.

Where a session stands is read off the conversation: a reply names its technique as *Title* once, when it begins.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from agent.generation.grouping import grouped_said
from agent.generation.phrases import LANGUAGES, phrase
from agent.generation.points import spark_of, starting_points
from agent.generation.receipts import receipt, was_taken
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
    merged,
    picked,
    steers,
    undone,
)
from agent.generation.topics import topic_of
from agent.ideation.stimuli import deepening
from agent.ideation.techniques import Technique, choose, named, spoken, techniques
from agent.message import Line, Prompt
from retrieval.encoder import Encoder

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

LATELY = 8  # lines back in which something was said that need not be said again
_MARK = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s*")


@dataclass(frozen=True, slots=True)
class Session:
    """What the conversation says of the session that runs. asked: questions put so far. ideas: people's, in order.

    technique, language: as it is held, `de`, or empty for English. given: messages with ideas since the last question.
    apart: the ideas as they were before two were merged, if nothing came since.
    """

    technique: Technique
    topic: str
    asked: int
    ideas: tuple[str, ...]
    language: str = ""
    given: int = 0
    apart: tuple[str, ...] = ()

    @property
    def is_exhausted(self) -> bool:
        """Whether the technique has put all its questions."""
        return self.asked >= len(self.technique.rounds)


def facilitate(prompt: Prompt, encoder: Encoder | None = None) -> str:
    """The next turn of thinking together: a technique's question, and what people and documents gave so far.

    encoder: what groups ideas are found with; without one they are only listed.
    """
    bare = ORDER.sub("", prompt.message)
    if steers(bare) or handles(bare) is not None:  # "/ideate next" is no topic
        prompt = replace(prompt, message=bare)
    lines = prompt.history.lines
    session, technique, topic = running(lines), named(prompt.message), topic_of(prompt.message)
    if lists(prompt.message):
        return _list(session or latest(lines), prompt.language, goes_on=session is not None)
    if session is None and technique is None and (asks_us(prompt.message) or handles(prompt.message) is not None):
        session = just_over(lines)  # "give me some of yours" or "number 2", right after the end
    if session is None and technique is None and handles(prompt.message) is not None:
        return _list(latest(lines), prompt.language, goes_on=False)
    if session is None:
        return _open(prompt, technique, topic or _last_topic(lines))
    if ENDS.match(prompt.message):
        return _close(session)
    order = handles(prompt.message)
    if topic and AFRESH.search(prompt.message) and order is None:
        return _open(prompt, technique, topic)
    if technique is not None:
        return _open(prompt, technique, topic or session.topic)
    if CHANGES.search(prompt.message):
        return _open(prompt, None, session.topic)
    if asks_us(prompt.message):
        points = starting_points(prompt, session.topic, session.language)
        return f"{points}\n\n{phrase('ideate', 'argue', prompt.history, session.language)}"
    if order == "leave" and _asked_to_end(lines, session):
        return _close(session) if session.ideas else phrase("ideate", "let_go", language=session.language)
    if order == "group" and session.ideas and encoder is not None:
        groups = grouped_said(session.ideas, encoder, _counted(len(session.ideas), session.language), session.language)
        return f"{groups}\n\n{phrase('ideate', 'go_on', prompt.history, session.language)}"
    if order is not None:
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
            if not asks_us(line.text) and handles(line.text) is None and not ENDS.match(line.text):
                return None
        elif _ends(line.text, session.language):
            return session
    return None


def _followed(lines: Sequence[Line]) -> tuple[Session | None, bool]:
    """The last session, and whether it is still on."""
    technique, asked, topic, ideas, language, is_on = None, 0, "", list[str](), "", False
    given, apart = 0, tuple[str, ...]()
    for i, line in enumerate(lines):
        if line.role == "assistant":
            begun = _begun(line.text)
            if begun is not None:
                said = lines[i - 1].text if i and lines[i - 1].role == "user" else ""
                kept = begun[1]
                if (kept and kept != topic) or not is_on:
                    ideas.clear()
                technique, language = begun[0], begun[2]
                asked, topic, is_on, given, apart = 1, kept or topic_of(said) or topic, True, 0, ()
            elif not is_on or technique is None:
                continue
            elif _ends(line.text, language):
                is_on = False
            elif any(technique.ask(n, topic) in line.text for n in range(asked, len(technique.rounds))):
                asked, given = asked + 1, 0
        elif not is_on:
            continue
        elif (taken := was_taken(lines, i)) or (taken is None and contributes(line.text) and not is_order(line.text)):
            ideas += _ideas_in(line.text)
            given, apart = given + 1, ()
        elif (order := handles(line.text)) == "restart":
            ideas.clear()
            asked, given, apart = 1, 0, ()
        elif order == "merge" and (pair := merged(line.text, ideas)) is not None:
            apart = tuple(ideas)
            ideas[pair[0]] = together(ideas, pair)
            ideas.pop(pair[1])
        elif order == "undo" and (place := undone(line.text, ideas)) is not None:
            if apart and _takes_last(line.text):
                ideas[:] = apart
            else:
                ideas.pop(place)
            apart = ()
    session = Session(technique, topic, asked, tuple(ideas), language, given, apart) if technique is not None else None
    return session, is_on


def _takes_last(text: str) -> bool:
    """Whether an order to take something back names no idea by its number."""
    return undone(text, ["", ""]) == 1 and undone(text, [""]) == 0


def together(ideas: Sequence[str], pair: tuple[int, int]) -> str:
    """Two ideas as one, in their own words."""
    return f"{ideas[pair[0]]} + {ideas[pair[1]]}"


def _ends(text: str, language: str) -> bool:
    nothing = phrase("ideate", "nothing_yet", language=language)[:40]
    said = (nothing, *(phrase("ideate", name, language=language) for name in ("collected", "let_go")))
    return any(each in text for each in said)


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
    ours = [starting_points(prompt, topic, language)] if WANTS_OURS.search(prompt.message) else []
    return "\n\n".join([opening, chosen.ask(0, topic), *ours, phrase("ideate", "invite", prompt.history, language)])


def _go_on(prompt: Prompt, session: Session) -> str:
    """What comes after an idea, or after "next": the next question, once people have had time for this one."""
    language, history = session.language, prompt.history
    ideas = [] if is_order(prompt.message) else _ideas_in(prompt.message)
    now = replace(session, ideas=(*session.ideas, *ideas))
    parts = (
        [receipt(prompt, ideas, _counted(len(now.ideas), language), language, is_first=not session.ideas)]
        if ideas
        else []
    )
    if len(ideas) == 1 and not session.given:  # the first idea on a question is seldom the only one
        return "\n\n".join([*parts, phrase("ideate", "go_on", history, language)])
    if now.is_exhausted:
        return "\n\n".join([*parts, _out_of_questions(now, beyond=_told_so(history.lines, session))])
    parts.append(now.technique.ask(now.asked, now.topic))
    spark = spark_of(prompt.passages, now.asked, now.language) if now.technique.stimulus else ""
    return "\n\n".join([*parts, spark or phrase("ideate", "go_on", history, language)])


def _asked_to_end(lines: Sequence[Line], session: Session) -> bool:
    """Whether we have just said how to end: who says "never mind" again means that."""
    count = _counted(len(session.ideas), session.language)
    told = phrase("ideate", "leave", language=session.language).format(count=count)
    last = next((line.text for line in reversed(lines) if line.role == "assistant"), "")
    return told in last


def _told_so(lines: Sequence[Line], session: Session) -> bool:
    """Whether it was said lately that the technique has no further question."""
    done = phrase("ideate", "done", language=session.language).format(title=session.technique.title)
    return any(done in line.text for line in lines[-LATELY:])


def _out_of_questions(session: Session, *, beyond: bool) -> str:
    """That a technique has asked all it asks, and what there is; the session goes on. beyond: it was said before."""
    language, others = session.language, _others(session)
    if beyond:
        return phrase("ideate", "beyond", language=language).format(others=others)
    done = phrase("ideate", "done", language=language).format(title=session.technique.title)
    listed = [phrase("ideate", "so_far", language=language), _numbered(session.ideas)] if session.ideas else []
    return "\n\n".join([done, *listed, phrase("ideate", "choose", language=language).format(others=others)])


def _obey(prompt: Prompt, session: Session, order: Order) -> str:
    """What is said to an order that adds no idea; the question that was put stays the question."""
    language, history = session.language, prompt.history
    question = session.technique.ask(max(session.asked, 1) - 1, session.topic)
    go_on = phrase("ideate", "go_on", history, language)
    ideas = session.ideas
    match order:
        case "undo" | "merge":
            return f"{_changed(prompt.message, session, order)}\n\n{go_on}"
        case "pick":
            place = picked(prompt.message, ideas)
            if place is None:
                return phrase("ideate", "not_undone" if ideas else "none_yet", language=language)
            asked = deepening(ideas[place], place + len(history.lines) // 2, language)
            return phrase("ideate", "picked", language=language).format(idea=ideas[place], question=asked)
        case "vote" | "save" | "bend" | "group" if not ideas:
            return phrase("ideate", "none_yet", language=language)
        case "vote" | "save":
            return phrase("ideate", order, language=language).format(ideas=_numbered(ideas), topic=session.topic)
        case "group":
            return _list(session, language, goes_on=True)
        case "bend":
            return phrase("ideate", "bend", history, language).format(idea=ideas[len(history.lines) // 2 % len(ideas)])
        case "leave":
            return phrase("ideate", "leave", language=language).format(count=_counted(len(ideas), language))
        case "restart":
            first = session.technique.ask(0, session.topic)
            return f"{phrase('ideate', 'restart', language=language).format(topic=session.topic)}\n\n{first}"
        case "wait":
            return phrase("ideate", "wait", language=language)
        case _:
            said = phrase("ideate", order, language=language)
    if order == "why":
        said = f"{said.format(title=session.technique.title, when=session.technique.when)} {question}"
    return f"{said}\n\n{question}" if order in ("again", "nod") else f"{said}\n\n{go_on}"


def _changed(message: str, session: Session, order: Order) -> str:
    """What became of the ideas by "undo" or "merge 1 and 3"."""
    language, ideas = session.language, session.ideas
    none = phrase("ideate", "not_undone" if ideas else "none_yet", language=language)
    if order == "merge":
        pair = merged(message, ideas)
        if pair is None:
            return none
        count = _counted(len(ideas) - 1, language)
        return phrase("ideate", "merged", language=language).format(idea=together(ideas, pair), count=count)
    place = undone(message, ideas)
    if place is None:
        return none
    if session.apart and _takes_last(message):
        return phrase("ideate", "apart", language=language).format(count=_counted(len(session.apart), language))
    count = _counted(len(ideas) - 1, language)
    return phrase("ideate", "undone", language=language).format(idea=ideas[place], count=count)


def _others(session: Session) -> str:
    """Two other techniques, by name."""
    others = [spoken(each, session.language).title for each in techniques() if each.id != session.technique.id]
    start = len(session.topic) % len(others)
    either = phrase("ideate", "either", language=session.language)
    return either.format(one=others[start], other=others[(start + 3) % len(others)])


def _close(session: Session) -> str:
    language, others = session.language, _others(session)
    if not session.ideas:
        return phrase("ideate", "nothing_yet", language=language).format(others=others)
    choose_one = phrase("ideate", "choose", language=language).format(others=others)
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
