import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.diversity import distinct, mmr


def unit(*rows):
    table = np.array(rows, dtype=np.float32)
    return table / np.linalg.norm(table, axis=1, keepdims=True)


def test_a_second_copy_gives_way_to_something_else():
    vectors = unit([1, 0], [1, 0.01], [0, 1])
    assert mmr(np.array([0.9, 0.89, 0.6]), vectors, 2, trade=0.5).tolist() == [0, 2]


def test_relevance_alone_keeps_the_order():
    vectors = unit([1, 0], [1, 0.01], [0, 1])
    assert mmr(np.array([0.5, 0.9, 0.6]), vectors, 3, trade=1).tolist() == [1, 2, 0]


@given(st.integers(0, 8), st.integers(0, 10), st.floats(0, 1))
def test_each_place_is_picked_at_most_once(n, k, trade):
    chance = np.random.default_rng(n)
    picked = mmr(
        chance.random(n), unit(*chance.normal(size=(n, 4))) if n else np.zeros((0, 4), np.float32), k, trade=trade
    )
    assert len(picked) == min(n, k) == len(set(picked.tolist()))


def test_the_same_words_are_shown_once_whatever_their_case():
    vectors = unit([1, 0], [0, 1], [1, 1])
    assert distinct(vectors, ["Open at 9.", "open at 9", "Closed on Sunday"]).tolist() == [0, 2]


def test_close_wordings_are_shown_once(encoder):
    texts = [
        "You may return any product within 30 days of purchase for a full refund.",
        "You may return any product within 30 days of your purchase for a full refund.",
        "Lunch is served at noon.",
    ]
    assert distinct(encoder(texts), texts).tolist() == [0, 2]


def test_close_sentences_with_other_numbers_are_two_facts(encoder):
    texts = ["The invoice of March 2023 was paid on the 4th.", "The invoice of March 2024 was paid on the 4th."]
    assert distinct(encoder(texts), texts).tolist() == [0, 1]


def test_nothing_stays_nothing():
    assert distinct(np.zeros((0, 4), np.float32), []).tolist() == []
