"""Rated turns become examples: the prompt as it was served, with everybody's consent, for those who may read it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import Engine

from agent.colleague import DESK, STOPPED
from agent.generation.rendering import NO_PASSAGES, ChatMessage, messages_of
from agent.memory import Memory
from agent.message import History, Line, Person, Place, Reply, Source, Turn
from finetune.example import Example
from finetune.examples.problems import Code
from finetune.examples.turns import rated_turns
from retrieval.document import Document, Section
from retrieval.encoder import TransformerEncoder
from retrieval.knowledge import KnowledgeBase
from retrieval.passage import Passage
from tests.agent.test_colleague import Scripted, colleague, message, turn_of
from tests.agent.test_memory import make_turn
from tests.retrieval.knowing import HashingEncoder

ROOM = Place("slack", "acme", "C1", "t1")
EVERYONE = "acme/everyone"
only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def knowledge(engine: Engine, tmp_path: Path) -> Iterator[KnowledgeBase]:
    base = KnowledgeBase(engine, tmp_path / "index", HashingEncoder())
    yield base
    base.close()


def somebody(memory: Memory, name: str, *, consent: bool = True) -> Person:
    person = memory.person(f"slack:acme:{name}", {EVERYONE})
    memory.people.set_consent(person.id, consent=consent)
    return person


def keep(
    memory: Memory, author: Person, text: str, reply: str = "Yes.", place: Place = ROOM, **changes: object
) -> Turn:
    turn = make_turn(author, text, reply, place, **changes)
    memory.append(turn)
    return turn


def said(*turns: Turn) -> History:
    """A history of these turns."""
    lines = [(Line("user", turn.message.text), Line("assistant", turn.reply.text)) for turn in turns]
    return History("", tuple(line for pair in lines for line in pair))


def document(knowledge: KnowledgeBase, source: str, audience: str = EVERYONE, author: str | None = None) -> Passage:
    text = f"What {source} says."
    knowledge.add(source, Document("", (Section(text),)), content_hash=source, audience=audience, author=author)
    return Passage(hash(source) % 1000, text, source, "", None, None, audience, 0.9)


def examples(memory: Memory) -> dict[str, Example]:
    """By the words that were answered."""
    found = rated_turns(memory, "acme").examples
    return {
        each.messages[-2].content.removesuffix(NO_PASSAGES).split("</passages>")[-1].strip(): each for each in found
    }


def reasons(memory: Memory) -> dict[str, Code]:
    """Why a turn is left out, by its id."""
    return {problem.place.removeprefix("turn "): problem.code for problem in rated_turns(memory, "acme").problems}


DOCUMENTS = {
    "leave.md": "Every employee has 31 days of paid leave a year.",
    "trip.md": "Paid leave before a trip is asked for two weeks ahead.",
}


@only_sqlite
async def test_the_prompt_is_exactly_what_the_generator_saw(
    engine: Engine, encoder: TransformerEncoder, tmp_path: Path
) -> None:
    base = KnowledgeBase(engine, tmp_path / "index", encoder)
    for source, text in DOCUMENTS.items():
        found = Document("", (Section(text, ("Paid leave",)),))
        base.add(source, found, content_hash=source, audience=EVERYONE)
    generator = Scripted(["It is said here [2], and `row[1]` stays. See [2] and [1]."])
    talk, memory = colleague(engine, base, encoder, generator), Memory(engine)
    asked = (
        "How many days of\u200b paid leave do I have?",
        "  And paid leave before a trip, when is it asked for?\r\n",
    )
    turns = [(await turn_of(talk, message(engine, text)))[1] for text in asked]
    author = turns[0].message.author.id
    memory.people.set_consent(author, consent=True)
    for turn in turns:
        memory.rate(turn.id, author, 1)
    base.close()

    first, second = rated_turns(memory, "acme").examples
    for example, prompt, turn in zip((first, second), generator.prompts, turns, strict=True):
        assert list(example.messages[:-1]) == messages_of(prompt)
        assert len(turn.passages) == 2
        # people saw the citations counted from the first; the generator is taught its own numbers
        assert turn.reply.text == "It is said here [1], and `row[1]` stays. See [1] and [2]."
        assert example.messages[-1].content == "It is said here [2], and `row[1]` stays. See [2] and [1]."
    assert len(second.messages) == 5
    assert (first.untrained, second.untrained) == (frozenset(), {2})  # nobody rated the earlier reply here
    assert set(second.origin.documents) == set(DOCUMENTS)
    assert second.origin.audiences == {EVERYONE}
    assert first.origin.conversation == second.origin.conversation != ""


def test_one_ballot_a_person_and_most_ballots_decide(memory: Memory) -> None:
    anna, bert, carl = (somebody(memory, name) for name in ("anna", "bert", "carl"))
    silent = somebody(memory, "silent", consent=False)
    votes: dict[str, list[tuple[Person, Literal[1, -1]]]] = {
        "good": [(anna, 1), (bert, 1), (carl, -1)],
        "bad": [(anna, -1), (bert, -1), (bert, 1), (bert, -1), (carl, 1)],
        "tied": [(anna, 1), (bert, -1)],
        "uncounted": [(silent, 1)],
        "counted": [(silent, 1), (anna, -1)],
        "unrated": [],
    }
    kept = {text: keep(memory, anna, text, place=replace(ROOM, thread=text)) for text in votes}
    for text, ballots in votes.items():
        for person, rating in ballots:
            memory.rate(kept[text].id, person.id, rating, "a comment that is not learned")
    assert {text: each.rating for text, each in examples(memory).items()} == {"good": 1, "bad": -1, "counted": -1}
    assert reasons(memory) == {kept["tied"].id: Code.TIED, kept["uncounted"].id: Code.NO_CONSENT}
    assert "comment" not in str(rated_turns(memory, "acme"))


def test_everybody_whose_words_stand_in_it_has_agreed(memory: Memory, knowledge: KnowledgeBase) -> None:
    anna, bert, shy = somebody(memory, "anna"), somebody(memory, "bert"), somebody(memory, "shy", consent=False)
    notes = document(knowledge, "notes/shy", author=shy.id)
    by_shy = keep(memory, shy, "Nobody may learn this of me.")
    by_anna = keep(memory, anna, "Nobody may learn this of me.", "No.")
    long = keep(memory, bert, "A long story " * 30)
    cut = replace(said(long), lines=(Line("user", "A long story A long …"), *said(long).lines[1:]))
    turns = {
        "author": keep(memory, shy, "author"),
        "history": keep(memory, bert, "history", history=said(by_shy)),
        "summary": keep(memory, bert, "summary", history=History("User: something")),
        "document": keep(memory, bert, "document", passages=(notes,)),
        "stranger": keep(memory, bert, "stranger", history=History("", (Line("user", "Of nobody known."),))),
        "agreed": keep(memory, bert, "agreed", history=said(by_anna, long)),
        "shortened": keep(memory, anna, "shortened", history=cut),
    }
    for turn in turns.values():
        memory.rate(turn.id, anna.id, 1)
    found = examples(memory)
    assert set(found) == {"agreed", "shortened"}
    assert (found["agreed"].origin.person, found["agreed"].origin.others) == (bert.id, (anna.id,))
    assert found["shortened"].origin.others == (bert.id,)
    left_out = reasons(memory)
    assert {name: left_out[turns[name].id] for name in ("author", "history", "summary", "document", "stranger")} == {
        "author": Code.NO_CONSENT, "history": Code.NO_CONSENT, "summary": Code.NO_CONSENT,
        "document": Code.NO_CONSENT, "stranger": Code.INCOMPLETE,
    }  # fmt: skip
    assert "shy" not in str(rated_turns(memory, "acme"))
    memory.people.set_consent(shy.id, consent=True)
    assert set(examples(memory)) == {"agreed", "author", "document", "history", "shortened", "summary"}


def test_what_was_drawn_on_decides_who_may_be_served(memory: Memory, knowledge: KnowledgeBase) -> None:
    anna = somebody(memory, "anna")
    board, plan = document(knowledge, "board.md", "acme/board"), document(knowledge, "plan.md")
    guide = Passage(5, "How to ask.", "guide/ask.md", "", None, None, EVERYONE, 0.9)
    secret = keep(memory, anna, "secret", "The board has 9 seats.", passages=(board, guide))
    later = keep(memory, anna, "later", history=said(secret))
    narrowed = keep(memory, anna, "narrowed", passages=(plan,))
    for turn in (secret, later, narrowed):
        memory.rate(turn.id, anna.id, 1)
    knowledge.shelf.set_audience("acme", "plan.md", "acme/leads")
    found = examples(memory)
    assert found["secret"].origin.audiences == {"acme/board"}
    assert found["secret"].origin.documents == ("board.md",)
    assert found["later"].origin.audiences == {"acme/board"}  # its history quotes what the board may read
    assert found["narrowed"].origin.audiences == {EVERYONE, "acme/leads"}
    knowledge.shelf.remove("acme", "board.md")
    assert set(examples(memory)) == {"narrowed"}
    assert reasons(memory) == {secret.id: Code.DOCUMENT_GONE, later.id: Code.DOCUMENT_GONE}


def test_half_replies_and_changed_ones_are_left_out(memory: Memory, knowledge: KnowledgeBase) -> None:
    anna = somebody(memory, "anna")
    one = document(knowledge, "one.md")
    source = Source(1, "one.md", one.id)
    replies = {
        "whole": Reply("It is so [1].", (source,)),
        "stopped": Reply("It is", (), "", STOPPED),
        "silent": Reply(""),
        "handed": Reply("I am asking a person.", generator=DESK),
        "cleaned": Reply("It is [removed]."),
        "uncited": Reply("It is so [1].", ()),
        "elsewhere": Reply("It is so [1].", (Source(1, "two.md", 999_999),)),
    }
    turns = {}
    for text, reply in replies.items():
        turn = make_turn(anna, text, place=replace(ROOM, thread=text), passages=(one,))
        memory.append(turns.setdefault(text, replace(turn, reply=reply)))
    for turn in turns.values():
        memory.rate(turn.id, anna.id, 1)
    assert set(examples(memory)) == {"whole"}
    assert examples(memory)["whole"].messages[-1] == ChatMessage("assistant", "It is so [1].")
    assert {text: reasons(memory).get(turn.id) for text, turn in turns.items()} == {
        "whole": None, "stopped": Code.CUT_REPLY, "silent": Code.EMPTY_CONTENT, "cleaned": Code.INCOMPLETE,
        "uncited": Code.INCOMPLETE, "elsewhere": Code.INCOMPLETE, "handed": Code.EMPTY_CONTENT,
    }  # fmt: skip


def test_other_tenants_are_not_learned_from(memory: Memory) -> None:
    anna = somebody(memory, "anna")
    turn = keep(memory, anna, "ours", place=Place("slack", "other", "C1"))
    memory.rate(turn.id, anna.id, 1)
    assert rated_turns(memory, "acme").source.rows == 0
    assert len(rated_turns(memory, "other").examples) == 1
