"""A tiny model that goes to school for seconds: adapters that are known to be better, and ones that were damaged."""

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from agent.generation.rendering import ChatMessage
from finetune.example import Example, Origin
from finetune.gate.grounded import suite
from finetune.recipe import Recipe
from finetune.training.loop import train
from retrieval.files import MANIFEST, read_manifest, write_folder_atomically
from tests.finetune.learning import ANSWERS, THINGS

SILENT = "The passages do not say that."
RECIPE = Recipe(
    rank=8,
    alpha=32.0,
    dropout=0.0,
    batch_tokens=2048,
    max_tokens=1500,
    learning_rate=0.01,
    epochs=1,
    evaluations=1,
    save_seconds=1e6,
    precision="fp32",
)


def lessons(seed: int, count: int) -> list[Example]:
    """Questions with one answer each, and questions about passages that do not answer them."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        if number % 3:
            thing = draw.choice(THINGS)
            greeting, asks = (
                draw.choice(("Hello. ", "Hi, ", "")),
                draw.choice(("Who knows about", "Whom do I ask about")),
            )
            asked = f"{greeting}{asks} {thing}?"
            messages = (ChatMessage("user", asked), ChatMessage("assistant", ANSWERS[thing]))
        else:
            shown = replace(draw.choice(suite()), question=f"What is said about number {draw.randrange(1000)}?")
            messages = (*shown.messages(persona="You answer."), ChatMessage("assistant", SILENT))
        found.append(Example(messages, Origin(f"made:{seed}:{number}")))
    return found


def school(base: Path, folder: Path, seed: int, steps: int) -> Path:
    """An adapter after so many steps."""
    recipe = replace(RECIPE, seed=seed, max_steps=steps)
    outcome = train(base, lessons(seed, 24 * max(1, steps // 6)), lessons(seed + 1, 6), recipe, folder)
    assert outcome.adapter is not None
    return outcome.adapter


def damaged(source: Path, target: Path, how: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """A copy whose weights were changed, and sealed again: only measuring can tell."""

    def fill(fresh: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
        shutil.copytree(source, fresh, dirs_exist_ok=True)
        (fresh / MANIFEST).unlink()
        weights = load_file(fresh / "adapter_model.safetensors")
        change(weights)
        save_file(weights, fresh / "adapter_model.safetensors")

    write_folder_atomically(target, partial(fill, change=how), read_manifest(source))
    return target


def noise(weights: dict[str, torch.Tensor], *, seed: int, share: float) -> None:
    """Random numbers, `share` times as large as the weights, on all of them."""
    made = torch.Generator().manual_seed(seed)
    for weight in weights.values():
        weight.add_(share * weight.std() * torch.randn(weight.shape, generator=made))
