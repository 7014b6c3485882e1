"""Curated answers: questions that the team has answered itself, word for word, for whom it says.

    proposed ── approve ──> approved ── withdraw ──> withdrawn        approve: again, with other words, at any time

Only approved entries answer. An entry's question may be put in several ways, one a line. Its answer may hold the blanks
{today}, {weekday} and {year}. Whatever proposes an entry names the event that it comes of: the same event is the same
entry, also after a crash.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import Lock
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.erasure import lock_memory
from agent.memory_tables import insert_new, persons
from agent.support.matching import Matcher, Phrasing, read
from agent.support.tables import OF_THREAD, curated
from retrieval.audience import audience_of, check_audience, check_audiences, check_tenant
from retrieval.database import reading, writing
from retrieval.encoder import Encoder
from retrieval.errors import MessageRefused
from retrieval.passage import Passage, Vectors
from retrieval.prepared import Prepared

SOURCE = "approved answer"  # named where an entry names none
LONGEST = 8000  # characters of a question or an answer
_BLANK = re.compile(r"\{(\w+)\}")


class State(StrEnum):
    PROPOSED = "proposed"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Entry:
    """origin: the event that it comes of. audience: who may read it (`tenant/name`).

    proposed_by, decided_by: persons, empty for Atelier and for who was forgotten. asked_by: the person in whose own
    words the question is put; empty once somebody else has worded it.
    """

    id: int
    origin: str
    tenant: str
    question: str
    answer: str
    source: str
    audience: str
    language: str
    state: State
    proposed_by: str
    asked_by: str
    decided_by: str
    proposed: datetime
    decided: datetime | None

    @property
    def title(self) -> str:
        """The question as it is shown: the first way in which it is put."""
        return self.question.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Match:
    """The entry that answers a question. probability: that it does, calibrated. answer: with its blanks filled in."""

    entry: Entry
    probability: float
    similarity: float
    answer: str

    @property
    def passage(self) -> Passage:
        """The entry as evidence. Its id is negative: no document's passage has such a one."""
        entry = self.entry
        text, source = f"{entry.title}\n{self.answer}", entry.source or SOURCE
        return Passage(
            -entry.id, text, source, entry.title, None, None, entry.audience, self.probability, self.similarity
        )


@dataclass(frozen=True, slots=True)
class _Book:
    """A tenant's approved entries, ready to be asked: one row for each way in which a question is put."""

    stamp: tuple[object, ...]
    entries: tuple[Entry, ...] = ()
    phrasings: tuple[Phrasing, ...] = ()
    vectors: Vectors | None = None

    def by_text(self) -> dict[str, Vectors]:
        """The vector of each way in which a question is put."""
        if self.vectors is None:
            return {}
        return {phrasing.text: row for phrasing, row in zip(self.phrasings, self.vectors, strict=True)}


class Curated:
    """The entries in the store. Thread-safe, and safe beside other processes. Every method raises StoreError."""

    def __init__(self, engine: Engine, encoder: Encoder | None = None) -> None:
        """encoder: for `match`, the one that the questions are encoded with."""
        self._engine = engine
        self._encoder = encoder
        self._matcher = None if encoder is None else Matcher(encoder)
        self._books: dict[str, _Book] = {}
        self._lock = Lock()

    def propose(
        self,
        origin: str,
        tenant: str,
        question: str,
        answer: str,
        source: str,
        audience: str,
        by: str = "",
        *,
        asked_by: str = "",
        language: str = "",
    ) -> Entry:
        """An entry that waits for approval; the one that is there when its event comes again, whatever became of it.

        audience: plain (`hr`) or whole (`acme/hr`). by, asked_by: ids of persons. Raises MessageRefused where words
        are missing or too many, or where somebody in whose own words it stands has not agreed to that (any more);
        SettingsError for an impossible audience.
        """
        now = datetime.now(UTC)
        row = {
            "origin": origin[:200],
            "tenant": check_tenant(tenant),
            "question": _words(question, "question"),
            "answer": _words(answer, "answer"),
            "source": source.strip(),
            "audience": audience_of(tenant, audience),
            "language": language[:20],
            "state": State.PROPOSED.value,
            "decided_by": None,
            "proposed": now,
            "decided": None,
            "changed": now,
        }
        with writing(self._engine) as connection:
            lock_memory(connection)
            for person in filter(None, (asked_by, by if origin.startswith(OF_THREAD) else "")):
                _check_consent(connection, person)
            row |= {"proposed_by": _known(connection, by), "asked_by": _known(connection, asked_by)}
            insert_new(connection, curated, row)
            entry = _one(connection, curated.c.origin == origin[:200])
            assert entry is not None, "it was just inserted, or was there"
            return entry

    def approve(
        self, number: int, by: str, answer: str | None = None, *, question: str | None = None, audience: str = ""
    ) -> Entry | None:
        """Let an entry answer, on wish in other words or for others; None where there is none. Again: changes it.

        audience: whole. Raises MessageRefused where words are missing or too many, SettingsError where that is none
        of the entry's tenant.
        """
        values: dict[str, Any] = {"state": State.APPROVED.value}
        if answer is not None:
            values["answer"] = _words(answer, "answer")
            values["proposed_by"] = sa.case((curated.c.origin.startswith(OF_THREAD), None), else_=curated.c.proposed_by)
        if question is not None:
            values |= {"question": _words(question, "question"), "asked_by": None}
        if audience:
            values["audience"] = check_audience(audience)  # of its tenant: `_change` looks
        return self._decide(number, by, values)

    def give(self, number: int, audience: str) -> Entry | None:
        """Let others read an entry, whatever its state; None where there is none. audience: whole.

        Raises SettingsError where that is none of the entry's tenant.
        """
        return self._change(number, {"audience": check_audience(audience)})

    def move(self, tenant: str, old: str, new: str) -> None:
        """Let the readers of `new` read what those of `old` could: their channel has another id. Both whole."""
        for entry in self.listing(tenant):
            if entry.audience == check_audience(old):
                self.give(entry.id, new)

    def withdraw(self, number: int, by: str) -> Entry | None:
        """Let an entry not answer any more, or never; None where there is none."""
        return self._decide(number, by, {"state": State.WITHDRAWN.value})

    def put(
        self, origin: str, tenant: str, question: str, answer: str, source: str, audience: str, by: str = ""
    ) -> Entry:
        """An approved entry, by somebody who may approve: made, or given these words. Raises as `propose`."""
        made = self.propose(origin, tenant, question, answer, source, audience, by)
        wanted = {"question": _words(question, "question"), "answer": _words(answer, "answer")}
        wanted |= {"source": source.strip(), "audience": audience_of(tenant, audience), "state": State.APPROVED.value}
        if all(getattr(made, name) == value for name, value in wanted.items()):
            return made
        done = self._decide(made.id, by, wanted)
        assert done is not None, "it was just there"
        return done

    def get(self, number: int) -> Entry | None:
        with reading(self._engine) as connection:
            return _one(connection, curated.c.id == number)

    def stands(self, passage: Passage, audiences: Collection[str]) -> bool:
        """Whether the entry of a `Match.passage` is approved in the same words and may be read. Raises StoreError."""
        entry = self.get(-passage.id)
        if entry is None or entry.state is not State.APPROVED or entry.audience not in audiences:
            return False
        return passage.text == Match(entry, 0.0, 0.0, filled(entry.answer, datetime.now(UTC))).passage.text

    def by_origin(self, origin: str) -> Entry | None:
        """The entry that comes of an event."""
        with reading(self._engine) as connection:
            return _one(connection, curated.c.origin == origin[:200])

    def listing(self, tenant: str, state: State | None = None) -> list[Entry]:
        """A tenant's entries, oldest first."""
        query = sa.select(curated).where(curated.c.tenant == check_tenant(tenant)).order_by(curated.c.id)
        query = query if state is None else query.where(curated.c.state == state.value)
        with reading(self._engine) as connection:
            return [_entry(row) for row in connection.execute(query)]

    def of(self, person: str) -> list[Entry]:
        """Those that a person proposed, approved or withdrew, or asked in their own words."""
        theirs = sa.or_(*(curated.c[name] == person for name in ("proposed_by", "asked_by", "decided_by")))
        with reading(self._engine) as connection:
            return [_entry(row) for row in connection.execute(sa.select(curated).where(theirs).order_by(curated.c.id))]

    def warm(self, tenant: str) -> None:
        """Read and encode a tenant's entries, so that the first question need not wait for it."""
        book = self._book(check_tenant(tenant))
        if self._matcher is not None:
            self._matcher.warm([phrasing.text for phrasing in book.phrasings])

    def match(self, question: str, vector: Vectors, tenant: str, audiences: Collection[str]) -> Match | None:
        """The approved entry that answers a question surely enough, of those that a holder of `audiences` may read.

        vector: of the question by this object's encoder, (dim,).
        """
        book = self._book(check_tenant(tenant))
        if book.vectors is None or self._matcher is None:
            return None
        held = check_audiences(frozenset(audiences))
        places = [place for place, entry in enumerate(book.entries) if entry.audience in held]
        if not places:
            return None
        row, vectors = vector.reshape(-1), book.vectors[places]
        phrasings, numbers = [book.phrasings[place] for place in places], [book.entries[place].id for place in places]
        sure = self._matcher.probabilities(read(question), row, phrasings, vectors, numbers)
        best = int(np.argmax(sure))
        if sure[best] < self._matcher.threshold:
            return None
        entry = book.entries[places[best]]
        return Match(entry, float(sure[best]), float(vectors[best] @ row), filled(entry.answer, datetime.now(UTC)))

    def known(self, questions: Sequence[str], tenant: str) -> list[bool]:
        """For each question whether an entry has it already, in whatever state and for whomever."""
        entries = self.listing(tenant)
        asked = [(entry.id, line.strip()) for entry in entries for line in entry.question.split("\n") if line.strip()]
        if not questions or not asked:
            return [False] * len(questions)
        assert self._encoder is not None, "who compares gives an encoder"
        assert self._matcher is not None, "it comes with the encoder"
        vectors = self._book(check_tenant(tenant)).by_text()  # of what is approved
        new = list(dict.fromkeys(text for text in (*(line for _, line in asked), *questions) if text not in vectors))
        vectors |= zip(new, self._encoder(new), strict=True) if new else ()
        phrasings, numbers = [read(line) for _, line in asked], [number for number, _ in asked]
        had = np.array([vectors[line] for _, line in asked], dtype=np.float32)
        matcher = self._matcher
        return [
            bool(
                matcher.probabilities(read(question), vectors[question], phrasings, had, numbers).max()
                >= matcher.threshold
            )
            for question in questions
        ]

    def _decide(self, number: int, by: str, values: Mapping[str, object]) -> Entry | None:
        return self._change(number, {**values, "decided": datetime.now(UTC)}, by)

    def _change(self, number: int, values: Mapping[str, object], by: str | None = None) -> Entry | None:
        """by: who decided; None: nobody did."""
        now = datetime.now(UTC)
        with writing(self._engine) as connection:
            lock_memory(connection)
            entry = _one(connection, curated.c.id == number)
            if entry is None:
                return None
            if "audience" in values:
                audience_of(entry.tenant, str(values["audience"]))
            last = connection.execute(sa.select(sa.func.max(curated.c.changed))).scalar()
            # later than all others also where a clock was set back: by the latest change a book is known to be old
            later = now if last is None else max(now, last + timedelta(microseconds=1))
            changed = {**values, "changed": later} | ({} if by is None else {"decided_by": _known(connection, by)})
            connection.execute(curated.update().where(curated.c.id == number).values(changed))
            return _one(connection, curated.c.id == number)

    def _book(self, tenant: str) -> _Book:
        """The tenant's approved entries as they are in the store now; only what is new is encoded."""
        given = {"tenant": tenant, "state": State.APPROVED.value}
        book = self._books.get(tenant)
        if book is not None and book.stamp == tuple(_STAMP.ask(self._engine, given)[0]):
            return book
        approved = (curated.c.tenant == tenant) & (curated.c.state == State.APPROVED.value)
        with reading(self._engine) as connection:
            stamp = tuple(_STAMP.run(connection, given)[0])
            rows = connection.execute(sa.select(curated).where(approved).order_by(curated.c.id)).all()
        with self._lock:
            known = self._books.get(tenant, _Book(()))
            made = self._made(stamp, [_entry(row) for row in rows], known)
            self._books[tenant] = made
            return made

    def _made(self, stamp: tuple[object, ...], entries: Iterable[Entry], known: _Book) -> _Book:
        asked = [(entry, line.strip()) for entry in entries for line in entry.question.split("\n") if line.strip()]
        if not asked:
            return _Book(stamp)
        assert self._encoder is not None, "who matches gives an encoder"
        had = known.by_text()
        new = list(dict.fromkeys(text for _, text in asked if text not in had))
        if new:
            had |= zip(new, self._encoder(new), strict=True)
        vectors = np.array([had[text] for _, text in asked], dtype=np.float32)
        return _Book(stamp, tuple(entry for entry, _ in asked), tuple(read(text) for _, text in asked), vectors)


_STAMP = Prepared(  # asked with every message
    sa.select(sa.func.count(), sa.func.max(curated.c.id), sa.func.max(curated.c.changed)).where(
        curated.c.tenant == sa.bindparam("tenant"), curated.c.state == sa.bindparam("state")
    )
)


def filled(answer: str, now: datetime) -> str:
    """An answer with its blanks filled in; other words in braces stay as they are."""
    local = now.astimezone()
    blanks = {"today": f"{local:%Y-%m-%d}", "weekday": f"{local:%A}", "year": f"{local:%Y}"}
    return _BLANK.sub(lambda blank: blanks.get(blank[1], blank[0]), answer)


def _words(text: str, what: str) -> str:
    words = text.strip()
    if not words:
        raise MessageRefused(f"The {what} is empty. A curated answer needs a question and an answer.")
    if len(words) > LONGEST:
        raise MessageRefused(f"The {what} has {len(words):,} characters; {LONGEST:,} are the most. Shorten it.")
    return words


def _known(connection: Connection, person: str) -> str | None:
    """The id as a key, or nothing where nobody is known by it (any more)."""
    if not person:
        return None
    return connection.execute(sa.select(persons.c.id).where(persons.c.id == person)).scalar_one_or_none()


def _check_consent(connection: Connection, person: str) -> None:
    agreed = sa.select(persons.c.consent).where(persons.c.id == person).with_for_update(read=True)
    if not connection.execute(agreed).scalar_one_or_none():  # locked: taken back meanwhile it is found again
        raise MessageRefused("Who wrote this has not agreed that their words are used. Put it in your own.")


def _one(connection: Connection, condition: sa.ColumnElement[bool]) -> Entry | None:
    row = connection.execute(sa.select(curated).where(condition)).first()
    return None if row is None else _entry(row)


def _entry(row: sa.Row[*tuple[Any, ...]]) -> Entry:
    return Entry(
        id=row.id,
        origin=row.origin,
        tenant=row.tenant,
        question=row.question,
        answer=row.answer,
        source=row.source,
        audience=row.audience,
        language=row.language,
        state=State(row.state),
        proposed_by=row.proposed_by or "",
        asked_by=row.asked_by or "",
        decided_by=row.decided_by or "",
        proposed=row.proposed,
        decided=row.decided,
    )
