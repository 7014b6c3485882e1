"""How far the training is, on text it never sees: bits per byte of plain language, and answers read word by word."""

from collections.abc import Iterator
from math import log
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from finetune.base.build import FIELDS, load_held_language, load_rows
from finetune.base.feed import Batch, plain
from finetune.base.model import Starter, dense_mask
from finetune.base.tokenizer import WINDOW
from finetune.base.trees import READ

ROWS = 16  # of each set while it trains


@torch.no_grad()
def held_language(model: Starter, work: Path, dtype: torch.dtype, rows: int = ROWS) -> dict[str, float]:
    """Set -> bits per byte over its first rows."""
    device = next(model.parameters()).device
    found = {}
    for name, (stream, size) in load_held_language(work).items():
        whole = max(1, min(rows, (len(stream) - 1) // WINDOW))
        length = min(WINDOW, len(stream) - 1)
        ids = np.stack([stream[i * length : (i + 1) * length + 1] for i in range(whole)]).astype(np.int64)
        losses = 0.0
        for batch in _parts(plain(torch.from_numpy(ids).to(device))):
            losses += float(_losses(model, batch, dtype)[0].sum())
        found[f"bits {name}"] = losses / log(2) / (size * whole * length / len(stream))
    return found


@torch.no_grad()
def held_reading(model: Starter, work: Path, dtype: torch.dtype, rows: int = ROWS) -> dict[str, float]:
    """Of questions on held-out articles: how many replies are right in every token (given the ones before), by kind."""
    device = next(model.parameters()).device
    arrays = load_rows(work, "held_read")
    if not arrays:
        return {}
    right: dict[bool, list[bool]] = {True: [], False: []}
    taken = {name: torch.from_numpy(array[:rows].astype(np.int64)).to(device) for name, array in arrays.items()}
    refusal = _refusals(arrays)
    for batch in _parts(Batch(*(taken[name] for name in FIELDS))):
        _, guesses = _losses(model, batch, dtype)
        hits = (guesses == batch.ids[:, 1:]).cpu().numpy()
        said, seen, ids = (
            batch.kinds[:, 1:].cpu().numpy() == READ,
            batch.seen[:, 1:].cpu().numpy(),
            batch.ids[:, 1:].cpu().numpy(),
        )
        for row in range(len(ids)):
            for branch in np.unique(seen[row][said[row]]):
                tokens = said[row] & (seen[row] == branch)
                right[bytes(ids[row][tokens][:3].tobytes()) in refusal].append(bool(hits[row][tokens].all()))
    return {
        "answers right": float(np.mean(right[False] or [False])),
        "refusals right": float(np.mean(right[True] or [False])),
    }


def _refusals(arrays: dict[str, np.ndarray]) -> set[bytes]:
    """The first three tokens that begin a reply most often: the refusal's."""
    counts: dict[bytes, int] = {}
    for ids, kinds in zip(arrays["ids"][:, :], arrays["kinds"], strict=True):
        starts = np.flatnonzero((kinds[1:] == READ) & (kinds[:-1] != READ)) + 1
        for start in starts:
            key = ids[start : start + 3].astype(np.int64).tobytes()
            counts[key] = counts.get(key, 0) + 1
    return {max(counts, key=lambda key: counts[key])} if counts else set()


def _parts(batch: Batch, size: int = 8) -> Iterator[Batch]:
    for at in range(0, len(batch.ids), size):
        yield Batch(*(getattr(batch, name)[at : at + size] for name in FIELDS))


def _losses(model: Starter, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cross-entropy (rows, length) and the likeliest next token of every place."""
    hidden = model.hidden(batch.ids[:, :-1], batch.positions[:, :-1], dense_mask(batch.seen[:, :-1]), dtype)
    logits = model.logits(hidden).float()
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch.ids[:, 1:].flatten(), reduction="none")
    return losses.view(batch.ids[:, 1:].shape), logits.argmax(-1)
