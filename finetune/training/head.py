"""The loss of each token without ever holding the logits of all: they are the largest tensor of a small model's step.

For 10,000 learned tokens and 150,000 words they take 6 GB, and their softmax and gradient as much again.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

PIECE = 1 << 24  # logits at a time: 64 MB in float32
IGNORED = -100
TOLERANCE = 0.01  # of the largest logit


class _FrozenHead(torch.autograd.Function):
    """Cross-entropy behind an output layer that is not trained.

    A token's loss depends on its own state only, so the gradient of each is known as soon as its loss is, and backward
    has but to scale it: nothing is computed twice.
    """

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor
    ) -> torch.Tensor:
        """states: (tokens, size). weight: (words, size). targets: (tokens,). Returns (tokens,) in float32."""
        losses = torch.zeros(len(states), device=states.device)
        gradients = torch.zeros_like(states)
        rows = max(1, PIECE // len(weight))
        with torch.autocast(states.device.type, enabled=False):
            for start in range(0, len(states), rows):
                part = slice(start, start + rows)
                wanted, learned = targets[part].clamp(min=0)[:, None], targets[part] != IGNORED
                logits = functional.linear(states[part].to(weight.dtype), weight, bias).float()
                total = logits.logsumexp(1, keepdim=True)
                losses[part] = (total - logits.gather(1, wanted)).squeeze(1) * learned
                if ctx.needs_input_grad[0]:
                    excess = logits.sub_(total).exp_()  # the softmax, in place
                    excess.scatter_add_(1, wanted, -torch.ones_like(total))
                    excess *= learned[:, None]
                    gradients[part] = (excess.to(weight.dtype) @ weight).to(gradients.dtype)
        ctx.save_for_backward(gradients)
        return losses

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (gradients,) = ctx.saved_tensors
        return gradients * upstream[0][:, None], None, None, None


def head_losses(states: torch.Tensor, head: nn.Module, targets: torch.Tensor) -> torch.Tensor:
    """(tokens,) cross-entropy of `targets` behind the output layer `head`, 0 where a target is IGNORED."""
    frozen = type(head) is nn.Linear and not any(weight.requires_grad for weight in head.parameters())
    if frozen and isinstance(head.weight, torch.Tensor):
        losses: torch.Tensor = _FrozenHead.apply(states, head.weight, head.bias, targets)  # type: ignore[no-untyped-call] # torch's own
        return losses

    def of_part(some: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(head(some).float(), wanted, ignore_index=IGNORED, reduction="none")

    rows = max(1, PIECE // (int(getattr(head, "out_features", 0)) or 1 << 17))
    return torch.cat(
        [
            checkpoint(
                of_part,
                states[start : start + rows],
                targets[start : start + rows],
                use_reentrant=False,
                preserve_rng_state=False,
            )
            for start in range(0, len(states), rows)
        ]
    )


def choose_head(model: Any, autocast: Any) -> None:
    """Let losses of `model` be taken piece by piece, if its logits are what its output layer makes of its states.

    Some models scale or cap them afterwards (Gemma 2, Cohere): theirs are taken as they come.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    body, head = getattr(inner, "base_model", None), inner.get_output_embeddings()
    inner.atelier_head = False
    if body is None or body is inner or head is None:
        return
    ids = torch.randint(inner.config.get_text_config().vocab_size, (1, 8), generator=torch.Generator().manual_seed(0))
    ids, was_training = ids.to(next(inner.parameters()).device), inner.training
    inner.eval()
    try:
        with autocast, torch.no_grad():
            whole = inner(input_ids=ids, use_cache=False).logits.float()
            split = head(body(input_ids=ids, use_cache=False)[0]).float()
    finally:
        inner.train(was_training)
    inner.atelier_head = bool((whole - split).abs().max() <= TOLERANCE * whole.abs().max())
