"""What a job does, step by step: read and check the data, train, measure against what serves, register.

Each step leaves something sealed in the job's folder and is not done again by whoever goes on after a crash.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from agent.generation.loading import load_tokenizer, model_folder
from agent.memory import Memory
from finetune import job as jobs
from finetune.examples.card import DataCard
from finetune.examples.chats import read_chats
from finetune.examples.prepare import prepare
from finetune.examples.problems import Problem, Read, Severity
from finetune.examples.stored import load_split
from finetune.job import Figures, Job, Progress, Stopped
from finetune.training.outcome import Outcome
from finetune.training.outcome import Progress as Told
from retrieval.database import open_database

LISTED = 20  # problems of the data among a job's events; the quarantine names all
OUTCOME = "outcome.json"


@dataclass(slots=True)
class Steps:
    """told: hears how far training is. stopping: asked now and then; a step that is to end raises Stopped."""

    job: Job
    store: str
    told: Callable[[Progress], None]
    stopping: Callable[[], bool]
    problems: tuple[Problem, ...] = ()

    def prepare(self) -> Figures:
        """Seal data/ and say what training will take. Raises FinetuneError and ModelFolderError."""
        order, recipe = self.job.order, self.job.order.recipe
        tokenizer = load_tokenizer(order.base)
        reads, names = self._read()
        self._go_on()
        data = self.job.folder / jobs.DATA
        found = prepare(reads, recipe, tokenizer, data, names=names, progress=lambda *_: self._go_on())
        self.problems = found.problems
        self._note(found.problems)
        self._go_on()
        return self._figures(found.card)

    def _read(self) -> tuple[list[Read], frozenset[str]]:
        order = self.job.order
        reads = [read_chats(Path(file)) for file in order.files]
        names: frozenset[str] = frozenset()
        if order.rated or order.knowledge:
            engine = open_database(self.store)
            try:
                if order.rated:
                    more, names = self._rated(engine)
                    reads.append(more)
                if order.knowledge:
                    reads.append(self._passages(engine))
            finally:
                engine.dispose()
        return reads, names

    def _rated(self, engine: Engine) -> tuple[Read, frozenset[str]]:
        from finetune.examples.turns import rated_turns

        return rated_turns(Memory(engine), self.job.order.tenant), frozenset()

    def _passages(self, engine: Engine) -> Read:

        raise NotImplementedError

    def _figures(self, card: DataCard) -> Figures:
        from finetune.training.estimate import estimate

        train, _ = load_split(self.job.folder / jobs.DATA)
        expected = estimate(self.job.order.base, train, self.job.order.recipe)
        return Figures(
            rows=card.train,
            held_out=card.held_out,
            removed=card.quarantined,
            tokens=expected.tokens,
            trained_tokens=expected.trained_tokens,
            steps=expected.steps,
            seconds=expected.seconds,
            memory_bytes=expected.memory_bytes,
        )

    def _note(self, problems: tuple[Problem, ...]) -> None:
        refused = [problem for problem in problems if problem.severity is not Severity.NOTE]
        for problem in refused[:LISTED]:
            jobs.note(self.job.folder, str(problem), "warning")
        if len(refused) > LISTED:
            jobs.note(self.job.folder, f"… and {len(refused) - LISTED:,} more rows left out.", "warning")

    def train(self) -> None:
        """Write adapter/, going on from the newest checkpoint. Raises Stopped, FinetuneError and OSError."""
        order = self.job.order
        if order.recipe.processes > 1:
            from finetune.together import train_together

            outcome = train_together(self.job, self.stopping)
        else:
            outcome = train_job(self.job, self.told, self.stopping)
        if outcome.adapter is None:
            raise Stopped
        save_outcome(self.job.folder, outcome)

    def _go_on(self) -> None:
        if self.stopping():
            raise Stopped


def train_job(job: Job, told: Callable[[Progress], None], stopping: Callable[[], bool]) -> Outcome:
    """Train in this process."""
    from finetune.training.loop import train

    learned, held_out = load_split(job.folder / jobs.DATA)
    latest: list[float] = []

    def tell(now: Told) -> None:
        if now.held_out is not None:
            latest[:] = [now.held_out]
            metrics = {"step": float(now.step), "held_out_loss": now.held_out}
            jobs.note(job.folder, metrics=metrics | ({} if math.isnan(now.loss) else {"loss": now.loss}))
        told(
            Progress(
                now.step,
                now.steps,
                None if math.isnan(now.loss) else now.loss,
                latest[0] if latest else None,
                now.tokens_per_second,
                None if math.isnan(now.seconds_left) else now.seconds_left,
            )
        )

    recipe = job.order.recipe
    return train(job.order.base, learned, held_out, recipe, job.folder, progress=tell, stop=stopping)


def save_outcome(folder: Path, outcome: Outcome) -> None:
    """Keep how training went, for the report."""
    kept = {"ended": outcome.ended, "steps": outcome.steps, "best_step": outcome.best_step}
    losses = {"first_loss": outcome.first_loss, "best_loss": outcome.best_loss}
    kept |= {name: loss for name, loss in losses.items() if not math.isnan(loss)}
    (folder / OUTCOME).write_text(json.dumps(kept, indent=1))


def outcome_of(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / OUTCOME).read_text())
    except (OSError, ValueError):
        return {}
    return found


def folder_of(base: str) -> Path:
    return model_folder(base)
