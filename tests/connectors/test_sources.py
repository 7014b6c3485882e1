"""The setting `sources`, whom it lets be called, and `atelier sources`, `gaps` and `digest` at the terminal."""

import json
from pathlib import Path

import pytest
from PIL import Image

from connectors.cli import main
from connectors.settings import Settings, load_settings
from connectors.sources import allowed
from connectors.sources_settings import Sources
from retrieval.errors import SettingsError


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [*(f"ATELIER_{field.upper()}" for field in Settings.model_fields), "ATELIER_SETTINGS"]:
        monkeypatch.delenv(name, raising=False)


def written(text: str) -> Settings:
    Path("atelier.toml").write_text(f'home = "home"\ngenerator = "extractive"\n{text}')
    return load_settings()


def test_paths_are_relative_to_the_file_and_audiences_stand_before(tmp_path: Path) -> None:
    listed = written('[sources]\nread = ["handbook", "hr=pay", "https://a.example/x?y=z", "hr=https://a.example"]')
    assert [(each.address, each.audience) for each in listed.sources.read] == [
        (str(tmp_path / "handbook"), None),
        (str(tmp_path / "pay"), "hr"),
        ("https://a.example/x?y=z", None),
        ("https://a.example", "hr"),
    ]
    assert written("").sources == Sources()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("reed = []", "There is no 'reed' in sources"),
        ('read = "x"', "is a list of texts"),
        ("every = -1", "whole number from 0"),
        ("every = true", "whole number from 0"),
    ],
)
def test_a_mistake_is_named(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match='setting "sources"') as caught:
        written(f"[sources]\n{text}\n")
    assert reason in str(caught.value)


def test_a_server_of_one_s_own_is_named_and_what_is_this_machine_s_never_called() -> None:
    allows = allowed(Sources(private_hosts=("wiki.corp", "127.0.0.1", "169.254.169.254", "meta.corp")))
    assert allows("example.com", "93.184.215.14")
    assert allows("wiki.corp", "10.1.2.3")
    assert allows("WIKI.corp.", "fd00::1")
    assert not allows("other.corp", "10.1.2.3")
    for host, address in (("127.0.0.1", "127.0.0.1"), ("meta.corp", "169.254.169.254"), ("wiki.corp", "::1")):
        assert not allows(host, address)
    assert not allows("wiki.corp", "::ffff:127.0.0.1")
    assert not allows("127.1", "127.1")


def test_a_folder_at_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "hours.md").write_text("The office opens at nine.")
    written('[sources]\nread = ["handbook"]')
    assert main(["sources"]) == 0
    assert "not read yet" in capsys.readouterr().out
    assert main(["sources", "read"]) == 0
    assert "1 new" in capsys.readouterr().out
    assert main(["sources", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["state"].startswith("looked at")
    written("")
    assert main(["sources", "read", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["removed"] == ["handbook/hours.md"]


def test_reports_of_a_store_where_nothing_was_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written("")
    assert main(["gaps"]) == 0
    assert main(["gaps", "--json"]) == 0
    assert main(["digest", "--out", "week.png"]) == 0
    said = capsys.readouterr().out
    assert "nothing was left without a good answer" in said
    assert "Nothing was asked" in said
    with Image.open(tmp_path / "week.png") as picture:
        assert picture.width == 1200
