"""What a run measures, as lines of metrics.jsonl, and by setting in TensorBoard, Weights & Biases or MLflow as well."""

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finetune.recipe import Recipe
from retrieval.errors import FinetuneError
from retrieval.files import write_atomically

FILE = "metrics.jsonl"
_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
LINES = 2000  # about as many steps are written, however long the run is


def check_tracker(recipe: Recipe) -> None:
    """Raises FinetuneError if the recipe's tracker is not installed."""
    package = _PACKAGES.get(recipe.tracker)
    if package and find_spec(package) is None:
        raise FinetuneError(
            f"The recipe tracks runs with {recipe.tracker}, which is not installed. Install it with "
            f'pip install {package}, or set tracker = "none": {FILE} is written in any case.'
        )


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The lines of a run, oldest first; a last line that a crash cut short is left out."""
    lines = []
    path = folder / FILE
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            lines.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            continue
    return lines


class Metrics:
    """Writes one line for a step. A run that goes on from a checkpoint first drops the lines behind it."""

    def __init__(self, folder: Path, recipe: Recipe, accelerator: Any, *, step: int, steps: int) -> None:
        self._every = max(1, steps // LINES)
        self._tracker = None if recipe.tracker == "none" else accelerator
        kept = [line for line in read_metrics(folder) if step and line.get("step", 0) <= step]
        write_atomically(folder / FILE, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._file = (folder / FILE).open("a", encoding="utf-8")
        if self._tracker:
            os.environ.setdefault("WANDB_MODE", "offline")
            os.environ.setdefault("WANDB_DIR", str(folder))
            os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
            values = {name: getattr(recipe, name) for name in ("method", "rank", "learning_rate", "epochs", "seed")}
            accelerator.init_trackers("atelier", config={name: _plain(value) for name, value in values.items()})

    def write(self, step: int, **values: float | None) -> None:
        """Values that are None are left out. A line with a held-out loss is always written, others now and then."""
        present = {name: value for name, value in values.items() if value is not None}
        if step % self._every == 0 or "held_out" in present:
            self._file.write(json.dumps({"step": step, **present}) + "\n")
            self._file.flush()
            if self._tracker:
                self._tracker.log(present, step=step)

    def close(self) -> None:
        self._file.close()
        if self._tracker:
            self._tracker.end_training()


def _plain(value: object) -> int | float | str:
    return value if isinstance(value, int | float) else str(value)
