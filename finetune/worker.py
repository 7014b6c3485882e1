"""The process that carries one job out: `python -m finetune.worker FOLDER`. Killed anywhere, another goes on.

It holds two locks as long as it lives, its job's and that of all jobs, so that everybody can see who is at work and
nobody else begins. Asked to end by a signal it keeps a checkpoint and leaves the job as it is, to be taken up again.
"""

import argparse
import errno
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Literal

from finetune import job as jobs
from finetune.job import Job, State
from finetune.jobs import ALREADY, ANOTHER
from retrieval.errors import AtelierError

NICE = 10  # how far behind the bot's own work training stands
LINGER = 30.0
LOOK = 0.25  # seconds between looks for a wish to cancel
GRACE = {State.RUNNING: 20.0}  # seconds to keep a checkpoint in; other states have nothing to keep
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Worker:
    """One job in this process. Everything it writes lies in the job's folder, and versions in the registry."""

    def __init__(self, folder: Path, store: str, linger: float = LINGER) -> None:
        """linger: seconds for which a job that waits for its confirmation keeps its process."""
        self.linger = linger
        self._folder = folder
        self._store = store
        self._ending = threading.Event()
        self._over = threading.Event()
        self._deciding = threading.Lock()  # held while the job's end is written: a wish to cancel is too late then
        self._job = jobs.read(folder)

    def run(self) -> State:
        """Carry the job on as far as it goes."""
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        watching = threading.Thread(target=self._watch, name="cancel", daemon=True)
        try:
            self._save(starts=self._job.starts + 1)
            watching.start()
            self._carry_on()
        except jobs.Stopped:
            if self._is_cancelled:
                self._decide(State.CANCELLED, "It was cancelled.")
            else:
                jobs.note(self._folder, "Interrupted; it goes on from its last checkpoint when it is started again.")
        except AtelierError as error:
            self._decide(State.FAILED, str(error))
        except Exception as error:  # noqa: BLE001 - the last door: a job says why it ended
            self._decide(State.FAILED, self._sentence(error))
        finally:
            self._over.set()
        return self._job.state

    def _carry_on(self) -> None:
        from finetune import steps  # torch and its like come with it

        work = steps.Steps(self._job, self._store, self._told, self._stopping)
        if self._job.figures is None or not (self._folder / jobs.DATA).exists():
            self._enter(State.VALIDATING, "Reading the data.")
            figures = work.prepare()
            self._save(figures=figures)
            jobs.note(self._folder, f"{figures.rows:,} rows to learn from, {figures.removed:,} left out.")
        if not self._job.is_confirmed:
            self._enter(State.QUEUED)
            if not self._confirmed():
                return
            jobs.note(self._folder, "Confirmed.")
            self._save(is_confirmed=True)
        self._go_on()
        if not (self._folder / jobs.ADAPTER).exists():
            self._enter(State.RUNNING, "Training.")
            work.train()
            self._go_on()
        self._enter(State.EVALUATING, "Measuring what was trained against what serves.")
        verdict = work.judge()
        self._go_on()
        with self._deciding:
            if not verdict.accepted:
                self._put_down(State.REJECTED, " ".join(verdict.reasons[:2]))
                return
            version = work.register(verdict)
            self._job = replace(self._job, version=version)
            self._put_down(State.SUCCEEDED, "")

    def _confirmed(self) -> bool:
        """Whether the word comes while everything is loaded; later another worker goes on."""
        until = time.monotonic() + self.linger
        while not (self._folder / jobs.CONFIRMED).exists():
            if time.monotonic() > until:
                return False
            self._go_on()
            time.sleep(LOOK)
        return True

    @property
    def _is_cancelled(self) -> bool:
        return (self._folder / jobs.CANCEL).exists()

    def _stopping(self) -> bool:
        return self._ending.is_set() or self._is_cancelled

    def _go_on(self) -> None:
        if self._stopping():
            raise jobs.Stopped

    def _told(self, progress: jobs.Progress) -> None:
        jobs.show_progress(self._folder, progress)

    def _enter(self, state: State, message: str = "") -> None:
        self._go_on()
        self._save(state=state)
        if message:
            jobs.note(self._folder, message)

    def _save(self, **changes: object) -> None:
        self._job = replace(self._job, **changes)  # type: ignore[arg-type]  # fields of Job, named by our callers
        jobs.save(self._job)

    def _decide(self, state: State, reason: str) -> None:
        with self._deciding:
            self._put_down(state, reason)

    def _put_down(self, state: State, reason: str) -> None:
        """Write how the job ended, for which there is room even on a full disk."""
        with suppress(OSError):
            (self._folder / jobs.BALLAST).unlink()
        self._job = replace(self._job, state=state, reason=reason)
        jobs.save(self._job)
        level: Literal["error", "info"] = "error" if state is State.FAILED else "info"
        was = "was " if state in (State.CANCELLED, State.REJECTED) else ""
        why = f": {reason}" if reason and state is not State.CANCELLED else "."
        jobs.note(self._folder, f"The job {was}{state}{why}", level)
        with suppress(OSError):
            (self._folder / jobs.PROGRESS).unlink()

    def _sentence(self, error: Exception) -> str:
        """What went wrong, for a person; where, for whoever mends it, without the error's own text."""
        number = error.errno if isinstance(error, OSError) else _number_in(error)
        if number in FULL:
            return (
                f"The disk is full. Free some space, then `atelier finetune resume {self._job.id}` goes on from the "
                "last checkpoint. What serves now goes on serving."
            )
        kind = type(error).__name__
        if isinstance(error, MemoryError) or "OutOfMemory" in kind:
            return (
                "The memory is not enough. Make `batch_tokens` smaller in the recipe, or set `activation_checkpointing`"
                " = true, and start again."
            )
        frames = traceback.extract_tb(error.__traceback__)
        print(*(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames), kind, sep="\n", file=sys.stderr)
        return f"Something went wrong inside Atelier ({kind}). {self._folder / jobs.LOG} says where."

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        self._ending.set()

    def _watch(self) -> None:
        """End the process when the wish to cancel is not met in time: a step can be long, a library can hang."""
        asked: float | None = None
        while not self._over.wait(LOOK):
            if not self._is_cancelled:
                continue
            asked = asked or time.monotonic()
            if time.monotonic() - asked < GRACE.get(self._job.state, 1.0):
                continue
            with self._deciding:
                if not self._over.is_set() and not self._job.is_over:
                    self._put_down(State.CANCELLED, "It was cancelled.")
                    os._exit(0)
            return


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 the job went as far as it could (or runs on, detached), 3 another job runs, 4 this one runs."""
    parser = argparse.ArgumentParser(prog="python -m finetune.worker", description="Carry one fine-tuning job out.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--detach", action="store_true", help="go on in a process of its own")
    chosen = parser.parse_args(arguments)
    folder = chosen.folder.absolute()
    os.umask(0o077)
    own = jobs.lock_of(folder, jobs.PATIENCE)
    if own is None:
        return ALREADY
    everybody = jobs.lock_of(folder.parent, jobs.PATIENCE)
    if everybody is None:
        return ANOTHER
    if chosen.detach:  # the child has the locks too: there is no moment at which nobody holds them
        if os.fork():
            os._exit(0)
        os.setsid()
    with suppress(OSError):
        os.write(own, str(os.getpid()).encode())  # for whoever wonders which process it is
        os.nice(NICE)
    _bound_threads(jobs.read(folder))
    Worker(folder, os.environ.pop("ATELIER_STORE", "")).run()
    for held in (own, everybody):  # an interpreter that has loaded torch takes seconds to end
        os.close(held)
    return 0


def _number_in(error: Exception) -> int:
    """The system's error number where a library that is not Python's own only writes it into its text."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else 0


def _bound_threads(job: Job) -> None:
    """Before torch is imported: it and what it calls read these once."""
    if job.order.threads:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = str(job.order.threads)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads without work leave the cores to the bot
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


if __name__ == "__main__":
    sys.exit(main())
