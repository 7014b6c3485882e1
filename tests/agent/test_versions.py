"""Which version answers a message: stable in a conversation, the right share, and none to those who may not hear it."""

import threading

import pytest

from agent.generation.versions import Lineup, Offer, Versions, choose
from agent.message import Place

EVERYONE = frozenset({"acme/everyone"})
OLD, LIVE, NEW = Offer("team-1"), Offer("team-2"), Offer("team-3")


def place(channel: str = "C1", thread: str = "1.0", platform: str = "slack") -> Place:
    return Place(platform, "acme", channel, thread)


def test_the_live_version_answers_and_without_one_the_model_itself() -> None:
    assert choose(Lineup(LIVE, OLD), place(), EVERYONE) == "team-2"
    assert choose(Lineup(), place(), EVERYONE) is None
    assert choose(Lineup(None, OLD), place(), EVERYONE) is None, "rolled back to no version"
    assert choose(Lineup(None, None, NEW, 1.0), place(), EVERYONE) == "team-3"


def test_a_conversation_stays_on_its_side_of_a_trial() -> None:
    lineup = Lineup(LIVE, OLD, NEW, share=0.2)
    chosen = [choose(lineup, place(thread=str(i)), EVERYONE) for i in range(4000)]
    assert chosen == [choose(lineup, place(thread=str(i)), EVERYONE) for i in range(4000)]
    assert chosen.count("team-3") / 4000 == pytest.approx(0.2, abs=0.03)
    wider = [choose(Lineup(LIVE, OLD, NEW, share=0.5), place(thread=str(i)), EVERYONE) for i in range(4000)]
    assert all(after == "team-3" for before, after in zip(chosen, wider, strict=True) if before == "team-3")
    another = Lineup(LIVE, OLD, Offer("team-4"), share=0.2)
    again = [choose(another, place(thread=str(i)), EVERYONE) for i in range(4000)]
    both = sum(a == "team-3" and b == "team-4" for a, b in zip(chosen, again, strict=True))
    assert both / 4000 == pytest.approx(0.04, abs=0.02), "each trial meets other conversations"


@pytest.mark.parametrize("name", ["C1", "slack:C1"])
def test_a_trial_can_be_a_channels(name: str) -> None:
    lineup = Lineup(LIVE, OLD, NEW, channels=frozenset({name}))
    assert choose(lineup, place("C1"), EVERYONE) == "team-3"
    assert choose(lineup, place("C2"), EVERYONE) == "team-2"
    assert (choose(lineup, place("C1", platform="telegram"), EVERYONE) == "team-3") is (name == "C1")


def test_what_learned_from_the_few_does_not_answer_the_many() -> None:
    board, everyone = frozenset({"acme/board", "acme/everyone"}), EVERYONE
    secret, plain = Offer("board-1", board), Offer("team-1", everyone)
    assert choose(Lineup(secret, plain), place(), everyone) == "team-1"
    assert choose(Lineup(secret, plain), place(), board) == "board-1"
    assert choose(Lineup(plain, None, secret, 1.0), place(), everyone) == "team-1"
    assert choose(Lineup(secret, secret), place(), everyone) is None
    assert choose(Lineup(plain), place(), frozenset({"other/everyone"})) is None, "another tenant's conversations"
    assert choose(Lineup(secret, plain), place(), frozenset()) is None


def test_a_version_is_idle_once_its_last_reply_is_given() -> None:
    versions = Versions("mine")
    assert versions.take(place(), EVERYONE) == "mine"
    versions.flip(Lineup(LIVE))
    first, second = versions.take(place(), EVERYONE), versions.take(place(), EVERYONE)
    versions.flip(Lineup(NEW, LIVE))
    assert versions.take(place(), EVERYONE) == "team-3"
    assert first == second == "team-2"
    versions.release(first)
    assert not versions.wait_idle("team-2", 0.0)
    threading.Timer(0.05, versions.release, [second]).start()
    assert versions.wait_idle("team-2", 5.0)
    assert versions.wait_idle("nobody", 0.0)
    assert not versions.wait_idle("team-3", 0.01)
