"""The facilitator speaks up when it has a reason, says it, rests between, and stays silent otherwise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agent.ideation.acts import Phase, Rules
from agent.ideation.board import Board, Idea, Member, Said, Session
from agent.ideation.facilitator import Heard, Limits, Rule, is_stalled, watch
from agent.ideation.reframe import by_template, reframings
from agent.ideation.stimuli import Stimuli, deeper, sentences_of, things
from agent.ideation.techniques import techniques
from retrieval.encoder import TransformerEncoder
from retrieval.passage import Passage
from tests.agent.test_fallback import Scripted

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
TOPIC = np.array([1, 0, 0, 0], np.float32)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def idea(number: int, author: str, minutes: float) -> Idea:
    return Idea(str(number), f"idea {number}", ago(minutes), (author,))


def board(*authors: str, last: float = 0.5, phase: Phase = Phase.COLLECT, **changes: object) -> Board:
    """A board of four people, with an idea for each name, the last so many minutes ago."""
    members = tuple(Member(each) for each in ("a", "b", "c", "d"))
    rules = changes.pop("rules", Rules())
    session = Session("s", "t", "C", topic="tea", phase=phase, phase_began=ago(40), members=members, rules=rules)
    ideas = tuple(idea(i, author, last + (len(authors) - i) * 0.3) for i, author in enumerate(authors, 1))
    return Board(session, ideas, **changes)


def apart(count: int):
    """Vectors of ideas that have nothing in common."""
    return np.eye(max(count, 4), dtype=np.float32)[:count]


def talk(*lines: tuple[str, float]) -> list[Heard]:
    return [Heard(person, ago(3 - i * 0.3), negative) for i, (person, negative) in enumerate(lines)]


CALM = talk(("a", 0.1), ("b", 0.1))
HEATED = talk(("a", 0.9), ("b", 0.8), ("a", 0.95), ("c", 0.1), ("b", 0.7))


def test_a_balanced_lively_session_is_left_alone() -> None:
    assert watch(board(*"abcdabcdab"), CALM, NOW, topic=TOPIC, vectors=apart(10)) is None


def test_a_heated_tone_needs_several_lines_of_several_people() -> None:
    found = watch(board(*"abcd"), HEATED, NOW)
    assert found is not None
    assert found.rule is Rule.HEATED
    assert found.reason == "4 of the last 5 lines read negative, of 2 people."
    assert watch(board(*"abcd"), talk(("a", 0.9), ("a", 0.9), ("a", 0.9)), NOW) is None
    assert watch(board(*"abcd"), [replace(each, at=ago(30)) for each in HEATED], NOW) is None


def test_few_who_say_nearly_all_are_noticed_and_the_quiet_invited() -> None:
    found = watch(board(*"aabaaabaaa"), CALM, NOW)
    assert found is not None
    assert found.rule is Rule.UNEQUAL
    assert "8 of 10 contributions" in found.reason
    assert "2 of 4 little" in found.reason
    assert watch(board(*"aabaaab"), CALM, NOW) is None  # too few to mean anything
    assert watch(board(*"abcdabcaaa"), CALM, NOW) is None  # only just: it has to hold for a while


def test_ideas_that_repeat_are_noticed() -> None:
    vectors = np.vstack([apart(4), apart(4), apart(2)])
    found = watch(board(*"abcdabcdab"), CALM, NOW, vectors=vectors)
    assert found is not None
    assert found.rule is Rule.REPETITION
    assert watch(board(*"abcdabcdab"), CALM, NOW, vectors=apart(10)) is None


def test_silence_is_noticed_unless_people_talk_or_time_is_up() -> None:
    quiet = board(*"abcd", last=6)
    found = watch(quiet, [], NOW)
    assert found is not None
    assert (found.rule, found.reason) == (
        Rule.STAGNATION,
        "No contribution for 6 minutes while ideas are collected (4 on the board).",
    )
    assert is_stalled(quiet, NOW)
    assert watch(quiet, [Heard("a", ago(0.5))], NOW) is None
    ending = replace(quiet, session=replace(quiet.session, ends=NOW + timedelta(seconds=30)))
    assert watch(ending, [], NOW) is None
    assert watch(replace(quiet, session=replace(quiet.session, phase=Phase.DISCUSS)), [], NOW) is None


def test_lines_far_from_topic_and_ideas_are_noticed() -> None:
    away = np.array([0, 0, 0, 1], np.float32)
    lines = [Heard("ab"[i % 2], ago(2 - i * 0.2), 0.0, away) for i in range(5)]
    found = watch(board(*"abcd"), lines, NOW, topic=TOPIC, vectors=apart(3))
    assert found is not None
    assert found.rule is Rule.OFF_TOPIC
    back = [*lines, Heard("a", ago(0.5), 0.0, TOPIC)]
    assert watch(board(*"abcd"), back, NOW, topic=TOPIC, vectors=apart(3)) is None


@pytest.mark.parametrize(
    ("nudges", "speaks"),
    [
        ([(Rule.UNEQUAL, 3)], False),  # any: a pause
        ([(Rule.UNEQUAL, 5)], True),
        ([(Rule.HEATED, 8)], False),  # the same again so soon
        ([(Rule.HEATED, 13)], True),
        ([(Rule.UNEQUAL, minutes) for minutes in (50, 40, 30, 20, 10)], False),  # the cap of an hour
    ],
)
def test_nudges_rest_and_have_a_cap(nudges: list[tuple[Rule, float]], speaks: bool) -> None:
    said = tuple(Said(rule, "", ago(minutes)) for rule, minutes in nudges)
    assert (watch(board(*"abcd", nudges=said), HEATED, NOW) is not None) is speaks


def test_nudges_can_be_turned_off_and_never_come_while_people_vote() -> None:
    assert watch(board(*"abcd", rules=Rules(nudges=False)), HEATED, NOW) is None
    assert watch(board(*"abcd", phase=Phase.VOTE), HEATED, NOW) is None
    assert watch(board(*"abcd"), HEATED, NOW, limits=Limits(negative=0.99)) is None


async def test_a_question_is_sharpened_by_template_and_better_by_a_model() -> None:
    for topic in ("How can we shorten queues?", "names for our café", "to win back customers"):
        versions = by_template(topic)
        assert len(set(versions)) == 3
        assert all(each.endswith("?") for each in versions)
    assert "we shorten queues" in by_template("How can we shorten queues?")[2]
    good = "1. How might we halve queues?\n2. How might queues be fun?\n3. How might queues move to the web?"
    assert await reframings("shorten queues", Scripted(good)) == tuple(line[3:] for line in good.split("\n"))
    assert await reframings("shorten queues", Scripted("I like tea.")) == by_template("shorten queues")


def test_stimuli_come_from_things_and_from_documents(encoder: TransformerEncoder) -> None:
    text = "Bees tell each other where flowers are by dancing in the hive. Short one."
    passage = Passage(1, text, "nature/bees.md", "", None, None, "t/everyone", 0.9)
    plain, read = Stimuli(encoder), Stimuli(encoder, lambda *_: [passage])
    now = board(*"ab")
    analogy = next(each for each in techniques() if each.id == "analogy")
    assert plain(now, analogy) == plain(now, analogy)
    assert plain(now, analogy)[0] in things()
    assert read(now, analogy) == ("Bees tell each other where flowers are by dancing in the hive.", "nature/bees.md")
    assert len(sentences_of([passage])) == 1
    wider = plain.wider(now, encoder(["a lighthouse", "a zip"]))
    assert wider.text in wider.question
    assert "idea 1" in deeper(now, now.ideas[0])
