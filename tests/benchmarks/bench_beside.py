"""The bot while a job trains on the same machine: how long a message takes with and without it, and what training gets.

Both are real: answers as chat makes them, and a job's own worker. The worker is stopped and let go on by turns
(SIGSTOP, SIGCONT), so that what else the machine does falls on both alike.
"""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import quantiles

from agent.generation.starter import StarterGenerator
from connectors.migrations import migrate
from finetune import job as jobs
from finetune.job import Job
from finetune.jobs import Jobs
from finetune.recipe import Recipe
from retrieval.database import open_database
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Cell, Report
from tests.benchmarks.bench_answers import Talk, ask, handbook, opened
from tests.benchmarks.handbook import TUNED
from tests.finetune.tiny import chats, order_of

BLOCK = 10  # messages, then the other state
PAUSE = 0.1  # seconds between two messages: nobody writes without one
RECIPE = Recipe(batch_tokens=1024, max_tokens=256, epochs=1000.0, held_out=0.1, evaluations=1, save_seconds=1e9)


@contextmanager
def training(folder: Path, threads: int) -> Iterator[Job]:
    """A job on the starter that has begun to train and goes on for hours."""
    store = f"sqlite:///{folder / 'store.db'}"
    engine = open_database(store)
    migrate(engine)
    engine.dispose()
    held = Jobs(folder)
    order = order_of(Path("starter"), chats(folder / "chats.jsonl", 200), recipe=RECIPE, threads=threads)
    job = held.create(order)
    held.start(job.id, store)
    try:
        while not (now := jobs.read(job.folder)).progress or now.progress.step < 2:
            if now.is_over or not now.has_worker:
                raise RuntimeError(f"the job ended: {now.reason} {(job.folder / jobs.LOG).read_text()}")
            time.sleep(0.2)
        yield now
    finally:
        with suppress(ProcessLookupError):
            tell(job, signal.SIGKILL)


def tell(job: Job, number: int) -> None:
    os.kill(int((job.folder / jobs.LOCK).read_text()), number)


def steps_done(job: Job) -> tuple[int, float]:
    """Steps and processor seconds of the worker until now."""
    ticks = Path(f"/proc/{(job.folder / jobs.LOCK).read_text()}/stat").read_text().rpartition(")")[2].split()
    seconds = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
    now = jobs.read(job.folder).progress
    return now.step if now else 0, seconds


def answered(talk: Talk, first: int) -> tuple[list[float], float]:
    """Milliseconds of each message of a block, and of processor time a message."""
    took, began = [], time.process_time()
    for number in range(first, first + BLOCK):
        start = time.perf_counter()
        ask(talk, TUNED[number % len(TUNED)][0], number)
        took.append(1000 * (time.perf_counter() - start))
        time.sleep(PAUSE)
    return took, 1000 * (time.process_time() - began) / BLOCK


def beside(talk: Talk, threads: int, blocks: int) -> list[dict[str, Cell]]:
    """A row for the bot alone and one for it beside training on so many threads."""
    took: dict[bool, list[float]] = {False: [], True: []}
    spent: dict[bool, list[float]] = {False: [], True: []}
    trained = elapsed = 0.0
    with tempfile.TemporaryDirectory() as folder, training(Path(folder), threads) as job:
        for number in range(2 * blocks):
            is_training = number % 2 == 1
            tell(job, signal.SIGCONT if is_training else signal.SIGSTOP)
            before, began = steps_done(job), time.perf_counter()
            times, processor = answered(talk, BLOCK * (number // 2))
            if is_training:
                trained += steps_done(job)[1] - before[1]
                elapsed += time.perf_counter() - began
            took[is_training] += times
            spent[is_training].append(processor)
    rows = []
    for is_training in (False, True):
        cuts = quantiles(took[is_training], n=20, method="inclusive")
        rows.append(
            {
                "what": f"beside training, {threads} threads"
                if is_training
                else f"training stopped ({threads} threads)",
                "median ms": round(cuts[9], 1),
                "p95 ms": round(cuts[18], 1),
                "CPU ms a message": round(sum(spent[is_training]) / blocks, 1),
                "cores that training got": round(trained / elapsed, 2) if is_training else 0.0,
            }
        )
    return rows


def run(quick: bool) -> Report:
    encoder = TransformerEncoder()
    rows: list[dict[str, Cell]] = []
    with opened(encoder, handbook(), StarterGenerator(encoder)) as talk:
        for number in range(5):
            ask(talk, TUNED[number][0], number)  # warms up
        every = os.cpu_count() or 1
        for threads in dict.fromkeys((max(1, every - 1), every)):
            rows += beside(talk, threads, 2 if quick else 10)
    notes = (
        f"Answers from the made-up handbook by the starter, {PAUSE} s apart; the worker trains the starter by LoRA.",
        f"By turns {BLOCK} messages with the worker stopped and {BLOCK} with it at work.",
    )
    return Report("beside", "How long does a message take while a job trains beside the bot?", rows, notes)
