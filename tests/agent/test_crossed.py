"""Question and passage are read together: the sentence that answers stands out, and where none does that is seen."""

import shutil
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.reading import crossed
from agent.reading.crossed import PASSAGES, SHIPPED, UNREAD, CrossReader
from retrieval.errors import HeadError, HeadMismatch
from tests.agent.test_reading import MILL

LINES = [f"{each}." for each in MILL.rstrip(".").split(". ")]
OTHER = ["The bakery opens at seven.", "Bread is baked in the night, by four people."]


@pytest.fixture(scope="module")
def reader(encoder) -> CrossReader:
    return crossed.shipped(encoder)


def read(reader: CrossReader, question: str, *passages: list[str]) -> list[float]:
    flat = sum(map(len, passages))
    return [float(each) for each in reader.read(question, [""] * len(passages), passages, np.zeros(flat))]


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("Who built the mill?", 0),
        ("When did the mill burn down?", 1),
        ("when did the mill burn down", 1),
        ("How many engineers work at the mill?", 2),
    ],
)
def test_the_sentence_that_answers_stands_out(reader: CrossReader, question: str, place: int) -> None:
    odds = read(reader, question, LINES)
    assert int(np.argmax(odds)) == place
    assert odds[place] > 0


@pytest.mark.parametrize("question", ["Who owns the bakery?", "What does a ticket cost?", "When was the bridge built?"])
def test_what_does_not_answer_is_no_answer(reader: CrossReader, question: str) -> None:
    assert max(read(reader, question, LINES)) < 0


@pytest.mark.parametrize("asked", ["Who sold the mill?", "Who built the bakery at Brightwater?", "Who built the inn?"])
def test_one_other_word_makes_it_doubt(reader: CrossReader, asked: str) -> None:
    assert max(read(reader, asked, LINES)) < max(read(reader, "Who built the mill?", LINES)) - 1


def test_only_the_likeliest_passages_are_read(reader: CrossReader) -> None:
    passages = [OTHER, LINES, OTHER, OTHER]
    before = np.array([0.0, 1, 5, 0, 0, 0, 0, -1, 2])
    odds = reader.read("When did the mill burn down?", [""] * 4, passages, before)
    assert [each != UNREAD for each in odds] == [False, False, True, True, True, False, False, True, True]
    assert PASSAGES == 2
    assert int(np.argmax(odds)) == 3


def test_each_sentence_of_a_long_passage_is_read(reader: CrossReader) -> None:
    filler = [f"Room {number} was painted by a team of {number + 3} in the spring." for number in range(60)]
    odds = read(reader, "When did the mill burn down?", [*filler, *LINES, *filler])
    assert UNREAD not in odds
    assert int(np.argmax(odds)) == 61


@pytest.mark.parametrize("question", ["", "?", "[SEP] [CLS] [MASK]", "who " * 3000, "磨坊什么时候烧毁?"])
def test_any_question_is_read(reader: CrossReader, question: str) -> None:
    assert np.isfinite(read(reader, question, LINES, ["", "…"])).all()
    assert read(reader, question) == []


@pytest.mark.parametrize("words", [1, 130, 170, 1000])
@pytest.mark.parametrize("heading", ["", "Fires", "On the fires of the valley " * 60])
def test_beside_a_long_question_each_sentence_is_read(reader: CrossReader, words: int, heading: str) -> None:
    question = "When did the mill burn down, " + "please " * words + "?"
    odds = reader.read(question, [heading], [[*OTHER * 8, *LINES]], np.zeros(16 + len(LINES)))
    assert UNREAD not in odds
    assert int(np.argmax(odds)) == 17


STORY = (
    "Hi all, I started in May and I am writing the leaflet for our open day with Jo from marketing. "
    "We have the pictures, the map and the opening hours, and the printer wants everything by Friday at noon. "
    "Yesterday somebody said the date in our draft may be off by a year, and I could not find it in my notes. "
)


@pytest.mark.parametrize(
    "message", [f"{STORY}When did the mill burn down?", f"{STORY}When did the mill burn down? Thanks!"]
)
def test_of_a_long_message_what_it_asks_is_read(reader: CrossReader, message: str) -> None:
    odds = read(reader, message, LINES)
    assert int(np.argmax(odds)) == 1
    assert odds[1] > 0


@given(st.lists(st.integers(0, 400)), st.integers(1, 300))
def test_sentences_go_together_as_far_as_there_is_room(sizes: list[int], room: int) -> None:
    groups = list(crossed._fitting(sizes, room))
    assert [row for group in groups for row in group] == list(range(len(sizes)))
    for group, after in zip_longest(groups, groups[1:]):
        held = [sizes[row] for row in group]
        assert len(held) == 1 or sum(held) <= room
        assert after is None or sum(held) + sizes[after.start] > room


def test_the_lower_layers_are_those_of_the_whole_pass(encoder) -> None:
    texts = ["Who built the mill?", MILL, ""]
    whole, lower = encoder.states(texts, [2]), encoder.lower(texts, 2)
    np.testing.assert_allclose(lower.layers[2], whole.layers[2], atol=0.03)
    assert lower.offsets == whole.offsets
    with pytest.raises(ValueError, match="layer 9"):
        encoder.lower(texts, 9)


def test_damaged_weights_and_those_of_another_encoder_are_refused(encoder, tmp_path: Path) -> None:
    folder = shutil.copytree(SHIPPED, tmp_path / "weights")
    weights = folder / "crossed.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(HeadError, match="Reinstall Atelier"):
        CrossReader(encoder, folder)

    class Other:
        id = "another"

    with pytest.raises(HeadMismatch, match="another"):
        CrossReader(Other())
