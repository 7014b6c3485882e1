"""Pairs made of the knowledge base: quoted and cited as a generator is asked to, or an open refusal."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from agent.generation.rendering import NO_PASSAGES
from finetune.example import Example
from finetune.examples.asking import ask_model, questions_in
from finetune.examples.passages import Shelved, from_passages, library
from finetune.examples.questions import questions_of
from retrieval.document import Document, Section
from retrieval.encoder import TransformerEncoder
from retrieval.knowledge import KnowledgeBase
from retrieval.passage import Passage
from tests.agent.test_colleague import Scripted
from tests.retrieval.knowing import HashingEncoder

only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
LEAVE = "Full-time employees have 28 days of paid leave each year. Up to five unused days are carried over until March."
PAGES = {
    "leave.md": ("Leave > Annual leave", LEAVE),
    "faq.md": (
        "FAQ > How do I reset my password?",
        "Open id.northwind.example and choose Forgotten. A link comes by mail.",
    ),
    "it.md": ("IT > Service desk", "The service desk is a team of nine people. Reach it from 8:00 to 18:00 every day."),
    "travel.md": ("Travel > Meals", "While away on business, up to 45 euros a day for food is covered by the company."),
    "office.md": (
        "Office > Lost property",
        "Found things are kept at the reception for half a year and then given away.",
    ),
    "pay.md": ("Pay > Salary payment", "Salaries are transferred on the 25th of each month to the account on file."),
}


def passage(text: str, heading: str = "", id_: int = 1) -> Passage:
    return Passage(id_, text, "a.md", heading, None, None, "acme/everyone", 0.0)


@pytest.fixture
def knowledge(engine: Engine, tmp_path: Path) -> Iterator[KnowledgeBase]:
    base = KnowledgeBase(engine, tmp_path / "index", HashingEncoder())
    for source, (heading, text) in PAGES.items():
        document = Document("", (Section(text, tuple(heading.split(" > ")), whole=True),))
        base.add(source, document, content_hash=source, audience="acme/everyone")
    secret = Document("", (Section("The board has 9 seats and meets in private each month.", ("Board", "Seats")),))
    base.add("board.md", secret, content_hash="b", audience="acme/board")
    base.add(
        "guide/ask.md", Document("", (Section("Ask away.", ("Asking",)),)), content_hash="g", audience="acme/everyone"
    )
    yield base
    base.close()


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        (LEAVE, ["How many days of paid leave do full-time employees have each year?"]),
        ("The service desk is a team of nine people.", ["What is the service desk?"]),
        ("OKR stands for the objectives and key results of a team.", ["What does OKR stand for?"]),
        ("Core hours are the hours when everybody can be reached.", ["What are core hours?"]),
        ("A sabbatical lasts 6 months, and is not paid.", ["How many months does a sabbatical last?"]),
        ("Each employee gets 3 days per month for study.", []),
        ("It is a long way. This is the end. There are 3 doors. They have 2 cats.", []),
        ("Payment is the exception and is decided by the director.", []),
        ("Ein Sabbatical ist eine unbezahlte Pause von bis zu sechs Monaten.", ["Was ist ein Sabbatical?"]),
        ("弹性工作制是指员工可以自己安排上下班的时间。", ["什么是弹性工作制？"]),
        ("这是一种很好的办法，大家都很喜欢用它。", []),
    ],
)
def test_questions_are_made_only_of_sentences_whose_form_is_known(text: str, questions: list[str]) -> None:
    found = questions_of(passage(text), is_first=False)
    assert [each.question for each in found] == questions
    for each in found:
        assert "".join(unit.text for unit in each.units) in text


def test_headings_ask_once_a_section_and_not_when_they_say_nothing() -> None:
    asked = questions_of(passage(LEAVE, "Leave > Annual leave"), is_first=True)
    assert "annual leave" in asked[0].question
    asking = passage("Bring it back.", "Loans > How do I return it?")
    assert [each.question for each in questions_of(asking, is_first=False)] == ["How do I return it?"]
    for heading in ("", "Overview", "Page 3", "1.2", "FAQ"):
        assert not questions_of(passage("Bring it all back on Monday, please.", heading), is_first=True)
    assert not questions_of(passage("Bring it all back on Monday.", "Returning things"), is_first=False)


def parts(example: Example) -> tuple[list[str], str, str]:
    """The passages shown, the question and the reply."""
    asked = example.messages[1].content
    shown, _, question = asked.rpartition("</passages>")
    numbered = re.split(r"\n> \[\d+\] ", shown)[1:]
    return numbered, question.strip().removesuffix(NO_PASSAGES).strip(), example.messages[-1].content


@only_sqlite
def test_answers_are_quoted_and_cite_the_passage_that_holds_them(engine: Engine, knowledge: KnowledgeBase) -> None:
    read = from_passages(library(engine, "acme"), shown=3, refusals=0.0)
    assert len(read.examples) >= len(PAGES)
    for example in read.examples:
        shown, question, reply = parts(example)
        assert len(shown) <= 3
        cited = {int(number) for number in re.findall(r"\[(\d)\]", reply)}
        assert len(cited) == 1
        source = example.origin.documents[0]
        assert shown[cited.pop() - 1].startswith(source), question
        quoted = re.sub(r" ?\[\d\]", "", reply)
        assert quoted in PAGES[source][1]
        assert example.origin.audiences == {"acme/everyone"}
    asked = [parts(example)[1] for example in read.examples]
    assert "How do I reset my password?" in asked
    assert not any("guide/" in source for example in read.examples for source in example.origin.documents)


@only_sqlite
def test_a_refusal_shows_nothing_that_answers(engine: Engine, knowledge: KnowledgeBase) -> None:
    copy = Document("", (Section(LEAVE + " See HR.", ("Copied",)),))
    knowledge.add("copy.md", copy, content_hash="c", audience="acme/everyone")
    read = from_passages(library(engine, "acme"), shown=3, refusals=1.0)
    assert read.examples
    bare = 0
    for example in read.examples:
        shown, question, reply = parts(example)
        source = example.origin.documents[0]
        assert not any(text.startswith(source) for text in shown), question
        if source in ("leave.md", "copy.md"):
            assert not any("28 days" in text for text in shown)
        assert not re.search(r"\[\d", reply)
        bare += NO_PASSAGES in example.messages[1].content
    assert 0 < bare < len(read.examples)


@only_sqlite
def test_about_the_share_asked_for_is_refused_and_the_same_each_time(engine: Engine, knowledge: KnowledgeBase) -> None:
    for i in range(60):
        text = f"The widget{i} team has {i + 2} members in building {i}. Widget{i} is a tool for people who count."
        document = Document("", (Section(text, ("Teams", f"Widget{i} makers")),))
        knowledge.add(f"team{i}.md", document, content_hash=str(i), audience="acme/everyone")
    shelved = library(engine, "acme")
    read = from_passages(shelved, refusals=0.3)
    refused = [example for example in read.examples if not re.search(r"\[\d\]", example.messages[-1].content)]
    assert 0.2 < len(refused) / len(read.examples) < 0.4
    assert from_passages(shelved, refusals=0.3) == read
    assert len(from_passages(shelved, most=20).examples) == 20


@only_sqlite
def test_only_the_audiences_named_are_learned_and_none_is_mixed_into_a_wider_one(
    engine: Engine, knowledge: KnowledgeBase
) -> None:
    assert "board.md" not in {each.passage.source for each in library(engine, "acme")}
    shelved = library(engine, "acme", ["everyone", "board"])
    examples = from_passages(shelved, shown=4).examples
    assert any("board.md" in example.origin.documents for example in examples)
    for example in examples:
        holds = "9 seats" in str(example.messages) or "board.md" in example.origin.documents
        assert holds == ("acme/board" in example.origin.audiences)
        assert (example.origin.documents[0] == "board.md") or not holds


def test_what_a_model_says_is_read_line_by_line() -> None:
    said = """Sure! Here are three questions:
1. How many days of leave do I have?
- **Where do I ask for leave?**
3) What does the passage say about March?
Q4: When do unused days expire?
Is it?
"""
    assert questions_in(said) == (
        "How many days of leave do I have?", "Where do I ask for leave?", "When do unused days expire?",
    )  # fmt: skip


@only_sqlite
async def test_a_models_questions_are_kept_only_where_the_passage_answers_them(
    engine: Engine, knowledge: KnowledgeBase, encoder: TransformerEncoder
) -> None:
    shelved = library(engine, "acme")
    right = "How many days of paid leave do employees get in a year?"
    script = [f"1. {right}\n2. How tall is the highest mountain of Peru?\n"]
    asked = await ask_model(Scripted(script), shelved[:1])
    assert list(asked.values()) == [(right, "How tall is the highest mountain of Peru?")]
    assert await ask_model(Scripted([None]), shelved) == {}
    leave = next(each for each in shelved if each.passage.source == "leave.md")
    read = from_passages(
        shelved, questions={leave.passage.id: asked[shelved[0].passage.id]}, encoder=encoder, refusals=0
    )
    made = {question: reply for _, question, reply in map(parts, read.examples)}
    assert "28 days" in made[right]
    assert re.search(r"\[\d\]", made[right])
    assert not any("Peru" in question for question in made)


def test_a_passage_without_words_asks_nothing() -> None:
    shelved: Sequence[Shelved] = [
        Shelved(passage("", "x"), 1, 0),
        Shelved(passage("| a | b |\n| --- | --- |", id_=2), 2, 0),
    ]
    assert from_passages(shelved).examples == ()
    assert from_passages(()).examples == ()
