"""The starter's reading is held to the passages, whatever its weights say."""

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from agent.generation import span
from agent.generation.rendering import messages_of, render
from agent.generation.span import REFUSAL, SpanReader, is_refusal, may_be_said, whole
from agent.message import History, Intent, Move, Prompt
from agent.prompt import PERSONA
from finetune.base import examine
from finetune.base.export import export
from finetune.base.model import Starter, shape_of
from finetune.base.tokenizer import save, train
from retrieval.passage import Passage

TEXTS = (
    "The office in Brill opens at nine. Keys are with Ada Moss, who lives next door.",
    "Leave is 28 days a year.\nIt is asked for by e-mail, two weeks before [3].",
)
PLAIN = [" ".join(text.split()) for text in TEXTS]


def prompt(message: str, texts=TEXTS) -> Prompt:
    passages = tuple(Passage(i, text, f"{i}.md", "", None, 1, "t/everyone", 0.5) for i, text in enumerate(texts))
    return Prompt(PERSONA, History(), message, Intent.ASK, Move.ANSWER, passages)


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("Ada Moss", True),
        ("Ada Moss [", True),
        ("Ada Moss [1]", True),
        ("Ada Moss [2", False),  # the words stand in the first
        ("28 days a year. It is asked", True),
        ("Ada Smith", False),
        (" Ada", False),
        ("The pass", True),
        ("The passages do not", True),
        ("The passages say", False),
        ("two weeks before [3] [2]", True),  # a mark of the passage's own is text
        ("Ada Moss [3", False),
    ],
)
def test_only_words_of_a_passage_with_its_number_or_the_refusal_may_be_said(text, may):
    assert may_be_said(text, PLAIN) is may


def test_an_answer_is_whole_with_its_number():
    assert whole("Ada Moss [1]", PLAIN) == ("Ada Moss", 0)
    assert whole("Ada Moss [2]", PLAIN) is None
    assert whole("Ada Moss", PLAIN) is None
    assert is_refusal("The passages", PLAIN)
    assert not is_refusal("The", PLAIN)
    assert not is_refusal("The passages", ["The passages of the mill are narrow."])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untrained")
    save(train([*TEXTS, PERSONA, REFUSAL], 420), folder)
    export(Starter(shape_of("tiny", Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()), 1), folder)
    return folder


@pytest.fixture(scope="module")
def untrained(folder):
    return SpanReader(folder)


def test_even_a_model_that_knows_nothing_invents_nothing(untrained):
    for question in ("Who has the keys?", "How many days?", "What is the meaning of life?"):
        found = untrained.read(prompt(question))
        if found is not None:
            assert found.text in PLAIN[found.passage]
            assert 0 < found.probability <= 1


def test_many_prompts_are_read_at_once_as_they_are_one_by_one(untrained, folder):
    """What the training's examination counts is what chat would say."""
    model = Starter(shape_of("tiny", len(untrained._tokenizer)), 1)
    model.load_state_dict(
        {name: weight.float() for path in folder.glob("*.safetensors") for name, weight in load_file(path).items()}
    )
    asked = [prompt(text) for text in ("Who?", "How many days of leave are there?", "When does it open, and for whom?")]
    lines = [
        examine._Line(n, render(messages_of(each), untrained._tokenizer), PLAIN, [7, 8][:n])
        for n, each in enumerate(asked)
    ]
    for line, best in zip(lines, examine._best(model, lines, torch.float32), strict=True):
        alone = span._Steps(untrained._network, line.ids)
        for token in line.said:
            alone.take(token)
        assert [token for _, token in best[:5]] == [token for _, token in alone.best[:5]]
        assert [score for score, _ in best] == pytest.approx([score for score, _ in alone.best], abs=1e-3)


def test_without_passages_nothing_is_read(untrained):
    assert untrained.read(prompt("Who has the keys?", texts=())) is None


def test_a_prompt_longer_than_the_window_loses_its_last_passages(untrained):
    found = untrained.read(prompt("Who?", texts=(TEXTS[0], *(f"{TEXTS[1]} {i} " * 40 for i in range(9)))))
    assert found is None or found.passage < 9


def test_nothing_is_said_over_and_over(untrained):
    said = untrained.speak(prompt("hello", texts=()), tokens=40).split()
    assert all(said[i : i + 8] != said[i + 8 : i + 16] for i in range(len(said) - 16))
