"""Chat files as people write them, for the tests of training data."""

import json
from collections.abc import Sequence
from pathlib import Path

from finetune.examples.problems import Code, Read


def chat(*texts: str, system: str = "", **more: object) -> dict[str, object]:
    """A row: texts by user and assistant in turns."""
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    return {"messages": [{"role": "system", "content": system}, *messages] if system else messages} | more


def write(path: Path, rows: Sequence[object]) -> Path:
    """A file of JSON lines; bytes and text stand in it as they are."""
    lines = [
        row if isinstance(row, bytes) else row.encode() if isinstance(row, str) else json.dumps(row).encode()
        for row in rows
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def codes(read: Read) -> list[tuple[str, Code]]:
    """Each problem's place and code."""
    return [(problem.place, problem.code) for problem in read.problems]
