"""The syntax network for a message: its sentences stand in one row, one after the other, and nothing is padded.

It says what `Network` says. A message's words are so few that each step costs its call and the fetching of its weights:
so products of the same input are one, weights lie in 16 bits where they can, and means are taken once, after mixing.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from agent.syntax.network import FAR, Batch, Network, Said
from agent.syntax.tree import best_tree
from retrieval.bert import for_short_of
from retrieval.encoder import SMALL

Array = NDArray[np.float32]


class Short:
    """Reads batches of few pieces as the network does that it was made of."""

    def __init__(self, network: Network) -> None:
        """network: ready to serve; its weights are taken as they are now."""
        self._network = network
        self._mixture = network.mixture.detach().softmax(0).tolist()
        self._reader = Reader(network.reader)
        sizes = network.sizes
        parts = (network.arc_dependent, network.relation_dependent, network.arc_head, network.relation_head)
        self._bent = [sizes.arc, sizes.relation, sizes.arc, sizes.relation]
        self._products = _together([*parts, network.tagger])
        scores = network.relation.detach()
        width, count = scores.shape[0], scores.shape[1]
        self._relation = for_short_of(_linear(scores.permute(1, 2, 0).reshape(count * width, width)))

    @staticmethod
    def fits(batch: Batch) -> bool:
        """Whether it takes less time than the network itself."""
        return int(batch.pieces.sum()) <= SMALL

    def __call__(self, batch: Batch) -> list[Said]:
        """What is said of each sentence. Call it in inference mode."""
        sizes = batch.words.sum(1).tolist()
        bent = sum(self._bent)
        words = self._words(batch, sizes)
        made = self._products(torch.cat([self._network.root.detach()[None], words]))
        tags = made[1:, bent:].argmax(-1).numpy()
        arc, relation, arc_head, relation_head = torch.split(functional.gelu(made[:, :bent]), self._bent, dim=1)
        scores = (functional.pad(arc[1:], (0, 1), value=1.0) @ self._network.arc @ arc_head.t()).numpy()
        found, heads, begin = [], [], 0
        for size in sizes:
            own = slice(begin, begin + size)
            arcs = np.concatenate([scores[own, :1], scores[own, begin + 1 : begin + size + 1]], axis=1)
            arcs[np.arange(size), np.arange(1, size + 1)] = FAR
            found.append(np.array(best_tree(arcs), dtype=np.int64))
            heads.append(np.where(found[-1] > 0, found[-1] + begin, 0))
            begin += size
        chosen = torch.from_numpy(np.concatenate(heads))
        dependent = functional.pad(relation[1:], (0, 1), value=1.0)
        head = functional.pad(relation_head[chosen], (0, 1), value=1.0)
        met = self._relation(dependent).view(len(words), -1, head.shape[1])
        relations = (met * head[:, None]).sum(-1).argmax(-1).numpy()
        ends = np.cumsum(sizes)[:-1]
        return [Said(*each) for each in zip(np.split(tags, ends), found, np.split(relations, ends), strict=True)]

    def _words(self, batch: Batch, sizes: Sequence[int]) -> Tensor:
        """The words in context, (all words, hidden)."""
        network = self._network
        lengths = batch.pieces.sum(1)
        sentence = torch.repeat_interleave(lengths)
        states = batch.states[batch.pieces][None]
        mask = None if len(sizes) == 1 else (sentence[:, None] == sentence)[None, None]
        made = network.layered(states, mask)
        mixed = self._mixture[0] * made[0]
        for each, share in zip(made[1:], self._mixture[1:], strict=True):
            mixed = torch.add(mixed, each, alpha=share)
        begins = (lengths.cumsum(0) - lengths)[:, None]
        first, last = ((each + begins)[batch.words] for each in (batch.first, batch.last))
        places = torch.arange(len(sentence))
        inside = ((places >= first[:, None]) & (places < last[:, None])).float()
        pieces = (inside / (last - first).clamp(min=1)[:, None]) @ mixed[0]
        grams = batch.grams[batch.words]  # what stands for no part has learned something too, and is summed
        written = functional.embedding_bag(grams, network.written.weight, mode="sum")
        written = written / (grams > 0).sum(1, keepdim=True).clamp(min=1)
        known = torch.cat([pieces, written, network.shape(batch.shapes[batch.words])], 1)
        read: Tensor = network.norm(pieces + self._reader(known, sizes))
        return read


class Reader:
    """An LSTM (Hochreiter & Schmidhuber 1997) read in both directions, one word of both at a time.

    torch's own takes twice as long for sentences one by one: each of its steps is as many calls as here, and larger.
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        size = lstm.hidden_size
        # sigmoid(x) = (1 + tanh(x / 2)) / 2, so one tanh bends all four gates
        halves = torch.tensor([0.5, 0.5, 1.0, 0.5]).repeat_interleave(size)
        order = torch.arange(4 * size).view(4, size)[[0, 1, 3, 2]].flatten()  # torch's candidate stands third
        inner, outer = [], []
        for way in ("", "_reverse"):
            given, kept = (getattr(lstm, f"weight_{each}_l0{way}").detach() for each in ("ih", "hh"))
            bias = (getattr(lstm, f"bias_ih_l0{way}") + getattr(lstm, f"bias_hh_l0{way}")).detach()
            outer.append(_linear((given * halves[:, None])[order], (bias * halves)[order]))
            inner.append(np.ascontiguousarray((kept * halves[:, None])[order].t().numpy()))
        self._size, self._given, self._kept = size, _together(outer), inner

    def __call__(self, known: Tensor, sizes: Sequence[int]) -> Tensor:
        """(all words, 2 * hidden_size) of (all words, input_size). sizes: of the sentences, in words."""
        size = self._size
        given = self._given(known).view(-1, 2, 4 * size).numpy()
        found = np.empty((len(given), 2, size), dtype=np.float32)
        gates, new = np.empty((2, 4 * size), dtype=np.float32), np.empty((2, size), dtype=np.float32)
        begin = 0
        for count in sizes:
            heard, cell = np.zeros((2, size), dtype=np.float32), np.zeros((2, size), dtype=np.float32)
            for k in range(count):
                places = (begin + k, begin + count - 1 - k)
                for way, place in enumerate(places):
                    np.dot(heard[way], self._kept[way], out=gates[way])
                    gates[way] += given[place, way]
                np.tanh(gates, out=gates)
                opened = gates[:, : 3 * size]
                opened *= 0.5
                opened += 0.5
                np.multiply(gates[:, :size], gates[:, 3 * size :], out=new)
                cell *= gates[:, size : 2 * size]
                cell += new
                np.tanh(cell, out=heard)
                heard *= gates[:, 2 * size : 3 * size]
                for way, place in enumerate(places):
                    found[place, way] = heard[way]
            begin += count
        return torch.from_numpy(found.reshape(len(found), 2 * size))


def _together(products: Sequence[nn.Linear]) -> nn.Module:
    """Products of the same input as one."""
    weight, bias = (torch.cat([getattr(each, kind) for each in products]) for kind in ("weight", "bias"))
    return for_short_of(_linear(weight, bias))


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    made.bias = nn.Parameter(torch.zeros(len(weight)) if bias is None else bias.detach().clone(), requires_grad=False)
    return made
