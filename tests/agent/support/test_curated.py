"""Answers that the team has approved: given word for word to whom they are for, and to nobody else, until withdrawn."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from agent.colleague import Colleague
from agent.generation.extractive import ExtractiveGenerator
from agent.memory import Memory
from agent.memory_tables import persons
from agent.message import Move, Place
from agent.settled import APPROVED, CURATED
from agent.support.curated import Curated, State
from agent.support.persons import withhold
from agent.support.proposals import Thread, take_back
from agent.support.tables import curated as table
from agent.understanding import Understander
from agent.why import why
from connectors.privacy import copy_of
from retrieval.database import reading, writing
from retrieval.encoder import TransformerEncoder
from retrieval.errors import MessageRefused, SettingsError
from retrieval.knowledge import KnowledgeBase
from retrieval.passage import Vectors
from tests.agent.test_colleague import MANNER, message, turn_of
from tests.agent.test_memory import everything_stored

EVERYONE, HR = frozenset({"acme/everyone"}), frozenset({"acme/everyone", "acme/hr"})
PARCEL = "Where can I pick up my parcel?"
DESK = "At the front desk, see https://desk.example/parcels, until 18:00."
only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def curated(engine: Engine, encoder: TransformerEncoder) -> Curated:
    return Curated(engine, encoder)


def found(curated: Curated, encoder: TransformerEncoder, text: str, held: frozenset[str] = EVERYONE) -> str:
    match = curated.match(text, encoder([text])[0], "acme", held)
    return match.answer if match else ""


def test_only_what_is_approved_answers_and_each_event_is_one_entry(curated: Curated, encoder) -> None:
    first = curated.propose("m1", "acme", PARCEL, DESK, "porter", "everyone")
    assert curated.propose("m1", "acme", "Something else?", "No.", "", "everyone") == first
    assert found(curated, encoder, PARCEL) == ""
    done = curated.approve(first.id, "", "At the front desk.")
    assert done is not None
    assert done.state is State.APPROVED
    assert found(curated, encoder, "where can I pick up my parcel") == "At the front desk."
    assert found(curated, encoder, "Where do I get my parcel?") == "At the front desk."
    assert found(curated, encoder, "How do I send a parcel abroad?") == ""
    assert found(curated, encoder, "How many days of leave do I have?") == ""
    curated.withdraw(first.id, "")
    assert found(curated, encoder, PARCEL) == ""
    assert [each.state for each in curated.listing("acme")] == [State.WITHDRAWN]
    assert curated.listing("other") == curated.listing("acme", State.APPROVED) == []
    assert curated.approve(99, "") is None


def test_a_change_beside_a_clock_that_was_set_back_is_seen(curated: Curated, engine: Engine, encoder) -> None:
    entry = curated.put("m1", "acme", PARCEL, "At the front desk.", "", "everyone")
    with writing(engine) as connection:
        connection.execute(table.update().values(changed=datetime(2999, 1, 1, tzinfo=UTC)))
    assert found(curated, encoder, PARCEL) == "At the front desk."
    curated.approve(entry.id, "", "In the cellar.")
    assert found(curated, encoder, PARCEL) == "In the cellar."


def test_an_answer_is_for_its_readers_alone(curated: Curated, encoder) -> None:
    curated.put("m1", "acme", "What is the bonus?", "Three salaries.", "", "hr")
    curated.put("m2", "other", "What is the bonus?", "Nothing.", "", "everyone")
    assert found(curated, encoder, "What is the bonus?") == ""
    assert found(curated, encoder, "What is the bonus?", HR) == "Three salaries."
    with pytest.raises(SettingsError):
        curated.put("m3", "acme", "What?", "That.", "", "other/everyone")
    with pytest.raises(MessageRefused):
        curated.put("m3", "acme", " ", "That.", "", "everyone")


def test_an_answer_is_given_to_nobody_of_another_tenant(curated: Curated) -> None:
    entry = curated.put("m1", "acme", PARCEL, DESK, "", "hr")
    for change in (lambda: curated.give(entry.id, "other/hr"), lambda: curated.approve(entry.id, "", audience="b/c")):
        with pytest.raises(SettingsError, match="belongs to another tenant than 'acme'"):
            change()
    assert curated.get(entry.id) == entry
    assert curated.give(99, "acme/hr") is None


@only_sqlite
def test_what_is_known_is_found_and_what_is_approved_is_not_encoded_again(engine: Engine, encoder) -> None:
    asked: list[str] = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(encoder, name)

        def __call__(self, texts: Sequence[str]) -> Vectors:
            asked.extend(texts)
            return encoder(texts)

    curated = Curated(engine, Counting())
    curated.put("m1", "acme", f"{PARCEL}\n Has my package come? ", DESK, "", "everyone")
    curated.propose("m2", "acme", "How do I book a room?", "At the desk.", "", "everyone")
    curated.warm("acme")
    asked.clear()
    questions = ["Where do I get my parcel?", "How do I book a room?", "How many days of leave do I have?"]
    assert curated.known(questions, "acme") == [True, True, False]
    assert asked == ["How do I book a room?", questions[0], questions[2]]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_consent_that_is_taken_back_meanwhile_counts(engine: Engine, curated: Curated) -> None:
    memory = Memory(engine)
    ann = memory.person("terminal:acme:ann")
    memory.people.set_consent(ann.id, consent=True)
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with ThreadPoolExecutor(1) as beside:
        with writing(engine) as connection:
            connection.execute(persons.update().where(persons.c.id == ann.id).values(consent=False))
            put = beside.submit(curated.propose, "m1", "acme", PARCEL, DESK, "", "everyone", asked_by=ann.id)
            with reading(engine) as another:
                while not put.done() and not another.execute(waiting).scalar_one():
                    pass
        with pytest.raises(MessageRefused, match="not agreed"):
            put.result()
    assert curated.listing("acme") == []


@only_sqlite
def test_what_another_process_changed_counts_at_the_next_question(engine: Engine, curated: Curated, encoder) -> None:
    assert found(curated, encoder, PARCEL) == ""
    other = Curated(engine)
    entry = other.put("m1", "acme", f"{PARCEL}\nHas my package come?", "It is {year}, {who}.", "", "everyone")
    answer = found(curated, encoder, "Has my package come?")
    assert answer.startswith("It is 2")
    assert answer.endswith(", {who}.")
    other.withdraw(entry.id, "")
    assert found(curated, encoder, PARCEL) == ""


def test_who_is_forgotten_leaves_no_proposal_and_no_name(engine: Engine, curated: Curated, tmp_path: Path) -> None:
    memory = Memory(engine)
    ann, bob = (memory.person(f"terminal:acme:{name}") for name in ("ann", "bob"))
    with pytest.raises(MessageRefused, match="not agreed"):
        curated.propose("m0", "acme", "May my daughter Hedwig visit?", "Yes.", "", "everyone", asked_by=ann.id)
    memory.people.set_consent(ann.id, consent=True)
    asked = curated.propose("m1", "acme", "May my daughter Hedwig visit?", "Yes.", "", "everyone", asked_by=ann.id)
    curated.approve(asked.id, bob.id)
    curated.propose("m2", "acme", "May Hedwig sing?", "No.", "", "everyone", ann.id)
    put = curated.put("m3", "acme", "May guests park?", "Yes.", "", "everyone", ann.id)
    reworded = curated.propose("m4", "acme", "May Hedwig park?", "Yes.", "", "everyone", bob.id, asked_by=ann.id)
    curated.approve(reworded.id, bob.id, question="May children park?")
    settled = Thread(True, Place("slack", "acme", "C1"), "1.1", "1.2")
    told = curated.propose(settled.origin, "acme", "Where is the key?", "Hedwig has it.", "", "everyone", ann.id)
    curated.approve(told.id, bob.id)
    assert len(copy_of(ann, memory, tmp_path)["curated"]) == 4
    memory.forget(ann.id)
    left = curated.listing("acme")
    assert [(each.id, each.decided_by) for each in left] == [(put.id, ""), (reworded.id, bob.id)]
    assert ann.id not in everything_stored(engine)
    assert "Hedwig" not in everything_stored(engine)


def test_who_takes_consent_back_leaves_no_answer_to_a_question_in_their_words(engine: Engine, curated: Curated) -> None:
    memory = Memory(engine)
    ann = memory.person("terminal:acme:ann")
    memory.people.set_consent(ann.id, consent=True)
    for origin in ("case-1", "case-2"):
        curated.propose(origin, "acme", "May my daughter Hedwig visit?", "Yes.", "", "everyone", asked_by=ann.id)
    curated.approve(curated.listing("acme")[0].id, "")
    reworded = curated.propose("case-3", "acme", "May Hedwig park?", "Yes.", "", "everyone", asked_by=ann.id)
    curated.approve(reworded.id, "", question="May children park?")
    place = Place("slack", "acme", "C1")
    for answered, words in (("1.2", None), ("1.3", "The porter has it.")):
        told = curated.propose(
            Thread(True, place, "1.1", answered).origin, "acme", "The key?", "I do.", "", "x", ann.id
        )
        curated.approve(told.id, "", words)
    assert withhold(engine, ann.id) == 3
    assert [each.answer for each in curated.listing("acme")] == ["Yes.", "The porter has it."]


def test_a_message_of_a_thread_that_is_deleted_takes_what_stands_in_its_words_along(
    engine: Engine, curated: Curated
) -> None:
    memory, place = Memory(engine), Place("slack", "acme", "C1")
    ann, bob = (memory.person(f"slack:acme:{name}").id for name in ("ann", "bob"))
    for each in (ann, bob):
        memory.people.set_consent(each, consent=True)
    for number in ("1", "2"):
        origin = Thread(False, place, f"{number}.1", f"{number}.2").origin
        made = curated.propose(origin, "acme", "Where is the key?", "Bob has it.", "", "x", bob, asked_by=ann)
        curated.approve(made.id, bob, "It is at the door." if number == "2" else None)
    assert take_back(engine, "acme", "slack/acme/x", Place("slack", "acme", "C2"), "1.2") == 0
    assert take_back(engine, "acme", "slack/acme/x", place, "2.2") == 0  # it stands in others' words
    assert take_back(engine, "acme", "slack/acme/x", place, "1.2") == 1
    assert take_back(engine, "acme", "slack/acme/x", place, "2.1") == 1


@pytest.fixture
def knowledge(engine: Engine, encoder: TransformerEncoder, tmp_path: Path) -> Iterator[KnowledgeBase]:
    base = KnowledgeBase(engine, tmp_path / "index", encoder)
    yield base
    base.close()


@only_sqlite
async def test_it_wins_over_everything_word_for_word_and_says_who_approved_it(
    engine: Engine, knowledge: KnowledgeBase, curated: Curated, encoder
) -> None:
    curated.put("m1", "acme", PARCEL, DESK, "porter's notes", "everyone")
    generator = ExtractiveGenerator(encoder)
    memory = Memory(engine)
    talk = Colleague(knowledge, Understander(encoder), generator, memory, encoder.count_tokens, MANNER, curated=curated)
    shown, turn = await turn_of(talk, message(engine, "Where can I pick up my parcel?"))
    assert shown == f"{DESK} [1]"
    assert (turn.reply.generator, turn.decision.move, turn.decision.reason) == (CURATED, Move.ANSWER, APPROVED)
    assert [source.label for source in turn.reply.sources] == [f"porter's notes: {PARCEL}"]
    assert APPROVED in why(memory.turns(turn.message.place)[-1])
    _, ideas = await turn_of(talk, message(engine, "Where can I pick up my parcel?"), Move.IDEATE)
    assert ideas.decision.move is Move.IDEATE


@only_sqlite
async def test_asked_who_says_so_its_words_are_quoted_again_but_not_once_they_were_changed(
    engine: Engine, knowledge: KnowledgeBase, curated: Curated, encoder
) -> None:
    entry = curated.put("m1", "acme", PARCEL, "At the front desk.", "", "everyone")
    understander, generator = Understander(encoder), ExtractiveGenerator(encoder)
    talk = Colleague(knowledge, understander, generator, Memory(engine), encoder.count_tokens, MANNER, curated=curated)
    await turn_of(talk, message(engine, PARCEL))
    assert "At the front desk." in (await turn_of(talk, message(engine, "who says so?")))[0]
    curated.approve(entry.id, "", "At the back door.")
    shown, turn = await turn_of(talk, message(engine, "who says so?"))
    assert "cannot be read any more" in shown
    assert "front desk" not in shown
    assert not turn.reply.sources
