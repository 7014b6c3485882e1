"""A file's bytes, read without ever blocking on a pipe or device and without trusting its name."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import UnreadableFile

MEGABYTE = 1_000_000
LARGEST_FILE = 100 * MEGABYTE  # PDF and office files, which are mostly pictures
LARGEST_TEXT = 50 * MEGABYTE


@dataclass(frozen=True, slots=True)
class Source:
    """What a loader gets: the file's name and suffix (lower case, with its dot), and its content."""

    name: str
    suffix: str
    content: bytes

    def unreadable(self, reason: str) -> UnreadableFile:
        """An error that says `NAME reason`."""
        return UnreadableFile(f"{self.name} {reason}")


def shown_name(path: Path) -> str:
    """The file's name, safe for a terminal: names may hold line breaks, escapes and bytes that are no text."""
    return "".join(letter if letter.isprintable() else "�" for letter in path.name) or str(path)


def open_source(path: Path) -> Source:
    """Read a regular file of at most 100 MB. Raises UnreadableFile."""
    name = shown_name(path)
    try:
        # Opening a FIFO for reading waits for a writer unless O_NONBLOCK is set; on regular files it changes nothing.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
                raise UnreadableFile(f"{name} is {kind}, not a file.")
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        lost = "is a link to a file that is not there" if path.is_symlink() else "is not there (moved or deleted?)"
        raise UnreadableFile(f"{name} {lost}.") from error
    except PermissionError as error:
        raise UnreadableFile(f"{name} may not be read by this user. Change its permissions and try again.") from error
    except IsADirectoryError as error:
        raise UnreadableFile(f"{name} is a folder, not a file.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UnreadableFile(f"{name} cannot be opened: {reason}.") from error
    source = Source(name, path.suffix.lower(), content)
    if len(content) > LARGEST_FILE:
        raise source.unreadable(f"is larger than {LARGEST_FILE // MEGABYTE} MB. Split it into smaller files.")
    if not content:
        raise source.unreadable("is empty.")
    return source
