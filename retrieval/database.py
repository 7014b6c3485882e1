"""The one place that opens the store: SQLite by default, PostgreSQL by URL (SQLAlchemy 2 Core).

SQLite runs in rollback-journal mode with synchronous=FULL: WAL before 3.51.3 can lose commits when two connections
race (sqlite.org/wal.html, "the WAL-reset bug"), and many Pythons link an older one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from retrieval.errors import SettingsError, StoreBusy, StoreError

BUSY_SECONDS = 30  # how long a writer waits for another process's transaction

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
        parsed = make_url(url)
        if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingsError(
            "The setting `store` is no database address. Use sqlite:////path/to/file or postgresql://user@host/name."
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name != "postgresql":
        raise SettingsError(f"The setting `store` names {engine.dialect.name}; Atelier knows sqlite and postgresql.")
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's implicit one is too late for reads
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # a forgotten person's words leave the file too


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read transaction: a consistent view. Raises StoreError."""
    with _mapped(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction, committed at the end, rolled back on any exception. Raises StoreBusy or StoreError.

    On SQLite it takes the write lock at once, so two writers wait for each other and neither deadlocks.
    """
    with _mapped(), engine.connect().execution_options(writing=True) as connection, connection.begin():
        yield connection


@contextmanager
def _mapped() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        reason = str(error.orig)
        if "locked" in reason:
            raise StoreBusy(
                "Another Atelier process is writing to the store. Wait for it to finish and try again."
            ) from error
        if "full" in reason or "disk I/O" in reason:
            raise StoreError(
                "The disk is full or failing, so nothing was saved. Free some space and try again."
            ) from error
        raise StoreError(f"The store cannot be used: {reason.splitlines()[0] if reason else error}") from error
    except SQLAlchemyError as error:
        raise StoreError(f"The store cannot be used: {error}") from error
