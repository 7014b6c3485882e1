"""One fine-tuning job on disk: what was ordered, how far it is, what happened. A folder each, readable by a person.

    HOME/jobs/<id>/  job.json events.jsonl metrics.jsonl data/ checkpoints/ adapter/ eval.json report.md loss.png
    validating -> queued -> running -> evaluating -> succeeded | rejected | failed | cancelled

`job.json` is written by whoever holds the job's lock: its worker while it has one, else whoever changes it. A job that
is under way and has no worker was interrupted; it is started again and goes on from its last checkpoint.
"""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from finetune.recipe import Method, Recipe
from retrieval.errors import FinetuneError
from retrieval.files import write_atomically

JOB, EVENTS, PROGRESS, LOG = "job.json", "events.jsonl", "progress.json", "worker.log"
CANCEL, CONFIRMED = "cancel", "confirmed"  # whoever wishes it makes the file; the worker looks for it
DATA, ADAPTER, EVALUATION, REPORT, PICTURE = "data", "adapter", "eval.json", "report.md", "loss.png"
METRICS, CHECKPOINTS = "metrics.jsonl", "checkpoints"
LOCK = ".lock"
BALLAST, BALLAST_BYTES = ".ballast", 64 << 10  # given up when the disk is full, so that the job's end can be written
PATIENCE = 5.0  # seconds that a lock held for an instant by somebody who only looks is waited for


class Stopped(Exception):
    """Raised where a job is carried out when it was cancelled, or its process is to end."""


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
    team's rated turns. knowledge: questions and answers from what everyone may read. persona, passages, max_tokens:
    as the bot is asked. threads: 0 means all cores. promote: make the version live as soon as the gate lets it through.
    """

    name: str
    base: str
    recipe: Recipe
    tenant: str = "local"
    files: tuple[str, ...] = ()
    rated: bool = False
    knowledge: bool = False
    encoder: str = ""
    device: str = ""
    persona: str = ""
    passages: int = 5
    max_tokens: int = 400
    threads: int = 0
    promote: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """What training will take, as far as it can be told before; units are in the names. steps 0: not measured."""

    rows: int
    held_out: int
    removed: int
    tokens: int
    trained_tokens: int
    steps: int = 0
    seconds: float = 0.0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. seconds_left: as far as it can be told. loss, held_out_loss: the latest. what: is measured."""

    step: int = 0
    steps: int = 0
    loss: float | None = None
    held_out_loss: float | None = None
    tokens_per_second: float = 0.0
    seconds_left: float | None = None
    what: str = ""
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


def lock_of(folder: Path, patience: float = 0.0, *, shared: bool = False) -> int | None:
    """A descriptor that holds the folder's lock until it is closed, or its process and its children are gone.

    None while somebody else holds it. shared: beside others who hold it so, as those do who only look.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    until = time.monotonic() + patience
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(folder, error) from error
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
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
        recipe = _recipe(order.pop("recipe"))
        order["files"] = tuple(order["files"])
        stored["state"] = State(stored["state"])
        job = Job(
            **_known(Job, stored),
            folder=folder,
            order=Order(**_known(Order, order), recipe=recipe),
            figures=Figures(**figures) if figures else None,
        )
    except FileNotFoundError as error:
        raise FinetuneError(f"There is no job {folder.name}. `atelier finetune list` shows all.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FinetuneError(f"{folder / JOB} cannot be read. Remove the folder {folder} and start anew.") from error
    if job.is_over:
        return job
    probe = lock_of(folder, shared=True)
    if probe is not None:
        os.close(probe)
    return replace(
        job,
        is_confirmed=job.is_confirmed or (folder / CONFIRMED).exists(),
        cancel_requested=(folder / CANCEL).exists(),
        has_worker=probe is None,
        progress=_progress(folder),
    )


def _recipe(stored: dict[str, Any]) -> Recipe:
    """It was checked when it was ordered; checking it at each look at a job would take longer than the look."""
    values = _known(Recipe, stored)
    return Recipe(**{**values, "method": Method(values["method"]), "targets": tuple(values["targets"])})


def _known(kind: Any, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only a newer Atelier writes."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in stored.items() if name in names}


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


def ended(job: Job) -> str:
    words = {State.SUCCEEDED: f"made {job.version}", State.REJECTED: "was not let through by the gate"}
    return words.get(job.state, "failed" if job.state is State.FAILED else f"was {job.state}")


def unwritable(folder: Path, error: OSError) -> FinetuneError:
    return FinetuneError(f"{folder} cannot be used ({error.strerror}). Free some space or check its owner.")
