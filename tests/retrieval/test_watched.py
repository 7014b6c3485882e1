"""Sources that live: what changed is in the next answer, what is gone is in none, and nothing is lost for a moment."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from sqlalchemy import Engine

from retrieval.knowledge import KnowledgeBase
from retrieval.watched import Look, Wanted, Watcher, known_sources
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
    listed = [each if isinstance(each, Wanted) else Wanted(str(each)) for each in wanted]
    return await Watcher(engine, base, "acme", for_tests).look(listed)


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


async def test_what_is_taken_off_the_list_goes(engine: Engine, base: KnowledgeBase, site: Site, tmp_path: Path) -> None:
    folder, url = tmp_path / "handbook", site.put("/hours", "Hours", "We open at nine.")
    folder.mkdir()
    (folder / "leave.md").write_text("Leave is thirty days.")
    await look(engine, base, url, folder)
    assert found(base, "How long is leave?") == ["Leave is thirty days.", "We open at nine."]
    off = await look(engine, base)
    assert {each.address for each in off if each.is_off} == {url, str(folder)}
    assert found(base, "How long is leave?") == []
    assert known_sources(engine, "acme") == {}


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


async def test_one_bad_source_does_not_stop_the_others(engine: Engine, base: KnowledgeBase, site: Site) -> None:
    url = site.put("/hours", "Hours", "We open at nine.")
    bad = ("https://", "/no/such/folder", f"/{'x' * 300}")
    looks = await look(engine, base, *bad, url, url)
    assert [bool(each.problem) for each in looks] == [True, True, True, False]
    assert found(base, "When do we open?") == ["We open at nine."]
    assert [each.is_news for each in await look(engine, base, *bad, url)] == [False] * 4
