"""The lines of a file that strangers made: read in pieces, so that neither a long line nor a long file fills memory."""

import codecs
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from finetune.examples.problems import Code
from retrieval.errors import DataRefused

LARGEST_FILE = 512 << 20  # bytes, as OpenAI's limit
LONGEST_LINE = 4 << 20  # bytes; more than the longest window of today's models
_PIECE = 1 << 20
_SNIFFED = 4096  # bytes looked at to tell what a file is
_HOW = "Save it as JSON Lines: one object a line, as UTF-8."

# What else people hand in, by its first bytes.
_KINDS = (
    (re.compile(rb"\x80[\x01-\x05]"), "a pickle, and reading one can run any code"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive (or an Office file, or a PyTorch checkpoint)"),
    (re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd"), "compressed: unpack it first"),
    (re.compile(rb"PAR1"), "a Parquet table"),
    (re.compile(rb"ARROW1"), "an Arrow table"),
    (re.compile(rb"SQLite format 3"), "an SQLite database"),
    (re.compile(rb"%PDF"), "a PDF; `atelier ingest` reads those"),
    (re.compile(rb"\x93NUMPY"), "a NumPy array"),
    (re.compile(rb"[\s\S]{8}\{\"__metadata__|[\s\S]{8}\{\"[\w.]+\":\{\"dtype"), "a safetensors file"),
    (re.compile(rb"\s*\["), "one JSON array, not lines"),
    (re.compile(rb"\s*\{\s*\n"), "JSON spread over several lines"),
    (re.compile(rb"\s*<(?:!DOCTYPE|\?xml|html)", re.IGNORECASE), "a page of HTML or XML"),
)


class Refused(Exception):
    """The file as a whole cannot be read; code and message say why."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


class Lines:
    """The lines of a file with their numbers, from 1; a line that is too long comes as None. Blank lines are left out.

    After the last one, `sha256` is the file's. Raises Refused where the file is of another kind, and DataRefused where
    it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hasher = hashlib.sha256()
        self._number = 0

    @property
    def sha256(self) -> str:
        return self._hasher.hexdigest()

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        try:
            if not self._path.is_file():  # a device or a pipe may never end
                raise DataRefused(f"There is no file {self._path}. Name a file of chat JSONL.")
            size = self._path.stat().st_size
            with self._path.open("rb") as file:
                self._check(file.read(_SNIFFED), size)
                file.seek(0)
                yield from self._lines(iter(lambda: file.read(_PIECE), b""))
        except OSError as error:
            raise DataRefused(f"{self._path} cannot be read ({error.strerror}). Check its owner and rights.") from error

    def _check(self, start: bytes, size: int) -> None:
        if size > LARGEST_FILE:
            raise Refused(
                Code.TOO_LARGE,
                f"The file has {size >> 20:,} MiB; up to {LARGEST_FILE >> 20:,} are read. Split it, or take a sample.",
            )
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise Refused(Code.NOT_UTF8, f"This is text in UTF-16 or UTF-32. {_HOW}")
        start = start.removeprefix(codecs.BOM_UTF8)
        kind = next((name for shape, name in _KINDS if shape.match(start)), None)
        if kind is None and b"\0" in start:
            kind = "not a text file"
        if kind is not None:
            raise Refused(Code.NOT_JSONL, f"This is {kind}. {_HOW}")

    def _lines(self, pieces: Iterator[bytes]) -> Iterator[tuple[int, bytes | None]]:
        held: list[bytes] = []
        length, too_long = 0, False
        for piece in pieces:
            self._hasher.update(piece)
            *ended, rest = piece.split(b"\n")
            for part in ended:
                too_long = too_long or length + len(part) > LONGEST_LINE
                yield from self._line(None if too_long else b"".join([*held, part]))
                held, length, too_long = [], 0, False
            length += len(rest)
            too_long = too_long or length > LONGEST_LINE
            held = [] if too_long else [*held, rest]
        if length:
            yield from self._line(None if too_long else b"".join(held))

    def _line(self, content: bytes | None) -> Iterator[tuple[int, bytes | None]]:
        self._number += 1
        if content is not None and self._number == 1:
            content = content.removeprefix(codecs.BOM_UTF8)
        if content is None or content.strip():
            yield self._number, content
