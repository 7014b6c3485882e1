"""Integrated gradients by Captum on a head's logits: what leaving words out is compared with in `bench_explain`.

Sundararajan et al. 2017, with Captum's own number of steps, from a text whose words are all padding. Only the embedding
is followed: of the hashed n-grams and the surface features that a head reads too, no gradient reaches a word.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from agent.explain import Span
from agent.head import Head
from retrieval.bert import Bert
from retrieval.encoder import TransformerEncoder


class Gradients:
    """How much each part of a text speaks for a label, by the gradient of the label's logit."""

    def __init__(self, encoder: TransformerEncoder) -> None:
        """Raises ImportError where Captum is not installed (`pip install "atelier[compare]"`)."""
        self._method: Any = importlib.import_module("captum.attr").IntegratedGradients  # it comes without types
        bert = encoder._loaded.states
        assert isinstance(bert, Bert)
        self._bert, self._cut, self._padding = bert, encoder._loaded.cut, encoder._loaded.pad

    def weigh(self, head: Head, text: str, parts: Sequence[Span], label: str) -> NDArray[np.float64]:
        """What each of `parts` adds to the logit of `label`, (parts,)."""
        rows, offsets = self._cut([text])
        words = self._bert.words[torch.tensor(rows)].float()
        empty = words.clone()
        empty[:, 1:-1] = self._bert.words[self._padding].float()  # the marks of begin and end stay
        weights = torch.from_numpy(head.linear.weights[: words.shape[2]])

        def logits(states: Tensor) -> Tensor:
            states = self._bert.norm(states + self._bert.kind + self._bert.places[: states.shape[1]])
            for layer in self._bert.layers:
                states = layer(states, None)
            return normalize(states.mean(1), dim=-1) @ weights

        found = self._method(logits).attribute(words, empty, target=head.labels.index(label))
        pieces = found.sum(-1)[0].detach().double().numpy()
        starts = [(begin, i) for i, (begin, end) in enumerate(offsets[0]) if end > begin]
        return np.array([sum(pieces[i] for begin, i in starts if low <= begin < high) for low, high in parts])
