"""What a job does, step by step: read and check the data, train, measure against what serves, register.

Each step leaves something sealed in the job's folder and is not done again by whoever goes on after a crash.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.generation.loading import load_tokenizer, model_folder
from agent.memory import Memory
from agent.memory_tables import accounts
from agent.prompt import PERSONA
from finetune import job as jobs
from finetune.examples.card import DataCard
from finetune.examples.chats import read_chats
from finetune.examples.passages import from_passages, library
from finetune.examples.prepare import prepare
from finetune.examples.problems import Problem, Read, Severity
from finetune.examples.stored import load_split
from finetune.examples.turns import rated_turns
from finetune.job import Figures, Job, Progress, Stopped
from finetune.training.outcome import Outcome
from finetune.training.outcome import Progress as Told
from retrieval.database import open_database, reading
from retrieval.errors import DataRefused

LISTED = 20  # problems of the data among a job's events; the quarantine names all
OUTCOME, BEGUN = "outcome.json", "begun.json"
DELETED = "Somebody or something it learned from was deleted while it was trained."


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
        """What the sources give, and the accounts that are to be replaced in it."""
        order = self.job.order
        reads = [read_chats(Path(file)) for file in order.files]
        engine = open_database(self.store)
        try:
            if order.rated:
                reads.append(_enough(rated_turns(Memory(engine), order.tenant)))
            if order.knowledge:
                reads.append(self._passages(engine))
            return reads, accounts_of(engine)
        finally:
            engine.dispose()

    def _passages(self, engine: Engine) -> Read:
        order = self.job.order
        shelved = library(engine, order.tenant, seed=order.recipe.seed)
        if not shelved:
            raise DataRefused(
                "The knowledge base holds no document that everyone may read. Add some with `atelier ingest FOLDER`."
            )
        persona = order.persona or PERSONA
        return from_passages(shelved, persona=persona, shown=order.passages, seed=order.recipe.seed)

    def _figures(self, card: DataCard) -> Figures:
        try:
            from finetune.training.estimate import estimate
        except ImportError:
            return Figures(card.train, card.held_out, card.quarantined, card.tokens.total, card.tokens.trained, 0, 0.0, 0)

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
        erased = read_card(self.job.folder / jobs.DATA).erased
        (self.job.folder / BEGUN).write_text(json.dumps({"erased": erased}))
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


def _enough(read: Read) -> Read:
    """Raises DataRefused where the team's turns give nothing, with what people can do."""
    if read.examples:
        return read
    if not read.source.rows:
        raise DataRefused("No turn is rated yet. People rate answers with 👍 and 👎; then there is something to learn.")
    raise DataRefused(
        f"None of the {read.source.rows:,} rated turns may be learned from: whoever wrote in one has to agree first "
        "(`consent yes`), and most ballots have to be good."
    )


def accounts_of(engine: Engine) -> frozenset[str]:
    """The ids that people have on platforms: nothing that is learned should name one."""
    with reading(engine) as connection:
        known = connection.execute(sa.select(accounts.c.account)).scalars()
        parts = (account.split(":", 2) for account in known)
        return frozenset(user for platform, _, user in parts if platform != "terminal")


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


def _begun_with(folder: Path) -> int:
    """How many rows had been deleted from the data when training read it."""
    try:
        return int(json.loads((folder / BEGUN).read_text())["erased"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def folder_of(base: str) -> Path:
    return model_folder(base)


# --- until the gate is here ---
from finetune.examples.card import read_card
from finetune.registry import AdapterRegistry, Learned


@dataclass(frozen=True, slots=True)
class _Verdict:
    accepted: bool
    reasons: tuple[str, ...]
    scores: dict[str, float]


def _judge(self: Steps) -> _Verdict:
    outcome = outcome_of(self.job.folder)
    first, best = outcome.get("first_loss", 0.0), outcome.get("best_loss", 0.0)
    verdict = _Verdict(best < first, () if best < first else ("The held-out loss did not fall.",), {"held_out_loss": best})
    (self.job.folder / jobs.EVALUATION).write_text(json.dumps({"accepted": verdict.accepted, "scores": verdict.scores}))
    (self.job.folder / jobs.REPORT).write_text("# Report\n")
    return verdict


def _register(self: Steps, verdict: _Verdict) -> str:
    order = self.job.order
    engine = open_database(self.store)
    try:
        registry = AdapterRegistry(engine, self.job.folder.parents[1] / "versions")
        card = read_card(self.job.folder / jobs.DATA)
        said = card.learned_from
        learned = Learned(frozenset(said.persons), frozenset(said.documents), frozenset(said.audiences))
        folder = self.job.folder / jobs.ADAPTER
        version = registry.add(order.name, folder, scores=verdict.scores, learned_from=learned, job=self.job.id)
        if card.erased > _begun_with(self.job.folder):
            registry.flag(version.name, DELETED)
        if order.promote:
            registry.promote(version.name)
        return version.name
    finally:
        engine.dispose()


Steps.judge = _judge
Steps.register = _register
