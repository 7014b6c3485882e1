"""The team's own rated turns to examples: the prompt exactly as it was served, the reply as it was rated.

A turn is learned from only where everybody whose words stand in it has agreed: its author, who wrote the lines of its
history, who wrote the documents of its passages. Its audiences are those of every passage that it or its history drew
on, as they were then and as they are today.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from agent.colleague import DESK, STOPPED
from agent.erasure import REMOVED
from agent.generation.rendering import ChatMessage, messages_of
from agent.guard import check_message
from agent.memory import Memory
from agent.memory_tables import feedback, persons, places, turn_of, turns
from agent.message import Line, Turn
from agent.people import people_of
from agent.policy import GUIDE
from agent.prompt import Citations, compose
from agent.summary import CUT
from finetune.example import Example, Origin
from finetune.examples.problems import Code, Problem, Read, Rejected, Source
from retrieval.audience import check_tenant
from retrieval.database import reading
from retrieval.errors import MessageRefused
from retrieval.tables import documents

_MANY = 500  # values in one IN list

_MESSAGES = {
    Code.NO_CONSENT: "Somebody whose words are in it has not agreed to be learned from (/consent).",
    Code.TIED: "As many people found the reply good as bad.",
    Code.CUT_REPLY: "The reply was stopped before its end.",
    Code.INCOMPLETE: "Its prompt or reply is not kept whole any more.",
    Code.DOCUMENT_GONE: "A document that it drew on was deleted.",
    Code.EMPTY_CONTENT: "There was no reply.",
}


def rated_turns(memory: Memory, tenant: str) -> Read:
    """Every rated turn of a tenant: one ballot a person, of people who have agreed to be learned from.

    Turns that most found bad are kept with rating -1, for preference training; comments are not learned. Nothing of a
    turn that is left out is copied. Raises StoreError.
    """
    found: list[tuple[str, Example | Code]] = []
    with reading(memory.engine) as connection:
        votes = _votes(connection, tenant)
        library = _library(connection, tenant)
        for place in sorted({place for place, _ in votes}):
            rated = {turn: ballots for (where, turn), ballots in votes.items() if where == place}
            found += _of_place(connection, place, rated, library)
    found.sort(key=lambda pair: pair[0])
    problems = [_problem(turn, code) for turn, code in found if isinstance(code, Code)]
    digest = hashlib.sha256()
    for turn, result in found:
        digest.update(f"{turn} {result if isinstance(result, Code) else result.rating}\n".encode())
    return Read(
        tuple(result for _, result in found if isinstance(result, Example)),
        tuple(problems),
        tuple(Rejected(problem.place, (problem,)) for problem in problems),
        Source("turns", "rated turns", digest.hexdigest(), len(found), "the team's own, with consent"),
    )


@dataclass(frozen=True, slots=True)
class _Document:
    audience: str
    author: str | None


@dataclass(frozen=True, slots=True)
class _Spoken:
    """What is known of an earlier turn of the same place."""

    id: str
    author: str
    text: str
    reply: str
    evidence: tuple[tuple[str, str], ...]  # sources and audiences of its passages


def _problem(turn: str, code: Code) -> Problem:
    return Problem(f"turn {turn}", code, _MESSAGES[code])


def _votes(connection: Connection, tenant: str) -> dict[tuple[str, str], list[int]]:
    """Ballots by place and turn; of people who have not agreed none, but their turns stand there."""
    query = (
        sa.select(turns.c.place, turns.c.id, feedback.c.rating, persons.c.consent)
        .join(places, places.c.key == turns.c.place)
        .join(feedback, feedback.c.turn == turns.c.id)
        .join(persons, persons.c.id == feedback.c.person)
        .where(places.c.tenant == tenant)
    )
    votes: dict[tuple[str, str], list[int]] = {}
    for place, turn, rating, consent in connection.execute(query):
        ballots = votes.setdefault((place, turn), [])
        if consent:
            ballots.append(rating)
    return votes


def _library(connection: Connection, tenant: str) -> dict[str, _Document]:
    query = sa.select(documents.c.source, documents.c.audience, documents.c.author)
    rows = connection.execute(query.where(documents.c.tenant == check_tenant(tenant)))
    return {row.source: _Document(row.audience, row.author) for row in rows}


def _of_place(
    connection: Connection, place: str, rated: Mapping[str, Sequence[int]], library: Mapping[str, _Document]
) -> Iterator[tuple[str, Example | Code]]:
    """For each rated turn of a place the example, or why there is none."""
    columns = (turns.c.id, turns.c.author, turns.c.text, turns.c.reply, turns.c.passages)
    spoken = [
        _Spoken(row.id, row.author, row.text, row.reply, _evidence((p["source"], p["audience"]) for p in row.passages))
        for row in connection.execute(sa.select(*columns).where(turns.c.place == place).order_by(turns.c.id))
    ]
    agreed = _agreed(connection, {each.author for each in spoken} | {d.author for d in library.values() if d.author})
    conversation = _Conversation(spoken)
    for turn in _turns(connection, sorted(rated)):
        yield turn.id, _example(turn, rated[turn.id], conversation.context(turn), agreed, library)


def _evidence(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Each once, without Atelier's own guide, which is everybody's."""
    return tuple(dict.fromkeys(pair for pair in pairs if not pair[0].startswith(GUIDE)))


def _agreed(connection: Connection, ids: set[str]) -> frozenset[str]:
    agreed: set[str] = set()
    ordered = sorted(ids)
    for start in range(0, len(ordered), _MANY):
        part = persons.c.id.in_(ordered[start : start + _MANY]) & persons.c.consent
        agreed.update(connection.execute(sa.select(persons.c.id).where(part)).scalars())
    return frozenset(agreed)


def _turns(connection: Connection, ids: Sequence[str]) -> Iterator[Turn]:
    joined = sa.select(turns, places.c.platform, places.c.tenant, places.c.channel, places.c.thread)
    for start in range(0, len(ids), _MANY):
        part = turns.c.id.in_(ids[start : start + _MANY])
        rows = connection.execute(joined.join(places, places.c.key == turns.c.place).where(part)).all()
        people = people_of(connection, sorted({row.author for row in rows}))
        yield from (turn_of(row, people[row.author]) for row in rows)


def _example(
    turn: Turn,
    ballots: Sequence[int],
    context: Sequence[_Spoken] | None,
    agreed: frozenset[str],
    library: Mapping[str, _Document],
) -> Example | Code:
    author = turn.message.author.id
    if author not in agreed:
        return Code.NO_CONSENT
    if context is None:
        return Code.INCOMPLETE
    evidence = _evidence(
        [*((p.source, p.audience) for p in turn.passages), *(each for spoken in context for each in spoken.evidence)]
    )
    if any(source not in library for source, _ in evidence):
        return Code.DOCUMENT_GONE
    writers = {document.author for source, _ in evidence if (document := library[source]).author}
    others = {spoken.author for spoken in context} | {writer for writer in writers if writer}
    if not others <= agreed:
        return Code.NO_CONSENT
    rating = (sum(ballots) > 0) - (sum(ballots) < 0)
    if not rating:
        return Code.TIED if ballots else Code.NO_CONSENT
    reply = as_generated(turn)
    if isinstance(reply, Code):
        return reply
    messages = served(turn)
    if messages is None:
        return Code.INCOMPLETE
    origin = Origin(
        f"turn {turn.id}",
        author,
        tuple(sorted(others - {author})),
        tuple(dict.fromkeys(source for source, _ in evidence)),
        frozenset({audience for _, audience in evidence} | {library[source].audience for source, _ in evidence}),
        hashlib.sha256(turn.message.place.key.encode()).hexdigest()[:16],
    )
    context_only = frozenset(i for i, message in enumerate(messages) if message.role == "assistant")
    return Example((*messages, ChatMessage("assistant", reply)), origin, rating, context_only)


def served(turn: Turn) -> list[ChatMessage] | None:
    """The conversation that the generator was asked to answer; None where the message cannot be read any more."""
    try:
        text = check_message(turn.message.text)  # as it was before it was understood
    except MessageRefused:
        return None
    move, intent = turn.decision.move, turn.understanding.intent
    return messages_of(compose(turn.persona, turn.history, text, intent, move, turn.passages))


def as_generated(turn: Turn) -> str | Code:
    """The reply with the prompt's own numbers for its citations, which people saw counted from the first one on."""
    if turn.reply.notice == STOPPED:
        return Code.CUT_REPLY
    if not turn.reply.text.strip() or turn.reply.generator == DESK:  # that a person is asked was no model's answer
        return Code.EMPTY_CONTENT
    if REMOVED in turn.reply.text:
        return Code.INCOMPLETE
    place = {passage.id: number for number, passage in enumerate(turn.passages, 1)}
    if any(source.passage not in place for source in turn.reply.sources):
        return Code.INCOMPLETE
    numbers = {source.number: place[source.passage] for source in turn.reply.sources}
    citations = Citations(turn.passages, numbers)
    text = citations.renumber(turn.reply.text)
    return text if len(citations.sources) == len(numbers) else Code.INCOMPLETE


class _Conversation:
    """The turns of a place, by id, and who said what in it."""

    def __init__(self, spoken: Sequence[_Spoken]) -> None:
        self._spoken = spoken

    def context(self, turn: Turn) -> list[_Spoken] | None:
        """The earlier turns whose words stand in a turn's history; None where a line is of nobody known.

        A history is the end of what was said before, so it is read backwards beside it. A summary may hold words of
        any earlier turn.
        """
        earlier = [each for each in self._spoken if each.id < turn.id]
        if turn.history.summary.strip():
            return earlier
        found: list[_Spoken] = []
        at = len(earlier) - 1
        for text, reply in reversed(_exchanges(turn.history.lines)):
            while at >= 0 and not (_is(text, earlier[at].text) and _is(reply, earlier[at].reply)):
                at -= 1
            if at < 0:
                return None
            found.append(earlier[at])
            at -= 1
        return found


def _exchanges(lines: Sequence[Line]) -> list[tuple[str | None, str | None]]:
    """What was said and replied, turn by turn; None where a history begins or ends between the two."""
    exchanges: list[tuple[str | None, str | None]] = []
    for line in lines:
        if line.role == "user":
            exchanges.append((line.text, None))
        elif exchanges and exchanges[-1][1] is None:
            exchanges[-1] = (exchanges[-1][0], line.text)
        else:
            exchanges.append((None, line.text))
    return exchanges


def _is(line: str | None, text: str) -> bool:
    """Whether a history's line is this text, whole or shortened; no line may be any."""
    if line is None:
        return True
    start = line.removesuffix(CUT)
    return line == text or (start != line and text.startswith(start))
