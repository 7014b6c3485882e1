"""Files that go with the words of a case, from one platform to the other."""

import base64
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from agent.events import File, Picture
from agent.secret_shapes import mask_secrets
from agent.visible import visible
from connectors.connector import Connector, ConnectorError

LARGEST = 8 * 1024 * 1024  # bytes of a file: they wait in the store until they are sent
MOST = 5  # files of one message


async def fetched(files: Sequence[File], connector: Connector | None) -> tuple[list[Picture], list[str]]:
    """The files of a message, to be handed over; and the names of those that cannot be."""
    found: list[Picture] = []
    lost: list[str] = []
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        for number, file in enumerate(files):
            path, name = Path(folder) / str(number), named(file)
            if connector is None or file.size > LARGEST or number >= MOST:
                lost.append(name)
                continue
            try:
                await connector.fetch(file, path)
                content = path.read_bytes()
            except (ConnectorError, OSError):
                lost.append(name)
                continue
            if 0 < len(content) <= LARGEST:
                found.append(Picture(content, name, name))
            else:
                lost.append(name)
    return found, lost


def named(file: File) -> str:
    """A file's name as it is shown: without folders, what is invisible, and keys."""
    return mask_secrets(visible(Path(file.name.replace("\\", "/")).name))[:120] or "file"


def packed(files: Sequence[File]) -> str:
    """Where files are, as one word; read by `unpacked`."""
    return base64.urlsafe_b64encode(json.dumps([asdict(each) for each in files]).encode()).decode() if files else ""


def unpacked(word: str) -> list[File]:
    return [File(**each) for each in json.loads(base64.urlsafe_b64decode(word))] if word else []
