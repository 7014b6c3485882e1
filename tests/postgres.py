"""A private PostgreSQL for the tests: its own temporary folder, a Unix socket, nothing kept, gone at the end."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

OFF = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")
START_SECONDS = 30


class PostgresServer:
    """A running server; `new_database` makes a database from `template` and gives its URL."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self._folder}"

    def new_database(self, template: str = "template0") -> str:
        name = f"test_{next(self._numbers)}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return name

    def drop_database(self, name: str) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()


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
    engine = create_engine(postgres.url("postgres"))
    while True:
        try:
            engine.connect().close()
            engine.dispose()
        except OperationalError:
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
