"""Memory keeps whole turns through restarts, remembers within a budget, and forgets one person completely."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, inspect, select

from agent.memory import Memory, new_turn_id
from agent.memory_tables import storable
from agent.message import (
    Decision,
    History,
    Intent,
    Line,
    Message,
    Move,
    Person,
    Place,
    Reply,
    Sentiment,
    Source,
    Turn,
    Understanding,
)
from retrieval.database import metadata, open_database, reading
from retrieval.errors import StoreError
from retrieval.passage import Passage

HERE = Place("terminal", "local", "chat")
ONCE = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def count(text: str) -> int:
    return len(text.split())


def make_turn(author: Person, text: str, reply: str = "Understood.", place: Place = HERE, **changes: object) -> Turn:
    understanding = Understanding(np.zeros(4, np.float32), Intent.ASK, 0.9, Sentiment.NEUTRAL, 0.8, ("it asks",))
    message = Message("m1", place, author, text, datetime.now(UTC), frozenset({"local/everyone"}))
    turn = Turn(
        new_turn_id(), "You help.", History(), message, understanding, Decision(Move.ANSWER, "asked"), (), Reply(reply)
    )
    return replace(turn, **changes)


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

    with ThreadPoolExecutor(1) as others:
        event.listen(engine, "before_cursor_execute", begin)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", begin)
    begun[0].result()


@pytest.fixture
def memory(engine: Engine) -> Memory:
    return Memory(engine)


# What can be stored: no NUL, no lone surrogate (tested below).
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
chance = st.floats(0, 1)
lines = st.builds(Line, st.sampled_from(["user", "assistant"]), texts)
passages = st.builds(
    Passage,
    st.integers(0, 2**62), texts, texts, texts, st.none() | st.integers(1, 9), st.none() | st.integers(1, 9), texts,
    chance, st.none() | st.floats(-1, 1),
)  # fmt: skip
replies = st.builds(Reply, texts, st.lists(st.builds(Source, st.integers(1, 9), texts, st.integers(0, 9))).map(tuple))
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
moments = st.datetimes(datetime(1000, 1, 1), datetime(3000, 1, 1), timezones=zones)  # noqa: DTZ001 - it takes naive bounds


@ONCE
@given(data=st.data())
def test_a_turn_comes_back_as_it_went_in(memory: Memory, data: st.DataObject) -> None:
    author = memory.person("terminal:local:anna", data.draw(st.frozensets(texts)))
    place = data.draw(st.builds(Place, texts, texts, texts, texts))
    readers = data.draw(st.frozensets(texts))
    message = Message(data.draw(texts), place, author, data.draw(texts), data.draw(moments), readers)
    turn = Turn(
        id=new_turn_id(),
        persona=data.draw(texts),
        history=History(data.draw(texts), tuple(data.draw(st.lists(lines)))),
        message=message,
        understanding=Understanding(
            np.ones(3, np.float32), data.draw(st.sampled_from(Intent)), data.draw(chance),
            data.draw(st.sampled_from(Sentiment)), data.draw(chance), tuple(data.draw(st.lists(texts))),
        ),
        decision=Decision(data.draw(st.sampled_from(Move)), data.draw(texts)),
        passages=tuple(data.draw(st.lists(passages))),
        reply=replace(data.draw(replies), generator=data.draw(texts), notice=data.draw(texts)),
        adapter=data.draw(st.none() | texts),
    )  # fmt: skip
    memory.append(turn)
    assert memory.turn(turn.id) == turn
    assert memory.turns(place)[-1] == turn


def test_numpy_numbers_and_unstorable_characters_do_not_break_a_turn(memory: Memory) -> None:
    author = memory.person("terminal:local:anna")
    passage = Passage(7, "A\0B", "a.md", "", None, None, "local/everyone", np.float32(0.5), np.float32(0.25))
    turn = make_turn(author, "NUL \0 and a half \ud83d emoji", passages=(passage,))
    turn = replace(turn, understanding=replace(turn.understanding, confidence=np.float32(0.5)))
    memory.append(turn)
    kept = memory.turn(turn.id)
    assert kept is not None
    assert kept.message.text == storable(turn.message.text) == "NUL \ufffd and a half \ufffd emoji"
    assert kept.passages == (passage,)


def test_turn_ids_follow_time_and_never_repeat() -> None:
    ids = [new_turn_id() for _ in range(20_000)]
    assert all(earlier < later for earlier, later in pairwise(ids))
    assert len(ids[0]) <= 40


def test_a_person_stays_the_same_and_their_rights_are_not_stored(memory: Memory) -> None:
    first = memory.person("slack:T1:U1", {"t1/hr"})
    assert first == replace(memory.person("slack:T1:U1"), audiences=frozenset({"t1/hr"}))
    assert memory.person("slack:T1:U1").audiences == frozenset()
    assert memory.person("slack:T2:U1").id != first.id
    assert "U1" not in first.id


def test_history_survives_a_restart(engine: Engine) -> None:
    memory = Memory(engine)
    memory.append(make_turn(memory.person("terminal:local:anna"), "Where is the key?", "Under the mat."))
    engine.dispose()
    reopened = open_database(engine.url.render_as_string(hide_password=False))
    again = Memory(reopened)
    assert again.history(HERE, 100, count).lines == (
        Line("user", "Where is the key?"),
        Line("assistant", "Under the mat."),
    )
    reopened.dispose()


def test_places_do_not_mix(memory: Memory) -> None:
    anna = memory.person("terminal:local:anna")
    memory.append(make_turn(anna, "one", place=Place("slack", "T", "a/b")))
    memory.append(make_turn(anna, "two", place=Place("slack", "T", "a", "b")))
    assert [turn.message.text for turn in memory.turns(Place("slack", "T", "a", "b"))] == ["two"]


def test_long_history_stays_within_its_budget_with_a_summary_of_what_was_cut(memory: Memory) -> None:
    anna = memory.person("terminal:local:anna")
    memory.append(make_turn(anna, "We plan the garden party for the whole company."))
    for number in range(60):
        memory.append(make_turn(anna, f"Shall we order chairs for table {number}?", f"Table {number} needs chairs."))
        history = memory.history(HERE, 200, count)
        cost = count(history.summary) + sum(count(line.text) for line in history.lines)
        assert cost <= 200
        assert history.lines[-1].text == f"Table {number} needs chairs."
    assert history.summary.startswith("User: We plan the garden party")


def test_the_window_moves_in_jumps_so_that_prompts_share_their_beginning(memory: Memory) -> None:
    anna = memory.person("terminal:local:anna")
    moves = 0
    before = History()
    for number in range(60):
        memory.append(make_turn(anna, f"Question {number} is a short one", "and so is its answer"))
        history = memory.history(HERE, 300, count)
        same = history.summary == before.summary and history.lines[: len(before.lines)] == before.lines
        moves += not same
        before = history
    assert moves <= 60 / 5


def test_one_line_longer_than_the_budget_is_shortened_not_lost(memory: Memory) -> None:
    anna = memory.person("terminal:local:anna")
    memory.append(make_turn(anna, "word " * 5000, "reply " * 5000))
    history = memory.history(HERE, 100, count)
    assert [line.role for line in history.lines] == ["user", "assistant"]
    assert sum(count(line.text) for line in history.lines) <= 100


def test_a_smaller_budget_later_is_kept_too(memory: Memory) -> None:
    anna = memory.person("terminal:local:anna")
    for number in range(40):
        memory.append(make_turn(anna, f"A question about subject {number}, which is long enough.", "Yes, it is."))
        memory.history(HERE, 400, count)
    history = memory.history(HERE, 60, count)
    assert count(history.summary) + sum(count(line.text) for line in history.lines) <= 60


def test_a_turn_kept_twice_is_kept_once(memory: Memory) -> None:
    turn = make_turn(memory.person("terminal:local:anna"), "once")
    memory.append(turn)
    memory.append(turn)
    assert len(memory.turns(HERE)) == 1


def test_clear_empties_one_place(memory: Memory) -> None:
    anna = memory.person("terminal:local:anna")
    other = Place("terminal", "local", "other")
    memory.append(make_turn(anna, "stays", place=other))
    for _ in range(30):
        memory.append(make_turn(anna, "a few words that fill the window"))
        memory.history(HERE, 60, count)
    assert memory.clear(HERE) == 30
    assert memory.history(HERE, 60, count) == History()
    assert memory.turns(HERE) == ()
    assert len(memory.turns(other)) == 1


def test_a_second_rating_replaces_the_first(memory: Memory) -> None:
    anna = memory.person("terminal:local:anna")
    turn = make_turn(anna, "rate me")
    memory.append(turn)
    memory.rate(turn.id, anna.id, 1)
    memory.rate(turn.id, anna.id, -1, "wrong page")
    held = memory.held(anna.id)
    assert held is not None
    assert [(rating.rating, rating.comment) for rating in held.ratings] == [(-1, "wrong page")]
    with pytest.raises(StoreError, match="cannot be rated"):
        memory.rate("no such turn", anna.id, 1)


SECRET = "My daughter Hedwig starts school in Ravensburg."


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


WRITER = """
import sys
from agent.memory import Memory
from retrieval.database import open_database
from tests.agent.test_memory import HERE, count, make_turn
memory = Memory(open_database(sys.argv[1]))
person = memory.person("slack:T:shared")
for number in range(20):
    memory.append(make_turn(person, f"writer {sys.argv[2]} says {number} with a few more words"))
    memory.history(HERE, 200, count)
print(person.id)
"""


def test_two_processes_write_at_once(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, url, str(number)], stdout=subprocess.PIPE) for number in (1, 2)
    ]
    ids = {writer.communicate(timeout=100)[0] for writer in writers}
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(ids) == 1
    memory = Memory(engine)
    texts = [turn.message.text for turn in memory.turns(HERE, 100)]
    assert len(texts) == 40
    for number in ("1", "2"):
        own = [text for text in texts if text.startswith(f"writer {number}")]
        assert own == sorted(own, key=lambda text: int(text.split()[3]))


def test_the_tables_can_be_made_on_both_databases(engine: Engine) -> None:
    assert {"turns", "persons", "accounts", "places", "summaries", "feedback"} <= set(inspect(engine).get_table_names())
