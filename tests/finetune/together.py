"""One of several processes that train together: `torchrun … -m tests.finetune.together BASE JOB PROCESSES`."""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from finetune.training.loop import train
from tests.finetune.learning import RECIPE, examples


def recipe_of(processes: int, accumulation: int):
    return replace(RECIPE, dropout=0.0, processes=processes, accumulation=accumulation, max_steps=5, learning_rate=0.01)


if __name__ == "__main__":
    base, job, processes = sys.argv[1:]
    torch.set_num_threads(1)
    for ends in (2, 0):  # stopped after two steps, then taken up again
        asked = iter(range(1, 100))
        train(
            Path(base),
            examples(40),
            examples(8, seed=1),
            recipe_of(int(processes), 1),
            Path(job),
            stop=lambda asked=asked, ends=ends: next(asked) == ends,
        )
        assert (Path(job) / "adapter").exists() == (ends == 0)
