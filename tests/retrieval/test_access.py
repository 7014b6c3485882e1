"""Nobody reads what they may not, whatever the indexes say: batteries 21 and 22 of the reliability plan."""

import random

import numpy as np
import pytest

from retrieval.index import VectorIndex
from retrieval.words import WordIndex
from tests.retrieval.knowing import EVERYONE, HashingEncoder, opened, put, put_all, sources

CHANNELS = 200
ASKERS = 5


def canary(channel: int) -> str:
    return f"canary{channel:03d}secret"


@pytest.fixture
def base(engine, tmp_path):
    with opened(engine, tmp_path / "index") as base:
        yield base


def test_no_canary_of_200_private_channels_reaches_a_stranger(base):
    query = "the launch code of our project is {} for now"
    put_all(base, *((f"channel {i}", f"acme/c{i:03d}", query.format(canary(i))) for i in range(CHANNELS)))
    put(base, "handbook.md", "the launch code of a project is kept by its owner")
    chooser = random.Random(0)
    leaked = answered = 0
    for asker in range(ASKERS):
        member_of = set(chooser.sample(range(CHANNELS), asker * 2))
        audiences = EVERYONE | {f"acme/c{channel:03d}" for channel in member_of}
        for channel in range(CHANNELS):
            found = base.search(query.format(canary(channel)), audiences, 20)
            said = " ".join(f"{passage.text} {passage.source} {passage.heading}" for passage in found)
            leaked += sum(canary(other) in said for other in range(CHANNELS) if other not in member_of)
            answered += canary(channel) in said
            assert {passage.audience for passage in found} <= audiences
            assert len(found) == 1 + len(member_of)
    assert leaked == 0
    assert answered == sum(asker * 2 for asker in range(ASKERS))


def test_a_revoked_moved_or_deleted_document_is_gone_at_the_next_query(base):
    asker = frozenset({"acme/everyone", "acme/hr"})
    put(base, "pay.md", "the salary table", audience="acme/hr")
    assert sources(base, "salary table", asker) == ["pay.md"]
    assert base.shelf.set_audience("acme", "pay.md", "board")
    assert sources(base, "salary table", asker) == []
    assert sources(base, "salary table", asker | {"acme/board"}) == ["pay.md"]
    assert base.shelf.set_audience("acme", "pay.md", "everyone")
    assert sources(base, "salary table", frozenset({"acme/everyone"})) == ["pay.md"]
    assert base.shelf.remove("acme", "pay.md")
    assert sources(base, "salary table", asker | {"acme/board"}) == []
    assert not base.shelf.remove("acme", "pay.md")
    assert not base.shelf.set_audience("acme", "pay.md", "hr")


def test_the_same_holds_when_another_process_revokes(engine, tmp_path):
    with opened(engine, tmp_path / "index") as here, opened(engine, tmp_path / "index") as there:
        put(there, "plan.md", "the secret plan")
        assert sources(here, "secret plan") == ["plan.md"]
        there.shelf.set_audience("acme", "plan.md", "board")
        assert sources(here, "secret plan") == []


def test_tenants_see_nothing_of_each_other(base):
    put(base, "plan.md", "our plan is alpha")
    put(base, "plan.md", "our plan is beta", audience="rival/everyone")
    assert [p.text for p in base.search("our plan", EVERYONE)] == ["our plan is alpha"]
    assert [p.text for p in base.search("our plan", frozenset({"rival/everyone"}))] == ["our plan is beta"]
    assert base.shelf.remove("rival", "plan.md")
    assert sources(base, "our plan") == ["plan.md"]


def test_a_shared_text_is_cited_by_a_document_that_its_reader_may_see(base):
    put(base, "merger-with-initech.md", "general travel rules", audience="acme/board")
    put(base, "travel.md", "general travel rules")
    assert sources(base, "travel rules") == ["travel.md"]
    base.shelf.remove("acme", "travel.md")
    assert sources(base, "travel rules") == []


class LyingVectors(VectorIndex):
    """An index that ignores who may read what, as FAISS does on a GPU."""

    def search(self, queries, k, allowed=None):
        return super().search(queries, k)


class LyingWords(WordIndex):
    def search(self, query, k, allowed=None):
        return super().search(query, k)


def test_indexes_that_ignore_who_may_read_leak_nothing_and_hide_nothing(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("retrieval.live.VectorIndex", LyingVectors)
    monkeypatch.setattr("retrieval.live.WordIndex", LyingWords)
    with opened(engine, tmp_path / "index") as base:
        put_all(base, *((f"channel {i}", f"acme/c{i}", f"the launch code {i}") for i in range(150)))
        put(base, "handbook.md", "what a launch is")
        state = base._live.refresh()
        assert (type(state.vectors), type(state.words)) == (LyingVectors, LyingWords)
        assert sources(base, "the launch code 77") == ["handbook.md"]
        assert "channel 77" in sources(base, "the launch code 77", EVERYONE | {"acme/c77"})


def test_a_stale_index_returns_nothing_that_was_deleted(engine, tmp_path, monkeypatch):
    with opened(engine, tmp_path / "index") as base:
        put_all(base, *((f"{i}.md", "acme/everyone", f"the holiday rule {i}") for i in range(20)))
        assert len(sources(base, "holiday rule", k=20)) == 20
        stale = base._live.refresh()
        monkeypatch.setattr(base._live, "refresh", lambda: stale)
        for i in range(10):
            base.shelf.remove("acme", f"{i}.md")
        base.shelf.set_audience("acme", "10.md", "hr")
        assert sorted(sources(base, "holiday rule", k=20)) == sorted(f"{i}.md" for i in range(11, 20))
        assert len(sources(base, "holiday rule", k=9)) == 9


def test_filtering_starves_nobody(base):
    """300 private passages that match better must not leave an asker short of the public ones."""
    put_all(base, *((f"private {i}", "acme/hr", f"holiday rule rule rule {i}") for i in range(300)))
    put_all(base, *((f"public {i}", "acme/everyone", f"a holiday somewhere {i}") for i in range(8)))
    assert len(sources(base, "holiday rule", k=8)) == 8


def test_ids_are_checked_against_the_store_and_not_the_cache(engine, tmp_path):
    with opened(engine, tmp_path / "index", HashingEncoder()) as base:
        put(base, "a.md", "the holiday rule")
        sources(base, "holiday")
        ghost = np.zeros((1, 64), np.float32)
        ghost[0, 0] = 1
        base._live.state.vectors.add(np.array([10_000]), ghost)
        base._live.state.words.add(np.array([10_000]), ["holiday holiday"])
        assert sources(base, "holiday") == ["a.md"]
