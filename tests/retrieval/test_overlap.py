import numpy as np
import pytest

from retrieval import overlap as o
from retrieval.overlap import measure
from retrieval.words import WordIndex

TEXTS = {
    1: "Resetting a password\nOpen the settings and choose a new password.",
    2: "the password of the old office router is on the back",
    3: "lunch is at noon",
    4: "reset " + "filler " * 60 + "password",
}


@pytest.fixture
def index():
    index = WordIndex()
    index.add(np.array(list(TEXTS)), list(TEXTS.values()))
    return index


def overlap(index, query, ids=(1, 2, 3, 4)):
    snapshot = index.snapshot
    return measure(snapshot, index.parse(query, snapshot), np.array(ids, dtype=np.int64))


def test_scores_are_those_of_the_search(index):
    query = "password of the office"
    scores, ids = index.search(query, 10)
    assert np.allclose(overlap(index, query, ids).rows[o.BM25], scores, atol=1e-5)


def test_shares_lie_between_nothing_and_all(index):
    found = overlap(index, "the password of the old office")
    assert found.rows[o.COVERAGE].tolist()[1] == pytest.approx(1)
    assert found.rows[o.COVERAGE].tolist()[2] == 0
    assert found.rows[o.PAIRS].tolist()[1] == pytest.approx(1)
    for row in found.rows[o.COVERAGE : o.RAREST + 1]:
        assert ((row >= 0) & (row <= 1 + 1e-9)).all()


def test_words_far_apart_are_covered_but_in_no_window(index):
    found = overlap(index, "reset password")
    assert found.rows[o.COVERAGE][3] == pytest.approx(1)
    assert found.rows[o.WINDOW][3] < 1


def test_a_short_first_line_is_a_lead_and_a_paragraph_has_none(index):
    found = overlap(index, "password")
    assert found.rows[o.HAS_LEAD].tolist() == [1, 1, 1, 0]
    assert found.rows[o.LEAD].tolist() == [1, 1, 0, 0]


def test_words_that_no_passage_holds_count_as_missing(index):
    found = overlap(index, "password zebra")
    assert found.unknown > 0.5
    assert found.rows[o.COVERAGE].max() < 0.5
    assert overlap(index, "zebra").unknown == 1


def test_passages_that_are_not_here_are_empty(index):
    found = overlap(index, "password", [2, 77])
    assert found.rows[o.BM25][0] > 0 == found.rows[o.BM25][1]
    assert found.rows[o.LENGTH][1] == 0


def test_a_query_of_nothing_and_no_candidates_are_no_trouble(index):
    assert overlap(index, "").rows[o.COVERAGE].tolist() == [0, 0, 0, 0]
    assert len(overlap(index, "password", []).rows[o.BM25]) == 0


def test_the_order_and_number_of_segments_do_not_matter():
    chance = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in chance.integers(0, 300, 30)) for _ in range(1600)]
    whole, grown = WordIndex(), WordIndex()
    whole.add(np.arange(1600), texts)
    for begin in (1400, 0, 1200):
        grown.add(
            np.arange(begin, {1400: 1600, 0: 1200, 1200: 1400}[begin]),
            texts[begin : {1400: 1600, 0: 1200}.get(begin, 1400)],
        )
    ids = chance.permutation(1600)[:50]
    one, other = (overlap(index, "w1 w2 w3 w4", ids) for index in (whole, grown))
    assert np.allclose(one.rows, other.rows)
