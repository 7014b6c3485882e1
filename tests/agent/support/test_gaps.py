"""Gaps: what belongs together, who makes one large, and whose words are in it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

import numpy as np
import pytest
from sqlalchemy import Engine

from agent.generation.phrases import phrase
from agent.memory import Memory
from agent.message import (
    Decision,
    History,
    Intent,
    Message,
    Move,
    Person,
    Place,
    Reply,
    Sentiment,
    Source,
    Turn,
    Understanding,
)
from agent.support.asked import Asked, lately_asked, may_be_shown
from agent.support.gaps import Gap, find_gaps
from agent.support.stale import differing_documents, old_documents
from agent.support.triggers import is_unanswered
from retrieval.passage import Passage, Vectors

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
TOPICS = {"badge": 0, "parking": 1, "menu": 2}


def person(name: str, *, consent: bool = True) -> Person:
    return Person(f"p-{name}", consent=consent)


def asked(text: str, who: Person, *, found: str = "", minutes: int = 0, rated: int = 0, reason: str = "") -> Asked:
    passage = Passage(1, "w", found, "", None, None, "acme/everyone", 0.9)
    understanding = Understanding(np.zeros(1, np.float32), Intent.ASK, 0.9, Sentiment.NEUTRAL, 0.9, ())
    sent = NOW - timedelta(minutes=minutes)
    message = Message(text, Place("slack", "acme", "C1"), who, text, sent, frozenset({"acme/everyone"}))
    reply = Reply("It is so. [1]" if found else "Nothing.", (Source(1, found, 1),) if found else ())
    turn = Turn(
        uuid5(NAMESPACE_OID, f"{text}-{who.id}-{minutes}").hex,
        "",
        History(),
        message,
        understanding,
        Decision(Move.ANSWER, reason),
        (passage,),
        reply,
    )
    return Asked(turn, sent, (rated,) if rated else ())


def encode(texts: object) -> Vectors:
    """Near by topic; what is of none is near to nothing."""
    rows = np.zeros((len(texts), 64), np.float32)
    for i, text in enumerate(texts):
        place = next((place for word, place in TOPICS.items() if word in text), 8 + i % 56)
        rows[i, place] = 1
        rows[i, 8 + (i * 7) % 56] += 0.3
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def found(turns: list[Asked]) -> list[Gap]:
    return find_gaps(turns, encode, lambda turn: turn.message.author.consent)


def test_the_largest_gap_is_what_most_people_miss() -> None:
    crowd = [person(f"{n}") for n in range(4)]
    turns = [asked(f"Who renews my badge number {n}?", who) for n, who in enumerate(crowd)]
    turns += [asked(f"Is there parking at hour {n}?", crowd[0], minutes=n) for n in range(9)]  # one person insists
    turns += [asked("Who won the match?", crowd[1]), asked("What is on the menu?", crowd[2], found="menu.md")]
    first, second, *rest = found(turns)
    assert (first.count, first.people, "badge" in first.label) == (4, 4, True)
    assert (second.count, second.people, second.weight) == (9, 1, 3)
    assert [gap.count for gap in rest] == [1]


def test_a_badly_rated_answer_is_a_gap_too() -> None:
    (gap,) = found([asked("What is on the menu?", person("a"), found="menu.md", rated=-1)])
    assert (gap.count, gap.disliked) == (1, 1)
    assert found([asked("What is on the menu?", person("a"), found="menu.md", rated=1)]) == []


def test_words_of_one_person_who_has_not_agreed_are_nowhere() -> None:
    ann, ben = person("ann", consent=False), person("ben", consent=False)
    gaps = found([asked("Can Zenobia get a badge?", ann), asked("Can Waldo renew a badge?", ben)])
    said = " ".join(f"{gap.label} {gap.examples}" for gap in gaps)
    assert "badge" in said
    assert "zenobia" not in said.casefold()
    assert "waldo" not in said.casefold()
    assert all(gap.examples == () for gap in gaps)


def test_what_was_asked_among_people_who_may_read_more_is_shown_to_these_only() -> None:
    turn = asked("Who gets a bonus?", person("a")).turn
    message = turn.message
    secret = Message(
        message.id,
        message.place,
        message.author,
        message.text,
        NOW,
        frozenset({"acme/hr", "acme/chat-1f", "acme/everyone"}),
    )
    turn = replace(turn, message=secret)
    assert not may_be_shown(turn, {"acme/everyone"}, "acme")
    assert may_be_shown(turn, {"acme/hr"}, "acme")
    quiet = replace(secret, author=person("b", consent=False))
    assert not may_be_shown(replace(turn, message=quiet), {"acme/hr"}, "acme")


def test_a_refusal_that_names_the_nearest_documents_is_no_answer() -> None:
    turn = asked("Who renews my badge?", person("a"), found="menu.md").turn
    assert not is_unanswered(turn)
    named = replace(turn.reply, text=f"{phrase('answer', 'not_held')}\n\n- menu.md [1]")
    assert is_unanswered(replace(turn, reply=named))


def test_old_and_contradicting_documents() -> None:
    turns = [asked(f"What is on the menu {n}?", person("a"), found="menu.md", reason="differ") for n in range(3)]
    changed = {"menu.md": NOW - timedelta(days=400), "new.md": NOW}
    readers = {"acme/everyone"}
    (old,) = old_documents(turns, changed, 12, NOW, readers)
    assert (old.source, old.questions) == ("menu.md", 3)
    assert old_documents(turns, changed, 14, NOW, readers) == []
    assert old_documents(turns, changed, 0, NOW, readers) == []
    assert old_documents(turns, changed, 12, NOW, {"acme/hr"}) == []
    assert differing_documents(turns, "differ", readers) == []  # one document alone contradicts nothing


@pytest.mark.parametrize("tenant", ["acme", "other"])
def test_turns_are_read_of_one_tenant(engine: Engine, tenant: str) -> None:
    memory = Memory(engine)
    ann = memory.person("slack:acme:U1")
    memory.append(asked("Who renews my badge?", ann).turn)
    memory.rate(memory.turns(Place("slack", "acme", "C1"))[0].id, ann.id, -1)
    got = lately_asked(engine, tenant, NOW - timedelta(days=1))
    assert [each.ratings for each in got] == ([(-1,)] if tenant == "acme" else [])
    assert lately_asked(engine, "acme", NOW + timedelta(days=1)) == []
