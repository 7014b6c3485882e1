"""Training from what people thought of answers: DPO (Rafailov et al. 2023) and KTO (Ethayarajh et al. 2024), by TRL.

DPO needs a good and a bad answer to the same question; KTO learns from each rated answer by itself. What is read and
what is learned is rendered here, not by TRL: the prompt is the one that is served. Such a run has no checkpoints: one
that was killed begins again, and ends with the same weights.
"""

import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agent.generation.adapters import BASE_FACT, TEMPLATE_FACT, base_fingerprint, template_fingerprint
from agent.generation.loading import LoadedModel
from agent.generation.rendering import ChatMessage, render, render_training
from finetune.example import Example
from finetune.methods import LIMITS, peft_config
from finetune.recipe import Method, Recipe
from finetune.training.adapter import write_adapter
from finetune.training.base import load_base, precision_of
from finetune.training.metrics import Metrics
from finetune.training.outcome import Outcome, Progress
from finetune.training.picture import draw_losses
from finetune.training.processes import accelerator_for
from retrieval.errors import DataRefused, FinetuneError

METHODS = (Method.LORA, Method.RSLORA, Method.DORA)
PAIRS = 4  # at most of one question: a question that many answered must not outweigh the others
Row = dict[str, Any]


def train_preference(
    base: Path | str,
    train: Sequence[Example],
    held_out: Sequence[Example],
    recipe: Recipe,
    folder: Path,
    *,
    progress: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> Outcome:
    """As loop.train, for the objectives dpo and kto. Raises FinetuneError, DataRefused, ModelFolderError, OSError."""
    if find_spec("trl") is None:
        raise FinetuneError(
            f"The objective {recipe.objective} needs the package trl. Install it with pip install "
            '"atelier[preference]", or set objective = "sft".'
        )
    if recipe.method not in METHODS:
        raise FinetuneError(
            f"The objective {recipe.objective} trains lora, rslora or dora, not {LIMITS[recipe.method].name}. Set "
            'method = "lora".'
        )
    accelerator = accelerator_for(recipe, folder)
    loaded = load_base(base, recipe, str(accelerator.device))
    rows_of = pair_rows if recipe.objective == "dpo" else rated_rows
    learned, measured = (rows_of(examples, loaded.tokenizer, recipe) for examples in (train, held_out))
    if recipe.objective == "kto" and len({row["label"] for row in learned}) < 2:
        raise DataRefused(
            "KTO needs answers that were rated good and others that were rated bad. Collect more ratings."
        )
    if not learned:
        raise DataRefused(
            'DPO needs questions with a good and a bad answer each, and there is none. Set objective = "kto", which '
            "learns from each rated answer by itself."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return _run(loaded, learned, measured, recipe, folder, accelerator, progress, stop)


def pair_rows(examples: Sequence[Example], tokenizer: Any, recipe: Recipe) -> list[Row]:
    """Token ids of a question, of an answer rated good, and of one rated bad."""
    answers: dict[tuple[ChatMessage, ...], dict[int, list[Example]]] = {}
    for example in examples:
        if example.rating:
            answers.setdefault(example.messages[:-1], {1: [], -1: []})[example.rating].append(example)
    rows = []
    for rated in answers.values():
        pairs = [(good, bad) for good in rated[1] for bad in rated[-1] if good.messages[-1] != bad.messages[-1]]
        for good, bad in pairs[:PAIRS]:
            asked, chosen = _parts(good, tokenizer)
            _, rejected = _parts(bad, tokenizer)
            if len(asked) + max(len(chosen), len(rejected)) <= recipe.max_tokens:
                rows.append({"prompt_ids": asked, "chosen_ids": chosen, "rejected_ids": rejected})
    return rows


def rated_rows(examples: Sequence[Example], tokenizer: Any, recipe: Recipe) -> list[Row]:
    """Token ids of a question and of its answer, and whether that was rated good; unlike ones next to each other.

    KTO compares with answers that belong to other questions: each row holds that of the one before it.
    """
    rows = []
    for example in examples:
        if example.rating:
            asked, said = _parts(example, tokenizer)
            if len(asked) + len(said) <= recipe.max_tokens:
                rows.append({"prompt_ids": asked, "completion_ids": said, "label": example.rating > 0})
    for number, row in enumerate(rows):
        row["KL_completion_ids"] = rows[number - 1]["completion_ids"]
    return rows


def _parts(example: Example, tokenizer: Any) -> tuple[list[int], list[int]]:
    """The prompt as served, and the answer up to the end of its turn."""
    ids, mask = render_training(example.messages, tokenizer)
    start, end = len(render(example.messages[:-1], tokenizer)), len(mask) - mask[::-1].index(True)
    return ids[:start], ids[start:end]


def _run(
    loaded: LoadedModel,
    learned: list[Row],
    measured: list[Row],
    recipe: Recipe,
    folder: Path,
    accelerator: Any,
    progress: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> Outcome:
    logging.getLogger("trl").setLevel(logging.ERROR)  # it would warn of data that it did not prepare itself
    trainer, metrics = _trainer(loaded, learned, measured, recipe, folder), None
    if accelerator.is_main_process:
        metrics = Metrics(folder, recipe, accelerator, step=0, steps=max(1, trainer.args.max_steps))
    first = trainer.evaluate()["eval_loss"] if measured else math.nan
    callback = _callback(metrics, progress, stop, first if measured else None)
    trainer.add_callback(callback)
    try:
        trainer.train()
    finally:
        if metrics:
            metrics.close()
        shutil.rmtree(folder / "trl", ignore_errors=True)
    steps = trainer.state.global_step
    if callback.stopped:
        return Outcome(None, "cancelled", steps, steps, first, math.nan)
    best = trainer.evaluate()["eval_loss"] if measured else math.nan
    if accelerator.is_main_process:
        facts = {
            BASE_FACT: base_fingerprint(loaded.folder),
            TEMPLATE_FACT: template_fingerprint(loaded.tokenizer.chat_template),
            "method": recipe.method.value,
            "objective": recipe.objective,
            "step": steps,
        }
        write_adapter(folder / "adapter", accelerator.unwrap_model(trainer.model), loaded, recipe.method, facts)
        draw_losses(folder)
    accelerator.wait_for_everyone()
    return Outcome(folder / "adapter", "finished", steps, steps, first, best)


def _trainer(loaded: LoadedModel, learned: list[Row], measured: list[Row], recipe: Recipe, folder: Path) -> Any:
    import torch
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

    dpo = recipe.objective == "dpo"
    longest = max(sum(len(value) for value in row.values() if isinstance(value, list)) for row in learned)
    rows = max(1 if dpo else 2, recipe.batch_tokens // longest)  # KTO needs another answer in each batch
    each = rows * recipe.accumulation * recipe.processes
    steps = recipe.max_steps or max(1, math.ceil(recipe.epochs * len(learned) / each))
    settings = (DPOConfig if dpo else KTOConfig)(
        output_dir=str(folder / "trl"),
        per_device_train_batch_size=rows,
        per_device_eval_batch_size=rows,
        gradient_accumulation_steps=recipe.accumulation,
        max_steps=steps,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=math.ceil(recipe.warmup * steps),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.clip,
        max_length=recipe.max_tokens,
        bf16=precision_of(recipe) == "bf16",
        gradient_checkpointing=recipe.activation_checkpointing,
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        seed=recipe.seed,
        remove_unused_columns=False,
    )

    class Prepared(DPOTrainer if dpo else KTOTrainer):  # type: ignore[misc] # a base by choice, and TRL ships no types
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset  # the ids are ours already

        def _send_telemetry(self) -> None:
            """TRL would tell its makers of each run."""

    return Prepared(
        model=loaded.model,
        args=settings,
        train_dataset=Dataset.from_list(learned),
        eval_dataset=Dataset.from_list(measured) if measured else None,
        processing_class=loaded.tokenizer,
        peft_config=peft_config(loaded.model, recipe, steps),
    )


def _callback(
    metrics: Metrics | None, progress: Callable[[Progress], None], stop: Callable[[], bool], first: float | None
) -> Any:
    from transformers import TrainerCallback

    class Telling(TrainerCallback):  # type: ignore[misc] # transformers ships no types for it
        stopped = False
        began = time.monotonic()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            del args, control
            self.began = time.monotonic()
            if metrics:
                metrics.write(0, held_out=first)
                progress(Progress(0, state.max_steps, math.nan, first, 0.0, math.nan))

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            del args, state
            if stop():
                self.stopped = control.should_training_stop = True

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            del args, control
            if metrics and logs and "loss" in logs:
                metrics.write(state.global_step, loss=logs["loss"], learning_rate=logs.get("learning_rate"))
                left = (time.monotonic() - self.began) / state.global_step * (state.max_steps - state.global_step)
                progress(Progress(state.global_step, state.max_steps, logs["loss"], None, 0.0, left))

    return Telling()
