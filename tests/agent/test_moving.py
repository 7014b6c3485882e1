"""A channel under another id keeps what it was; one message that was taken back leaves nothing."""

from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Engine

from agent.buttons import Buttons
from agent.channels import ChannelRules, Rule
from agent.memory import Memory
from agent.message import History, Line, Place
from agent.moving import move
from tests.agent.test_forgetting import everything_stored
from tests.agent.test_memory import make_turn

OLD, NEW = Place("telegram", "acme", "-5"), Place("telegram", "acme", "-1005")
TOPIC = replace(OLD, thread="7")
WORDS = "The plan is a blue lighthouse on the northern hill."


def say(memory: Memory, place: Place, text: str, **more: object) -> str:
    turn = make_turn(memory.person("telegram:acme:1"), text, f"Reply to {text}")
    turn = replace(turn, message=replace(turn.message, place=place, id=f"{place.key}{text}"), **more)
    memory.append(turn)
    return turn.id


def test_conversations_rule_threads_and_buttons_move(memory: Memory, engine: Engine) -> None:
    rules, buttons = ChannelRules(engine), Buttons(engine)
    for place in (OLD, TOPIC, NEW):
        say(memory, place, f"said in {place.channel}{place.thread}")
    rules.set_rule(OLD, Rule.ALWAYS)
    rules.follow(TOPIC)
    button = buttons.make("good", "x", OLD, 5)
    elsewhere = say(memory, replace(OLD, channel="-55"), "another group")
    for _ in range(2):  # told of it twice, nothing more happens
        move(engine, OLD, NEW)
    assert [turn.message.text for turn in memory.turns(NEW)] == ["said in -5", "said in -1005"]
    assert [turn.message.text for turn in memory.turns(replace(NEW, thread="7"))] == ["said in -57"]
    assert memory.turns(OLD) == memory.turns(TOPIC) == ()
    assert rules.rule(NEW) is Rule.ALWAYS
    assert rules.rule(OLD) is Rule.THREAD
    assert rules.is_followed(replace(NEW, thread="7"))
    assert not rules.is_followed(TOPIC)
    meaning = buttons.look_up(button)
    assert meaning is not None
    assert meaning.place == NEW
    kept = memory.turn(elsewhere)
    assert kept is not None
    assert kept.message.place.channel == "-55"


def test_a_rule_of_the_newer_channel_stays(engine: Engine) -> None:
    rules = ChannelRules(engine)
    rules.set_rule(OLD, Rule.ALWAYS)
    rules.set_rule(NEW, Rule.OFF)
    move(engine, OLD, NEW)
    assert rules.rule(NEW) is Rule.OFF


def test_a_channel_that_was_left_is_not_followed(engine: Engine) -> None:
    rules = ChannelRules(engine)
    other = replace(TOPIC, channel="-55")
    for place in (TOPIC, other):
        rules.follow(place)
    rules.leave(OLD)
    assert [rules.is_followed(place) for place in (TOPIC, other)] == [False, True]
    rules.leave(Place("telegram", "acme", ""))
    assert not rules.is_followed(other)


def test_a_message_that_was_taken_back_leaves_nothing(memory: Memory, engine: Engine) -> None:
    taken = say(memory, OLD, WORDS)
    lines = (Line("user", WORDS), Line("assistant", f"Reply to {WORDS}"), Line("user", "Fine."))
    say(memory, OLD, "And what comes next?", history=History(f"User: {WORDS}", lines))
    memory.rate(taken, memory.person("telegram:acme:1").id, 1, "good")
    Buttons(engine).make("good", f"{taken} de", OLD, 5)
    assert memory.take_back(taken)
    assert not memory.take_back(taken)
    assert "lighthouse" not in everything_stored(engine)
    assert taken not in everything_stored(engine)
    assert [turn.message.text for turn in memory.turns(OLD)] == ["And what comes next?"]
    assert memory.turns(OLD)[0].message.sent <= datetime.now(UTC)
