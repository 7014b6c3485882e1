"""The board of a session: everything that stands in it now, and what may be seen of it. Pure."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from agent.ideation.acts import Ballot, Kind, Phase, RemarkKind, Rules
from agent.message import Place

ORDER = tuple(Phase)


@dataclass(frozen=True, slots=True)
class Member:
    """Who takes part. account: where they are reached by direct message; empty when not known."""

    person: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class Idea:
    """A contribution. id: its number for people, "7".

    authors: persons, empty for the machine's. share: the machine's part, 0 to 1. sources: of documents that sparked
    it. run, stage: of the techniques so far, in which it was given; run 0 is without one. into: what it became by
    merging or splitting. values: its cell of the design space.
    """

    id: str
    text: str
    made: datetime
    authors: tuple[str, ...] = ()
    share: float = 0.0
    kind: Kind = Kind.IDEA
    parents: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    place: str = ""
    state: Literal["open", "merged", "split", "withdrawn"] = "open"
    into: tuple[str, ...] = ()
    run: int = 0
    stage: int = 0
    sheet: int | None = None
    private: bool = False
    values: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()  # its wordings before

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def by(self) -> Literal["person", "machine"]:
        return "machine" if not self.authors or self.share > 0.5 else "person"


@dataclass(frozen=True, slots=True)
class Remark:
    idea: str
    kind: RemarkKind
    text: str
    author: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Vote:
    """One standing vote. Dots: `value` of them. Pairs: `idea` is better than `other`. Criteria: `value`, 1 to 5."""

    person: str
    ballot: Ballot
    idea: str
    value: int = 1
    other: str = ""
    criterion: str = ""


@dataclass(frozen=True, slots=True)
class Spark:
    text: str
    source: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """A nudge that was given."""

    rule: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Action:
    id: str
    text: str
    person: str = ""
    owner: str = ""
    due: str = ""
    idea: str = ""
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """What a session is and where it stands.

    technique: the id of the one that runs, or empty. stage: its stage, from 0. run: how many techniques were begun.
    roster: who was there when it began, in the order in which sheets go round. ends, stage_ends: of timers.
    """

    id: str
    tenant: str
    code: str
    topic: str = ""
    asked: str = ""  # the question as it was opened with
    phase: Phase = Phase.REFRAME
    phase_began: datetime | None = None
    ends: datetime | None = None
    rules: Rules = field(default_factory=Rules)
    facilitator: str = ""
    opened: datetime | None = None
    places: tuple[Place, ...] = ()
    members: tuple[Member, ...] = ()
    technique: str = ""
    stage: int = 0
    run: int = 0
    roster: tuple[str, ...] = ()
    stage_ends: datetime | None = None
    stage_began: datetime | None = None
    used: tuple[str, ...] = ()  # the techniques so far, by id

    @property
    def is_closed(self) -> bool:
        return self.phase is Phase.CLOSED

    @property
    def is_blind(self) -> bool:
        """Whether everybody sees only their own ideas for now."""
        return self.rules.blind and is_before(self.phase, Phase.REVEAL)

    @property
    def due(self) -> datetime | None:
        """When the next timer of it runs out."""
        return min((each for each in (self.ends, self.stage_ends) if each is not None), default=None)

    @property
    def next_phase(self) -> Phase:
        later = (each for each in self.rules.phases if is_before(self.phase, each))
        return next(later, Phase.CLOSED)


@dataclass(frozen=True, slots=True)
class Board:
    """A session and all that was given in it, in order. events: how many acts were folded."""

    session: Session
    ideas: tuple[Idea, ...] = ()
    remarks: tuple[Remark, ...] = ()
    votes: tuple[Vote, ...] = ()
    reframings: tuple[str, ...] = ()
    sparks: tuple[Spark, ...] = ()
    nudges: tuple[Said, ...] = ()
    decided: tuple[str, ...] = ()
    decision_reason: str = ""
    actions: tuple[Action, ...] = ()
    presses: tuple[tuple[str, str], ...] = ()  # person, idea
    events: int = 0

    @property
    def open(self) -> tuple[Idea, ...]:
        """Ideas that stand: neither merged, split nor withdrawn, and ideas proper."""
        return tuple(each for each in self.ideas if each.is_open and each.kind is Kind.IDEA)

    @property
    def dimensions(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The axes of the design space with their values, in the order in which they were named."""
        found: dict[str, dict[str, str]] = {}
        names: dict[str, str] = {}
        for each in self.ideas:
            if each.is_open and each.kind is Kind.DIMENSION:
                name, values = dimension_of(each.text)
                names.setdefault(name.casefold(), name)
                kept = found.setdefault(name.casefold(), {})
                for value in values:
                    kept.setdefault(value.casefold(), value)
        return tuple((names[name], tuple(values.values())) for name, values in found.items())

    def idea(self, wanted: str) -> Idea | None:
        return next((each for each in self.ideas if each.id == wanted), None)

    def is_hidden(self, idea: Idea) -> bool:
        """Whether an idea is shown to its authors only for now."""
        return (self.session.rules.blind or idea.private) and is_before(self.session.phase, Phase.REVEAL)

    def seen_by(self, person: str) -> tuple[Idea, ...]:
        """The open contributions that a person may see now; for "" those that everyone may."""
        return tuple(
            each for each in self.ideas if each.is_open and (person in each.authors or not self.is_hidden(each))
        )

    def remarks_on(self, idea: str) -> tuple[Remark, ...]:
        return tuple(each for each in self.remarks if each.idea == idea)

    def dots_left(self, person: str) -> int:
        return self.session.rules.dots - sum(each.value for each in self.votes if each.person == person)


def is_before(phase: Phase, other: Phase) -> bool:
    return ORDER.index(phase) < ORDER.index(other)


def dimension_of(text: str) -> tuple[str, tuple[str, ...]]:
    """Of "price: free, paid" the name and the values, which are none where the text names no dimension."""
    name, colon, rest = text.partition(":")
    values = [each.strip(" .;") for each in re.split(r"[,;|/]| or ", rest)] if colon else []
    return name.strip(), tuple(dict.fromkeys(each for each in values if each))
