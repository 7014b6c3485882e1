"""Asked about its last answer, Atelier tells where it came from: it searches for nothing, and invents no reason."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from agent.colleague import Colleague
from agent.generation.asked_on import asked_on, asks_on
from agent.generation.extractive import ExtractiveGenerator
from agent.generation.looked_back import told
from agent.looking_back import Back, looks_back
from agent.message import (
    Decision,
    History,
    Intent,
    Message,
    Move,
    Person,
    Place,
    Reply,
    Sentiment,
    Source,
    Turn,
    Understanding,
)
from retrieval.document import Document, Section
from retrieval.encoder import TransformerEncoder
from retrieval.knowledge import KnowledgeBase
from retrieval.passage import Passage
from tests.agent.test_colleague import Scripted, colleague, message, only_sqlite, turn_of

ABROAD = "Working from abroad is allowed for 20 days a year, because of tax rules. HR approves it in writing."
ROOM = "Meeting rooms are booked at the reception. They hold eight people."


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("are you sure?", Back.SURE),
        ("really?", Back.SURE),
        ("ok, but is that still correct?", Back.SURE),
        ("How sure are you about that?", Back.SURE),
        ("sicher?", Back.SURE),
        ("stimmt das wirklich?", Back.SURE),
        ("¿estás seguro?", Back.SURE),
        ("你确定吗？", Back.SURE),
        ("who says so?", Back.SOURCE),
        ("Where is that written?", Back.SOURCE),
        ("where did you get that from?", Back.SOURCE),
        ("how do you know that", Back.SOURCE),
        ("source?", Back.SOURCE),
        ("show me the sources", Back.SOURCE),
        ("which document is that in?", Back.SOURCE),
        ("wo steht das genau?", Back.SOURCE),
        ("woher weißt du das?", Back.SOURCE),
        ("wie kommst du darauf?", Back.SOURCE),
        ("why?", Back.WHY),
        ("and why is that so?", Back.WHY),
        ("how come", Back.WHY),
        ("warum ist das so?", Back.WHY),
        ("为什么？", Back.WHY),
        ("tell me more", Back.MORE),
        ("can you explain that in more detail please?", Back.MORE),
        ("I don't understand", Back.MORE),
        ("anything else?", Back.MORE),
        ("mehr dazu bitte", Back.MORE),
        ("kannst du mir mehr sagen?", Back.MORE),
        ("Kannst du mir dazu noch etwas mehr erzählen?", Back.MORE),
        ("shorter please", Back.REWORD),
        ("can you say that in simpler words?", Back.REWORD),
        ("translate that into German", Back.REWORD),
        ("in German please", Back.REWORD),
        ("fass das zusammen", Back.REWORD),
    ],
)
def test_what_is_asked_of_an_answer_is_known(text: str, kind: Back) -> None:
    assert looks_back(text) is kind


@pytest.mark.parametrize(
    "text",
    [
        "sure",
        "ok",
        "why do we need a VPN?",
        "who says hello at the reception?",
        "where is the contract written?",
        "tell me more about parental leave",
        "explain the travel policy",
        "which document do I need for a visa?",
        "how do you know Ann?",
        "translate the handbook into German",
        "is it free?",
        "are you sure that the office is open on Sunday?",
        "warum brauchen wir ein VPN?",
        "mehr Urlaub",
        "in Germany?",
        "what is the source of the error in the build?",
        "Quelle des Problems ist der Drucker",
    ],
)
def test_what_names_something_is_a_question_of_its_own(text: str) -> None:
    assert looks_back(text) is None


@pytest.fixture
def rules(engine: Engine, encoder: TransformerEncoder, tmp_path: Path) -> Iterator[KnowledgeBase]:
    base = KnowledgeBase(engine, tmp_path / "index", encoder)
    for source, text in (("abroad.md", ABROAD), ("rooms.md", ROOM)):
        document = Document("", (Section(text, (source[:-3].title(),)),))
        base.add(source, document, content_hash=source, audience="acme/everyone")
    yield base
    base.close()


async def said(talk: Colleague, engine: Engine, *texts: str) -> str:
    """The last reply, and the sources that it names."""
    for text in texts:
        _, turn = await turn_of(talk, message(engine, text))
    return "\n".join([turn.reply.text, *(source.label for source in turn.reply.sources)])


@only_sqlite
async def test_an_answer_is_asked_about_in_turn(engine: Engine, rules: KnowledgeBase, encoder) -> None:
    talk = colleague(engine, rules, encoder, ExtractiveGenerator(encoder))
    told = await said(talk, engine, "How many days a year may I work from abroad?", "who says so?")
    assert "HR approves it in writing. [1]" in told
    assert "abroad.md" in told
    assert "Working from abroad" in await said(talk, engine, "why?")
    assert "The reason" in await said(talk, engine, "How many days a year may I work from abroad?", "why?")
    assert "cannot check" in await said(talk, engine, "thanks!", "are you sure?")


@only_sqlite
async def test_no_reason_is_made_up_and_what_was_not_found_is_not_defended(
    engine: Engine, rules: KnowledgeBase, encoder
) -> None:
    talk = colleague(engine, rules, encoder, ExtractiveGenerator(encoder))
    assert "No reason" in await said(talk, engine, "Where are meeting rooms booked?", "why?")
    assert "I found nothing" in await said(talk, engine, "Who was Napoleon's tailor?", "are you sure?")
    assert "abroad.md" not in await said(talk, engine, "tell me more")


@only_sqlite
async def test_more_is_the_whole_passage_and_then_says_that_there_is_no_more(
    engine: Engine, rules: KnowledgeBase, encoder
) -> None:
    talk = colleague(engine, rules, encoder, ExtractiveGenerator(encoder))
    assert "They hold eight people." in await said(talk, engine, "Where are meeting rooms booked?", "tell me more")
    assert "all that stands there" in await said(talk, engine, "tell me more")


@only_sqlite
async def test_what_was_removed_meanwhile_is_not_quoted_again(engine: Engine, rules: KnowledgeBase, encoder) -> None:
    talk = colleague(engine, rules, encoder, ExtractiveGenerator(encoder))
    await said(talk, engine, "How many days a year may I work from abroad?")
    rules.shelf.remove("acme", "abroad.md")
    told = await said(talk, engine, "where is that written?")
    assert "cannot be read any more" in told
    assert "tax" not in told


@only_sqlite
async def test_a_model_words_the_reason_from_the_same_passages_but_not_how_sure_it_is(
    engine: Engine, rules: KnowledgeBase, encoder
) -> None:
    generator = Scripted(["As it is written [1]."])
    talk = colleague(engine, rules, encoder, generator)
    await said(talk, engine, "How many days a year may I work from abroad?", "why?")
    assert [passage.source for passage in generator.prompts[1].passages][:1] == ["abroad.md"]
    assert "HR approves it" in await said(talk, engine, "are you sure?")
    assert len(generator.prompts) == 2


@only_sqlite
async def test_asked_about_an_answer_before_there_was_one_it_asks_back(
    engine: Engine, rules: KnowledgeBase, encoder
) -> None:
    talk = colleague(engine, rules, encoder, ExtractiveGenerator(encoder))
    _, turn = await turn_of(talk, message(engine, "why?"))
    assert turn.decision.move is Move.CLARIFY


@only_sqlite
async def test_asked_about_what_no_document_answered_it_asks_back_and_quotes_nothing(
    engine: Engine, rules: KnowledgeBase, encoder
) -> None:
    talk = colleague(engine, rules, encoder, ExtractiveGenerator(encoder))
    await said(
        talk, engine, "How many days a year may I work from abroad?", "let's brainstorm names for a boat", "done"
    )
    _, turn = await turn_of(talk, message(engine, "where is that written?"))
    assert turn.decision.move is Move.CLARIFY
    assert not turn.reply.sources


LEAVE = (
    "Full-time employees have 28 days of paid leave a year. Part-time employees have leave in proportion to their days."
    " Unused days lapse in March, because leave is meant for rest."
)
LUNCH = "The canteen is open from 11:30 to 14:00. In Graz is none; you get a voucher there."
TEIL = "Vollzeitbeschäftigte haben 30 Urlaubstage im Jahr. Teilzeitbeschäftigte haben anteilig Urlaub."
BENCH, DRILL = (
    f"Product: {name}; Price: {price} EUR; Delivery time: 3 weeks; Warranty: 5 years"
    for name, price in (("Oak Workbench", 349), ("Cordless Drill", 129))
)


def passages(*texts: str, heading: str = "") -> list[Passage]:
    return [Passage(i, text, "page.md", heading, None, i, "acme/everyone", 0.9) for i, text in enumerate(texts, 1)]


@pytest.mark.parametrize(
    ("page", "message", "said"),
    [
        ([LEAVE], "and part-timers?", "Part-time employees"),
        ([LEAVE], "what about March?", "Unused days lapse"),
        ([LEAVE], "and interns?", ""),
        ([LEAVE], "and what is the warranty?", ""),
        ([LUNCH], "even if I work in Graz?", "In Graz is none"),
        ([TEIL], "und Teilzeit?", "Teilzeitbeschäftigte"),
        ([TEIL], "und Vollzeit?", "Vollzeitbeschäftigte"),
        ([BENCH, DRILL], "and the drill?", "Cordless Drill"),
        ([BENCH, DRILL], "what's the warranty?", "Oak Workbench"),
        (["Produkt: Regal; Preis: 3 EUR; Lieferzeit: 1 Woche"], "wie lange ist die Lieferzeit?", "Regal"),
        ([BENCH, DRILL], "how do I return it?", ""),
        ([LUNCH], "until when?", "The canteen is open"),
        (["You may work from home twice a week. Ask first."], "how often?", "You may work from home twice a week"),
        (["Ask your team lead. It takes three days."], "how long?", "It takes three days"),
        (["Ask your team lead."], "how long?", ""),
        (["Breakfast is at 7 on weekdays. On Saturdays and Sundays it is at 9."], "and on weekends?", "On Saturdays"),
        (["Montag bis Freitag ab 7 Uhr. Samstag und Sonntag ab 9 Uhr."], "und am Wochenende?", "Samstag und Sonntag"),
        (["- IT (Tom): laptops\n- Facilities (Ann): keys"], "and for keys?", "- Facilities (Ann): keys"),
    ],
)
def test_what_the_page_just_quoted_says_on_a_follow_up_is_quoted(page: list[str], message: str, said: str) -> None:
    given = passages(*page)
    found = asked_on(message, answered("A question?", given[:1]), given, given)
    assert (found is not None) is bool(said)
    assert not said or asks_on(message, page[0])
    assert found is None or said in found.said.split(". ")[0]


def test_the_rows_of_a_table_come_before_a_page_headed_by_their_words() -> None:
    given = passages(BENCH, DRILL)
    page = replace(given[0], id=9, source="faq.md", heading="FAQ > My drill does not start", text="Charge it.")
    found = asked_on("and the drill?", answered("The price?", given[:1]), given[:1], [page, given[1]])
    assert found is not None
    assert "Cordless Drill" in found.said


def test_a_page_headed_by_the_words_comes_before_a_mention_of_them() -> None:
    given = passages("Sick days are not taken from annual leave.")
    own = [replace(given[0], id=9, heading="Leave > Annual leave", text=LEAVE)]
    assert asked_on("what about annual leave?", answered("And sick days?", given), given, own) is None


@pytest.mark.parametrize(
    ("asked", "quoted", "has_reason"),
    [
        ("How many days of leave do I have?", LEAVE, False),
        ("When do unused days lapse?", LEAVE, True),
        ("How many days may I work from abroad?", ABROAD, True),
        ("Is it open on Sunday?", "The shop is closed on Sundays. This is so because of the law.", True),
    ],
)
def test_the_reason_told_is_that_of_the_sentence_which_answered(asked: str, quoted: str, has_reason: bool) -> None:
    given = passages(quoted)
    why = told(Back.WHY, answered(asked, given), given, "", dict)
    assert why.said.startswith("The reason") is has_reason


def answered(asked: str, cited: list[Passage]) -> Turn:
    """A question, and what was quoted in answer, whole."""
    person = Person("ann")
    written = Message("m", Place("terminal", "acme", "x"), person, asked, datetime.now(UTC), frozenset())
    understood = Understanding(np.zeros(1, np.float32), Intent.ASK, 1.0, Sentiment.NEUTRAL, 1.0, ())
    sources = tuple(Source(i, each.source, each.id) for i, each in enumerate(cited, 1))
    reply = Reply(f"{cited[0].text} [1]", sources)
    return Turn("t", "", History(), written, understood, Decision(Move.ANSWER, ""), tuple(cited), reply)
