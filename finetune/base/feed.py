"""Rows for the training: every source on the device, read in a seeded order that a stopped run takes up again."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from finetune.base.build import FIELDS, load_language, load_rows
from finetune.base.tokenizer import WINDOW
from finetune.base.trees import PLAIN


@dataclass(frozen=True, slots=True)
class Batch:
    """All (rows, window + 1) int64."""

    ids: Tensor
    positions: Tensor
    seen: Tensor
    kinds: Tensor


@dataclass(slots=True)
class Feed:
    """The sources in `folder`, as `finetune.base.build` wrote them. read: rows taken of each so far."""

    folder: Path
    device: str
    seed: int
    read: dict[str, int] = field(default_factory=dict)
    _language: Tensor | None = None
    _rows: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    _orders: dict[tuple[str, int], Tensor] = field(default_factory=dict)

    def wait(self, name: str, seconds: float = 600.0) -> None:
        """Until `name` ("language", "chats") is built whole. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while not (self.folder / f"{name}.done").exists():
            if time.monotonic() > until:
                raise TimeoutError(f"{name} was not built within {seconds:.0f} seconds.")
            time.sleep(0.2)

    def batch(self, step: int, rows: int, mixture: Mapping[str, float]) -> Batch:
        """`rows` rows of step number `step`: how many of each source is drawn by the mixture's weights.

        Sources that are not there are left out.
        """
        names = sorted(name for name, weight in mixture.items() if weight > 0 and self._holds(name))
        weights = np.array([mixture[name] for name in names])
        counts = np.random.default_rng([self.seed, step]).multinomial(rows, weights / weights.sum())
        parts = [self._take(name, int(count)) for name, count in zip(names, counts, strict=True) if count]
        return Batch(*(torch.cat([getattr(part, name) for part in parts]) for name in FIELDS))

    def size(self, source: str) -> int:
        """Rows of a source."""
        if source == "language":
            return (len(self._stream()) - WINDOW - 1) // WINDOW - 1
        return len(self._arrays(source)["ids"])

    def _holds(self, source: str) -> bool:
        return source in self.read or any(self.folder.glob(f"{source}-*.np[yz]"))

    def _take(self, source: str, count: int) -> Batch:
        chosen = []
        while count:
            size, read = self.size(source), self.read.get(source, 0)
            epoch, at = divmod(read, size)
            some = min(count, size - at)
            chosen.append((epoch, self._order(source, epoch)[at : at + some]))
            self.read[source] = read + some
            count -= some
        if source == "language":
            parts = [self._plain(epoch, rows) for epoch, rows in chosen]
            return Batch(*(torch.cat([getattr(part, name) for part in parts]) for name in FIELDS))
        rows = torch.cat([rows for _, rows in chosen])
        arrays = self._arrays(source)
        return Batch(*(arrays[name][rows].long() for name in FIELDS))

    def _order(self, source: str, epoch: int) -> Tensor:
        key = source, epoch
        if key not in self._orders:
            self._orders = {known: order for known, order in self._orders.items() if known[0] != source}
            rng = np.random.default_rng([self.seed, epoch, *source.encode()])
            self._orders[key] = torch.from_numpy(rng.permutation(self.size(source))).to(self.device)
        return self._orders[key]

    def _plain(self, epoch: int, rows: Tensor) -> Batch:
        """Rows of the stream, cut elsewhere in every epoch; a document sees itself alone."""
        offset = int(np.random.default_rng([self.seed, epoch]).integers(WINDOW))
        steps = torch.arange(WINDOW + 1, device=self.device)
        ids = self._stream()[(rows * WINDOW + offset)[:, None] + steps].long()
        return plain(ids)

    def _stream(self) -> Tensor:
        if self._language is None:
            self._language = torch.from_numpy(load_language(self.folder)).to(self.device)
        return self._language

    def _arrays(self, source: str) -> dict[str, Tensor]:
        if source not in self._rows:
            loaded: dict[str, Any] = load_rows(self.folder, source)
            self._rows[source] = {name: torch.from_numpy(array).to(self.device) for name, array in loaded.items()}
        return self._rows[source]


def plain(ids: Tensor) -> Batch:
    """Rows of a stream of documents, (rows, length) int64, each document its own tree from its first token on."""
    begins = torch.zeros_like(ids, dtype=torch.bool)
    begins[:, 1:] = ids[:, :-1] == 0  # END_OF_TEXT has id 0
    places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    first = torch.where(begins, places, 0).cummax(dim=1).values
    return Batch(ids, places - first, begins.long().cumsum(dim=1) * 64, torch.full_like(ids, PLAIN))
