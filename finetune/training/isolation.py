"""Whether a model keeps packed examples apart: it is tried out, since nothing in a config says so reliably."""

from contextlib import AbstractContextManager
from typing import Any

import torch

from retrieval.errors import FinetuneError

TOLERANCE = 0.02  # of the largest logit; a leak changes them by several times as much


@torch.no_grad()
def check_isolation(model: Any, reduced: AbstractContextManager[Any]) -> None:
    """Raises FinetuneError if what stands in one example changes what the model says in the next one."""
    device, vocabulary = next(model.parameters()).device, model.config.get_text_config().vocab_size
    draw = torch.Generator().manual_seed(0)
    before = torch.randint(vocabulary, (2, 24), generator=draw)
    after = torch.randint(vocabulary, (1, 8), generator=draw).expand(2, -1)
    positions = torch.cat([torch.arange(24), torch.arange(8)])[None].to(device)
    was_training = model.training
    model.eval()
    try:
        with reduced:
            first, second = (
                model(input_ids=row[None].to(device), position_ids=positions, use_cache=False).logits[0, 24:].float()
                for row in torch.cat([before, after], 1)
            )
    finally:
        model.train(was_training)
    if not torch.isfinite(first).all() or (first - second).abs().max() > TOLERANCE * first.abs().max():
        raise FinetuneError("This model sees from one packed example into the next. Set packing = false in the recipe.")
