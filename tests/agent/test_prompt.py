"""A reply's citations always point at a source that was shown, counted from 1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.prompt import Citations, label
from retrieval.passage import Passage


def passage(number: int, heading: str = "") -> Passage:
    return Passage(100 + number, f"text {number}", f"guide/{number}.md", heading, None, None, "local/everyone", 0.9)


THREE = [passage(1), passage(2), passage(3)]


@pytest.mark.parametrize(
    ("said", "shown", "cited"),
    [
        ("Leave is 30 days [2]. Ask HR [1]. Really [2].", "Leave is 30 days [1]. Ask HR [2]. Really [1].", [102, 101]),
        ("Both say so [1, 3].", "Both say so [1][2].", [101, 103]),
        ("Both say so [3][1]", "Both say so [1][2]", [103, 101]),
        ("Nobody said this [7].", "Nobody said this.", []),
        ("One of two [7, 2].", "One of two [1].", [102]),
        ("Use `row[2]` and rows[1] here.", "Use `row[2]` and rows[1] here.", []),
        ("```\nx = [1]\n```\nas shown [3]", "```\nx = [1]\n```\nas shown [1]", [103]),
        ("~~~\nx = [1]\n```\n~~~\nas shown [3]", "~~~\nx = [1]\n```\n~~~\nas shown [1]", [103]),
        ("Use `row [2]` as said [3].", "Use `row [2]` as said [1].", [103]),
        ("About ~~~ 5 [3] and a ` [2].", "About ~~~ 5 [1] and a ` [2].", [103, 102]),
        ("No sources at all.", "No sources at all.", []),
    ],
)
def test_citations_are_renumbered_in_order_of_first_mention(said: str, shown: str, cited: list[int]) -> None:
    citations = Citations(THREE)
    assert citations.renumber(said) == shown
    assert [source.passage for source in citations.sources] == cited
    assert [source.number for source in citations.sources] == list(range(1, len(cited) + 1))


@given(st.lists(st.sampled_from(["word ", "[1] ", "[2] ", "[3] ", "[9] ", "``` ", "~~~ ", "`x [1]` ", "x[1] ", "\n"])))
def test_a_stream_gives_what_the_whole_text_gives(pieces: list[str]) -> None:
    whole, stream = Citations(THREE), Citations(THREE)
    together = whole.renumber("".join(pieces))
    # a fence or a citation never spans two pieces, but the space before a dropped citation may
    apart = "".join(stream.renumber(piece) for piece in pieces)
    assert together.split() == apart.split()
    assert whole.sources == stream.sources


def test_a_label_says_where_to_look() -> None:
    found = Passage(7, "…", "hr/leave.pdf", "Leave > Parents", 3, 12, "local/everyone", 0.5)
    assert label(found) == "hr/leave.pdf, page 3, line 12: Leave > Parents"
    assert label(passage(1)) == "guide/1.md"
