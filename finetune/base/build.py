"""From data sets to token arrays: every source encoded and packed by several processes, each part written whole.

The training may start on the plain language while the conversations are still being packed.
"""

import json
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from finetune.base import reading, talk
from finetune.base.sources import documents, hash_of, held_out, rows
from finetune.base.tokenizer import WINDOW
from finetune.base.trees import Encoded, Tree, encoded, packed

HELD_OUT_SHARE = 40  # every 40th of SQuAD's training articles, by its title's hash, is kept for choosing thresholds
# Source -> how often it is packed anew with other distractors, orders and replies.
VARIANTS = {"read": 8, "gaps": 3, "own": 8, "ideas": 6, "instructed": 1, "support": 1, "conversations": 1}
PARTS = {"read": 8, "gaps": 8, "instructed": 2, "conversations": 3}
BY_PART = frozenset({"language", "read", "gaps"})  # the other sources are shuffled whole, then parted
FIELDS = ("ids", "positions", "seen", "kinds")


@dataclass(frozen=True, slots=True)
class Work:
    """One process's share: a part of a source in one variant."""

    source: str
    variant: int
    part: int
    parts: int
    data: Path
    tokenizer: Path
    out: Path
    seed: int


def build(data: Path, tokenizer: Path, out: Path, *, processes: int = 1, seed: int = 0, share: float = 1.0) -> None:
    """Write every source's arrays into `out`, with a marker `<name>.done` for each stage. share: of the variants."""
    out.mkdir(parents=True, exist_ok=True)
    of = partial(Work, data=data, tokenizer=tokenizer, out=out, seed=seed)
    language = [of("language", 0, part, processes) for part in range(processes)]
    held = [of(name, 0, 0, 1) for name in ("held_language", "held_read")]
    chats = [
        of(source, variant, part, PARTS.get(source, 1))
        for variant in range(max(VARIANTS.values()))
        for source, variants in VARIANTS.items()
        if variant < max(1, round(variants * share))
        for part in range(PARTS.get(source, 1))
    ]
    started = time.monotonic()
    if processes == 1:
        for work in (*language, *held):
            _run(work)
        _seal(out, "language")
        for work in chats:
            _run(work)
    else:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            chats_begun = None
            for _ in pool.imap_unordered(_run, (*language, *held)):
                pass
            _seal(out, "language")
            print(f"language: {time.monotonic() - started:.1f} s", flush=True)
            chats_begun = pool.imap_unordered(_run, chats)
            for _ in chats_begun:
                pass
    _seal(out, "chats")
    print(f"all sources: {time.monotonic() - started:.1f} s", flush=True)


def _seal(out: Path, name: str) -> None:
    (out / f"{name}.done").write_text("")


def load_rows(out: Path, source: str) -> dict[str, Any]:
    """A source's rows, all parts together: FIELDS to (rows, window + 1) int16; empty dict where there is none."""
    parts = [np.load(path) for path in sorted(out.glob(f"{source}-*.npz"))]
    return {name: np.concatenate([part[name] for part in parts]) for name in FIELDS} if parts else {}


def load_language(out: Path) -> Any:
    """The stream of all documents, (tokens,) int16."""
    return np.concatenate([np.load(path) for path in sorted(out.glob("language-*.npy"))])


def load_held_language(out: Path) -> dict[str, tuple[Any, int]]:
    """Set -> its held-out stream and the bytes of its text."""
    facts = json.loads((out / "held_language.json").read_text())
    return {name: (np.load(out / f"held_{name}.npy"), size) for name, size in facts.items()}


@cache
def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))


def _run(work: Work) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tokenizer = _tokenizer(work.tokenizer)
    end = tokenizer.token_to_id("<|endoftext|>")
    rng = random.Random(f"{work.seed} {work.source} {work.variant} {work.part if work.source in BY_PART else 0}")
    if work.source == "language":
        texts = [text for _, text in islice(documents(work.data), work.part, None, work.parts)]
        rng.shuffle(texts)
        _save(work.out / f"language-{work.part:02}.npy", _stream(texts, tokenizer, end))
        return
    if work.source == "held_language":
        by_set: dict[str, list[str]] = {}
        for name, text in held_out(work.data):
            by_set.setdefault(name, []).append(text)
        for name, texts in by_set.items():
            _save(work.out / f"held_{name}.npy", _stream(texts, tokenizer, end))
        sizes = {name: sum(len(text.encode()) for text in texts) for name, texts in by_set.items()}
        (work.out / "held_language.json").write_text(json.dumps(sizes))
        return
    trees = SOURCES[work.source](work, rng)
    rows_ = packed(_encoded(trees, tokenizer), WINDOW)
    if len(rows_.ids):
        path = work.out / f"{work.source}-{work.variant:02}-{work.part:02}.npz"
        with path.with_suffix(".tmp").open("wb") as file:
            np.savez(file, **{name: getattr(rows_, name).astype(np.int16) for name in FIELDS})
        path.with_suffix(".tmp").replace(path)


def _encoded(trees: Iterator[Tree], tokenizer: Any) -> Iterator[Encoded]:
    while some := list(islice(trees, 64)):
        yield from encoded(some, tokenizer, WINDOW)


def _stream(texts: Sequence[str], tokenizer: Any, end: int) -> Any:
    found: list[int] = []
    for start in range(0, len(texts), 256):
        for each in tokenizer.encode_batch_fast(texts[start : start + 256], add_special_tokens=False):
            found += [*each.ids, end]
    return np.array(found, dtype=np.int16)


def _save(path: Path, array: Any) -> None:
    with path.with_suffix(".tmp").open("wb") as file:
        np.save(file, array)
    path.with_suffix(".tmp").replace(path)


def is_held_out(title: str) -> bool:
    return hash_of(title) % HELD_OUT_SHARE == 0


def _read(work: Work, rng: random.Random) -> Iterator[Tree]:
    known = [article for article in reading.articles(work.data) if not is_held_out(article.title)]
    for article in known[work.part :: work.parts]:
        yield from reading.questions_asked(article, known, rng)


def _held_read(work: Work, rng: random.Random) -> Iterator[Tree]:
    known = [article for article in reading.articles(work.data) if is_held_out(article.title)]
    for article in known:
        yield from reading.questions_asked(article, known, rng)


@cache
def _encyclopedia(data: Path) -> list[dict[str, Any]]:
    return list(rows(data, "text_enwiki/train"))


def _gaps(work: Work, rng: random.Random) -> Iterator[Tree]:
    found = _encyclopedia(work.data)[work.part :: work.parts]
    others = [text.split("\n")[0][:900] for text in (row["text"] for row in found[::7]) if len(text) > 200]
    for row in found:
        tree = reading.gaps(row["title"], row["text"], others, rng)
        if tree is not None:
            yield tree


SOURCES: dict[str, Callable[[Work, random.Random], Iterator[Tree]]] = {
    "read": _read,
    "held_read": _held_read,
    "gaps": _gaps,
    "own": lambda work, rng: talk.own(work.data, rng),
    "ideas": lambda work, rng: talk.ideas(work.data, rng),
    "instructed": lambda work, rng: islice(talk.instructed(work.data, rng), work.part, None, work.parts),
    "support": lambda work, rng: talk.support(work.data, rng),
    "conversations": lambda work, rng: islice(talk.conversations(work.data, rng), work.part, None, work.parts),
}
