"""Threads that write at the same time are committed together, and each fails or succeeds by itself."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text

from retrieval import database, sharing
from retrieval.database import open_database, reading, writing
from retrieval.errors import StoreBusy, StoreError


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(f"sqlite:///{tmp_path}/store.db")
    with writing(opened) as connection:
        connection.execute(text("CREATE TABLE notes (text UNIQUE)"))
    yield opened
    opened.dispose()


@pytest.fixture
def commits(engine: Engine) -> list[object]:
    seen: list[object] = []
    event.listen(engine, "commit", seen.append)
    return seen


def kept(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return sorted(connection.execute(text("SELECT text FROM notes")).scalars())


def note(engine: Engine, word: str, then: Callable[[], object] = lambda: None) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO notes VALUES (:word)"), {"word": word})
        then()


def hold(began: threading.Event, go: threading.Event) -> None:
    began.set()
    go.wait(10)


def together(engine: Engine, writers: list[Callable[[], None]]) -> list[Future[None]]:
    """Run `writers` in threads that all wait while a first one, "first", has its turn."""
    began, go = threading.Event(), threading.Event()
    shared = database._shared[engine]
    with ThreadPoolExecutor(len(writers) + 1) as threads:
        first = threads.submit(note, engine, "first", partial(hold, began, go))
        assert began.wait(10)
        others = [threads.submit(each) for each in writers]
        while shared._waiting < len(writers):
            pass
        go.set()
    return [first, *others]


def test_those_who_wait_share_a_commit(engine: Engine, commits: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LONGEST", 60.0)
    done = together(engine, [partial(note, engine, word) for word in "abcdef"])
    assert [each.exception() for each in done] == [None] * 7
    assert len(commits) == 1
    assert kept(engine) == ["a", "b", "c", "d", "e", "f", "first"]


def test_one_that_fails_takes_nobody_with_it(engine: Engine) -> None:
    def stumble() -> None:
        raise KeyError

    done = together(
        engine,
        [lambda: note(engine, "a"), lambda: note(engine, "lost", stumble), lambda: note(engine, "first")],
    )
    assert [type(each.exception()) for each in done] == [type(None), type(None), KeyError, StoreError]
    assert kept(engine) == ["a", "first"]


def test_a_transaction_that_is_old_takes_in_nobody_more(
    engine: Engine, commits: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "LONGEST", 0.0)
    together(engine, [lambda: note(engine, "a"), lambda: note(engine, "b")])
    assert len(commits) == 3


def test_the_first_that_fails_takes_nobody_with_it(engine: Engine) -> None:
    def stumble() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        note(engine, "lost", stumble)
    note(engine, "a")
    assert kept(engine) == ["a"]


def test_a_disk_that_fills_up_fails_all_who_share(engine: Engine) -> None:
    def fill() -> None:
        with writing(engine) as connection:
            connection.execute(text("PRAGMA max_page_count = 4"))  # SQLite reports it as a full disk
            connection.execute(text("INSERT INTO notes VALUES (zeroblob(100000))"))

    done = together(engine, [fill])
    told = [isinstance(each.exception(), StoreError) for each in done]
    assert told[1]
    assert kept(engine) == ([] if told[0] else ["first"])  # who was told nothing kept it


def test_who_loses_patience_leaves_nobody_behind(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    began, go = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(note, engine, "slow", partial(hold, began, go))
        assert began.wait(10)
        with pytest.raises(StoreBusy, match="Try again"):
            note(engine, "impatient")
        go.set()
        slow.result(10)
    assert kept(engine) == ["slow"]


def test_nobody_goes_on_before_the_commit(engine: Engine) -> None:
    """What a writer was told is written, another connection can read."""
    seen: list[bool] = []

    def write_and_look(word: str) -> None:
        note(engine, word)
        seen.append(word in kept(engine))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write_and_look, [f"{number:02}" for number in range(64)]))
    assert seen == [True] * 64
