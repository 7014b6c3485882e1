"""A session to take away: Markdown, CSV, JSON, and one HTML page that needs nothing else. Pure.

What is shared is what the group made. Votes leave as results only: who voted how is nobody's to read. Pages for people
are in the session's language; the names of columns and fields are the same in every language, as programs read them.
"""

import base64
import csv
import html
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agent.ideation.acts import Ballot, Kind, RemarkKind
from agent.ideation.board import Action, Board, Idea
from agent.ideation.groups import Group
from agent.ideation.labels import counted, decimal, label, spoken_in
from agent.ideation.measures import Figures
from agent.ideation.tally import Standing

Naming = Callable[[str], str]  # a person's id to the name that is shown

_FORMULA = re.compile(r"^[\s]*[=+\-@\t\r]")  # a spreadsheet would compute these (owasp.org, CSV injection)
_SLOT = re.compile(r"\{(language|title|body)\}")  # filled in one pass: a topic may hold braces
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~])")


def someone(_: str) -> str:
    return "somebody"


@dataclass(frozen=True, slots=True)
class Record:
    """All that is exported of a session. standings: best first; empty without votes. picture: the map, a PNG."""

    board: Board
    standings: tuple[Standing, ...] = ()
    groups: tuple[Group, ...] = ()
    figures: Figures | None = None
    picture: bytes = field(default=b"", repr=False)
    name: Naming = someone

    @property
    def language(self) -> str:
        return self.board.session.rules.language

    def label(self, name: str, **values: object) -> str:
        return label(self.language, name, **values)

    @property
    def ideas(self) -> tuple[Idea, ...]:
        """Everybody's to see, the decided first, then by result."""
        rank = {each.idea: i for i, each in enumerate(self.standings)}
        decided = self.board.decided
        shown = [each for each in self.board.open if not self.board.is_hidden(each)]
        return tuple(
            sorted(shown, key=lambda each: (each.id not in decided, rank.get(each.id, len(rank)), int(each.id)))
        )

    @property
    def others(self) -> tuple[Idea, ...]:
        """Facts, cautions, questions and the like."""
        return tuple(
            each
            for each in self.board.ideas
            if each.is_open and each.kind is not Kind.IDEA and not self.board.is_hidden(each)
        )

    def by(self, idea: Idea) -> str:
        """Whose an idea is: "Ann and Bob", "the machine", "Ann, with the machine (50%)"."""
        people = f" {self.label('and')} ".join(dict.fromkeys(map(self.name, idea.authors)))
        if not people:
            return self.label("the_machine")
        return self.label("with_machine", people=people, share=f"{idea.share:.0%}") if idea.share >= 0.01 else people

    def owner(self, action: Action) -> str:
        return self.name(action.person) if action.person else action.owner

    def standing(self, idea: Idea) -> Standing | None:
        return next((each for each in self.standings if each.idea == idea.id), None)

    def group(self, idea: Idea) -> str:
        return next((each.label for each in self.groups if idea.id in each.ideas), "")

    def result(self, idea: Idea) -> str:
        """What the votes say of an idea, "5 dots (3 to 7), first in 80%"; empty without votes."""
        found = self.standing(idea)
        if found is None or not found.voters:
            return ""
        ballot = self.board.session.rules.ballot
        shape = "{:.0f}" if ballot is Ballot.DOTS else "{:.0%}" if ballot is Ballot.PAIRS else "{:.1f}"
        score, low, high = (decimal(self.language, each, shape) for each in (found.score, found.low, found.high))
        is_dots = ballot is Ballot.DOTS
        said = counted(self.language, "dots", round(found.score)) if is_dots else self.label(ballot, score=score)
        return self.label("scored", score=said, low=low, high=high, first=f"{found.first:.0%}")

    @property
    def summary(self) -> list[str]:
        """The session in a few lines: who, how many, how varied."""
        now, language = self.board.session, self.language
        counts = {"people": len(now.members), "ideas": len(self.ideas), "places": len(now.places)}
        lines = [self.label("held", **{name: counted(language, name, count) for name, count in counts.items()})]
        if now.opened is not None:
            lines.insert(0, self.label("opened", at=f"{now.opened:%Y-%m-%d %H:%M}"))
        if now.asked != now.topic:
            lines.append(self.label("asked", topic=now.asked))
        if (figures := self.figures) is not None and figures.ideas > 1:
            vendi, share = decimal(language, figures.vendi), f"{figures.machine:.0%}"
            lines.append(self.label("variety", vendi=vendi, share=share))
        return lines


def markdown(record: Record) -> str:
    """The record as Markdown; what people wrote stands in it as they wrote it, not as marks."""
    board = record.board
    parts = [f"# {_plain(board.session.topic)}", "\n".join(f"- {_plain(each)}" for each in record.summary)]
    if board.decided:
        taken = [f"- **{_plain(each.text)}**" for each in record.ideas if each.id in board.decided]
        reason = [_plain(board.decision_reason)] if board.decision_reason else []
        parts += [f"## {record.label('decided')}", "\n".join(taken), *reason]
    if board.actions:
        parts += [f"## {record.label('to_do')}", "\n".join(_action(record, each) for each in board.actions)]
    ideas = "\n".join(_idea(record, each) for each in record.ideas)
    parts += [f"## {record.label('all_ideas')}", ideas or record.label("none")]
    if record.groups:
        grouped = (f"- **{_plain(each.label)}**: {', '.join(each.ideas)}" for each in record.groups)
        parts += [f"## {record.label('groups')}", "\n".join(grouped)]
    if record.others:
        noted = (f"- *{record.label(f'kind_{each.kind}')}*: {_plain(each.text)}" for each in record.others)
        parts += [f"## {record.label('noted')}", "\n".join(noted)]
    return "\n\n".join(parts) + "\n"


def table(record: Record) -> str:
    """The ideas as CSV (RFC 4180), a row each."""
    out = io.StringIO()
    writer = csv.writer(out)
    columns = "number text by machine group tags parents sources result first decided good problems better".split()
    writer.writerow(columns)
    for each in record.ideas:
        found = record.standing(each)
        said = {kind: [r.text for r in record.board.remarks_on(each.id) if r.kind is kind] for kind in RemarkKind}
        row = [each.id, each.text, record.by(each), f"{each.share:.2f}", record.group(each), ", ".join(each.tags)]
        row += [" ".join(each.parents), ", ".join(each.sources), f"{found.score:.3g}" if found else ""]
        row += [f"{found.first:.2f}" if found else "", "yes" if each.id in record.board.decided else ""]
        row += ["; ".join(said[kind]) for kind in (RemarkKind.GOOD, RemarkKind.PROBLEM, RemarkKind.STEP_UP)]
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def as_json(record: Record) -> str:
    """Everything as JSON, times in ISO 8601."""
    board, now = record.board, record.board.session
    ideas = []
    for each in (*record.ideas, *record.others):
        found = record.standing(each)
        ideas.append(
            {
                "number": each.id,
                "text": each.text,
                "kind": each.kind,
                "by": [record.name(author) for author in each.authors],
                "machine": round(each.share if each.authors else 1.0, 3),
                "made": each.made.isoformat(),
                "parents": each.parents,
                "sources": each.sources,
                "tags": each.tags,
                "cell": each.values,
                "group": record.group(each),
                "earlier": each.earlier,
                "remarks": [{"kind": r.kind, "text": r.text} for r in board.remarks_on(each.id)],
                "result": None if found is None else _result(found),
                "decided": each.id in board.decided,
            }
        )
    value: dict[str, object] = {
        "topic": now.topic,
        "asked": now.asked,
        "opened": now.opened.isoformat() if now.opened else None,
        "phase": now.phase,
        "people": len(now.members),
        "techniques": now.used,
        "dimensions": [{"name": name, "values": values} for name, values in board.dimensions],
        "ballot": now.rules.ballot,
        "ideas": ideas,
        "decision": {"ideas": board.decided, "reason": board.decision_reason},
        "actions": [
            {"text": a.text, "owner": record.owner(a), "due": a.due, "idea": a.idea, "done": a.is_done}
            for a in board.actions
        ],
    }
    if (figures := record.figures) is not None:
        value["figures"] = {
            "diversity": round(figures.distance, 4),
            "vendi": round(figures.vendi, 3),
            "novelty": None if figures.novelty is None else round(figures.novelty, 4),
            "coverage": None if figures.coverage is None else round(figures.coverage, 4),
            "machine": round(figures.machine, 4),
            "gini": round(figures.gini, 4),
        }
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def page(record: Record) -> str:
    """One HTML page that needs nothing else: no script, no address, the map inside. All words of people are escaped."""
    board = record.board
    topic = html.escape(board.session.topic)
    parts = [f"<h1>{topic}</h1>", _items(record.summary)]
    if board.decided:
        parts += [
            f"<h2>{record.label('decided')}</h2>",
            _items([each.text for each in record.ideas if each.id in board.decided]),
        ]
        parts.append(f"<p>{html.escape(board.decision_reason)}</p>" if board.decision_reason else "")
    if board.actions:
        said = [
            " ".join(filter(None, (a.text, f"— {record.owner(a)}" if record.owner(a) else "", a.due)))
            for a in board.actions
        ]
        parts += [f"<h2>{record.label('to_do')}</h2>", _items(said)]
    if record.picture:
        content = base64.b64encode(record.picture).decode()
        parts.append(f'<img alt="{record.label("map_alt")}" src="data:image/png;base64,{content}">')
    columns = ("", *(record.label(each) for each in ("idea", "by", "group", "result")))
    head = "".join(f"<th>{each}</th>" for each in columns)
    rows = "".join(_row(record, each) for each in record.ideas)
    parts += [
        f"<h2>{record.label('all_ideas')}</h2>",
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>",
    ]
    if record.others:
        noted = [f"{record.label(f'kind_{each.kind}')}: {each.text}" for each in record.others]
        parts += [f"<h2>{record.label('noted')}</h2>", _items(noted)]
    filled = {"language": spoken_in(record.language), "title": topic, "body": "\n".join(filter(None, parts))}
    return _SLOT.sub(lambda found: filled[found[1]], _PAGE)


_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { line-height: 1.2; } img { max-width: 100%; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem; border-bottom: 1px solid #ddd; }
.decided { font-weight: 600; } .said { color: #555; font-weight: 400; }
</style>
</head>
<body>
{body}
</body>
</html>
"""


def _row(record: Record, idea: Idea) -> str:
    said = "".join(
        f'<div class="said">{record.label(each.kind)}: {html.escape(each.text)}</div>'
        for each in record.board.remarks_on(idea.id)
    )
    cells = [idea.id, "", record.by(idea), record.group(idea), record.result(idea)]
    shown = [html.escape(each).replace("\n", "<br>") for each in cells]
    shown[1] = html.escape(idea.text).replace("\n", "<br>") + said
    mark = ' class="decided"' if idea.id in record.board.decided else ""
    return f"<tr{mark}>" + "".join(f"<td>{each}</td>" for each in shown) + "</tr>"


def _items(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(each)}</li>" for each in lines) + "</ul>"


def _idea(record: Record, idea: Idea) -> str:
    details = [_plain(record.by(idea)), record.result(idea), " ".join(f"\\#{_plain(tag)}" for tag in idea.tags)]
    details += [record.label("from", sources=", ".join(map(_plain, idea.sources)))] if idea.sources else []
    lines = [f"- {idea.id}. {_plain(idea.text)} ({'; '.join(filter(None, details))})"]
    lines += [f"  - {record.label(each.kind)}: {_plain(each.text)}" for each in record.board.remarks_on(idea.id)]
    return "\n".join(lines)


def _action(record: Record, action: Action) -> str:
    details = [record.owner(action), action.due, record.label("for_idea", idea=action.idea) if action.idea else ""]
    named = ", ".join(filter(None, details))
    return f"- [{'x' if action.is_done else ' '}] {_plain(action.text)}" + (f" ({_plain(named)})" if named else "")


def _result(found: Standing) -> dict[str, float]:
    values = {"score": found.score, "low": found.low, "high": found.high, "first": found.first}
    return {**{name: round(value, 4) for name, value in values.items()}, "voters": found.voters}


def _plain(text: str) -> str:
    """Text as it was written, on one line, none of it a mark of Markdown."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def _cell(value: str) -> str:
    return f"'{value}" if _FORMULA.match(value) else value
