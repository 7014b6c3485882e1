"""The one place that opens the store: SQLite by default, PostgreSQL by URL (SQLAlchemy 2 Core).

SQLite runs in rollback-journal mode with synchronous=FULL: WAL before 3.51.3 can lose commits when two connections
race (sqlite.org/wal.html, "the WAL-reset bug"), and many Pythons link an older one. A commit then costs several waits
for the disk, so threads of one process that want to write at the same time share one (`retrieval.sharing`).
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import Connection, Dialect, Engine, MetaData, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from retrieval.errors import SettingsError, StoreBusy, StoreError
from retrieval.sharing import Shared

BUSY_SECONDS = 30  # how long a writer waits for another process's transaction
_shared: WeakKeyDictionary[Engine, Shared] = WeakKeyDictionary()
_CONSISTENT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}  # PostgreSQL's reads

# Every table of the project registers here, whichever room it stands in; Alembic compares the store against it.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def open_database(url: str) -> Engine:
    """An engine for `sqlite:////path/to/file` or `postgresql+psycopg://...`. Connects lazily.

    Raises SettingsError when the URL names no such database.
    """
    try:
        parsed = make_url(url if "\0" not in url else "")
    except (ArgumentError, ValueError) as error:
        raise SettingsError(
            "The setting `store` is no database address. Use sqlite:////path/to/file or postgresql://user@host/name."
        ) from error
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise SettingsError(f"The setting `store` names {parsed.drivername}; Atelier knows sqlite and postgresql.")
    is_sqlite = parsed.drivername == "sqlite"
    # a connection for each thread that waits for a commit; a PostgreSQL server has a hundred for all processes
    spare = {"max_overflow": 60} if is_sqlite and not is_in_memory(parsed) else {}
    engine = create_engine(parsed, pool_pre_ping=not is_sqlite, **spare)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def is_in_memory(url: sa.URL) -> bool:
    """Whether a SQLite store of this address is in no file, so that no other process has it."""
    return url.database in (None, "", ":memory:")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's implicit one is too late for reads
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = TRUNCATE")  # as safe as DELETE, a third of its time: no file is made anew
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # a forgotten person's words leave the file too


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read transaction: a consistent view. Raises StoreError."""
    options: dict[str, Any] = _CONSISTENT if engine.dialect.name == "postgresql" else {}
    with mapped(), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def fetch(engine: Engine, statement: Callable[[int], sa.Select[Any]], values: Sequence[int]) -> list[Any]:
    """The rows of `statement(len(values))`, whose parameters v0, v1, ... are `values`. Raises StoreError.

    For the one query that every search makes: by the driver itself, as SQLAlchemy's way through a transaction and a
    result costs several times the reading. One statement is a consistent view without a transaction around it.
    """
    text, names = _compiled(engine.dialect, statement, len(values))
    given = values if names is None else dict(zip(names, values, strict=True))
    driver: Any = engine.dialect.dbapi
    with mapped():
        try:
            connection = engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(text, given)
                rows = list(cursor.fetchall())
                cursor.close()
            finally:
                connection.close()  # back to the pool, which ends what transaction the driver began
        except driver.Error as error:
            raise explained(error) from error
    return rows


@lru_cache(maxsize=64)  # searches ask for few different numbers of passages
def _compiled(
    dialect: Dialect, statement: Callable[[int], sa.Select[Any]], count: int
) -> tuple[str, tuple[str, ...] | None]:
    """The text for the driver, and its parameters' names; None where they go by place."""
    compiled: Any = statement(count).compile(dialect=dialect)
    names = tuple(f"v{i}" for i in range(count))
    if not compiled.positional:
        return str(compiled), names
    if tuple(compiled.positiontup) != names:
        raise ValueError("the statement has other parameters than v0, v1, ... in their order")
    return str(compiled), None


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction, committed at the end, rolled back on any exception. Raises StoreBusy or StoreError.

    On SQLite it takes the write lock at once, so two writers wait for each other and neither deadlocks; threads that
    write at the same time are committed together, each of them failing or succeeding by itself.
    """
    with mapped():
        if engine.dialect.name == "sqlite":
            shared = _shared.get(engine) or _shared.setdefault(engine, Shared())
            with shared.writing(lambda: engine.connect().execution_options(writing=True), BUSY_SECONDS) as connection:
                yield connection
        else:
            with engine.connect().execution_options(writing=True) as connection, connection.begin():
                yield connection


@contextmanager
def snapshot(engine: Engine, scratch: Path) -> Iterator[Connection]:
    """A consistent view that may be read for long and keeps no writer waiting. Raises StoreError.

    scratch: an existing folder with room for a copy of a SQLite store, which is gone at the end.
    """
    if engine.dialect.name == "postgresql":
        with reading(engine) as connection:
            yield connection
        return
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        copy = Path(folder) / "store.db"
        with mapped(), engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            try:  # past SQLAlchemy, which would say BEGIN: a VACUUM runs outside of transactions
                driver.execute("VACUUM INTO ?", (str(copy),))
            except sqlite3.Error as error:
                raise explained(error) from error
        copied = open_database(f"sqlite:///{copy}")
        try:
            with reading(copied) as connection:
                yield connection
        finally:
            copied.dispose()


@contextmanager
def mapped() -> Iterator[None]:
    """What the database raises as errors of ours. Raises StoreBusy or StoreError."""
    try:
        yield
    except DBAPIError as error:
        raise explained(error.orig) from error
    except SQLAlchemyError as error:
        raise StoreError(f"The store cannot be used: {error}") from error


# SQLite's result names (sqlite.org/rescode.html) and PostgreSQL's SQLSTATEs (manual, appendix A), by how they begin.
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED", "40001", "40P01", "55P03")
_FULL = ("SQLITE_FULL", "SQLITE_IOERR", "53100", "58030")
_SENTENCES = {
    ("SQLITE_CANTOPEN",): "The store's file cannot be opened. Check that its folder exists and you may write there.",
    (
        "SQLITE_READONLY",
        "25006",
    ): "The store may be read but not written. Check the permissions of its file and folder.",
    ("SQLITE_NOTADB", "SQLITE_CORRUPT"): "The store's file is damaged or is no database. Restore it from a backup.",
    ("28",): "PostgreSQL refused the user name or password. Check the setting `store`.",
    ("3D000",): "PostgreSQL has no database of that name. Create it (createdb NAME), or check the setting `store`.",
    ("42501",): "PostgreSQL does not let this user do that. Grant it the rights to create and change tables.",
    ("53300",): "PostgreSQL takes no more connections at the moment. Try again, or raise its max_connections.",
    ("08", "57P"): "The connection to PostgreSQL broke off. Nothing half-written remains; try again.",
}


def explained(error: BaseException | None) -> StoreError:
    """What a driver raised as an error of ours, which says what to do."""
    code = str(getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None) or "")
    reason = next(iter(str(error).splitlines()), "")
    if code.startswith(_BUSY):
        return StoreBusy("Another Atelier process is writing to the store. Wait for it to finish and try again.")
    if code.startswith(_FULL):
        return StoreError("The disk is full or failing, so nothing was saved. Free some space and try again.")
    sentence = next((said for starts, said in _SENTENCES.items() if code.startswith(starts)), None)
    if not code and type(error).__name__ == "OperationalError":
        # libpq gives no code before it is connected
        sentence = "PostgreSQL cannot be reached. Check that it runs and that the setting `store` names it."
    return StoreError(f"{sentence} ({reason})" if sentence else f"The store cannot be used: {reason}")
