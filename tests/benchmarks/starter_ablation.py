"""Shapes and vocabularies of a starter at small scale: `python -m tests.benchmarks.starter_ablation`.

Every variant has about as many parameters (words included), the same text, which is the beginning of what the starter
learns from, and the same seconds of processor time; what counts is bits a byte of held-out text, which does not depend
on how text is cut. A finished variant is a line in the file that --keep names, and is not trained again.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from finetune.base.feed import plain
from finetune.base.model import Shape, Starter, dense_mask
from finetune.base.optimizer import Optimizer
from finetune.base.sources import documents, held_out
from finetune.base.tokenizer import train as train_tokenizer
from finetune.base.train import rate
from tests.benchmarks import Cell
from tests.benchmarks.squad import DATA

LENGTH, ROWS = 256, 8  # tokens of a row, rows of a step
CHARACTERS = 6_000_000  # of text, for words and for training
HELD = 120_000  # characters of held-out text of each set
PLANNED = 12  # steps by which the number of steps is planned


@dataclass(frozen=True, slots=True)
class Variant:
    """The feed-forward part is 2.5 times as wide as the model; heads are of 64."""

    name: str
    pieces: int
    width: int
    layers: int

    def shape(self, vocabulary: int) -> Shape:
        heads = self.width // 64
        return Shape(vocabulary, self.width, self.layers, heads, max(1, heads // 2), int(2.5 * self.width))


VARIANTS = (
    Variant("12k pieces, wide", 12_288, 256, 3),
    Variant("4k pieces, wide", 4_096, 256, 6),
    Variant("4k pieces, deep", 4_096, 192, 12),
    Variant("12k pieces, deep", 12_288, 192, 7),
)


def measured(variant: Variant, seconds: float) -> dict[str, Cell]:
    """Train a variant for `seconds` of processor time; what it comes to."""
    texts: list[str] = []
    length = 0
    for _, text in documents(DATA):
        if length >= CHARACTERS:
            break
        texts.append(text)
        length += len(text)
    tokenizer = train_tokenizer(texts, variant.pieces)
    stream = _stream(tokenizer, texts)
    model = Starter(variant.shape(tokenizer.get_vocab_size()), seed=0)
    optimizer = Optimizer(model, muon=0.015, adam=0.002, decay=0.1)
    rng = np.random.default_rng(0)
    began, step, steps = time.process_time(), 0, 0
    while not steps or step < steps:
        starts = rng.integers(len(stream) - LENGTH - 1, size=ROWS)
        ids = np.stack([stream[start : start + LENGTH + 1] for start in starts])
        loss = _losses(model, torch.from_numpy(ids)).mean()
        loss.backward()
        optimizer.step(rate(step / steps if steps else 0.0, step))
        step += 1
        if step == PLANNED:
            steps = max(PLANNED + 1, round(seconds / (time.process_time() - began) * PLANNED))
    spent = time.process_time() - began
    found = {f"bits a byte: {name}": round(bits, 4) for name, bits in _held(model, tokenizer).items()}
    shape = {"pieces": variant.pieces, "width": variant.width, "layers": variant.layers}
    return {
        "measured": f"ablation: {variant.name}",
        **shape,
        "parameters": model.shape.parameters,
        "steps": step,
        "tokens": step * ROWS * LENGTH,
        "CPU seconds": round(spent, 1),
        **found,
    }


def _stream(tokenizer: object, texts: Sequence[str]) -> np.ndarray:
    found: list[int] = []
    for each in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False):
        found += [*each.ids, 0]
    return np.array(found, dtype=np.int64)


def _losses(model: Starter, ids: Tensor) -> Tensor:
    row = plain(ids)
    hidden = model.hidden(row.ids[:, :-1], row.positions[:, :-1], dense_mask(row.seen[:, :-1]), torch.float32)
    logits = model.logits(hidden).float()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), row.ids[:, 1:].flatten(), reduction="none")


@torch.no_grad()
def _held(model: Starter, tokenizer: object) -> dict[str, float]:
    texts: dict[str, str] = {}
    for name, text in held_out(DATA):
        if len(texts.get(name, "")) < HELD:
            texts[name] = texts.get(name, "") + text
    found = {}
    for name, whole in texts.items():
        text = whole[:HELD]
        stream = _stream(tokenizer, [text])
        total = 0.0
        for start in range(0, len(stream) - 1, LENGTH):
            total += float(_losses(model, torch.from_numpy(stream[start : start + LENGTH + 1])[None]).sum())
        found[name] = total / log(2) / len(text.encode())
    return found


def rows(seconds: float, keep: Path | None = None) -> list[dict[str, Cell]]:
    """All variants, those that `keep` holds as they are."""
    kept = [json.loads(line) for line in keep.read_text("utf-8").splitlines()] if keep and keep.exists() else []
    found: list[dict[str, Cell]] = []
    for variant in VARIANTS:
        known = next((each for each in kept if each["measured"] == f"ablation: {variant.name}"), None)
        found.append(known or measured(variant, seconds))
        if keep and known is None:
            with keep.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found[-1]) + "\n")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="processor time of each variant (300)")
    parser.add_argument("--keep", type=Path, help="JSON lines")
    chosen = parser.parse_args()
    for row in rows(chosen.seconds, chosen.keep):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
