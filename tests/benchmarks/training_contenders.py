"""`python -m tests.benchmarks.training_contenders WHO SIZE STEPS THREADS`: one trainer's pace and peak memory, as JSON.

Each runs in a process of its own on the same model, the same rows and the same settings: LoRA of rank 8 on all linear
layers, 8 rows of 128 tokens of which a third is learned, AdamW, float32, no checkpointing of activations.
"""

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from agent.generation.loading import LoadedModel
from finetune.recipe import Recipe
from finetune.training.batches import Encoded
from finetune.training.estimate import peak_memory
from tests.agent.models import build_tokenizer

ROWS, WIDTH, THREADS = 8, 128, 2
SIZES: dict[str, dict[str, int]] = {
    "tiny": {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 700,
    },
    "100M": {
        "hidden_size": 768,
        "num_hidden_layers": 8,
        "num_attention_heads": 12,
        "intermediate_size": 2048,
        "vocab_size": 32_000,
    },
}
RECIPE = Recipe(
    rank=8,
    alpha=16,
    dropout=0.0,
    batch_tokens=ROWS * WIDTH,
    max_tokens=WIDTH,
    packing=False,
    precision="fp32",
    warmup=0.0,
)


def model_of(size: str) -> Any:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES[size], pad_token_id=0, bos_token_id=None, eos_token_id=2))
    model.set_attn_implementation("sdpa")
    return model


def rows_of(size: str, count: int) -> list[Encoded]:
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(3, SIZES[size]["vocab_size"], (count, WIDTH), generator=draw).tolist()
    return [Encoded(row, [at >= WIDTH * 2 // 3 for at in range(WIDTH)]) for row in ids]


def timed(step: Callable[[int], None], steps: int) -> dict[str, float]:
    """Seconds of each of `steps` after two that warm up; their median counts."""
    ends = [_now()]
    for number in range(1, steps + 3):
        step(number)
        ends.append(_now())
    return _result(ends[1:])


def _now() -> tuple[float, float]:
    """Seconds on the clock, and of processor time."""
    return time.perf_counter(), time.process_time()


def _result(ends: list[tuple[float, float]]) -> dict[str, float]:
    """ends: of each step, the two that warm up included."""
    clock, processor = (
        sorted(after[k] - before[k] for before, after in pairwise(ends[1:]))[(len(ends) - 2) // 2] for k in (0, 1)
    )
    tokens = ROWS * WIDTH
    return {"tokens/s": tokens / clock, "tokens/CPU s": tokens / processor, "peak MiB": peak_memory() / 2**20}


def atelier(size: str, steps: int, **change: Any) -> dict[str, float]:
    from finetune.training.loop import Run
    from finetune.training.processes import accelerator_for

    recipe, folder = replace(RECIPE, **change), Path(tempfile.mkdtemp())
    loaded = LoadedModel(Path(), model_of(size), build_tokenizer(), 2048, (2,), None)
    run = Run(accelerator_for(recipe, folder), loaded, rows_of(size, ROWS * (steps + 2)), [], recipe, folder)
    return timed(run.advance, steps)


def packed(size: str, steps: int) -> dict[str, float]:
    return atelier(size, steps, packing=True)


class _Clock:
    """The ends of a Trainer's steps."""

    def __new__(cls) -> Any:
        from transformers import TrainerCallback

        class Clock(TrainerCallback):
            ends: list[tuple[float, float]] = []  # noqa: RUF012 - one instance in a process

            def on_step_end(self, *_: Any, **__: Any) -> None:
                self.ends.append(_now())

        return Clock()


def trainer(size: str, steps: int) -> dict[str, float]:
    from peft import LoraConfig, get_peft_model
    from transformers import Trainer, TrainingArguments

    settings = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    rows = [
        {"input_ids": one.ids, "labels": [i if m else -100 for i, m in zip(one.ids, one.mask, strict=True)]}
        for one in rows_of(size, ROWS * (steps + 2))
    ]
    clock = _Clock()
    arguments = TrainingArguments(**_arguments(), max_steps=steps + 2)
    collate = lambda batch: {name: torch.tensor([row[name] for row in batch]) for name in batch[0]}  # noqa: E731 - one line
    Trainer(
        get_peft_model(model_of(size), settings),
        arguments,
        train_dataset=rows,
        data_collator=collate,
        callbacks=[clock],
    ).train()
    return _result(clock.ends)


def sft(size: str, steps: int) -> dict[str, float]:
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    settings = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    rows = [
        {"input_ids": one.ids, "completion_mask": [int(m) for m in one.mask]}
        for one in rows_of(size, ROWS * (steps + 2))
    ]
    clock = _Clock()
    SFTTrainer(
        model_of(size),
        SFTConfig(**_arguments(), max_steps=steps + 2, completion_only_loss=True, packing=False, max_length=WIDTH),
        train_dataset=Dataset.from_list(rows),
        processing_class=build_tokenizer(),
        peft_config=settings,
        callbacks=[clock],
    ).train()
    return _result(clock.ends)


def _arguments() -> dict[str, Any]:
    return {
        "output_dir": tempfile.mkdtemp(),
        "per_device_train_batch_size": ROWS,
        "learning_rate": RECIPE.learning_rate,
        "lr_scheduler_type": "cosine",
        "max_grad_norm": RECIPE.clip,
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "logging_steps": 10_000,
        "dataloader_num_workers": 0,
    }


CONTENDERS = {"Atelier": atelier, "Atelier, packed": packed, "transformers Trainer": trainer, "TRL SFTTrainer": sft}

if __name__ == "__main__":
    who, size, steps, threads = sys.argv[1:]
    warnings.simplefilter("ignore")
    torch.set_num_threads(int(threads))
    print(json.dumps(CONTENDERS[who](size, int(steps))))
