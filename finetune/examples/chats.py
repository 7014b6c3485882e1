"""Chat JSONL from a file: rows in OpenAI's form to examples, every problem with its line."""

import hashlib
import unicodedata
from collections import Counter
from pathlib import Path

from finetune.example import Example, Origin
from finetune.examples.lines import LONGEST_LINE, Lines, Refused
from finetune.examples.problems import MOST_REFUSED, Code, Problem, Read, Rejected, Severity, Source
from finetune.examples.rows import Parsed, parse

EXCERPT = 2_000  # characters of a bad row that the quarantine keeps


def author_key(name: str) -> str:
    """What stands for an author that a file names: the same for the same name, and not the name."""
    plain = unicodedata.normalize("NFKC", name).strip().casefold()
    return f"name-{hashlib.sha256(plain.encode('utf-8', 'replace')).hexdigest()[:16]}" if plain else ""


def read_chats(path: Path, *, licence: str = "") -> Read:
    """The examples of a file of chat JSONL, and every problem in it.

    A file of another kind gives no example and one problem that says what it is. licence: under which the rows may be
    used, for the data card. Raises DataRefused when the file cannot be opened.
    """
    lines = Lines(path)
    reader = _Reader(path.name)
    try:
        for number, content in lines:
            reader.read(number, content)
            if len(reader.rejected) >= MOST_REFUSED:
                message = f"{MOST_REFUSED:,} rows are unusable. Correct them; the rest of the file was not read."
                reader.refuse_file(Code.TOO_MANY, message)
                break
        if not reader.rows:
            reader.refuse_file(Code.EMPTY_FILE, "The file holds no row.")
    except Refused as refused:
        reader.refuse_file(refused.code, str(refused))
    source = Source("chats", path.name, lines.sha256, reader.rows, licence)
    return Read(tuple(reader.examples), (*reader.problems, *reader.notes()), tuple(reader.rejected), source)


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: Counter[tuple[Code, str]] = Counter()  # notes repeat on every row: each is told once
        self._first: dict[tuple[Code, str], str] = {}
        self.rows = 0
        self.examples: list[Example] = []
        self.problems: list[Problem] = []
        self.rejected: list[Rejected] = []

    def read(self, number: int, content: bytes | None) -> None:
        self.rows += 1
        place = f"{self._name}:{number}"
        if content is None:
            limit = f"The line has more than {LONGEST_LINE >> 20} MiB."
            self._reject(place, Parsed(findings=[(Code.LINE_TOO_LONG, limit)]), b"")
            return
        parsed = parse(content)
        for note in parsed.notes:
            self._seen[note] += 1
            self._first.setdefault(note, place)
        if parsed.findings:
            self._reject(place, parsed, content)
        for draft in parsed.drafts:
            origin = Origin(place, author_key(draft.author))
            self.examples.append(Example(draft.messages, origin, draft.rating, draft.untrained))

    def refuse_file(self, code: Code, message: str) -> None:
        self.problems.append(Problem(self._name, code, message, Severity.FILE))

    def _reject(self, place: str, parsed: Parsed, content: bytes) -> None:
        problems = tuple(Problem(place, code, message) for code, message in parsed.findings)
        self.problems += problems
        excerpt = content[: 4 * EXCERPT].decode("utf-8", "replace")[:EXCERPT]
        self.rejected.append(Rejected(place, problems, excerpt))

    def notes(self) -> list[Problem]:
        return [
            Problem(self._first[note], note[0], f"{note[1]} ({count:,} rows)", Severity.NOTE)
            for note, count in self._seen.items()
        ]
