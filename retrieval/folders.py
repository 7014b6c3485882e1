"""The files that an ingest finds under a path."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.errors import SettingsError
from retrieval.loading import SUFFIXES

MOST_FILES = 100_000
_MACHINERY = {"__pycache__", "node_modules", "site-packages"}


@dataclass(frozen=True, slots=True)
class Scan:
    """What lies under one path. files: sorted. closed: folders that could not be listed, with the reason.

    ignored: how many files are of kinds that are not read, by suffix ("" for none).
    """

    path: Path
    files: tuple[Path, ...]
    closed: tuple[tuple[Path, str], ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)


def scan(path: Path) -> Scan:
    """The readable files under a folder, or the one file.

    Left out: hidden names, version control, virtual environments, lock files of office programs, and symbolic links (a
    shared folder must not reach files outside it by a planted one). Raises SettingsError when there is nothing at
    `path` or far too much.
    """
    try:
        resolved = path.expanduser().resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise SettingsError(f"There is no file or folder {path}. Check the spelling and the current folder.") from error
    if not resolved.is_dir():
        return Scan(resolved, (resolved,))
    files: list[Path] = []
    closed: list[tuple[Path, str]] = []
    ignored = Counter[str]()

    def refuse(error: OSError) -> None:
        closed.append((Path(error.filename), error.strerror or "it cannot be listed"))

    for folder, names, found in os.walk(resolved, onerror=refuse):
        names[:] = sorted(name for name in names if not _is_left_out(Path(folder, name)))
        for name in found:
            each = Path(folder, name)
            if name.startswith((".", "~$")) or _is_link(each):
                continue
            if each.suffix.lower() in SUFFIXES:
                files.append(each)
            else:
                ignored[each.suffix.lower()] += 1
        if len(files) > MOST_FILES:
            raise SettingsError(f"{path} holds more than {MOST_FILES:,} files. Name the folders that you want in it.")
    return Scan(resolved, tuple(sorted(files)), tuple(closed), ignored)


def _is_link(path: Path) -> bool:
    """Whether it is a symbolic link, False where that may not be seen: what is closed is reported when it is opened."""
    return os.path.islink(path)  # noqa: PTH114 - `Path.is_symlink` raises there


def _is_left_out(folder: Path) -> bool:
    return (
        folder.name.startswith(".")
        or folder.name in _MACHINERY
        or _is_link(folder)
        or os.path.exists(folder / "pyvenv.cfg")  # noqa: PTH110 - a virtual environment of any name; False where closed
    )
