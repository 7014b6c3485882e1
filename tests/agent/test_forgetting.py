"""Forgetting one person: their words go everywhere, whatever happens at the same moment, and nobody else's do."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, select

from agent.buttons import Buttons, Meaning
from agent.channels import ChannelRules
from agent.memory import Memory
from agent.message import (
    History,
    Line,
    Place,
    Reply,
    Source,
    Turn,
)
from retrieval.database import metadata, open_database, reading
from retrieval.errors import StoreError
from retrieval.passage import Passage
from retrieval.prepared import Prepared
from tests.agent.test_memory import HERE, count, make_turn

SECRET = "My daughter Hedwig starts school in Ravensburg."


def everything_stored(engine: Engine) -> str:
    """All that any column of any table holds."""
    with reading(engine) as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(select(table))]
    return "\n".join(str(value) for row in rows for value in row)


@contextmanager
def meanwhile(engine: Engine, statement: str, act: Callable[[], object]) -> Iterator[None]:
    """Another thread begins `act` right before the first such statement, which waits for it, but not for long."""
    begun: list[Future[object]] = []

    def begin(_connection: object, _cursor: object, sql: str, *_rest: object) -> None:
        if not begun and sql.startswith(statement):
            begun.append(others.submit(act))
            wait(begun, timeout=0.3)

    prepared = Prepared.run

    def run(self: Prepared, connection: Connection, values: Mapping[str, object]) -> list[Any]:
        begin(None, None, self._for(connection.dialect).text)
        return prepared(self, connection, values)

    with ThreadPoolExecutor(1) as others, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prepared, "run", run)  # these pass SQLAlchemy's own events by
        event.listen(engine, "before_cursor_execute", begin)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", begin)
    begun[0].result()


def test_forgetting_removes_one_person_everywhere_and_nobody_else(memory: Memory, engine: Engine) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    hers = make_turn(anna, SECRET, "How lovely for Hedwig!")
    memory.append(hers)
    history = History(
        f"User: {SECRET}\nUser: Bert likes maps.",
        (Line("user", SECRET), Line("assistant", "How lovely for Hedwig!"), Line("user", "Bert likes maps.")),
    )
    note = Passage(5, f"{SECRET} She is six.", "notes/anna", "", None, None, "t/everyone", 1.0)
    manual = Passage(6, "Maps are in the hall.", "manual.md", "", None, None, "t/everyone", 1.0)
    reply = Reply(
        f"Bert, “{SECRET}” [1] The maps are in the hall. [2]", (Source(1, "notes", 5), Source(2, "manual", 6))
    )
    his = make_turn(bert, "What did she say?", passages=(note, manual), history=history)
    his = replace(his, reply=reply)
    memory.append(his)
    memory.rate(hers.id, bert.id, 1, "sweet")
    memory.rate(his.id, anna.id, -1)

    forgotten = memory.forget(anna.id, sources=["notes/anna"])

    assert (forgotten.accounts, forgotten.turns, forgotten.ratings, forgotten.cleaned) == (1, 1, 2, 1)
    stored = everything_stored(engine)
    for word in ("Hedwig", "Ravensburg", "slack:T:anna", anna.id, "She is six"):
        assert word not in stored
    kept = memory.turn(his.id)
    assert kept is not None
    assert kept.message == his.message
    assert kept.history == History("User: Bert likes maps.", (Line("user", "Bert likes maps."),))
    assert kept.passages == (manual,)
    assert kept.reply.sources == (Source(2, "manual", 6),)
    assert "The maps are in the hall." in kept.reply.text


def test_buttons_about_the_forgotten_go_and_followed_threads_stay(memory: Memory, engine: Engine) -> None:
    anna, bert = memory.person("telegram:bot:77"), memory.person("telegram:bot:78")
    group, private = Place("telegram", "bot", "-100", "9"), Place("telegram", "bot", "77")
    hers, his = make_turn(anna, SECRET, place=group), make_turn(bert, "What is for lunch?", place=group)
    for turn in (hers, his, make_turn(anna, "Psst.", place=private)):
        memory.append(turn)
    made = Buttons(engine).make_many(
        [
            Meaning("rate", hers.id, group),
            Meaning("rate", f"{hers.id} good", group),
            Meaning("consent", f"{anna.id}:yes", group),
            Meaning("idea", f"More about this: {SECRET}", group),
            Meaning("next", "", private),
            Meaning("rate", his.id, group),
            Meaning("idea", "lunch", group),
        ],
        60,
    )
    rules = ChannelRules(engine)
    rules.follow(group)
    memory.forget(anna.id)
    assert [Buttons(engine).look_up(each) is not None for each in made] == [False] * 5 + [True] * 2
    assert rules.is_followed(group)
    stored = everything_stored(engine)
    for trace in ("Hedwig", hers.id, anna.id, "telegram:bot:77"):
        assert trace not in stored


def test_a_deleted_message_leaves_the_buttons_that_hold_its_words(memory: Memory, engine: Engine) -> None:
    anna, group = memory.person("slack:T:anna"), Place("slack", "T", "C1")
    hers = make_turn(anna, SECRET, "How lovely!", place=group)
    memory.append(hers)
    meanings = [Meaning("ask", f"More about this: {SECRET}", group), Meaning("ask", "lunch", group)]
    made = Buttons(engine).make_many(meanings, 60)
    assert memory.take_back(hers.id)
    assert [Buttons(engine).look_up(each) is not None for each in made] == [False, True]
    assert "Hedwig" not in everything_stored(engine)


def test_summaries_are_made_afresh_without_the_forgotten(memory: Memory, engine: Engine) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    memory.append(make_turn(anna, SECRET, "Noted."))
    for number in range(40):
        memory.append(make_turn(bert, f"The printer on floor {number} needs new paper today.", "I will tell them."))
        history = memory.history(HERE, 150, count)
    assert "Hedwig" in history.summary
    assert memory.forget(anna.id).summaries == 1
    assert "Hedwig" not in everything_stored(engine)
    again = memory.history(HERE, 150, count)
    assert again.summary.startswith("User: The printer on floor 0")
    assert count(again.summary) + sum(count(line.text) for line in again.lines) <= 150


def test_words_that_everybody_says_stay_with_the_others(memory: Memory) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    memory.append(make_turn(anna, "Thank you!"))
    memory.append(make_turn(bert, "Thank you!", "Thank you!"))
    forgotten = memory.forget(anna.id)
    (kept,) = memory.turns(HERE)
    assert (kept.message.text, kept.reply.text) == ("Thank you!", "Thank you!")
    assert forgotten.cleaned == forgotten.quoting == 0


def test_what_others_quote_stays_and_is_counted(memory: Memory) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    memory.append(make_turn(anna, SECRET))
    memory.append(make_turn(bert, f"> {SECRET}\nIs that far?"))
    assert memory.forget(anna.id).quoting == 1


def test_a_turn_begun_before_a_forgetting_does_not_bring_the_words_back(memory: Memory, engine: Engine) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    memory.append(make_turn(anna, SECRET))
    his = make_turn(bert, "And then?", history=memory.history(HERE, 100, count))
    hers = make_turn(anna, "One more thing.")
    memory.forget(anna.id)
    memory.append(his)
    with pytest.raises(StoreError, match="not known any more"):
        memory.append(hers)
    assert "Hedwig" not in everything_stored(engine)
    assert len(memory.turns(HERE)) == 1


def test_a_turn_that_is_being_kept_while_somebody_is_forgotten_loses_their_words(
    memory: Memory, engine: Engine
) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    memory.append(make_turn(anna, SECRET))
    his = make_turn(bert, "And then?", history=memory.history(HERE, 100, count))
    with meanwhile(engine, "INSERT INTO turns", lambda: memory.forget(anna.id)):  # which leaves the place empty
        memory.append(his)
    assert "Hedwig" not in everything_stored(engine)
    assert len(memory.turns(HERE)) == 1


def test_a_turn_that_begins_while_somebody_is_forgotten_loses_their_words(memory: Memory, engine: Engine) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    memory.append(make_turn(anna, SECRET))
    begun: list[Turn] = []

    def begin() -> None:
        turn = make_turn(bert, "And then?")
        begun.append(replace(turn, history=memory.history(HERE, 100, count)))

    with meanwhile(engine, "DELETE FROM persons", begin):
        memory.forget(anna.id)
    assert SECRET in begun[0].history.lines[0].text
    memory.append(begun[0])
    assert "Hedwig" not in everything_stored(engine)


def test_a_summary_that_is_being_made_while_somebody_is_forgotten_loses_their_words(
    memory: Memory, engine: Engine
) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    memory.append(make_turn(anna, SECRET))
    for number in range(20):
        memory.append(make_turn(bert, f"The printer on floor {number} needs new paper today.", "I will tell them."))
    with meanwhile(engine, "INSERT INTO summaries", lambda: memory.forget(anna.id)):
        memory.history(HERE, 150, count)
    assert "Hedwig" not in everything_stored(engine)


def test_a_turn_that_is_being_kept_while_its_place_is_cleared_is_kept(memory: Memory, engine: Engine) -> None:
    anna = memory.person("slack:T:anna")
    memory.append(make_turn(anna, "one"))
    with meanwhile(engine, "INSERT INTO turns", lambda: memory.clear(HERE)):
        memory.append(make_turn(anna, "two"))
    memory.append(make_turn(anna, "three"))
    assert memory.turns(HERE)[-1].message.text == "three"


def test_an_export_while_somebody_is_forgotten_is_whole(memory: Memory, engine: Engine) -> None:
    anna = memory.person("slack:T:anna")
    memory.append(make_turn(anna, SECRET))
    with meanwhile(engine, "SELECT feedback", lambda: memory.forget(anna.id)):
        held = memory.held(anna.id)
    assert held is not None
    assert [turn.message.text for turn in held.turns] == [SECRET]
    assert memory.held(anna.id) is None


def test_a_forgotten_person_can_come_back_as_a_new_one(memory: Memory) -> None:
    anna = memory.person("slack:T:anna")
    memory.forget(anna.id)
    again = memory.person("slack:T:anna")
    assert again.id != anna.id
    assert memory.held(anna.id) is None
    assert memory.forget(anna.id).turns == 0


def test_forgetting_leaves_no_bytes_in_the_sqlite_file(tmp_path) -> None:
    file = tmp_path / "store.db"
    engine = open_database(f"sqlite:///{file}")
    metadata.create_all(engine)
    memory = Memory(engine)
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    for number in range(40):
        memory.append(make_turn(anna, f"Zanzibar number {number}. " * 40, f"Zanzibar again {number}."))
        memory.append(make_turn(bert, f"weather {number}", history=memory.history(HERE, 400, count)))
    assert b"Zanzibar" in file.read_bytes()
    memory.forget(anna.id)
    assert b"Zanzibar" not in file.read_bytes()
    assert len(memory.turns(HERE, 500)) == 40
    engine.dispose()
