"""A person's part in cases, curated answers and the audit log, for the copy of their data."""

from collections.abc import Sequence
from typing import TypedDict

from sqlalchemy import Engine

from agent.support.audit import Audit
from agent.support.cases import Case, Cases, Entry
from agent.support.curated import Curated


class CaseCopy(TypedDict):
    case: int
    as_asker: bool
    opened: str
    closed: str | None
    state: str
    reason: str
    place: str  # empty where somebody else asked
    rating: int | None
    said_and_done: list[list[str]]  # by this person: when, what, the words


class CuratedCopy(TypedDict):
    """An answer that the person proposed, approved, withdrew or asked for."""

    number: int
    question: str
    answer: str
    state: str
    proposed: str


class ActCopy(TypedDict):
    at: str
    verb: str
    object: str
    outcome: str


def cases_of(engine: Engine, person: str) -> list[CaseCopy]:
    """Raises StoreError."""
    return [_case_copy(case, lines, person) for case, lines in Cases(engine).of(person)]


def acts_of(engine: Engine, person: str) -> list[ActCopy]:
    """Raises StoreError."""
    return [
        ActCopy(at=each.at.isoformat(), verb=each.verb, object=each.object, outcome=each.outcome)
        for each in Audit(engine).of(person)
    ]


def curated_of(engine: Engine, person: str) -> list[CuratedCopy]:
    """Raises StoreError."""
    return [
        CuratedCopy(
            number=each.id,
            question=each.question,
            answer=each.answer,
            state=each.state,
            proposed=each.proposed.isoformat(),
        )
        for each in Curated(engine).of(person)
    ]


def _case_copy(case: Case, lines: Sequence[Entry], person: str) -> CaseCopy:
    is_theirs = case.asker == person
    return CaseCopy(
        case=case.number,
        as_asker=is_theirs,
        opened=case.opened.isoformat(),
        closed=case.closed.isoformat() if case.closed else None,
        state=case.state,
        reason=case.reason,
        place=case.place.key if is_theirs else "",
        rating=case.rating if is_theirs else None,
        said_and_done=[[each.at.isoformat(), each.kind, each.text] for each in lines],
    )
