"""The vectors of ideas, made once each: a board is looked at far more often than it grows."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from agent.ideation.board import Idea
from retrieval.encoder import Encoder
from retrieval.passage import Vectors

KEPT = 20_000  # vectors, 30 MB of them


class IdeaVectors:
    """Embeddings by text, kept in memory under its digest. Thread-safe."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Vectors] = OrderedDict()

    @property
    def encoder(self) -> Encoder:
        return self._encoder

    def __call__(self, ideas: Sequence[Idea]) -> Vectors:
        """(n, dim), in the order given; (0, dim) for none."""
        return self.texts([each.text for each in ideas])

    def texts(self, texts: Sequence[str]) -> Vectors:
        keys = [hashlib.sha256(each.encode(errors="surrogatepass")).digest() for each in texts]
        with self._lock:
            known = {key: self._kept[key] for key in keys if key in self._kept}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            known |= dict(zip(missing, self._encoder(list(missing.values())), strict=True))
        with self._lock:
            for key in keys:
                self._kept[key] = known[key]
                self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        if not texts:
            return np.empty((0, self._encoder.dim), np.float32)
        return np.stack([known[key] for key in keys])
