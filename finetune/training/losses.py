"""The loss of learned tokens, for a step and for each held-out example."""

import inspect
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn import functional

from finetune.example import Example
from finetune.recipe import Recipe
from finetune.training.attention import bounds_of, parts
from finetune.training.batches import IGNORED, Batch, Encoded, encode_one, in_order, moved, packed_batch, padded_batch
from finetune.training.head import head_losses


def token_losses(model: Any, batch: Batch) -> torch.Tensor:
    """(rows, kept) cross-entropy of each learned token, 0 where none is to be learned; in float32.

    The output layer reads only the positions that are learned, where the model can choose them.
    """
    inputs = dict(batch.inputs)
    if batch.lengths and parts(model):
        inputs |= bounds_of(list(batch.lengths), batch.keep.device)
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    if getattr(inner, "atelier_head", False):  # as choose_head found
        states = inner.base_model(**inputs, use_cache=False)[0][:, batch.keep]
        return head_losses(states.flatten(0, 1), inner.get_output_embeddings(), batch.targets.flatten()).view_as(
            batch.targets
        )
    if keeps_logits(model):
        logits = model(**inputs, use_cache=False, logits_to_keep=batch.keep).logits
    else:
        logits = model(**inputs, use_cache=False).logits[:, batch.keep]
    return functional.cross_entropy(
        logits.flatten(0, 1).float(), batch.targets.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(batch.targets)


class Learner(torch.nn.Module):
    """A model whose forward pass is its losses: what torch's DistributedDataParallel wants to be called."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> torch.Tensor:
        return token_losses(self.model, batch)


def keeps_logits(model: Any) -> bool:
    """Whether its forward pass can be told for which positions logits are wanted."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(inner.forward).parameters


def reduced(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Matrix products in bfloat16 where the run's precision is that."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def held_out_loss(
    model: Any, tokenizer: Any, examples: Sequence[Example], recipe: Recipe, *, precision: str = "fp32"
) -> list[float]:
    """Mean loss of each example's learned tokens, in order; nan for one that training would leave out.

    The model may have any adapter active. It is left as it was found, in training or not.
    """
    losses = [math.nan] * len(examples)
    found = [(place, encode_one(example, tokenizer, recipe)) for place, example in enumerate(examples)]
    encoded = {place: one for place, one in found if one is not None}
    totals = example_losses(model, list(encoded.values()), recipe, precision)
    for (place, one), total in zip(encoded.items(), totals, strict=True):
        losses[place] = total / one.trained
    return losses


@torch.no_grad()
def example_losses(
    model: Any, examples: Sequence[Encoded], recipe: Recipe, precision: str, *, rank: int = 0, processes: int = 1
) -> list[float]:
    """Sum of each example's token losses, in order; 0 for those that another of the processes measures."""
    device = next(model.parameters()).device
    totals = [0.0] * len(examples)
    was_training = model.training
    model.eval()
    try:
        for batch in in_order(examples, recipe)[rank::processes]:
            chosen = [examples[i] for i in batch]
            tensors = moved(packed_batch(chosen) if recipe.packing else padded_batch(chosen, 0), device)
            with reduced(device, precision):
                losses = token_losses(model, tensors).double()
            sums = torch.zeros(len(chosen), dtype=torch.double, device=device)
            sums.index_add_(0, tensors.owner.flatten(), losses.flatten())
            for i, total in zip(batch, sums.tolist(), strict=True):
                totals[i] = total
    finally:
        model.train(was_training)
    return totals
