"""A team's own labelled rows for the heads: `{"text": "Where is my order?", "label": "ask"}`, one a line.

A label is one of ours (an intent or a sentiment), and the row then teaches that head; or it is the team's own, as
`billing`, and all of those together make a head of their own, which says what a message is about.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from agent.message import Intent, Sentiment
from finetune.heads_data import OWN, Row
from retrieval.errors import DataRefused

LEAST = 5  # rows of a label of the team's own, in each of at least two
MOST_LABELS, LONGEST_LABEL, LONGEST = 100, 60, 4_000
MOST_LISTED = 20


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


def team_rows(file: Path) -> TeamRows:
    """Read and check a file. Raises DataRefused with every problem as `file:line: code message`."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataRefused(f"{file} cannot be read as text. Name a JSONL file with one labelled text a line.") from error
    rows: dict[str, Row] = {}
    problems = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = _row(line)
        if isinstance(found, str):
            problems.append(f"{file.name}:{number}: {found}")
        elif found.text in rows and rows[found.text].label != found.label:
            problems.append(f"{file.name}:{number}: contradiction The same text has another label above.")
        else:
            rows[found.text] = found
    topics = Counter(row.label for row in rows.values() if row.label not in {*Intent, *Sentiment})
    few = [label for label, count in topics.items() if count < LEAST]
    problems += [f"{file.name}: too_few The label {label!r} has fewer than {LEAST} rows." for label in few]
    if len(topics) == 1 or len(topics) > MOST_LABELS:
        problems.append(
            f"{file.name}: labels Labels of your own must be between 2 and {MOST_LABELS}; here: {len(topics)}."
        )
    if problems or not rows:
        listed = "\n".join(problems[:MOST_LISTED]) or f"{file.name}: empty_file It holds no row."
        more = f"\n… and {len(problems) - MOST_LISTED} more" if problems[MOST_LISTED:] else ""
        raise DataRefused(f"These labelled rows cannot be learned from:\n{listed}{more}")
    return TeamRows(
        tuple(row for row in rows.values() if row.label in set(Intent)),
        tuple(row for row in rows.values() if row.label in set(Sentiment)),
        tuple(row for row in rows.values() if row.label in topics),
    )


def _row(line: str) -> Row | str:
    """The row of a line, or its problem: a code and a message."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return "bad_json The line is not one JSON object."
    text, label = (value.get(key) if isinstance(value, dict) else None for key in ("text", "label"))
    if not isinstance(text, str) or not isinstance(label, str):
        return "no_label The line has no text `text` with a text `label`."
    text, label = text.strip(), " ".join(label.split())
    if not text or len(text) > LONGEST:
        return f"bad_text The text must have between 1 and {LONGEST:,} characters."
    if not label or len(label) > LONGEST_LABEL or not label.isprintable():
        return f"bad_label The label must have between 1 and {LONGEST_LABEL} characters that can be seen."
    return Row(text, label, OWN)
