"""Memory keeps whole turns through restarts, remembers within a budget, and forgets one person completely."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, inspect, select

from agent.buttons import Buttons, Meaning
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
    message = Message(uuid4().hex, place, author, text, datetime.now(UTC), frozenset({"local/everyone"}))
    turn = Turn(
        new_turn_id(), "You help.", History(), message, understanding, Decision(Move.ANSWER, "asked"), (), Reply(reply)
    )
    return replace(turn, **changes)


def everything_stored(engine: Engine) -> str:
    """All that any column of any table holds."""
    with reading(engine) as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(select(table))]
    return "\n".join(str(value) for row in rows for value in row)


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
    message = Message(data.draw(texts) + uuid4().hex, place, author, data.draw(texts), data.draw(moments), readers)
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


def test_a_message_that_is_answered_again_after_a_crash_keeps_its_first_turn(memory: Memory) -> None:
    anna = memory.person("slack:T:anna")
    first = make_turn(anna, "once", "the first answer")
    again = replace(first, id=new_turn_id(), reply=Reply("the second answer"))
    memory.append(first)
    memory.append(again)
    assert memory.turn_for(first.message.id) == first
    assert memory.turns(HERE) == (first,)
    assert memory.turn_for("no such message") is None


def test_two_messages_of_one_id_are_not_taken_for_each_other(memory: Memory) -> None:
    anna = memory.person("slack:T:anna")
    first = make_turn(anna, "here")
    elsewhere = make_turn(anna, "there", place=Place("slack", "T", "C2"))
    elsewhere = replace(elsewhere, message=replace(elsewhere.message, id=first.message.id))
    memory.append(first)
    with pytest.raises(StoreError, match="different places have the same id"):
        memory.append(elsewhere)
    assert memory.turns(elsewhere.message.place) == ()


def test_clear_empties_one_place(memory: Memory, engine: Engine) -> None:
    anna = memory.person("terminal:local:anna")
    other = Place("terminal", "local", "other")
    memory.append(make_turn(anna, "stays", place=other))
    for _ in range(30):
        memory.append(make_turn(anna, "a few words that fill the window"))
        memory.history(HERE, 60, count)
    mine, others = Buttons(engine).make_many([Meaning("next", "", HERE), Meaning("next", "", other)], 60)
    assert memory.clear(HERE) == 30
    assert Buttons(engine).look_up(mine) is None
    assert Buttons(engine).look_up(others) is not None
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


def test_a_forgotten_person_rates_nothing_and_is_told_so(memory: Memory) -> None:
    anna, bert = memory.person("slack:T:anna"), memory.person("slack:T:bert")
    turn = make_turn(bert, "rate me")
    memory.append(turn)
    memory.forget(anna.id)
    with pytest.raises(StoreError, match=r"^What was known about you was deleted, so this rating was not kept\.$"):
        memory.rate(turn.id, anna.id, 1)


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


def test_workers_that_answer_one_message_at_once_keep_one_turn(engine: Engine) -> None:
    memory = Memory(engine)
    turn = make_turn(memory.person("slack:T:anna"), "once")
    several = [replace(turn, id=new_turn_id(), reply=Reply(f"answer {number}")) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(memory.append, several))
    (kept,) = memory.turns(HERE)
    assert memory.turn_for(turn.message.id) == kept


def test_the_tables_can_be_made_on_both_databases(engine: Engine) -> None:
    assert {"turns", "persons", "accounts", "places", "summaries", "feedback"} <= set(inspect(engine).get_table_names())
