"""What a branch is compared with: low-rank changes in every layer (LoRA) and full fine-tuning, on the same rows.

Both need an encoder pass of their own for each message, or one for each task that has them; a branch shares the layers
below it. SetFit (Tunstall et al. 2022) as its library does by default: all of the encoder learns from pairs which texts
are alike, then a logistic regression the labels; on fewer rows, for its pairs are many. `python -m
tests.benchmarks.intent_contenders --seeds 0 1 2` adds the runs that the file lacks.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from agent.syntax.network import ChangedLayer
from finetune.branch import BranchRecipe, Cached, descend, probe, read, targets_of
from finetune.few_shot import RECIPE, STEPS
from retrieval.bert import Bert
from retrieval.encoder import TransformerEncoder
from tests.benchmarks.intent_extras import SET as EXTRAS
from tests.benchmarks.intent_extras import domain_of
from tests.benchmarks.intent_few import SET
from tests.benchmarks.intent_runs import finished, keep
from tests.benchmarks.intent_sets import SETS

LORA, FULL, PAIRED = "LoRA on every layer", "full fine-tuning", "as SetFit does"
RANK = 16
LORA_RATE = 1e-3  # as LoRA is usually trained; not tuned, and neither is anything else here
PAIRS, PAIR_RATE, PAIRS_A_STEP, WARM = 20, 2e-5, 16, 0.1  # alike, and as many unlike, of a row; SetFit's defaults
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
    bert.quick = None  # those for short passes do not learn
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


def paired(seed: int, encoder: TransformerEncoder) -> dict[str, Any]:
    """SetFit on the rows that `atelier finetune intent` is given in `intent_extras`."""
    rng = np.random.default_rng(seed)
    made = domain_of(seed, rng)
    texts = [*(row.text for row in made.taken), *(row["text"] for row in made.asked)]
    of = np.array([made.labels.index(row.label or "") for row in made.taken])
    right = np.array([made.labels.index(row["intent"]) for row in made.asked])
    begun = time.process_time()
    torch.manual_seed(seed)
    pooled, layers = full(encoder, texts)
    rows = np.arange(len(of))
    pairs = [
        (i, int(rng.choice(rows[(of == of[i]) == alike])), float(alike))
        for i in rows
        for alike in (True, False)
        for _ in range(PAIRS)
    ]
    steps = [rng.permutation(len(pairs))[at : at + PAIRS_A_STEP] for at in range(0, len(pairs), PAIRS_A_STEP)]
    optimizer = torch.optim.AdamW([each for layer in layers for each in layer], lr=PAIR_RATE, weight_decay=0.0)
    for number, chosen in enumerate(steps):
        done = (number + 1) / len(steps)
        optimizer.param_groups[0]["lr"] = PAIR_RATE * min(done / WARM, (1 - done) / (1 - WARM))
        one, other, wanted = (np.array(each) for each in zip(*(pairs[i] for i in chosen), strict=True))
        likeness = (_in_parts(pooled)(one) * _in_parts(pooled)(other)).sum(1)
        optimizer.zero_grad()
        ((likeness - torch.from_numpy(wanted).float()) ** 2).mean().backward()  # type: ignore[no-untyped-call]  # torch
        optimizer.step()
    with torch.inference_mode():
        parts = [pooled(np.arange(at, min(at + AT_ONCE, len(texts)))).numpy() for at in range(0, len(texts), AT_ONCE)]
    vectors = np.concatenate(parts)
    targets = targets_of([row.label for row in made.taken], made.labels)
    share = np.full(len(of), 1 / len(of), dtype=np.float32)
    weights, bias = probe(vectors[rows], targets, share, l2=0.5 / len(of))  # what scikit-learn's C = 1 is
    accuracy = float(((vectors[len(of) :] @ weights + bias).argmax(axis=1) == right).mean())
    common = {"set": EXTRAS, "seed": seed, "depth": encoder.depth, "model": PAIRED}
    return {**common, "accuracy": accuracy, "seconds": round(time.process_time() - begun, 1)}


def left(seed: int, encoder: TransformerEncoder) -> Iterator[dict[str, Any]]:
    """What the kept runs lack, one after another."""
    done = {run["model"] for run in finished() if run["set"] in (SET, EXTRAS) and run["seed"] == seed}
    for model in (PAIRED, LORA, FULL):
        if model not in done:
            yield paired(seed, encoder) if model == PAIRED else tuned(model, seed, encoder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    encoder = TransformerEncoder()
    for seed in parser.parse_args().seeds:
        for result in left(seed, encoder):
            keep([result])


if __name__ == "__main__":
    main()
