"""Several processes for one run: how they are started, and that they are as many as the recipe asks for."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune.recipe import Recipe
from retrieval.errors import FinetuneError


def command(module: str, arguments: Sequence[str], processes: int) -> list[str]:
    """The command line that runs `python -m module arguments`, in `processes` of them that know each other.

    It is torchrun's: `accelerate launch --cpu` runs one process whatever number it is given, without a word.
    """
    if processes == 1:
        return [sys.executable, "-m", module, *arguments]
    together = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    return [sys.executable, *together, "-m", module, *arguments]


def accelerator_for(recipe: Recipe, folder: Path) -> Any:
    """An accelerate.Accelerator over the GPU where there is one, else the CPU.

    folder: for the files of the recipe's tracker. Raises FinetuneError if the processes are not as many as the recipe
    says: with fewer each step would silently learn from less.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != recipe.processes:
        raise FinetuneError(
            f"The recipe asks for {recipe.processes} processes, but {started} were started. Start the job with "
            f"torchrun --nproc_per_node={recipe.processes}, or set processes = {started}."
        )
    import torch
    from accelerate import Accelerator

    tracker = None if recipe.tracker == "none" else recipe.tracker
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), log_with=tracker, project_dir=folder)
    if accelerator.num_processes != recipe.processes:
        raise FinetuneError(
            f"{recipe.processes} processes were started, but {accelerator.num_processes} found each other. Start the "
            "job with torchrun, and not inside another distributed program."
        )
    return accelerator
