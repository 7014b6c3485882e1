"""The network that reads syntax: the encoder's top layers with low-rank changes, a tagger and a biaffine parser.

The lower layers are the plain encoder's, so their pass is shared; the top ones branch off with changes of low rank (Hu
et al. 2021). A word is the mean of its pieces over a learned mixture of the branch's layers (Peters et al. 2018) beside
how it is written, read once in both directions; heads and relations are scored as by Dozat & Manning (2017).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from agent.syntax.tree import best_tree
from agent.syntax.words import BUCKETS, SHAPES
from retrieval.bert import Layer, Quick, for_short, is_short

FAR = -1e4  # a score that no head has, also in half precision


@dataclass(frozen=True, slots=True)
class Sizes:
    """layers: of the encoder that branch off. rank: of their changes. The rest: widths of what follows them."""

    tags: int
    relations: int
    layers: int = 3
    rank: int = 32
    written: int = 32
    shape: int = 16
    arc: int = 200
    relation: int = 80

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Batch:
    """Sentences padded to one length.

    states: (n, pieces, hidden) below the branch. pieces: (n, pieces), which are real. first, last: (n, words), the
    pieces of each word, half-open. words: (n, words), which are real. shapes: (n, words). grams: (n, words, GRAMS).
    """

    states: Tensor
    pieces: Tensor
    first: Tensor
    last: Tensor
    words: Tensor
    shapes: Tensor
    grams: Tensor


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a sentence: of each word its tag, its head (from 1; 0 is the root) and its relation to that."""

    tags: NDArray[np.int64]
    heads: NDArray[np.int64]
    relations: NDArray[np.int64]


class Changed(nn.Module):
    """A linear layer of the encoder with a change of low rank that is learned; its own weights stay.

    parts: how many products the layer holds (queries, keys and values: 3), each of which has a change of its own.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, source: nn.Linear, rank: int, parts: int = 1) -> None:
        super().__init__()
        self.rank, self.parts = rank, parts
        self.register_buffer("weight", source.weight.detach().float().cpu().clone(), persistent=False)
        self.register_buffer("bias", source.bias.detach().float().cpu().clone(), persistent=False)
        self.down = nn.Parameter(torch.randn(parts * rank, source.in_features) / source.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(source.out_features, rank))

    def forward(self, states: Tensor) -> Tensor:
        plain = functional.linear(states, self.weight, self.bias)
        low = functional.linear(states, self.down)
        low = low.view(*low.shape[:-1], self.parts, self.rank)
        return plain + torch.einsum("...pr,por->...po", low, self._ups).flatten(-2)

    @property
    def changed(self) -> Tensor:
        """The weights with the change added in."""
        change = self._ups @ self.down.view(self.parts, self.rank, -1)
        result: Tensor = (self.weight + change.flatten(0, 1)).detach()
        return result

    @property
    def _ups(self) -> Tensor:
        return self.up.view(self.parts, -1, self.rank)


class ChangedLayer(nn.Module):
    """One layer of the encoder whose products are changed; `folded` is the layer that serves."""

    def __init__(self, source: Layer, rank: int) -> None:
        super().__init__()
        self.heads = source.heads
        self.qkv = Changed(source.qkv, rank, 3)
        self.out, self.widen, self.narrow = (Changed(part, rank) for part in (source.out, source.widen, source.narrow))
        self.norm, self.last_norm = _frozen(source.norm), _frozen(source.last_norm)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        result: Tensor = Layer.forward(self, states, mask)  # type: ignore[arg-type]  # it has the parts of one
        return result

    def folded(self) -> Layer:
        dim, inner = self.out.weight.shape[0], self.widen.weight.shape[0]
        layer = Layer(dim, inner, self.heads, self.norm.eps)
        parts = {name: getattr(self, name) for name in ("qkv", "out", "widen", "narrow")}
        values = {f"{name}.weight": part.changed for name, part in parts.items()}
        values |= {f"{name}.bias": part.bias for name, part in parts.items()}
        for name in ("norm", "last_norm"):
            values |= {f"{name}.{kind}": value for kind, value in getattr(self, name).state_dict().items()}
        layer.load_state_dict(values)
        # lying so it need not be turned around each time
        for part in (layer.qkv, layer.out, layer.widen, layer.narrow):
            part.weight = nn.Parameter(part.weight.detach().t().contiguous().t())
        return layer.eval().requires_grad_(requires_grad=False)


class Network(nn.Module):
    """Scores of tags, heads and relations for each word. What it learned is its `state_dict`."""

    def __init__(self, blocks: Sequence[Layer], sizes: Sizes) -> None:
        """blocks: the encoder's layers; the top ones are copied, and all stay as they are."""
        super().__init__()
        hidden = int(blocks[0].out.out_features)
        self.sizes = sizes
        chosen = blocks[len(blocks) - sizes.layers :]
        self.layers = nn.ModuleList(ChangedLayer(each, sizes.rank) for each in chosen)
        self.quick: Quick | None = None  # those for short messages, once it serves
        self.mixture = nn.Parameter(torch.zeros(sizes.layers + 1))
        self.written = nn.Embedding(BUCKETS, sizes.written, padding_idx=0)
        self.shape = nn.Embedding(SHAPES, sizes.shape, padding_idx=0)
        self.reader = nn.LSTM(hidden + sizes.written + sizes.shape, hidden // 2, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(hidden)
        self.tagger = nn.Linear(hidden, sizes.tags)
        self.root = nn.Parameter(torch.zeros(hidden))
        self.arc_dependent, self.arc_head = nn.Linear(hidden, sizes.arc), nn.Linear(hidden, sizes.arc)
        self.arc = nn.Parameter(torch.zeros(sizes.arc + 1, sizes.arc))
        self.relation_dependent = nn.Linear(hidden, sizes.relation)
        self.relation_head = nn.Linear(hidden, sizes.relation)
        self.relation = nn.Parameter(torch.zeros(sizes.relation + 1, sizes.relations, sizes.relation + 1))
        self.light, self.heavy = nn.Dropout(0.15), nn.Dropout(0.33)
        nn.init.normal_(self.written.weight, std=0.3)

    def read(self, batch: Batch) -> Tensor:
        """The words in context, (n, words, hidden)."""
        return self.hear(self.heard(batch), batch)

    def heard(self, batch: Batch) -> Tensor:
        """What the states below and each of the branch's layers make of the words, (n, words, 1 + layers, hidden).

        Before any training it is what the encoder's own layers make of them.
        """
        mask = batch.pieces[:, None, None, :]
        return torch.stack([_means(each, batch.first, batch.last) for each in self.layered(batch.states, mask)], 2)

    def layered(self, states: Tensor, mask: Tensor | None) -> list[Tensor]:
        """What the branch's layers make of `states`, one after another, and first these. mask: as of `Layer`."""
        if self.quick is not None and is_short(states.shape[0] * states.shape[1]):
            return self.quick(states, mask)
        made = [states]
        for layer in self.layers:
            made.append(layer(made[-1], mask))
        return made

    def hear(self, heard: Tensor, batch: Batch) -> Tensor:
        """The words in context, of what the layers made of them. Of `batch` the states are not read."""
        pieces = self.light((heard * self.mixture.softmax(0)[:, None]).sum(2))
        counts = (batch.grams > 0).sum(-1, keepdim=True).clamp(min=1)
        written = self.written(batch.grams).sum(-2) / counts
        known = torch.cat([pieces, self.light(written), self.light(self.shape(batch.shapes))], -1)
        lengths = batch.words.sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(known, lengths, batch_first=True, enforce_sorted=False)
        around, _ = nn.utils.rnn.pad_packed_sequence(
            self.reader(packed)[0], batch_first=True, total_length=known.shape[1]
        )
        result: Tensor = self.norm(pieces + self.heavy(around))
        return result

    def said(self, batch: Batch) -> list[Said]:
        """What is said of each sentence. Call it in inference mode."""
        words = self.read(batch)
        tags = self.tags(words).argmax(-1).numpy()
        arcs = self.arcs(words, batch.words).log_softmax(-1).numpy()
        sizes = batch.words.sum(1).tolist()
        heads = np.zeros(tags.shape, np.int64)
        for row, size in enumerate(sizes):
            heads[row, :size] = best_tree(arcs[row, :size, : size + 1])
        relations = self.relations(words, torch.from_numpy(heads)).argmax(-1).numpy()
        return [Said(tags[row, :size], heads[row, :size], relations[row, :size]) for row, size in enumerate(sizes)]

    def tags(self, words: Tensor) -> Tensor:
        """(n, words, tags)."""
        scores: Tensor = self.tagger(self.heavy(words))
        return scores

    def arcs(self, words: Tensor, real: Tensor) -> Tensor:
        """How well each head fits each word, (n, words, 1 + words); head 0 is the root. real: (n, words)."""
        dependent = self.heavy(functional.gelu(self.arc_dependent(words)))
        head = self.heavy(functional.gelu(self.arc_head(self._rooted(words))))
        scores = functional.pad(dependent, (0, 1), value=1.0) @ self.arc @ head.transpose(1, 2)
        possible = functional.pad(real, (1, 0), value=True)[:, None, :].expand_as(scores).clone()
        possible[:, :, 1:] &= ~torch.eye(words.shape[1], dtype=torch.bool, device=words.device)
        result: Tensor = scores.masked_fill(~possible, FAR)
        return result

    def relations(self, words: Tensor, heads: Tensor) -> Tensor:
        """Scores of each word's relation to its head, (n, words, relations). heads: (n, words), 0 is the root."""
        dependent = self.heavy(functional.gelu(self.relation_dependent(words)))
        all_heads = self.heavy(functional.gelu(self.relation_head(self._rooted(words))))
        head = all_heads.gather(1, heads[..., None].expand(*heads.shape, all_heads.shape[-1]))
        dependent, head = (functional.pad(each, (0, 1), value=1.0) for each in (dependent, head))
        n, width, size = dependent.shape
        met = (dependent.reshape(-1, size) @ self.relation.reshape(size, -1)).view(n, width, -1, size)
        result: Tensor = (met @ head[..., None]).squeeze(-1)
        return result

    def _rooted(self, words: Tensor) -> Tensor:
        return torch.cat([self.root.expand(words.shape[0], 1, -1), words], 1)

    def learned(self) -> dict[str, Tensor]:
        """What training changed, in half precision."""
        return {name: value.detach().half().contiguous() for name, value in self._trained()}

    def take(self, learned: Mapping[str, Tensor]) -> "Network":
        """Take over what `learned` gave, ready to serve. Raises RuntimeError where it is another network's, or damaged.

        Whether shapes fit is found by `load_state_dict`, which raises the same.
        """
        known = {name for name, _ in self._trained()}
        if known != set(learned):
            raise RuntimeError(f"they lack {sorted(known - set(learned))} or have {sorted(set(learned) - known)} too")
        if broken := sorted(name for name, value in learned.items() if not bool(value.isfinite().all())):
            raise RuntimeError(f"{broken} hold numbers that are not finite")
        self.load_state_dict({name: value.float() for name, value in learned.items()}, strict=False)
        self.layers = nn.ModuleList(layer.folded() for layer in self.layers)  # type: ignore[operator]  # ChangedLayers
        self.quick = for_short(list(self.layers))
        return self.eval()

    def _trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        return ((name, value) for name, value in self.named_parameters() if value.requires_grad)


def _means(states: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Means of the pieces `first` to `last` of each word, (n, words, hidden); 0 where there are none."""
    sums = functional.pad(states.cumsum(1), (0, 0, 1, 0))
    size = (*first.shape, states.shape[-1])
    spans = sums.gather(1, last[..., None].expand(size)) - sums.gather(1, first[..., None].expand(size))
    return spans / (last - first).clamp(min=1)[..., None]


def _frozen(norm: nn.LayerNorm) -> nn.LayerNorm:
    copy = nn.LayerNorm(norm.weight.shape[0], eps=norm.eps, dtype=torch.float32)
    copy.load_state_dict({name: value.float().cpu() for name, value in norm.state_dict().items()})
    return copy.requires_grad_(requires_grad=False)
