"""Selection: near-duplicates dropped, neighbours joined, best first."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.passage import Passage
from retrieval.search import LONGEST_RUN, join, select
from retrieval.store import Hit


def hit(
    number: int,
    content: int,
    ordinal: int,
    text: str = "",
    heading: str = "H",
    source: str = "a.md",
    line: int | None = None,
) -> Hit:
    passage = Passage(
        *(number, text or f"text {number}", source, heading, None, ordinal if line is None else line),
        *("acme/everyone", 1 - number / 1000),
    )
    return Hit(passage, content, ordinal)


def apart(hits: list[Hit]) -> np.ndarray:
    return np.eye(max(len(hits), 1), dtype=np.float32)[: len(hits)]


def test_neighbours_become_one_passage_in_reading_order():
    hits = [hit(1, 7, 4), hit(2, 7, 3), hit(3, 9, 0)]
    first, second = select(hits, apart(hits), 2)
    assert first.text == "text 2\n\ntext 1"
    assert (first.id, first.line, first.score) == (1, 3, hits[0].passage.score)
    assert second.text == "text 3"


def test_a_joined_pair_makes_room_for_another_passage():
    hits = [hit(1, 7, 4), hit(2, 7, 5), hit(3, 8, 0), hit(4, 9, 0)]
    assert [passage.id for passage in select(hits, apart(hits), 3)] == [1, 3, 4]


def test_neighbours_under_different_headings_stay_apart():
    hits = [hit(1, 7, 4, heading="Leave"), hit(2, 7, 5, heading="Pay")]
    assert len(select(hits, apart(hits), 5)) == 2


def test_the_row_of_a_table_that_answers_is_cited_by_its_own_number():
    rows = [hit(n, 7, n, f"Room: {n}; Seats: {n * 4}", source="Rooms.CSV", line=n + 1) for n in (4, 3, 5)]
    assert [(each.text, each.line) for each in select(rows, apart(rows), 2)] == [
        ("Room: 4; Seats: 16", 5),
        ("Room: 3; Seats: 12", 4),
    ]
    pages = [
        hit(1, 7, 1, "Room: 3; Seats: 12", line=7),
        hit(2, 7, 2, "Room: 4; Seats: 16", line=8),
        hit(3, 7, 3, "Note: rooms are free; ask at the desk: always.", line=10),
        hit(4, 7, 4, "They open at 9.", line=11),
    ]
    assert [each.line for each in join(pages)] == [7, 8, 10], "in a page too, but not prose"
    halves = [hit(1, 7, 1, source="rooms.xlsx", line=9), hit(2, 7, 2, source="rooms.xlsx", line=9)]
    assert [(each.text, each.line) for each in join(halves)] == [("text 1\n\ntext 2", 9)]


def test_passages_that_say_the_same_appear_once():
    texts = [
        "The rule.",
        "The rule.",
        "Leave is 30 days a year.",
        "leave is 30 days a year",
        "Leave is 25 days a year.",
    ]
    hits = [hit(i, i, 0, text) for i, text in enumerate(texts)]
    vectors = apart(hits)
    vectors[3:] = vectors[2]
    assert [passage.text for passage in select(hits, vectors, 5)] == [texts[0], texts[2], texts[4]]


def test_without_vectors_only_equal_texts_are_the_same():
    hits = [hit(1, 7, 0), hit(2, 8, 0)]
    assert len(select(hits, np.zeros((2, 4), np.float32), 5)) == 2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=20, unique=True), st.integers(1, 8))
def test_selection_loses_nothing_it_should_keep(places, k):
    hits = [hit(i, content, ordinal) for i, (content, ordinal) in enumerate(places)]
    found = select(hits, apart(hits), k)
    everything = join(hits)
    assert min(k, len(everything)) <= len(found) <= k
    assert [passage.score for passage in found] == sorted((passage.score for passage in found), reverse=True)
    assert all(passage.text.count("text") <= LONGEST_RUN for passage in everything)
    if hits:
        assert found[0].id == 0
