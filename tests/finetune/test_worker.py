"""A job carried out by its worker: to the end, killed anywhere, cancelled, with the disk full."""

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.generation.adapters import METHOD_FACT
from finetune import job as on_disk
from finetune.gate import gate
from finetune.gate.grounded import suite
from finetune.job import Job, State, events, read
from finetune.jobs import Jobs
from finetune.registry import AdapterRegistry
from finetune.worker import Worker, main
from retrieval.database import metadata, open_database
from retrieval.errors import FinetuneError
from retrieval.files import read_manifest
from tests.agent.models import build_model
from tests.finetune.tiny import RECIPE, chats, order_of

pytestmark = pytest.mark.timeout(400)  # most train and are judged, perhaps beside other work
PATIENCE = 120.0  # seconds, on a machine that does other things too


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("base") / "small", hidden=32)


@pytest.fixture
def store(tmp_path: Path) -> str:
    address = f"sqlite:///{tmp_path / 'store.db'}"
    engine = open_database(address)
    metadata.create_all(engine)
    engine.dispose()
    return address


@pytest.fixture
def registry(tmp_path: Path, store: str) -> Iterator[AdapterRegistry]:
    engine = open_database(store)
    yield AdapterRegistry(engine, tmp_path / "versions")
    engine.dispose()


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


@pytest.fixture(autouse=True)
def short_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the test's own process the gate asks a sixth of its questions; a process of its own asks all."""
    monkeypatch.setattr(gate, "suite", lambda: suite()[:12])


@pytest.fixture
def signals() -> Iterator[None]:
    """A worker in the test's own process must not leave its handlers behind."""
    kept = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    yield
    for each, handler in kept.items():
        signal.signal(each, handler)


def until(job: Job, reached: Callable[[Job], bool]) -> Job:
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        now = read(job.folder)
        if reached(now):
            return now
        if now.is_over:
            break
        time.sleep(0.02)
    raise TimeoutError(f"{read(job.folder)} {(job.folder / on_disk.LOG).read_text()}")


def killed(job: Job) -> None:
    """SIGKILL whoever holds the job's lock."""
    os.kill(int((job.folder / on_disk.LOCK).read_text()), signal.SIGKILL)
    until(job, lambda now: not now.has_worker)


def sentences(job: Job) -> list[str]:
    return [event.message for event in events(job.folder) if event.type == "message"]


@pytest.mark.usefixtures("signals")
def test_from_a_file_to_a_version(
    jobs: Jobs, base: Path, store: str, registry: AdapterRegistry, tmp_path: Path
) -> None:
    job = jobs.create(order_of(base, chats(tmp_path / "chats.jsonl"), promote=True))
    assert Worker(job.folder, store).run() is State.SUCCEEDED
    done = read(job.folder)
    assert (done.version, done.reason, done.starts) == ("team-1", "", 1)
    assert done.figures is not None
    assert done.figures.rows + done.figures.held_out == 48
    version = registry.get("team-1")
    assert (version.job, version.method) == (job.id, "lora")
    assert registry.aliases().live == version
    assert read_manifest(job.folder / "adapter")[METHOD_FACT] == "lora"
    assert (job.folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert [each.metrics for each in events(job.folder) if each.metrics and "held_out_loss" in each.metrics]
    assert not (job.folder / on_disk.PROGRESS).exists()


@pytest.mark.usefixtures("signals")
def test_a_job_that_waits_for_its_confirmation_only_reads_the_data(
    jobs: Jobs, base: Path, store: str, tmp_path: Path
) -> None:
    job = jobs.create(order_of(base, chats(tmp_path / "chats.jsonl")), confirmed=False)
    assert Worker(job.folder, store, linger=0.0).run() is State.QUEUED
    waiting = read(job.folder)
    assert waiting.figures is not None
    assert not (job.folder / "adapter").exists()


@pytest.mark.usefixtures("signals")
def test_rows_that_cannot_be_learned_are_named_with_their_lines(
    jobs: Jobs, base: Path, store: str, tmp_path: Path
) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text('{"messages": []}\nnot JSON\n')
    job = jobs.create(order_of(base, file))
    assert Worker(job.folder, store).run() is State.FAILED
    reason = read(job.folder).reason
    assert "too little left to learn from" in reason
    assert "chats.jsonl:2: bad_json" in reason


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("source", ["rated", "knowledge"])
def test_without_anything_to_learn_it_says_what_to_do(
    jobs: Jobs, base: Path, store: str, registry: AdapterRegistry, source: str
) -> None:
    job = jobs.create(order_of(base, **{source: True}))
    assert Worker(job.folder, store).run() is State.FAILED
    expected = {"rated": "No turn is rated yet", "knowledge": "atelier ingest"}[source]
    assert expected in read(job.folder).reason
    assert registry.versions() == ()


@pytest.mark.usefixtures("signals")
def test_a_full_disk_ends_the_job_with_a_sentence_and_harms_nothing(
    jobs: Jobs, base: Path, store: str, registry: AdapterRegistry, tmp_path: Path
) -> None:
    """No file may grow beyond what the adapter needs: its write fails as on a full disk."""
    job = jobs.create(order_of(base, chats(tmp_path / "chats.jsonl"), recipe=replace(RECIPE, rank=64)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, hard))
    try:
        assert Worker(job.folder, store).run() is State.FAILED
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    failed = read(job.folder)
    assert "The disk is full" in failed.reason
    assert f"atelier finetune resume {job.id}" in failed.reason
    assert not (job.folder / "adapter").exists()
    assert not [each for each in job.folder.iterdir() if each.name.startswith(".adapter")]
    assert registry.versions() == ()
    jobs.resume(job.id)
    assert Worker(job.folder, store).run() is State.SUCCEEDED


@pytest.mark.usefixtures("signals")
def test_killed_in_every_state_it_goes_on_and_ends_as_if_nothing_had_been(
    jobs: Jobs, base: Path, store: str, registry: AdapterRegistry, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, epochs=20.0, save_seconds=0.1)
    job = jobs.create(order_of(base, chats(tmp_path / "chats.jsonl"), recipe=recipe))
    jobs.start(job.id, store)
    with pytest.raises(FinetuneError, match="one trains at a time"):
        jobs.start(jobs.create(order_of(base)).id, store)
    until(job, lambda now: now.state is State.RUNNING and any((now.folder / "checkpoints").glob("step-*")))
    killed(job)
    at = read(job.folder)
    assert at.is_interrupted
    jobs.start(job.id, store)
    until(job, lambda now: now.state is State.EVALUATING)
    killed(job)
    assert Worker(job.folder, store).run() is State.SUCCEEDED
    done = read(job.folder)
    assert (done.state, done.version) == (State.SUCCEEDED, "team-1"), done.reason
    assert len(registry.versions()) == 1


def test_asked_to_end_it_keeps_a_checkpoint_and_the_job_can_go_on(
    jobs: Jobs, base: Path, store: str, registry: AdapterRegistry, tmp_path: Path
) -> None:
    """By a signal, as at a shutdown, it is taken up again; by its administrator it is cancelled, and may be."""
    recipe = replace(RECIPE, epochs=4000.0)
    job = jobs.create(order_of(base, chats(tmp_path / "chats.jsonl"), recipe=recipe, threads=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATELIER_SLACK_BOT_TOKEN", "xoxb-secret")
        jobs.start(job.id, store)
    until(job, lambda now: now.progress is not None and now.progress.step > 3)
    process = int((job.folder / on_disk.LOCK).read_text())
    assert os.getpriority(os.PRIO_PROCESS, process) >= os.getpriority(os.PRIO_PROCESS, 0) + 5
    assert b"xoxb-secret" not in Path(f"/proc/{process}/environ").read_bytes()
    os.kill(process, signal.SIGTERM)
    ended = until(job, lambda now: not now.has_worker)
    assert (ended.state, ended.is_interrupted) == (State.RUNNING, True)
    assert any("Interrupted" in each for each in sentences(ended))
    (checkpoint,) = (job.folder / "checkpoints").glob("step-*")
    jobs.start(job.id, store)
    until(job, lambda now: now.progress is not None and now.progress.step > int(checkpoint.name.partition("-")[2]))
    asked = time.monotonic()
    jobs.cancel(job.id)
    done = until(job, lambda now: now.is_over)
    assert time.monotonic() - asked < 25
    assert done.state is State.CANCELLED
    assert any((job.folder / "checkpoints").glob("step-*"))
    assert registry.versions() == ()
    assert jobs.resume(job.id).state is State.QUEUED


def test_what_hangs_is_ended_all_the_same(jobs: Jobs, tmp_path: Path) -> None:
    """A model folder that is a pipe: reading it never ends."""
    pipe = tmp_path / "chats.jsonl"
    os.mkfifo(pipe)
    job = jobs.create(order_of(build_model(tmp_path / "base", hidden=16, layers=1), pipe))
    jobs.start(job.id, f"sqlite:///{tmp_path / 'store.db'}")
    until(job, lambda now: now.starts == 1)
    jobs.cancel(job.id)
    done = until(job, lambda now: now.is_over)
    assert done.state is State.CANCELLED


def test_a_second_worker_for_the_same_job_does_not_begin(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_disk, "PATIENCE", 0.1)
    job = jobs.create(order_of(tmp_path))
    held = on_disk.lock_of(job.folder)
    assert held is not None
    assert main([str(job.folder)]) == 4
    os.close(held)
