"""Sources that live: what changed is in the next answer, what is gone is in none, and nothing is lost for a moment."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
import sqlalchemy as sa
from aiohttp import web
from sqlalchemy import Engine

from retrieval import rounds
from retrieval.database import open_database, writing
from retrieval.errors import SourcesBusy
from retrieval.knowledge import KnowledgeBase
from retrieval.rounds import alone, alone_beside_others
from retrieval.watched import Known, Look, Wanted, Watcher, known_sources
from tests.retrieval.knowing import EVERYONE, opened
from tests.retrieval.pages import Site, for_tests, served

HR = frozenset({"acme/hr"})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with served() as started:
        yield started


@pytest.fixture
def base(engine: Engine, tmp_path: Path) -> Iterator[KnowledgeBase]:
    with opened(engine, tmp_path / "index") as knowledge:
        yield knowledge


async def look(engine: Engine, base: KnowledgeBase, *wanted: Wanted | str | Path) -> list[Look]:
    """One round, told to somebody."""
    watcher = Watcher(engine, base, "acme", for_tests)
    found = await watcher.look(listed(*wanted))
    watcher.told(found)
    return found


def listed(*wanted: Wanted | str | Path) -> list[Wanted]:
    return [each if isinstance(each, Wanted) else Wanted(str(each)) for each in wanted]


def found(base: KnowledgeBase, query: str, audiences: frozenset[str] = EVERYONE) -> list[str]:
    return [passage.text for passage in base.search(query, audiences)]


async def test_a_page_from_its_first_reading_to_its_end(engine: Engine, base: KnowledgeBase, site: Site) -> None:
    url = site.put("/hours", "Hours", "We open at nine.")
    (first,) = await look(engine, base, url)
    assert (first.added, first.problem) == ((url,), "")
    (passage,) = base.search("When do we open?", EVERYONE)
    assert (passage.source, passage.text) == (url, "We open at nine.")
    (again,) = await look(engine, base, url)
    assert not again.is_news
    assert "If-None-Match" in site.calls("/hours")[1]

    site.put("/hours", "Hours", "We open at ten.")
    (changed,) = await look(engine, base, url)
    assert changed.updated == (url,)
    assert found(base, "When do we open?") == ["We open at ten."]

    del site.pages["/hours"]
    (gone,) = await look(engine, base, url)
    assert gone.removed == (url,)
    assert found(base, "When do we open?") == []
    (still,) = await look(engine, base, url)
    assert still.is_new  # it is said once that there is nothing
    (still,) = await look(engine, base, url)
    assert "not there" in still.problem
    assert not still.is_news


async def test_what_cannot_be_read_now_keeps_its_last_version(engine: Engine, base: KnowledgeBase, site: Site) -> None:
    url = site.put("/hours", "Hours", "We open at nine.")
    await look(engine, base, url)
    page, site.pages["/hours"] = site.pages["/hours"], web.Response(status=503)
    (down,) = await look(engine, base, url)
    assert "answered 503" in down.problem
    assert down.is_news
    (still,) = await look(engine, base, url)
    assert not still.is_news  # told once
    assert found(base, "When do we open?") == ["We open at nine."]
    assert known_sources(engine, "acme")[url].problem == still.problem
    site.pages["/hours"] = page
    (well,) = await look(engine, base, url)
    assert well.is_well_again
    assert known_sources(engine, "acme")[url].problem == ""


async def test_a_page_that_was_removed_by_hand_comes_back_while_it_is_listed(
    engine: Engine, base: KnowledgeBase, site: Site
) -> None:
    url = site.put("/hours", "Hours", "We open at nine.")
    await look(engine, base, url)
    base.shelf.remove("acme", url)
    (back,) = await look(engine, base, url)
    assert back.added == (url,)


async def test_an_audience_is_kept_and_changed(engine: Engine, base: KnowledgeBase, site: Site) -> None:
    url = site.put("/pay", "Pay", "Bonuses are paid in May.")
    await look(engine, base, Wanted(url, "hr"))
    assert found(base, "When are bonuses paid?") == []
    assert found(base, "When are bonuses paid?", HR) == ["Bonuses are paid in May."]
    await look(engine, base, url)  # left out: it is not given to more people
    assert found(base, "When are bonuses paid?") == []
    (moved,) = await look(engine, base, Wanted(url, "everyone"))
    assert moved.updated == (url,)
    assert found(base, "When are bonuses paid?") == ["Bonuses are paid in May."]


async def test_what_is_taken_off_the_list_stays_until_somebody_says_that_it_goes(
    engine: Engine, base: KnowledgeBase, site: Site, tmp_path: Path
) -> None:
    folder, url = tmp_path / "handbook", site.put("/hours", "Hours", "We open at nine.")
    folder.mkdir()
    (folder / "leave.md").write_text("Leave is thirty days.")
    await look(engine, base, url, folder)
    both = ["Leave is thirty days.", "We open at nine."]
    assert found(base, "How long is leave?") == both
    off = await look(engine, base)  # an empty list, as a slip in the settings leaves it
    assert {each.address: each.left for each in off} == {url: (url,), str(folder): ("handbook/leave.md",)}
    assert [each.is_news for each in off] == [True, True]
    assert not any(each.is_news for each in await look(engine, base))  # said once
    assert found(base, "How long is leave?") == both

    watcher = Watcher(engine, base, "acme", for_tests)
    assert watcher.off(listed(folder)) == {url: (url,)}
    assert watcher.let_go(str(folder), listed(folder)) is None
    gone = watcher.let_go(str(folder), listed(url))
    assert gone is not None
    assert gone.removed == ("handbook/leave.md",)
    (back,) = await look(engine, base, url)
    assert (back.is_well_again, back.added, back.updated) == (True, (), ())
    assert found(base, "How long is leave?") == ["We open at nine."]
    assert list(known_sources(engine, "acme")) == [url]


async def test_what_a_crash_kept_from_being_told_is_news_until_it_is(
    engine: Engine, base: KnowledgeBase, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = tmp_path / "handbook", site.put("/hours", "Hours", "We open at nine.")
    folder.mkdir()
    for name in ("leave", "pay"):
        (folder / f"{name}.md").write_text(f"Something of {name}.")
    await look(engine, base, folder, url)
    (folder / "leave.md").write_text("Leave is thirty days.")
    (folder / "pay.md").unlink()
    site.put("/hours", "Hours", "We open at ten.")
    watcher, keep, calls = Watcher(engine, base, "acme", for_tests), Watcher._keep, []

    def dies(self: Watcher, after: Known) -> None:  # the documents are changed, and nothing is known of the look
        calls.append(after)
        if len(calls) == 2:
            raise InterruptedError
        keep(self, after)

    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "_keep", dies)
        with pytest.raises(InterruptedError):
            await watcher.look(listed(folder, url))
    assert found(base, "How long is leave?")[0] == "Leave is thirty days."
    for _ in range(2):  # again where it was not told, as long as it was not
        files, page = await watcher.look(listed(folder, url))
        assert (files.updated, files.removed) == (("handbook/leave.md",), ("handbook/pay.md",))
        assert page.updated == (url,)
    watcher.told([files, page])
    assert not any(each.is_news for each in await watcher.look(listed(folder, url)))


async def test_one_process_looks_at_a_time(engine: Engine, base: KnowledgeBase, tmp_path: Path) -> None:
    file = tmp_path / "leave.md"
    file.write_text("Leave is thirty days.")
    with alone(engine, "acme"):
        with pytest.raises(SourcesBusy, match="Another process"):
            await look(engine, base, file)
        with pytest.raises(SourcesBusy):
            Watcher(engine, base, "acme").let_go(str(file), [])
    (first,) = await look(engine, base, file)
    assert first.added == ("leave.md",)


async def test_a_round_that_is_given_up_while_it_takes_its_lock_gives_it_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go, given_back = Event(), Event(), Event()

    @contextmanager
    def slow(*where: object) -> Iterator[None]:  # as a server that is far away
        asked.set()
        go.wait()
        yield
        given_back.set()

    async def one() -> None:
        async with alone_beside_others(engine, "acme"):
            raise AssertionError("it was given up before")

    monkeypatch.setattr(rounds, "alone", slow)
    task = asyncio.create_task(one())
    await asyncio.to_thread(asked.wait)  # and the loop goes on meanwhile
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    assert await asyncio.wait_for(asyncio.to_thread(given_back.wait, 10), 20)


def test_a_round_ends_also_where_its_connection_broke_off(engine: Engine) -> None:
    with alone(engine, "acme"):
        if engine.dialect.name == "postgresql":
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            with writing(engine) as connection:
                connection.execute(sa.text(f"{others} AND datname = current_database()"))
    with alone(engine, "acme"):
        pass


def test_nobody_else_reads_into_a_store_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with alone(open_database("sqlite:///:memory:"), "acme"):
        assert not list(tmp_path.iterdir())


async def test_a_folder_that_lives(engine: Engine, base: KnowledgeBase, tmp_path: Path) -> None:
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "leave.md").write_text("Leave is thirty days.")
    (folder / "pay.md").write_text("Bonuses are paid in May.")
    (first,) = await look(engine, base, folder)
    assert first.added == ("handbook/leave.md", "handbook/pay.md")
    (folder / "leave.md").write_text("Leave is thirty-one days.")
    (folder / "pay.md").unlink()
    (second,) = await look(engine, base, folder)
    assert (second.updated, second.removed) == (("handbook/leave.md",), ("handbook/pay.md",))
    assert found(base, "How long is leave?") == ["Leave is thirty-one days."]
    folder.rename(tmp_path / "elsewhere")  # as a disk that is not mounted
    (third,) = await look(engine, base, folder)
    assert "no file or folder" in third.problem
    assert found(base, "How long is leave?") == ["Leave is thirty-one days."]


async def test_a_single_file_that_is_deleted_is_gone(engine: Engine, base: KnowledgeBase, tmp_path: Path) -> None:
    file = tmp_path / "leave.md"
    file.write_text("Leave is thirty days.")
    await look(engine, base, file)
    assert found(base, "How long is leave?") == ["Leave is thirty days."]
    file.unlink()
    (gone,) = await look(engine, base, file)
    assert gone.removed == ("leave.md",)
    assert found(base, "How long is leave?") == []


async def test_what_had_been_ingested_before_stays_when_it_is_listed_no_more(
    engine: Engine, base: KnowledgeBase, tmp_path: Path
) -> None:
    from retrieval.ingest import ingest

    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "leave.md").write_text("Leave is thirty days.")
    ingest([folder], base, tenant="acme")
    await look(engine, base, folder)
    (off,) = await look(engine, base)
    assert (off.is_off, off.removed) == (True, ())
    assert found(base, "How long is leave?") == ["Leave is thirty days."]


async def test_a_password_in_an_address_is_neither_told_nor_kept(engine: Engine, base: KnowledgeBase) -> None:
    written = ("https://me:hunter2@host/faq", "HTTP://me:hunter2/hunter2@host/faq", "https://me:hunter2@host:port/")
    looks = await look(engine, base, *written)
    assert [look.address for look in looks] == ["https://***@host/faq", "HTTP://***@host/faq", "https://***@host:port/"]
    assert "would be sent in the clear" in looks[0].problem
    assert "hunter2" not in f"{looks} {known_sources(engine, 'acme')}"
    assert [each.is_news for each in await look(engine, base, *written)] == [False] * 3


async def test_one_bad_source_does_not_stop_the_others(engine: Engine, base: KnowledgeBase, site: Site) -> None:
    url = site.put("/hours", "Hours", "We open at nine.")
    bad = ("https://", "/no/such/folder", f"/{'x' * 300}")
    looks = await look(engine, base, *bad, url, url)
    assert [bool(each.problem) for each in looks] == [True, True, True, False]
    assert found(base, "When do we open?") == ["We open at nine."]
    assert [each.is_news for each in await look(engine, base, *bad, url)] == [False] * 4
