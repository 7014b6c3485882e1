"""The knowledge base as its users see it: what goes in is found, what goes out is gone, whatever the cache suffers."""

import threading

import pytest
import sqlalchemy as sa

from retrieval.database import metadata, open_database, reading, writing
from retrieval.document import Document, Section
from retrieval.errors import SettingsError, UnreadableFile
from retrieval.knowledge import KnowledgeBase, serving_encoder
from retrieval.tables import documents, meta, passages, vectors
from tests.retrieval.damage import MUTATORS, mutate_often
from tests.retrieval.knowing import EVERYONE, HashingEncoder, opened, page, put, put_all, sources


@pytest.fixture
def base(engine, tmp_path):
    with opened(engine, tmp_path / "index") as base:
        yield base


def test_the_answer_comes_first_with_its_place(engine, tmp_path, encoder):
    text = (
        Section("Refunds are paid within fourteen days of the return.", ("Shop", "Refunds"), page=3, line=12),
        Section("Parcels leave the warehouse every morning.", ("Shop", "Shipping"), page=4, line=30),
    )
    with opened(engine, tmp_path / "index", encoder) as base:
        base.add("shop.pdf", Document("Shop", text), content_hash="0" * 64, audience="acme/everyone")
        found = base.search("How long does it take to get my money back?", EVERYONE)
    assert found[0].text.startswith("Refunds")
    assert (found[0].source, found[0].heading, found[0].page, found[0].line) == ("shop.pdf", "Shop > Refunds", 3, 12)
    assert found[0].audience == "acme/everyone"
    assert 0 < found[0].score <= 1
    assert found[0].similarity > 0.2


def test_nothing_is_found_in_an_empty_base_or_for_nothing(base):
    assert base.search("anything", EVERYONE) == []
    put(base, "a.md", "some text")
    assert base.search("  ", EVERYONE) == []
    assert base.search("some", frozenset()) == []
    assert base.search("some", EVERYONE, 0) == []


def test_as_many_passages_come_as_were_asked_for(base):
    put_all(base, *((f"{i}.md", "acme/everyone", f"holiday rule number {i} of country {i}") for i in range(30)))
    assert len(base.search("holiday rule", EVERYONE, 12)) == 12
    assert len(base.search("holiday rule", EVERYONE, 100)) == 30


def test_many_copies_of_one_text_do_not_crowd_the_others_out(base):
    copies = ((f"copy{i}.md", "acme/everyone", "the holiday rule is this", f"filler {i}") for i in range(200))
    put_all(base, *copies)
    put(base, "other.md", "the holiday exception in the rule is that")
    found = base.search("the holiday rule is this", EVERYONE, 2)
    assert [passage.source for passage in found][1] == "other.md"
    assert found[0].source.startswith("copy")


def test_an_updated_document_answers_with_its_new_text_only(base):
    assert put(base, "a.md", "the office opens at nine") == "added"
    assert sources(base, "office opens") == ["a.md"]
    assert put(base, "a.md", "the office opens at ten") == "updated"
    assert [passage.text for passage in base.search("office opens", EVERYONE)] == ["the office opens at ten"]
    assert put(base, "a.md", "the office opens at ten") == "unchanged"


def test_only_the_changed_part_of_a_document_is_encoded_again(engine, tmp_path):
    encoder = HashingEncoder()
    with opened(engine, tmp_path / "index", encoder) as base:
        put(base, "a.md", *(f"paragraph {i}" for i in range(20)))
        assert put(base, "a.md", *(f"paragraph {i}" for i in range(19)), "a new last one") == "updated"
        assert encoder.encoded == 21
        assert put(base, "a copy.md", *(f"paragraph {i}" for i in range(19))) == "added"
        assert put(base, "another.md", *(f"paragraph {i}" for i in range(19))) == "duplicate"
    assert encoder.encoded == 21


def test_a_document_without_text_is_refused(base):
    with pytest.raises(UnreadableFile, match=r"a\.md holds no text\."):
        base.add("a.md", Document("", ()), content_hash="0" * 64, audience="acme/everyone")
    with pytest.raises(SettingsError):
        base.add("a.md", page("text"), content_hash="0" * 64, audience="everyone")


def test_documents_are_listed_by_tenant(base):
    put(base, "b.md", "one", "two")
    put(base, "a.md", "one", author="ann")
    put(base, "c.md", "one", audience="rival/everyone")
    listed = base.shelf.documents("acme")
    assert [(each.source, each.passages, each.author) for each in listed] == [("a.md", 1, "ann"), ("b.md", 2, None)]


def test_forgetting_a_person_deletes_what_was_made_of_their_words(base, tmp_path):
    put(base, "ann 1", "the zanzibar plan", author="ann")
    put(base, "ann 2", "another plan", author="ann")
    put(base, "bob", "the zanzibar trip", author="bob")
    base.save()
    assert base.shelf.remove_author("ann") == ("ann 1", "ann 2")
    assert sources(base, "zanzibar plan") == ["bob"]
    assert base.shelf.remove_author("ann") == ()
    put(base, "only ann", "quagga", author="ann")
    base.save()
    assert any(b"quagga" in path.read_bytes() for path in (tmp_path / "index").rglob("*.*"))
    base.shelf.remove_author("ann")
    assert not any(b"quagga" in path.read_bytes() for path in (tmp_path / "index").rglob("*") if path.is_file())


def test_another_process_s_changes_show_at_the_next_query(engine, tmp_path):
    with opened(engine, tmp_path / "index") as here, opened(engine, tmp_path / "index") as there:
        assert sources(here, "office") == []
        put(there, "a.md", "the office opens at nine")
        assert sources(here, "office") == ["a.md"]
        there.shelf.remove("acme", "a.md")
        assert sources(here, "office") == []


def test_two_bases_write_at_once_and_lose_nothing(engine, tmp_path):
    def fill(name: str) -> None:
        with opened(engine, tmp_path / "index") as base:
            for i in range(15):
                put(base, f"{name}{i}", f"holiday rule {name} {i}")
                base.search("holiday", EVERYONE)

    threads = [threading.Thread(target=fill, args=(name,)) for name in ("x", "y", "z")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with opened(engine, tmp_path / "index") as base:
        assert len(base.search("holiday", EVERYONE, 100)) == 45


def filled(engine, folder) -> list[str]:
    with opened(engine, folder) as base:
        texts = (f"holiday rule {i} and the custom of country {i * 7}" for i in range(40))
        put_all(base, *((f"{i}.md", "acme/everyone", text) for i, text in enumerate(texts)))
        return sources(base, "holiday custom 21", k=10)


def test_a_saved_cache_is_used_without_reading_the_store_again(engine, tmp_path):
    expected = filled(engine, tmp_path / "index")
    notices: list[str] = []
    with writing(engine) as connection:  # texts that only the cache still knows
        connection.execute(vectors.delete())
    with opened(engine, tmp_path / "index", notice=notices.append) as base:
        assert sources(base, "holiday custom 21", k=10) == expected
    assert notices == []


def test_a_stale_cache_is_brought_up_to_date(engine, tmp_path):
    filled(engine, tmp_path / "index")
    with opened(engine, tmp_path / "elsewhere") as base:
        put(base, "new.md", "the new holiday custom")
        base.shelf.remove("acme", "3.md")
    with opened(engine, tmp_path / "index") as base:
        assert sources(base, "the new holiday custom", k=1) == ["new.md"]
        assert "3.md" not in sources(base, "holiday rule 3", k=40)


def test_a_damaged_cache_is_noticed_and_rebuilt_with_the_same_results(tmp_path):
    """Every kind of damage twice; `make bench NAMES=cache` makes 500 (RELIABILITY.md, battery 19)."""
    engine = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    metadata.create_all(engine)
    assert mutate_often(engine, tmp_path / "index", 2 * len(MUTATORS)) == []
    engine.dispose()


def test_the_cache_of_another_store_is_not_believed(tmp_path):
    for name in ("first", "second"):
        engine = open_database(f"sqlite:///{tmp_path / name}.db")
        metadata.create_all(engine)
        with opened(engine, tmp_path / "index") as base:
            put(base, f"{name}.md", f"the {name} text")
            assert sources(base, "text") == [f"{name}.md"]
        engine.dispose()


def test_a_cache_from_before_a_restored_backup_is_not_believed(engine, tmp_path):
    with opened(engine, tmp_path / "index") as base:
        put(base, "kept.md", "what the backup holds")
        with reading(engine) as connection:
            backup = connection.execute(sa.select(meta)).mappings().one()
        put(base, "lost.md", "zanzibar written after the backup")
    with writing(engine) as connection:
        connection.execute(documents.delete().where(documents.c.source == "lost.md"))
        connection.execute(passages.delete().where(passages.c.text.contains("zanzibar")))
        connection.execute(meta.update().values(dict(backup)))
    with opened(engine, tmp_path / "elsewhere") as base:
        put(base, "x.md", "quagga came instead")
        put(base, "y.md", "and okapi")
    with opened(engine, tmp_path / "index") as base:
        assert sources(base, "quagga", k=1) == ["x.md"]
        assert sources(base, "zanzibar", k=1) != ["x.md"]


def test_an_unwritable_cache_folder_costs_a_notice_only(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    metadata.create_all(engine)
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "words").write_text("a file where a folder belongs")
    notices: list[str] = []
    with opened(engine, tmp_path / "index", notice=notices.append) as base:
        put(base, "a.md", "text")
        assert sources(base, "text") == ["a.md"]
    assert notices
    engine.dispose()


def test_a_new_encoder_takes_over_when_everything_is_encoded(engine, tmp_path):
    old, new = HashingEncoder("old"), HashingEncoder("new", dim=96)
    with opened(engine, tmp_path / "index", old) as base:
        put_all(base, *((f"{i}.md", "acme/everyone", f"holiday rule {i}") for i in range(20)))
    assert serving_encoder(engine) == "old"
    with opened(engine, tmp_path / "index", new, previous=old) as base:
        assert base.is_reencoding_due()
        assert base.unencoded() == 20
        before = base.search("holiday rule 7", EVERYONE, 1)[0]
        assert before.similarity is not None  # the old encoder's vectors still serve
        put(base, "late.md", "a late rule")
        steps: list[tuple[int, int]] = []
        assert base.reencode(lambda done, total: steps.append((done, total)))
        assert steps[-1] == (20, 20)
        after = base.search("holiday rule 7", EVERYONE, 1)[0]
        assert (after.source, after.similarity is None) == ("7.md", False)
        assert not base.is_reencoding_due()
    assert serving_encoder(engine) == "new"
    with reading(engine) as connection:
        assert set(connection.execute(sa.select(vectors.c.encoder).distinct()).scalars()) == {"new"}


def test_without_the_old_encoder_words_search_until_the_new_one_is_ready(engine, tmp_path):
    with opened(engine, tmp_path / "index", HashingEncoder("old")) as base:
        put(base, "a.md", "holiday rule")
    notices: list[str] = []
    with opened(engine, tmp_path / "index", HashingEncoder("new", dim=96), notice=notices.append) as base:
        assert base.search("holiday", EVERYONE)[0].similarity is None
        assert "words search alone" in notices[0]
        base.reencode()
        assert base.search("holiday", EVERYONE)[0].similarity is not None


def test_re_encoding_stops_when_told_and_goes_on_where_it_was(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("retrieval.knowledge.BATCH", 8)
    with opened(engine, tmp_path / "index", HashingEncoder("old")) as base:
        put(base, "a.md", *(f"holiday rule {i}" for i in range(30)))
    new = HashingEncoder("new")
    with opened(engine, tmp_path / "index", new) as base:
        asked = iter([False, False, True])
        assert not base.reencode(stop=lambda: next(asked))
        assert (new.encoded, base.unencoded()) == (16, 14)
        assert serving_encoder(engine) == "old"
        assert base.reencode()
        assert (new.encoded, base.unencoded()) == (30, 0)


def test_a_base_can_be_searched_from_many_threads_while_it_changes(engine, tmp_path):
    failures: list[BaseException] = []
    with opened(engine, tmp_path / "index") as base:
        put(base, "stays.md", "the holiday that stays")
        done = threading.Event()

        def ask() -> None:
            try:
                while not done.is_set():
                    assert "stays.md" in sources(base, "the holiday that stays", k=50)
            except BaseException as error:  # noqa: BLE001 - told to the main thread
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for i in range(15):
            put(base, f"{i % 4}.md", f"holiday {i}")
            base.shelf.remove("acme", f"{(i + 2) % 4}.md")
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_opening_a_base_needs_its_tables(tmp_path):
    from retrieval.errors import StoreError

    engine = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(StoreError, match="no such table"):
        KnowledgeBase(engine, tmp_path / "index", HashingEncoder())
    engine.dispose()


def test_search_goes_on_where_the_index_cannot_be_cached(engine, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    notices: list[str] = []
    with opened(engine, tmp_path / "file" / "index", notice=notices.append) as base:
        put(base, "a.md", "holiday rule")
        assert sources(base, "holiday") == ["a.md"]
    assert ["could not be saved" in notice for notice in notices] == [True]
