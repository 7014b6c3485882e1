"""What the knowledge base's tests share: a quick encoder, and ways to fill a store."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from retrieval.document import Document, Section
from retrieval.knowledge import KnowledgeBase
from retrieval.passage import Vectors
from retrieval.tokens import words

EVERYONE = frozenset({"acme/everyone"})


class HashingEncoder:
    """Bags of hashed words: texts that share words are near, at no cost. Counts what it was given."""

    def __init__(self, name: str = "hashing", dim: int = 64) -> None:
        self.id, self.dim, self.encoded = name, dim, 0

    def __call__(self, texts: Sequence[str]) -> Vectors:
        self.encoded += len(texts)
        rows = np.full((len(texts), self.dim), 1e-3, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in words(text):
                digest = hashlib.sha256(f"{self.id} {word}".encode()).digest()
                row[digest[0] % self.dim] += 1 if digest[1] & 1 else -1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def pieces(self, text: str) -> list[str]:
        return text.split()


@contextmanager
def opened(engine: Engine, folder: Path, encoder: object | None = None, **options: object) -> Iterator[KnowledgeBase]:
    base = KnowledgeBase(engine, folder, encoder or HashingEncoder(), **options)
    try:
        yield base
    finally:
        base.close()


def page(*paragraphs: str, title: str = "") -> Document:
    """A document with one section a paragraph."""
    return Document(title, tuple(Section(text, (f"Part {i}",)) for i, text in enumerate(paragraphs)))


def put(base: KnowledgeBase, source: str, *paragraphs: str, audience: str = "acme/everyone", **more: str) -> str:
    return put_all(base, (source, audience, *paragraphs), **more)[0]


def put_all(base: KnowledgeBase, *rows: tuple[str, ...], **more: str) -> list[str]:
    """Add documents in one go: (source, audience, paragraphs ...) each; their outcomes."""
    entries = []
    for source, audience, *paragraphs in rows:
        content_hash = hashlib.sha256(repr(paragraphs).encode()).hexdigest()
        entries.append(base.entry(source, page(*paragraphs), content_hash=content_hash, audience=audience, **more))
    return [outcome for _, outcome in base.add_all(entries)]


def sources(base: KnowledgeBase, query: str, audiences: frozenset[str] = EVERYONE, k: int = 5) -> list[str]:
    return [passage.source for passage in base.search(query, audiences, k)]
