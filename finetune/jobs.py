"""Fine-tuning jobs: one folder each, states on disk, one worker at a time by a lock that a SIGKILL releases.

    HOME/jobs/<id>/  job.json  events.jsonl  metrics.jsonl  data/  checkpoints/  adapter/  eval.json  report.md
    validating -> queued -> running -> evaluating -> succeeded | rejected | failed | cancelled

`job.json` is written by whoever holds the job's lock: its worker while it has one, else whoever changes it. A job that
is under way and has no worker was interrupted; it is started again and goes on from its last checkpoint.
"""

import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from finetune.recipe import Recipe, recipe_of
from retrieval.errors import FinetuneError
from retrieval.files import write_atomically

FOLDER = "jobs"  # in the home folder
JOB, EVENTS, PROGRESS, CANCEL, LOG = "job.json", "events.jsonl", "progress.json", "cancel", "worker.log"
DATA, ADAPTER, EVALUATION, REPORT, PICTURE = "data", "adapter", "eval.json", "report.md", "loss.png"
METRICS, CHECKPOINTS = "metrics.jsonl", "checkpoints"
LOCK = ".lock"
BALLAST, BALLAST_BYTES = ".ballast", 64 << 10  # given up when the disk is full, so that the job's end can be written
ANOTHER, ALREADY = 3, 4  # exit statuses of a worker that could not begin
PATIENCE = 2.0  # seconds that a lock held for an instant by somebody who only looks is waited for


class State(StrEnum):
    VALIDATING = "validating"  # reading the data
    QUEUED = "queued"  # the data is ready; training has not begun
    RUNNING = "running"
    EVALUATING = "evaluating"  # the gate
    SUCCEEDED = "succeeded"  # a version in the registry
    REJECTED = "rejected"  # trained, and not let through by the gate
    FAILED = "failed"
    CANCELLED = "cancelled"


OVER = frozenset({State.SUCCEEDED, State.REJECTED, State.FAILED, State.CANCELLED})
RESUMABLE = frozenset({State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for. Holds no secret and nobody's account.

    name: the family of the version. base: a model folder or hub name. files: chats as JSONL, absolute. rated: the
    team's rated turns. knowledge: questions and answers from what `audience` may read. threads: 0 means all cores.
    promote: make the version live as soon as the gate lets it through.
    """

    name: str
    base: str
    recipe: Recipe
    tenant: str = "local"
    files: tuple[str, ...] = ()
    rated: bool = False
    knowledge: bool = False
    audience: str = ""
    encoder: str = ""
    device: str = ""
    persona: str = ""
    threads: int = 0
    promote: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """What training will take, as far as it can be told before: units are in the names."""

    rows: int
    held_out: int
    removed: int
    tokens: int
    trained_tokens: int
    steps: int
    seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. seconds_left: as far as it can be told. loss, held_out_loss: the latest."""

    step: int = 0
    steps: int = 0
    loss: float | None = None
    held_out_loss: float | None = None
    tokens_per_second: float = 0.0
    seconds_left: float | None = None
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of events.jsonl. level: info, warning, error. type: message, metrics."""

    time: str
    level: Literal["info", "warning", "error"]
    type: Literal["message", "metrics"]
    message: str = ""
    metrics: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """key: whoever orders with the same key again gets the same job. reason: why it is not a success, for a person.

    starts: how often a worker took it up. cancel_requested, has_worker and progress are looked up, not stored.
    """

    id: str
    folder: Path
    order: Order
    state: State
    made: str
    is_confirmed: bool
    key: str = ""
    reason: str = ""
    version: str = ""
    starts: int = 0
    figures: Figures | None = None
    cancel_requested: bool = False
    has_worker: bool = False
    progress: Progress | None = None

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def is_interrupted(self) -> bool:
        """Under way, and nobody is at it: its worker was killed, or the machine went down."""
        is_under_way = self.state not in OVER and not (self.state is State.QUEUED and not self.is_confirmed)
        return is_under_way and self.starts > 0 and not self.has_worker


class Jobs:
    """The jobs of one home folder. Safe beside other processes; every method raises FinetuneError."""

    def __init__(self, home: Path) -> None:
        self.root = home / FOLDER

    def create(self, order: Order, *, key: str = "", confirmed: bool = True) -> Job:
        """A new job, not started yet; the one made with the same `key` before, if there is one."""
        if key and (same := next((job for job in self.known() if job.key == key), None)):
            return same
        now = datetime.now(UTC)
        identity = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        folder = self.root / identity
        job = Job(identity, folder, order, State.VALIDATING, now.isoformat(timespec="seconds"), confirmed, key)
        try:
            folder.mkdir(parents=True, mode=0o700)
            (folder / BALLAST).write_bytes(os.urandom(BALLAST_BYTES))
            save(job)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise _unwritable(folder, error) from error
        return job

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
        with self._changing(identity) as job:
            if job.state is not State.QUEUED or job.is_confirmed:
                return False
            save(replace(job, is_confirmed=True))
            return True

    def cancel(self, identity: str) -> Job:
        """Ask a job to end: its worker keeps a checkpoint and ends in seconds; one without a worker ends now."""
        job = read(self.root / identity)
        if job.is_over:
            raise FinetuneError(f"Job {identity} is over: it {_ended(job)}.")
        try:
            (job.folder / CANCEL).touch()
        except OSError as error:
            raise _unwritable(job.folder, error) from error
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
                    raise FinetuneError(f"Job {identity} is over: it {_ended(job)}. Start a new one instead.")
                raise FinetuneError(f"Job {identity} waits for its confirmation, not to be resumed.")
            (job.folder / CANCEL).unlink(missing_ok=True)
            with suppress(OSError):
                (job.folder / BALLAST).write_bytes(os.urandom(BALLAST_BYTES))
            has_data = (job.folder / DATA).exists()
            state = State.QUEUED if has_data else State.VALIDATING
            save(replace(job, state=state, reason="", is_confirmed=True))
            note(job.folder, "Taken up again.")
        return read(job.folder)

    def remove(self, identity: str) -> None:
        """Delete a job with all its data; what it put into the registry stays."""
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
                done = subprocess.run(
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
        return FinetuneError(
            f"Job {name} is running, and one trains at a time. Wait for it, or end it with "
            f"`atelier finetune cancel {name}`."
        )

    def _ids(self) -> list[str]:
        try:
            return sorted(each.parent.name for each in self.root.glob(f"*/{JOB}"))
        except OSError as error:
            raise _unwritable(self.root, error) from error

    @contextmanager
    def _changing(self, identity: str, patience: float = PATIENCE) -> Iterator[Job]:
        """The job, locked against everybody else. Raises _Held while its worker runs."""
        folder = self.root / identity
        read(folder)  # an unknown one is said to be so
        lock = lock_of(folder, patience)
        if lock is None:
            raise _Held(f"Job {identity} is running. `atelier finetune cancel {identity}` ends it.")
        try:
            yield replace(read(folder), has_worker=False)
        except OSError as error:
            raise _unwritable(folder, error) from error
        finally:
            os.close(lock)


class _Held(FinetuneError):
    pass


def lock_of(folder: Path, patience: float = 0.0) -> int | None:
    """A descriptor that holds the folder's lock until it is closed, or its process and its children are gone.

    None while somebody else holds it.
    """
    until = time.monotonic() + patience
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(folder, error) from error
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(descriptor)
                return None
            time.sleep(0.02)
        else:
            return descriptor


def read(folder: Path) -> Job:
    """The job in a folder, with what can be seen of its worker. Raises FinetuneError."""
    try:
        stored: dict[str, Any] = json.loads((folder / JOB).read_text("utf-8"))
        order, figures = stored.pop("order"), stored.pop("figures")
        recipe = recipe_of(order.pop("recipe"), f"{folder.name}/{JOB}")
        order["files"] = tuple(order["files"])
        job = Job(
            **{**stored, "state": State(stored["state"])},
            folder=folder,
            order=Order(**order, recipe=recipe),
            figures=Figures(**figures) if figures else None,
        )
    except FileNotFoundError as error:
        raise FinetuneError(f"There is no job {folder.name}. `atelier finetune list` shows all.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FinetuneError(f"{folder / JOB} cannot be read. Remove the folder {folder} and start anew.") from error
    if job.is_over:
        return job
    probe = lock_of(folder)
    if probe is not None:
        os.close(probe)
    return replace(
        job,
        cancel_requested=(folder / CANCEL).exists(),
        has_worker=probe is None,
        progress=_progress(folder),
    )


def save(job: Job) -> None:
    """Write job.json, whole or not at all. Raises OSError. For whoever holds the job's lock."""
    stored = asdict(replace(job, folder=Path(), progress=None))
    for derived in ("folder", "cancel_requested", "has_worker", "progress"):
        del stored[derived]
    write_atomically(job.folder / JOB, json.dumps(stored, indent=1).encode())


def note(
    folder: Path,
    message: str = "",
    level: Literal["info", "warning", "error"] = "info",
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Add a line to events.jsonl. A full disk is no reason to fail: the line is left out."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    event = Event(now, level, "message" if metrics is None else "metrics", message, metrics)
    with suppress(OSError), (folder / EVENTS).open("a+b") as file:
        file.seek(0, os.SEEK_END)
        if file.tell():  # a line that a crash tore stays alone
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(asdict(event), ensure_ascii=False).encode() + b"\n")


def events(folder: Path) -> list[Event]:
    """What happened to a job, oldest first; torn lines are left out."""
    try:
        lines = (folder / EVENTS).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with suppress(ValueError, TypeError):
            found.append(Event(**json.loads(line)))
    return found


def show_progress(folder: Path, progress: Progress) -> None:
    """Say how far a job is. Not durable, and left out when the disk is full."""
    draft = folder / f".{PROGRESS}"
    with suppress(OSError):
        draft.write_text(json.dumps(asdict(replace(progress, at=time.time()))))
        draft.replace(folder / PROGRESS)


def _progress(folder: Path) -> Progress | None:
    try:
        return Progress(**json.loads((folder / PROGRESS).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _ended(job: Job) -> str:
    words = {State.SUCCEEDED: f"made {job.version}", State.REJECTED: "was not let through by the gate"}
    return words.get(job.state, f"is {job.state}")


def _unwritable(folder: Path, error: OSError) -> FinetuneError:
    return FinetuneError(f"{folder} cannot be used ({error.strerror}). Free some space or check its owner.")
