"""What a message is about, by a team's own head or its own words, and how it sounds: heard in one encoder pass."""

import time
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent.opinion.hearing import MOST, Ear
from agent.syntax.parser import Parser
from agent.syntax.phrases import key_phrases
from agent.understanding import Scores, Understander
from retrieval.encoder import States, TransformerEncoder


@pytest.mark.parametrize(
    ("chance", "is_near", "labels"), [(0.9, True, ("billing",)), (0.9, False, ()), (0.4, True, ())]
)
def test_only_a_sure_label_of_something_known_is_a_topic(chance: float, is_near: bool, labels: tuple[str, ...]) -> None:
    near, rest = np.array([is_near]), 1 - chance
    vectors = np.zeros((1, 4), np.float32)
    heads = {
        "sentiment": Scores(("negative", "positive"), np.array([[0.7, 0.3]], np.float32), np.array([True]), vectors),
        "topic": Scores(("billing", "a", "b"), np.array([[chance, rest / 2, rest / 2]], np.float32), near, vectors),
    }
    understander: Any = SimpleNamespace(scores=lambda _: heads)
    impression = Ear(understander, lambda: pytest.fail("nothing is parsed")).hear("谢谢")
    assert impression.labels == labels
    assert (round(impression.negative, 2), round(impression.positive, 2)) == (0.7, 0.3)


@pytest.mark.parametrize("text", ["The new invoice form is terrible", "The lift is broken. I hate our stairs!"])
def test_mood_and_topics_are_heard_in_one_pass(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    understander, parser = Understander(encoder), Parser(encoder)
    alone = understander.scores([text])["sentiment"].probabilities[0, 0], key_phrases(parser.read(text), MOST)
    passes, read = [], encoder._pass
    monkeypatch.setattr(encoder, "_pass", lambda rows, *more: passes.append(len(rows)) or read(rows, *more))
    impression = Ear(understander, lambda: parser).hear(text)
    assert passes == [1]  # of one row, however many sentences it has
    assert impression.phrases == tuple(alone[1])
    assert impression.negative == pytest.approx(alone[0], abs=0.02)


def test_syntax_is_read_beside_the_upper_layers_and_its_errors_are_heard(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser, begun = Parser(encoder), Event()
    upper = parser.upper

    def broken(_parts: object, _states: object) -> None:
        begun.set()
        raise RuntimeError("syntax is broken")

    def after_syntax_began(*given: Any) -> States:
        assert begun.wait(10)
        return upper(*given)

    monkeypatch.setattr(parser, "read_within", broken)
    monkeypatch.setattr(parser, "upper", after_syntax_began)
    with pytest.raises(RuntimeError, match="syntax is broken"):
        Ear(Understander(encoder), lambda: parser).hear("The lift is broken again")


def test_nothing_is_left_running_where_the_upper_layers_fail(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser, ended, failed = Parser(encoder), Event(), Event()

    def slow(_parts: object, _states: object) -> list[object]:
        assert failed.wait(10)
        time.sleep(0.1)
        ended.set()
        return []

    def fails(*_: object) -> None:
        failed.set()
        raise RuntimeError("no upper layers")

    monkeypatch.setattr(parser, "read_within", slow)
    monkeypatch.setattr(parser, "upper", fails)
    with pytest.raises(RuntimeError, match="no upper layers"):
        Ear(Understander(encoder), lambda: parser).hear("The lift is broken again")
    assert ended.is_set()
