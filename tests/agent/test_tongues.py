"""A question that finds nothing because the documents are in another language is told so."""

from datetime import UTC, datetime

import pytest

from agent.generation.answer import tells_language
from agent.generation.phrases import phrase
from agent.message import History, Line, Message, Person, Place
from agent.tongues import elsewhere, spoken_in, tongue_of
from retrieval.language import spoken
from retrieval.passage import Passage

ENGLISH = "Employees have 28 days of leave a year. They ask for it in the portal."
GERMAN = "Beschäftigte haben 30 Tage Urlaub im Jahr. Der Antrag wird beim Schichtleiter eingereicht."


@pytest.mark.parametrize(
    ("text", "tongue"),
    [
        (ENGLISH, "en"),
        (GERMAN, "de"),
        ("¿Cuántos días de vacaciones tienen los empleados?", "es"),
        ("Combien de jours de congé ont les employés ?", "fr"),
        ("Quanti giorni di ferie ha chi lavora qui per un anno?", "it"),
        ("Hoeveel vakantiedagen heeft een medewerker?", "nl"),
        ("员工有多少天年假？", "zh"),
        ("休暇は何日ありますか", "ja"),
        ("Сколько дней отпуска?", "ru"),
        ("VPN 4411", ""),
        ("", ""),
    ],
)
def test_the_language_of_a_text_is_known(text: str, tongue: str) -> None:
    assert tongue_of(text) == tongue


def told(
    question: str, texts: dict[str, str], fluency: float = 0.0, near: tuple[str, ...] = (), language: str = ""
) -> str:
    return elsewhere(question, list(texts), near, lambda _: texts, lambda _: fluency, language)


def test_it_says_in_which_language_to_ask() -> None:
    assert "auf Englisch" in told("Wie viele Urlaubstage haben wir?", {"a.md": ENGLISH}, language="de")
    assert "2 of the 3 documents" in told(
        "¿Cuántos días tienen los empleados?", {"a": ENGLISH, "b": GERMAN, "c": ENGLISH}
    )


def test_where_the_nearest_are_in_another_language_that_is_said() -> None:
    texts = {"a": ENGLISH, "b": GERMAN, "c": ENGLISH}
    assert "in German" in told("How many days of leave do we have?", texts, near=("b",))
    few = phrase("answer", "other_de")
    assert told("How many days of leave do we have?", texts, near=("a",)) == few
    many = texts | {str(number): ENGLISH for number in range(10)}  # one of thirteen is no likely reason
    assert told("How many days of leave do we have?", many, near=("a",)) == ""


def test_the_shipped_encoder_knows_english_alone(encoder) -> None:
    def fluency(text: str) -> float:
        return spoken(text, encoder.pieces(text))

    for question in ("qué es el permiso parental?", "Wie lange?", "combien de jours de congé ont les employés ?"):
        assert elsewhere(question, ["a"], (), lambda _: {"a": ENGLISH}, fluency, "")


def test_nothing_is_said_where_the_language_is_no_reason() -> None:
    assert told("How many days of leave do we have?", {"a": ENGLISH}) == ""
    assert told("4411", {"a": ENGLISH}) == ""
    assert told("Wie viele Urlaubstage haben wir?", {}) == ""
    assert told("Wie viele Urlaubstage haben wir?", {"a": ENGLISH}, fluency=1.0) == ""


@pytest.mark.parametrize("language", ["", "de"])
def test_that_documents_are_in_another_language_is_told_once(language: str) -> None:
    said = phrase("answer", "nothing", language=language)
    assert not tells_language(said)
    assert tells_language(f"{said}\n\n{phrase('answer', 'other_en', language=language)}")


def test_a_message_without_a_language_is_answered_in_that_of_the_best_page() -> None:
    place = Place("terminal", "t", "c")
    message = Message("1", place, Person("ann"), "VPN 4411", datetime.now(UTC), frozenset())
    pages = [
        Passage(number, text, "page.md", "", None, 1, "t/everyone", score)
        for number, (text, score) in enumerate(((ENGLISH, 0.4), (GERMAN, 0.9)))
    ]
    assert spoken_in(message, message.text, History(), pages) == "de"
    assert spoken_in(message, message.text, History(), pages[:1]) != "de"
    assert spoken_in(message, "what is VPN 4411 for?", History(), pages) != "de"
    earlier = History("", (Line("user", "what are the rules for leave?"),))
    assert spoken_in(message, message.text, earlier, pages) != "de"
