"""What a session looks like in a chat: the board's text, and what can be pressed below it. Pure.

Short enough for one message on every platform, and to be read on a telephone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agent.ideation.acts import Ballot, Criterion, Kind, Phase
from agent.ideation.board import Board, Idea
from agent.ideation.labels import decimal
from agent.ideation.tally import Standing, is_close, is_tied
from agent.ideation.turns import Task
from agent.visible import visible
from connectors.desk.texts import prefix, say

ALONE = "terminal"  # where nobody else can come in
BAR = 8  # characters of the timer
WIDTH = 160  # characters of an idea in a list
ROOM = 2_400  # characters for the ideas: the whole must fit into one message
MOST_PRESSED = 24  # ideas with a button of their own
MOST_DEALT = 12  # people for whom it stands on the board what they are given
MOST_EMPTY = 12  # cells of a design space that are named
LEADING = 3  # ideas that are offered for the decision
_WITH_ALL = frozenset({Phase.COLLECT, Phase.REVEAL, Phase.DISCUSS})  # steps that show what is no idea, too
_KINDS = {
    Kind.FACT: "📌", Kind.FEELING: "💗", Kind.BENEFIT: "☀️", Kind.CAUTION: "⚠️", Kind.SUMMARY: "📝",
    Kind.QUESTION: "❓", Kind.BAD_IDEA: "👎", Kind.DIMENSION: "📐",
}  # fmt: skip
_UNTAGGED = re.compile(r"[\W_]+")
_MARKS = re.compile(r"([\\*_`~\[\]])")


@dataclass(frozen=True, slots=True)
class Control:
    """A button to be made: what it does (`vote 3`), what it says, and the question of its form, if it has one."""

    does: str
    label: str
    form: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is shown beside the board itself.

    platform: whose commands are named. task: what all are asked, where a technique runs, with its title and stages.
    dealt: people's names, and what each of them is given to work on. is_numbered: that is a contribution, and
    another one can be chosen by its number. empty: cells of the design space without an idea.
    alike: pairs that may say the same. standing: the result so far, best first. pair: the two to choose between. link:
    where ideas are given in private. following: the step to go on to.
    """

    platform: str
    now: datetime
    task: Task | None = None
    technique: str = ""
    stages: int = 0
    dealt: tuple[tuple[str, str], ...] = ()
    is_numbered: bool = False
    empty: tuple[str, ...] = ()
    alike: tuple[tuple[str, str], ...] = ()
    standing: tuple[Standing, ...] = ()
    pair: tuple[str, str] = ("", "")
    link: str = ""
    following: Phase = Phase.CLOSED

    @property
    def leading(self) -> tuple[Standing, ...]:
        """The best of those that anybody voted for."""
        return tuple(each for each in self.standing if each.voters)[:LEADING]


def line(text: str, width: int = WIDTH) -> str:
    """What a person wrote as one line of ours: nothing in it formats anything."""
    text = " ".join(visible(text).split())
    text = text if len(text) <= width else text[: width - 1].rstrip() + "…"
    return _MARKS.sub(r"\\\1", text)


def text(board: Board, sight: Sight) -> str:
    """The whole board."""
    now = board.session
    parts = [f"💡 **{line(now.topic, 300)}**", _step(board, sight)]
    if now.is_closed:
        return "\n\n".join(each for each in [*parts[:1], _ended(board), outcome(board), *_listed(board, sight)] if each)
    parts.append(asked(board, sight))
    if now.phase is Phase.REFRAME:
        parts.append("\n".join(f"**{n}** {line(each, 300)}" for n, each in enumerate(board.reframings, 1)))
    else:
        parts += _listed(board, sight)
    parts.append(_count(board, sight))
    parts += [outcome(board), _foot(board, sight)]
    return "\n\n".join(each for each in parts if each)


def phase_name(language: str, phase: Phase) -> str:
    return say(language, f"ideation_phase_{phase}")


def _step(board: Board, sight: Sight) -> str:
    now, language = board.session, board.session.rules.language
    phases = [each for each in now.rules.phases if each is not Phase.CLOSED]
    named = f"**{phase_name(language, now.phase)}**"
    if now.phase in phases:
        named += " · " + say(language, "ideation_step", step=phases.index(now.phase) + 1, steps=len(phases))
    timer = timer_said(board, sight.now)
    return f"{named}\n{timer}" if timer else named


def timer_said(board: Board, at: datetime) -> str:
    """`▓▓▓▓▓░░░ 6 min left` of whatever timer runs."""
    now = board.session
    ends = now.stage_ends if now.technique and now.stage_ends else now.ends
    if ends is None or now.is_closed:
        return ""
    language, left = now.rules.language, (ends - at).total_seconds()
    began = now.stage_began if now.technique and now.stage_ends else None
    lasts = (ends - began).total_seconds() if began else 60 * (now.rules.minutes_of(now.phase) or 0)
    share = min(1.0, max(0.0, left / lasts)) if lasts > 0 else 1.0
    full = round(BAR * share)
    if left <= 0:
        words = say(language, "ideation_over")
    elif left < 60:
        words = say(language, "ideation_left_seconds")
    else:
        words = say(language, "ideation_left", minutes=max(1, round(left / 60)))
    return f"⏳ {'▓' * full}{'░' * (BAR - full)} {words}"


def asked(board: Board, sight: Sight) -> str:
    """What people are to do in this step."""
    now = board.session
    language, p = now.rules.language, prefix(sight.platform)
    if sight.task is not None and now.technique:
        step = {"technique": sight.technique, "stage": now.stage + 1, "stages": sight.stages}
        if sight.task.private:
            return say(language, "ideation_question_private", **step)
        return "\n".join([say(language, "ideation_question", ask=sight.task.text, **step), *_dealt(board, sight)])
    match now.phase:
        case Phase.REFRAME if not board.reframings:
            name = "reframe_alone"
        case Phase.COLLECT if now.rules.blind:
            name = "collect_blind"
        case Phase.MERGE if not sight.alike:
            name = "merge_none"
        case Phase.ENRICH if not sight.leading:
            name = "enrich_none"
        case Phase.VOTE if now.rules.ballot is not Ballot.DOTS:
            name = f"vote_{now.rules.ballot}"
        case Phase.CLOSED:
            return _ended(board)
        case _:
            name = str(now.phase)
    criterion = line(now.rules.criteria[0].name, 60) if now.rules.criteria else ""
    named = criteria_said(now.rules.criteria)
    return say(language, f"ideation_do_{name}", p=p, dots=now.rules.dots, criterion=criterion, criteria=named)


def _dealt(board: Board, sight: Sight) -> list[str]:
    """Who is given what, and how another one is chosen."""
    language = board.session.rules.language
    lines = [f"• {line(name, 40)}: **{line(what, 120)}**" for name, what in sight.dealt[:MOST_DEALT]]
    if sight.dealt and sight.is_numbered:
        lines.append(say(language, "ideation_choose_other"))
    if sight.empty:
        named = "; ".join(line(each, 60) for each in sight.empty[:MOST_EMPTY]) + (
            "; …" * (len(sight.empty) > MOST_EMPTY)
        )
        count = len(sight.empty)
        lines.append(say(language, "ideation_empty", count=count, cells=named, p=prefix(sight.platform)))
    return lines


def criteria_said(criteria: Sequence[Criterion]) -> str:
    """`cost ×2, fun`."""
    return ", ".join(line(each.name, 60) + ("" if each.weight == 1 else f" ×{each.weight:g}") for each in criteria)


def _listed(board: Board, sight: Sight) -> list[str]:
    """The ideas as lines, the latest while they are collected and the best once there are votes."""
    now, language = board.session, board.session.rules.language
    found = [each for each in board.seen_by("") if each.kind is Kind.IDEA or now.phase in _WITH_ALL]
    found = [each for each in found if each.kind is not Kind.DIMENSION or now.technique]
    ranks = {each.idea: each for each in sight.standing}
    lines: list[str] = []
    if now.phase is Phase.VOTE and now.rules.ballot is Ballot.PAIRS:
        found = [each for each in found if each.id in sight.pair]
    elif ranks and now.phase in (Phase.ENRICH, Phase.DECIDE, Phase.CLOSED):
        order = [each.idea for each in sight.standing]
        found.sort(key=lambda each: order.index(each.id) if each.id in order else len(order))
    elif now.phase is Phase.COLLECT:
        found.reverse()  # what fits is the latest
    room, left = ROOM, len(found)
    for idea in found:
        said = idea_line(board, idea, ranks.get(idea.id) if now.phase is not Phase.VOTE else None)
        if room < len(said):
            break
        lines.append(said)
        room, left = room - len(said) - 1, left - 1
    if now.phase is Phase.COLLECT:
        lines.reverse()
    more = [say(language, "ideation_more_ideas", count=left, p=prefix(sight.platform))] if left else []
    lines = [*more, *lines] if now.phase is Phase.COLLECT else [*lines, *more]
    return ["\n".join(lines)] if lines else []


def idea_line(board: Board, idea: Idea, standing: Standing | None = None) -> str:
    """`**3** A map of who knows what 🤖 · 4 votes`."""
    language = board.session.rules.language
    said = " ".join(filter(None, (f"**{idea.id}**", _KINDS.get(idea.kind), line(idea.text))))
    if idea.by == "machine":
        said += " 🤖"
    if idea.tags:
        said += " " + " ".join(f"#{_UNTAGGED.sub('-', tag).strip('-')[:40]}" for tag in idea.tags[:3])
    if standing is not None and standing.score:
        said += f" · {score_said(language, board.session.rules.ballot, standing)}"
    for remark in board.remarks_on(idea.id)[-2:] if board.session.phase is not Phase.VOTE else ():
        said += "\n   " + say(language, f"ideation_{remark.kind}", text=line(remark.text, 100))
    return said


def result_line(board: Board, idea: Idea, standing: Standing) -> str:
    """`**3** A map of who knows what · 4 votes (2 to 6), first in 80%`."""
    language, ballot = board.session.rules.language, board.session.rules.ballot
    said = f"**{idea.id}** {line(idea.text)} · {score_said(language, ballot, standing)}"
    shape = "{:.0f}" if ballot is Ballot.DOTS else "{:.0%}" if ballot is Ballot.PAIRS else "{:.1f}"
    low, high = (decimal(language, each, shape) for each in (standing.low, standing.high))
    return said + " " + say(language, "ideation_range", low=low, high=high, first=f"{standing.first:.0%}")


def score_said(language: str, ballot: Ballot, standing: Standing) -> str:
    if ballot is Ballot.DOTS:
        return counted(language, "dots", round(standing.score))
    return decimal(language, standing.score) if ballot is Ballot.CRITERIA else f"{standing.score:.0%}"


def counted(language: str, what: str, count: int) -> str:
    """`1 idea`, `7 ideas`; `people`, `dots`."""
    return say(language, f"ideation_{what}_one") if count == 1 else say(language, f"ideation_{what}", count=count)


def totals(board: Board) -> tuple[str, str]:
    """`7 ideas`, `4 people`."""
    language = board.session.rules.language
    authors = {author for idea in board.open for author in idea.authors}
    return counted(language, "ideas", len(board.open)), counted(language, "people", len(authors))


def _count(board: Board, sight: Sight) -> str:
    now, language = board.session, board.session.rules.language
    ideas, people = totals(board)
    said = [say(language, "ideation_counted", ideas=ideas, people=people)] if board.open else []
    machine = sum(each.by == "machine" for each in board.open)
    if machine:
        said.append(say(language, "ideation_machine_share", count=machine))
    hidden = sum(each.is_open and board.is_hidden(each) for each in board.ideas)
    if hidden:
        until = Phase.REVEAL if Phase.REVEAL in now.rules.phases else now.next_phase
        said.append(say(language, "ideation_hidden", count=hidden, phase=phase_name(language, until)))
    voters = len({each.person for each in board.votes})
    if now.phase is Phase.VOTE:
        name = "voted" if voters else "nobody_voted"
        said.append(say(language, f"ideation_{name}", people=counted(language, "people", voters)))
    elif now.phase in (Phase.ENRICH, Phase.DECIDE) and is_close(sight.standing) and voters > 2:
        said.append(say(language, "ideation_close_call"))
    elif now.phase in (Phase.ENRICH, Phase.DECIDE) and is_tied(sight.standing) and voters > 1:
        said.append(say(language, "ideation_lead_shared"))
    return " · ".join(said)


def outcome(board: Board) -> str:
    """What was decided, and what is to be done."""
    language, lines = board.session.rules.language, list[str]()
    taken = [each for each in map(board.idea, board.decided) if each is not None]
    if taken:
        named = ", ".join(f"**{each.id}** {line(each.text)}" for each in taken)
        lines.append(say(language, "ideation_decided", ideas=named))
        if board.decision_reason:
            lines.append(say(language, "ideation_because", reason=line(board.decision_reason, 300)))
    if board.actions:
        lines.append(say(language, "ideation_actions"))
        for each in board.actions:
            tail = "".join(f" · {line(part, 60)}" for part in (each.owner, each.due) if part)
            lines.append(f"{'☑' if each.is_done else '☐'} {line(each.text)}{tail}")
    return "\n".join(lines)


def _ended(board: Board) -> str:
    ideas, people = totals(board)
    language = board.session.rules.language
    return (
        say(language, "ideation_closed", ideas=ideas, people=people)
        if board.ideas
        else say(language, "ideation_nothing")
    )


def _foot(board: Board, sight: Sight) -> str:
    now, language = board.session, board.session.rules.language
    said = []
    if sight.link and (now.rules.blind or (sight.task is not None and sight.task.private)):
        said.append(say(language, "ideation_private_link", link=sight.link))
    if len(now.places) > 1:
        said.append(say(language, "ideation_places", count=len(now.places)))
    if now.phase in (Phase.REFRAME, Phase.COLLECT) and sight.platform != ALONE:
        said.append(say(language, "ideation_join", code=now.code, p=prefix(sight.platform)))
    if now.phase is Phase.DECIDE and now.rules.joins:
        said.append(say(language, "ideation_consent", p=prefix(sight.platform)))
    return "\n".join(said)


def moved_on(board: Board, *, is_root: bool = False) -> str:
    """What is left of a board where a newer one stands below it. is_root: the session's thread begins with it."""
    now = board.session
    head = f"💡 **{line(now.topic, 300)}**"
    if is_root and now.is_closed:
        return "\n\n".join(each for each in (head, _ended(board), outcome(board)) if each)
    return f"{head}\n{say(now.rules.language, 'ideation_goes_on_thread' if is_root else 'ideation_goes_on')}"


def controls(board: Board, sight: Sight) -> tuple[Control, ...]:
    """What can be pressed in this step."""
    now, language = board.session, board.session.rules.language

    def button(does: str, name: str, form: str = "", **values: object) -> Control:
        return Control(does, say(language, f"ideation_b_{name}", **values), say(language, form) if form else "")

    if now.is_closed:
        return tuple(Control(f"export {each}", label) for each, label in EXPORTS)
    found: list[Control] = []
    match now.phase:
        case Phase.REFRAME:
            found = [Control(f"choose {n}", str(n)) for n in range(1, len(board.reframings) + 1)]
            joining = [] if sight.platform == ALONE else [button("enter", "enter")]
            return (*found, button(f"phase {sight.following}", "keep"), *joining)
        case Phase.COLLECT:
            if now.rules.blind or (sight.task is not None and sight.task.private):
                found.append(button("write", "write"))
            if sight.platform != ALONE:
                found.append(button("add", "add", "ideation_f_add"))
                found += [] if now.technique else [button("enter", "enter")]
            if now.rules.machine != "never":
                found += [button("spark", "spark"), button("wider", "wider"), button("deeper", "deeper")]
        case Phase.MERGE:
            found = [button(f"merge {a} {b}", "merge", ideas=f"{a} + {b}") for a, b in sight.alike[:4]]
        case Phase.VOTE if now.rules.ballot is Ballot.DOTS:
            found = [Control(f"vote {each.id}", each.id) for each in board.open[:MOST_PRESSED]]
        case Phase.VOTE if now.rules.ballot is Ballot.PAIRS and all(sight.pair):
            a, b = sight.pair
            found = [Control(f"prefer {a} {b}", a), Control(f"prefer {b} {a}", b)]
        case Phase.VOTE if now.rules.ballot is Ballot.CRITERIA:
            found = [button("rate", "rate")]
        case Phase.ENRICH if now.rules.machine != "never":
            best = sight.leading
            found = [button(f"deeper {each.idea}", "deeper_one", idea=each.idea) for each in best]
        case Phase.DECIDE:
            leading = [each.idea for each in sight.leading] or [each.id for each in board.open]
            found = [button(f"decide {each}", "take", idea=each) for each in leading[:LEADING]]
        case _:
            pass
    if now.ends is not None or now.stage_ends is not None:
        found.append(button("more 5", "more"))
    if now.phase not in (Phase.REFRAME, Phase.COLLECT, Phase.VOTE):
        found.append(button("map", "map"))
    if now.technique:
        found.append(button(f"next {now.run} {now.stage}", "next_question"))
    if sight.following is Phase.CLOSED:
        return (*found, button("close", "close"))
    return (*found, button(f"phase {sight.following}", "next", phase=phase_name(language, sight.following)))


EXPORTS: Sequence[tuple[str, str]] = (
    ("md", "Markdown"),
    ("csv", "CSV"),
    ("json", "JSON"),
    ("html", "HTML"),
    ("png", "PNG"),
)
