"""The parts of the README that are written from the code: `python -m tests.readme` brings them up to date."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from connectors.settings import settings_table

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
ROOMS = {
    "retrieval": "the ground: documents to passages, passages to evidence; knows nothing of chat",
    "agent": "first floor: one message to one reply",
    "finetune": "the workshop: labelled rows to better parts",
    "connectors": "the doors: terminal, command line, settings, and where everything is joined",
}


def house() -> str:
    """One line a file, by room: its docstring's first sentence."""
    lines: list[str] = []
    for room, what in ROOMS.items():
        lines += [f"**`{room}/`** {what}", "", "| file | what it is |", "| --- | --- |"]
        lines += [f"| `{path.relative_to(ROOT / room)}` | {sentence} |" for path, sentence in sentences(ROOT / room)]
        lines.append("")
    return "\n".join(lines).strip()


def sentences(room: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(room.rglob("*.py"), key=lambda path: (len(path.parts), path)):
        text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        if text and path.name != "__init__.py":
            first = re.split(r"(?<=[.!?])\s+(?=[A-Z`])|\n\n", text, maxsplit=1)[0]
            yield path, " ".join(first.split()).rstrip(".").replace("|", "\\|")


def written(readme: str) -> str:
    """`readme` with its generated parts as they should be."""
    for name, content in (("settings", settings_table()), ("house", house())):
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        readme = re.sub(pattern, lambda found, text=content: f"{found[1]}{text}\n{found[2]}", readme, flags=re.DOTALL)
    return readme


if __name__ == "__main__":
    README.write_text(written(README.read_text("utf-8")), "utf-8")
