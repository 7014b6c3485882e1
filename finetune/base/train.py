"""Train the starter from nothing: plain language, then language and talk, then talk alone while the rate falls to zero.

The number of steps is planned once, from the minutes given and the speed measured; from then on a run is decided by its
seed, and a stopped one goes on where its last checkpoint was.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from finetune.base.feed import Batch, Feed
from finetune.base.measure import held_language, held_reading
from finetune.base.model import Starter, block_mask, dense_mask, described, shape_of
from finetune.base.optimizer import Optimizer
from finetune.base.tokenizer import WINDOW

# Until this share of the steps: the mixture of rows, and what a token of each kind weighs (SILENT, HEARD, SAID, COPIED,
# PLAIN, READ). An answer is a few words among hundreds that are shown, so its words weigh more.
PHASES: tuple[tuple[float, dict[str, float], tuple[float, ...]], ...] = (
    (0.26, {"language": 1.0}, (0, 0, 0, 0, 1, 0)),
    (
        0.64,
        {
            "language": 26, "read": 34, "gaps": 19, "conversations": 6,
            "support": 3, "instructed": 6, "own": 3, "ideas": 3,
        },
        (0, 0.15, 1, 0.4, 1, 3),
    ),
    (
        1.0,
        {
            "language": 6, "read": 60, "gaps": 11, "conversations": 1,
            "support": 2, "instructed": 7, "own": 8, "ideas": 5,
        },
        (0, 0, 1, 0.3, 0.5, 3),
    ),
)  # fmt: skip
WARM_UP = 60  # steps in which the rate rises
FALL = 0.5  # share of the steps from which on it falls
MEASURED = 30  # steps before the rest are planned; the first third is not timed
RESERVE = 8.0  # seconds at the end for measuring and saving
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. minutes or steps: what bounds it. rows: of WINDOW tokens a step, `micro` at a time."""

    preset: str = "full"
    minutes: float = 0.0
    steps: int = 0
    rows: int = 32
    micro: int = 32
    seed: int = 0
    muon: float = 0.015
    adam: float = 0.002
    decay: float = 0.1
    dense: bool = False
    compiled: bool = True
    eager_chats: bool = False  # wait for all sources before the first step
    every: int = 500  # steps between measurements
    since: float = 0.0  # the time (Unix) from which the minutes count; 0: now


@dataclass(slots=True)
class _Run:
    step: int = 0
    total: int = 0
    seconds: float = 0.0
    curves: list[dict[str, float]] = field(default_factory=list)


def train(
    work: Path,
    out: Path,
    vocabulary: int,
    plan: Plan,
    say: Say = print,
    export: Callable[[Starter, Path], None] | None = None,
) -> Starter:
    """The trained model. work: the built sources and the checkpoint. out: curves.json and what `export` writes."""
    began = time.monotonic() - (time.time() - plan.since if plan.since else 0.0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    torch.set_float32_matmul_precision("high")
    out.mkdir(parents=True, exist_ok=True)
    model = Starter(shape_of(plan.preset, vocabulary), plan.seed).to(device)
    say(f"{described(model.shape)} on {device}")
    compiled = plan.compiled and device == "cuda"
    optimizer = Optimizer(model, muon=plan.muon, adam=plan.adam, decay=plan.decay)
    feed, run = Feed(work, device, plan.seed), _Run()
    checkpoint = work / f"{plan.preset}-{plan.seed}.checkpoint"
    if checkpoint.exists():
        _resume(checkpoint, model, optimizer, feed, run, plan)
        say(f"goes on from step {run.step} of {run.total}")
    loss_of = (
        _working_loss(model, optimizer, dtype, plan, say)
        if compiled
        else _loss(model, dtype, dense=True, compiled=False)
    )
    feed.wait("chats" if plan.eager_chats else "language")
    run.total = run.total or plan.steps
    phase, spent_before, timed, last = 0, run.seconds, 0.0, time.monotonic()
    totals = torch.zeros(2, device=device)
    while not run.total or run.step < run.total:
        progress = run.step / run.total if run.total else 0.0
        reached = next(index for index, (end, _, _) in enumerate(PHASES) if progress < end)
        if reached > phase:
            phase, pace = reached, (time.monotonic() - timed) / max(1, run.step - MEASURED)
            feed.wait("chats")
            if plan.minutes and timed:  # what waiting and measuring took is made up for, once a phase
                left = plan.minutes * 60 - (time.monotonic() - began) - RESERVE
                run.total = run.step + max(1, int(left / pace))
                say(f"phase {phase}: {run.total} steps")
        _, mixture, weights = PHASES[phase]
        batch = feed.batch(run.step, plan.rows, mixture)
        table = torch.tensor(weights, device=device, dtype=torch.float32)
        whole = table[batch.kinds[:, 1:]].sum().clamp(min=1.0)
        for at in range(0, plan.rows, plan.micro):
            part = Batch(*(getattr(batch, name)[at : at + plan.micro] for name in Batch.__slots__))
            loss = loss_of(part, table) / whole
            loss.backward()  # type: ignore[no-untyped-call] # torch leaves it without types
            totals += torch.stack((loss.detach(), loss.new_ones(()) * (at == 0)))
        optimizer.step(rate(progress, run.step))
        run.step += 1
        run.seconds = spent_before + time.monotonic() - began
        if not run.total:
            timed = _measure(run, timed, device)
            if run.step == MEASURED:
                left = plan.minutes * 60 - (time.monotonic() - began) - RESERVE
                a_step = (time.monotonic() - timed) / (MEASURED - MEASURED // 3)
                run.total = MEASURED + max(1, int(left / (a_step * 1.03)))
                speed, timed = plan.rows * WINDOW / a_step, time.monotonic()
                say(f"{a_step * 1000:.0f} ms a step, {speed:,.0f} tokens a second: {run.total} steps")
        if run.step % 100 == 0 or run.step == run.total:
            mean = float(totals[0] / totals[1])
            totals.zero_()
            took, last = time.monotonic() - last, time.monotonic()
            say(f"step {run.step}/{run.total} phase {phase} loss {mean:.4f} {run.seconds:.0f} s ({took:.1f})")
            run.curves.append(
                {"step": run.step, "phase": phase, "seconds": round(run.seconds, 1), "loss": round(mean, 5)}
            )
        if run.step % plan.every == 0 or run.step == run.total:
            with torch.compiler.set_stance("force_eager"):  # other shapes would be compiled for a few rows
                figures = {**held_language(model, work, dtype), **held_reading(model, work, dtype)}
            say("  " + " ".join(f"{name} {value:.4f}" for name, value in figures.items()))
            run.curves.append({"step": run.step, **{name: round(value, 5) for name, value in figures.items()}})
            _write(out / "curves.json", json.dumps({"shape": described(model.shape), "curves": run.curves}).encode())
            if export is not None:
                export(model, out)
            _keep(checkpoint, model, optimizer, feed, run, plan)
    return model


def rate(progress: float, step: int) -> float:
    """Of the peak: up, level, and down to zero."""
    return min(1.0, (step + 1) / WARM_UP) if progress < FALL else max(0.0, (1 - progress) / (1 - FALL))


def _measure(run: _Run, timed: float, device: str) -> float:
    if run.step not in (MEASURED // 3, MEASURED):
        return timed
    if device == "cuda":
        torch.cuda.synchronize()
    return time.monotonic() if run.step == MEASURED // 3 else timed


def _working_loss(
    model: Starter, optimizer: Optimizer, dtype: torch.dtype, plan: Plan, say: Say
) -> Callable[[Batch, Tensor], Tensor]:
    """The compiled loss, tried on rows of nothing while the data is still being built; the plain one where it fails."""
    nothing = Batch(*(torch.zeros(plan.micro, WINDOW + 1, dtype=torch.long, device="cuda") for _ in Batch.__slots__))
    for dense, compiled in ((plan.dense, True), (True, True), (True, False)):
        try:
            began = time.monotonic()
            loss_of = _loss(model, dtype, dense=dense, compiled=compiled)
            for _ in range(2):
                loss_of(nothing, torch.ones(6, device="cuda")).backward()  # type: ignore[no-untyped-call] # as above
            torch.cuda.synchronize()
        except Exception as error:  # noqa: BLE001 - compilers and drivers raise of every kind
            say(f"attention dense={dense} compiled={compiled} fails: {type(error).__name__}: {str(error)[:2000]}")
            for layer in model.model.layers:
                layer._compiled_call_impl = None  # noqa: SLF001 - nn.Module.compile has no public way back
            continue
        finally:
            optimizer.clear()
        say(f"attention dense={dense} compiled={compiled}: ready after {time.monotonic() - began:.1f} s")
        return loss_of
    raise RuntimeError("The model's loss cannot be computed on this GPU.")


def _loss(model: Starter, dtype: torch.dtype, *, dense: bool, compiled: bool) -> Callable[[Batch, Tensor], Tensor]:
    """The weighted sum of a batch's losses. Layers are compiled one by one: all are alike, the first pays for all."""

    def head(hidden: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        logits = model.logits(hidden).float()
        losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        return (losses * weights.flatten()).sum()

    mask_of: Callable[[Tensor], Any] = dense_mask if dense else block_mask
    if compiled:
        for layer in model.model.layers:
            layer.compile(dynamic=False)
        head = torch.compile(head, dynamic=False)
        if not dense:
            mask_of = torch.compile(block_mask, dynamic=False)

    def loss(batch: Batch, table: Tensor) -> Tensor:
        mask = mask_of(batch.seen[:, :-1].contiguous())
        hidden = model.hidden(batch.ids[:, :-1], batch.positions[:, :-1], mask, dtype)
        return head(hidden, batch.ids[:, 1:].contiguous(), table[batch.kinds[:, 1:]])

    return loss


def _keep(path: Path, model: Starter, optimizer: Optimizer, feed: Feed, run: _Run, plan: Plan) -> None:
    tensors = {f"model.{name}": weight for name, weight in model.state_dict().items()}
    tensors |= {f"optimizer.{name}": each for name, each in optimizer.state().items()}
    facts = {"preset": plan.preset, "seed": plan.seed, "read": feed.read, **asdict(run)}
    partial = path.with_suffix(".tmp")
    save_file({name: each.contiguous() for name, each in tensors.items()}, partial, {"facts": json.dumps(facts)})
    partial.replace(path)


def _resume(path: Path, model: Starter, optimizer: Optimizer, feed: Feed, run: _Run, plan: Plan) -> None:
    with safe_open(path, "pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["facts"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    if (facts["preset"], facts["seed"]) != (plan.preset, plan.seed):
        raise ValueError(f"{path} is of another run ({facts['preset']}, seed {facts['seed']}): name another folder.")
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}}
    for name, each in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = each
    model.load_state_dict(parts["model"])
    optimizer.load(parts["optimizer"])
    feed.read.update(facts["read"])
    run.step, run.total, run.seconds, run.curves = (facts[name] for name in ("step", "total", "seconds", "curves"))


def _write(path: Path, data: bytes) -> None:
    partial = path.with_suffix(".tmp")
    partial.write_bytes(data)
    os.replace(partial, path)  # noqa: PTH105 - the same either way
