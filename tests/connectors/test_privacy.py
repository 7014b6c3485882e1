"""Forgetting reaches every room and says so, a check looks afterwards, and everybody can have a copy of their data."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from agent.buttons import Buttons, Meaning
from agent.erasure import Forgotten
from agent.memory import Memory
from agent.message import History, Reply
from connectors.connector import Received
from connectors.delivery.queue import accept
from connectors.privacy import ForgetReport, copy_of, forget, phrases_of, write_copy
from connectors.privacy_left import _text_columns
from connectors.privacy_waiting import drop_waiting
from connectors.slack import receive
from connectors.slack.workspaces import Workspace
from connectors.terminal_unanswered import Unanswered
from retrieval.audience import everyone
from retrieval.database import writing
from retrieval.document import Document, Section
from retrieval.encoder import TransformerEncoder
from retrieval.errors import StoreError
from retrieval.knowledge import KnowledgeBase
from retrieval.shelf import Shelf
from tests.agent.test_memory import HERE, count, everything_stored, make_turn

SECRET = "My daughter Hedwig starts school in Ravensburg next autumn."
EVERYONE = everyone("local")


@pytest.fixture
def knowledge(engine: Engine, home: Path, encoder: TransformerEncoder) -> Iterator[KnowledgeBase]:
    opened = KnowledgeBase(engine, home / "index", encoder)
    yield opened
    opened.close()


def add(knowledge: KnowledgeBase, source: str, text: str, author: str | None = None) -> None:
    document = Document(source, (Section(text),))
    digest = hashlib.sha256(text.encode()).hexdigest()
    knowledge.add(source, document, content_hash=digest, audience=EVERYONE, author=author)


def test_forgetting_reaches_every_room_and_nobody_else(memory: Memory, knowledge: KnowledgeBase, home: Path) -> None:
    anna, bert = memory.person("terminal:local:anna", {EVERYONE}), memory.person("terminal:local:bert", {EVERYONE})
    add(knowledge, "notes/anna", f"{SECRET} She likes the number seven.", author=anna.id)
    add(knowledge, "school.md", "School begins in September. The bus leaves at seven.")
    knowledge.search(SECRET, anna.audiences)
    knowledge.save()
    for number in range(20):
        memory.append(make_turn(anna, f"{SECRET} Number {number}!", f"Hedwig will like it, number {number}."))
        memory.append(make_turn(bert, f"When is lunch on day {number}?", history=memory.history(HERE, 150, count)))
    found = knowledge.search("Where does Hedwig go to school?", bert.audiences)
    quoting = make_turn(bert, "Who goes to school?", f"“{SECRET}” [1]", passages=tuple(found))
    memory.append(quoting)
    memory.rate(quoting.id, anna.id, 1, "Hedwig says thanks")

    report = forget(anna, memory, knowledge.shelf, home)

    assert report.left == ()
    assert report.documents == ("notes/anna",)
    assert report.forgotten.turns == 20
    assert "Hedwig" not in everything_stored(memory.engine)
    for path in [path for path in home.rglob("*") if path.is_file()]:
        assert b"Hedwig" not in path.read_bytes(), path
        assert b"Ravensburg" not in path.read_bytes(), path
    assert {passage.source for passage in knowledge.search(SECRET, bert.audiences)} == {"school.md"}
    assert len(memory.turns(HERE, 100)) == 21
    text = "\n".join(report.sentences)
    for words in ("20 of your messages", "made from your words", "Checked", "backups"):
        assert words in text


def test_what_is_left_is_found_and_said(memory: Memory, knowledge: KnowledgeBase, home: Path) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    memory.append(make_turn(anna, SECRET))
    memory.append(make_turn(bert, "And?", f"She said that {SECRET[3:50]} and more"))
    (home / "notes.txt").write_text(f"copied by hand: {SECRET}")
    report = forget(anna, memory, knowledge.shelf, home)
    assert report.left == (str(home / "notes.txt"),)
    assert "still in" in "\n".join(report.sentences)


def test_where_words_are_left_is_said_in_words() -> None:
    """Whatever table it is: nobody is shown its name."""
    left = [f"{column.table.name}.{column.name}" for column in _text_columns()]
    report = ForgetReport(Forgotten(), (), 3, (*left, "/home/ann/notes.txt"), postgresql=False)
    for language in ("en", "de"):
        told = "\n".join(report.said(language))
        assert "/home/ann/notes.txt" in told
        assert not any(each in told for each in left)
        assert "_" not in told
    assert (
        "still in: sessions of thinking together."
        in ForgetReport(
            Forgotten(), (), 3, ("ideation_events.body", "ideation_sessions.code"), postgresql=False
        ).sentences[1]
    )


def test_words_that_others_wrote_too_are_not_called_left(memory: Memory, knowledge: KnowledgeBase, home: Path) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    add(knowledge, "faq.md", "How do I install Atelier on a new computer?")
    for person in (anna, bert):
        memory.append(make_turn(person, "How do I install Atelier on a new computer?"))
    report = forget(anna, memory, knowledge.shelf, home)
    assert report.left == ()
    assert report.forgotten.quoting == 1


def test_forgetting_again_finds_nothing(memory: Memory, knowledge: KnowledgeBase, home: Path) -> None:
    anna = memory.person("terminal:local:anna")
    memory.append(make_turn(anna, SECRET))
    forget(anna, memory, knowledge.shelf, home)
    again = forget(anna, memory, knowledge.shelf, home)
    assert again.sentences[0] == "Nothing about you was stored."


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_check_sees_the_freed_space_of_a_file(
    memory: Memory, knowledge: KnowledgeBase, home: Path, engine: Engine
) -> None:
    anna = memory.person("slack:T:anna")
    memory.append(make_turn(anna, SECRET))
    with writing(engine) as connection:  # a deletion that does not overwrite, as other tools do it
        connection.exec_driver_sql("PRAGMA secure_delete = OFF")
        connection.exec_driver_sql("CREATE TABLE notes (text)")
        connection.exec_driver_sql("INSERT INTO notes VALUES (?)", (SECRET,))
        connection.exec_driver_sql("DELETE FROM notes")
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
    assert any("freed space" in place for place in forget(anna, memory, knowledge.shelf, home).left)


def test_a_copy_holds_everything_about_one_person(memory: Memory, knowledge: KnowledgeBase, home: Path) -> None:
    anna, bert = memory.person("terminal:local:änna"), memory.person("terminal:local:bert")
    add(knowledge, "notes/anna", SECRET, author=anna.id)
    turn = make_turn(anna, SECRET, history=History("User: before"))
    turn = replace(turn, reply=Reply("How lovely!", (), "extractive", "a notice"))
    memory.append(turn)
    memory.append(make_turn(bert, "Bert's own words"))
    memory.rate(turn.id, anna.id, -1, "too short")
    terminals = [Unanswered(home, person.accounts[0]) for person in (anna, bert)]
    for terminal, line in zip(terminals, ("Where is tea?", "Bert's own line"), strict=True):
        terminal.keep("m1", line)

    copy = write_copy(anna, memory, home, home / "out/copy.json")

    assert json.loads((home / "out/copy.json").read_text("utf-8")) == copy == copy_of(anna, memory, home)
    assert (home / "out/copy.json").stat().st_mode & 0o077 == 0
    assert copy["accounts"] == ["terminal:local:änna"]
    assert [(each["message"], each["reply"], each["notice"]) for each in copy["turns"]] == [
        (SECRET, "How lovely!", "a notice")
    ]
    assert [(each["rating"], each["comment"]) for each in copy["ratings"]] == [(-1, "too short")]
    assert [(each["source"], each["passages"]) for each in copy["documents"]] == [("notes/anna", [SECRET])]
    assert copy["unanswered"] == ["Where is tea?"]
    assert "Bert" not in json.dumps(copy)
    for terminal in terminals:
        terminal.close()


def test_a_copy_tells_what_was_asked_and_made_for_buttons_and_links(memory: Memory, engine: Engine, home: Path) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    before = copy_of(anna, memory, home)
    assert (before["consent_asked"], before["link_code"], before["buttons"]) == (None, None, [])
    hers, his = make_turn(anna, "mine"), make_turn(bert, "his")
    memory.append(hers)
    memory.append(his)
    Buttons(engine).make_many([Meaning("rate", f"{turn.id} good", HERE) for turn in (hers, his)], 60)
    memory.people.mark_consent_asked(anna.id)
    code = memory.people.link_code(anna.id)
    memory.people.link(code, "telegram:bot:1")
    copy = copy_of(anna, memory, home)
    assert copy["buttons"] == [{"kind": "rate", "value": f"{hers.id} good", "place": HERE.key}]
    assert datetime.now(UTC) - datetime.fromisoformat(copy["consent_asked"] or "") < timedelta(minutes=1)
    assert copy["link_code"] is not None
    assert copy["link_code"]["used"]
    assert timedelta() < datetime.fromisoformat(copy["link_code"]["expires"]) - datetime.now(UTC) < timedelta(hours=1)
    assert code not in json.dumps(copy)


def test_a_copy_holds_what_waits_to_be_answered(memory: Memory, engine: Engine, home: Path) -> None:
    anna = memory.person("slack:T:anna")

    def received(user: str, text: str) -> Received:
        event = {
            "type": "message",
            "channel_type": "im",
            "channel": f"D{user}",
            "user": user,
            "ts": "1.2",
            "text": text,
        }
        body = {"type": "event_callback", "team_id": "T", "event_id": f"Ev{user}", "event": event}
        made = receive.received(body, Workspace("T", "T", "UBOT", ""))
        assert made is not None
        return made

    with writing(engine) as connection:
        accept(connection, "slack", [received("anna", "Where is tea?"), received("bert", "His own words")], 10)
        accept(connection, "slack", [Received("T", "due:1", "due/1", '{"due": {}}')], 10)
    copy = copy_of(anna, memory, home)
    assert [each["words"] for each in copy["waiting"]] == ["Where is tea?"]
    assert datetime.now(UTC) - datetime.fromisoformat(copy["waiting"][0]["received"]) < timedelta(minutes=1)
    assert "His own" not in json.dumps(copy)
    assert drop_waiting(engine, anna) == 1
    assert copy_of(anna, memory, home)["waiting"] == []


def test_forgetting_leaves_no_trace_of_linked_accounts(memory: Memory, engine: Engine, home: Path) -> None:
    anna, phone = memory.person("slack:T:anna"), memory.person("telegram:bot:1")
    for person in (anna, phone):
        turn = make_turn(person, f"{SECRET} {person.id}")
        memory.append(turn)
        Buttons(engine).make("rate", turn.id, HERE, 60)
    linked = memory.people.link(memory.people.link_code(anna.id), "telegram:bot:1")
    report = forget(linked, memory, Shelf(engine, home / "index"), home)
    assert (report.forgotten.turns, report.forgotten.accounts, report.left) == (2, 2, ())
    stored = everything_stored(engine)
    for trace in ("Hedwig", anna.id, phone.id, "slack:T:anna", "telegram:bot:1"):
        assert trace not in stored


def test_a_copy_of_nobody_and_a_copy_to_nowhere(memory: Memory, home: Path) -> None:
    anna = memory.person("slack:T:anna")
    (home / "file").write_text("")
    with pytest.raises(StoreError, match="could not be written"):
        write_copy(anna, memory, home, home / "file/copy.json")
    memory.forget(anna.id)
    with pytest.raises(StoreError, match="Nothing is stored"):
        copy_of(anna, memory, home)


def test_phrases_are_what_the_store_would_hold_unescaped() -> None:
    text = 'She said "no" and then\nwent to the lake of Constance by bicycle, all alone and cheerful'
    assert phrases_of([text, "ok", "Thank you!"]) == ["went to the lake of Constance by bicycle, all al"]
