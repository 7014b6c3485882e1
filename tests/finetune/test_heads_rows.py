"""A team's own labelled rows: read with every problem named, and what their labels teach is heard in messages."""

import json
from pathlib import Path

import pytest

from agent.understanding import SHIPPED, Understander
from finetune.heads import _train
from finetune.heads_data import OWN, Row
from finetune.heads_rows import team_rows
from retrieval.encoder import TransformerEncoder
from retrieval.errors import DataRefused
from retrieval.files import MANIFEST, write_folder_atomically

BILLING = ("the invoice is wrong", "I was charged twice", "where is my receipt", "refund the payment", "pay by card")
TRAVEL = (
    "book a train to Rome",
    "the flight was late",
    "which hotel is near",
    "my passport expired",
    "rent a car there",
)


def written(file: Path, *rows: object) -> Path:
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def test_rows_teach_the_head_that_their_label_belongs_to(tmp_path: Path) -> None:
    topics = [{"text": text, "label": "billing"} for text in BILLING] + [{"text": t, "label": "travel"} for t in TRAVEL]
    more = [{"text": "Where is the kitchen?", "label": "ask"}, {"text": "Lovely!", "label": "positive"}]
    found = team_rows(written(tmp_path / "rows.jsonl", *topics, *more, *more))
    assert found.intent == (Row("Where is the kitchen?", "ask", OWN),)
    assert found.sentiment == (Row("Lovely!", "positive", OWN),)
    assert [row.label for row in found.topic] == ["billing"] * 5 + ["travel"] * 5
    assert found.count == 12


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    file = written(
        tmp_path / "rows.jsonl",
        "{",
        {"text": "x"},
        {"text": "", "label": "ask"},
        {"text": "a", "label": "ask"},
        {"text": "a", "label": "ideate"},
        {"text": "b", "label": "\u0007"},
        {"text": "c", "label": "billing"},
    )
    with pytest.raises(DataRefused) as refused:
        team_rows(file)
    lines = str(refused.value).splitlines()[1:]
    codes = [line.split()[1] for line in lines]
    assert codes == ["bad_json", "no_label", "bad_text", "contradiction", "bad_label", "too_few", "labels"]
    assert lines[0].startswith("rows.jsonl:1: ")
    with pytest.raises(DataRefused, match="cannot be read"):
        team_rows(tmp_path / "nowhere.jsonl")
    with pytest.raises(DataRefused, match="empty_file"):
        team_rows(written(tmp_path / "empty.jsonl"))


def test_a_file_of_another_form_is_no_wall_of_text(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl", *(f"{i},ask" for i in range(40)), {"text": "x"})
    with pytest.raises(DataRefused) as refused:
        team_rows(file)
    lines = str(refused.value).splitlines()[1:]
    assert [line.split(": ")[0] for line in lines[:3]] == ["rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:3"]
    assert lines[3] == "… and 37 more of bad_json."
    assert lines[4].startswith("rows.jsonl:41: no_label")
    assert len(lines) == 5


def test_lines_of_json_end_where_json_says(tmp_path: Path) -> None:
    rows = [
        json.dumps({"text": text + "\u2028", "label": label}, ensure_ascii=False)
        for label, texts in (("billing", BILLING), ("complaint", TRAVEL))
        for text in texts
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("\r\n".join(rows), "utf-8")
    assert {row.label for row in team_rows(file, all_own=True).topic} == {"billing", "complaint"}


def test_what_a_message_is_about_is_said(encoder: TransformerEncoder, tmp_path: Path) -> None:
    rows = [Row(text, "billing", OWN) for text in BILLING] + [Row(text, "travel", OWN) for text in TRAVEL]
    report, tensors, card = _train("topic", encoder, None, 0, lambda _: None, rows)
    assert card["labels"] == ["billing", "travel"]
    assert report.figures[0].rows == 10

    def fill(folder: Path) -> None:
        for path in SHIPPED.iterdir():
            if path.name != MANIFEST and path.is_file():
                (folder / path.name).write_bytes(path.read_bytes())
        (folder / "topic.safetensors").write_bytes(tensors)
        (folder / "topic.json").write_text(json.dumps(card))

    write_folder_atomically(tmp_path / "heads", fill, {"encoder": encoder.id})
    understander = Understander(encoder, tmp_path / "heads")
    (about,) = understander.understand("you charged me two times").reasons[2:]
    assert about.startswith("is about billing")
    assert Understander(encoder).understand("you charged me two times").reasons[2:] == ()


def test_toml_and_csv_hold_the_same_rows(tmp_path: Path) -> None:
    listed = ",\n".join(json.dumps(text) for text in BILLING)
    toml = tmp_path / "intents.toml"
    toml.write_text(f"[intents]\nbilling = [{listed}]\ntravel = {json.dumps(list(TRAVEL))}\n", "utf-8")
    rows = [f"{text};{label}" for label, texts in (("billing", BILLING), ("travel", TRAVEL)) for text in texts]
    sheet = tmp_path / "intents.csv"
    sheet.write_text("\ufeffText;Label\n" + "\n".join([*rows, "a message nobody has labelled yet;"]), "utf-8")
    assert team_rows(toml) == team_rows(sheet)
    assert len(team_rows(sheet).topic) == 10


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_a_table_is_read_as_german_spreadsheets_write_it(tmp_path: Path, encoding: str) -> None:
    texts = {"Rückgabe": "Wie gebe ich das zurück", "Lieferung": "Wann kommt das Päckchen"}
    rows = [f"{text} {i}?;{label}" for label, text in texts.items() for i in range(5)]
    (tmp_path / "a.csv").write_text("\n".join(["Text;Label", *rows]), encoding)
    found = team_rows(tmp_path / "a.csv").topic
    assert {row.label for row in found} == set(texts)
    assert found[0].text == "Wie gebe ich das zurück 0?"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.toml", "billing = [", "bad_toml"),
        ("a.toml", "billing = 3", "billing: no_list"),
        ("a.toml", "billing = [3]", "billing 1: no_label"),
        ("a.csv", "one,two\n1,2\n", "no_columns"),
        ("a.csv", "", "no_columns"),
        ("a.csv", 'text,label\n"open,b', "bad_csv"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path: Path, name: str, content: str, problem: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataRefused, match=problem):
        team_rows(tmp_path / name)
