"""What a branch is compared with: low-rank changes in every layer (LoRA) and full fine-tuning, on the same rows.

Both need an encoder pass of their own for each message, or one for each task that has them; a branch shares the layers
below it. `python -m tests.benchmarks.intent_contenders --seeds 0` adds the runs that the file lacks.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from agent.syntax.network import ChangedLayer
from finetune.branch import BranchRecipe, Cached, descend, read, targets_of
from finetune.few_shot import RECIPE, STEPS
from retrieval.bert import Bert
from retrieval.encoder import TransformerEncoder
from tests.benchmarks.intent_few import SET
from tests.benchmarks.intent_runs import finished, keep
from tests.benchmarks.intent_sets import SETS

LORA, FULL = "LoRA on every layer", "full fine-tuning"
RANK = 16
LORA_RATE = 1e-3  # as LoRA is usually trained; not tuned, and neither is anything else here
AT_ONCE = 64  # texts asked together
TOGETHER = 8  # rows of a step that are padded alike: all 32 in one piece take half as long again
Pooled = Callable[[NDArray[np.intp]], Tensor]


def lora(encoder: TransformerEncoder, cached: Cached) -> tuple[Pooled, list[list[Tensor]]]:
    """Every matrix of the encoder's layers with a change of low rank; what is trained, by layer."""
    layers = [ChangedLayer(block, RANK) for block in encoder.blocks]

    def pooled(rows: NDArray[np.intp]) -> Tensor:
        states, mask = cached.batch(rows)
        for layer in layers:
            states = layer(states, mask[:, None, None, :])
        return normalize((states * mask[:, :, None]).sum(1), dim=-1)

    return pooled, [[each for each in layer.parameters() if each.requires_grad] for layer in layers]


def full(encoder: TransformerEncoder, texts: Sequence[str]) -> tuple[Pooled, list[list[Tensor]]]:
    """All of the encoder, words and places too; what is trained, by layer, the embeddings first."""
    bert = deepcopy(encoder._loaded.states)
    assert isinstance(bert, Bert)
    bert = bert.float().requires_grad_(requires_grad=True)
    parts = ("words", "places", "kind")
    for name in parts:
        setattr(bert, name, getattr(bert, name).float().clone().requires_grad_())
    ids = encoder._loaded.cut(texts)[0]

    def pooled(rows: NDArray[np.intp]) -> Tensor:
        width = max(len(ids[i]) for i in rows)
        tokens = torch.tensor([ids[i] + [0] * (width - len(ids[i])) for i in rows])
        mask = torch.arange(width) < torch.tensor([len(ids[i]) for i in rows])[:, None]
        states, _ = bert(tokens, mask)
        return normalize((states * mask[:, :, None]).sum(1), dim=-1)

    below = [*(getattr(bert, name) for name in parts), *bert.norm.parameters()]
    return pooled, [below, *(list(layer.parameters()) for layer in bert.layers)]


def tuned(model: str, seed: int, encoder: TransformerEncoder) -> dict[str, Any]:
    """One of the two on the ten rows an intent, with the recipe of a branch."""
    split = SETS[SET](seed)
    texts = [text for text, _ in (*split.train, *split.test)]
    cached = read(encoder, texts, {0}, lambda _: None)[0]
    train, test = np.arange(len(split.train)), np.arange(len(split.train), len(texts))
    targets = targets_of([label for _, label in split.train], split.labels)
    right = np.array([split.labels.index(label) for _, label in split.test if label is not None])
    begun = time.process_time()
    torch.manual_seed(seed)  # of the changes, before any training
    pooled, layers = lora(encoder, cached) if model == LORA else full(encoder, texts)
    steps = min(STEPS, round(RECIPE.epochs * len(train) / RECIPE.rows))
    recipe: BranchRecipe = replace(RECIPE, seed=seed, epochs=steps * RECIPE.rows / len(train))
    recipe = replace(recipe, rate=LORA_RATE, decay_by_layer=1.0) if model == LORA else recipe
    weights, bias = descend(_in_parts(pooled), layers, cached.chosen(train), targets, recipe)
    order = test[np.argsort(cached.lengths[test], kind="stable")]
    said = np.empty(len(test), dtype=np.intp)
    with torch.inference_mode():
        for at in range(0, len(order), AT_ONCE):
            rows = order[at : at + AT_ONCE]
            said[rows - len(train)] = (pooled(rows).numpy() @ weights + bias).argmax(axis=1)
    spent = round(time.process_time() - begun, 1)
    accuracy = float((said == right).mean())
    common = {"set": SET, "seed": seed, "depth": encoder.depth, "model": model}
    return {**common, "accuracy": accuracy, "seconds": spent, "recipe": str(recipe)}


def _in_parts(pooled: Pooled) -> Pooled:
    return lambda rows: torch.cat([pooled(rows[at : at + TOGETHER]) for at in range(0, len(rows), TOGETHER)])


def left(seed: int, encoder: TransformerEncoder) -> list[dict[str, Any]]:
    """What the kept runs lack."""
    done = {run["model"] for run in finished() if (run["set"], run["seed"]) == (SET, seed)}
    return [tuned(model, seed, encoder) for model in (LORA, FULL) if model not in done]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    encoder = TransformerEncoder()
    for seed in parser.parse_args().seeds:
        for result in left(seed, encoder):
            keep([result])


if __name__ == "__main__":
    main()
