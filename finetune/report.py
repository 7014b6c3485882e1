"""The report of a job, for people: what was ordered, what it learned from, how training went, what the gate says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune import job as jobs
from finetune.examples.stored import CARD_TEXT
from finetune.job import Job
from retrieval.files import write_atomically


@dataclass(frozen=True, slots=True)
class Judged:
    """What the gate decided, as its eval.json keeps it. against: what served then."""

    accepted: bool
    reasons: tuple[str, ...]
    scores: Mapping[str, float]
    against: str


def judged(folder: Path) -> Judged | None:
    """What was decided about the job's adapter; None where nothing was yet, or before it was trained anew."""
    file = folder / jobs.EVALUATION
    try:
        if file.stat().st_mtime < (folder / jobs.ADAPTER).stat().st_mtime:
            return None
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return Judged(bool(found["accepted"]), tuple(found["reasons"]), found["scores"], str(found["against"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(job: Job, outcome: Mapping[str, Any]) -> None:
    """Write report.md into the job's folder, with what stands there already. Raises OSError."""
    from finetune.gate.report import WORDS  # it draws: not for whoever only reads what was decided

    folder, order = job.folder, job.order
    recipe = order.recipe
    parts = [
        f"# Job {job.id}",
        f"Ordered {job.made}: {recipe.method} ({recipe.objective}) on `{order.base}`, versions called {order.name}.",
        (folder / WORDS).read_text("utf-8"),
        "## Training",
        *_training(outcome),
        _below((folder / jobs.DATA / CARD_TEXT).read_text("utf-8")),
    ]
    write_atomically(folder / jobs.REPORT, "\n\n".join(part.strip() for part in parts if part).encode() + b"\n")


def _training(outcome: Mapping[str, Any]) -> list[str]:
    if not outcome:
        return []
    early = " It ended early, as nothing was gained any more." if outcome.get("ended") == "early" else ""
    steps = f"{outcome['steps']:,} step{'' if outcome['steps'] == 1 else 's'}"
    said = [f"{steps}; the weights are those of step {outcome['best_step']:,}.{early}"]
    if "best_loss" in outcome:
        said.append(f"The held-out loss went from {outcome['first_loss']:.3f} to {outcome['best_loss']:.3f} a token.")
    return [*said, f"![The loss over the steps]({jobs.PICTURE})"]


def _below(card: str) -> str:
    """The data card's headings, one step deeper."""
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in card.splitlines())
