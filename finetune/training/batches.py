"""Examples as token ids, and which of them go through the model together, in which order.

The order is a function of the recipe's seed: nothing of it has to be kept for a run to be resumed.
"""

import random
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.generation.rendering import render_training
from finetune.example import Example
from finetune.recipe import Recipe
from retrieval.errors import DataRefused

WINDOW = 1024  # shuffled examples among which those that fit together are sought
IGNORED = -100  # as torch's cross-entropy has it


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example's token ids, and which of them are learned (the first never is: nothing stands before it)."""

    ids: Sequence[int]
    mask: Sequence[bool]

    @property
    def trained(self) -> int:
        return sum(self.mask[1:])


def encode(examples: Sequence[Example], tokenizer: Any, recipe: Recipe) -> list[Encoded]:
    """Every example that supervised training learns from. Raises DataRefused if none is left."""
    encoded = [one for example in examples if (one := encode_one(example, tokenizer, recipe))]
    if not encoded and examples:
        raise DataRefused(
            f"No example is left to learn from: each is longer than {recipe.max_tokens} tokens, badly rated, or has no "
            "word of the assistant to learn. Raise max_tokens or bring other data."
        )
    return encoded


def encode_one(example: Example, tokenizer: Any, recipe: Recipe) -> Encoded | None:
    """None for an example that is badly rated, too long, or holds nothing to learn."""
    if example.rating < 0:
        return None
    one = Encoded(*render_training(example.messages, tokenizer, untrained=example.untrained))
    return one if one.trained and len(one.ids) <= recipe.max_tokens else None


def plan(examples: Sequence[Encoded], recipe: Recipe) -> list[list[int]]:
    """The batches of the whole run in order, each as indexes of its examples; for all processes together.

    Their number is a multiple of `processes`, which take them in turns.
    """
    lengths, batches = [len(example.ids) for example in examples], []
    whole, part = divmod(recipe.epochs, 1.0)
    for epoch in range(int(whole) + (part > 0)):
        of_epoch = _epoch(lengths, recipe, epoch)
        share = 1.0 if epoch < whole else part
        batches += of_epoch[: max(1, round(len(of_epoch) * share))]
    if recipe.max_steps:
        batches = batches[: recipe.max_steps * recipe.accumulation * recipe.processes]
    missing = -len(batches) % recipe.processes
    return batches + [batches[i % len(batches)] for i in range(missing)]


def in_order(examples: Sequence[Encoded], recipe: Recipe) -> list[list[int]]:
    """Every example once, for measuring: the same batches each time."""
    return _epoch([len(example.ids) for example in examples], recipe, -1)


def count_steps(batches: Sequence[Sequence[int]], recipe: Recipe) -> int:
    return -(-len(batches) // (recipe.accumulation * recipe.processes))


def _epoch(lengths: Sequence[int], recipe: Recipe, epoch: int) -> list[list[int]]:
    """Every example once, in batches of at most `batch_tokens` (of one example, if it alone is longer)."""
    draw = random.Random(f"{recipe.seed} {epoch}")
    order = list(range(len(lengths)))
    draw.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), WINDOW):
        window = sorted(order[start : start + WINDOW], key=lambda i: (-lengths[i], i))
        batches += (_packed if recipe.packing else _grouped)(window, lengths, recipe.batch_tokens)
    draw.shuffle(batches)
    return batches


def _packed(window: Sequence[int], lengths: Sequence[int], room: int) -> list[list[int]]:
    """Best fit, the longest first: each example goes where the least room is left over."""
    bins: list[list[int]] = []
    free: list[tuple[int, int]] = []  # room left, and the bin; sorted
    for i in window:
        at = bisect_left(free, (lengths[i], -1))
        left, number = free.pop(at) if at < len(free) else (room, len(bins))
        if number == len(bins):
            bins.append([])
        bins[number].append(i)
        insort(free, (left - lengths[i], number))
    return bins


def _grouped(window: Sequence[int], lengths: Sequence[int], room: int) -> list[list[int]]:
    """Neighbours in length together, so that little is padded."""
    batches: list[list[int]] = []
    for i in window:  # the longest first: it decides how wide its batch is
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= room:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches


@dataclass(frozen=True, slots=True)
class Batch:
    """What one pass through the model needs; all on one device.

    inputs: keyword arguments of the model, (rows, width). keep: (kept,) the positions whose logits are wanted.
    targets: (rows, kept) the token that follows each, IGNORED where none is to be learned. owner: (rows, kept) which of
    the batch's examples it belongs to. lengths: of the parts of a packed row, empty where nothing is packed.
    """

    inputs: dict[str, Any]
    keep: Any
    targets: Any
    owner: Any
    lengths: tuple[int, ...] = ()


def packed_batch(examples: Sequence[Encoded], *, width: int = 0, pad: int = 0) -> Batch:
    """All in one row. What parts them is that positions begin anew; transformers derives the mask from that.

    It does so only without an attention mask and without a cache. width: pad the row to it.
    """
    import torch

    ids: list[int] = []
    positions: list[int] = []
    keep: list[int] = []
    owner: list[int] = []
    for number, example in enumerate(examples):
        kept = [len(ids) + i - 1 for i in range(1, len(example.ids)) if example.mask[i]]
        keep += kept
        owner += [number] * len(kept)
        positions += range(len(example.ids))
        ids += example.ids
    targets = [ids[at + 1] for at in keep]
    filler = max(0, width - len(ids))
    inputs = {
        "input_ids": torch.tensor([ids + [pad] * filler]),
        "position_ids": torch.tensor([positions + list(range(filler))]),
    }
    lengths = [len(example.ids) for example in examples] + [filler] * (filler > 0)
    return Batch(inputs, torch.tensor(keep), torch.tensor([targets]), torch.tensor([owner]), tuple(lengths))


def padded_batch(examples: Sequence[Encoded], pad: int) -> Batch:
    """One row for each, filled up at the right. What is padding is known by place, never by its id."""
    import torch

    width = max(len(example.ids) for example in examples)
    keep = sorted({i - 1 for example in examples for i in range(1, len(example.ids)) if example.mask[i]})
    ids = torch.full((len(examples), width), pad)
    attention = torch.zeros_like(ids)
    targets = torch.full((len(examples), len(keep)), IGNORED)
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids[row, :length] = torch.tensor(example.ids)
        attention[row, :length] = 1
        learned = [example.ids[at + 1] if at + 1 < length and example.mask[at + 1] else IGNORED for at in keep]
        targets[row] = torch.tensor(learned)
    owner = torch.arange(len(examples))[:, None].expand(-1, len(keep))
    return Batch({"input_ids": ids, "attention_mask": attention}, torch.tensor(keep), targets, owner)


def moved(batch: Batch, device: Any) -> Batch:
    return Batch(
        {name: tensor.to(device, non_blocking=True) for name, tensor in batch.inputs.items()},
        batch.keep.to(device, non_blocking=True),
        batch.targets.to(device, non_blocking=True),
        batch.owner.to(device, non_blocking=True),
        batch.lengths,
    )
