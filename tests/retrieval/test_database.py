"""Whatever goes wrong with the store is a StoreError with a sentence, and a failed write leaves nothing behind."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, text

from retrieval import database
from retrieval.database import fetch, open_database, reading, writing
from retrieval.errors import SettingsError, StoreBusy, StoreError


@pytest.mark.parametrize(
    "url",
    ["nonsense", "mysql://host/name", "postgresql://host:port/name", "postgresql+asyncpg://h/n", "sqlite:///a\0b"],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(SettingsError, match="The setting `store`"):
        open_database(url)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite:////no/such/folder/store.db", "Check that its folder exists"),
        ("postgresql://me@127.0.0.1:1/name", "Check that it runs"),
        ("postgresql://me@/name?host=/no/such/folder", "Check that it runs"),
    ],
)
def test_a_database_that_is_not_there(url: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence), reading(open_database(url)):
        pass


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/store.db", "postgresql://me@127.0.0.1:1/name"])
def test_a_search_of_a_database_that_is_not_there(url: str) -> None:
    with pytest.raises(StoreError, match="Check that"):
        fetch(open_database(url), doubled, [1])


def doubled(count: int) -> sa.Select[tuple[int]]:
    return sa.select(*(sa.bindparam(f"v{i}", type_=sa.BigInteger) * sa.literal_column("2") for i in range(count)))


def test_what_the_driver_fetches_is_what_was_asked(bare_engine: Engine) -> None:
    assert [tuple(row) for row in fetch(bare_engine, doubled, [1, 2**40])] == [(2, 2**41)]
    assert [tuple(row) for row in fetch(bare_engine, doubled, [7])] == [(14,)]


def test_a_failing_fetch_is_explained_and_the_connection_serves_on(bare_engine: Engine) -> None:
    def missing(count: int) -> sa.Select[tuple[int]]:
        return sa.select(sa.column("a")).select_from(sa.table("no_such_table")).where(doubled(count).exists())

    with pytest.raises(StoreError, match="no_such_table"):
        fetch(bare_engine, missing, [1])
    assert [tuple(row) for row in fetch(bare_engine, doubled, [1])] == [(2,)]
    with writing(bare_engine) as connection:
        connection.execute(text("CREATE TABLE notes (text VARCHAR(10))"))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database, only text\n" * 50)
    with (
        pytest.raises(StoreError, match="Restore it from a backup"),
        reading(open_database(f"sqlite:///{tmp_path}/store.db")) as connection,
    ):
        connection.execute(text("SELECT 1"))


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/store.db")
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE notes (text)"))
        connection.execute(text("INSERT INTO notes VALUES ('kept')"))

    def write_too_much() -> None:
        with writing(engine) as connection:
            connection.execute(text("PRAGMA max_page_count = 3"))  # SQLite reports it as a full disk
            connection.execute(text("INSERT INTO notes VALUES (zeroblob(100000))"))

    with pytest.raises(StoreError, match="disk is full"):
        write_too_much()
    with reading(engine) as connection:
        assert connection.execute(text("SELECT text FROM notes")).scalars().all() == ["kept"]
    engine.dispose()


def test_a_store_that_stays_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreBusy, match="try again"), writing(open_database(f"sqlite:///{tmp_path}/store.db")):
        pass
    other.close()


def test_a_missing_postgres_database(postgres) -> None:
    with pytest.raises(StoreError, match='"nowhere" does not exist'), reading(open_database(postgres.url("nowhere"))):
        pass


def test_an_exception_rolls_everything_back(bare_engine: Engine) -> None:
    with writing(bare_engine) as connection:
        connection.execute(text("CREATE TABLE notes (text VARCHAR(10))"))

    def fail_midway() -> None:
        with writing(bare_engine) as connection:
            connection.execute(text("INSERT INTO notes VALUES ('lost')"))
            raise KeyError

    with pytest.raises(KeyError):
        fail_midway()
    with reading(bare_engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM notes")).scalar() == 0


def test_a_read_sees_one_state_while_others_write(bare_engine: Engine) -> None:
    with writing(bare_engine) as connection:
        connection.execute(text("CREATE TABLE notes (text VARCHAR(10))"))

    def write() -> None:
        with writing(bare_engine) as connection:
            connection.execute(text("INSERT INTO notes VALUES ('new')"))

    counted = text("SELECT count(*) FROM notes")
    with ThreadPoolExecutor(1) as others:
        with reading(bare_engine) as connection:
            assert connection.execute(counted).scalar() == 0
            with reading(bare_engine) as inner:  # on a connection of its own
                assert inner.execute(text("SELECT 1")).scalar() == 1
            wait([written := others.submit(write)], timeout=0.3)
            assert connection.execute(counted).scalar() == 0
        written.result()
    with reading(bare_engine) as connection:
        assert connection.execute(counted).scalar() == 1
    write()  # a connection that was read on may be written on later


def test_a_failing_statement_is_explained(bare_engine: Engine) -> None:
    with pytest.raises(StoreError, match="no_such_table"), reading(bare_engine) as connection:
        connection.execute(text("SELECT * FROM no_such_table"))
