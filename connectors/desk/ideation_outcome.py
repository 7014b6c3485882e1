"""What comes of a session: its figures and map, what is handed over as a file, and what later sessions find of it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from agent.events import Picture
from agent.ideation import export
from agent.ideation.acts import Phase
from agent.ideation.board import Board, Idea
from agent.ideation.labels import decimal
from agent.ideation.persons import IDEAS
from agent.ideation.turns import cells
from agent.ideation.view import View, view
from connectors.desk import ideation_board as boards
from connectors.desk.access import own_audience
from connectors.desk.ideation_stand import Stand
from connectors.desk.texts import prefix, say
from retrieval.document import Document, Section
from retrieval.passage import Vectors

FEWEST = 3  # ideas that are worth a map, or a word on how varied they are
MOST_SHARES = 12
MOST_ALIKE = 4  # pairs that may say the same
HIGH, SOME = 0.75, 0.5  # mean distances of ideas that are very, and quite, different


def looked_at(stand: Stand, board: Board, known: Vectors | None = None) -> View:
    """The board as all may see it. While people vote, what they gave so far shows nowhere: what leads draws votes.

    known: vectors of documents and earlier ideas, for how new these are, (m, dim).
    """
    return view(replace(board, votes=()) if board.session.phase is Phase.VOTE else board, stand.vectors, known)


def map_of(stand: Stand, board: Board) -> bytes:
    """The ideas that everybody may see, as a PNG; empty for too few."""
    seen = looked_at(stand, board)
    return seen.picture() if len(seen.ideas) >= FEWEST else b""


def groups_said(stand: Stand, board: Board, language: str) -> str:
    """What belongs together, by labels, and which of them may say the same."""
    p = prefix(board.session.places[0].platform) if board.session.places else "/"
    seen = looked_at(stand, board)
    found = [
        "\n".join([f"**{boards.line(group.label, 80)}**", *(boards.idea_line(board, idea) for idea in group_of)])
        for group in seen.groups
        if (group_of := [idea for idea in seen.ideas if idea.id in group.ideas])
    ]
    said = [say(language, "ideation_groups"), *found] if found else [say(language, "ideation_groups_none")]
    pairs = seen.duplicates[:MOST_ALIKE]
    said += [say(language, "ideation_alike", p=p, one=each.first, other=each.second) for each in pairs]
    return "\n\n".join(said)


def figures_said(stand: Stand, board: Board) -> str:
    """How many, by how many, how varied, and how many of them are the machine's."""
    language = board.session.rules.language
    ideas, people = boards.totals(board)
    seen = looked_at(stand, board)
    measured = seen.figures
    if len(seen.ideas) < FEWEST:
        diversity = say(language, "ideation_figure_none")
    else:
        name = "high" if measured.distance >= HIGH else "some" if measured.distance >= SOME else "low"
        diversity = say(language, f"ideation_figure_{name}", value=f"{measured.distance:.0%}")
    machine = say(language, "ideation_machine_figure", share=f"{measured.machine:.0%}") if measured.machine else ""
    said = say(language, "ideation_figures", ideas=ideas, people=people, diversity=diversity, covered=machine)
    return said.strip()


def all_figures(stand: Stand, board: Board, known: Vectors) -> str:
    """Everything that is measured, a line each. known: vectors of documents and earlier ideas, (m, dim).

    Whose the ideas are is told in shares without names: nobody is shown up as loud or quiet.
    """
    language = board.session.rules.language
    lines = [figures_said(stand, board)]
    seen = looked_at(stand, board, known)
    measured = seen.figures
    if len(seen.ideas) >= FEWEST:
        lines.append(say(language, "ideation_figure_vendi", vendi=decimal(language, measured.vendi)))
        if measured.novelty is not None:
            lines.append(say(language, "ideation_figure_novelty", value=f"{measured.novelty:.0%}"))
        shares = [f"{share:.0%}" for share in list(measured.shares.values())[:MOST_SHARES]]
        shares += [f"🤖 {measured.machine:.0%}"] if measured.machine else []
        if len(shares) > 1:
            lines.append(say(language, "ideation_figure_shares", shares=", ".join(shares)))
    if measured.coverage is not None:
        full, count = sum(map(bool, cells(board).values())), len(cells(board))
        lines.append(say(language, "ideation_figure_coverage", full=full, count=count))
    return "\n".join(f"• {each}" if i else each for i, each in enumerate(lines))


def exported(stand: Stand, board: Board, kind: str, known: Vectors | None = None) -> Picture:
    """The session as a file: `md`, `csv`, `json`, `html`; or its map as a picture, `png`."""
    language = board.session.rules.language
    if kind == "png":
        return Picture(map_of(stand, board), say(language, "ideation_map"))
    makers: dict[str, Callable[[export.Record], str]] = {
        "md": export.markdown,
        "csv": export.table,
        "json": export.as_json,
        "html": export.page,
    }
    seen = looked_at(stand, board, known)
    made = makers[kind](seen.record(_lettered(board), with_picture=kind == "html" and len(seen.ideas) >= FEWEST))
    name = f"{say(language, 'ideation_export_name')}-{board.session.code.lower()}.{kind}"
    return Picture(made.encode("utf-8-sig" if kind == "csv" else "utf-8"), name, name)  # by its mark Excel knows UTF-8


def keep_ideas(stand: Stand, board: Board) -> int:
    """Let later sessions find the ideas of those who agree, each where the session was held; how many that are.

    A document for each person, of what they alone wrote: who is forgotten takes theirs along. Doing it again changes
    nothing.
    """
    if not board.session.rules.joins:
        return 0
    people = stand.memory.people
    kept = 0
    for person in sorted({author for idea in _shown(board) for author in idea.authors}):
        theirs = [each for each in _shown(board) if each.authors == (person,)]
        accounts = next((each.account for each in board.session.members if each.person == person), "")
        if not theirs or not accounts or not people.person(accounts).consent:
            continue
        text = "\n".join(each.text for each in theirs)
        sections = tuple(Section(each.text, (board.session.topic,), whole=True) for each in theirs)
        for place in board.session.places:
            audience = own_audience(place)
            source = f"{IDEAS}{board.session.code.lower()}-{hashlib.sha256(person.encode()).hexdigest()[:8]}"
            stand.house.knowledge.add(
                f"{source}-{audience.rpartition('-')[2][:6]}",
                Document(board.session.topic, sections),
                content_hash=hashlib.sha256(text.encode(errors="replace")).hexdigest(),
                audience=audience,
                author=person,
            )
        kept += len(theirs)
    return kept


def _shown(board: Board) -> tuple[Idea, ...]:
    return tuple(each for each in board.open if not board.is_hidden(each))


def _lettered(board: Board) -> Callable[[str], str]:
    """People as A, B, C …, in the order in which they came."""
    order = {each.person: number for number, each in enumerate(board.session.members)}

    def name(person: str) -> str:
        number = order.get(person, len(order))
        return chr(ord("A") + number) if number < 26 else f"A{number}"

    return name
