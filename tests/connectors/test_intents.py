"""`atelier finetune intent`: from a file of examples to a version that the running bot understands with."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.understanding import Understander
from connectors.cli import main
from connectors.compose import open_store
from connectors.intents import foreign
from connectors.privacy import withhold
from connectors.settings import load_settings
from finetune import few_shot
from finetune.branch import BranchRecipe
from finetune.few_shot_labels import Labels
from finetune.few_shot_messages import messages_in
from finetune.heads_data import Row, noise
from retrieval.encoder import TransformerEncoder
from retrieval.errors import DataRefused
from tests.agent.test_memory import make_turn
from tests.finetune.test_few_shot import INTENTS, MESSAGES

COPIED = INTENTS["printer"][0]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    quick = BranchRecipe(layers=1, epochs=2, rows=18, contrast=0.5)
    monkeypatch.setattr(few_shot, "RECIPE", quick)
    monkeypatch.setattr(few_shot, "FOLDS", 2)
    monkeypatch.setattr(few_shot, "noise", lambda: noise()[::5])
    tables = "".join(f"{label} = {json.dumps(texts)}\n" for label, texts in INTENTS.items())
    (tmp_path / "intents.toml").write_text(f"[intents]\n{tables}", "utf-8")
    (tmp_path / "messages.txt").write_text("\n".join([*MESSAGES, "/help"]), "utf-8")
    return tmp_path


def labelled_in_chat() -> None:
    """A message of somebody who agreed, one of somebody who did not, and one of an intent that the file lacks.

    Then two without labels: one that nobody copied, and one that stands in the file of examples.
    """
    store = open_store(load_settings(None))
    try:
        ann = store.memory.person("terminal:local:ann")
        store.memory.people.set_consent(ann.id, consent=True)
        store.memory.append(make_turn(ann, "is the Wisteria room printed on the bill"))
        store.memory.append(make_turn(store.memory.person("terminal:local:cleo"), f" {COPIED}\n"))
        for name, text, label in (
            ("ann", "Hedwig was charged too much", "billing"),
            ("bob", "Hedwig was charged twice", "billing"),
            ("ann", "where may Hedwig park", "parking"),
        ):
            person = store.memory.person(f"terminal:local:{name}")
            store.memory.people.set_consent(person.id, consent=True)
            store.memory.append(turn := make_turn(person, text))
            assert Labels(store.engine, "local").put(turn.id, label)
            store.memory.people.set_consent(person.id, consent=name == "ann")
    finally:
        store.close()


def test_intents_are_learned_kept_and_live(
    home: Path, encoder: TransformerEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled_in_chat()
    ordered = ["intents.toml", "--unlabelled", "messages.txt", "--from-chat", "--label-next", "next.csv"]
    assert main(["finetune", "intent", *ordered, "--promote"]) == 0
    said = capsys.readouterr().out
    assert "Messages that were labelled in chat are learned from too: 1." in said
    assert "no examples of were left out: parking." in said
    assert "whose words stay hidden: 1." in said
    assert "3 intents learned" in said
    assert "Wisteria" not in said  # a message without a label is labelled in the chat
    assert "/label there" in said
    assert "heads-1 is live" in said
    rows = (home / "next.csv").read_text("utf-8").splitlines()
    assert rows[0] == "text,label"
    assert {row.removesuffix(",") for row in rows[1:]} == set(MESSAGES)
    store = open_store(load_settings(None))
    try:
        live = store.registry.aliases("heads").live
        assert live is not None
        assert 0 <= live.scores["topic_accuracy"] <= 1
        understander = Understander(encoder, store.registry.fetch(live))
        card = (store.registry.fetch(live) / "topic.json").read_text()
        assert "Hedwig" not in card  # people's words are named to nobody
        assert COPIED not in card
        assert "vectors are kept in this folder" in json.loads(card)["privacy"]
        cleo = store.memory.person("terminal:local:cleo")
        assert live.learned_from.persons >= {cleo.id, store.memory.person("terminal:local:ann").id}
        withhold(cleo, store.memory, store.shelf, home / "home")
        assert store.registry.get(live.name).flagged
    finally:
        store.close()
    assert "is about billing" in understander.understand("my invoice is wrong").reasons[2]


def test_what_cannot_be_learned_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "own.csv").write_text("text,label\nwhere is it?,ask\n", "utf-8")
    assert main(["finetune", "intent", "own.csv"]) == 1
    assert "The label 'ask' has fewer than 5 rows." in capsys.readouterr().err
    assert main(["finetune", "intent", "nowhere.toml"]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_a_language_that_the_encoder_hardly_knows_is_said(encoder: TransformerEncoder) -> None:
    german = [
        "Wie viele Urlaubstage habe ich noch?",
        "Der Drucker druckt nur leere Seiten",
        "Werden Überstunden bezahlt?",
    ]
    assert "only in part" in foreign(german, encoder)
    assert foreign([text for texts in INTENTS.values() for text in texts], encoder) == ""


def test_messages_are_read_from_tables_and_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,by\nhello there,x\n/help,y\n", "utf-8")
    (tmp_path / "a.jsonl").write_text('{"text": "hello there"}\n\n', "utf-8")
    (tmp_path / "a.txt").write_text("hello there\n\nhello there\n", "utf-8")
    assert messages_in(tmp_path / "a.csv") == messages_in(tmp_path / "a.jsonl") == messages_in(tmp_path / "a.txt")
    (tmp_path / "c.csv").write_text("Von;Text\nx;Grüße, alle\n", "cp1252")
    assert messages_in(tmp_path / "c.csv") == ["Grüße, alle"]
    (tmp_path / "b.jsonl").write_text("{}\n", "utf-8")
    with pytest.raises(DataRefused, match="without a `text`"):
        messages_in(tmp_path / "b.jsonl")


def test_a_team_s_label_may_be_called_as_one_of_atelier_s(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = set()

    def heard(_: object, rows: Sequence[Row], *__: object, **___: object) -> None:
        labels.update(row.label for row in rows)
        raise DataRefused("enough seen")

    monkeypatch.setattr(few_shot, "learn", heard)
    named = {**INTENTS, "complaint": INTENTS["printer"]}
    del named["printer"]
    (home / "named.toml").write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in named.items()), "utf-8")
    assert main(["finetune", "intent", "named.toml"]) == 1
    assert labels == {"billing", "travel", "complaint"}
