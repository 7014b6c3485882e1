"""What a run would take, found out by a few real steps of it on this machine: the dry run."""

import gc
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from finetune.example import Example
from finetune.recipe import Recipe
from finetune.training.base import load_base
from finetune.training.batches import encode
from finetune.training.loop import Run
from finetune.training.losses import example_losses
from finetune.training.outcome import Estimate
from finetune.training.processes import accelerator_for
from retrieval.errors import DataRefused

STEPS = 4  # the first is not counted: it warms caches up
ENOUGH = 15.0  # seconds after which the steps taken so far must do, two at least


def estimate(base: Path | str, train: Sequence[Example], recipe: Recipe, held_out: Sequence[Example] = ()) -> Estimate:
    """Load the model, take a few steps, measure one evaluation's pace, and reckon the rest by tokens.

    Nothing is written and nothing learned. With several processes, one stands for all: the others work beside it.
    Raises what train raises for this model, data and recipe.
    """
    accelerator = accelerator_for(replace(recipe, processes=1, tracker="none"), Path())
    loaded = load_base(base, recipe, str(accelerator.device))
    learned, measured = encode(train, loaded.tokenizer, recipe), encode(held_out, loaded.tokenizer, recipe)
    if not learned:
        raise DataRefused("There is no example to learn from.")
    _forget_peak()
    with tempfile.TemporaryDirectory() as nowhere:
        alone = replace(recipe, processes=1, max_steps=recipe.max_steps * recipe.processes)
        run = Run(accelerator, loaded, learned, measured, alone, Path(nowhere))
    run.batches.sort(key=lambda batch: -sum(len(learned[i].ids) for i in batch))  # the largest need the most memory
    paces: list[float] = []
    start = time.perf_counter()
    for step in range(1, min(STEPS, run.steps) + 1):
        began = time.perf_counter()
        if len(paces) > 1 and began - start > ENOUGH:
            break
        tokens = run.advance(step)
        paces.append((time.perf_counter() - began) / tokens)
    pace = statistics.median(paces[1:] or paces)
    of_run = sum(len(learned[i].ids) for batch in run.batches for i in batch)
    seconds = pace * of_run / recipe.processes
    if measured:
        sample = measured[: max(1, len(measured) // 10)]
        began = time.perf_counter()
        example_losses(run.model, sample, recipe, run.precision)
        share = sum(len(one.ids) for one in measured) / sum(len(one.ids) for one in sample)
        seconds += (time.perf_counter() - began) * share * (recipe.evaluations + 1) / recipe.processes
    return Estimate(
        rows=len(learned),
        tokens=sum(len(one.ids) for one in learned),
        trained_tokens=sum(one.trained for one in learned),
        steps=-(-run.steps // recipe.processes),
        seconds=seconds,
        memory_bytes=peak_memory(),
        how=f"timed {len(paces)} step{'s' * (len(paces) != 1)} on this machine",
    )


def peak_memory() -> int:
    """Bytes at most in use: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else 1024 * used


def _forget_peak() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux only, and not in every container
        Path("/proc/self/clear_refs").write_text("5")
