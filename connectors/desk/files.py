"""Files that come with a message: read for that conversation only, or said to be unreadable."""

import asyncio
import tempfile
from pathlib import Path

from agent.events import File, Post
from connectors.connector import Connector, Refused
from connectors.desk.access import own_audience
from connectors.desk.texts import say
from retrieval.errors import UnreadableFile
from retrieval.files import sha256_of
from retrieval.knowledge import KnowledgeBase
from retrieval.loading import load

LARGEST = 20 * 1024 * 1024  # bytes; Telegram gives bots no more either


async def read_files(post: Post, connector: Connector, knowledge: KnowledgeBase, person: str) -> list[str]:
    """Put the files of a post into the knowledge base for its channel; one sentence about each.

    Doing it again changes nothing: an equal file under an equal name is known. Raises StoreError.
    """
    return [await _read(file, post, connector, knowledge, person) for file in post.files]


async def _read(file: File, post: Post, connector: Connector, knowledge: KnowledgeBase, person: str) -> str:
    name = Path(file.name).name or "file"
    if file.size > LARGEST:
        reason = f"it has {file.size / 1e6:.0f} MB, and {LARGEST / 1e6:.0f} MB is the most."
        return say(post.language, "file_unread", name=name, reason=reason)
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        path = Path(folder) / name
        try:
            await connector.fetch(file, path)
            await asyncio.to_thread(_keep, path, post, knowledge, person)
        except (UnreadableFile, Refused) as error:
            return say(post.language, "file_unread", name=name, reason=str(error).replace(f"{folder}/", ""))
    return say(post.language, "file_read", name=name)


def _keep(path: Path, post: Post, knowledge: KnowledgeBase, person: str) -> None:
    place = post.place
    audience = own_audience(place)
    source = f"chat/{audience.rpartition('-')[2]}/{path.name}"
    knowledge.add(source, load(path), content_hash=sha256_of(path), audience=audience, author=person)
