"""Who people are: known at first sight, one person across platforms by a code, their consent, administrators.

A person's id says nothing about who they are. What they may read is told by the caller and never stored.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.erasure import lock_memory
from agent.ideation import persons as ideation
from agent.memory_tables import (
    accounts,
    feedback,
    insert_new,
    joinings,
    link_codes,
    persons,
    put,
    turns,
    wrong_codes,
)
from agent.message import Person
from agent.opinion import persons as opinion
from agent.support import persons as support
from retrieval.database import reading, writing
from retrieval.errors import AtelierError, StoreError
from retrieval.prepared import Prepared
from retrieval.store import bump
from retrieval.tables import documents

LETTERS = "34679ACDEFGHJKMNPQRTVWXY"  # no two look alike: neither 0 O, 1 I L, 2 Z, 5 S, 8 B nor U V are both here
LENGTH = 8  # 24 ** 8, about 10 ** 11 codes
VALID = timedelta(minutes=15)
TRIES = 5  # wrong ones of an account, before it must be quiet for PAUSE
PAUSE = timedelta(hours=1)

_ANEW = "Ask for a new one where you are known already."
_REFUSALS = {
    "wrong": f"That code is not right. Check each character. {_ANEW}",
    "used": f"That code was used already, and each works once. {_ANEW}",
    "expired": f"That code is older than {VALID.seconds // 60} minutes. {_ANEW}",
    "own": "This account is linked already. Enter the code where you are not known yet.",
    "too_often": f"{TRIES} codes from this account were wrong. Wait an hour and try again.",
}
_UNKNOWN = "Nothing is known about this person any more, so nothing was changed."


class LinkRefused(AtelierError):
    """A code is `wrong`, `used`, `expired` or one's `own`, or wrong ones came `too_often`: trying again is vain."""

    def __init__(self, reason: str) -> None:
        super().__init__(_REFUSALS[reason])
        self.reason = reason


@dataclass(frozen=True, slots=True)
class LinkCode:
    """What is stored of a code, beside its digest."""

    expires: datetime
    is_used: bool


class People:
    """The persons in the store. Thread-safe, and safe beside other processes. Every method raises StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def person(self, account: str, audiences: Iterable[str] = (), *, administrator: bool = False) -> Person:
        """Who `account` (`platform:tenant:user`) is, made known at first sight.

        audiences: what they may read now. administrator: the settings say so of this account; otherwise the store does.
        """
        known = _owner(_OWNER.ask(self._engine, {"account": account}))
        if known is None:
            with writing(self._engine) as connection:
                known = _meet(connection, account)
        return replace(known, audiences=frozenset(audiences), administrator=known.administrator or administrator)

    def known(self, account: str) -> Person | None:
        """Who has this account, if Atelier has met them; nobody is made known."""
        with reading(self._engine) as connection:
            return owner_of(connection, account)

    def set_consent(self, person_id: str, *, consent: bool) -> None:
        """Whether what they write may be learned from; nobody's may until they say so."""
        self._change(person_id, "consent", consent)

    def set_administrator(self, person_id: str, *, administrator: bool) -> None:
        self._change(person_id, "administrator", administrator)

    def mark_consent_asked(self, person_id: str) -> bool:
        """Note that they are being asked for consent; True only the first time: then ask."""
        unasked = (persons.c.id == person_id) & persons.c.consent_asked.is_(None)
        with reading(self._engine) as connection:  # a look takes no write lock, and nearly all have been asked
            if connection.execute(sa.select(persons.c.id).where(unasked)).first() is None:
                return False
        with writing(self._engine) as connection:
            asked = persons.update().where(unasked).values(consent_asked=datetime.now(UTC))
            return bool(connection.execute(asked).rowcount)

    def is_consent_asked(self, person_id: str) -> bool:
        asked = sa.select(persons.c.id).where(persons.c.id == person_id, persons.c.consent_asked.is_not(None))
        with reading(self._engine) as connection:
            return connection.execute(asked).first() is not None

    def link_code(self, person_id: str) -> str:
        """A code that links one more account to this person: 8 characters, valid once and for 15 minutes.

        It replaces the one before. Only its SHA-256 is stored.
        """
        code = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
        with writing(self._engine) as connection:
            lock_memory(connection)
            if connection.execute(sa.select(persons.c.id).where(persons.c.id == person_id)).first() is None:
                raise StoreError(_UNKNOWN)
            row = {"person": person_id, "digest": _digest(code), "expires": datetime.now(UTC) + VALID, "used": False}
            put(connection, link_codes, row)
        return code

    def link(self, code: str, account: str) -> Person:
        """Make `account`, and whoever it belonged to, one person with the one who asked for `code`.

        Their turns, ratings and documents become one person's. Consent and administrator hold only where both had
        them. The person's audiences are not known here. Entered again where it was used, as after a crash, a code gives
        the same person. What follows elsewhere is kept in `joinings`. Raises LinkRefused; five wrong codes stop an
        account.
        """
        with writing(self._engine) as connection:
            lock_memory(connection, exclusive=True)  # of two processes with one code, one comes first
            linked = _redeem(connection, _digest(code), account, datetime.now(UTC))
        if not isinstance(linked, Person):  # raised out here: the wrong try has to be committed
            raise LinkRefused(linked)
        return linked

    def joinings(self) -> list[tuple[str, Person]]:
        """Persons who became one of which `joined` was not told yet: the id that is gone, and who has all of theirs."""
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(joinings).order_by(joinings.c.gone)).all()
            people = people_of(connection, sorted({row.kept for row in rows})) if rows else {}
        return [(row.gone, people[row.kept]) for row in rows]

    def joined(self, gone: str) -> None:
        """All that follows of a joining is done."""
        with writing(self._engine) as connection:
            connection.execute(joinings.delete().where(joinings.c.gone == gone))

    def _change(self, person_id: str, column: str, value: bool) -> None:  # noqa: FBT001 - private, two callers
        with writing(self._engine) as connection:
            changed = persons.update().where(persons.c.id == person_id).values({column: value})
            if not connection.execute(changed).rowcount:
                raise StoreError(_UNKNOWN)


def owner_of(connection: Connection, account: str) -> Person | None:
    return _owner(_OWNER.run(connection, {"account": account}))


def _owner(rows: Sequence[tuple[str, bool, bool, str]]) -> Person | None:
    """rows: one for each of their accounts."""
    if not rows:
        return None
    person, consent, administrator, _ = rows[0]
    names = tuple(account for *_, account in rows)
    return Person(person, names, consent=bool(consent), administrator=bool(administrator))


def people_of(connection: Connection, ids: Sequence[str]) -> dict[str, Person]:
    """Those of `ids` who are known; without audiences, which are never stored with a person."""
    named: dict[str, list[str]] = {each: [] for each in ids}
    for row in connection.execute(sa.select(accounts).where(accounts.c.person.in_(ids)).order_by(accounts.c.account)):
        named[row.person].append(row.account)
    found = connection.execute(sa.select(persons).where(persons.c.id.in_(ids)))
    return {
        row.id: Person(row.id, tuple(named[row.id]), consent=row.consent, administrator=row.administrator)
        for row in found
    }


def id_today(connection: Connection, person: Person) -> str | None:
    """The id under which `person` is known now: another one since their account was linked; None when forgotten."""
    if _KNOWN.run(connection, {"person": person.id}):
        return person.id
    query = sa.select(accounts.c.person).where(accounts.c.account.in_(person.accounts)).limit(1)
    return connection.execute(query).scalar_one_or_none()


def code_of(connection: Connection, person: str) -> LinkCode | None:
    row = connection.execute(sa.select(link_codes).where(link_codes.c.person == person)).one_or_none()
    return None if row is None else LinkCode(row.expires, row.used)


def _meet(connection: Connection, account: str) -> Person:
    lock_memory(connection)  # nobody is forgotten or linked between these statements
    person = Person(f"p-{secrets.token_hex(8)}", (account,))
    values = {"id": person.id, "consent": person.consent, "administrator": person.administrator}
    connection.execute(persons.insert().values(values | {"met": datetime.now(UTC)}))
    if insert_new(connection, accounts, {"account": account, "person": person.id}):
        return person
    connection.execute(persons.delete().where(persons.c.id == person.id))  # another process was quicker
    owner = owner_of(connection, account)
    assert owner is not None, "an account that is there has a person"
    return owner


_theirs = accounts.alias()
_OWNER = Prepared(  # asked with every message
    sa.select(persons.c.id, persons.c.consent, persons.c.administrator, _theirs.c.account)
    .join(accounts, accounts.c.person == persons.c.id)
    .join(_theirs, _theirs.c.person == persons.c.id)
    .where(accounts.c.account == sa.bindparam("account"))
    .order_by(_theirs.c.account)
)
_KNOWN = Prepared(sa.select(persons.c.id).where(persons.c.id == sa.bindparam("person")))


def _digest(code: str) -> str:
    """Of a code however it was typed: people add spaces and dashes, and phones small letters."""
    typed = "".join(each for each in code.upper() if each.isalnum())
    return hashlib.sha256(typed.encode(errors="replace")).hexdigest()


def _redeem(connection: Connection, digest: str, account: str, now: datetime) -> Person | str:
    """The person that `account` belongs to from now on, or why it is refused."""
    connection.execute(wrong_codes.delete().where(wrong_codes.c.last <= now - PAUSE))
    query = sa.select(wrong_codes.c.tries).where(wrong_codes.c.account == account)
    tries: int = connection.execute(query).scalar_one_or_none() or 0
    if tries >= TRIES:
        return "too_often"
    code = connection.execute(sa.select(link_codes).where(link_codes.c.digest == digest)).one_or_none()
    owner = owner_of(connection, account)
    if code is not None and code.used and owner is not None and owner.id == code.person:
        return people_of(connection, [code.person])[code.person]
    if code is None or code.used or code.expires <= now:
        put(connection, wrong_codes, {"account": account, "tries": tries + 1, "last": now})
        return "wrong" if code is None else "used" if code.used else "expired"
    if owner is not None and owner.id == code.person:
        return "own"
    connection.execute(link_codes.update().where(link_codes.c.digest == digest).values(used=True))
    if not insert_new(connection, accounts, {"account": account, "person": code.person}):
        owner = owner_of(connection, account)  # they may have become known since
        if owner is not None:
            _merge(connection, owner.id, code.person)
    return people_of(connection, [code.person])[code.person]


def _merge(connection: Connection, gone: str, into: str) -> None:
    """Everything of the person `gone` becomes the person `into`'s. Needs memory's lock, exclusively."""
    both = connection.execute(sa.select(persons).where(persons.c.id.in_([gone, into]))).all()
    merged = {
        "consent": all(each.consent for each in both),
        "administrator": all(each.administrator for each in both),
        "met": min(each.met for each in both),
        "consent_asked": min((each.consent_asked for each in both if each.consent_asked), default=None),
    }
    connection.execute(persons.update().where(persons.c.id == into).values(merged))
    _drop_earlier_ratings(connection, gone, into)
    for column in (turns.c.author, feedback.c.person, accounts.c.person):
        connection.execute(sa.update(column.table).where(column == gone).values({column.name: into}))
    support.merge(connection, gone, into)
    ideation.merge(connection, gone, into)
    opinion.merge(connection, gone, into)
    if connection.execute(sa.select(documents.c.id).where(documents.c.author == gone).limit(1)).first() is not None:
        bump(connection)  # orders this among the knowledge base's other writers
        connection.execute(documents.update().where(documents.c.author == gone).values(author=into))
    connection.execute(joinings.update().where(joinings.c.kept == gone).values(kept=into))
    connection.execute(joinings.insert().values(gone=gone, kept=into))
    connection.execute(persons.delete().where(persons.c.id == gone))


def _drop_earlier_ratings(connection: Connection, gone: str, into: str) -> None:
    """Where both rated a reply, the later rating stays: one person, one ballot."""
    other = feedback.alias()
    later = (other.c.given > feedback.c.given) | ((other.c.given == feedback.c.given) & (other.c.person == into))
    rated_later = sa.exists().where(
        other.c.turn == feedback.c.turn,
        other.c.person.in_([gone, into]),
        other.c.person != feedback.c.person,
        later,
    )
    connection.execute(feedback.delete().where(feedback.c.person.in_([gone, into]), rated_later))
