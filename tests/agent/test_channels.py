"""A channel's rule decides who is answered in it; followed threads survive a restart."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from agent.channels import ChannelRules, Rule, is_addressed
from agent.events import Post
from agent.message import Place
from retrieval.database import open_database

CHANNEL = Place("slack", "T1", "C1")
THREAD = Place("slack", "T1", "C1", "171.1")


@pytest.fixture
def rules(engine: Engine) -> ChannelRules:
    return ChannelRules(engine)


# rule, direct, called, followed -> addressed, why
CASES = [
    *[(rule, True, False, False, True, "Nobody but Atelier reads along here.") for rule in Rule],
    *[(rule, True, True, True, True, "Nobody but Atelier reads along here.") for rule in Rule],
    *[(rule, False, True, False, True, "Atelier was called.") for rule in Rule],
    *[(rule, False, True, True, True, "Atelier was called.") for rule in Rule],
    (Rule.ALWAYS, False, False, False, True, "In this channel Atelier answers every message."),
    (Rule.ALWAYS, False, False, True, True, "In this channel Atelier answers every message."),
    (Rule.THREAD, False, False, True, True, "Atelier follows this thread."),
    (Rule.THREAD, False, False, False, False, "Atelier was not called, and it does not follow this thread."),
    (Rule.MENTION, False, False, False, False, "In this channel Atelier answers only when it is called."),
    (Rule.MENTION, False, False, True, False, "In this channel Atelier answers only when it is called."),
    (Rule.OFF, False, False, False, False, "In this channel Atelier is off until it is called."),
    (Rule.OFF, False, False, True, False, "In this channel Atelier is off until it is called."),
]


@pytest.mark.parametrize(("rule", "direct", "called", "followed", "addressed", "why"), CASES)
def test_who_is_answered_and_why(
    rule: Rule, direct: bool, called: bool, followed: bool, addressed: bool, why: str
) -> None:
    post = Post("1", THREAD, "slack:T1:U1", "hello", datetime.now(UTC), direct=direct, called=called)
    assert is_addressed(post, rule, followed=followed) == (addressed, why)


def test_a_rule_is_the_whole_channels_and_no_others(rules: ChannelRules) -> None:
    assert rules.rule(THREAD) is Rule.THREAD
    for rule in Rule:
        rules.set_rule(THREAD, rule)
        assert rules.rule(CHANNEL) is rules.rule(THREAD) is rule
        assert rules.rule(Place("slack", "T1", "C1", "another")) is rule
    rules.set_rule(CHANNEL, Rule.ALWAYS)
    for other in (Place("slack", "T1", "C2"), Place("slack", "T2", "C1"), Place("telegram", "T1", "C1")):
        assert rules.rule(other) is Rule.THREAD
    assert rules.rule(Place("slack", "T1/C1", "")) is Rule.THREAD


def test_rules_and_followed_threads_survive_a_restart(engine: Engine, rules: ChannelRules) -> None:
    rules.follow(THREAD)
    rules.set_rule(CHANNEL, Rule.MENTION)
    engine.dispose()
    reopened = open_database(engine.url.render_as_string(hide_password=False))
    again = ChannelRules(reopened)
    assert again.is_followed(THREAD)
    assert again.rule(CHANNEL) is Rule.MENTION
    reopened.dispose()


def test_a_thread_is_followed_until_it_is_not(rules: ChannelRules) -> None:
    assert not rules.is_followed(THREAD)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(rules.follow, [THREAD] * 4))
    assert rules.is_followed(THREAD)
    assert not rules.is_followed(Place("slack", "T1", "C1", "171.2"))
    assert not rules.is_followed(CHANNEL)
    rules.leave(THREAD)
    rules.leave(THREAD)
    assert not rules.is_followed(THREAD)


def test_a_channel_without_threads_is_never_followed_as_a_whole(rules: ChannelRules) -> None:
    rules.follow(CHANNEL)
    assert not rules.is_followed(CHANNEL)
