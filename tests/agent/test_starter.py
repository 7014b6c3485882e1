"""The starter generator: the extractive generator's words, the answer marked in them, and nothing else changed."""

import pytest
from tokenizers import Tokenizer

from agent.generation.extractive import ExtractiveGenerator
from agent.generation.generator import Limits
from agent.generation.loading import STARTER
from agent.generation.span import REFUSAL, Found
from agent.generation.starter import StarterGenerator, adds, fitting, marked, taught
from agent.message import History, Intent, Line, Move, Prompt
from agent.prompt import PERSONA
from finetune.base.export import export
from finetune.base.model import Starter, shape_of
from finetune.base.tokenizer import save, train
from retrieval.encoder import TransformerEncoder
from retrieval.passage import Passage

TEXT = "The office opens at nine. Keys are with Ada Moss, who lives next door. Ring twice."


def found(text: str) -> Found:
    return Found(text, 0, 0.9)


@pytest.mark.parametrize(
    ("quotes", "text", "shown"),
    [
        ("Keys are with Ada Moss. [1]", "Ada Moss", "Keys are with **Ada Moss**. [1]"),
        ("Ada Moss, Ada Moss [1]", "Ada Moss", "**Ada Moss**, Ada Moss [1]"),  # once
        ("It is 28 or 128 days [1]", "28", "It is **28** or 128 days [1]"),
        ("It is 128 days [1]", "28", "It is 128 days [1]"),  # no part of a word
        ("- at nine\n- at ten [1]", "ten", "- at nine\n- at **ten** [1]"),
        ("```\nrun ten\n```\nten [1]", "ten", "```\nrun ten\n```\n**ten** [1]"),  # code stays as it is
        ("Call `ten` [1]", "ten", "Call `ten` [1]"),
        ("See https://ten.example [1]", "ten", "See https://ten.example [1]"),
        ("**Ten** it is [1]", "it", "**Ten** it is [1]"),  # emphasis never nests
        ("| ten | [1]", "ten", "| ten | [1]"),
        ("The answer is missing.", "nine", "The answer is missing."),
        ("a*b [1]", "a*b", "**a*b** [1]"),
        ("At ten. [2]\n\nIt opens\nat ten. [1]", "ten", "At ten. [2]\n\nIt opens\nat **ten**. [1]"),  # its own passage
    ],
)
def test_the_answer_is_marked_once_where_it_stands_and_nothing_else_changes(quotes, text, shown):
    assert marked(quotes, found(text)) == shown


@pytest.mark.parametrize(
    ("question", "text", "shown"),
    [
        ("how much is a double room in high season?", "79", "79"),  # the model read the wrong column
        ("how much is a double room in high season?", "98", "**98**"),
        ("how much is a double room?", "79", "**79**"),  # the question names none
        ("how many beds has the double room in low season?", "2", "**2**"),
    ],
)
def test_no_cell_of_another_column_than_the_one_asked_for_is_marked(question, text, shown):
    row = "room type: Double room; low season: 79; high season: 98; beds: 2 [1]"
    assert marked(row, found(text), question) == row.replace(text, shown)


def test_the_weights_take_no_more_of_a_repository_than_was_set():
    """A host of repositories refuses files of 50 MB, and what was committed once stays in every clone."""
    sizes = [path.stat().st_size for path in STARTER.iterdir()]
    assert max(sizes) < 45e6
    assert sum(sizes) < 64e6


def test_words_that_say_nothing_new_are_no_answer():
    assert not adds("The", "whats the wifi called?")
    assert not adds("the wifi", "whats the wifi called?")
    assert adds("5", "how many floors are there?")
    assert adds("lumen-staff", "whats the wifi called?")


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """Its weights know nothing, so it is never sure."""
    folder = tmp_path_factory.mktemp("weights")
    save(train([TEXT, PERSONA, REFUSAL], 400), folder)
    export(Starter(shape_of("tiny", Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()), 1), folder)
    return StarterGenerator(TransformerEncoder(), folder)


def prompt(message: str, move: Move, intent: Intent = Intent.ASK) -> Prompt:
    passages = (
        (Passage(1, TEXT, "office.md", "Office", None, 1, "t/everyone", 0.9, 0.6),) if move is Move.ANSWER else ()
    )
    history = History("", (Line("user", "hello"), Line("assistant", "Hello!")))
    return Prompt(PERSONA, history, message, intent, move, passages)


@pytest.mark.parametrize(
    ("message", "move"),
    [
        ("Who has the keys?", Move.ANSWER),
        ("names for our café", Move.IDEATE),
        ("thanks", Move.CHAT),
        ("x", Move.SILENT),
    ],
)
async def test_where_the_model_is_not_sure_the_reply_is_the_extractive_one(generator, message, move):
    asked = prompt(message, move)
    said = "".join([piece.text async for piece in generator.stream(asked, None, Limits())])
    assert said == ExtractiveGenerator(TransformerEncoder()).reply(asked)


def test_who_asks_what_it_is_hears_of_the_small_model(generator):
    said = generator.reply(prompt("who are you?", Move.CHAT, Intent.HELP))
    assert "a small language model of my own" in said
    assert "without a language model" in ExtractiveGenerator(TransformerEncoder()).reply(
        prompt("who are you?", Move.CHAT, Intent.HELP)
    )


def test_no_taught_reply_fits_a_bad_day_or_a_wish_for_opinions():
    assert not fitting("low")
    assert not fitting("opinion") & taught("fact")
    assert fitting("agreement") == taught("yes")
    assert fitting("otherwise") == taught()
    assert all("Atelier" in reply for reply in fitting("who"))


def test_a_reply_to_one_kind_of_small_talk_is_no_reply_to_another():
    assert taught("how_are_you") < taught()
    assert not taught("how_are_you") & taught("thanks")
