"""The terminal's side of the reply contract: a line that was typed is answered, or said to have had no answer.

There is no platform that keeps a message for us, so the line lies on the disk from before it is answered until it has
been. A terminal that was killed leaves it there, and the next one says so. What is piped in has a sender who sees that
the process died, and sends it again. A lock tells the living from the dead, as in `connectors.delivery.serving`.
"""

import fcntl
import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from retrieval.files import fsync_folder

FOLDER = "unanswered"  # in the home folder


class Unanswered:
    """One terminal's. Where the disk does not take it, the chat goes on without."""

    def __init__(self, home: Path, account: str) -> None:
        self._folder, self._account = home / FOLDER, account
        self._file: IO[bytes] | None = None

    def keep(self, message: str, line: str) -> None:
        """A line is about to be answered as the message of this id. Blocks until that is on the disk."""
        with suppress(OSError):
            if self._file is not None and not os.fstat(self._file.fileno()).st_nlink:  # it was forgotten
                self.close()
            if self._file is None:
                self._begin()
            assert self._file is not None
            self._file.write(json.dumps([self._account, message, line]).encode())
            os.fsync(self._file.fileno())

    def _begin(self) -> None:
        """Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(self._folder):
            # without a buffer: what a full disk refused must not come with the next line
            self._file = (self._folder / f"{uuid4().hex}.json").open("xb", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for folder in (self._folder, self._folder.parent):
            fsync_folder(folder)

    def done(self) -> None:
        """It was answered, stopped, or said to have failed."""
        with suppress(OSError):
            if self._file is not None:
                self._file.seek(0)
                self._file.truncate()

    def left(self) -> Iterator[tuple[str, str]]:
        """The message's id and the line of each terminal of this person's that was killed; each until it was told."""
        for path in sorted(self._folder.glob("*.json")):
            with suppress(OSError), path.open("r+b") as file:
                with _alone(self._folder):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where it is alive, or being told
                content = file.read()
                if os.fstat(file.fileno()).st_nlink and (not content or _is_of(content, self._account)):
                    if (kept := _read(content)) is not None:
                        yield kept
                    path.unlink()

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                Path(self._file.name).unlink(missing_ok=True)
            self._file.close()
            self._file = None


def lines_of(home: Path, accounts: Collection[str]) -> list[str]:
    """What these accounts have typed that is being answered, or was left unanswered."""
    found: list[str] = []
    for path in sorted((home / FOLDER).glob("*.json")):
        with suppress(OSError):
            content = path.read_bytes()
            if any(_is_of(content, account) for account in accounts) and (kept := _read(content)) is not None:
                found.append(kept[1])
    return found


def forget(home: Path, accounts: Collection[str]) -> None:
    """Nobody is told any more of what these accounts left unanswered."""
    for path in (home / FOLDER).glob("*.json"):
        with suppress(OSError):
            content = path.read_bytes()
            if any(_is_of(content, account) for account in accounts):
                path.unlink()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Meanwhile no other terminal begins a file or takes one for a dead terminal's. Raises OSError."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _read(content: bytes) -> tuple[str, str] | None:
    """The message's id and the line; None of a terminal that was killed between two, or while it wrote."""
    try:
        _, message, line = json.loads(content)
    except ValueError:
        return None
    return str(message), str(line)


def _is_of(content: bytes, account: str) -> bool:
    """Whether a file holds a line of theirs, or the beginning of one that was never written to its end."""
    return content.startswith(f"[{json.dumps(account)},".encode())
