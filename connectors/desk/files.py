"""Files that come with a message: read for that conversation only, or said to be unreadable."""

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from agent.events import File, Post
from agent.secret_shapes import mask_secrets
from agent.visible import visible
from connectors.connector import Connector, Refused, Unsure
from connectors.desk.access import own_audience
from connectors.desk.texts import say
from retrieval.errors import UnreadableFile
from retrieval.files import sha256_of
from retrieval.knowledge import KnowledgeBase
from retrieval.loading import load

_READING = ThreadPoolExecutor(1, thread_name_prefix="files")  # one after the other: answers need the cores
LARGEST = 20 * 1024 * 1024  # bytes; Telegram gives bots no more either
# What cannot be read yet, by the name: then nothing is fetched, and the sentence says what to do.
PICTURES = frozenset(".jpg .jpeg .png .gif .webp .heic .heif .bmp .tif .tiff .svg".split())
SOUNDS = frozenset(".ogg .oga .opus .mp3 .wav .m4a .aac .flac .mp4 .m4v .mov .mkv .webm .avi".split())


async def read_files(post: Post, connector: Connector, knowledge: KnowledgeBase, person: str) -> list[str]:
    """Put the files of a post into the knowledge base for its channel; one sentence about each.

    Doing it again changes nothing: an equal file under an equal name is known. Raises StoreError.
    """
    return [await _read(file, post, connector, knowledge, person) for file in post.files]


async def _read(file: File, post: Post, connector: Connector, knowledge: KnowledgeBase, person: str) -> str:
    name = mask_secrets(visible(Path(file.name).name))[:200] or "file"
    kind = Path(name).suffix.lower()
    if kind in PICTURES or kind in SOUNDS:
        return say(post.language, "file_picture" if kind in PICTURES else "file_sound", name=name)
    if file.size > LARGEST:
        size, limit = f"{file.size / 2**20:.0f}", LARGEST // 2**20
        return say(post.language, "file_large", name=name, size=size, limit=limit)
    with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
        path = Path(folder) / f"file{Path(name).suffix[:16]}"  # the name is a person's choice, and may be no file's
        try:
            await connector.fetch(file, path)
            await asyncio.get_running_loop().run_in_executor(_READING, _keep, path, name, post, knowledge, person)
        except Unsure:
            return say(post.language, "file_lost", name=name)
        except (UnreadableFile, Refused) as error:
            return say(
                post.language,
                "file_unread",
                name=name,
                reason=str(error).replace(str(path), name).replace(path.name, name),
            )
    return say(post.language, "file_read", name=name)


def _keep(path: Path, name: str, post: Post, knowledge: KnowledgeBase, person: str) -> None:
    place = post.place
    audience = own_audience(place)
    source = f"chat/{audience.rpartition('-')[2]}/{name[:200]}"
    document = load(path)
    if document.title == path.stem:
        document = replace(document, title=Path(name).stem)
    knowledge.add(source, document, content_hash=sha256_of(path), audience=audience, author=person)
