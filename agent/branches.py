"""A task's own upper layers on the encoder's shared lower ones: the same pass, read once more for another purpose.

A branch begins as a copy of the encoder's last k layers and is trained on (`finetune/branch.py`); the lower layers and
the plain embedding never change, so the index stays as it is and a task costs k layers and not a pass of its own. On
disk it is the difference from the encoder's layers in 16 bits, three and a half megabytes a layer, or less where bytes
count: each matrix by its leading directions (the idea of LoRA: Hu et al. 2021, taken after training).
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.bert import Layer, Quick, for_short, is_short
from retrieval.encoder import LayeredEncoder, States, few_threads
from retrieval.errors import EncoderError
from retrieval.passage import Vectors

_LEFT, _RIGHT = ":left", ":right"  # a difference's two factors, (out, rank) and (rank, in)


@dataclass(frozen=True, slots=True)
class Branch:
    """Layers of a task's own. start: the encoder's layer whose states they read. quick: the same for short messages."""

    start: int
    layers: nn.ModuleList
    quick: Quick | None = None

    @classmethod
    def copied(cls, encoder: LayeredEncoder, count: int) -> "Branch":
        """The encoder's own last `count` layers, to be trained on. Raises EncoderError where it is no BERT."""
        blocks = encoder.blocks
        if not 0 < count <= len(blocks):
            raise EncoderError(f"{count} upper layers cannot be copied: this encoder has {len(blocks)} of BERT's kind.")
        return cls(len(blocks) - count, nn.ModuleList([_copied(block) for block in blocks[-count:]]).eval())

    @classmethod
    def load(cls, tensors: Mapping[str, NDArray[Any]], encoder: LayeredEncoder) -> "Branch":
        """A branch from what `tensors` of it gave. Raises ValueError where they do not fit the encoder."""
        count = 1 + max((int(name.partition(".")[0]) for name in tensors if name[:1].isdigit()), default=-1)
        if not 0 < count <= encoder.depth:
            raise ValueError(f"the branch has {count} layers and the encoder {encoder.depth}")
        branch = cls.copied(encoder, count)
        given = {name: torch.from_numpy(np.asarray(value, dtype=np.float32)) for name, value in tensors.items()}
        with torch.no_grad():
            for name, own in branch.layers.state_dict().items():
                if name in given:
                    difference = given[name]
                elif name + _LEFT in given and name + _RIGHT in given:
                    left, right = given[name + _LEFT], given[name + _RIGHT]
                    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
                        raise ValueError(f"{name} of the branch does not fit the encoder")
                    difference = left @ right
                else:
                    raise ValueError(f"the branch lacks {name}")
                if difference.shape != own.shape or not bool(difference.isfinite().all()):
                    raise ValueError(f"{name} of the branch does not fit the encoder")
                own.add_(difference.to(own))  # the tensor is the layer's own
        return cls(branch.start, branch.layers, for_short(list(branch.layers)))

    def tensors(self, encoder: LayeredEncoder, rank: int | None = None) -> dict[str, NDArray[np.float16]]:
        """What makes it differ from the encoder's own layers; rank: directions kept of each matrix (None: all).

        Each lies row by row: files write memory as it lies, and the encoder's own matrices may lie by columns.
        """
        before = Branch.copied(encoder, len(self.layers)).layers.state_dict()
        found: dict[str, NDArray[np.float16]] = {}
        for name, now in self.layers.state_dict().items():
            difference = (now - before[name]).float().cpu()
            if difference.ndim < 2 or rank is None or rank >= min(difference.shape):
                found[name] = np.ascontiguousarray(difference.numpy(), dtype=np.float16)
                continue
            left, sizes, right = torch.linalg.svd(difference, full_matrices=False)
            shared = sizes[:rank].sqrt()  # half of the size to each: neither factor leaves what 16 bits hold
            halves = left[:, :rank] * shared, shared[:, None] * right[:rank]
            for side, half in zip((_LEFT, _RIGHT), halves, strict=True):
                found[name + side] = np.ascontiguousarray(half.numpy(), dtype=np.float16)
        return found

    def trainable(self) -> "Branch":
        """Another of the same weights, in single precision, with gradients."""
        return Branch(self.start, deepcopy(self.layers).float().requires_grad_(requires_grad=True))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Token states after its layers, (n, width, dim), from those before. mask: (n, width). Keeps gradients."""
        wide = mask[:, None, None, :]
        for layer in self.layers:
            states = layer(states, wide)
        return states

    def tokens(self, given: States) -> NDArray[np.float32]:
        """The task's own state of each word piece, (n, width, dim), zero outside the mask; no gradients."""
        first = next(self.layers.parameters())
        with torch.inference_mode(), few_threads(given.mask.size):
            states, mask = torch.from_numpy(given.layers[self.start]), torch.from_numpy(given.mask)
            if self.quick is not None and is_short(mask.numel(), first.dtype):
                made = self.quick(states, None if given.mask.all() else mask[:, None, None, :])[-1]
            else:
                mask = mask.to(first.device)
                made = self.forward(states.to(first.device, first.dtype), mask).float()
            made = made * mask[:, :, None]
        result: NDArray[np.float32] = made.cpu().numpy()
        return result

    def __call__(self, given: States) -> Vectors:
        """The task's own embedding of each text, (n, dim), unit rows: pooled as the encoder pools its own."""
        return pooled(self.tokens(given))


def pooled(states: NDArray[np.float32]) -> Vectors:
    """The mean over word pieces, (n, dim), unit rows. states: (n, width, dim), zero where there is no piece."""
    summed = states.sum(axis=1)  # a row's length is a matter of scale alone, so the count drops out
    sizes = np.linalg.norm(summed, axis=1, keepdims=True)
    result: Vectors = summed / np.maximum(sizes, np.float32(1e-12))
    return result


def _copied(block: Any) -> Layer:
    """One layer of a BERT of transformers as ours, in its dtype and on its device; ours as it is."""
    if isinstance(block, Layer):
        return deepcopy(block)
    try:
        attention, ahead, back = block.attention, block.intermediate, block.output
        parts: Sequence[Any] = (attention.self.query, attention.self.key, attention.self.value)
        heads, eps = int(attention.self.num_attention_heads), float(back.LayerNorm.eps)
        known = type(ahead.intermediate_act_fn).__name__ in ("GELUActivation", "GELU")  # others come near it, or not
        weight = ahead.dense.weight
        dim, inner = int(weight.shape[1]), int(weight.shape[0])
        pairs = {
            "out": attention.output.dense,
            "norm": attention.output.LayerNorm,
            "widen": ahead.dense,
            "narrow": back.dense,
            "last_norm": back.LayerNorm,
        }
        values = {
            f"qkv.{kind}": torch.cat([getattr(part, kind).detach() for part in parts]) for kind in ("weight", "bias")
        }
        for name, part in pairs.items():
            values |= {f"{name}.{kind}": getattr(part, kind).detach().clone() for kind in ("weight", "bias")}
    except AttributeError as error:
        raise EncoderError("This encoder's layers are not BERT's, so they cannot be copied for a task.") from error
    if not known:
        raise EncoderError("This encoder's layers bend otherwise than BERT's, so they cannot be copied for a task.")
    layer = Layer(dim, inner, heads, eps)
    layer.load_state_dict(values)
    return layer.to(weight.device, weight.dtype).eval().requires_grad_(requires_grad=False)
