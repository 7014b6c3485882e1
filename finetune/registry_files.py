"""A version's files: in the store in pieces, on each machine in a folder that is checked before it is used.

Content decides: a file is kept under its SHA-256, so nothing that differs from what was registered can be taken for it.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.memory_tables import put
from finetune.registry_tables import pieces, versions
from retrieval.database import reading, writing
from retrieval.errors import RegistryError, StoreError
from retrieval.files import digest_of_hashes, fsync_folder, read_manifest, sha256_of

PIECE = 1 << 20  # bytes: a row of the store
AT_ONCE = 8  # pieces in one write transaction, so that no other writer waits long
UNCLAIMED = timedelta(days=1)  # after which pieces that no version names are left over from an adding that broke off
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class FileFacts(TypedDict):
    sha256: str
    size: int


Files = Mapping[str, FileFacts]


def files_of(folder: Path) -> dict[str, FileFacts]:
    """Name, SHA-256 and size of every file of a sealed folder, its manifest included.

    Raises RegistryError when it is not sealed, damaged, or holds what a version may not.
    """
    try:
        read_manifest(folder)
        paths = sorted(folder.iterdir())
        found: dict[str, FileFacts] = {
            path.name: {"sha256": sha256_of(path), "size": path.stat().st_size} for path in paths
        }
    except (ValueError, OSError) as error:
        raise RegistryError(f"{folder} is not whole: {error}. Train it again.") from error
    check_names(found)
    return found


def check_names(files: Mapping[str, object]) -> None:
    """Raise RegistryError for a name that would lead out of its folder."""
    for name in files:
        if not _PLAIN.fullmatch(name):
            raise RegistryError(f"A version cannot hold a file called {name!r}. Use letters, digits, '.', '-' and '_'.")


def digest_of(files: Files) -> str:
    """One SHA-256 over all of a version's files."""
    return digest_of_hashes({name: facts["sha256"] for name, facts in files.items()})


def is_whole(folder: Path, files: Files) -> bool:
    """Whether `folder` holds exactly these files, byte for byte, and no link to elsewhere."""
    try:
        if {path.name for path in folder.iterdir()} != set(files):
            return False
        return all(
            not (path := folder / name).is_symlink()
            and path.is_file()
            and path.stat().st_size == facts["size"]
            and sha256_of(path) == facts["sha256"]
            for name, facts in files.items()
        )
    except OSError:
        return False


def keep(engine: Engine, folder: Path, files: Files) -> None:
    """Put the files into the store; what is there already is written again, which makes it young. Raises StoreError."""
    for name, facts in files.items():
        waiting: list[dict[str, object]] = []
        for part, content in enumerate(_pieces(folder / name)):
            row = {"sha256": facts["sha256"], "part": part, "size": len(content), "content": content}
            waiting.append(row | {"kept": datetime.now(UTC)})
            if len(waiting) == AT_ONCE:
                _write(engine, waiting)
                waiting = []
        _write(engine, waiting)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield file.read(PIECE)  # an empty file is one empty piece
        while content := file.read(PIECE):
            yield content


def _write(engine: Engine, rows: list[dict[str, object]]) -> None:
    if rows:
        with writing(engine) as connection:
            for row in rows:
                put(connection, pieces, row)


def are_kept(connection: Connection, files: Files) -> bool:
    """Whether the store holds every byte of the files, by size."""
    for facts in files.values():
        held = sa.select(sa.func.count(), sa.func.sum(pieces.c.size)).where(pieces.c.sha256 == facts["sha256"])
        count, size = connection.execute(held).one()
        if not count or size != facts["size"]:
            return False
    return True


def sweep(connection: Connection) -> None:
    """Drop pieces that no version names (any more), except young ones: somebody may be adding them now."""
    rows = connection.execute(sa.select(versions.c.files).where(versions.c.removed.is_(None)))
    named = {facts["sha256"] for row in rows for facts in row.files.values()}
    held = set(connection.execute(sa.select(pieces.c.sha256).distinct()).scalars())
    for sha256 in held - named:
        old = pieces.c.kept < datetime.now(UTC) - UNCLAIMED
        connection.execute(pieces.delete().where((pieces.c.sha256 == sha256) & old))


def drop(connection: Connection, files: Files) -> None:
    """Delete the pieces of these files that no other version names."""
    rows = connection.execute(sa.select(versions.c.files).where(versions.c.removed.is_(None)))
    named = {facts["sha256"] for row in rows for facts in row.files.values()}
    for facts in files.values():
        if facts["sha256"] not in named:
            connection.execute(pieces.delete().where(pieces.c.sha256 == facts["sha256"]))


def fetch(engine: Engine, name: str, files: Files, folder: Path) -> None:
    """Make `folder` hold the files as they were registered, from the store. Safe beside other processes.

    Raises RegistryError when the store's copy is damaged, StoreError when there is no room.
    """
    check_names(files)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            for each, facts in files.items():
                _copy_out(engine, name, fresh / each, facts)
            replace_folder(fresh, folder, files)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"{name} cannot be written to {folder} ({error.strerror}). Free some space.") from error


def _copy_out(engine: Engine, name: str, path: Path, facts: FileFacts) -> None:
    digest, size, part = hashlib.sha256(), 0, 0
    with path.open("wb") as file:
        while size < facts["size"] or part == 0:
            wanted = (pieces.c.sha256 == facts["sha256"]) & (pieces.c.part == part)
            with reading(engine) as connection:  # one for each piece: a slow disk holds no transaction open
                content = connection.execute(sa.select(pieces.c.content).where(wanted)).scalar_one_or_none()
            if content is None:
                break
            file.write(content)
            digest.update(content)
            size, part = size + len(content), part + 1
        file.flush()
        os.fsync(file.fileno())
    if size != facts["size"] or digest.hexdigest() != facts["sha256"]:
        raise RegistryError(
            f"The store's copy of {name} is damaged ({path.name} is not what was registered). Restore a backup, or "
            "train it again; what serves now goes on."
        )


def replace_folder(fresh: Path, folder: Path, files: Files) -> None:
    """Put `fresh` in the place of `folder`, unless another process has put the same there first."""
    fsync_folder(fresh)
    for _ in range(3):
        if is_whole(folder, files):
            return
        if folder.is_symlink():
            folder.unlink()
        elif folder.exists():
            aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            folder.rename(aside / "damaged")
            shutil.rmtree(aside, ignore_errors=True)
        try:
            fresh.rename(folder)
        except OSError:
            continue  # another process was quicker
        fsync_folder(folder.parent)
        return
    raise OSError(None, "another process keeps changing the folder")


def copy_in(source: Path, folder: Path, files: Files) -> None:
    """A copy of `source` at `folder`, for a version that the store cannot hold. Raises StoreError."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            for name in files:
                shutil.copyfile(source / name, fresh / name)
                with (fresh / name).open("rb") as file:
                    os.fsync(file.fileno())
            replace_folder(fresh, folder, files)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"{source} cannot be copied to {folder} ({error.strerror}). Free some space.") from error
