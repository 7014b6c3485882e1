"""Curated answers from the command line: given, read from a file, listed, withdrawn; what is wrong is said."""

import json
from pathlib import Path

import pytest

from connectors.cli import main

CSV = 'Question,Answer,Source\nWhere are parcels?,At the desk.,porter\n"When, exactly?",At nine.,\n'
TOML = '[[curated]]\nquestion = "Who pays?"\nanswer = "We do."\naudience = "hr"\n'


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    file = tmp_path / "atelier.toml"
    file.write_text(f'home = "{tmp_path / "home"}"\ntenant = "acme"\n')
    return file


def test_pairs_are_given_listed_and_withdrawn(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def runs(*words: str, status: int = 0) -> str:
        assert main(["--settings", str(settings), "curated", *words]) == status
        captured = capsys.readouterr()
        return captured.out + captured.err

    pairs, more = settings.with_name("pairs.csv"), settings.with_name("more.toml")
    pairs.write_text(CSV, encoding="utf-8-sig")
    more.write_text(TOML)
    assert "2 answers" in runs("import", str(pairs))
    assert "1 answer from" in runs("import", str(more))
    assert "#4 answers" in runs("add", "Who is here?", "All.", "--source", "me")
    pairs.write_text(CSV.replace("At nine.", "At ten."))
    runs("import", str(pairs))
    rows = {row["question"]: row for row in json.loads(runs("list", "--json"))}
    assert len(rows) == 4
    assert rows["When, exactly?"]["answer"] == "At ten."
    assert rows["Who pays?"]["audience"] == "acme/hr"
    assert {row["state"] for row in rows.values()} == {"approved"}
    runs("withdraw", "1")
    assert "Where are parcels?" not in runs("list")
    assert "withdrawn" in runs("list", "--all")
    runs("approve", "1", "At the gate.", "--audience", "hr")
    assert "hr            Where are parcels?" in runs("list")
    assert "no curated answer 77" in runs("withdraw", "77", status=1)
    pairs.write_text("a,b\n1,2\n")
    assert "question,answer" in runs("import", str(pairs), status=1)
    pairs.write_text("question,answer\nWho?,\n")
    assert "Nothing was read" in runs("import", str(pairs), status=1)
    more.write_text("curated = 3")
    assert "[[curated]]" in runs("import", str(more), status=1)
