"""One person's rights across all rooms: to be forgotten, with a check that it worked, and to get a copy of it all."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.erasure import Forgotten
from agent.ideation.persons import IDEAS, opened_by
from agent.ideation.persons import of as acts_in_sessions
from agent.memory import Memory
from agent.message import Person, Turn
from agent.opinion.monitor import Monitor
from agent.opinion.persons import withhold as withhold_opinions
from agent.support.cases import Cases
from agent.support.persons import withhold as withhold_answers
from connectors.desk.texts import say
from connectors.privacy_left import accounts_left, left_in_files, left_in_store, places_said
from connectors.privacy_opinion import HeardCopy, heard_of
from connectors.privacy_support import ActCopy, CaseCopy, CuratedCopy, acts_of, cases_of, curated_of
from connectors.privacy_waiting import WaitingCopy, drop_waiting, waiting_of
from connectors.terminal_unanswered import forget as forget_unanswered
from connectors.terminal_unanswered import lines_of
from finetune.examples.agreement import withheld
from finetune.examples.forgetting import Gone, Unlearned, rename, unlearn
from retrieval.database import reading
from retrieval.errors import StoreError
from retrieval.files import write_atomically
from retrieval.shelf import Shelf
from retrieval.tables import documents, passages

PHRASE = 48  # characters of a message that are looked for afterwards
LEAST = 16  # UTF-8 bytes below which a phrase is nobody's own
MOST = 200  # phrases looked for in files, of the latest messages
FEW = 20  # in PostgreSQL, where each costs a scan of every table
FORGOTTEN = "Somebody whose words it learned from was forgotten."
WITHHELD = "Somebody whose words it learned from took their consent back."
TAKEN_BACK = "A message that it learned from was deleted."
_UNESCAPED = re.compile(r'[^"\\\x00-\x1f]+')  # a run of characters that JSON writes as they are


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """What forgetting reached. checked: phrases searched for afterwards. left: where some were found all the same.

    waiting: messages that still waited to be answered, or answers that waited to be sent. learned: what was reached of
    fine-tuning.
    """

    forgotten: Forgotten
    documents: tuple[str, ...]
    checked: int
    left: tuple[str, ...]
    postgresql: bool
    waiting: int = 0
    learned: Unlearned = field(default=Unlearned())

    @property
    def sentences(self) -> tuple[str, ...]:
        return self.said("en")

    def said(self, language: str) -> tuple[str, ...]:
        """What was reached, what was checked, and what was not reached, for the person."""
        reached = self.forgotten
        counted = {
            "turns": reached.turns,
            "summaries": reached.summaries,
            "ratings": reached.ratings,
            "cleaned": reached.cleaned,
            "documents": len(self.documents),
            "accounts": reached.accounts,
            "waiting": self.waiting,
            "cases": reached.cases,
            "ideas": reached.ideas,
            "heard": reached.heard,
            "learned": self.learned.rows,
        }
        sentences = [say(language, f"forget_{what}", count=count) for what, count in counted.items() if count]
        if not sentences:
            sentences.append(say(language, "forget_nothing"))
        if self.left:
            sentences.append(
                say(language, "forget_left", count=self.checked, where=", ".join(places_said(self.left, language)))
            )
        elif self.checked:
            sentences.append(say(language, "forget_checked", count=self.checked))
        if reached.quoting:
            sentences.append(say(language, "forget_quoting", count=reached.quoting))
        if self.learned.versions:
            sentences.append(say(language, "forget_versions", versions=", ".join(self.learned.versions)))
        sentences.append(say(language, "forget_backups"))
        if self.postgresql:
            sentences.append(say(language, "forget_postgresql"))
        return tuple(sentences)


class TurnCopy(TypedDict):
    place: str
    sent: str
    message: str
    understood_as: str
    decision: str
    sources: list[str]
    reply: str
    notice: str
    generator: str
    adapter: str | None  # the version that spoke


class RatingCopy(TypedDict):
    turn: str
    rating: int
    comment: str
    given: str


class DocumentCopy(TypedDict):
    source: str
    title: str
    audience: str
    passages: list[str]


class LinkCodeCopy(TypedDict):
    expires: str
    used: bool


class ButtonCopy(TypedDict):
    kind: str
    value: str
    place: str


class SessionActCopy(TypedDict):
    """Something done in an ideation session. about: numbers of ideas."""

    session: str
    at: str
    what: str
    words: str
    about: list[str]


class PersonCopy(TypedDict):
    """Everything held about one person. Times are ISO 8601 in UTC."""

    person: str
    accounts: list[str]
    met: str
    consent: bool
    consent_asked: str | None
    administrator: bool
    link_code: LinkCodeCopy | None
    turns: list[TurnCopy]
    ratings: list[RatingCopy]
    documents: list[DocumentCopy]
    buttons: list[ButtonCopy]
    cases: list[CaseCopy]
    acts: list[ActCopy]
    curated: list[CuratedCopy]
    sessions: list[SessionActCopy]
    heard: list[HeardCopy]
    unanswered: list[str]  # lines typed at a terminal
    waiting: list[WaitingCopy]  # messages in the queue


def forget(person: Person, memory: Memory, shelf: Shelf, home: Path, waiting: int | None = None) -> ForgetReport:
    """Delete everything about a person from the store and the index cache, then look in both and in `home` for traces.

    waiting: how much of theirs `Delivery.forget` has dropped from the queue; else it is dropped here.
    Raises StoreError; what was deleted by then stays deleted, and forgetting again finishes the work.
    """
    finish_joinings(memory, shelf, home, person.id)
    forget_unanswered(home, person.accounts)
    if waiting is None:
        waiting = drop_waiting(memory.engine, person)
    held = memory.held(person.id)
    said = [line.text for _, lines in Cases(memory.engine).of(person.id) for line in lines]
    said += [each.words for each in acts_in_sessions(memory.engine, person.id)]
    said += [each.text for each in Monitor(memory.engine).of(person.id)]
    said += [each["question"] for each in curated_of(memory.engine, person.id) if each["state"] != "approved"]
    phrases = phrases_of([*(turn.message.text for turn in reversed(held.turns)), *said]) if held else []
    gone = _gone(memory.engine, held.person if held else person, phrases)
    learned = unlearn(memory.engine, home, gone, FORGOTTEN)
    sources = (*shelf.remove_author(person.id), *_remove_topics(memory.engine, shelf, person))
    forgotten = memory.forget(person.id, sources)
    learned += unlearn(memory.engine, home, gone, FORGOTTEN)  # what was being prepared meanwhile
    postgresql = memory.engine.dialect.name == "postgresql"
    phrases = [person.id, *phrases[: FEW if postgresql else MOST]] if held else []
    columns = left_in_store(memory.engine, phrases) | accounts_left(memory.engine, gone.names)
    left = (*sorted(columns), *left_in_files(memory.engine, home, phrases))
    return ForgetReport(forgotten, sources, len(phrases), left, postgresql, waiting, learned)


def withhold(person: Person, memory: Memory, shelf: Shelf, home: Path) -> Unlearned:
    """Take a person's consent back: what they wrote leaves every job's data too, also one that may be resumed.

    Answers to a question in their own words go as well; they can be approved again in others'. Later sessions find
    their ideas no more.

    Raises StoreError; asked again it finishes the work.
    """
    finish_joinings(memory, shelf, home, person.id)
    return _withhold(person, memory, shelf, home)


def finish_joinings(memory: Memory, shelf: Shelf, home: Path, of: str = "") -> None:
    """Where accounts were joined, one person's rights reach what both left outside of memory.

    of: the person who asks; what cannot be done for others now waits for another time. Raises StoreError.

    What jobs and versions learned from either they learned from that person now. Where not both had given consent there
    is none any more, and what was kept of either's words because of it goes. Done by whoever joins accounts; what a
    crash left of it is done before the next who joins some, is forgotten or takes consent back.
    """
    for gone, person in memory.people.joinings():
        try:
            rename(memory.engine, home, gone, person.id)
            if not person.consent:
                _withhold(person, memory, shelf, home)
            memory.people.joined(gone)
        except StoreError:
            if not of or person.id == of:
                raise


def _withhold(person: Person, memory: Memory, shelf: Shelf, home: Path) -> Unlearned:
    memory.people.set_consent(person.id, consent=False)
    withhold_opinions(memory.engine, person.id)
    withhold_answers(memory.engine, person.id)
    shelf.remove_author(person.id, IDEAS)
    words = withheld(memory.engine, "", person.id)
    gone = Gone(person.id, frozenset(person.accounts), withheld=words)
    return unlearn(memory.engine, home, gone, WITHHELD)


def take_back(turn: Turn, memory: Memory, home: Path) -> Unlearned:
    """Forget one turn whose message its author deleted, in memory and in every job's data. Raises StoreError."""
    phrases = tuple(phrases_of([turn.message.text]))
    memory.take_back(turn.id)
    return unlearn(memory.engine, home, Gone(phrases=phrases, turns=frozenset({turn.id})), TAKEN_BACK)


def _remove_topics(engine: Engine, shelf: Shelf, person: Person) -> tuple[str, ...]:
    """Remove the documents that others' ideas became under a topic in the person's words; their sources."""
    gone: list[str] = []
    for tenant, code in opened_by(engine, person.id):
        named = [each.source for each in shelf.documents(tenant) if each.source.startswith(f"{IDEAS}{code.lower()}-")]
        gone += shelf.remove_all(tenant, named)
    return tuple(gone)


def _gone(engine: Engine, person: Person, phrases: Iterable[str]) -> Gone:
    """What fine-tuning knows of a person, while the store still knows it."""
    with reading(engine) as connection:
        written = connection.execute(sa.select(documents.c.source).where(documents.c.author == person.id)).scalars()
        return Gone(person.id, frozenset(person.accounts), tuple(phrases), documents=frozenset(written))


def copy_of(person: Person, memory: Memory, home: Path) -> PersonCopy:
    """Everything held about a person, ready for JSON. Raises StoreError."""
    held = memory.held(person.id)
    if held is None:
        raise StoreError("Nothing is stored about you.")
    return PersonCopy(
        person=person.id,
        accounts=list(held.person.accounts),
        met=held.met.isoformat(),
        consent=held.person.consent,
        consent_asked=held.consent_asked.isoformat() if held.consent_asked else None,
        administrator=held.person.administrator,
        link_code=LinkCodeCopy(expires=held.code.expires.isoformat(), used=held.code.is_used) if held.code else None,
        turns=[_turn_copy(turn) for turn in held.turns],
        ratings=[
            RatingCopy(turn=each.turn, rating=each.rating, comment=each.comment, given=each.given.isoformat())
            for each in held.ratings
        ],
        documents=_documents_of(memory.engine, person),
        buttons=[ButtonCopy(kind=each.kind, value=each.value, place=each.place.key) for each in held.buttons],
        cases=cases_of(memory.engine, person.id),
        acts=acts_of(memory.engine, person.id),
        curated=curated_of(memory.engine, person.id),
        sessions=[
            SessionActCopy(
                session=each.session, at=each.at.isoformat(), what=each.what, words=each.words, about=list(each.about)
            )
            for each in acts_in_sessions(memory.engine, person.id)
        ],
        heard=heard_of(memory.engine, person.id),
        unanswered=lines_of(home, held.person.accounts),
        waiting=waiting_of(memory.engine, held.person),
    )


def write_copy(person: Person, memory: Memory, home: Path, file: Path) -> PersonCopy:
    """Write `copy_of` a person to a JSON file that only its owner may read. Raises StoreError."""
    copy = copy_of(person, memory, home)
    try:
        write_atomically(file, json.dumps(copy, ensure_ascii=False, indent=2).encode())
    except OSError as error:
        raise StoreError(f"The export could not be written to {file}: {error.strerror}.") from error
    return copy


def phrases_of(texts: Iterable[str]) -> list[str]:
    """Up to MOST phrases that would give the texts away, one a text, as the store would write them."""
    found: dict[str, None] = {}
    for text in texts:
        phrase = max(_UNESCAPED.findall(text), key=len, default="").strip()[:PHRASE]
        if len(phrase.encode()) >= LEAST:
            found[phrase] = None
        if len(found) == MOST:
            break
    return list(found)


def _turn_copy(turn: Turn) -> TurnCopy:
    understood = turn.understanding
    return TurnCopy(
        place=turn.message.place.key,
        sent=turn.message.sent.isoformat(),
        message=turn.message.text,
        understood_as=f"{understood.intent} ({understood.confidence:.2f}), "
        f"{understood.sentiment} ({understood.sentiment_confidence:.2f}): {' '.join(understood.reasons)}",
        decision=f"{turn.decision.move}: {turn.decision.reason}",
        sources=[passage.source for passage in turn.passages],
        reply=turn.reply.text,
        notice=turn.reply.notice,
        generator=turn.reply.generator,
        adapter=turn.adapter,
    )


def _documents_of(engine: Engine, person: Person) -> list[DocumentCopy]:
    copies: dict[str, DocumentCopy] = {}
    query = (
        sa.select(documents.c.source, documents.c.title, documents.c.audience, passages.c.text)
        .join(passages, passages.c.content == documents.c.content, isouter=True)
        .where(documents.c.author == person.id)
        .order_by(documents.c.source, passages.c.ordinal)
    )
    with reading(engine) as connection:
        for row in connection.execute(query):
            empty = DocumentCopy(source=row.source, title=row.title, audience=row.audience, passages=[])
            texts = copies.setdefault(row.source, empty)["passages"]
            if row.text is not None:
                texts.append(row.text)
    return list(copies.values())
