"""Files that are whole or absent: atomic replacement, and folders sealed by a SHA-256 manifest.

A folder written here is either the old one or the new one after a crash at any point, and a changed byte in it is
noticed when it is read (FAISS and safetensors files carry no checksum of their own).
"""

import glob
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

MANIFEST = "manifest.json"
DRAFT_SECONDS = 24 * 3600  # a draft folder this old has no writer any more


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits; reads in pieces, so memory stays small."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable (POSIX: the directory entry has its own fsync)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` with `content`; after a crash it holds the old or the new bytes, never a mixture.

    Raises OSError (no space, no permission) with the old file untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        fsync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_folder_atomically(folder: Path, fill: Callable[[Path], None], facts: dict[str, object]) -> None:
    """Let `fill` write files into a fresh folder, seal it with a manifest, then put it in the place of `folder`.

    The manifest holds `facts` and each file's size and SHA-256, and is written last. Raises what `fill` raises, with
    the old folder untouched.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    recover_folder(folder)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        fill(fresh)
        files = {}
        for path in sorted(fresh.iterdir()):
            with path.open("rb") as file:
                os.fsync(file.fileno())
            files[path.name] = {"size": path.stat().st_size, "sha256": sha256_of(path)}
        write_atomically(fresh / MANIFEST, _sealed({"facts": facts, "files": files}))
        fsync_folder(fresh)
        retired = _retired(folder)
        shutil.rmtree(retired, ignore_errors=True)
        if folder.exists():
            folder.rename(retired)  # POSIX cannot swap two full folders; a crash between the renames leaves `.old`
        fresh.rename(folder)
        fsync_folder(folder.parent)
        shutil.rmtree(retired, ignore_errors=True)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def recover_folder(folder: Path) -> None:
    """Finish what a crash left: put the old folder back if it was moved away and no new one came; drop day-old drafts.

    Call it before reading or writing `folder`. Raises OSError.
    """
    retired = _retired(folder)
    if not folder.exists() and retired.exists():
        retired.rename(folder)
    for draft in folder.parent.glob(f".{glob.escape(folder.name)}.????????"):  # as mkdtemp names them
        if draft.is_dir() and time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
            shutil.rmtree(draft, ignore_errors=True)


def _retired(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _sealed(content: dict[str, object]) -> bytes:
    body = json.dumps(content, sort_keys=True)
    return json.dumps({**content, "seal": hashlib.sha256(body.encode()).hexdigest()}, indent=1).encode()


def read_manifest(folder: Path) -> dict[str, object]:
    """The facts of a sealed folder, after checking every file against its manifest.

    Raises ValueError naming what differs: no manifest or a changed one, a missing or extra file, another size or
    SHA-256.
    """
    try:
        written = (folder / MANIFEST).read_bytes()
        manifest = json.loads(written)
        files, facts = dict(manifest["files"]), dict(manifest["facts"])
        unchanged = _sealed({"facts": facts, "files": files}) == written
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{folder.name} has no readable manifest") from error
    if not unchanged:
        raise ValueError(f"{folder.name}/{MANIFEST} was changed")
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    if present != set(files):
        raise ValueError(f"{folder.name} holds {sorted(present)}, its manifest says {sorted(files)}")
    for name, expected in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != expected["size"] or sha256_of(path) != expected["sha256"]:
            raise ValueError(f"{folder.name}/{name} differs from its manifest")
    return facts


def digest_of_hashes(hashes: Mapping[str, str]) -> str:
    """One SHA-256 over files, from the SHA-256 of each by its name."""
    lines = (f"{name} {hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def digest_of_sealed(folder: Path) -> str:
    """One SHA-256 over all files of a sealed folder, as its manifest says: the files themselves are not read.

    Raises ValueError where there is no readable manifest.
    """
    try:
        written = (folder / MANIFEST).read_bytes()
        hashes = {name: str(facts["sha256"]) for name, facts in json.loads(written)["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{folder.name} has no readable manifest") from error
    return digest_of_hashes(hashes | {MANIFEST: hashlib.sha256(written).hexdigest()})
