"""The trained reader tells what answers from what is near, and says how sure it is, or why it was not asked."""

from dataclasses import replace

import numpy as np
import pytest

from agent.generation.answer import HOLDS
from agent.generation.evidence import UNKNOWN, UNTRAINED, Reader, Reading
from agent.generation.extractive import ExtractiveGenerator, judged
from agent.message import History, Intent, Move, Prompt
from agent.prompt import PERSONA
from agent.reading.reader import shipped
from agent.trees import Trees
from retrieval.passage import Passage

MILL = (
    "The mill at Brightwater was built in 1871 by Anna Okafor. It burnt down in 1902 and was built again of stone. "
    "Forty engineers work there today, and the largest of its three wheels still turns."
)


def passage(text: str, similarity: float | None = 0.6) -> Passage:
    return Passage(1, text, "mill.md", "The mill", None, 1, "acme/everyone", 0.7, similarity)


def sure(reading: Reading) -> tuple[str, float]:
    best = max(reading.units, key=lambda scored: scored.probability)
    return best.unit.text, best.probability


@pytest.fixture(scope="module")
def reader(encoder) -> Reader:
    return Reader(encoder, shipped())


@pytest.mark.parametrize(
    ("question", "altered", "begins"),
    [
        ("Who built the mill at Brightwater?", "Who built the mill at Lanfranc?", "The mill"),
        ("Which of the wheels still turns, the largest?", "Which of the wheels turns, the smallest?", "Forty"),
    ],
)
def test_one_other_word_makes_it_doubt(reader: Reader, question: str, altered: str, begins: str) -> None:
    text, probability = sure(reader.read(question, [passage(MILL)]))
    assert text.startswith(begins)
    assert probability > 1.2 * sure(reader.read(altered, [passage(MILL)]))[1]


def test_where_it_does_not_read_the_linear_reader_does_and_it_says_why(encoder, reader: Reader) -> None:
    german, unvoted = "Wer hat die Mühle in Brightwater gebaut?", [passage(MILL, None)]
    assert reader.read("Who built the mill?", [passage(MILL)]).unread == ""
    for question, passages in ((german, [passage(MILL)]), ("Who built the mill?", unvoted)):
        reading = reader.read(question, passages)
        assert reading.unread == UNKNOWN
        assert reading == Reader(encoder, shipped()).read(question, passages)
        assert [each.probability for each in reading.units] == pytest.approx(
            [each.probability for each in Reader(encoder).read(question, passages).units]
        )
    assert Reader(encoder).read("Who built the mill?", [passage(MILL)]).unread == UNTRAINED
    assert reader.read("Who?", [passage("")]).units == ()


def test_how_sure_it_is_comes_along_with_the_reply(encoder) -> None:
    generator = ExtractiveGenerator(encoder)
    for question, is_read in (("Who built the mill?", True), ("Wer hat die Mühle in Brightwater gebaut?", False)):
        prompt = Prompt(PERSONA, History(), question, Intent.ASK, Move.ANSWER, (passage(MILL),))
        text, (claim,) = generator.replied(prompt)
        assert text == generator.reply(prompt)
        assert claim.is_read
        assert bool(claim.text) is is_read
        assert claim.is_shown is (claim.support >= HOLDS)
    assert judged(Reading((), ())) == ()
    by_heading = replace(Reader(encoder, shipped()).read("Who built the mill?", [passage(MILL)]), sections=(1.0,))
    assert judged(by_heading) == ()  # the whole section is quoted, so no sentence was found the answer


def test_trees_are_walked_to_their_leaves() -> None:
    trees = Trees.of(
        {
            "feature": [[1, -1, -1], [-1, -1, -1]],
            "at": [[0.5, 0, 0], [0, 0, 0]],
            "left": [[1, 0, 0], [0, 0, 0]],
            "right": [[2, 0, 0], [0, 0, 0]],
            "value": [[0, -1, 2], [0.25, 0, 0]],
            "base": 0.5,
        }
    )
    assert trees.log_odds(np.array([[9.0, 0.5], [9.0, 0.6]])).tolist() == [-0.25, 2.75]
    assert trees.log_odds(np.zeros((0, 2))).tolist() == []
