import threading
from collections import Counter
from collections.abc import Sequence

import bm25s
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import IndexCorrupt
from retrieval.passage import PassageSet
from retrieval.postings import Segment
from retrieval.tokens import words
from retrieval.words import WordIndex

SMALL_WORLD = st.lists(st.sampled_from("red green blue cat dog house".split()), max_size=6).map(" ".join)


def zipf_texts(count, seed=0):
    """Texts whose words are as unevenly frequent as in a language, so that every way of skipping words is taken."""
    chance = np.random.default_rng(seed)
    return [" ".join(f"w{min(n, 5000)}" for n in chance.zipf(1.3, size=chance.integers(5, 60))) for _ in range(count)]


def brute_force(texts, query):
    """BM25 written down from its formula; texts: id -> text."""
    cut = {i: words(text) for i, text in texts.items()}
    mean = sum(map(len, cut.values())) / max(len(cut), 1)
    scores = {}
    for i, bag in cut.items():
        total = 0.0
        for word in words(query):
            df = sum(word in other for other in cut.values())
            tf = bag.count(word)
            if tf:
                idf = np.log(1 + (len(cut) - df + 0.5) / (df + 0.5))
                total += idf * tf / (tf + 1.2 * (0.25 + 0.75 * len(bag) / mean))
        if total > 0:
            scores[i] = total
    return scores


def index_of(texts):
    index = WordIndex()
    index.add(np.array(list(texts)), list(texts.values()))
    return index


def test_ranks_as_bm25s_does():
    texts = zipf_texts(3000)
    index = WordIndex()
    for begin in range(0, 3000, 350):
        index.add(np.arange(begin, min(begin + 350, 3000)), texts[begin : begin + 350])
    oracle = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    oracle.index([words(text) for text in texts], show_progress=False)
    for query in zipf_texts(60, seed=1):
        expected = np.asarray(oracle.get_scores(words(query)))
        scores, ids = index.search(query, 20)
        assert np.allclose(scores, np.sort(expected)[::-1][: len(scores)], atol=1e-4)
        assert np.allclose(scores, expected[ids], atol=1e-4)


def test_a_common_word_counts_as_often_as_it_stands_there():
    texts = {i: f"{'common ' * (1 + i * 40)}rare{i % 7}" for i in range(40)}  # more often than fits a byte
    index, query = index_of(texts), "common rare3"
    expected = brute_force(texts, query)
    for _ in range(2):  # as it is made, and as it was kept
        scores, ids = index.search(query, 40)
        assert scores == pytest.approx([expected[i] for i in ids.tolist()], rel=1e-5)
        assert len(ids) == 40
    index.remove(np.arange(10))
    expected = brute_force({i: text for i, text in texts.items() if i >= 10}, query)
    scores, ids = index.search(query, 40)
    assert dict(zip(ids.tolist(), scores.tolist(), strict=True)) == pytest.approx(expected, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12), SMALL_WORLD), max_size=25), SMALL_WORLD)
def test_after_any_changes_it_ranks_as_if_built_anew(changes, query):
    index, texts = WordIndex(), {}
    for adding, number, text in changes:
        if adding:
            index.add(np.array([number]), [text])
            texts[number] = text
        else:
            index.remove(np.array([number]))
            texts.pop(number, None)
    assert len(index) == len(texts)
    expected = brute_force(texts, query)
    scores, ids = index.search(query, 100)
    assert set(ids.tolist()) == set(expected)
    assert np.allclose(scores, [expected[i] for i in ids.tolist()], atol=1e-5)


def test_equal_passages_come_in_order_of_their_ids():
    index = WordIndex()
    for number in (9, 3, 7, 1):
        index.add(np.array([number]), ["the same words"])
    assert index.search("same words", 10)[1].tolist() == [1, 3, 7, 9]
    assert index.search("same words", 2)[1].tolist() == [1, 3]


def test_only_allowed_passages_are_found_however_good_others_are():
    texts = zipf_texts(2000)
    index = index_of(dict(enumerate(texts)))
    allowed = PassageSet.of(np.arange(0, 2000, 7))
    for query in zipf_texts(20, seed=2):
        everything = dict(zip(*map(np.ndarray.tolist, index.search(query, 2000)[::-1]), strict=True))
        scores, ids = index.search(query, 10, allowed)
        assert allowed.contains(ids).all()
        best = sorted((s for i, s in everything.items() if i % 7 == 0), reverse=True)[:10]
        assert np.allclose(scores, best, atol=1e-4)
    assert len(index.search(texts[0], 10, PassageSet.of(np.array([], dtype=np.int64)))[1]) == 0
    assert len(index.search(texts[0], 10, PassageSet.of(np.array([5000])))[1]) == 0


def test_a_query_without_known_words_finds_nothing():
    index = index_of({1: "apples and pears"})
    for query in ("", "!?", "zebra"):
        scores, ids = index.search(query, 5)
        assert len(scores) == len(ids) == 0
    assert len(WordIndex().search("apples", 5)[1]) == 0


def test_an_id_that_is_added_again_is_replaced():
    index = index_of({1: "old words", 2: "other"})
    index.add(np.array([1]), ["new text"])
    assert len(index) == 2
    assert len(index.search("old", 5)[1]) == 0
    assert index.search("new", 5)[1].tolist() == [1]


@pytest.mark.parametrize("ids", [[1, 1], [1], [-1, 2]])
def test_impossible_ids_are_refused(ids):
    with pytest.raises(ValueError, match="ids must be unique"):
        WordIndex().add(np.array(ids), ["a", "b"])


def test_what_was_saved_is_what_is_loaded(tmp_path):
    texts = zipf_texts(800)
    index = index_of(dict(enumerate(texts)))
    index.add(np.array([9000]), ["退款 Müller"])
    index.remove(np.arange(0, 800, 3))
    index.save(tmp_path / "words", {"generation": 4})
    loaded, facts = WordIndex.load(tmp_path / "words")
    assert facts == {"generation": 4}
    assert len(loaded) == len(index)
    for query in [*zipf_texts(10, seed=3), "退款", "muller"]:
        for ours, theirs in zip(index.search(query, 50), loaded.search(query, 50), strict=True):
            assert np.array_equal(ours, theirs)


def test_an_empty_index_can_be_saved(tmp_path):
    WordIndex().save(tmp_path / "words", {})
    loaded, _ = WordIndex.load(tmp_path / "words")
    loaded.add(np.array([1]), ["now there is something"])
    assert loaded.search("something", 1)[1].tolist() == [1]


def test_a_removed_passages_words_are_not_written(tmp_path):
    index = index_of({1: "the secret word is xylophone", 2: "nothing here"})
    index.remove(np.array([1]))
    index.save(tmp_path / "words", {})
    assert all(b"xylophone" not in path.read_bytes() for path in (tmp_path / "words").iterdir())


@pytest.mark.parametrize("name", ["ids.npy", "starts.npy", "tokens.npy", "leads.npy", "words.json", "manifest.json"])
def test_a_changed_or_missing_file_is_noticed(tmp_path, name):
    index_of({1: "some words"}).save(tmp_path / "words", {})
    path = tmp_path / "words" / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IndexCorrupt, match="rebuilt"):
        WordIndex.load(tmp_path / "words")
    path.unlink()
    with pytest.raises(IndexCorrupt, match="rebuilt"):
        WordIndex.load(tmp_path / "words")


def test_searches_go_on_while_passages_come_and_go():
    texts = zipf_texts(600)
    index, failures, done = index_of(dict(enumerate(texts))), Counter(), threading.Event()

    def read():
        while not done.is_set():
            scores, ids = index.search("w1 w2 w30", 10)
            if len(ids) != 10 or (np.diff(scores) > 0).any():
                failures["bad"] += 1

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(600, 660):
        index.add(np.array([number]), [f"w1 w2 fresh{number}"])
        index.remove(np.array([number - 600]))
    done.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert len(index) == 600


@pytest.mark.parametrize("rows", [[], [7], range(300), range(299, -1, -1), [*range(20, 160), 3, 250, *range(170, 210)]])
def test_whatever_rows_are_read_each_comes_whole_and_in_turn(rows: Sequence[int]) -> None:
    lengths = np.arange(300, dtype=np.int64) % 7  # some are empty
    tokens = np.arange(lengths.sum(), dtype=np.int32)
    segment = Segment.of(np.arange(300), lengths, tokens, np.zeros(300, np.int32))
    found, sizes = segment.gather(np.array(rows, dtype=np.int64))
    cut = np.split(tokens, np.cumsum(lengths)[:-1])
    assert found.tolist() == [token for row in rows for token in cut[row].tolist()]
    assert sizes.tolist() == [lengths[row] for row in rows]
