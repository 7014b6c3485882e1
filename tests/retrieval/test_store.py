"""The store itself: whole documents or nothing, contents shared, ids never used again."""

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from retrieval import store
from retrieval.database import reading, writing
from retrieval.deposit import put as put_one
from retrieval.deposit import put_all
from retrieval.document import Chunk
from retrieval.roots import Root, label_for, path_of, source_of
from retrieval.shelf import Shelf, exclusive
from retrieval.tables import contents, documents, passages, vectors


def entry(source: str, *texts: str, **facts: str) -> store.Entry:
    chunks = tuple(Chunk(text, ("Title",), None, None) for text in texts)
    plain = store.Entry("acme", source, "Title", "acme/everyone", "0" * 64, "1", chunks)
    return replace(plain, **facts)


def put(engine, *entries: store.Entry, encoder: str = "e") -> list[str]:
    row = np.array([1, 0], np.float32)
    encoded = {store.digest(chunk): row for each in entries for chunk in each.chunks}
    with writing(engine) as connection:
        store.prepare(connection)
        generation = store.bump(connection)
        return put_all(connection, generation, entries, encoder, encoded)


def count(engine, table) -> int:
    with reading(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_a_shelf_works_on_a_store_that_was_never_used(engine, tmp_path):
    shelf = Shelf(engine, tmp_path / "index")
    assert not shelf.remove("acme", "a.md")
    assert shelf.remove_author("p-1") == ()
    assert not shelf.set_audience("acme", "a.md", "hr")
    assert shelf.documents("acme") == ()


def test_a_folder_can_be_remembered_in_a_store_that_was_never_used(engine, tmp_path):
    shelf = Shelf(engine, tmp_path / "index")
    shelf.put_root("acme", "/handbook", None)
    assert [root.label for root in shelf.roots("acme")] == ["handbook"]


def test_where_nothing_can_be_locked_documents_are_deleted_all_the_same(engine, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with exclusive(tmp_path / "file" / "index") as locked:
        assert not locked
    put(engine, entry("a.md", "one", author="p-1"))
    assert Shelf(engine, tmp_path / "file" / "index").remove_author("p-1") == ("a.md",)


def test_identical_documents_share_one_content(engine):
    assert put(engine, entry("a.md", "one", "two")) == ["added"]
    assert put(engine, entry("b.md", "one", "two")) == ["duplicate"]
    assert (count(engine, documents), count(engine, contents), count(engine, passages)) == (2, 1, 2)


def test_documents_share_nothing_that_one_of_them_does_not_say(engine):
    named = replace(entry("b.md", "one"), chunks=(Chunk("one", ("Secret merger",), None, None),))
    put(engine, entry("a.md", "one"), named)
    assert count(engine, contents) == 2


def test_a_content_goes_with_its_last_document_and_takes_its_vectors(engine):
    put(engine, entry("a.md", "one"), entry("b.md", "one"))
    for source, left in (("a.md", 1), ("b.md", 0)):
        with writing(engine) as connection:
            assert store.delete_sources(connection, "acme", [source]) == (source,)
        assert (count(engine, contents), count(engine, passages), count(engine, vectors)) == (left, left, left)


def test_an_update_replaces_the_content_and_says_so(engine):
    assert put(engine, entry("a.md", "one")) == ["added"]
    assert put(engine, entry("a.md", "one")) == ["unchanged"]
    assert put(engine, entry("a.md", "other")) == ["updated"]
    assert put(engine, entry("a.md", "other", audience="acme/hr")) == ["updated"]
    assert (count(engine, documents), count(engine, passages)) == (1, 1)


def test_passage_ids_are_never_used_again(engine):
    seen: set[int] = set()
    for round_ in range(3):
        put(engine, entry("a.md", f"text {round_}", "more"))
        with reading(engine) as connection:
            ids = set(connection.execute(sa.select(passages.c.id)).scalars())
        assert len(ids) == 2
        assert not ids & seen
        seen |= ids


def test_every_change_is_a_new_generation(engine):
    put(engine, entry("a.md", "one"))
    with reading(engine) as connection:
        first = store.read_meta(connection)
    put(engine, entry("b.md", "two"))
    with reading(engine) as connection:
        second = store.read_meta(connection)
    assert second.generation == first.generation + 1
    assert second.store == first.store


def test_a_failure_in_mid_batch_leaves_nothing_half(engine):
    put(engine, entry("a.md", "one"))
    with pytest.raises(KeyError):
        with_missing_vector(engine, entry("b.md", "two"), entry("c.md", "three"))
    with pytest.raises(KeyError), writing(engine) as connection:
        put_all(connection, store.bump(connection), [entry("b.md", "two")], "e", {})
    assert (count(engine, documents), count(engine, contents), count(engine, passages)) == (1, 1, 1)


def test_documents_that_come_together_are_told_apart(engine):
    """New ones in one go, beside others that share a content with them, replace a document or come twice."""
    put(engine, entry("old.md", "old"), entry("kept.md", "kept"))
    outcomes = put(
        engine,
        entry("new.md", "fresh"),
        entry("old.md", "newer"),
        entry("copy.md", "fresh"),
        entry("late.md", "old"),  # what `old.md` no longer says
        entry("kept.md", "kept"),
        entry("new.md", "fresher"),
        entry("new.md", "fresh", tenant="rival"),
    )
    assert outcomes == ["added", "updated", "duplicate", "added", "unchanged", "updated", "duplicate"]
    with reading(engine) as connection:
        said = sa.select(documents.c.tenant, documents.c.source, passages.c.text).join(
            passages, passages.c.content == documents.c.content
        )
        assert set(map(tuple, connection.execute(said))) == {
            ("acme", "old.md", "newer"),
            ("acme", "kept.md", "kept"),
            ("acme", "copy.md", "fresh"),
            ("acme", "late.md", "old"),
            ("acme", "new.md", "fresher"),
            ("rival", "new.md", "fresh"),
        }
    assert count(engine, passages) == count(engine, vectors) == 5


def with_missing_vector(engine, *entries: store.Entry) -> None:
    encoded = {store.digest(entries[0].chunks[0]): np.ones(2, np.float32)}
    with writing(engine) as connection:
        for each in entries:
            put_one(connection, store.bump(connection), each, "e", encoded)


def test_a_shared_content_is_cited_by_the_document_that_its_reader_may_see(engine):
    put(engine, entry("hr/secret-plan.md", "one", audience="acme/hr"), entry("public.md", "one"))
    with reading(engine) as connection:
        ids = list(connection.execute(sa.select(passages.c.id)).scalars())
    everyone = store.readable(engine, ids, frozenset({"acme/everyone"}))[0]
    both = store.readable(engine, ids, frozenset({"acme/everyone", "acme/hr"}))[0]
    hr = store.readable(engine, ids, frozenset({"acme/hr"}))[0]
    assert [hit.passage.source for hit in everyone] == ["public.md"]
    assert [hit.passage.source for hit in both] == ["public.md"]
    assert [hit.passage.source for hit in hr] == ["hr/secret-plan.md"]


def test_equal_texts_lend_their_vectors(engine):
    put(engine, entry("a.md", "one", "two"))
    known, new = store.digest(entry("x", "one").chunks[0]), store.digest(entry("x", "new").chunks[0])
    with reading(engine) as connection:
        assert set(store.vectors_by_digest(connection, [known, new], "e")) == {known}
        assert store.vectors_by_digest(connection, [known], "another encoder") == {}


def test_roots_of_one_name_are_told_apart_by_their_parents():
    first = Root(1, "/home/ann/handbook", label_for("/home/ann/handbook", [], []), "acme/everyone")
    second = Root(2, "/home/bob/handbook", label_for("/home/bob/handbook", [first], []), "acme/everyone")
    inner = Root(3, "/home/ann/handbook/hr", label_for("/home/ann/handbook/hr", [first, second], []), "acme/hr")
    assert (first.label, second.label, inner.label) == ("handbook", "bob/handbook", "handbook/hr")
    assert source_of("/home/bob/handbook/leave.md", second) == "bob/handbook/leave.md"
    assert (
        path_of("handbook/hr/pay.md", inner) == path_of("handbook/hr/pay.md", first) == "/home/ann/handbook/hr/pay.md"
    )
    assert label_for("/srv/notes", [], ["notes/typed in chat"]) == "srv/notes"
    assert label_for("/", [], []) == "files"


def test_who_asks_for_names_gets_those_that_may_be_read_in_order(engine, tmp_path):
    put(engine, entry("b.md", "one"), entry("a.md", "two"), entry("guide/x.md", "three"), entry("c_1.md", "four"))
    put(engine, entry("a0.md", "five", audience="acme/hr"), entry("a.md", "six", tenant="rival", audience="rival/hr"))
    shelf = Shelf(engine, tmp_path / "index")
    assert shelf.count("acme") == 5
    held = {"acme/everyone", "rival/hr"}
    assert shelf.sources("acme", held) == ["a.md", "b.md", "c_1.md", "guide/x.md"]
    assert shelf.sources("acme", held | {"acme/hr"}, 2, "guide/") == ["a.md", "a0.md"]
    assert shelf.sources("acme", held, 9, "guide/") == ["a.md", "b.md", "c_1.md"]
