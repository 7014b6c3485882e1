"""A button's short id stands for its meaning until it expires; a re-run after a crash makes the same button."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from agent.buttons import Buttons, Meaning, id_for
from agent.memory_tables import buttons as table
from agent.message import Place
from retrieval.database import open_database, reading

HERE = Place("slack", "T1", "C1", "171.1")
ELSEWHERE = Place("telegram", "bot", "7")


@pytest.fixture
def buttons(engine: Engine) -> Buttons:
    return Buttons(engine)


def stored(engine: Engine) -> int:
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_button_is_short_and_means_what_it_was_made_for(engine: Engine, buttons: Buttons) -> None:
    made = [buttons.make("rate", f"turn {number}", HERE, 60) for number in range(20)]
    assert all(re.fullmatch("[A-Za-z0-9]{12}", each) for each in made)
    assert len(set(made)) == 20
    reopened = open_database(engine.url.render_as_string(hide_password=False))
    assert Buttons(reopened).look_up(made[7]) == Meaning("rate", "turn 7", HERE)
    reopened.dispose()


def test_many_are_made_in_order(buttons: Buttons) -> None:
    meanings = [Meaning("idea", f"number {number} 💡", HERE) for number in range(9)]
    made = buttons.make_many(meanings, 60)
    assert [buttons.look_up(each) for each in made] == meanings
    assert buttons.make_many([], 60) == ()


def test_an_expired_button_means_nothing_and_is_deleted_with_the_next_ones(engine: Engine, buttons: Buttons) -> None:
    old = buttons.make_many([Meaning("rate", str(number), HERE) for number in range(30)], 0)
    assert [buttons.look_up(each) for each in old] == [None] * 30
    assert stored(engine) == 30
    kept = buttons.make("rate", "new", HERE, 1)
    assert stored(engine) == 1
    assert buttons.look_up(kept) is not None


def test_the_same_key_is_the_same_button(engine: Engine, buttons: Buttons) -> None:
    first = buttons.make("rate", "t", HERE, 60, key="message 1")
    assert first == buttons.make("rate", "t", HERE, 60, key="message 1") == id_for("message 1")
    several = buttons.make_many([Meaning("rate", "t", HERE)] * 2, 60, key="message 1")
    assert several == (id_for("message 1/0"), id_for("message 1/1"))
    assert stored(engine) == 3


def test_a_re_run_that_says_something_else_is_what_counts(buttons: Buttons) -> None:
    button = buttons.make("idea", "before the crash", HERE, 0, key="k")
    assert buttons.make("idea", "after it", ELSEWHERE, 60, key="k") == button
    assert buttons.look_up(button) == Meaning("idea", "after it", ELSEWHERE)


def test_several_workers_make_the_same_buttons_at_once(engine: Engine, buttons: Buttons) -> None:
    meanings = [Meaning("idea", str(number), HERE) for number in range(10)]
    buttons.make_many(meanings * 3, 0)
    with ThreadPoolExecutor(6) as threads:
        made = set(threads.map(lambda _: buttons.make_many(meanings, 60, key="k"), range(12)))
    assert len(made) == 1
    assert stored(engine) == 10


@pytest.mark.parametrize("pressed", ["", "x", "\0" * 12, "\ud83d" * 12, "a" * 100_000, "AAAAAAAAAAA\n", "' OR 1=1 --"])
def test_whatever_a_client_sends_means_nothing(buttons: Buttons, pressed: str) -> None:
    buttons.make("rate", "t", HERE, 60)
    assert buttons.look_up(pressed) is None


@given(st.text(), st.text())
def test_ids_of_different_keys_differ_and_fit_every_platform(one: str, other: str) -> None:
    assert re.fullmatch("[A-Za-z0-9]{12}", id_for(one))
    assert (id_for(one) == id_for(other)) == (one == other)


def test_ids_stay_the_same_in_later_versions() -> None:
    """Buttons in messages that were sent before an update are still looked up after it."""
    assert id_for("slack/T1/C1/171.1") == "RCiDsjAyaGT9"
