"""What can happen in an ideation session: one frozen value for each kind of act.

Acts are facts, appended and never changed; who did one and when stands beside it (`agent.ideation.event`). The board is
folded from them (`agent.ideation.board`). One act is no fact for good: what people only said (`Spoken`) is kept while
its session runs.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from agent.message import Place


class Phase(StrEnum):
    """Where a session is; in this order, though a session may leave phases out."""

    REFRAME = "reframe"  # sharper versions of the question
    COLLECT = "collect"
    REVEAL = "reveal"  # what was collected blind is shown
    MERGE = "merge"  # duplicates
    DISCUSS = "discuss"  # good, problems, step-ups
    VOTE = "vote"
    ENRICH = "enrich"  # the favourites are worked out
    DECIDE = "decide"
    CLOSED = "closed"


class Kind(StrEnum):
    """What a contribution is. Only ideas are grouped, voted on and decided; the others inform them."""

    IDEA = "idea"
    FACT = "fact"
    FEELING = "feeling"
    BENEFIT = "benefit"
    CAUTION = "caution"
    SUMMARY = "summary"
    QUESTION = "question"
    BAD_IDEA = "bad_idea"  # of reverse brainstorming: to be turned round
    DIMENSION = "dimension"  # "price: free, paid": an axis of the design space


class RemarkKind(StrEnum):
    GOOD = "good"
    PROBLEM = "problem"
    STEP_UP = "step_up"  # what would make it better


class Ballot(StrEnum):
    DOTS = "dots"  # so many a person, to be spread over ideas
    PAIRS = "pairs"  # which of two is better
    CRITERIA = "criteria"  # 1 to 5 on each


@dataclass(frozen=True, slots=True)
class Criterion:
    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Rules:
    """How a session is held.

    blind: while ideas are collected everybody sees only their own. minutes: of the phases that have a timer. machine:
    when the machine offers ideas of its own: only when `asked`, also when the group has `stalled`, or `never`. joins:
    whether its ideas join the knowledge base at the end, those of people who consent. phases: those it goes through.
    """

    blind: bool = False
    minutes: tuple[tuple[Phase, float], ...] = ()
    ballot: Ballot = Ballot.DOTS
    dots: int = 3
    criteria: tuple[Criterion, ...] = ()
    machine: Literal["asked", "stalled", "never"] = "stalled"
    nudges: bool = True
    joins: bool = True
    language: str = ""
    phases: tuple[Phase, ...] = tuple(Phase)

    def minutes_of(self, phase: Phase) -> float | None:
        return dict(self.minutes).get(phase)


@dataclass(frozen=True, slots=True)
class Opened:
    topic: str
    place: Place
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, slots=True)
class PlaceJoined:
    place: Place


@dataclass(frozen=True, slots=True)
class PlaceLeft:
    place: Place


@dataclass(frozen=True, slots=True)
class Entered:
    """A person takes part. account: where they are reached by direct message."""

    account: str = ""


@dataclass(frozen=True, slots=True)
class Reframed:
    """Sharper versions of the question were offered."""

    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The question from now on."""

    topic: str


@dataclass(frozen=True, slots=True)
class Moved:
    phase: Phase
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Prolonged:
    """The phase, or the technique's stage where one runs, ends then."""

    ends: datetime


@dataclass(frozen=True, slots=True)
class Handed:
    """The event's subject facilitates from now on."""


@dataclass(frozen=True, slots=True)
class TechniqueBegun:
    technique: str
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class StageReached:
    """stage: of the technique, from 0."""

    stage: int
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class TechniqueEnded:
    """ends: of the phase, whose timer rested meanwhile."""

    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Balloted:
    """It is voted this way from now on. criteria: of the ballot by criteria."""

    ballot: Ballot
    criteria: tuple[Criterion, ...] = ()


@dataclass(frozen=True, slots=True)
class Spoken:
    """Somebody wrote something in a place: what the facilitator watches, and what a 💡 may still make an idea of.

    message: its id there. account: whose it is on the platform. negative: the probability that its tone is negative.
    """

    message: str
    place: Place
    account: str
    text: str
    negative: float = 0.0


@dataclass(frozen=True, slots=True)
class Sparked:
    """A stimulus was shown. source: what it was drawn from, or empty."""

    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """share: the machine's part in the wording, 0 to 1. sheet: the brainwriting sheet it stands on.

    private: it was written where nobody else read, and is shown to others when collecting is over.
    """

    idea: str
    text: str
    share: float = 0.0
    kind: Kind = Kind.IDEA
    parents: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    place: str = ""
    sheet: int | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class Reworded:
    idea: str
    text: str


@dataclass(frozen=True, slots=True)
class Merged:
    idea: str
    text: str
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Divided:
    """idea: that became `ideas`, with these texts."""

    idea: str
    ideas: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    idea: str


@dataclass(frozen=True, slots=True)
class Tagged:
    idea: str
    tag: str
    on: bool = True


@dataclass(frozen=True, slots=True)
class Celled:
    """Where an idea stands in the design space. values: one of each dimension, in the dimensions' order."""

    idea: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remarked:
    idea: str
    kind: RemarkKind
    text: str


@dataclass(frozen=True, slots=True)
class Dotted:
    """So many of the person's dots are on the idea now."""

    idea: str
    dots: int


@dataclass(frozen=True, slots=True)
class Preferred:
    winner: str
    loser: str


@dataclass(frozen=True, slots=True)
class Scored:
    idea: str
    criterion: str
    score: int


@dataclass(frozen=True, slots=True)
class Pressed:
    """Somebody looked closer at an idea: what recommendations learn from beside words and votes."""

    idea: str


@dataclass(frozen=True, slots=True)
class Nudged:
    """The facilitator spoke up. rule: which one. reason: why, as it is logged."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decided:
    ideas: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ActionTaken:
    """Something is to be done, by the event's subject or by `owner` where that is no person we know. due: as said."""

    action: str
    text: str
    owner: str = ""
    due: str = ""
    idea: str = ""


@dataclass(frozen=True, slots=True)
class ActionDone:
    action: str


Act = (
    Opened
    | PlaceJoined
    | PlaceLeft
    | Entered
    | Reframed
    | Chosen
    | Moved
    | Prolonged
    | Handed
    | TechniqueBegun
    | StageReached
    | TechniqueEnded
    | Balloted
    | Spoken
    | Sparked
    | Added
    | Reworded
    | Merged
    | Divided
    | Withdrawn
    | Tagged
    | Celled
    | Remarked
    | Dotted
    | Preferred
    | Scored
    | Pressed
    | Nudged
    | Decided
    | ActionTaken
    | ActionDone
)
