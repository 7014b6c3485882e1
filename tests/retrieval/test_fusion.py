import json

import numpy as np
import pytest

from retrieval.errors import IndexCorrupt
from retrieval.fusion import FEATURES, FEW, WEIGHTS, Hits, Worded, fuse, learned
from retrieval.language import spoken
from retrieval.overlap import measure
from retrieval.passage import PassageSet
from retrieval.words import WordIndex

DOCUMENTS = [
    "Refunds\nCustomers may return any product within 30 days of purchase for a full refund.",
    "VPN access\nTo connect to the office network from home, install WireGuard and ask IT for a key.",
    "Kitchen\nLunch is served from 12 to 14 in the canteen on the second floor.",
    "Holidays\nEvery employee has 28 days of paid leave per year.",
    "Prices\nThe basic plan costs 9 euros a month, the team plan 29 euros.",
    "退款\n客户可在购买后三十天内退货并获得全额退款。",
]
MODEL = learned("all-MiniLM-L6-v2")
NOTHING = Hits(np.zeros(0), np.zeros(0, dtype=np.int64))


@pytest.fixture(scope="module")
def search(encoder):
    """Ask the documents in their first `n`, as the knowledge base does."""
    vectors = encoder(DOCUMENTS)

    def ask(query, n=6, model=MODEL):
        index = WordIndex()
        index.add(np.arange(n), DOCUMENTS[:n])
        cosines = vectors[:n] @ encoder([query])[0]
        order = np.argsort(-cosines)
        share = spoken(query, encoder.pieces(query))
        return fuse(Worded.found(index, query, 100), Hits(cosines[order], order), spoken=share, model=model)

    return ask


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("How long do I have to return something?", 0),  # other words
        ("how do i reach the company network when working from home", 1),
        ("how many vacation days do we get", 3),
        ("what does the team plan cost", 4),  # the same words
        ("lunch", 2),
        ("怎么退款", 5),  # a language that the encoder does not speak
    ],
)
def test_the_passage_that_answers_comes_first_with_a_high_probability(search, query, expected):
    fused = search(query)
    assert fused.ids[0] == expected
    assert fused.scores[0] > 0.5
    assert fused.calibrated


@pytest.mark.parametrize("query", ["who won the world cup in 1998", "What is the capital of Mongolia?", "hello there"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_what_no_passage_answers_has_a_low_probability(search, query, n):
    assert search(query, n).scores[0] < 0.3


def test_a_single_passage_can_still_answer(search):
    assert search("How long do I have to return something?", 1).scores[0] > 0.5


def test_a_muted_encoder_finds_nothing_by_vectors():
    index = WordIndex()
    index.add(np.arange(3), ["red house", "blue house", "green tree"])
    words = Worded.found(index, "blue house", 10)
    fused = fuse(words, Hits(np.array([0.9]), np.array([2])), spoken=0.0)
    assert fused.ids.tolist() == [1, 0]
    assert np.isnan(fused.similarities).all()


def test_without_weights_both_arms_count_the_same(search):
    fused = search("what does the team plan cost", model=None)
    assert fused.ids[0] == 4
    assert not fused.calibrated
    assert ((fused.scores >= 0) & (fused.scores <= 1)).all()


def test_every_candidate_comes_back_once_best_first(search):
    fused = search("holidays and lunch")
    assert sorted(fused.ids.tolist()) == list(range(len(DOCUMENTS)))
    assert (np.diff(fused.scores) <= 0).all()


def test_few_readable_passages_are_ranked_as_among_many(monkeypatch):
    index, chance = WordIndex(), np.random.default_rng(0)
    index.add(np.arange(900) * 2, [" ".join(f"w{n}" for n in chance.zipf(1.4, 40) if n < 500) for _ in range(900)])
    allowed = PassageSet.of(chance.permutation(900)[:120] * 2)
    for query in ("w1 w2 w7", "w30 w31", "w400 w401 w402 unheard", ""):
        near = Hits(np.linspace(0.9, 0.1, 30), chance.permutation(allowed.ids)[:30])
        ways = []
        for few in (FEW, 0):
            monkeypatch.setattr("retrieval.fusion.FEW", few)
            words = Worded.found(index, query, 20, allowed)
            assert (len(words.ids) == len(allowed)) == bool(few)
            ways.append((words.beside(NOTHING.ids)[0].tolist(), fuse(words, near, model=MODEL)))
        assert ways[0][0] == ways[1][0]
        assert ways[0][1].ids.tolist() == ways[1][1].ids.tolist()
        assert np.allclose(ways[0][1].scores, ways[1][1].scores)


def test_both_arms_are_read_together_as_one_after_the_other():
    index, chance = WordIndex(), np.random.default_rng(0)
    for begin in (0, 700):  # two segments, of which one has a gap
        ids = np.setdiff1d(np.arange(begin, begin + 700), [3])
        index.add(ids, [" ".join(f"w{min(n, 500)}" for n in chance.zipf(1.4, 40)) for _ in ids])
    for query in ("w1 w2 w7", "w30 w31 w1", "w400 w401 w402 unheard", ""):
        near = chance.permutation(ids)[:30]
        words = Worded.found(index, query, 20)
        found, together, own = words.beside(near)
        first = index.search(query, 20)[1]
        assert found[:own].tolist() == first.tolist()
        assert found[own:].tolist() == [i for i in near if i not in first]
        alone = [measure(words.snapshot, words.parsed, found[i : i + 1]).rows for i in range(len(found))]
        assert np.allclose(together.rows, np.concatenate(alone, axis=1), atol=1e-12)


def test_one_empty_arm_or_two_are_no_trouble():
    index = WordIndex()
    index.add(np.arange(2), ["red house", "blue house"])
    zebra, blue, nothing = (Worded.found(index, query, 5) for query in ("zebra", "blue", ""))
    assert len(fuse(zebra, NOTHING, model=MODEL).ids) == 0
    assert fuse(zebra, Hits(np.array([0.4, 0.1]), np.array([1, 0])), model=MODEL).ids[0] == 1
    assert fuse(blue, NOTHING, model=MODEL).ids[0] == 1
    assert len(fuse(nothing, Hits(np.array([0.4]), np.array([7])), model=MODEL).ids) == 1


def test_weights_belong_to_the_encoder_they_were_trained_with(tmp_path):
    assert learned("all-MiniLM-L6-v2") is not None
    assert learned("another-encoder") is None
    assert learned("all-MiniLM-L6-v2", tmp_path / "none.json") is None


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"encoder": "all-MiniLM-L6-v2"}'])
def test_damaged_weights_are_reported(tmp_path, damage):
    (tmp_path / "fusion.json").write_bytes(damage)
    with pytest.raises(IndexCorrupt, match="Train them again"):
        learned("all-MiniLM-L6-v2", tmp_path / "fusion.json")


def test_the_shipped_weights_say_where_they_come_from():
    stored = json.loads(WEIGHTS.read_text("utf-8"))
    assert tuple(stored["features"]) == FEATURES
    assert set(stored["data"].values()) <= {
        "CC BY 3.0",
        "CC BY 4.0",
        "CC BY-SA 3.0",
        "CC BY-SA 4.0",
        "CDLA-Sharing 1.0",
    }
    assert stored["held_out"]["first"]
