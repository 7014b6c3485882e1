"""The jobs of a home folder: made, found, started, cancelled, taken up again; one worker at a time.

Locks are the kernel's, so a SIGKILL releases them: whether a worker is at a job can always be seen.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from finetune.job import (
    BALLAST,
    BALLAST_BYTES,
    CANCEL,
    CONFIRMED,
    DATA,
    JOB,
    LOG,
    PATIENCE,
    RESUMABLE,
    Job,
    Order,
    State,
    ended,
    lock_of,
    note,
    read,
    save,
    unwritable,
)
from retrieval.errors import FinetuneError

FOLDER = "jobs"  # in the home folder
ANOTHER, ALREADY = 3, 4  # exit statuses of a worker that could not begin


class Jobs:
    """The jobs of one home folder. Safe beside other processes; every method raises FinetuneError."""

    def __init__(self, home: Path) -> None:
        self.root = home / FOLDER

    def create(self, order: Order, *, key: str = "", confirmed: bool = True) -> Job:
        """A new job, not started yet; the one made with the same `key` before, if there is one."""
        if key and (same := next((job for job in self.known() if job.key == key), None)):
            return same
        now, folder = self._claimed()
        job = Job(folder.name, folder, order, State.VALIDATING, now.isoformat(timespec="seconds"), confirmed, key)
        try:
            (folder / BALLAST).write_bytes(os.urandom(BALLAST_BYTES))
            save(job)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise unwritable(folder, error) from error
        return job

    def _claimed(self) -> tuple[datetime, Path]:
        """A folder of its own, and when it was made: ids are in the order of time, in steps of 15 microseconds."""
        while True:
            now = datetime.now(UTC)
            folder = self.root / f"{now:%Y%m%d-%H%M%S}-{now.microsecond * 0x10000 // 1_000_000:04x}"
            try:
                folder.mkdir(parents=True, mode=0o700)
            except FileExistsError:  # another process made it in the same moment: it is not ours to touch
                continue
            except OSError as error:
                raise unwritable(folder, error) from error
            else:
                return now, folder

    def get(self, name: str = "") -> Job:
        """The job with this id, or the one that an unmistakable part of an id names; "" for the latest."""
        ids = self._ids()
        found = [each for each in ids if each == name] or [each for each in ids if name in each]
        if not ids:
            raise FinetuneError("There are no fine-tuning jobs yet. `atelier finetune run` makes one.")
        if not found:
            raise FinetuneError(f"There is no job {name}. The latest is {ids[-1]}; `atelier finetune list` shows all.")
        if name and len(found) > 1:
            raise FinetuneError(f"{name} may be any of {', '.join(found[-5:])}. Write more of it.")
        return read(self.root / found[-1])

    def known(self) -> list[Job]:
        """All jobs, oldest first; a folder that cannot be read is left out."""
        jobs = []
        for identity in self._ids():
            with suppress(FinetuneError):
                jobs.append(read(self.root / identity))
        return jobs

    def busy(self) -> Job | None:
        """The job that a worker is at."""
        return next((job for job in reversed(self.known()) if job.has_worker), None)

    def confirm(self, identity: str) -> bool:
        """Let a job that waits for it train; whether this was the word it waited for."""
        job = read(self.root / identity)
        if job.state is not State.QUEUED or job.is_confirmed:
            return False
        try:
            (job.folder / CONFIRMED).touch(exist_ok=False)
        except FileExistsError:
            return False
        except OSError as error:
            raise unwritable(job.folder, error) from error
        return True

    def cancel(self, identity: str) -> Job:
        """Ask a job to end: its worker keeps a checkpoint and ends in seconds; one without a worker ends now."""
        job = read(self.root / identity)
        if job.is_over:
            raise FinetuneError(f"Job {identity} is over: it {ended(job)}.")
        try:
            (job.folder / CANCEL).touch()
        except OSError as error:
            raise unwritable(job.folder, error) from error
        with suppress(_Held), self._changing(identity, patience=0.2) as idle:
            if not idle.is_over:
                save(replace(idle, state=State.CANCELLED, reason="It was cancelled."))
                note(idle.folder, "Cancelled.")
        return read(job.folder)

    def resume(self, identity: str) -> Job:
        """Make a job that ended early ready to be started again."""
        with self._changing(identity) as job:
            if not (job.state in RESUMABLE or job.is_interrupted):
                if job.is_over:
                    raise FinetuneError(f"Job {identity} is over: it {ended(job)}. Start a new one instead.")
                raise FinetuneError(f"Job {identity} waits for its confirmation, not to be resumed.")
            (job.folder / CANCEL).unlink(missing_ok=True)
            with suppress(OSError):
                (job.folder / BALLAST).write_bytes(os.urandom(BALLAST_BYTES))
            has_data = (job.folder / DATA).exists()
            state = State.QUEUED if has_data else State.VALIDATING
            save(replace(job, state=state, reason="", is_confirmed=True))
            note(job.folder, "Taken up again.")
        return read(job.folder)

    def give_up(self, identity: str, reason: str) -> None:
        """A job that cannot be carried on by itself has failed; it can still be taken up by hand."""
        with self._changing(identity) as job:
            save(replace(job, state=State.FAILED, reason=reason))
            note(job.folder, f"The job failed: {reason}", "error")

    def remove(self, identity: str) -> None:
        """Delete a job with all its data; what it put into the registry stays."""
        job = read(self.root / identity)
        if job.has_worker and not job.is_confirmed:  # it only waits for the word
            with suppress(OSError):
                (job.folder / CANCEL).touch()
        with self._changing(identity) as job:
            shutil.rmtree(job.folder, ignore_errors=True)

    def start(self, identity: str, store: str, **environment: str) -> None:
        """Start the job's worker in a process of its own, which outlives this one. store: the database's address.

        Raises FinetuneError when another job's worker is running, and when this one's cannot begin.
        """
        folder = self.root / identity
        command = [sys.executable, "-m", "finetune.worker", str(folder), "--detach"]
        mine = {key: value for key, value in os.environ.items() if not key.startswith("ATELIER_")}  # tokens stay here
        places = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        mine |= {"PYTHONPATH": os.pathsep.join(places), "PYTHONSAFEPATH": "1", "ATELIER_STORE": store, **environment}
        try:
            with (folder / LOG).open("ab") as log:
                done = subprocess.run(  # noqa: S603 - our own interpreter, a folder of ours
                    command, env=mine, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=60
                )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FinetuneError(f"The training process of job {identity} could not be started. Try again.") from error
        if done.returncode == ANOTHER:
            raise self._occupied()
        if done.returncode not in (0, ALREADY):
            raise FinetuneError(f"The training process of job {identity} could not begin: see {folder / LOG}.")

    def refuse_when_busy(self) -> None:
        """Raises FinetuneError while a worker is at another job."""
        if self.busy() is not None:
            raise self._occupied()

    def _occupied(self) -> FinetuneError:
        busy = self.busy()
        name = busy.id if busy else "another"
        does = "waits for its confirmation" if busy and not busy.is_confirmed else "is running"
        return FinetuneError(
            f"Job {name} {does}, and one trains at a time. Wait for it, or end it with "
            f"`atelier finetune cancel {name}`."
        )

    def _ids(self) -> list[str]:
        try:
            return sorted(each.parent.name for each in self.root.glob(f"*/{JOB}"))
        except OSError as error:
            raise unwritable(self.root, error) from error

    @contextmanager
    def _changing(self, identity: str, patience: float | None = None) -> Iterator[Job]:
        """The job, locked against everybody else. Raises _Held while its worker runs."""
        folder = self.root / identity
        read(folder)  # an unknown one is said to be so
        lock = lock_of(folder, PATIENCE if patience is None else patience)
        if lock is None:
            raise _Held(f"Job {identity} is running. `atelier finetune cancel {identity}` ends it.")
        try:
            yield replace(read(folder), has_worker=False)
        except OSError as error:
            raise unwritable(folder, error) from error
        finally:
            os.close(lock)


class _Held(FinetuneError):
    pass
