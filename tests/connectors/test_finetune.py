"""`atelier finetune` as a person or a script meets it, without training: the whole loop is in tests/test_loop.py."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.generation.loading import weights
from connectors.cli import main
from connectors.compose import open_store
from connectors.settings import load_settings
from finetune.job import Figures, Order, Progress, State, note, save, show_progress
from finetune.jobs import Jobs
from finetune.recipe import Recipe
from retrieval.files import write_folder_atomically
from tests.agent.models import build_model
from tests.finetune.adapters import sealed
from tests.finetune.tiny import chats

FIGURES = Figures(90, 10, 3, 9_000, 3_000, 40, 130.0, 700_000_000)
Atelier = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("ATELIER_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def atelier(home: Path, capsys: pytest.CaptureFixture[str]) -> Atelier:
    """Give a command; its status, what it printed, and what it said beside."""

    def give(*words: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["finetune", *map(str, words)])
        out, err = capsys.readouterr()
        return status, out, err

    return give


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return build_model(tmp_path / "small", hidden=16, layers=1)


@pytest.fixture
def jobs(home: Path) -> Jobs:
    return Jobs(home)


def order(**changes: Any) -> Order:
    return Order(**{"name": "team", "base": "/models/small", "recipe": Recipe(), "rated": True, **changes})


def registered(tmp_path: Path, count: int) -> None:
    store = open_store(load_settings())
    for number in range(1, count + 1):
        scores = {"held_out_loss": 2.0 - number / 10, "grounded": 0.8}
        store.registry.add("team", sealed(tmp_path / f"adapter-{number}", b"weights %d" % number), scores=scores)
    store.close()


def test_without_a_model_it_says_what_is_needed(atelier: Atelier) -> None:
    status, _, err = atelier("run", "--rated")
    assert status == 1
    assert "There is no language model to fine-tune" in err
    assert "--base" in err


def test_with_a_model_on_a_server_it_asks_for_the_weights(atelier: Atelier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_GENERATOR", "remote")
    monkeypatch.setenv("ATELIER_REMOTE_URL", "http://localhost:9/v1")
    monkeypatch.setenv("ATELIER_REMOTE_MODEL", "big")
    status, _, err = atelier("run", "--rated")
    assert status == 1
    assert "Your model answers on a server" in err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["run"], "Say what to learn from: --rated"),
        (["run", "--rated", "--base", "no/such/place/here"], "There is no model folder no/such/place/here"),
        (["run", "--data", "nowhere.jsonl", "--base", "BASE"], "There is no file nowhere.jsonl"),
        (["run", "--rated", "--base", "BASE", "--name", "a.b"], "cannot be called 'a.b'"),
        (["run", "--rated", "--base", "BASE", "--recipe", "nonsense"], "There is no recipe nonsense"),
        (["run", "--rated", "--base", "BASE", "--threads", "-1"], "at least one thread"),
        (["run", "--rated", "--base", "BASE", "--recipe", "small-cpu", "--dry-run"], "No turn is rated yet"),
        (["show"], "There are no fine-tuning jobs yet"),
        (["cancel"], "There are no fine-tuning jobs yet"),
        (["resume"], "There are no fine-tuning jobs yet"),
        (["promote"], "There is no version yet"),
        (["promote", "team-7"], "There is no version team-7"),
        (["rollback"], "There is nothing to roll back"),
        (["compare"], "There is no version yet"),
        (["export", "merged"], "There is no version yet"),
        (["push"], "There is no version yet"),
    ],
    ids=lambda value: "-".join(map(str, value[:4])) if isinstance(value, list) else "",
)
def test_every_refusal_says_what_to_do(atelier: Atelier, base: Path, words: list[str], reason: str) -> None:
    status, out, err = atelier(*(str(base) if word == "BASE" else word for word in words))
    assert (status, out) == (1, "")
    assert reason in err


def test_a_model_that_cannot_fit_is_refused_before_the_system_ends_the_process(
    atelier: Atelier, base: Path, monkeypatch: pytest.MonkeyPatch, jobs: Jobs
) -> None:
    free = 4 * weights(base)  # in float32, however it is stored
    monkeypatch.setattr("agent.generation.separate.free_bytes", lambda _: free)
    assert "No turn is rated yet" in atelier("run", "--rated", "--base", base, "--recipe", "small-cpu", "--dry-run")[2]
    monkeypatch.setattr("agent.generation.separate.free_bytes", lambda _: free - 1)
    status, _, err = atelier("run", "--rated", "--base", base, "--recipe", "small-cpu")
    assert status == 1
    assert "does not fit" in err
    assert "Name a smaller model with --base" in err
    assert jobs.known() == []


def test_a_job_may_be_named_where_its_version_is_meant(atelier: Atelier, jobs: Jobs, tmp_path: Path) -> None:
    rejected = jobs.create(order())
    save(replace(rejected, state=State.REJECTED, reason="The held-out loss rises from 1.0 to 2.0."))
    for words in (["promote"], ["promote", rejected.id]):
        status, _, err = atelier(*words)
        assert status == 1
        assert "the gate does not let it through: The held-out loss rises from 1.0 to 2.0." in err
    registered(tmp_path, 1)
    done = jobs.create(order())
    save(replace(done, state=State.SUCCEEDED, version="team-1"))
    assert "team-1 is live" in atelier("promote", done.id)[1]


def test_a_dry_run_says_what_it_would_take_and_keeps_nothing(
    atelier: Atelier, base: Path, home: Path, tmp_path: Path
) -> None:
    file = chats(tmp_path / "chats.jsonl")
    file.write_text(file.read_text() + '{"messages": []}\n{"messages": [{"role": "user", "content": "Alone?"}]}\n')
    words = ["run", "--data", file, "--base", base, "--recipe", "small-cpu", "--dry-run"]
    status, out, err = atelier(*words)
    assert status == 0
    assert "Reading the data, then timing a few steps" in err  # at once: it takes a while
    assert "rows to learn from" in out
    assert "chats.jsonl:49: no_messages" in out
    assert "chats.jsonl:50: " in out
    status, out, _ = atelier(*words, "--json")
    figures = json.loads(out)
    assert figures["rows"] + figures["held_out"] == 48
    assert figures["removed"] == 2
    assert figures["steps"] > 0
    assert figures["tokens"] > figures["trained_tokens"] > 0
    assert len(figures["problems"]) >= 2
    assert Jobs(home).known() == []


@pytest.mark.parametrize(("words", "threads"), [([], 3), (["--threads", "0"], 0), (["--threads", "2"], 2)])
def test_a_job_leaves_the_bot_a_core_unless_told(
    atelier: Atelier, base: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, words: list[str], threads: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(4), raising=False)
    monkeypatch.setattr(Jobs, "start", lambda *_, **__: None)  # what it would do is not waited for
    assert atelier("run", "--rated", "--base", base, "--detach", *words)[0] == 0
    assert jobs.get().order.threads == threads


def test_jobs_are_listed_and_shown(atelier: Atelier, jobs: Jobs) -> None:
    assert "There are no jobs yet" in atelier("list")[1]
    failed, running = jobs.create(order()), jobs.create(order(files=("/data/chats.jsonl",), rated=False))
    save(replace(failed, state=State.FAILED, reason="The disk is full."))
    save(replace(running, state=State.RUNNING, starts=1, figures=FIGURES))
    show_progress(running.folder, Progress(10, 40, 1.5, 1.75, 100.0, 90.0))
    note(running.folder, "Training.")
    listed = atelier("list")[1].splitlines()
    assert [each.split()[1] for each in listed] == ["failed", "interrupted"]
    assert "25%" in listed[1]
    assert "chats.jsonl" in listed[1]
    assert [each["state"] for each in json.loads(atelier("list", "--json")[1])] == ["failed", "interrupted"]
    shown = atelier("show", running.id[-9:])[1]
    assert "25% · step 10 of 40 · loss 1.500 · held-out 1.750 · about 2 minutes left" in shown
    assert f"atelier finetune resume {running.id}" in shown
    assert "90 rows to learn from, 10 held out to measure with, 3 left out" in shown
    assert "about 2 minutes and 0.7 GB of memory" in shown
    as_json = json.loads(atelier("show", running.id, "--json")[1])
    assert as_json["progress"]["step"] == 10
    assert as_json["events"][0]["message"] == "Training."
    assert "It failed: The disk is full." in atelier("show", failed.id)[1]


def test_what_nobody_works_at_is_cancelled(atelier: Atelier, jobs: Jobs) -> None:
    job = jobs.create(order())
    status, out, _ = atelier("cancel")
    assert status == 0
    assert "Cancelled" in out
    status, _, err = atelier("cancel", job.id)
    assert status == 1
    assert "is over" in err


def test_versions_are_promoted_compared_and_rolled_back(atelier: Atelier, tmp_path: Path) -> None:
    registered(tmp_path, 2)
    assert "team-1 is live" in atelier("promote", "team-1")[1]
    out = atelier("promote")[1]  # the latest
    assert "team-2 is live" in out
    assert "Before it was team-1." in out
    table = atelier("compare", "team-1")[1]
    assert table.splitlines()[0].split() == ["team-1", "team-2"]
    assert "1.9000" in table
    assert "different models" not in table
    assert json.loads(atelier("compare", "--json")[1]) == {"team-2": {"held_out_loss": 1.8, "grounded": 0.8}}
    store = open_store(load_settings())
    store.registry.add("other", sealed(tmp_path / "other", base="c" * 64), scores={"held_out_loss": 9.0})
    store.close()
    assert "different models, so their losses cannot be compared" in atelier("compare", "team-1", "other-1")[1]
    status, out, _ = atelier("rollback")
    assert status == 0
    assert "team-2 is taken back: team-1 serves" in out
    assert json.loads(atelier("rollback", "--json")[1])["live"] is None


def test_who_means_the_heads_is_told_how_they_are_rolled_back(atelier: Atelier, tmp_path: Path) -> None:
    write_folder_atomically(tmp_path / "heads", lambda fresh: (fresh / "intent.json").touch(), {"encoder": "any@1"})
    store = open_store(load_settings())
    assert "that come with Atelier serve" in atelier("list", "--heads")[1]
    store.registry.promote(store.registry.add("heads", tmp_path / "heads", scores={"intent": 0.9}, kind="heads").name)
    store.close()
    assert atelier("list", "--heads")[1] == "heads-1 (live)  intent 0.900\n"
    assert json.loads(atelier("list", "--heads", "--json")[1])[0]["live"]
    status, _, error = atelier("rollback")
    assert status != 0
    assert "heads-1 is live: `atelier finetune rollback --heads`" in error


def test_a_version_can_be_tried_on_a_share_first(atelier: Atelier, tmp_path: Path) -> None:
    registered(tmp_path, 2)
    atelier("promote", "team-1")
    out = atelier("promote", "team-2", "--share", "0.1", "--channel", "C1")[1]
    assert "team-2 answers 10% of conversations and C1 on trial" in out
    shown = json.loads(atelier("promote", "team-2", "--share", "0.2", "--json")[1])
    assert shown == {"live": "team-1", "previous": None, "candidate": "team-2", "share": 0.2, "channels": []}


def test_a_trial_is_ended_without_touching_what_is_live(atelier: Atelier, tmp_path: Path) -> None:
    registered(tmp_path, 2)
    atelier("promote", "team-1")
    atelier("promote", "team-2", "--share", "0.5")
    status, out, _ = atelier("promote", "team-2", "--share", "0")
    assert (status, out.splitlines()[0]) == (0, "The trial of team-2 is over: team-1 answers everywhere.")
    status, _, err = atelier("promote", "team-2", "--share", "0")
    assert (status, "not on trial" in err) == (1, True)
    shown = json.loads(atelier("promote", "team-1", "--json")[1])
    assert (shown["live"], shown["candidate"]) == ("team-1", None)


def test_a_version_leaves_the_house_only_with_a_model_and_a_server(atelier: Atelier, tmp_path: Path) -> None:
    registered(tmp_path, 1)
    assert "--base" in atelier("export", tmp_path / "merged")[2]
    assert "remote_url" in atelier("push")[2]


def test_a_flagged_version_is_promoted_only_on_purpose(atelier: Atelier, tmp_path: Path) -> None:
    registered(tmp_path, 1)
    store = open_store(load_settings())
    store.registry.flag("team-1", "Somebody it learned from was forgotten.")
    store.close()
    status, _, err = atelier("promote", "team-1")
    assert status == 1
    assert "forgotten" in err
    assert atelier("promote", "team-1", "--force")[0] == 0
