"""The whole turn: what a generator says reaches the person clean, with true sources, and is remembered."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from agent.catalogue import asks_for_documents
from agent.colleague import STOPPED, Colleague, Manner
from agent.generation.extractive import ExtractiveGenerator
from agent.generation.fallback import FallbackGenerator
from agent.generation.generator import Generator, Limits, Piece
from agent.memory import Memory
from agent.message import Message, Move, Person, Place, Prompt, Turn
from agent.prompt import PERSONA
from agent.understanding import Understander
from retrieval.document import Document, Section
from retrieval.encoder import TransformerEncoder
from retrieval.errors import MessageRefused, ModelFailed
from retrieval.knowledge import KnowledgeBase

PLACE = Place("terminal", "acme", "ann")
EVERYONE = frozenset({"acme/everyone"})
MANNER = Manner(PERSONA, Limits(), passages=3, history_tokens=500, allowed_links=(), adapter=None)
only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


class Scripted:
    """A generator that says what it is told to and keeps what it was asked. None in the script is a failure."""

    def __init__(self, script: Sequence[str | None], pause: float = 0.0, name: str = "scripted") -> None:
        self.script, self.pause, self.name = script, pause, name
        self.prompts: list[Prompt] = []

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        self.prompts.append(prompt)
        for words in self.script:
            await asyncio.sleep(self.pause)
            if words is None:
                raise ModelFailed("The model has failed.")
            yield Piece(words)

    async def close(self) -> None:
        pass


@pytest.fixture
def knowledge(engine: Engine, encoder: TransformerEncoder, tmp_path: Path) -> Iterator[KnowledgeBase]:
    base = KnowledgeBase(engine, tmp_path / "index", encoder)
    for source, audience, text in (
        ("leave.md", "acme/everyone", "Every employee has 31 days of paid leave a year."),
        ("board.md", "acme/board", "The paid leave of the board is unlimited."),
    ):
        document = Document("", (Section(text, ("Leave",)),))
        base.add(source, document, content_hash=source, audience=audience)
    yield base
    base.close()


def colleague(engine: Engine, knowledge: KnowledgeBase, encoder: TransformerEncoder, generator: Generator) -> Colleague:
    return Colleague(knowledge, Understander(encoder), generator, Memory(engine), encoder.count_tokens, MANNER)


def message(
    engine: Engine, text: str, audiences: frozenset[str] = EVERYONE, readers: frozenset[str] = EVERYONE
) -> Message:
    author: Person = Memory(engine).person("terminal:acme:ann", audiences)
    return Message(uuid4().hex, PLACE, author, text, datetime.now(UTC), readers)


async def turn_of(talk: Colleague, asked: Message, wanted: Move | None = None) -> tuple[str, Turn]:
    """What the person saw, and the turn."""
    shown = ""
    async for event in talk.reply(asked, wanted):
        if isinstance(event, Turn):
            return shown, event
        shown = event.text if event.replaces else shown + event.text
    raise AssertionError("no turn")


@only_sqlite
async def test_what_is_shown_is_clean_and_what_is_kept(engine: Engine, knowledge: KnowledgeBase, encoder) -> None:
    generator = Scripted(["You have 31 ", "days [", "1]. See https://evil.example", "/x and [9].", " @channel"])
    talk = colleague(engine, knowledge, encoder, generator)
    shown, turn = await turn_of(talk, message(engine, "How many days of paid leave do I have?"))
    assert shown == turn.reply.text
    assert turn.reply.text.startswith("You have 31 days [1].")
    assert "https://evil.example" not in shown
    assert "[9]" not in shown
    assert [source.label for source in turn.reply.sources] == ["leave.md: Leave"]
    assert Memory(engine).turns(PLACE)[0].reply == turn.reply
    assert generator.prompts[0].passages[0].source == "leave.md"


@only_sqlite
@pytest.mark.parametrize(
    ("audiences", "readers", "seen"),
    [
        ({"acme/everyone", "acme/board"}, {"acme/everyone", "acme/board"}, {"leave.md", "board.md"}),
        ({"acme/everyone", "acme/board"}, {"acme/everyone"}, {"leave.md"}),
        ({"acme/everyone"}, {"acme/everyone", "acme/board"}, {"leave.md"}),
    ],
)
async def test_a_prompt_holds_only_what_asker_and_place_may_both_read(
    engine: Engine, knowledge: KnowledgeBase, encoder, audiences: set[str], readers: set[str], seen: set[str]
) -> None:
    generator = Scripted(["All right."])
    talk = colleague(engine, knowledge, encoder, generator)
    await turn_of(talk, message(engine, "What paid leave is there?", frozenset(audiences), frozenset(readers)))
    assert {passage.source for passage in generator.prompts[0].passages} == seen


@only_sqlite
async def test_a_model_that_fails_midway_is_replaced_and_the_reply_says_so(
    engine: Engine, knowledge: KnowledgeBase, encoder
) -> None:
    generator = FallbackGenerator(Scripted(["You have about ", None]), Scripted(["31 days [1]."], name="stand-in"))
    talk = colleague(engine, knowledge, encoder, generator)
    shown, turn = await turn_of(talk, message(engine, "How many days of paid leave do I have?"))
    assert shown == turn.reply.text == "31 days [1]."
    assert turn.reply.generator == "stand-in"
    assert "without the language model" in turn.reply.notice


@only_sqlite
async def test_a_stopped_answer_is_kept_as_far_as_it_was_shown(
    engine: Engine, knowledge: KnowledgeBase, encoder
) -> None:
    talk = colleague(engine, knowledge, encoder, Scripted(["one ", "two ", "three ", *["more "] * 500], pause=0.001))
    events = talk.reply(message(engine, "How many days of paid leave do I have?"))
    first = await anext(events)
    assert isinstance(first, Piece)
    await events.aclose()
    kept = Memory(engine).turns(PLACE)[0].reply
    assert kept.notice == STOPPED
    assert kept.text.startswith("one")
    assert "three" not in kept.text


@only_sqlite
async def test_a_follow_up_is_searched_with_what_it_leaves_out(
    engine: Engine, knowledge: KnowledgeBase, encoder
) -> None:
    generator = Scripted(["31 days [1]."])
    talk = colleague(engine, knowledge, encoder, generator)
    await turn_of(talk, message(engine, "How many days of paid leave do I have?"))
    await turn_of(talk, message(engine, "why?"))
    asked = generator.prompts[1]
    assert asked.message == "why?"
    assert asked.passages[0].source == "leave.md"
    assert [line.text for line in asked.history.lines] == ["How many days of paid leave do I have?", "31 days [1]."]


@only_sqlite
async def test_a_wish_of_the_person_is_not_overruled(engine: Engine, knowledge: KnowledgeBase, encoder) -> None:
    generator = Scripted(["Ideas!"])
    talk = colleague(engine, knowledge, encoder, generator)
    _, turn = await turn_of(talk, message(engine, "the coffee machine"), Move.IDEATE)
    assert turn.decision.move is Move.IDEATE


@only_sqlite
async def test_a_long_session_of_thinking_together_loses_no_idea(
    engine: Engine, knowledge: KnowledgeBase, encoder
) -> None:
    talk = colleague(engine, knowledge, encoder, ExtractiveGenerator(encoder))
    await turn_of(talk, message(engine, "/ideate names for a boat with SCAMPER"), Move.IDEATE)
    ideas = [f"idea {i}: call it {'Very ' * 150}Sea {i}" for i in range(6)]
    for idea in ideas:
        await turn_of(talk, message(engine, idea))
    shown, _ = await turn_of(talk, message(engine, "done"))
    assert [idea for idea in ideas if idea not in shown] == []
    _, turn = await turn_of(talk, message(engine, "next"))
    assert turn.decision.move is Move.CHAT
    shown, _ = await turn_of(talk, message(engine, "/ideate office plants"), Move.IDEATE)
    assert "office plants" in shown


@only_sqlite
async def test_the_guide_answers_about_atelier_and_stands_back_elsewhere(
    engine: Engine, knowledge: KnowledgeBase, encoder
) -> None:
    for i in range(12):  # more than a search brings: they must not crowd out the team's documents
        text = f"How do I leave Atelier in way {i}? Days of paid leave are of no concern to command {i}."
        section = Section(text, (f"Leaving Atelier {i}",))
        knowledge.add(f"guide/{i}.md", Document("", (section,)), content_hash=f"{i}", audience="acme/everyone")
    generator = Scripted(["All right."])
    talk = colleague(engine, knowledge, encoder, generator)
    await turn_of(talk, message(engine, "How many days of paid leave do I have?"))
    await turn_of(talk, message(engine, "How do I leave Atelier?"), Move.ANSWER)
    await turn_of(talk, message(engine, "/ideate paid leave"), Move.IDEATE)
    first, about_us, sparks = (prompt.passages for prompt in generator.prompts)
    assert first[0].source == "leave.md"
    assert {passage.source.partition("/")[0] for passage in about_us} == {"guide"}
    assert [passage.source for passage in sparks] == ["leave.md"]


@only_sqlite
async def test_that_an_answer_was_wrong_is_kept_and_follow_ups_return_to_the_question(
    engine: Engine, knowledge: KnowledgeBase, encoder
) -> None:
    talk = colleague(engine, knowledge, encoder, ExtractiveGenerator(encoder))
    await turn_of(talk, message(engine, "How many days of paid leave do I have?"))
    shown, turn = await turn_of(talk, message(engine, "no, that's wrong"))
    assert turn.decision.move is Move.CAPTURE
    assert "I am sorry" in shown
    shown, turn = await turn_of(talk, message(engine, "what did I ask before that?"))
    assert (turn.decision.move, turn.passages) == (Move.CHAT, ())
    _, turn = await turn_of(talk, message(engine, "why?"))
    assert turn.passages[0].source == "leave.md"


@only_sqlite
@pytest.mark.parametrize("text", ["", "  \n", "\u200b", "x" * 1_000_000])
async def test_an_empty_or_huge_message_is_refused_and_nothing_is_kept(
    engine: Engine, knowledge: KnowledgeBase, encoder, text: str
) -> None:
    talk = colleague(engine, knowledge, encoder, Scripted(["?"]))
    with pytest.raises(MessageRefused):
        await turn_of(talk, message(engine, text))
    assert Memory(engine).turns(PLACE) == ()


@only_sqlite
@pytest.mark.parametrize(
    "asked", ["What documents do you have?", "list your documents please", "Welche Dokumente kennst du?"]
)
async def test_who_asks_for_the_documents_gets_those_they_may_read(
    engine: Engine, knowledge: KnowledgeBase, encoder: TransformerEncoder, asked: str
) -> None:
    talk = colleague(engine, knowledge, encoder, ExtractiveGenerator(encoder))
    shown, turn = await turn_of(talk, message(engine, asked))
    assert "leave.md" in shown
    assert "board.md" not in shown
    assert turn.decision.move is Move.CHAT
    both = EVERYONE | {"acme/board"}
    shown, _ = await turn_of(talk, message(engine, asked, both, both))
    assert "board.md" in shown


@pytest.mark.parametrize(
    "other",
    [
        "which files can you read?", "what do the documents say about leave?", "show me the document on leave",
        "what is knowledge?", "which sources did you use?", "which documents do we use?",
    ],
)  # fmt: skip
def test_a_question_about_what_documents_say_or_can_be_is_searched(other: str) -> None:
    assert not asks_for_documents(other)


@only_sqlite
async def test_a_refused_question_in_another_language_is_told_so(
    engine: Engine, knowledge: KnowledgeBase, encoder
) -> None:
    talk = colleague(engine, knowledge, encoder, ExtractiveGenerator(encoder))
    shown, turn = await turn_of(talk, message(engine, "Wer kümmert sich um die Klimaanlage im Lager?"))
    assert shown == turn.reply.text
    assert "auf Englisch" in shown
    shown, _ = await turn_of(talk, message(engine, "Who looks after the volcano in the cellar?"))
    assert "English" not in shown


@only_sqlite
async def test_an_address_of_a_document_that_cannot_be_clicked_is_explained(
    engine: Engine, knowledge: KnowledgeBase, encoder
) -> None:
    document = Document("", (Section("Reset your password at https://id.acme.example/reset today.", ("Password",)),))
    knowledge.add("it.md", document, content_hash="it.md", audience="acme/everyone")
    talk = colleague(engine, knowledge, encoder, ExtractiveGenerator(encoder))
    shown, turn = await turn_of(talk, message(engine, "How do I reset my password?"))
    assert "id[.]acme[.]example" in shown
    assert "allowed_links" in turn.reply.notice
    _, other = await turn_of(talk, message(engine, "How many days of paid leave do I have?"))
    assert not other.reply.notice
