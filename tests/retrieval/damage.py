"""Ways in which files on a disk go wrong, and what the knowledge base makes of an index cache that did."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from tests.retrieval.knowing import opened, put_all

QUERIES = ("holiday custom 21", "the rule of country 70", "who may travel in May")
FOUND = list[tuple[int, str, float]]


def flip(path: Path, random: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[int(random.integers(len(content)))] ^= 1 << int(random.integers(8))
    path.write_bytes(content)


def cut(path: Path, random: np.random.Generator) -> None:
    path.write_bytes(path.read_bytes()[: int(random.integers(path.stat().st_size))])


def lengthen(path: Path, random: np.random.Generator) -> None:
    path.write_bytes(path.read_bytes() + random.bytes(int(random.integers(1, 9))))


def delete(path: Path, random: np.random.Generator) -> None:
    path.unlink()


def join(path: Path, random: np.random.Generator) -> None:
    path.with_name(f"stray{random.integers(1000)}").write_bytes(b"x")


def swap_halves(path: Path, random: np.random.Generator) -> None:
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[half:] + content[:half])


def to_folder(path: Path, random: np.random.Generator) -> None:
    path.unlink()
    path.mkdir()


MUTATORS: list[Callable[[Path, np.random.Generator], None]] = [
    flip,
    flip,
    flip,
    flip,
    cut,
    lengthen,
    delete,
    join,
    swap_halves,
    to_folder,
]


def answers(engine: Engine, folder: Path, notices: list[str]) -> list[FOUND]:
    """What a knowledge base that is opened on the cache in `folder`, and then closed, answers."""
    with opened(engine, folder, notice=notices.append) as base:
        found = [base.search(query, frozenset({"acme/everyone"}), 10) for query in QUERIES]
    return [[(each.id, each.text, each.score) for each in passages] for passages in found]


def fill(engine: Engine, folder: Path) -> list[FOUND]:
    """Store 60 documents, save the cache, and say what is answered from it."""
    with opened(engine, folder) as base:
        texts = (f"holiday rule {i} and the custom of country {i * 7}" for i in range(60))
        put_all(base, *((f"{i}.md", "acme/everyone", text) for i, text in enumerate(texts)))
    return answers(engine, folder, [])


def mutate_often(engine: Engine, folder: Path, count: int) -> list[str]:
    """Change a saved cache `count` times, each time as it was saved anew; what went unseen, or was answered otherwise.

    After each change a first opening must notice it, build the cache again and answer the same, and a second one must
    find nothing wrong any more.
    """
    expected = fill(engine, folder)
    wrong: list[str] = []
    for seed in range(count):
        random = np.random.default_rng(seed)
        mutate = MUTATORS[seed % len(MUTATORS)]
        files = sorted(path for kind in ("words", "vectors") for path in (folder / kind).iterdir())
        victim = files[int(random.integers(len(files)))]
        mutate(victim, random)
        notices: list[str] = []
        name = f"{mutate.__name__} of {victim.relative_to(folder)} ({seed})"
        if answers(engine, folder, notices) != expected:
            wrong.append(f"{name}: other answers")
        if len(notices) != 1:
            wrong.append(f"{name}: {len(notices)} notices")
        if answers(engine, folder, notices) != expected or len(notices) > 1:
            wrong.append(f"{name}: not mended")
    return wrong
