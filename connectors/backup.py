"""The whole home folder in one file and back: settings, adapters, heads, and the store as rows of JSON.

Rows, not a copy of the database: so a backup restores into SQLite and PostgreSQL alike, and into a newer Atelier, which
migrates it. Every member's size and SHA-256 stand in the manifest; an archive that differs from it changes nothing.
"""

import base64
import errno
import hashlib
import json
import os
import re
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypedDict

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

import agent.ideation.tables
import agent.memory_tables
import agent.opinion.tables
import agent.support.tables  # noqa: F401 - it registers its tables
import connectors.slack.tables  # noqa: F401 - it registers its tables
import finetune.registry_tables  # noqa: F401 - it registers its tables
import retrieval.tables  # noqa: F401 - it registers its tables
from connectors.delivery.serving import LOCK
from connectors.migrations import HEAD, current_revision, upgrade
from retrieval.database import metadata, open_database, snapshot, writing
from retrieval.errors import SettingsError, StoreError
from retrieval.files import fsync_folder
from retrieval.rounds import LOCK as ROUNDS_LOCK

FORMAT = 1
MANIFEST = "manifest.json"
CACHES = (Path("index"), Path("versions/fetched"))  # folders in the home folder that are made again from the store
_PIECE = 1 << 20
_ROWS = 500
_BATCH = 16 << 20  # bytes of rows held at once
_WIDE = {"version_pieces": 8}  # rows at once of a table whose rows are about a megabyte
PASSING = frozenset(
    {"inbox", "outbox", "slack_states"}
)  # what was waiting then is answered by now, and must not be again
_HALF_WRITTEN = re.compile(r"\..*\.[a-z0-9_]{8}$")  # what retrieval.files names a file until it is whole
_MOST_MANIFEST = 64 << 20  # bytes


class Member(TypedDict):
    size: int
    sha256: str


class Manifest(TypedDict):
    format: int
    made: str
    revision: str
    members: dict[str, Member]


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What is in the archive. size: of the archive, in bytes. left_out: paths in the home folder that are not in it."""

    file: Path
    size: int
    files: int
    rows: int
    left_out: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        left = (f"Not in it: {', '.join(self.left_out)}.",) if self.left_out else ()
        return (
            f"{self.file} holds {self.files} files and {self.rows} rows of the store ({self.size / 1e6:.1f} MB).",
            *left,
            "The index is not in it: it is rebuilt from the store.",
            "It holds what people wrote, and the keys in your settings: keep it as safe as the home folder.",
        )


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What came back. made: when the backup was made. elsewhere: the settings that were restored name another store."""

    home: Path
    files: int
    rows: int
    made: str
    elsewhere: bool

    @property
    def sentences(self) -> tuple[str, ...]:
        settings = self.home / "atelier.toml"
        warning = (f"The restored settings name another store: remove `store` from {settings} to use this one.",)
        return (
            f"{self.home} holds the backup of {self.made}: {self.files} files, {self.rows} rows of the store.",
            *(warning if self.elsewhere else ()),
        )


def backup(home: Path, engine: Engine, target: Path) -> BackupReport:
    """Write `home` and the store to `target`, whole or not at all; both may be in use meanwhile.

    Raises SettingsError when `target` lies inside `home`, StoreError when it cannot be written.
    """
    target = target.absolute()
    if target.resolve().is_relative_to(home.resolve()):
        raise SettingsError(f"{target} lies inside the home folder. Put the backup elsewhere, best on another disk.")
    with _explained(f"The backup could not be written to {target}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
            fresh = Path(scratch) / "archive"
            with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as archive:
                files, left_out = _listed(home, engine)
                members = {f"home/{name}": _add(archive, f"home/{name}", _pieces(home / name)) for name in files}
                with snapshot(engine, Path(scratch)) as connection:
                    revision = current_revision(connection) or HEAD
                    rows = 0
                    for table in _tables(connection):
                        name = f"store/{table.name}.jsonl"
                        members[name] = _add(archive, name, _lines(connection, table))
                        rows += connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
                manifest = Manifest(format=FORMAT, made=made, revision=revision, members=members)
                archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
            fresh.chmod(0o600)
            _sync(fresh)
            fresh.replace(target)
            fsync_folder(target.parent)
    return BackupReport(target, target.stat().st_size, len(files), rows, left_out)


def restore(file: Path, home: Path, *, replace: bool = False, store_url: str = "") -> RestoreReport:
    """Unpack a backup as `home`, its store as SQLite inside, or into the empty database `store_url`.

    Every byte is checked before `home` is touched. Raises StoreError when `home` is not empty (unless `replace`: then
    it is replaced; nobody may be using it), when the archive is not whole, or when there is no space.
    """
    home = home.absolute()
    if home.exists() and not home.is_dir():
        raise StoreError(f"{home} is a file. Name a folder to restore into.")
    if home.exists() and any(home.iterdir()) and not replace:
        raise StoreError(f"{home} is not empty. Restore into a new folder, or move that one away first.")
    with _explained(f"{file} could not be restored, and nothing was changed"):
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{home.name}.") as scratch:
            fresh = Path(scratch) / "home"
            fresh.mkdir()
            with zipfile.ZipFile(file) as archive:
                manifest = _manifest(archive)
                for name, member in manifest["members"].items():
                    _extract(archive, name, member, Path(scratch))
            rows = _fill(store_url or f"sqlite:///{fresh / 'store.db'}", manifest["revision"], Path(scratch) / "store")
            _swap(fresh, home, Path(scratch) / "old")
    files = sum(name.startswith("home/") for name in manifest["members"])
    return RestoreReport(home, files, rows, manifest["made"], not store_url and _names_a_store(home))


def _listed(home: Path, engine: Engine) -> tuple[list[str], tuple[str, ...]]:
    """The files in `home` that a backup holds, relative and with slashes, and those that it leaves out with a word."""
    database = engine.url.database if engine.dialect.name == "sqlite" else None
    store = Path(database or "none").resolve()
    beside = {store.name, f"{store.name}-journal", f"{store.name}{LOCK}", f"{store.name}{ROUNDS_LOCK}"}
    listed: list[str] = []
    left_out: list[str] = []
    for folder, folders, names in os.walk(home):
        here = Path(folder)
        left_out += [f"{here / name} (a link)" for name in folders if (here / name).is_symlink()]
        folders[:] = [
            name
            for name in sorted(folders)
            if not _HALF_WRITTEN.match(name) and (here / name).relative_to(home) not in CACHES
        ]
        for name in sorted(names):
            path = here / name
            if path.is_symlink() or not path.is_file():
                left_out.append(f"{path} (not a plain file)")
            elif name.encode("utf-8", "replace").decode() != name:
                left_out.append(f"{name!a} (its name is not UTF-8)")
            elif not (_HALF_WRITTEN.match(name) or path.resolve().name in beside):
                listed.append(path.relative_to(home).as_posix())
    return listed, tuple(left_out)


def _add(archive: zipfile.ZipFile, name: str, content: Iterable[bytes]) -> Member:
    digest = hashlib.sha256()
    size = 0
    info = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as file:
        for piece in content:
            digest.update(piece)
            size += len(piece)
            file.write(piece)
    return Member(size=size, sha256=digest.hexdigest())


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _tables(connection: Connection) -> list[sa.Table]:
    """Our tables as the database has them, parents first: their plain types, whatever revision they are at."""
    there = set(sa.inspect(connection).get_table_names())
    found = sa.MetaData()
    found.reflect(connection, only=[name for name in metadata.tables if name in there and name not in PASSING])
    return found.sorted_tables


def _lines(connection: Connection, table: sa.Table) -> Iterator[bytes]:
    rows = _WIDE.get(table.name, _ROWS)
    for row in connection.execution_options(yield_per=rows).execute(sa.select(table)).mappings():
        yield json.dumps({name: _written(value) for name, value in row.items()}, ensure_ascii=False).encode() + b"\n"


def _written(value: object) -> object:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"utc": (value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)).isoformat()}
    return value


def _read(value: object) -> object:
    if isinstance(value, dict) and "base64" in value:
        return base64.b64decode(value["base64"])
    if isinstance(value, dict) and "utc" in value:
        return datetime.fromisoformat(value["utc"]).replace(tzinfo=UTC)
    return value


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    if archive.getinfo(MANIFEST).file_size > _MOST_MANIFEST:
        raise ValueError("its manifest is too large")
    manifest: Manifest = json.loads(archive.read(MANIFEST))
    if manifest["format"] != FORMAT:
        raise StoreError(
            f"This backup has the format {manifest['format']}, which a newer Atelier made. Update Atelier."
        )
    names = archive.namelist()
    if sorted(names) != sorted([MANIFEST, *manifest["members"]]):
        raise ValueError("its files are not those of its manifest")
    for name in manifest["members"]:
        parts = PurePosixPath(name).parts
        plain = "/".join(parts) == name and ".." not in parts and len(parts) > 1
        if not plain or parts[0] not in ("home", "store"):
            raise ValueError(f"it holds a file by the name {name!r}")
    return manifest


def _extract(archive: zipfile.ZipFile, name: str, member: Member, folder: Path) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):  # Windows has more ways out than ".."
        raise ValueError(f"it holds a file by the name {name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    left = int(member["size"])
    with archive.open(name) as source, path.open("xb") as file:
        while left >= 0 and (piece := source.read(min(_PIECE, left + 1))):  # one byte more than promised is too many
            left -= len(piece)
            digest.update(piece)
            file.write(piece)
    if left or digest.hexdigest() != member["sha256"]:
        raise ValueError(f"{name} differs from its manifest")
    path.chmod(0o600)
    _sync(path)


def _fill(url: str, revision: str, folder: Path) -> int:
    """Put the rows of `folder` into an empty database, all in one transaction; how many there were."""
    engine = open_database(url)
    count = 0
    try:
        with writing(engine) as connection:
            if current_revision(connection) is not None:
                raise StoreError("The database to restore into holds a store already. Name an empty one.")
            upgrade(connection, revision)
            for table in _tables(connection):
                with (folder / f"{table.name}.jsonl").open("rb") as file:
                    while lines := _batch(file):
                        rows = [{name: _read(value) for name, value in json.loads(line).items()} for line in lines]
                        connection.execute(table.insert(), rows)
                        count += len(rows)
                _advance_ids(connection, table)
            upgrade(connection)
    finally:
        engine.dispose()
    return count


def _batch(file: BinaryIO) -> list[bytes]:
    """The next lines, as many as are inserted at once: a megabyte or a hundred bytes long, memory stays bounded."""
    lines: list[bytes] = []
    size = 0
    while size < _BATCH and len(lines) < _ROWS and (line := file.readline()):
        lines.append(line)
        size += len(line)
    return lines


def _advance_ids(connection: Connection, table: sa.Table) -> None:
    """PostgreSQL's sequences know nothing of ids that were inserted by hand."""
    if connection.dialect.name != "postgresql" or "id" not in table.c:
        return
    sequence = connection.execute(sa.select(sa.func.pg_get_serial_sequence(table.name, "id"))).scalar_one()
    if sequence is not None:
        highest = sa.select(sa.func.max(table.c.id)).scalar_subquery()
        connection.execute(sa.select(sa.func.setval(sequence, highest)))


def _swap(fresh: Path, home: Path, old: Path) -> None:
    if home.exists():
        home.rename(old)
    try:
        fresh.rename(home)
    except OSError:
        if old.exists():
            old.rename(home)
        raise
    fsync_folder(home.parent)


def _names_a_store(home: Path) -> bool:
    try:
        return bool(tomllib.loads((home / "atelier.toml").read_text("utf-8-sig")).get("store"))
    except (OSError, ValueError):
        return False


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(f"{what}: the disk is full. Free some space and try again.") from error
        raise StoreError(f"{what}: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise StoreError(f"{what}: it is damaged, or no backup of Atelier's.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{what}: {error}.") from error
