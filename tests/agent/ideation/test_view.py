"""What is seen of a board: groups, duplicates, figures, results with their uncertainty, pictures, exports."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from agent import lettering
from agent.ideation import export, picture
from agent.ideation.acts import Ballot, Criterion, Kind, RemarkKind, Rules
from agent.ideation.aim import aimed, first_new, repeats
from agent.ideation.board import Action, Board, Idea, Member, Remark, Session, Vote
from agent.ideation.fold import share_kept
from agent.ideation.groups import DUPLICATE, clusters, duplicates, nearest_group
from agent.ideation.layout import beside, layout
from agent.ideation.measures import gini, mean_distance, novelty, shares, vendi
from agent.ideation.picture import Mark, draw_map
from agent.ideation.tally import bradley_terry, is_close, next_pair, tally
from agent.ideation.vectors import IdeaVectors
from agent.ideation.view import view
from agent.lettering import lettered
from retrieval.encoder import TransformerEncoder

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
TEXTS = (
    "Espresso for everyone",
    "A better coffee grinder",
    "Milk for the flat whites",
    "A barista course",
    "Stands for our bicycles",
    "Repair kits for bikes",
    "A cycling club on Fridays",
    "Cargo bicycles to borrow",
    "A reading circle",
    "A shelf of novels to swap",
    "Poetry evenings in the library",
)


def ideas_of(texts: tuple[str, ...]) -> tuple[Idea, ...]:
    return tuple(Idea(str(i), text, NOW, (f"p{i % 3}",)) for i, text in enumerate(texts, 1))


def board_of(texts: tuple[str, ...] = TEXTS, **changes: object) -> Board:
    members = tuple(Member(f"p{i}") for i in range(3))
    rules = changes.pop("rules", Rules())
    session = Session("s", "acme", "CODE", topic="a nicer office", asked="a nicer office", members=members, rules=rules)
    return Board(session, ideas_of(texts), **changes)


def unit(rows: list[list[float]]):
    array = np.array(rows, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_ideas_are_grouped_by_what_they_are_about(encoder: TransformerEncoder) -> None:
    seen = view(board_of(), IdeaVectors(encoder))
    assert sorted(sorted(map(int, each.ideas)) for each in seen.groups) == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11]]
    labels = {each.ideas: each.label for each in seen.groups}
    assert any("bicycles" in label or "bikes" in label for label in labels.values())
    assert 3 < seen.figures.vendi < len(TEXTS)
    assert "11 ideas" in seen.note


def test_groups_are_the_same_whatever_comes_first(encoder: TransformerEncoder) -> None:
    vectors = encoder(TEXTS)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    first, second = clusters(vectors), clusters(vectors[order])
    same = first[order][:, None] == first[order][None, :]
    assert (same == (second[:, None] == second[None, :])).all()
    assert nearest_group(encoder(["A tandem bicycle for two"])[0], vectors, first) == first[5]


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5])
def test_small_boards_have_no_groups_and_still_a_picture(encoder: TransformerEncoder, count: int) -> None:
    seen = view(board_of(TEXTS[:count]), IdeaVectors(encoder))
    assert len(seen.groups) == 0 or count == 5
    assert Image.open(io.BytesIO(seen.picture())).size == (1200, 1200)


def test_identical_ideas_do_not_break_the_map(encoder: TransformerEncoder) -> None:
    seen = view(board_of(("Tea",) * 9), IdeaVectors(encoder))
    assert seen.figures.vendi == pytest.approx(1, abs=0.01)
    assert np.isfinite(layout(seen.vectors, np.zeros(9, np.int64))).all()
    assert seen.picture()


def test_only_what_says_the_same_is_proposed_for_merging(encoder: TransformerEncoder) -> None:
    texts = (
        "Free tea in the kitchen",
        "Free tea in the kitchens!",
        "Room 4 for yoga",
        "Room 5 for yoga",
        "Pay for lunch",
        "Do not pay for lunch",
        "A library of board games",
    )
    found = duplicates([str(i) for i in range(len(texts))], texts, encoder(texts))
    assert [(each.first, each.second) for each in found] == [("0", "1")]


def test_the_same_words_in_another_order_are_proposed_and_opposites_are_not(encoder: TransformerEncoder) -> None:
    texts = (
        "a buddy for every newcomer",
        "give each newcomer a buddy",
        "longer lunch break",
        "shorter lunch break",
        "music at the start",
        "music at the end",
        "a map for every newcomer",
    )
    found = duplicates([str(i) for i in range(len(texts))], texts, encoder(texts))
    assert [(each.first, each.second) for each in found] == [("0", "1")]
    assert found[0].cosine < DUPLICATE


def test_stimuli_lead_away_from_the_ideas_but_not_from_the_topic() -> None:
    topic, ideas = unit([[1, 0, 0, 0]])[0], unit([[1, 1, 0, 0]])
    stimuli = unit([[1, 1, 0, 0.1], [1, 0, 1, 0], [0, 0, 0, 1], [1, 0.9, 0.1, 0]])
    assert aimed(stimuli, ideas, topic) == [1]
    assert aimed(stimuli, ideas, topic, 2)[0] == 1
    assert aimed(stimuli[:0], ideas, topic) == []
    assert repeats(stimuli[0], ideas) is not None
    assert repeats(stimuli[1], ideas) is None
    assert first_new(stimuli, ideas) == 1
    assert first_new(ideas, ideas) is None


def test_figures_of_variety() -> None:
    assert vendi(unit([[1, 0], [0, 1]])) == pytest.approx(2)
    assert vendi(unit([[1, 0], [1, 0]])) == pytest.approx(1)
    assert mean_distance(unit([[1, 0], [0, 1], [1, 0]])) == pytest.approx(2 / 3)
    assert novelty(unit([[1, 0]]), unit([[1, 0], [0, 1]])).tolist() == pytest.approx([0])
    assert gini([3, 3, 3]) == pytest.approx(0)
    assert gini([9, 0, 0]) == pytest.approx(2 / 3)
    many = np.random.default_rng(0).normal(size=(900, 8)).astype(np.float32)
    assert 6 < vendi(many / np.linalg.norm(many, axis=1, keepdims=True)) < 8


def test_shares_of_people_and_the_machine() -> None:
    ideas = [Idea("1", "a", NOW, ("p", "q")), Idea("2", "b", NOW, share=1.0), Idea("3", "c", NOW, ("p",), share=0.5)]
    people, machine = shares(ideas)
    assert people == pytest.approx({"p": 1 / 3, "q": 1 / 6})
    assert machine == pytest.approx(0.5)
    assert share_kept(1.0, "tea for all people", "tea for nobody here") == pytest.approx(0.5)


def dots(person: str, idea: str, value: int) -> Vote:
    return Vote(person, Ballot.DOTS, idea, value)


def test_dots_are_counted_with_their_uncertainty() -> None:
    votes = (dots("p0", "1", 2), dots("p1", "1", 2), dots("p2", "2", 3), dots("p0", "3", 1))
    found = tally(board_of(votes=votes))
    assert [(each.idea, each.score) for each in found[:3]] == [("1", 4), ("2", 3), ("3", 1)]
    assert found[0].low < 4 < found[0].high
    assert is_close(found)
    assert sum(each.first for each in found) == pytest.approx(1)
    clear = tally(board_of(votes=tuple(dots(f"p{i}", "1", 3) for i in range(9))))
    assert (clear[0].low, clear[0].high, clear[0].first) == (27, 27, 1)
    assert not is_close(clear)
    assert tally(board_of()) == ()


def test_pairs_give_strengths_and_ask_what_is_not_known() -> None:
    rules = Rules(ballot=Ballot.PAIRS)
    votes = tuple(Vote(f"p{i}", Ballot.PAIRS, "1", other=other) for i in range(3) for other in ("2", "3"))
    votes += (Vote("p0", Ballot.PAIRS, "2", other="3"),)
    board = board_of(TEXTS[:4], votes=votes, rules=rules)
    found = tally(board)
    assert [each.idea for each in found if each.voters] == ["1", "2", "3"]
    assert 0.5 < found[0].low < found[0].score < found[0].high < 1
    assert next(each for each in found if each.idea == "4").voters == 0
    pair = next_pair(board, "p0")
    assert pair is not None
    assert "4" in pair
    strength, spread = bradley_terry(np.array([[0, 9], [1, 0]], dtype=float))
    assert strength[0] > 0 > strength[1]
    assert (spread > 0).all()


def test_everybody_can_compare_everything_once() -> None:
    board = board_of(TEXTS[:4], rules=Rules(ballot=Ballot.PAIRS))
    seen = set()
    while (pair := next_pair(board, "p1")) is not None:
        assert frozenset(pair) not in seen
        seen.add(frozenset(pair))
        vote = Vote("p1", Ballot.PAIRS, pair[0], other=pair[1])
        board = board_of(TEXTS[:4], rules=Rules(ballot=Ballot.PAIRS), votes=(*board.votes, vote))
    assert len(seen) == 6


def test_criteria_are_weighed() -> None:
    rules = Rules(ballot=Ballot.CRITERIA, criteria=(Criterion("effect", 3), Criterion("cost", 1)))
    votes = (
        Vote("p0", Ballot.CRITERIA, "1", 5, criterion="effect"),
        Vote("p0", Ballot.CRITERIA, "1", 1, criterion="cost"),
        Vote("p1", Ballot.CRITERIA, "1", 2, criterion="effect"),
        Vote("p1", Ballot.CRITERIA, "2", 3, criterion="cost"),
    )
    found = tally(board_of(TEXTS[:3], votes=votes, rules=rules))
    assert {each.idea: each.score for each in found} == {"1": 3.0, "2": 3.0, "3": 0}
    assert found[0].idea == "1"  # of equals, the one that more people voted on


def test_people_and_machine_are_told_apart_by_shape() -> None:
    points = np.array([[0.25, 0.5], [0.75, 0.5]])

    def corner(*, is_machine: bool) -> tuple[int, ...]:
        """The colour in the upper left corner of the first mark's box, which a circle leaves white."""
        content = draw_map("t", [Mark("1", is_machine=is_machine), Mark("2")], points, ())
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        colours = [picture.getpixel((x, 630 - 22)) for x in range(300, 370)]
        return tuple(sum(each != (255, 255, 255) for each in colours) for _ in "1")

    assert corner(is_machine=True) > corner(is_machine=False)


SEEN = {  # linear RGB as it is seen without one kind of cones (Machado, Oliveira and Fernandes 2009)
    "all": np.eye(3),
    "no long": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no medium": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no short": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


@pytest.mark.parametrize("seen", SEEN)
def test_groups_are_told_apart_by_people_who_do_not_see_all_colours(seen: str) -> None:
    shown = [lightness_and_hue(np.asarray(SEEN[seen]) @ linear(each)) for each in (*picture.PALETTE, picture.OTHERS)]
    assert min(np.linalg.norm(a - b) for a, b in combinations(shown, 2)) > 12  # from 2 on it can just be seen


def linear(colour: str) -> np.ndarray:
    shares = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def lightness_and_hue(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b*, in which equal distances look alike."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    shares = to_xyz @ rgb.clip(0, 1) / (0.9505, 1, 1.089)
    x, y, z = np.where(shares > 0.008856, np.cbrt(shares), 7.787 * shares + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_a_map_can_be_read_where_it_is_as_wide_as_a_telephone() -> None:
    """390 points wide: letters 9 high and more, and numbers that stand out from their marks (WCAG 2.2, 1.4.11)."""
    assert picture.SMALL * 390 / picture.SIZE[0] >= 9
    for colour in (*picture.PALETTE, picture.OTHERS):
        ink = picture.INK if colour in picture.LIGHT else picture.PAPER
        lighter, darker = sorted(map(luminance, (colour, ink)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3, colour


def luminance(colour: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    return float(linear(colour) @ (0.2126, 0.7152, 0.0722))


def test_groups_keep_their_distance_and_leave_little_of_the_map_empty() -> None:
    away = unit([[1, 0, 0], [0.99, 0.1, 0], [0.98, 0.12, 0], [0, 1, 0], [0, 0.99, 0.1]])
    points = layout(away, np.array([0, 0, 0, 1, 1]))
    first, second = points[:3], points[3:]
    gap = np.linalg.norm(first[:, None] - second[None, :], axis=2).min()
    wide = max(np.linalg.norm(first[:, None] - first[None, :], axis=2).max(), 1e-9)
    assert wide / 4 < gap < 2 * wide  # islands, and no sea between them


def test_marks_that_lie_on_each_other_are_moved_apart() -> None:
    points = np.full((12, 2), 0.5)
    content = draw_map("A title " * 30, [Mark(str(i), votes=i / 12) for i in range(12)], points, (), "a note")
    picture = Image.open(io.BytesIO(content)).convert("L")
    ink = (np.asarray(picture)[200:1060] < 200).any(axis=0).sum()
    assert ink > 200  # one heap would be about 90 wide


def test_a_new_idea_is_put_beside_what_it_is_near(encoder: TransformerEncoder) -> None:
    vectors = encoder(TEXTS)
    points = layout(vectors, clusters(vectors))
    assert points.shape == (len(TEXTS), 2)
    assert (points >= 0).all()
    assert (points <= 1).all()
    spot = beside(points, vectors, encoder(["Bikes for everybody"])[0])
    distance = np.linalg.norm(points - spot, axis=1)
    assert int(distance.argmin()) in range(4, 8)


NASTY = "<script>alert(1)</script> | =1+1 *bold* [x](http://evil)"


def record() -> export.Record:
    board = board_of(
        (NASTY, "=cmd|' /C calc'!A0", "Tea"),
        remarks=(Remark("1", RemarkKind.PROBLEM, "<b>no</b>", "p1", NOW),),
        votes=(dots("p0", "3", 2),),
        decided=("3",),
        decision_reason="Because & so",
        actions=(Action("9", "Buy tea", owner="<Ann>", due="Friday"),),
    )
    facts = Idea("4", "Forty people wait", NOW, ("p0",), kind=Kind.FACT)
    board = Board(
        board.session, (*board.ideas, facts), board.remarks, board.votes, decided=("3",), actions=board.actions
    )
    return export.Record(board, tally(board), name=lambda person: f"Name of {person}", picture=b"png")


def test_exports_hold_the_session_and_run_nothing() -> None:
    made = record()
    page = export.page(made)

    class Reader(HTMLParser):
        tags: set[str] = set()  # noqa: RUF012 - a parser of one page

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.add(tag)
            assert not any(name.startswith("on") or (value or "").startswith(("http", "java")) for name, value in attrs)

    reader = Reader()
    reader.feed(page)
    assert "script" not in reader.tags
    assert "b" not in reader.tags
    assert "&lt;script&gt;" in page
    assert "data:image/png;base64" in page
    rows = list(csv.reader(io.StringIO(export.table(made))))
    assert [each[0] for each in rows] == ["number", "3", "1", "2"]  # the decided first
    assert not any(cell.startswith("=") for each in rows for cell in each)
    assert rows[2][1] == NASTY
    told = json.loads(export.as_json(made))
    assert [each["number"] for each in told["ideas"]] == ["3", "1", "2", "4"]
    assert told["actions"][0]["owner"] == "<Ann>"
    words = export.markdown(made)
    assert "\\*bold\\* \\[x\\]" in words
    assert "- [ ] Buy tea (\\<Ann\\>, Friday)" in words
    assert "2 dots (2 to 2), first in 100%" in words
    for each in (page, words, export.table(made), export.as_json(made)):
        assert "p0" not in each.replace("Name of p0", "")  # no ids of persons, and nobody's vote


def test_a_german_session_is_exported_and_drawn_in_german(encoder: TransformerEncoder) -> None:
    held = Rules(language="de-AT")
    board = board_of(votes=(dots("p0", "3", 2),), decided=("3",), rules=held)
    seen = view(board, IdeaVectors(encoder))
    made = seen.record()
    page, words = export.page(made), export.markdown(made)
    assert '<html lang="de">' in page
    for said in ("Entschieden", "Ergebnis", "2 Stimmen (2 bis 2), vorn in 100%"):
        assert said in page
    for said in ("## Entschieden", "## Gruppen", "so vielfältig wie".capitalize()):
        assert said in words
    assert seen.note.startswith("11 Ideen, so vielfältig wie ")
    assert "," in seen.note.removeprefix("11 Ideen, ")  # 8,3 and not 8.3
    assert seen.picture() != view(board_of(votes=board.votes, decided=("3",)), IdeaVectors(encoder)).picture()


def test_a_topic_with_braces_fills_nothing_in() -> None:
    board = board_of(("Tea",))
    odd = Board(replace(board.session, topic="{body} and {title}"), board.ideas)
    assert "<h1>{body} and {title}</h1>" in export.page(export.Record(odd))


def test_a_vector_is_made_once(encoder: TransformerEncoder) -> None:
    asked: list[int] = []

    class Counting:
        dim, id = encoder.dim, encoder.id

        def __call__(self, texts):
            asked.append(len(texts))
            return encoder(texts)

    vectors = IdeaVectors(Counting())
    ideas = ideas_of(TEXTS)
    first = vectors(ideas)
    again = vectors((*ideas[:3], Idea("99", "Something new", NOW)))
    assert asked == [len(TEXTS), 1]
    assert np.array_equal(first[:3], again[:3])
    assert vectors(()).shape == (0, encoder.dim)


def test_words_in_other_letters_have_no_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lettered("wie begruessen", 20)[0] == "wie begruessen"
    monkeypatch.setattr(lettering, "_of_machine", lambda _: None)  # a machine without fonts
    assert lettered("wie begrüßen „wir“ José?", 20)[0] == 'wie begruessen "wir“ Jose?'  # one of them it has


def test_a_line_too_long_ends_in_an_ellipsis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering, "_of_machine", lambda _: None)
    pen = ImageDraw.Draw(Image.new("RGB", (900, 60)))
    whole = lettering.write(pen, (0, 0), "Größte Lücken", 30, "#fff")
    assert 0 < lettering.write(pen, (0, 0), "Größte Lücken", 30, "#fff", width=whole) == whole
    assert whole / 3 < lettering.write(pen, (0, 0), "Größte Lücken" * 9, 30, "#fff", width=whole) < whole * 1.3
