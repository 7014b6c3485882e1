import numpy as np

from retrieval.diversity import distinct


def unit(*rows):
    table = np.array(rows, dtype=np.float32)
    return table / np.linalg.norm(table, axis=1, keepdims=True)


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
