"""What a session holds of one person: they get a copy of it, and it is gone when they are forgotten."""

import json
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.buttons import Buttons
from agent.channels import ChannelRules, Rule
from agent.ideation.acts import Phase, RemarkKind, Spoken
from agent.ideation.persons import of
from agent.ideation.tables import events
from agent.message import Place
from agent.moving import move
from connectors.privacy import copy_of, forget
from retrieval.database import reading
from retrieval.shelf import Shelf
from tests.agent.ideation.rooms import SLACK, Room
from tests.agent.test_memory import everything_stored


def stored(engine: Engine) -> str:
    with reading(engine) as connection:
        return json.dumps([row.body for row in connection.execute(sa.select(events))])


def test_a_forgotten_person_leaves_no_word_and_no_vote_and_the_session_goes_on(
    room: Room, engine: Engine, tmp_path: Path
) -> None:
    session = room.open("a welcome that nobody forgets so soon")
    secret = "Grandmother Agatha's ginger cookies at the desk"
    hers = room.add(session, "eve", secret)
    tea = room.add(session, "bob", "Tea with the founder")
    merged = room.sessions.merge(session, room.person("ann"), [hers, tea], key=room.key()).idea
    assert merged is not None
    assert merged.text == secret
    room.move(session, Phase.DISCUSS)
    room.sessions.remark(
        session, room.person("eve"), merged.id, RemarkKind.GOOD, "Agatha would love it", key=room.key()
    )
    room.move(session, Phase.VOTE)
    room.sessions.outcome.dot(session, room.person("eve"), merged.id, 2, key=room.key())
    room.sessions.outcome.dot(session, room.person("bob"), merged.id, 1, key=room.key())
    eve = room.person("eve")
    copied = copy_of(eve, room.memory, tmp_path)["sessions"]
    assert secret in [each["words"] for each in copied]
    assert "Dotted" in [each["what"] for each in copied]

    report = forget(eve, room.memory, Shelf(engine, tmp_path / "index"), tmp_path, waiting=0)
    assert report.left == ()
    assert report.forgotten.ideas == 3
    assert any("votes in sessions" in each for each in report.sentences)
    assert "Agatha" not in stored(engine)
    assert eve.id not in stored(engine)
    assert of(engine, eve.id) == ()
    board = room.sessions.board(session)  # the room had this board in memory before
    assert [(each.text, each.authors) for each in board.open] == [("[removed]", (room.person("bob").id,))]
    assert [each.value for each in board.votes] == [1]
    assert board.remarks == ()


def test_a_session_of_one_person_goes_with_them_and_one_of_several_stays_open(
    room: Room, engine: Engine, tmp_path: Path
) -> None:
    session = room.open("ann's own wish for a shorter day")
    room.add(session, "bob", "Start later")
    ann = room.person("ann")
    forget(ann, room.memory, Shelf(engine, tmp_path / "index"), tmp_path, waiting=0)
    board = room.sessions.board(session)
    assert (board.session.topic, board.session.facilitator) == ("[removed]", "")
    assert room.sessions.course.move(session, room.person("bob"), key=room.key()).is_new  # anyone may, now
    bob = room.person("bob")
    forget(bob, room.memory, Shelf(engine, tmp_path / "index"), tmp_path, waiting=0)
    assert room.sessions.at(SLACK) is None
    assert stored(engine) == "[]"


def test_a_session_is_held_no_more_in_the_private_chat_of_who_was_forgotten(
    room: Room, engine: Engine, tmp_path: Path
) -> None:
    chats = [Place("telegram", "acme", "4077001"), Place("slack", "acme", "D9X")]
    people = [room.memory.person("telegram:acme:4077001"), room.person("dee")]
    shelf = Shelf(engine, tmp_path / "index")
    session = room.open()
    room.add(session, "bob", "Tea")
    for chat, person in zip(chats, people, strict=True):
        room.sessions.join_place(room.sessions.board(session).session.code, chat, person, key=room.key())
        ChannelRules(engine).set_rule(chat, Rule.ALWAYS)
        Buttons(engine).make("ideation-note", "7", chat, 60)
        alone = room.sessions.open(replace(chat, thread="9"), person, "mine", key=room.key()).board.session.id
        room.add(alone, "bob", "Cake")
        assert forget(person, room.memory, shelf, tmp_path, waiting=0).left == ()
        assert "4077001" not in everything_stored(engine)
        assert room.sessions.at(chat) is None
        assert room.sessions.board(session).session.places == (SLACK,)
        board = room.sessions.board(alone)
        assert (board.session.places, board.session.phase, board.open[0].text) == ((), Phase.CLOSED, "Cake")
    assert "D9X" not in stored(engine)
    room.add(session, "bob", "Coffee")


def test_what_names_an_account_is_found_after_forgetting(room: Room, engine: Engine, tmp_path: Path) -> None:
    person = room.memory.person("telegram:acme:4077001")
    for number, name in enumerate(("4077001", "40770012")):  # somebody else's begins like it
        Buttons(engine).make("note", "", Place("telegram", "other", name), 60, key=f"{number}")
    report = forget(person, room.memory, Shelf(engine, tmp_path / "index"), tmp_path, waiting=0)
    assert report.left == ("buttons.channel",)
    assert "still in: Atelier's own bookkeeping." in " ".join(report.sentences)


def test_a_channel_that_moves_takes_its_session_along(room: Room, engine: Engine) -> None:
    session = room.open()
    room.add(session, "bob", "Tea")
    new = replace(SLACK, channel="C2")
    move(engine, replace(SLACK, thread=""), replace(new, thread=""))
    found = room.sessions.at(new)
    assert found is not None
    assert (found.session.id, found.session.places) == (session, (new,))
    assert room.sessions.at(SLACK) is None


def test_what_was_only_said_is_kept_while_the_session_runs_and_is_its_authors(room: Room, engine: Engine) -> None:
    session, eve, bob = room.open("a warmer welcome"), room.person("eve"), room.person("bob")
    for who, number, text in ((eve, "1", "Agatha bakes on Thursdays"), (bob, "2", "ok"), (eve, "3", "ok")):
        said = Spoken(number, SLACK, f"slack:acme:{number}", text)
        room.sessions.hear(session, who, said, key=f"said/{number}")
    idea = room.add(session, "bob", "ok")
    ledger = room.sessions.ledger
    ledger.retell("acme", "said/1", "Agatha bakes on Fridays")
    assert ledger.spoken(session, "said/1") == Spoken("1", SLACK, "slack:acme:1", "Agatha bakes on Fridays")
    ledger.retell("acme", "said/1", "")
    assert ledger.spoken(session, "said/1") is None
    assert "Agatha" not in stored(engine)
    room.memory.forget(eve.id, ())
    assert ledger.spoken(session, "said/3") is None
    board = room.sessions.board(session)
    assert [each.text for each in board.ideas if each.id == idea] == ["ok"]  # "ok" is anybody's word
    room.move(session, Phase.CLOSED)
    assert ledger.spoken(session, "said/2") is None


def test_the_sharper_versions_of_a_forgotten_persons_question_go_with_it(
    room: Room, engine: Engine, tmp_path: Path
) -> None:
    session = room.open("how might we hide the walrus?")
    version = "What stands in the way when we try to hide the walrus, and how might we take it away?"
    room.sessions.course.reframe(session, [version], key=room.key())
    room.add(session, "bob", "Under a blanket")
    forget(room.person("ann"), room.memory, Shelf(engine, tmp_path / "index"), tmp_path, waiting=0)
    assert "walrus" not in stored(engine)
    assert "Under a blanket" in stored(engine)
