"""What a job does, step by step: read and check the data, train, measure against what serves, register.

Each step leaves something sealed in the job's folder and is not done again by whoever goes on after a crash.
"""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.generation.adapters import BASE_FACT
from agent.generation.loading import load_tokenizer, model_folder
from agent.memory import Memory
from agent.memory_tables import accounts
from agent.prompt import PERSONA
from finetune import job as jobs
from finetune import report
from finetune.examples.agreement import parted, withheld
from finetune.examples.card import DataCard, read_card
from finetune.examples.chats import read_chats
from finetune.examples.forgetting import purge
from finetune.examples.passages import from_passages, library
from finetune.examples.prepare import prepare
from finetune.examples.problems import Problem, Read, Severity
from finetune.examples.splitting import halves
from finetune.examples.stored import load_split
from finetune.examples.turns import rated_turns
from finetune.gate.gate import REPLY, gate
from finetune.gate.report import write
from finetune.job import Figures, Job, Progress, Stopped
from finetune.registry import AdapterRegistry, Learned, Version
from finetune.report import Judged
from finetune.training.outcome import Outcome
from finetune.training.outcome import Progress as Told
from retrieval.database import open_database, reading
from retrieval.encoder import DEFAULT as ENCODER
from retrieval.encoder import TransformerEncoder
from retrieval.errors import DataRefused, RegistryError
from retrieval.files import read_manifest

LISTED = 20  # problems of the data among a job's events; the quarantine names all
VERSIONS = "versions"  # the registry's cache in the home folder
BARE = "the model without an adapter"
OUTCOME, BEGUN = "outcome.json", "begun.json"
DELETED = "Something it learned from was deleted, or somebody took their consent back, while it was trained."


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
        self._purge(data)
        self.problems = found.problems
        self._note(found.problems)
        self._go_on()
        return self._figures(read_card(data))

    def _purge(self, data: Path) -> None:
        """Drop what was deleted since the data was read, and what people no longer agree to."""
        engine = open_database(self.store)
        try:
            purge(engine, data, self.job.order.tenant)
        finally:
            engine.dispose()

    def _read(self) -> tuple[list[Read], frozenset[str]]:
        """What the sources give, and the accounts that are to be replaced in it."""
        order = self.job.order
        reads = [read_chats(Path(file)) for file in order.files]
        engine = open_database(self.store)
        try:
            if reads:
                unagreed = withheld(engine, order.tenant)
                reads = [parted(read, unagreed) for read in reads]
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
        """What a person has to know before they confirm; who has confirmed already does not wait for its measuring."""
        order = self.job.order
        tokens = card.tokens
        known = Figures(card.train, card.held_out, card.quarantined, tokens.total, tokens.trained)
        if self.job.is_confirmed or order.recipe.objective != "sft":
            return known
        from finetune.training.estimate import estimate

        train, held_out = load_split(self.job.folder / jobs.DATA)
        expected = estimate(order.base, train, order.recipe, held_out)
        return replace(known, steps=expected.steps, seconds=expected.seconds, memory_bytes=expected.memory_bytes)

    def _note(self, problems: tuple[Problem, ...]) -> None:
        refused = [problem for problem in problems if problem.severity is not Severity.NOTE]
        for problem in refused[:LISTED]:
            jobs.note(self.job.folder, str(problem), "warning")
        if len(refused) > LISTED:
            jobs.note(self.job.folder, f"… and {len(refused) - LISTED:,} more rows left out.", "warning")

    def train(self) -> None:
        """Write adapter/, going on from the newest checkpoint. Raises Stopped, FinetuneError and OSError."""
        order = self.job.order
        self._purge(self.job.folder / jobs.DATA)  # a job may go on long after its data was sealed
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

    def judge(self) -> Judged:
        """Measure what was trained against what serves; write eval.json and report.md. Raises Stopped, FinetuneError.

        What was measured before a crash, against the same version, is not measured again.
        """
        folder, order = self.job.folder, self.job.order
        with self._registry() as registry:
            live = self._comparable(registry)
            against = live.name if live is not None else BARE
            if (known := report.judged(folder)) is not None and known.against == against:
                return known
            chose, held_out = halves(load_split(folder / jobs.DATA)[1], order.recipe.seed)
            verdict = gate(
                folder_of(order.base),
                folder / jobs.ADAPTER,
                [example for example in held_out if example.rating >= 0],
                live=registry.fetch(live) if live is not None else None,
                against=against,
                encoder=TransformerEncoder(order.encoder or ENCODER, device=order.device or None),
                device=order.device or None,
                reply=min(REPLY, order.max_tokens),
                seed=order.recipe.seed,
                flatters=chose == held_out,
                progress=self._measured,
            )
        write(verdict, folder)
        report.write(self.job, outcome_of(folder))
        return Judged(verdict.accepted, verdict.reasons, verdict.scores, against)

    def _measured(self, what: str, done: int, total: int) -> None:
        self._go_on()
        self.told(Progress(done, total, what=what))

    def _comparable(self, registry: AdapterRegistry) -> Version | None:
        """The live version, if it is one of the same model."""
        live = registry.aliases().live
        if live is None or live.base_fingerprint != read_manifest(self.job.folder / jobs.ADAPTER).get(BASE_FACT):
            return None
        return live

    def register(self, judged: Judged) -> str:
        """The new version's name. Raises RegistryError and StoreError."""
        order, folder = self.job.order, self.job.folder
        self._purge(folder / jobs.DATA)
        said = read_card(folder / jobs.DATA).learned_from
        learned = Learned(frozenset(said.persons), frozenset(said.documents), frozenset(said.audiences))
        with self._registry() as registry:
            adapter = folder / jobs.ADAPTER
            version = registry.add(order.name, adapter, scores=judged.scores, learned_from=learned, job=self.job.id)
            self._purge(folder / jobs.DATA)  # again: whoever takes something back from now on finds the version
            if read_card(folder / jobs.DATA).erased > _begun_with(folder):
                version = registry.flag(version.name, version.flagged or DELETED)
                jobs.note(folder, f"{version.name} is flagged: {version.flagged}", "warning")
            if order.promote and not version.flagged:
                try:
                    registry.promote(version.name)
                except RegistryError as error:  # flagged this very moment: the version is there all the same
                    jobs.note(folder, f"{version.name} is not made live: {error}", "warning")
            return version.name

    @contextmanager
    def _registry(self) -> Iterator[AdapterRegistry]:
        engine = open_database(self.store)
        try:
            yield AdapterRegistry(engine, self.job.folder.parents[1] / VERSIONS)
        finally:
            engine.dispose()

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
    chooses, _ = halves(held_out, recipe.seed)
    return train(job.order.base, learned, chooses, recipe, job.folder, progress=tell, stop=stopping)


def save_outcome(folder: Path, outcome: Outcome) -> None:
    """Keep how training went, for the report."""
    kept: dict[str, str | float] = {"ended": outcome.ended, "steps": outcome.steps, "best_step": outcome.best_step}
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
