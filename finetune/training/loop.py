"""Supervised fine-tuning on accelerate: from examples to a sealed adapter, in one loop that can be killed anywhere."""

import hashlib
import json
import math
import time
import warnings
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from agent.generation.adapters import BASE_FACT, TEMPLATE_FACT, base_fingerprint, template_fingerprint
from agent.generation.loading import LoadedModel
from finetune.example import Example
from finetune.methods import adapt
from finetune.recipe import Method, Recipe
from finetune.training import adalora, checkpoints
from finetune.training.adapter import write_adapter
from finetune.training.attention import part_packed
from finetune.training.base import load_base, precision_of
from finetune.training.batches import Batch, Encoded, count_steps, encode, moved, packed_batch, padded_batch, plan
from finetune.training.checkpoints import Standing, trained_weights
from finetune.training.head import choose_head
from finetune.training.losses import Learner, example_losses, reduced
from finetune.training.metrics import Metrics, check_tracker
from finetune.training.outcome import Outcome, Progress
from finetune.training.processes import accelerator_for
from retrieval.errors import DataRefused, FinetuneError

METHOD_FACT = "method"
BACKEND = "inductor"  # of torch.compile
PACE = 20  # steps whose median says how long the others will take
_MAY_CHANGE = frozenset({"save_seconds", "tracker"})  # settings that may change between a run and its resumption


def train(
    base: Path | str,
    train: Sequence[Example],
    held_out: Sequence[Example],
    recipe: Recipe,
    folder: Path,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train by `recipe` and write folder/adapter, with the weights whose held-out loss was the lowest.

    `folder` is a job's own: checkpoints/, metrics.jsonl and loss.png stand there too. A run that was killed goes on
    from its newest checkpoint by itself, and ends with the same weights, bit for bit. stop: asked at each step; when
    it says so, a checkpoint is written and the run ends as cancelled. Every process of a run calls this with the same
    arguments. Raises FinetuneError, DataRefused, ModelFolderError, and OSError when the disk refuses.
    """
    if recipe.objective != "sft":
        from finetune.training.preference import train_preference

        return train_preference(base, train, held_out, recipe, folder, progress=progress, stop=stop)
    check_tracker(recipe)
    accelerator = accelerator_for(recipe, folder)
    loaded = load_base(base, recipe, str(accelerator.device))
    learned, measured = encode(train, loaded.tokenizer, recipe), encode(held_out, loaded.tokenizer, recipe)
    if not learned:
        raise DataRefused("There is no example to learn from.")
    try:
        run = Run(accelerator, loaded, learned, measured, recipe, folder)
        return run.through(progress, stop)
    except torch.OutOfMemoryError as error:
        raise FinetuneError(
            "The memory is not enough for this recipe. Lower batch_tokens or rank, or set "
            "activation_checkpointing = true or bits = 8."
        ) from error


def learning_rate(step: int, steps: int, recipe: Recipe) -> float:
    """Of the step-th step, from 1: rising in a line, then falling to zero along a cosine."""
    warm = math.ceil(recipe.warmup * steps)
    if step <= warm:
        return recipe.learning_rate * step / warm
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm + 1)))


class Run:
    """One run, in one of its processes."""

    def __init__(
        self,
        accelerator: Any,
        loaded: LoadedModel,
        learned: Sequence[Encoded],
        measured: Sequence[Encoded],
        recipe: Recipe,
        folder: Path,
    ) -> None:
        self.accelerator, self.loaded, self.recipe, self.folder = accelerator, loaded, recipe, folder
        self.learned, self.measured = learned, measured
        self.batches = plan(learned, recipe)
        self.steps = count_steps(self.batches, recipe)
        self.precision = precision_of(recipe)
        choose_head(loaded.model, reduced(accelerator.device, self.precision))
        if recipe.packing:
            part_packed(loaded.model, reduced(accelerator.device, self.precision))
        self.model = prepared(adapt(loaded.model, recipe, self.steps), recipe)
        self.parameters = list(trained_weights(self.model).values())
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.learner = accelerator.prepare(Learner(self.model))  # with several processes they average its gradients
        self.standing, self.best = Standing(), dict[str, torch.Tensor]()
        self.facts: dict[str, object] = {}
        self.key = ""
        self.loss = math.nan
        self.paces: deque[float] = deque(maxlen=PACE)
        self.evaluation_seconds = 0.0
        self.evaluate_at = {round(self.steps * i / recipe.evaluations) for i in range(1, recipe.evaluations + 1)}

    def through(self, progress: Callable[[Progress], None], stop: Callable[[], bool]) -> Outcome:
        """From the newest checkpoint, or the beginning, to the end."""
        self._resume()
        main, standing = self.accelerator.is_main_process, self.standing
        metrics = (
            Metrics(self.folder, self.recipe, self.accelerator, step=standing.step, steps=self.steps) if main else None
        )
        saved = time.monotonic()

        def tell(held_out: float | None, speed: float) -> None:
            if metrics:
                rate = learning_rate(max(standing.step, 1), self.steps, self.recipe)
                loss = None if math.isnan(self.loss) else self.loss
                metrics.write(standing.step, loss=loss, held_out=held_out, learning_rate=rate, tokens_per_second=speed)
                progress(Progress(standing.step, self.steps, self.loss, held_out, speed, self._seconds_left()))

        try:
            if standing.step == 0:
                tell(self._evaluate(), 0.0)
            while standing.step < self.steps and not self._given_up():
                began = time.monotonic()
                tokens = self.advance(standing.step + 1)
                self.paces.append(time.monotonic() - began)
                held_out = self._evaluate() if standing.step in self.evaluate_at else None
                tell(held_out, tokens / self.paces[-1])
                ending, due = self._agreed(
                    stop() if main else False, time.monotonic() - saved >= self.recipe.save_seconds
                )
                if ending or due:
                    self._save()
                    saved = time.monotonic()
                if ending and standing.step < self.steps:
                    return self._outcome(None, "cancelled")
        finally:
            if metrics:
                metrics.close()
        return self._finish()

    def _resume(self) -> None:
        """Find out what this run is, and go back to its newest checkpoint."""
        from accelerate.utils import broadcast_object_list

        told: list[Any] = [None]
        if self.accelerator.is_main_process:
            facts = {
                BASE_FACT: base_fingerprint(self.loaded.folder),
                TEMPLATE_FACT: template_fingerprint(self.loaded.tokenizer.chat_template),
                METHOD_FACT: self.recipe.method.value,
                "recipe": {name: value for name, value in asdict(self.recipe).items() if name not in _MAY_CHANGE},
                "data": _digest_of(self.learned, self.measured),
            }
            told = [json.loads(json.dumps(facts))]
            (self.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
            checkpoints.clear(self.folder / "checkpoints", key=_digest(facts))
        broadcast_object_list(told)
        self.facts, self.key = told[0], _digest(told[0])
        found = checkpoints.restore(
            self.folder / "checkpoints",
            self.model,
            self.optimizer,
            self.recipe.method,
            self.key,
            self.accelerator.device,
        )
        if found:
            self.standing, self.best = found
            if self.standing.best_step == self.standing.step:  # a checkpoint holds them once
                self._keep_best()

    def advance(self, step: int) -> int:
        """One step of the optimizer; the tokens it read. Raises FinetuneError if the loss is no number."""
        recipe, accelerator = self.recipe, self.accelerator
        rank, processes = accelerator.process_index, accelerator.num_processes
        torch.manual_seed((recipe.seed * 1_000_003 + step) * processes + rank)
        each = recipe.accumulation * processes
        chosen = self.batches[(step - 1) * each : step * each]
        counted = sum(
            self.learned[i].trained for batch in chosen for i in batch
        )  # of every process: each token the same
        mine = chosen[rank::processes]
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.steps, recipe)
        total = torch.zeros((), device=accelerator.device)
        self.model.train()
        for number, batch in enumerate(mine, 1):
            last = number == len(mine)
            tensors = self._tensors(batch)
            with nullcontext() if last else accelerator.no_sync(self.learner):
                with reduced(accelerator.device, self.precision):
                    loss = self.learner(tensors).sum() / counted
                total += loss.detach()
                if last and recipe.method is Method.ADALORA:
                    loss = loss + adalora.penalty(self.model) / processes
                accelerator.backward(loss * processes)  # gradients are averaged over the processes
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, recipe.clip)
        self.loss = float(accelerator.reduce(total))
        if not math.isfinite(self.loss) or not math.isfinite(float(norm)):
            raise FinetuneError(
                f"The loss is no number any more at step {step}. Lower the learning_rate (now "
                f'{recipe.learning_rate:g}), or set precision = "fp32".'
            )
        self.optimizer.step()
        if recipe.method is Method.ADALORA:
            self.model.base_model.update_and_allocate(step)
        self.optimizer.zero_grad(set_to_none=True)
        self.standing.step = step
        return sum(len(self.learned[i].ids) for batch in chosen for i in batch)

    def _tensors(self, batch: Sequence[int]) -> Batch:
        examples, pad = [self.learned[i] for i in batch], self.loaded.tokenizer.pad_token_id or 0
        if not self.recipe.packing:
            return moved(padded_batch(examples, pad), self.accelerator.device)
        width = self.recipe.batch_tokens if self.recipe.compile else 0  # one shape, compiled once
        return moved(packed_batch(examples, width=width, pad=pad), self.accelerator.device)

    def _evaluate(self) -> float | None:
        """The held-out loss, after which the standing knows whether it is the best; None without such examples."""
        if not self.measured:
            return None
        began, accelerator = time.monotonic(), self.accelerator
        with torch.compiler.set_stance("force_eager"):  # compiled layers would be compiled anew for each width
            losses = example_losses(
                self.model,
                self.measured,
                self.recipe,
                self.precision,
                rank=accelerator.process_index,
                processes=accelerator.num_processes,
            )
        total = torch.tensor(losses, dtype=torch.double).sum().to(accelerator.device)
        held_out = float(accelerator.reduce(total)) / sum(one.trained for one in self.measured)
        standing = self.standing
        if standing.step == 0:
            standing.first_loss = held_out
        elif held_out < standing.best_loss:
            standing.best_loss, standing.best_step, standing.without_gain = held_out, standing.step, 0
            self._keep_best()
        else:
            standing.without_gain += 1
        self.evaluation_seconds = time.monotonic() - began
        return held_out

    def _keep_best(self) -> None:
        self.best = {name: weight.detach().clone() for name, weight in trained_weights(self.model).items()}

    def _given_up(self) -> bool:
        return 0 < self.recipe.patience <= self.standing.without_gain

    def _agreed(self, ending: bool, due: bool) -> tuple[bool, bool]:  # noqa: FBT001 - two answers, each of its own
        """What the first process says, in all of them."""
        if self.accelerator.num_processes == 1:
            return ending, due
        from accelerate.utils import broadcast

        said = broadcast(torch.tensor([ending, due], dtype=torch.int64, device=self.accelerator.device))
        return bool(said[0]), bool(said[1])

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            best = self.best if self.standing.best_step != self.standing.step else {}
            checkpoints.save(
                self.folder / "checkpoints",
                self.standing,
                self.model,
                self.optimizer,
                best,
                self.recipe.method,
                self.key,
            )
        self.accelerator.wait_for_everyone()

    def _seconds_left(self) -> float:
        if not self.paces:
            return math.nan
        evaluations = sum(1 for step in self.evaluate_at if step > self.standing.step)
        middle = sorted(self.paces)[len(self.paces) // 2]
        return middle * (self.steps - self.standing.step) + self.evaluation_seconds * evaluations

    def _finish(self) -> Outcome:
        """Write the adapter of the best weights and the picture; checkpoints are needed no more."""
        if self.best:
            with torch.no_grad():
                for name, weight in trained_weights(self.model).items():
                    weight.copy_(self.best[name])
        adapter = self.folder / "adapter"
        if self.accelerator.is_main_process:
            from finetune.training.picture import draw_losses

            facts = self.facts | {"step": self.standing.best_step or self.standing.step}
            write_adapter(adapter, self.model, self.loaded, self.recipe.method, facts)
            draw_losses(self.folder)
        self.accelerator.wait_for_everyone()
        return self._outcome(adapter, "early" if self.standing.step < self.steps else "finished")

    def _outcome(self, adapter: Path | None, ended: Any) -> Outcome:
        standing = self.standing
        best = standing.best_loss if self.measured else math.nan
        return Outcome(adapter, ended, standing.step, standing.best_step or standing.step, standing.first_loss, best)


def prepared(model: Any, recipe: Recipe) -> Any:
    """The adapted model as the recipe wants it run: activations kept or computed again, layers compiled or not."""
    if recipe.activation_checkpointing:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the other name for it is only in transformers 5.23
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if precision_of(recipe) == "bf16":
        from peft.tuners.tuners_utils import BaseTunerLayer

        for layer in model.modules():
            if isinstance(layer, BaseTunerLayer):
                layer.cast_input_dtype_enabled = False  # autocast casts; peft would cast to float32 and back besides
    if recipe.compile:
        layers = max((m for m in model.modules() if isinstance(m, torch.nn.ModuleList)), key=len)
        for layer in layers:
            layer.compile(backend=BACKEND)  # in place: names stay, and each of the like layers is compiled once for all
    return model


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _digest_of(*parts: Sequence[Encoded]) -> str:
    """SHA-256 of the token ids and masks of each part's examples."""
    digest = hashlib.sha256()
    for examples in parts:
        digest.update(b"part")
        for one in examples:
            digest.update(array("q", [len(one.ids), *one.ids]).tobytes() + bytes(one.mask))
    return digest.hexdigest()
