"""What is said of a case: the card at the desk, lists, ages. Pure."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from agent.guard import clean
from agent.message import Line, Turn
from agent.summary import clip, fold
from agent.support.cases import Case, State
from agent.support.triggers import is_unanswered
from connectors.desk.access import short
from connectors.desk.names import plain
from connectors.desk.texts import prefix, say, translated

LINES = 12  # of the conversation, on a card
SUMMARY = 60  # words
PASSAGES = 5
EXCERPT = 160  # characters of a passage
_HOST = re.compile(r"https?://([^/\s?#<>|()\[\]]+)", re.IGNORECASE)


def card(case: Case, turns: Sequence[Turn], audiences: Collection[str], language: str, name: str = "") -> str:
    """Everything that somebody needs to take a case up.

    turns: the conversation, oldest first. name: the asker's, where their platform tells it.
    audiences: what everybody at the desk may read; other passages are counted.
    """

    def line(name: str, **values: object) -> str:
        return say(language, f"case_card_{name}", **values)

    where = line("direct") if case.direct else line("channel", channel=f"{case.place.platform}:{case.place.channel}")
    reason = say(language, f"case_reason_{case.reason}")
    since = f"{case.opened.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    parts = [
        line("title", n=case.number, reason=reason),
        line(
            "from",
            who=f"**{plain(name)}** " if name else "",
            account=short(case.asker_account),
            where=where,
            since=since,
        ),
    ]
    if turns:
        last = turns[-1]
        understood = last.understanding
        parts.append(line("summary", summary=_summary(turns)))
        read = translated(language, " ".join(understood.reasons))
        parts.append(line("understood", reasons=read or f"{understood.intent}, {understood.sentiment}"))
        parts += _tried(last, audiences, line)
        lines = _lines(turns, audiences, line("unread"))[-LINES:]
        said = [f"> **{_who(each, language)}** {clip(' '.join(each.text.split()))}" for each in lines]
        parts += [line("talk"), *said]
    return clean("\n".join(parts))


def _summary(turns: Sequence[Turn]) -> str:
    """What was asked, by its weightiest sentences; and how often there was no answer."""
    asked = [Line("user", turn.message.text) for turn in turns]
    chosen = fold("", asked, SUMMARY, lambda text: len(text.split()))
    words = " … ".join(item.partition(": ")[2] for item in chosen.split("\n") if item)
    failed = sum(is_unanswered(turn) for turn in turns)
    return f"{words} ({failed}/{len(turns)} ✗)" if failed else words


def _tried(turn: Turn, audiences: Collection[str], line: Callable[..., str]) -> list[str]:
    if not turn.passages:
        return [line("nothing")]
    shown = [each for each in turn.passages if each.audience in audiences][:PASSAGES]
    listed = [f"- {each.source} ({each.score:.0%}): {_excerpt(each.text)}" for each in shown]
    hidden = len([each for each in turn.passages if each.audience not in audiences])
    return [line("tried"), *listed, *([line("hidden", count=hidden)] if hidden else [])]


def _excerpt(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= EXCERPT else f"{words[: EXCERPT - 1]}…"


def _lines(turns: Sequence[Turn], audiences: Collection[str], unread: str) -> list[Line]:
    """What was said; in place of an answer from passages that this desk may not read, that there was one."""
    lines: list[Line] = []
    for turn in turns:
        cited = {source.passage for source in turn.reply.sources}
        is_open = all(each.audience in audiences for each in turn.passages if each.id in cited)
        lines += [Line("user", turn.message.text), Line("assistant", turn.reply.text if is_open else unread)]
    return [line for line in lines if line.text.strip()]


def _who(line: Line, language: str) -> str:
    return "Atelier:" if line.role == "assistant" else say(language, "case_card_asker")


def relayed(text: str) -> str:
    """A colleague's words: their links stay links, mass mentions and what is invisible go."""
    return clean(text, allowed_links=_HOST.findall(text))


def age(since: datetime, now: datetime) -> str:
    passed = max(timedelta(), now - since)
    minutes = int(passed.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


def listed(cases: Sequence[Case], now: datetime, language: str, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """Open cases, one a line: number, state, age, owner, reason. names: of their owners, by account."""
    lines = [
        say(
            language,
            "cases_line",
            n=case.number,
            state=say(language, f"case_state_{case.state}"),
            age=age(case.opened, now),
            owner=names.get(case.owner_account) or (short(case.owner_account) if case.owner_account else "–"),
            reason=say(language, f"case_reason_{case.reason}"),
        )
        for case in cases
    ]
    return "\n".join(lines) if lines else say(language, "cases_none")


def how(case: Case, language: str) -> str:
    """How whoever has a case speaks with the asker."""
    if case.is_one_room:
        return say(language, "case_how_here")
    return say(language, f"case_how_{'slack' if case.desk.platform == 'slack' else 'telegram'}")


def refused(case: Case, language: str, platform: str, owner: str) -> str:
    """Why a step is not possible. owner: the name of who has it."""
    if case.state is State.CLAIMED and case.owner_account:
        return say(language, "case_has_owner", n=case.number, account=owner)
    name = "case_unclaimed" if case.state is State.OPEN else "case_over"
    return say(language, name, n=case.number, p=prefix(platform))


def number_of(name: str) -> int | None:
    """Of `#12` or `12`, as people name a case or an answer; None where it is no number."""
    digits = name.removeprefix("#")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None
