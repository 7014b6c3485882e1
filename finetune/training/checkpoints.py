"""Checkpoints that are whole or absent, and from which a run goes on exactly as if it had never ended.

One holds what is trained, the optimizer's moments, the best weights so far, and a few numbers. The learning rate, the
order of the examples and every random number are functions of the recipe's seed and the step, so they need no file.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from finetune.recipe import Method
from finetune.training import adalora
from retrieval.files import read_manifest, write_folder_atomically

KEPT = 2  # the newest ones
STATE = "state.safetensors"


@dataclass(slots=True)
class Standing:
    """Where a run stands, in numbers. without_gain: evaluations since the best. The losses are held-out ones."""

    step: int = 0
    best_step: int = 0
    best_loss: float = float("inf")
    first_loss: float = float("nan")
    without_gain: int = 0
    seconds: float = 0.0


def trained_weights(model: Any) -> dict[str, torch.Tensor]:
    """What is trained, by name; the tensors themselves."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def save(
    folder: Path,
    standing: Standing,
    model: Any,
    optimizer: Any,
    best: Mapping[str, torch.Tensor],
    method: Method,
    key: str,
) -> None:
    """Write `folder`/step-N, then drop all but the newest two. Raises OSError with the older ones untouched.

    key: says which data, recipe and base model it belongs to. best: the best weights, if they are not the present ones.
    """
    tensors = {f"weight {name}": weight for name, weight in trained_weights(model).items()}
    tensors |= {f"best {name}": weight for name, weight in best.items()}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer {number} {name}": tensor for name, tensor in moments.items()}
    facts: dict[str, object] = {"key": key, **asdict(standing)}
    if method is Method.ADALORA:
        tensors |= {f"adalora {name}": tensor for name, tensor in adalora.kept_tensors(model).items()}
        facts["ranks"] = adalora.kept_ranks(model)
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_folder_atomically(folder / f"step-{standing.step}", lambda fresh: save_file(on_cpu, fresh / STATE), facts)
    for old in _found(folder)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def restore(
    folder: Path, model: Any, optimizer: Any, method: Method, key: str, device: torch.device
) -> tuple[Standing, dict[str, torch.Tensor]] | None:
    """Go back to the newest checkpoint that is whole and of this key; its standing and best weights, or None.

    A damaged one is passed over for the one before it.
    """
    for path in _found(folder):
        try:
            facts = read_manifest(path)
        except (ValueError, OSError):
            continue
        if facts["key"] != key:
            continue
        tensors = {name: tensor.to(device) for name, tensor in load_file(path / STATE).items()}
        part = {kind: _part(tensors, kind) for kind in ("weight", "best", "optimizer", "adalora")}
        with torch.no_grad():
            for name, weight in trained_weights(model).items():
                weight.copy_(part["weight"][name])
        _restore_optimizer(optimizer, part["optimizer"])
        if method is Method.ADALORA:
            adalora.put_back(model, part["adalora"], facts["ranks"])  # type: ignore[arg-type] # as save wrote it
        known = {field.name for field in fields(Standing)}
        return Standing(**{name: value for name, value in facts.items() if name in known}), part["best"]  # type: ignore[arg-type] # as save wrote it
    return None


def clear(folder: Path, *, key: str | None = None) -> None:
    """Remove what a crash left half written or not yet dropped, and checkpoints of another key (all without one)."""
    for draft in folder.glob(".step-*"):
        shutil.rmtree(draft, ignore_errors=True)
    whole = 0
    for path in _found(folder):
        try:
            mine = key is not None and read_manifest(path)["key"] == key
        except (ValueError, OSError):
            mine = False
        whole += mine
        if not mine or whole > KEPT:
            shutil.rmtree(path, ignore_errors=True)


def _found(folder: Path) -> list[Path]:
    """The newest first."""
    numbered = [
        (int(found[1]), path) for path in folder.glob("step-*") if (found := re.fullmatch(r"step-(\d+)", path.name))
    ]
    return [path for _, path in sorted(numbered, reverse=True)]


def _part(tensors: Mapping[str, torch.Tensor], kind: str) -> dict[str, torch.Tensor]:
    return {name.partition(" ")[2]: tensor for name, tensor in tensors.items() if name.startswith(f"{kind} ")}


def _restore_optimizer(optimizer: Any, moments: Mapping[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in moments.items():
        number, _, name = key.partition(" ")
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
