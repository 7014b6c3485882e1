"""What may be done in a session now. Each check raises SessionRefused, whose sentence says why and what to do."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from agent.ideation import acts, turns
from agent.ideation.acts import Ballot, Kind, Phase, Rules
from agent.ideation.board import Board, Idea, dimension_of, is_before
from agent.ideation.ledger import Acting
from agent.ideation.refusals import refuse
from agent.ideation.technique import Deal, Stage, Technique
from agent.memory_tables import storable

LONGEST = 1000  # characters of a contribution
LONGEST_TOPIC = 300
MOST = 5000  # contributions of a session
MOST_MINUTES = 60 * 24 * 30
MOST_DOTS = 50
_CHOOSES = re.compile(r"#?(\d{1,4})\s*[:–—-]\s*(?=\S)")
_PLURAL = {
    Kind.IDEA: "ideas",
    Kind.FACT: "facts",
    Kind.FEELING: "feelings",
    Kind.BENEFIT: "benefits",
    Kind.CAUTION: "cautions",
    Kind.SUMMARY: "summaries",
    Kind.QUESTION: "questions",
    Kind.BAD_IDEA: "bad ideas",
    Kind.DIMENSION: "dimensions",
}
_WHEN = {
    Phase.VOTE: "Votes count on the words as they stand; go back to an earlier phase to change them.",
    Phase.DECIDE: "The votes are in; go back to an earlier phase to change the board.",
}


def words_of(text: str) -> str:
    """The text as it will stand on the board."""
    words = "\n".join(" ".join(line.split()) for line in storable(text).strip().splitlines() if line.strip())
    if not any(map(str.isalnum, words)):
        refuse("empty")
    if len(words) > LONGEST:
        refuse("too_long", most=LONGEST)
    return words


def topic_of(text: str, missing: str = "no_topic") -> str:
    words = " ".join(storable(text).split())
    if not words:
        refuse(missing)
    if len(words) > LONGEST_TOPIC:
        refuse("too_long", most=LONGEST_TOPIC)
    return words


def check_rules(rules: Rules) -> None:
    order = list(Phase)
    problem = ""
    if not 1 <= rules.dots <= MOST_DOTS:
        problem = f"Give 1 to {MOST_DOTS} dots a person, not {rules.dots}."
    elif rules.ballot is Ballot.CRITERIA and not rules.criteria:
        problem = "Voting by criteria needs at least one criterion."
    elif any(each.weight <= 0 or not each.name.strip() for each in rules.criteria):
        problem = "Each criterion needs a name, and a weight above 0."
    elif len({each.name.casefold() for each in rules.criteria}) < len(rules.criteria):
        problem = "Two criteria have the same name."
    elif not rules.phases or [*rules.phases] != sorted(set(rules.phases), key=order.index):
        problem = f"The phases of a session are some of these, in this order: {', '.join(order)}."
    if problem:
        refuse("bad_rules", problem=problem)
    for _, minutes in rules.minutes:
        check_minutes(minutes)


def check_minutes(minutes: float) -> None:
    if not 0 < minutes <= MOST_MINUTES:
        refuse("bad_time", most=MOST_MINUTES)


def facilitates(board: Board, by: Acting) -> None:
    is_open(board)
    if not by.facilitates(board):
        refuse("not_facilitator")


def is_open(board: Board) -> None:
    if board.session.is_closed:
        refuse("closed")


def in_phases(board: Board, phases: Sequence[Phase]) -> None:
    is_open(board)
    phase = board.session.phase
    if phase not in phases:
        when = f"Its time is {' or '.join(f'“{each}”' for each in phases)}."
        refuse("not_now", phase=phase.value, when=_WHEN.get(phase, when) if Phase.VOTE not in phases else when)


def may_add(board: Board) -> None:
    _before_votes(board)
    if len(board.ideas) >= MOST:
        refuse("too_many", most=MOST)


def may_arrange(board: Board) -> None:
    """Merging is anybody's: it only brings together what all can see."""
    _before_votes(board)


def may_change(board: Board, by: Acting, idea: str) -> None:
    _before_votes(board)
    found = shown(board, idea, by.who) if by.who else known(board, idea)  # a deleted message takes a hidden one along
    if by.who not in found.authors and not by.facilitates(board):
        refuse("not_yours")


def may_vote(board: Board, ballot: Ballot, ideas: Sequence[str], now: datetime) -> None:
    in_phases(board, (Phase.VOTE,))
    if board.session.ends is not None and now > board.session.ends:
        refuse("not_now", phase=Phase.VOTE.value, when="The time to vote is over.")
    if board.session.rules.ballot is not ballot:
        refuse("not_ballot", ballot=board.session.rules.ballot.value)
    for each in ideas:
        if known(board, each).kind is not Kind.IDEA:
            refuse("no_idea", idea=each)


def known(board: Board, idea: str) -> Idea:
    """The idea, where it stands."""
    found = board.idea(idea)
    if found is None or not found.is_open:
        refuse("no_idea", idea=idea)
    return found


def shown(board: Board, idea: str, who: str = "") -> Idea:
    """The idea, where it stands and `who` may see it."""
    found = known(board, idea)
    if board.is_hidden(found) and who not in found.authors:
        refuse("hidden")
    return found


def fitted(
    board: Board, technique: Technique, who: str, act: acts.Added, kind: Kind | None, *, insists: bool
) -> acts.Added:
    """A contribution as the technique's stage takes it, with what was dealt to the person."""
    stage, task = turns.stage_of(board, technique), turns.task(board, technique, who)
    if stage is None or task is None:
        return act
    act, chosen = _answering(board, stage, act)
    read = kind if kind not in (None, stage.takes) else None if insists else turns.misfit(stage, technique, act.text)
    if read is not None:
        if stage.takes is Kind.QUESTION and stage.begins:
            refuse("wants_question", begins=" or ".join(stage.begins))
        refuse("wants", wanted=_PLURAL[stage.takes], read=_PLURAL[read])
    if task.left == 0:
        refuse("quota", quota=stage.quota)
    if stage.takes is Kind.DIMENSION:
        check_dimension(act.text)
    tags = [*act.tags, *filter(None, (stage.tag, task.role))]
    sources = act.sources
    if stage.deal is Deal.SPARK and board.sparks and board.sparks[-1].source:
        sources = (*sources, board.sparks[-1].source)
    dealt = chosen or (tuple(each.id for each in task.on) if stage.deal in (Deal.TURN, Deal.ANSWER) else ())
    return replace(
        act,
        kind=stage.takes,
        tags=tuple(dict.fromkeys(tags)),
        parents=act.parents or dealt,
        sources=tuple(dict.fromkeys(sources)),
        sheet=task.sheet,
        private=stage.private,
    )


def _answering(board: Board, stage: Stage, act: acts.Added) -> tuple[acts.Added, tuple[str, ...]]:
    """Without the number of the contribution that somebody works on, and that number: `3: …` chooses another one."""
    found = _CHOOSES.match(act.text) if stage.deal in (Deal.TURN, Deal.ANSWER) else None
    wanted = Kind.BAD_IDEA if stage.deal is Deal.TURN else Kind.QUESTION
    other = board.idea(found[1]) if found else None
    if found is None or other is None or not other.is_open or other.kind is not wanted:
        return act, ()
    return replace(act, text=words_of(act.text[found.end() :])), (other.id,)


def check_dimension(text: str) -> None:
    name, values = dimension_of(text)
    if not name or len(values) < 2:
        refuse("no_dimension")


def cell(board: Board, values: Sequence[str]) -> tuple[str, ...]:
    """The cell of the design space with these values, as they are spelt on the board."""
    axes = [(name, axis) for name, axis in board.dimensions if axis]
    spelt = [
        next((each for each in axis if each.casefold() == value.strip().casefold()), None)
        for (_, axis), value in zip(axes, values, strict=False)
    ]
    if not axes or len(values) != len(axes) or None in spelt:
        refuse("bad_cell", dimensions="; ".join(f"{name}: {', '.join(axis)}" for name, axis in axes) or "none yet")
    return tuple(each for each in spelt if each is not None)


def criterion(board: Board, name: str) -> str:
    names = [each.name for each in board.session.rules.criteria]
    found = next((each for each in names if each.casefold() == name.strip().casefold()), None)
    if found is None:
        refuse("no_criterion", criterion=name, known=", ".join(names))
    return found


def _before_votes(board: Board) -> None:
    is_open(board)
    phase = board.session.phase
    if not is_before(phase, Phase.VOTE) and phase is not Phase.ENRICH:
        refuse("not_now", phase=phase.value, when=_WHEN[phase])
