"""Sentences made ready for the syntax network: states below the branch kept once, then batches of like length."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.syntax.network import Batch, Network
from agent.syntax.words import GRAMS, covered, grams_of, shape_of
from finetune.syntax_data import Tree
from retrieval.encoder import TransformerEncoder

TOGETHER = 32  # sentences a pass of the lower layers
WORDS = 480  # of a batch in training, padding counted


@dataclass(frozen=True, slots=True)
class Labels:
    """tags, heads, relations: (n, words); -100 where there is no word."""

    tags: Tensor
    heads: Tensor
    relations: Tensor


@dataclass(frozen=True, slots=True)
class Prepared:
    """Trees with the states of their pieces. states: (all pieces, hidden) float16; starts: where each tree's begin.

    heard: (all words, 1 + layers, hidden) float16, what `Network.heard` gives of untrained layers; word_starts: as
    starts.
    """

    trees: tuple[Tree, ...]
    spans: tuple[tuple[tuple[int, int], ...], ...]
    states: NDArray[np.float16]
    starts: tuple[int, ...]
    heard: NDArray[np.float16] | None = None
    word_starts: tuple[int, ...] = ()

    def batch(self, chosen: Sequence[int]) -> Batch:
        trees = [self.trees[i] for i in chosen]
        sizes = [self.starts[i + 1] - self.starts[i] for i in chosen]
        n, wide, long = len(trees), max(sizes), max(len(tree.words) for tree in trees)
        states = np.zeros((n, wide, self.states.shape[1]), np.float32)
        pieces = np.zeros((n, wide), bool)
        first, last, shapes = (np.zeros((n, long), np.int64) for _ in range(3))
        grams = np.zeros((n, long, GRAMS), np.int64)
        words = np.zeros((n, long), bool)
        for row, (i, size) in enumerate(zip(chosen, sizes, strict=True)):
            states[row, :size] = self.states[self.starts[i] : self.starts[i] + size]
            pieces[row, :size] = True
            for k, (word, span) in enumerate(zip(self.trees[i].words, self.spans[i], strict=True)):
                first[row, k], last[row, k] = span
                shapes[row, k] = shape_of(word.text, is_first=k == 0)
                grams[row, k] = grams_of(word.text)
                words[row, k] = True
        return Batch(*map(torch.from_numpy, (states, pieces, first, last, words, shapes, grams)))

    def before(self, chosen: Sequence[int]) -> Tensor:
        """What untrained layers make of the words, (n, words, 1 + layers, hidden)."""
        assert self.heard is not None
        sizes = [len(self.trees[i].words) for i in chosen]
        found = np.zeros((len(chosen), max(sizes), *self.heard.shape[1:]), np.float32)
        for row, (i, size) in enumerate(zip(chosen, sizes, strict=True)):
            found[row, :size] = self.heard[self.word_starts[i] : self.word_starts[i] + size]
        return torch.from_numpy(found)

    def labels(self, chosen: Sequence[int], tags: dict[str, int], relations: dict[str, int]) -> Labels:
        """A label that is not known (the test set has some) is none."""
        long = max(len(self.trees[i].words) for i in chosen)
        made = [torch.full((len(chosen), long), -100) for _ in range(3)]
        for row, i in enumerate(chosen):
            tree = self.trees[i]
            values = (
                [tags.get(each, -100) for each in tree.tags],
                list(tree.heads),
                [relations.get(each, -100) for each in tree.relations],
            )
            for tensor, value in zip(made, values, strict=True):
                tensor[row, : len(value)] = torch.tensor(value)
        return Labels(*made)

    def batches(self, order: np.random.Generator | None = None, words: int = WORDS) -> Iterator[list[int]]:
        """Indexes of trees of like length; in an order of chance, or shortest first."""
        lengths = np.array([len(tree.words) for tree in self.trees], dtype=float)
        noise = 0.0 if order is None else order.uniform(-1.5, 1.5, len(lengths))
        groups: list[list[int]] = [[]]
        for i in np.argsort(lengths + noise, kind="stable"):
            if groups[-1] and (len(groups[-1]) + 1) * max(*(lengths[j] for j in groups[-1]), lengths[i]) > words:
                groups.append([])
            groups[-1].append(int(i))
        if order is not None:
            order.shuffle(groups)
        yield from groups


def prepare(
    trees: Sequence[Tree],
    encoder: TransformerEncoder,
    layers: int,
    cache: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> Prepared:
    """The states of `trees` below the encoder's top `layers`, read from `cache` where they were kept there before."""
    below = encoder.depth - layers
    file, mark = cache.with_suffix(".npy"), cache.with_suffix(".json")
    facts = {"encoder": encoder.id, "below": below, "trees": len(trees)}
    kept = json.loads(mark.read_text()) if mark.exists() else {}
    if {name: kept.get(name) for name in facts} != facts:
        spans, parts = [], []
        for begin in range(0, len(trees), TOGETHER):
            some = trees[begin : begin + TOGETHER]
            states = encoder.states([tree.text for tree in some], {below})
            spans += [covered(tree.words, states.offsets[i]) for i, tree in enumerate(some)]
            parts += [states.layers[below][i, : int(states.mask[i].sum())].astype(np.float16) for i in range(len(some))]
            if begin // TOGETHER % 40 == 0:
                progress(f"{begin:,} of {len(trees):,} sentences read")
        cache.parent.mkdir(parents=True, exist_ok=True)
        _heard(cache).unlink(missing_ok=True)  # it was made of other states
        np.save(file, np.concatenate(parts))
        kept = {**facts, "spans": spans, "starts": np.cumsum([0, *map(len, parts)]).tolist()}
        mark.write_text(json.dumps(kept))
    read = tuple(tuple((int(first), int(last)) for first, last in each) for each in kept["spans"])
    return Prepared(tuple(trees), read, np.load(file, mmap_mode="r"), tuple(kept["starts"]))


def hear(prepared: Prepared, network: Network, cache: Path, progress: Callable[[str], None]) -> Prepared:
    """The same with `heard`, by a network whose layers are untrained; read from `cache` where it was kept there."""
    starts = np.cumsum([0, *(len(tree.words) for tree in prepared.trees)])
    file = _heard(cache)
    if not file.exists():
        heard = np.empty((int(starts[-1]), len(network.layers) + 1, prepared.states.shape[1]), np.float16)
        done = 0
        with torch.inference_mode():
            for chosen in prepared.batches(words=1200):
                found = network.heard(prepared.batch(chosen)).numpy()
                for row, i in enumerate(chosen):
                    size = len(prepared.trees[i].words)
                    heard[starts[i] : starts[i] + size] = found[row, :size]
                if (done + len(chosen)) // 2000 > done // 2000:
                    progress(f"{done + len(chosen):,} of {len(prepared.trees):,} sentences heard")
                done += len(chosen)
        fresh = file.with_suffix(".new.npy")
        np.save(fresh, heard)
        fresh.replace(file)
    return replace(prepared, heard=np.load(file, mmap_mode="r"), word_starts=tuple(int(each) for each in starts))


def _heard(cache: Path) -> Path:
    return cache.with_suffix(".heard.npy")
