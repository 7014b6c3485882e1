"""Train a task's own upper layers on states of the shared lower ones, and the linear head that reads them.

The lower layers never change, so what they make of a text is computed once and kept in half precision: an epoch costs
the upper layers alone. Training begins where logistic regression on the frozen embedding ends, not at random weights
(Kumar et al. 2022), with AdamW, a smaller rate for lower layers, label smoothing and, for few rows, a supervised
contrastive term (Khosla et al. 2020), which is what makes SetFit learn from so few.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from agent.branches import Branch
from agent.head import probabilities
from retrieval.encoder import LayeredEncoder
from retrieval.passage import Vectors

READ = 256  # texts between two words of progress
CALM = 64  # batches whose rows are shuffled together before they are sorted by length
OF_A_CLASS = 4  # rows a label in a step that contrasts
PROBE_L2 = 1e-4  # of the head that training begins at: a softer one leaves the layers something to learn
SHARES, TEMPERATURES = tuple(np.linspace(0, 1, 11).tolist()), np.geomspace(0.2, 10.0, 80)
Logits = NDArray[np.float32]
Progress = Callable[[int, int, float], None]  # step, of steps, loss


@dataclass(frozen=True, slots=True)
class BranchRecipe:
    """How a branch is trained. rate: of the last layer; each lower one learns `decay_by_layer` times as fast."""

    layers: int = 2
    epochs: float = 4.0
    rows: int = 32  # a step
    rate: float = 2e-4
    decay_by_layer: float = 0.8
    head_rate: float = 5e-3
    weight_decay: float = 0.01
    warmup: float = 0.1  # of the steps
    smoothing: float = 0.05
    dropout: float = 0.1  # of the pooled embedding
    contrast: float = 0.0  # weight of the contrastive term
    closeness: float = 0.1  # its temperature
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Cached:
    """Texts as a branch reads them. states: (pieces of all, dim); ends: (n + 1,), where each text's begin and end.

    embeddings: (n, dim), the plain ones of the same pass.
    """

    start: int
    states: NDArray[np.float16]
    ends: NDArray[np.int64]
    embeddings: Vectors

    def __len__(self) -> int:
        return len(self.ends) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.ends)

    def batch(self, rows: Sequence[int] | NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        """States, (n, width, dim) in single precision, and their mask, (n, width)."""
        lengths = self.lengths[rows]
        mask = np.arange(lengths.max()) < lengths[:, None]
        states = np.zeros((*mask.shape, self.states.shape[1]), dtype=np.float32)
        for i, row in enumerate(rows):
            states[i, : lengths[i]] = self.states[self.ends[row] : self.ends[row + 1]]
        return torch.from_numpy(states), torch.from_numpy(mask)

    def joined(self, rows: Sequence[int] | NDArray[np.intp]) -> tuple[Tensor, list[int]]:
        """States of one text after the other without padding, (1, pieces, dim), and how many are whose."""
        parts = [self.states[self.ends[row] : self.ends[row + 1]] for row in rows]
        return torch.from_numpy(np.concatenate(parts).astype(np.float32))[None], list(map(len, parts))

    def chosen(self, rows: Sequence[int] | NDArray[np.intp]) -> "Cached":
        """Some of the texts, in the order given."""
        parts = [self.states[self.ends[row] : self.ends[row + 1]] for row in rows]
        ends = np.cumsum([0, *map(len, parts)])
        return Cached(self.start, np.concatenate(parts), ends, self.embeddings[rows])


def read(
    encoder: LayeredEncoder, texts: Sequence[str], starts: Collection[int], progress: Callable[[int], None]
) -> dict[int, Cached]:
    """What the encoder's layers `starts` make of `texts`: for each of them, ready to train on."""
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # like lengths share a pass
    parts: dict[int, dict[int, NDArray[np.float16]]] = {start: {} for start in starts}
    embeddings = np.empty((len(texts), encoder.dim), dtype=np.float32)
    for at in range(0, len(order), READ):
        chosen = order[at : at + READ]
        given = encoder.states([texts[i] for i in chosen], starts)
        embeddings[chosen] = given.embeddings
        for start in starts:
            for place, i in enumerate(chosen):
                parts[start][i] = given.layers[start][place][given.mask[place]].astype(np.float16)
        progress(min(at + READ, len(order)))
    found = {}
    for start in starts:
        inner = [parts[start][i] for i in range(len(texts))]
        found[start] = Cached(start, np.concatenate(inner), np.cumsum([0, *map(len, inner)]), embeddings)
    return found


@dataclass(frozen=True, slots=True)
class Trained:
    """A branch and its head: logits are the branch's unit embedding times `weights`, (dim, labels), plus `bias`."""

    branch: Branch
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, vectors: Vectors) -> Logits:
        result: Logits = vectors @ self.weights + self.bias
        return result


def embed(branch: Branch, cached: Cached, rows: int = 64) -> Vectors:
    """The branch's embedding of each text, (n, dim), unit rows."""
    vectors = np.empty_like(cached.embeddings)
    order = np.argsort(cached.lengths, kind="stable")
    first = next(branch.layers.parameters())  # of a loaded branch, kind and device are the encoder's
    with torch.inference_mode():
        for at in range(0, len(order), rows):
            chosen = order[at : at + rows]
            states, mask = cached.batch(chosen)
            states, mask = states.to(first), mask.to(first.device)
            made = branch.forward(states, mask).float() * mask[:, :, None]
            vectors[chosen] = functional.normalize(made.sum(1), dim=-1).cpu().numpy()
    return vectors


def _pooled(branch: Branch, states: Tensor, lengths: list[int]) -> Tensor:
    """What `embed` gives, of texts as `Cached.joined` has them: of unlike lengths, it trains in two thirds the time."""
    states = states.to(next(branch.layers.parameters()).device)
    for layer in branch.layers:
        states = layer(states, None, lengths)
    return functional.normalize(torch.stack([text.sum(0) for text in torch.split(states[0], lengths)]), dim=-1)


def targets_of(labels: Sequence[str | None], known: Sequence[str]) -> NDArray[np.float32]:
    """(n, known): 1 at the row's label; a row without one has the same of each."""
    doubt = 1 / len(known)
    wanted = [[doubt if label is None else float(label == one) for one in known] for label in labels]
    return np.array(wanted, dtype=np.float32)


def probe(
    vectors: Vectors, targets: NDArray[np.float32], share: NDArray[np.float32], l2: float = PROBE_L2
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logistic regression by L-BFGS: weights, (dim, labels), and bias. share: each row's weight, adding up to 1."""
    inputs, wanted, weight = torch.from_numpy(vectors), torch.from_numpy(targets), torch.from_numpy(share)[:, None]
    weights, bias = torch.zeros(inputs.shape[1], wanted.shape[1]), torch.zeros(wanted.shape[1])
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        logs = torch.log_softmax(inputs @ weights + bias, dim=1)
        excess = weight * (logs.exp() - wanted)
        weights.grad, bias.grad = inputs.T @ excess + 2 * l2 * weights, excess.sum(0)
        return l2 * (weights**2).sum() - (weight * wanted * logs).sum()

    optimizer.step(loss)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return weights.numpy(), bias.numpy()


def even(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """A weight for each row, adding up to 1, that lets every label weigh the same; rows in doubt weigh as one label."""
    sure = targets.max(axis=1) > 0.5
    of = np.where(sure, targets.argmax(axis=1), targets.shape[1])
    counts = np.bincount(of, minlength=targets.shape[1] + 1)
    share = 1 / counts[of]
    result: NDArray[np.float32] = (share / share.sum()).astype(np.float32)
    return result


def train_branch(
    branch: Branch,
    cached: Cached,
    targets: NDArray[np.float32],
    recipe: BranchRecipe,
    share: NDArray[np.float32] | None = None,
    progress: Progress = lambda _step, _steps, _loss: None,
) -> Trained:
    """Train a copy of `branch` on `cached`, which its start must be read at.

    targets: (n, labels), rows that add up to 1. share: each row's weight (all alike). progress: step, of steps, loss.
    """
    if cached.start != branch.start:
        raise ValueError(f"these states are those of layer {cached.start}, and the branch reads layer {branch.start}")
    trained = branch.trainable()
    layers = [list(layer.parameters()) for layer in trained.layers]
    weights, bias = descend(
        lambda rows: _pooled(trained, *cached.joined(rows)), layers, cached, targets, recipe, share, progress
    )
    trained.layers.requires_grad_(requires_grad=False)
    return Trained(trained, weights, bias)


def descend(
    pooled: Callable[[NDArray[np.intp]], Tensor],
    layers: Sequence[Sequence[Tensor]],
    cached: Cached,
    targets: NDArray[np.float32],
    recipe: BranchRecipe,
    share: NDArray[np.float32] | None = None,
    progress: Progress = lambda _step, _steps, _loss: None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Train what `pooled` makes of rows, (rows, dim), and the head on it, whose weights and bias are given back.

    layers: what is trained, the lowest first. Of `cached` the embeddings and the lengths are read; `pooled` is given
    the rows of a step, the shortest first.
    """
    if not len(cached):
        raise ValueError("there are no rows to learn from")
    share = np.full(len(cached), 1 / len(cached), dtype=np.float32) if share is None else share
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    device = layers[0][0].device
    begun = probe(cached.embeddings, targets, share)
    weights, bias = (torch.from_numpy(part).to(device).requires_grad_() for part in begun)
    steps = max(1, round(recipe.epochs * len(cached) / recipe.rows))
    optimizer = _optimizer(layers, weights, bias, recipe)
    warm = max(1, round(recipe.warmup * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
    )
    wanted, weight = torch.from_numpy(targets).to(device), torch.from_numpy(share * len(share)).to(device)
    learned = [*(each for layer in layers for each in layer), weights, bias]
    for step, chosen in zip(range(steps), _steps(cached, targets, recipe, rng), strict=False):
        ordered = chosen[np.argsort(cached.lengths[chosen], kind="stable")]
        vectors = pooled(ordered)
        logits = functional.dropout(vectors, recipe.dropout) @ weights + bias
        soft = wanted[ordered] * (1 - recipe.smoothing) + recipe.smoothing / wanted.shape[1]
        loss = (weight[ordered] * functional.cross_entropy(logits, soft, reduction="none")).mean()
        if recipe.contrast:
            loss = loss + recipe.contrast * contrastive(vectors, wanted[ordered], recipe.closeness)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        progress(step + 1, steps, float(loss.detach()))
    return weights.detach().cpu().numpy(), bias.detach().cpu().numpy()


def _optimizer(
    layers: Sequence[Sequence[Tensor]], weights: Tensor, bias: Tensor, recipe: BranchRecipe
) -> torch.optim.AdamW:
    groups = []
    for i, layer in enumerate(layers):
        rate = recipe.rate * recipe.decay_by_layer ** (len(layers) - 1 - i)
        matrices = [each for each in layer if each.ndim > 1]
        others = [each for each in layer if each.ndim == 1]
        groups += [
            {"params": matrices, "lr": rate, "weight_decay": recipe.weight_decay},
            {"params": others, "lr": rate, "weight_decay": 0.0},
        ]
    groups.append({"params": [weights, bias], "lr": recipe.head_rate, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, fused=True)


def contrastive(vectors: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Rows of one label together, others apart (Khosla et al. 2020). vectors: unit rows; rows in doubt only repel."""
    sure = targets.max(1).values > 0.5
    label = targets.argmax(1)
    alike = (label[:, None] == label[None, :]) & sure[:, None] & sure[None, :]
    alike.fill_diagonal_(fill_value=False)
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    logs = torch.log_softmax((vectors @ vectors.T / temperature).masked_fill(itself, -1e9), dim=1)
    counts = alike.sum(1)
    known = counts > 0
    if not bool(known.any()):
        return vectors.sum() * 0
    return -((logs * alike).sum(1)[known] / counts[known]).mean()


def _steps(
    cached: Cached, targets: NDArray[np.float32], recipe: BranchRecipe, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """Rows of one step after another, without end where there are any."""
    while len(cached):
        if recipe.contrast:
            yield from _by_label(targets, recipe.rows, rng)
        else:
            yield from _by_length(cached.lengths, recipe.rows, rng)


def _by_length(lengths: NDArray[np.int64], rows: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """An epoch in which texts of like length share a step: little is padded, and little of chance is lost."""
    order = rng.permutation(len(lengths))
    steps = []
    for at in range(0, len(order), CALM * rows):
        pool = order[at : at + CALM * rows]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        steps += [pool[start : start + rows] for start in range(0, len(pool), rows)]
    for i in rng.permutation(len(steps)):
        yield steps[i]


def _by_label(targets: NDArray[np.float32], rows: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """An epoch of steps that hold a few rows of each of some labels, so that each finds its like."""
    sure = targets.max(axis=1) > 0.5
    groups = []
    for label in range(targets.shape[1]):
        own = rng.permutation(np.flatnonzero(sure & (targets.argmax(axis=1) == label)))
        groups += [own[at : at + OF_A_CLASS] for at in range(0, len(own), OF_A_CLASS)]
    groups += [np.array([i]) for i in np.flatnonzero(~sure)]
    step: list[NDArray[np.intp]] = []
    for i in rng.permutation(len(groups)):
        step.append(groups[i])
        if sum(map(len, step)) >= rows:
            yield np.concatenate(step)
            step = []
    if step:
        yield np.concatenate(step)


def mix(
    probed: Logits, branched: Logits, right: Sequence[int] | NDArray[np.intp], shares: Sequence[float] = SHARES
) -> tuple[float, float]:
    """How much each of two heads is to be believed: factors of their logits, of best likelihood on rows unseen.

    A temperature for both together (Guo et al. 2017) and a share of each, so their sum is calibrated too. shares: of
    the first, to choose from.
    """
    places = np.arange(len(right))

    def loss(pair: tuple[float, float]) -> float:
        chances = probabilities(pair[0] * probed + pair[1] * branched, 1.0)
        return -float(np.log(chances[places, right] + 1e-12).mean())

    coarse = [(a / t, (1 - a) / t) for a in shares for t in TEMPERATURES[::4]]
    share = (best := min(coarse, key=loss))[0] / sum(best)
    return min(((share / t, (1 - share) / t) for t in TEMPERATURES), key=loss)
