"""Turn-taking: what a technique asks of each person now, what it takes, and when everybody has had their turn. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from agent.ideation.acts import Kind
from agent.ideation.board import Board, Idea
from agent.ideation.labels import spoken_in
from agent.ideation.technique import Deal, Stage, Technique, put_in
from agent.surface import looks_like_question

NAMELIKE = 5  # words of a topic that fits into a sentence like a name
CELLS = 400  # of a design space; one with more is not looked through

_READS = (  # what a contribution plainly is, by how it begins or what it says; the first that fits
    (
        Kind.CAUTION,
        r"\b(?:risk(?:y|s)?|too (?:expensive|slow|hard|costly|risky)|won'?t work|will not work|might fail|danger)",
    ),
    (
        Kind.FEELING,
        r"^\W*(?:i (?:feel|love|hate|fear|like|dislike|am (?:afraid|excited|bored|worried|happy))|i'?m \w+ed\b)",
    ),
    (Kind.IDEA, r"^\W*(?:what if|let'?s|let us|how about|why not|why don'?t we|we (?:should|could|can)|maybe we)\b"),
)
_PLAIN = tuple((kind, re.compile(shape, re.IGNORECASE)) for kind, shape in _READS)


@dataclass(frozen=True, slots=True)
class Task:
    """What one person is asked now. text: the question, whole.

    kind: what is taken. left: contributions that they still owe, None where there is no number. private: by direct
    message. sheet: the brainwriting sheet before them; on: what stands on it, or the one contribution they are to work
    on. cell: the empty cell of the design space they were given. role: who they are.
    """

    text: str
    kind: Kind
    left: int | None = None
    private: bool = False
    sheet: int | None = None
    on: tuple[Idea, ...] = ()
    cell: tuple[str, ...] = ()
    role: str = ""


def stage_of(board: Board, technique: Technique) -> Stage | None:
    """The stage a session is in; None past the last one."""
    plan = technique.plan(len(board.session.roster))
    return plan[board.session.stage] if board.session.stage < len(plan) else None


def task(board: Board, technique: Technique, person: str = "") -> Task | None:
    """What `person` is asked now, None past the last stage; for "" everyone, and … stands for what each is dealt."""
    stage = stage_of(board, technique)
    if stage is None:
        return None
    place = _place(board, person)
    left = max(0, stage.quota - len(given(board, person))) if stage.quota and person else None
    topic, dealt = _subject(board), dict.fromkeys(("role", "item", "cell"), "…")
    sheet: int | None = None
    on: tuple[Idea, ...] = ()
    cell: tuple[str, ...] = ()
    role = ""
    match stage.deal if person or not deals(stage) else Deal.NOTHING:
        case Deal.SHEETS:
            sheet = sheet_of(board, person)
            on = on_sheet(board, sheet) if sheet is not None else ()
        case Deal.ROLES:
            role = technique.roles[(place + board.session.stage) % len(technique.roles)]
            dealt["role"] = role
        case Deal.TURN | Deal.ANSWER:
            items = untaken(board, Kind.BAD_IDEA if stage.deal is Deal.TURN else Kind.QUESTION)
            on = (items[place % len(items)],) if items else ()
            dealt["item"] = on[0].text if on else "…"
        case Deal.CELLS:
            empty = empty_cells(board)
            cell = empty[place % len(empty)] if empty else ()
            dealt["cell"] = named_cell(board, cell) or "…"
        case Deal.SPARK:
            dealt["spark"] = board.sparks[-1].text if board.sparks else "…"
        case Deal.NOTHING:
            pass
    return Task(put_in(stage.ask, topic, **dealt), stage.takes, left, stage.private, sheet, on, cell, role)


def given(board: Board, person: str) -> tuple[Idea, ...]:
    """What a person has given in the stage that runs."""
    now = board.session
    return tuple(
        each
        for each in board.ideas
        if person in each.authors and (each.run, each.stage) == (now.run, now.stage) and each.state != "withdrawn"
    )


def deals(stage: Stage) -> bool:
    """Whether each is given something of their own where all can read it."""
    return stage.deal in (Deal.ROLES, Deal.TURN, Deal.ANSWER, Deal.CELLS) and not stage.private


def is_idle(board: Board, stage: Stage) -> bool:
    """Whether there is nothing to deal in a stage that deals what came before it."""
    match stage.deal:
        case Deal.TURN | Deal.ANSWER:
            return not untaken(board, Kind.BAD_IDEA if stage.deal is Deal.TURN else Kind.QUESTION)
        case Deal.CELLS:
            return not empty_cells(board)
        case _:
            return False


def is_complete(board: Board, technique: Technique) -> bool:
    """Whether everybody who was there when it began has given what the stage asks for, so that it can move on."""
    stage = stage_of(board, technique)
    if stage is None:
        return True
    if is_idle(board, stage):
        return bool(board.session.roster)
    owes = board.session.roster
    return bool(stage.quota and owes) and all(len(given(board, each)) >= stage.quota for each in owes)


def sheet_of(board: Board, person: str) -> int | None:
    """The sheet before a person: in each round the one that was before their neighbour; None for who came later."""
    roster = board.session.roster
    return (roster.index(person) + board.session.stage) % len(roster) if person in roster else None


def on_sheet(board: Board, sheet: int) -> tuple[Idea, ...]:
    return tuple(each for each in board.ideas if each.sheet == sheet and each.run == board.session.run and each.is_open)


def untaken(board: Board, kind: Kind) -> tuple[Idea, ...]:
    """Contributions of this technique that nobody has made anything of yet."""
    taken = {parent for each in board.ideas if each.is_open for parent in each.parents}
    return tuple(
        each
        for each in board.ideas
        if each.kind is kind and each.is_open and each.run == board.session.run and each.id not in taken
    )


def cells(board: Board) -> dict[tuple[str, ...], int]:
    """How many open ideas stand in each cell of the design space; none where it has no dimension or too many cells."""
    axes = [values for _, values in board.dimensions if values]
    size = 1
    for values in axes:
        size *= len(values)
    if not axes or size > CELLS:
        return {}
    counted = dict.fromkeys(product(*axes), 0)
    for each in board.open:
        if each.values in counted:
            counted[each.values] += 1
    return counted


def empty_cells(board: Board) -> tuple[tuple[str, ...], ...]:
    """The cells without an idea, those first that differ most from the filled ones."""
    counted = cells(board)
    full = [cell for cell, count in counted.items() if count]

    def distance(cell: tuple[str, ...]) -> int:
        return min((sum(a != b for a, b in zip(cell, other, strict=True)) for other in full), default=0)

    return tuple(sorted((cell for cell, count in counted.items() if not count), key=lambda cell: -distance(cell)))


def named_cell(board: Board, cell: Sequence[str]) -> str:
    """A cell in words: "price: free, place: at home"."""
    names = [name for name, values in board.dimensions if values]
    return ", ".join(f"{name}: {value}" for name, value in zip(names, cell, strict=False))


def reads_as(text: str) -> Kind | None:
    """What a contribution plainly is, by its words alone; None where they leave it open."""
    for kind, shape in _PLAIN:
        if shape.search(text):
            return kind
    return Kind.QUESTION if looks_like_question(text) else None


def misfit(stage: Stage, technique: Technique, text: str) -> Kind | None:
    """What a contribution plainly is instead of what the stage takes, where another stage takes that; else None.

    Under the black hat an idea is put off till the green one. In doubt a contribution is taken for what is asked.
    """
    if stage.takes is Kind.QUESTION and not _begins(stage, text):
        return reads_as(text) if looks_like_question(text) else Kind.IDEA
    found = reads_as(text)
    others = {each.takes for each in technique.stages}
    if found is None or found is stage.takes or stage.takes is Kind.BAD_IDEA or len(others) < 3:
        return None
    return found if found in others else None


def _begins(stage: Stage, text: str) -> bool:
    words = re.findall(r"[^\W_]+", text.casefold())
    return not stage.begins or (bool(words) and words[0] in stage.begins)


def _subject(board: Board) -> str:
    """The topic as it stands within a question: as it was first asked where a longer version was chosen; quoted."""
    now = board.session
    words = (now.asked if now.topic in board.reframings else now.topic).rstrip(" ?!.") or now.topic
    if len(words.split()) <= NAMELIKE and not looks_like_question(words):
        return words
    return f"„{words}“" if spoken_in(now.rules.language) == "de" else f"“{words}”"


def _place(board: Board, person: str) -> int:
    """Where somebody sits: in the order of the roster, then of those who came later; behind them who comes now."""
    order = list(dict.fromkeys([*board.session.roster, *(each.person for each in board.session.members)]))
    return order.index(person) if person in order else len(order) if person else 0
