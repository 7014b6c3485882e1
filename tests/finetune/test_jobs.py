"""Jobs on disk: made, found, cancelled, taken up again; and what is seen of their workers from outside."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from finetune import job as on_disk
from finetune import jobs as found
from finetune.job import Figures, Job, Order, State, events, lock_of, note, read, save
from finetune.jobs import Jobs
from finetune.recipe import Method, Recipe
from retrieval.errors import FinetuneError

ORDER = Order(
    name="team", base="/models/small", recipe=Recipe(method=Method.DORA, rank=4), files=("/data/chats.jsonl",)
)
FIGURES = Figures(90, 10, 3, 9_000, 3_000, 40, 12.5, 700_000_000)
HOLD = """
import sys, time
from pathlib import Path
from finetune.job import lock_of
print(lock_of(Path(sys.argv[1])), flush=True)
time.sleep(600)
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


@contextmanager
def worker_at(job: Job) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the job's lock, as its worker does."""
    command = [sys.executable, "-c", HOLD, str(job.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        assert held.stdout.readline().strip().isdigit()
        yield held
        held.kill()


def test_a_job_is_read_back_as_it_was_ordered(jobs: Jobs) -> None:
    made = jobs.create(ORDER)
    assert (made.state, made.order, made.is_over, made.has_worker) == (State.VALIDATING, ORDER, False, False)
    save(replace(made, state=State.SUCCEEDED, figures=FIGURES, version="team-1", starts=2))
    found = jobs.get()
    assert (found.id, found.order, found.figures, found.version) == (made.id, ORDER, FIGURES, "team-1")
    assert found.is_over


def test_of_two_jobs_made_in_the_same_moment_none_is_lost(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 11, 28, 12, tzinfo=UTC)
    moments = iter([moment, moment, moment, moment + timedelta(microseconds=20)])

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Clock":
            return cls.fromtimestamp(next(moments).timestamp(), tz)

    monkeypatch.setattr(found, "datetime", Clock)
    made = [jobs.create(ORDER), jobs.create(ORDER)]
    assert [each.id for each in jobs.known()] == [each.id for each in made]


def test_jobs_are_nobody_elses_to_read(jobs: Jobs) -> None:
    assert jobs.create(ORDER).folder.stat().st_mode & 0o077 == 0


def test_the_same_order_again_is_the_same_job(jobs: Jobs) -> None:
    first = jobs.create(ORDER, key="press 1")
    assert jobs.create(ORDER, key="press 1").id == first.id
    assert jobs.create(ORDER, key="press 2").id != first.id
    assert len(jobs.known()) == 2


def test_a_part_of_the_name_is_enough_if_it_is_unmistakable(jobs: Jobs) -> None:
    with pytest.raises(FinetuneError, match="no fine-tuning jobs yet"):
        jobs.get()
    first, second = jobs.create(ORDER), jobs.create(ORDER)
    assert jobs.get(first.id[-9:]).id in {first.id, second.id}
    assert jobs.get(first.id).id == first.id
    with pytest.raises(FinetuneError, match="may be any of"):
        jobs.get(first.id[:4])
    with pytest.raises(FinetuneError, match="There is no job nonsense"):
        jobs.get("nonsense")


def test_a_damaged_job_does_not_hide_the_others(jobs: Jobs) -> None:
    good, bad = jobs.create(ORDER), jobs.create(ORDER)
    (bad.folder / "job.json").write_text('{"id": 7}')
    assert [each.id for each in jobs.known()] == [good.id]
    with pytest.raises(FinetuneError, match="cannot be read"):
        jobs.get(bad.id)


def test_a_worker_is_seen_and_so_is_its_death(jobs: Jobs) -> None:
    job = jobs.create(ORDER)
    save(replace(job, state=State.RUNNING, starts=1))
    with worker_at(job) as worker:
        assert read(job.folder).has_worker
        assert not read(job.folder).is_interrupted
        assert jobs.busy() is not None
        with pytest.raises(FinetuneError, match=f"Job {job.id} is running, and one trains at a time"):
            jobs.refuse_when_busy()
        worker.kill()
        worker.wait()
        assert read(job.folder).is_interrupted
    assert jobs.busy() is None
    jobs.refuse_when_busy()


def test_what_nobody_works_at_is_cancelled_at_once(jobs: Jobs) -> None:
    job = jobs.create(ORDER)
    assert jobs.cancel(job.id).state is State.CANCELLED
    with pytest.raises(FinetuneError, match="is over: it was cancelled"):
        jobs.cancel(job.id)


def test_a_worker_is_asked_to_end_and_keeps_the_last_word(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "PATIENCE", 0.1)
    job = jobs.create(ORDER)
    save(replace(job, state=State.RUNNING, starts=1))
    with worker_at(job):
        asked = jobs.cancel(job.id)
        assert (asked.state, asked.cancel_requested) == (State.RUNNING, True)
        with pytest.raises(FinetuneError, match="is running"):
            jobs.resume(job.id)
        with pytest.raises(FinetuneError, match="is running"):
            jobs.remove(job.id)


@pytest.mark.parametrize("state", [State.CANCELLED, State.FAILED])
def test_what_ended_early_can_be_taken_up_again(jobs: Jobs, state: State) -> None:
    job = jobs.create(ORDER)
    (job.folder / "data").mkdir()
    (job.folder / "cancel").touch()
    save(replace(job, state=state, reason="The disk is full.", starts=1))
    again = jobs.resume(job.id)
    assert (again.state, again.reason, again.cancel_requested) == (State.QUEUED, "", False)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.REJECTED])
def test_what_came_to_its_end_is_not_taken_up_again(jobs: Jobs, state: State) -> None:
    job = jobs.create(ORDER)
    save(replace(job, state=state, version="team-1"))
    with pytest.raises(FinetuneError, match="Start a new one instead"):
        jobs.resume(job.id)


def test_only_what_waits_for_it_is_confirmed_and_only_once(jobs: Jobs) -> None:
    job = jobs.create(ORDER, confirmed=False)
    assert not jobs.confirm(job.id)  # its data is still being read
    save(replace(job, state=State.QUEUED, starts=1))
    assert not read(job.folder).is_interrupted  # it waits for a person
    assert [jobs.confirm(job.id) for _ in range(3)] == [True, False, False]
    assert read(job.folder).is_interrupted
    jobs.cancel(job.id)
    assert not jobs.confirm(job.id)


def test_events_survive_a_line_that_a_crash_tore(jobs: Jobs) -> None:
    folder = jobs.create(ORDER).folder
    note(folder, "one")
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b'{"time": "2026-11-')
    note(folder, "two", "warning")
    note(folder, metrics={"step": 3.0, "loss": 1.5})
    assert [(each.level, each.message) for each in events(folder)] == [
        ("info", "one"),
        ("warning", "two"),
        ("info", ""),
    ]
    assert events(folder)[-1].metrics == {"step": 3.0, "loss": 1.5}


def test_an_order_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file where the folder should be")
    with pytest.raises(FinetuneError, match="cannot be used"):
        Jobs(tmp_path).create(ORDER)


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    held = lock_of(tmp_path)
    assert held is not None
    assert lock_of(tmp_path) is None
    os.close(held)
    again = lock_of(tmp_path)
    assert again is not None
    os.close(again)


def test_no_secret_and_no_account_is_written(jobs: Jobs) -> None:
    text = (jobs.create(ORDER, key="abc").folder / on_disk.JOB).read_text()
    assert "postgresql" not in text
    assert "slack:" not in text
