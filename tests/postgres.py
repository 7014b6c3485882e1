"""A private PostgreSQL for the tests: its own temporary folder, a Unix socket, nothing kept, gone at the end."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

OFF = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")
START_SECONDS = 30


# What a test could have changed besides rows: tables, indexes and sequences, their columns and constraints.
SCHEMA = """
    SELECT md5(string_agg(concat_ws(' ', c.oid, relname, attname, atttypid, attnotnull, attisdropped, conname), ','
        ORDER BY c.oid, attnum, conname))
    FROM pg_class c JOIN pg_attribute ON attrelid = c.oid LEFT JOIN pg_constraint ON conrelid = c.oid
    WHERE relnamespace = 'public'::regnamespace"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
OTHERS = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
COUNT_ANEW = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"


class PostgresServer:
    """A running server; `new_database` makes a database with no tables, whose address `url` gives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self._folder}"

    def connect(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        return psycopg.connect(host=str(self._folder), user="postgres", dbname=database, autocommit=True)

    def new_name(self) -> str:
        return f"test_{next(self._numbers)}"

    def new_database(self) -> str:
        name = self.new_name()
        with self.connect() as connection:
            made = sql.SQL("CREATE DATABASE {} TEMPLATE template0 STRATEGY FILE_COPY")
            connection.execute(made.format(sql.Identifier(name)))
        return name

    def drop_database(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


class PostgresStores:
    """Lends databases that have all tables and no rows.

    One that comes back is emptied and lent again, under another name, so that nobody who still writes reaches it: that
    takes a tenth of the time of making a database. One whose tables were changed is dropped.
    """

    def __init__(self, server: PostgresServer, furnish: Callable[[str], None]) -> None:
        """`furnish` makes the tables in the database of an address."""
        self._server = server
        self._furnish = furnish
        self._spare: list[tuple[str, str]] = []  # names, and what their tables are

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The address of a database for this test alone."""
        name, schema = self._spare.pop() if self._spare else self._made()
        try:
            yield self._server.url(name)
        finally:
            empty = self._emptied(name, schema)
            if empty is not None:
                self._spare.append((empty, schema))

    def _made(self) -> tuple[str, str]:
        name = self._server.new_database()
        self._furnish(self._server.url(name))
        with self._server.connect(name) as connection:
            return name, _value(connection, SCHEMA)

    def _emptied(self, name: str, schema: str) -> str | None:
        """Its new name; None where it is dropped: it has other tables than before, or somebody holds on to it."""
        empty = self._server.new_name()
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(empty))
        with self._server.connect() as connection:
            connection.execute(OTHERS, [name])
            try:
                connection.execute(rename)
            except psycopg.errors.ObjectInUse:
                self._server.drop_database(name)
                return None
        with self._server.connect(empty) as connection:
            same = _value(connection, SCHEMA) == schema
            if same:
                _empty(connection)
        if not same:
            self._server.drop_database(empty)
        return empty if same else None


def _empty(connection: "psycopg.Connection[Any]") -> None:
    tables = [sql.Identifier(row[0]) for row in connection.execute(TABLES)]
    each = sql.SQL(", ").join(sql.SQL("EXISTS (SELECT FROM {})").format(table) for table in tables)
    row = connection.execute(sql.SQL("SELECT {}").format(each)).fetchone() or ()
    full = [table for table, has_rows in zip(tables, row, strict=True) if has_rows]
    if full:
        connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(full)))
    connection.execute(COUNT_ANEW)


def _value(connection: "psycopg.Connection[Any]", query: Any) -> str:
    row = connection.execute(query).fetchone()
    assert row is not None
    return str(row[0])


def find_binaries() -> Path | None:
    """The folder that holds `postgres` and `initdb`: on PATH, or Debian's (which keeps them off PATH), newest first."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    return next((path for path in candidates if (path / "postgres").exists() and (path / "initdb").exists()), None)


@contextmanager
def postgres_server(binaries: Path) -> Iterator[PostgresServer]:
    """Start a server of our own and stop it at the end. Raises RuntimeError, with its log, when it won't."""
    # A socket's path may have at most 107 bytes, which pytest's own temporary folders can exceed.
    folder = Path(tempfile.mkdtemp(prefix="atelier-pg-", dir="/tmp" if Path("/tmp").is_dir() else None))
    owner = _unprivileged()
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    user, group = (owner.pw_uid, owner.pw_gid) if owner else (None, None)  # PostgreSQL refuses to run as root
    log = folder / "log"
    server = None
    try:
        with log.open("wb") as output:
            settings = [word for setting in OFF for word in ("-c", setting)]
            initdb = [
                str(binaries / "initdb"),
                "-D",
                str(folder / "data"),
                "-U",
                "postgres",
                "-A",
                "trust",
                "--no-sync",
            ]
            initdb += ["-E", "UTF8", "--locale=C"]
            made = subprocess.run(initdb, stdout=output, stderr=output, cwd=folder, check=False, user=user, group=group)
            if made.returncode != 0:
                raise RuntimeError(f"initdb failed: {log.read_text()}")
            start = [str(binaries / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-h", "", *settings]
            server = subprocess.Popen(start, stdout=output, stderr=output, cwd=folder, user=user, group=group)
        postgres = PostgresServer(folder)
        _wait(postgres, server, log)
        yield postgres
    finally:
        if server is not None:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(postgres: PostgresServer, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            postgres.connect().close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


def _unprivileged() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody.")
