"""A team's own labelled rows for the heads: JSONL, CSV or TOML.

JSONL has one `{"text": "Where is my order?", "label": "ask"}` a line; CSV the columns text and label, where rows
without a label wait for one; TOML a list of examples for each intent: `billing = ["Where is my invoice?", …]`.

A label is one of ours (an intent or a sentiment), and the row then teaches that head; or it is the team's own, as
`billing`, and all of those together make a head of their own, which says what a message is about. Where a team trains
that head alone, every label is the team's own, `complaint` too.
"""

import csv
import io
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.message import Intent, Sentiment
from finetune.heads_data import OWN, Row
from retrieval.errors import DataRefused, UnreadableFile
from retrieval.loading.source import Source
from retrieval.loading.text import decode

LEAST = 5  # rows of a label of the team's own, in each of at least two
MOST_LABELS, LONGEST_LABEL, LONGEST = 100, 60, 4_000
MOST_LISTED = 3  # problems of one kind


@dataclass(frozen=True, slots=True)
class TeamRows:
    """Rows by the head that they teach."""

    intent: tuple[Row, ...] = ()
    sentiment: tuple[Row, ...] = ()
    topic: tuple[Row, ...] = ()

    @property
    def count(self) -> int:
        return len(self.intent) + len(self.sentiment) + len(self.topic)


NONE = TeamRows()


def team_rows(file: Path, *, all_own: bool = False) -> TeamRows:
    """Read and check a file. all_own: labels that Atelier has too are the team's.

    Raises DataRefused with every kind of problem as `file:line: code message`.
    """
    rows: dict[str, Row] = {}
    problems = []
    for number, found in _written(file):
        if isinstance(found, str):
            problems.append(f"{file.name}:{number}: {found}")
        elif found.text in rows and rows[found.text].label != found.label:
            problems.append(f"{file.name}:{number}: contradiction The same text has another label above.")
        else:
            rows[found.text] = found
    ours = set[str]() if all_own else {*Intent, *Sentiment}
    topics = Counter(row.label for row in rows.values() if row.label not in ours)
    few = [label for label, count in topics.items() if count < LEAST]
    problems += [f"{file.name}: too_few The label {label!r} has fewer than {LEAST} rows." for label in few]
    if len(topics) == 1 or len(topics) > MOST_LABELS:
        problems.append(
            f"{file.name}: labels Labels of your own must be between 2 and {MOST_LABELS}; here: {len(topics)}."
        )
    if problems or not rows:
        listed = "\n".join(_shortened(problems)) or f"{file.name}: empty_file It holds no row."
        raise DataRefused(f"These labelled rows cannot be learned from:\n{listed}")
    return TeamRows(
        tuple(row for row in rows.values() if row.label in ours & set(Intent)),
        tuple(row for row in rows.values() if row.label in ours & set(Sentiment)),
        tuple(row for row in rows.values() if row.label in topics),
    )


def _shortened(problems: Sequence[str]) -> Iterator[str]:
    """The first problems of each kind and the number of its others: a file of another form has one in each line."""
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        kinds.setdefault(problem.partition(": ")[2].split(" ", 1)[0], []).append(problem)
    for kind, found in kinds.items():
        yield from found[:MOST_LISTED]
        if len(found) > MOST_LISTED:
            yield f"… and {len(found) - MOST_LISTED:,} more of {kind}."


def text_of(file: Path, wanted: str) -> str:
    """A file's text in whatever encoding a spreadsheet wrote it. Raises DataRefused, saying what is `wanted`."""
    try:
        content = file.read_bytes()
        return decode(Source(file.name, file.suffix.lower(), content)) if content.strip() else ""
    except OSError as error:
        raise DataRefused(f"{file} cannot be read ({error.strerror}). Name {wanted}.") from error
    except UnreadableFile as error:
        raise DataRefused(f"{error} Name {wanted}.") from error


def table_of(content: str) -> "csv.DictReader[str]":
    """The rows of a CSV. Raises csv.Error, here or while they are read."""
    parting = max(",;\t", key=content.partition("\n")[0].count)  # as spreadsheets of other countries write it
    return csv.DictReader(io.StringIO(content, newline=""), delimiter=parting, strict=True)


def _written(file: Path) -> Iterator[tuple[str, Row | str]]:
    """Each row of a file or its problem, a code and a message, with the place where it stands."""
    content = text_of(file, "a JSONL, CSV or TOML file of labelled rows")
    form = file.suffix.lower()
    if form == ".toml":
        yield from _of_toml(content)
    elif form in {".csv", ".tsv"}:
        yield from _of_csv(content)
    else:
        for number, line in enumerate(content.split("\n"), 1):
            if line.strip():
                yield str(number), _of_json(line)


def _of_json(line: str) -> Row | str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return 'bad_json The line is not one JSON object: {"text": "Where is my order?", "label": "ask"}.'
    text, label = (value.get(key) if isinstance(value, dict) else None for key in ("text", "label"))
    return _row(text, label)


def _of_toml(content: str) -> Iterator[tuple[str, Row | str]]:
    try:
        tables = tomllib.loads(content)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        yield "1", f"bad_toml {error}"
        return
    intents = tables.get("intents", tables)
    for label, texts in intents.items() if isinstance(intents, dict) else ():
        if not isinstance(texts, list):
            yield label, 'no_list Each intent is a list of examples: billing = ["Where is my invoice?", …].'
            continue
        for i, text in enumerate(texts, 1):
            yield f"{label} {i}", _row(text, label)


def _of_csv(content: str) -> Iterator[tuple[str, Row | str]]:
    try:
        reader = table_of(content)
        names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        text, label = names.get("text"), names.get("label", names.get("intent"))
        if text is None or label is None:
            yield "1", "no_columns The first line must name the columns text and label."
            return
        for row in reader:
            if row[label]:
                yield str(reader.line_num), _row(row[text], row[label])
    except csv.Error as error:
        yield "1", f"bad_csv {error}"


def _row(text: object, label: object) -> Row | str:
    if not isinstance(text, str) or not isinstance(label, str):
        return "no_label The line has no text `text` with a text `label`."
    text, label = text.strip(), " ".join(label.split())
    if not text or len(text) > LONGEST:
        return f"bad_text The text must have between 1 and {LONGEST:,} characters."
    if not label or len(label) > LONGEST_LABEL or not label.isprintable():
        return f"bad_label The label must have between 1 and {LONGEST_LABEL} characters that can be seen."
    return Row(text, label, OWN)
