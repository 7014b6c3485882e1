"""The command line as a person or a script meets it."""

import contextlib
import errno
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.cli import main, unexpected


@pytest.fixture
def home(first_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "home"
    shutil.copytree(first_home, copy)
    monkeypatch.setenv("ATELIER_HOME", str(copy))
    monkeypatch.chdir(tmp_path)
    return copy


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "leave.md").write_text("# Leave\n\nEvery employee has 31 days of paid leave a year.\n")
    (folder / "pay.md").write_text("# Pay\n\nSalaries are paid on the 25th of each month.\n")
    return folder


def asked(question: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    assert main(["ask", "--json", question]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from connectors.cli import parser; parser().format_help(); "
        "heavy = {'torch', 'transformers', 'faiss', 'sqlalchemy', 'pydantic', 'numpy'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_commands_are_there_before_torch_is() -> None:
    code = "import sys, connectors.commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_new_home_answers_about_atelier_itself(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = asked("How do I install Atelier?", capsys)
    assert "make chat" in str(answer["answer"])
    assert "guide/install.md" in str(answer["sources"])


def test_a_folder_is_asked_about_until_it_is_removed(
    home: Path, handbook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ingest", str(handbook)]) == 0
    assert "2 added" in capsys.readouterr().out
    answer = asked("How many days of paid leave do I have?", capsys)
    assert "31 days" in str(answer["answer"])
    assert "handbook/leave.md" in str(answer["sources"])
    assert main(["ingest", str(handbook)]) == 0
    assert "2 unchanged" in capsys.readouterr().out
    assert main(["knowledge", "remove", "handbook"]) == 0
    assert "31 days" not in str(asked("How many days of paid leave do I have?", capsys)["answer"])


def test_an_audience_the_terminal_does_not_hold_gets_no_answer(
    home: Path, handbook: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["ingest", str(handbook), "--audience", "hr"]) == 0
    question = "When are salaries paid?"
    assert "25th" not in str(asked(question, capsys))
    monkeypatch.setenv("ATELIER_AUDIENCES", "hr")
    assert "25th" in str(asked(question, capsys))
    monkeypatch.delenv("ATELIER_AUDIENCES")
    assert main(["knowledge", "audience", "handbook/pay.md", "everyone"]) == 0
    assert "25th" in str(asked(question, capsys))


def test_the_list_names_sources_and_audiences(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["knowledge", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"guide/about.md", "guide/install.md"} <= {document["source"] for document in listed}
    assert {document["audience"] for document in listed} == {"local/everyone"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["knowledge", "remove", "guide/instal.md"], "Did you mean guide/install.md?"),
        (["ingest", "nowhere"], "nowhere"),
        (["--settings", "nowhere.toml", "knowledge", "list"], "There is no settings file nowhere.toml"),
        (["restore", "nowhere.zip", "new"], "nowhere.zip"),
    ],
)
def test_a_mistake_is_one_clear_sentence(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    capsys.readouterr()
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert error.startswith("atelier: ")


def test_a_misspelt_setting_names_the_nearest(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "atelier.toml").write_text("temprature = 0.2\n")
    assert main(["knowledge", "list"]) == 1
    assert 'Did you mean "temperature"?' in capsys.readouterr().err


def test_slips_are_named_before_anything_is_loaded_or_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    assert main(["init", "slak"]) == 1
    assert "`atelier init slack`" in capsys.readouterr().err
    assert main(["init", "telegram"]) == 0
    assert "set ATELIER_TELEGRAM_TOKEN" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert main(["init", "./slack"]) == 0
    assert (tmp_path / "slack" / "atelier.toml").exists()
    assert main(["ask", " "]) == 1
    assert "empty" in capsys.readouterr().err


def test_init_writes_a_settings_file_that_works_and_is_not_overwritten(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ATELIER_HOME")
    new = tmp_path / "team"
    assert main(["init", str(new)]) == 0
    assert main(["--settings", str(new / "atelier.toml"), "knowledge", "list"]) == 0
    assert "no documents yet" in capsys.readouterr().out
    assert main(["init", str(new)]) == 1
    assert "exists already" in capsys.readouterr().err


def test_a_person_can_be_copied_and_forgotten(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked("My grandmother lives in Zanzibar, where do I find the leave policy?", capsys)
    assert main(["export", str(tmp_path / "me.json")]) == 0
    assert "Zanzibar" in (tmp_path / "me.json").read_text()
    assert main(["forget", "--yes"]) == 0
    assert "deleted" in capsys.readouterr().out
    assert b"Zanzibar" not in (home / "store.db").read_bytes()


def test_a_backup_comes_back_as_it_was(
    home: Path, handbook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["ingest", str(handbook)]) == 0
    assert main(["backup", str(tmp_path / "all.zip")]) == 0
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "other"))
    assert main(["restore", str(tmp_path / "all.zip"), str(tmp_path / "other")]) == 0
    assert "31 days" in str(asked("How many days of paid leave do I have?", capsys)["answer"])


def test_the_doctor_finds_a_fresh_home_well_and_a_wrong_encoder_not(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)
    assert all(check["well"] for check in checks.values())
    monkeypatch.setenv("ATELIER_ENCODER", "no/such-encoder")
    assert main(["doctor", "--json"]) == 1
    assert not json.loads(capsys.readouterr().out)["encoder"]["well"]


def test_piped_lines_are_answered_in_turn_whatever_they_are_encoded_in(home: Path) -> None:
    lines = "How do I install Atelier?\n/why\n/n\u00f6nsense\nthanks!\n".encode("latin-1")
    done = subprocess.run(
        [sys.executable, "-m", "connectors.cli", "chat"],
        input=lines,
        capture_output=True,
        check=False,
        cwd=home.parent,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    parts = (b"make chat", b"guide/install.md", b"reads as", b"no command /n?nsense")
    places = [done.stdout.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)


def test_a_full_disk_behind_the_output_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with contextlib.redirect_stdout(Full()):
        assert main(["knowledge", "list"]) == 1
    assert capsys.readouterr().err == (
        "atelier: The disk is full, so not all was written. Free some space and try again.\n"
    )


def test_a_home_that_may_only_be_read_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != home)  # root may write everywhere
    assert main(["knowledge", "list"]) == 1
    assert f"home folder {home}" in capsys.readouterr().err


def test_the_unforeseen_leaves_no_traceback_and_no_personal_text(home: Path) -> None:
    with pytest.raises(ValueError, match="hunter2") as caught:
        int("Anna's password is hunter2")
    sentence = unexpected(caught.value)
    report = (home / "last-error.txt").read_text()
    assert "ValueError" in sentence
    assert "test_cli.py" in report
    assert "hunter2" not in sentence + report
