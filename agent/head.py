"""One trained head: what it reads of a message, how it weighs that, and the calibrated chances of its labels.

A head is a multinomial logistic regression on the frozen sentence embedding, a few surface features and hashed n-grams
(`agent/surface.py`). Where that pays it also reads a branch (`agent/branches.py`): upper layers of its own on the same
pass. One temperature, or one factor for each of the two, fitted on rows that it was not trained on (Guo et al. 2017),
makes its confidence mean something. A head knows which encoder it was trained on.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from agent import surface
from agent.scope import Scope, evidence, nearness
from retrieval.encoder import Encoder, LayeredEncoder, States
from retrieval.errors import HeadError, HeadMismatch
from retrieval.files import read_manifest
from retrieval.passage import Vectors

if TYPE_CHECKING:
    from agent.branches import Branch

PIECES = 4  # of evidence of scope: probability, margin, energy, distance
INSIDE = 2 / 3  # chance of being in scope from which a label is named: one where there is none costs two left unnamed
_NEAR = 0.45  # cosine under which naming a known example explains nothing


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a head reads. dense: (n, dim + features), embedding beside surface features; grams: n rows of buckets."""

    dense: NDArray[np.float32]
    grams: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, embeddings: Vectors, texts: Sequence[str]) -> "Inputs":
        """The inputs of `texts` and their embeddings, (n, dim)."""
        features = np.array([surface.features(text) for text in texts], dtype=np.float32)
        dense = np.hstack([embeddings, features.reshape(len(texts), len(surface.NAMES))])
        return cls(dense, tuple(map(surface.grams, texts)))

    def chosen(self, rows: Sequence[int] | NDArray[np.intp]) -> "Inputs":
        return Inputs(self.dense[rows], tuple(self.grams[i] for i in rows))


@dataclass(frozen=True, slots=True)
class Linear:
    """weights: (dim + features, labels); gram_weights: (surface.BUCKETS, labels); bias: (labels,)."""

    weights: NDArray[np.float32]
    gram_weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, inputs: Inputs) -> NDArray[np.float32]:
        """(n, labels). A row of g n-grams is a vector of unit length, like the embedding: each of them weighs 1/√g."""
        heard = [self.gram_weights[grams].sum(axis=0) / max(1, len(grams)) ** 0.5 for grams in inputs.grams]
        result: NDArray[np.float32] = inputs.dense @ self.weights + self.bias
        return result + np.array(heard, dtype=np.float32).reshape(result.shape)


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """(n, labels), rows that sum to 1."""
    exponents = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    result: NDArray[np.float32] = exponents / exponents.sum(axis=1, keepdims=True)
    return result


@dataclass(frozen=True, slots=True)
class Branched:
    """What else a head reads: the embedding that upper layers of its own make in the same pass.

    weights: (dim, labels); bias: (labels,). believed: factors of the linear head's logits and of these, of best
    likelihood on rows unseen.
    """

    branch: "Branch"
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    believed: tuple[float, float]

    def join(self, linear: NDArray[np.float32], states: States) -> NDArray[np.float32]:
        """The logits of both, (n, labels)."""
        own: NDArray[np.float32] = self.branch(states) @ self.weights + self.bias
        result: NDArray[np.float32] = self.believed[0] * linear + self.believed[1] * own
        return result


@dataclass(frozen=True, slots=True)
class Example:
    """A known example. likeness: the cosine of its embedding and a text's."""

    text: str
    label: str
    likeness: float


@dataclass(frozen=True, slots=True)
class Head:
    """One trained head. vectors: (examples, dim), unit rows, the plain embeddings of the examples that reasons name.

    An example whose text is empty is compared with, and named to nobody.
    """

    labels: tuple[str, ...]
    temperature: float
    linear: Linear
    examples: tuple[str, ...]
    example_labels: tuple[str, ...]
    vectors: Vectors
    branched: Branched | None = None
    floor: float = -1.0  # likeness to the nearest example under which a text is about none of the labels
    scope: Scope | None = None  # what tells that better, where it was weighed

    @classmethod
    def load(cls, folder: Path, name: str, encoder: Encoder) -> "Head":
        """Read `name`.json and `name`.safetensors of a sealed folder.

        Raises HeadMismatch when the head belongs to another encoder, HeadError when anything else is wrong with it.
        """
        again = "Train the heads again with `atelier finetune heads`, or reinstall Atelier for its own."
        try:
            read_manifest(folder)
            card = json.loads((folder / f"{name}.json").read_bytes())
            trained_on = str(card["encoder"])
            if trained_on != encoder.id:
                raise HeadMismatch(
                    f"The {name} head in {folder} was trained on the encoder {trained_on!r}, not on {encoder.id!r}. "
                    "Run `atelier finetune heads` to train it for this encoder."
                )
            tensors = safetensors.numpy.load((folder / f"{name}.safetensors").read_bytes())
            head = cls(
                labels=tuple(map(str, card["labels"])),
                temperature=float(card["temperature"]),
                linear=Linear(*(tensors[part].astype(np.float32) for part in ("weights", "gram_weights", "bias"))),
                examples=tuple(str(example["text"]) for example in card["examples"]),
                example_labels=tuple(str(example["label"]) for example in card["examples"]),
                vectors=tensors["examples"].astype(np.float32),
                branched=_branched(folder, name, card, encoder) if "branch" in card else None,
                floor=float(card.get("floor", -1.0)),
                scope=Scope.of(card["scope"], PIECES) if "scope" in card else None,
            )
            head._check(encoder.dim, tuple(card["features"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
            raise HeadError(f"The {name} head in {folder} cannot be used: {error}. {again}") from error
        return head

    def _check(self, dim: int, features: tuple[str, ...]) -> None:
        if features != surface.NAMES:
            raise ValueError("it was trained on other surface features")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"its temperature is {self.temperature}")
        tensors = (self.linear.weights, self.linear.gram_weights, self.linear.bias, self.vectors)
        rows, classes = dim + len(surface.NAMES), len(self.labels)
        expected = ((rows, classes), (surface.BUCKETS, classes), (classes,), (len(self.examples), dim))
        if tuple(tensor.shape for tensor in tensors) != expected:
            raise ValueError(f"its tensors have other shapes than {expected}")
        if not all(np.isfinite(tensor).all() for tensor in tensors):
            raise ValueError("its tensors hold numbers that are not finite")

    @property
    def reads(self) -> frozenset[int]:
        """The encoder's layers whose states `probabilities` wants."""
        return frozenset() if self.branched is None else frozenset({self.branched.branch.start})

    def probabilities(self, inputs: Inputs, states: States | None = None) -> NDArray[np.float32]:
        """Calibrated probabilities, (n, labels). states: of the same texts, where the head `reads` any."""
        return self.read(inputs, states)[0]

    def read(self, inputs: Inputs, states: States | None = None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The same, and whether each text is like anything that the head knows, (n,): else it has none of the labels.

        Where evidence of scope was weighed it decides, else the likeness to the nearest example does.
        """
        logits = self.linear.logits(inputs)
        if self.branched is not None:
            assert states is not None
            logits = self.branched.join(logits, states)
        embeddings = inputs.dense[:, : self.vectors.shape[1]]
        if self.scope is not None and len(self.vectors):
            seen = evidence(logits / self.temperature, nearness(embeddings, self.vectors)[:, None])
            near: NDArray[np.bool_] = self.scope.chance(seen) >= INSIDE
        elif self.floor > -1.0:
            near = self.likeness(embeddings) >= self.floor
        else:
            near = np.ones(len(embeddings), dtype=np.bool_)
        return probabilities(logits, self.temperature), near

    def likeness(self, embeddings: Vectors) -> NDArray[np.float32]:
        """How near each text is to the nearest known example, (n,); 1 where there are no examples."""
        if not self.examples:
            return np.ones(len(embeddings), dtype=np.float32)
        result: NDArray[np.float32] = np.einsum("nd,ed->ne", embeddings, self.vectors).max(axis=1)
        return result

    def examples_near(self, embedding: NDArray[np.float32], count: int) -> tuple[Example, ...]:
        """The known examples nearest to `embedding`, whatever their label, nearest first."""
        if not self.examples:
            return ()
        likeness = np.einsum("nd,d->n", self.vectors, embedding)
        chosen = [i for i in likeness.argsort()[::-1] if self.examples[i]][:count]
        return tuple(Example(self.examples[i], self.example_labels[i], float(likeness[i])) for i in chosen)

    def nearest(self, embedding: NDArray[np.float32], label: str) -> str | None:
        """The known example that is nearest to `embedding`, where it is near at all and carries `label`."""
        if not self.examples:
            return None
        similarities = np.einsum("nd,d->n", self.vectors, embedding)  # `@` wakes BLAS threads that then fight torch's
        best = int(similarities.argmax())
        near = similarities[best] >= _NEAR and self.example_labels[best] == label
        return self.examples[best] or None if near else None


def _branched(folder: Path, name: str, card: dict[str, Any], encoder: Encoder) -> Branched:
    """A head's branch. Raises HeadMismatch for an encoder without layers, KeyError and ValueError for what is amiss."""
    from agent.branches import Branch

    if not isinstance(encoder, LayeredEncoder):
        raise HeadMismatch(
            f"The {name} head in {folder} reads an encoder's layers, which {encoder.id!r} does not show."
        )
    tensors = safetensors.numpy.load((folder / f"{name}.branch.safetensors").read_bytes())
    weights, bias = (tensors.pop(part).astype(np.float32) for part in ("head.weights", "head.bias"))
    linear, own = map(float, card["branch"]["believed"])
    classes = len(card["labels"])
    if weights.shape != (encoder.dim, classes) or bias.shape != (classes,):
        raise ValueError("its branch has other labels than it")
    if not all(np.isfinite(part).all() for part in (weights, bias, (linear, own))):
        raise ValueError("its branch holds numbers that are not finite")
    return Branched(Branch.load(tensors, encoder), weights, bias, (linear, own))
