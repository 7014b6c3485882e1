"""German messages: what they want is understood, and Atelier's own words come in German."""

import json
from collections.abc import Sequence
from importlib.resources import files

import pytest

from agent.generation.answer import answer
from agent.generation.evidence import Reading
from agent.generation.extractive import ExtractiveGenerator
from agent.generation.phrases import _phrases, phrase
from agent.german import asks, intent_of, language_of
from agent.message import History, Intent, Move, Prompt
from agent.policy import decide
from agent.surface import looks_like_question
from agent.understanding import Understander
from retrieval.encoder import TransformerEncoder

WANTED: dict[Intent, Sequence[str]] = {
    Intent.ASK: (
        "Wie viele Urlaubstage habe ich?",
        "Wo steht die Dienstwagenregelung?",
        "Muss ich Überstunden anmelden?",
        "Was passiert mit meinem Resturlaub",
        "Hallo, ab wann gilt die neue Reiserichtlinie?",
        "Was kostet das Premium-Paket?",
        "Kann man die Probezeit verlängern?",
        "In welchem Raum ist die Schulung?",
        "Ich suche die Reisekostenrichtlinie",
        "Erklär mir bitte die Eskalationsstufen",
        "Ist Homeoffice am Freitag erlaubt?",
        "Kann ich bitte die Richtlinie sehen?",
    ),
    Intent.IDEATE: (
        "Lass uns Ideen für das Sommerfest sammeln",
        "Hast du Vorschläge für ein Teamevent?",
        "Wie könnten wir Wartezeiten verkürzen?",
        "Ich suche einen Namen für unser neues Werkzeug",
    ),
    Intent.SMALL_TALK: ("Danke, das war alles", "Guten Abend", "Wie geht es dir?", "Alles klar, danke"),
    Intent.HELP: ("Was kannst du?", "was kanst du alles", "Hilfe", "Womit kannst du uns helfen?"),
    Intent.HUMAN: ("Ich möchte mit einem Menschen sprechen", "Bitte verbinden Sie mich mit einer Mitarbeiterin"),
    Intent.FEEDBACK: ("Die Antwort war richtig gut", "Die Quelle hat mir geholfen"),
    Intent.COMPLAINT: ("Das stimmt nicht", "Die Antwort ist leider veraltet", "Du hast mich falsch verstanden"),
    Intent.OUT_OF_SCOPE: ("Bestell bitte eine Pizza", "Kannst du mir ein Hotel reservieren", "Ruf mir ein Taxi"),
}


@pytest.fixture(scope="module")
def understander(encoder: TransformerEncoder) -> Understander:
    return Understander(encoder)


@pytest.mark.parametrize("intent", WANTED)
def test_what_a_german_message_wants_is_understood(understander: Understander, intent: Intent) -> None:
    understood = understander.understand_all(WANTED[intent])
    assert [each.intent for each in understood] == [intent] * len(understood)


def test_a_german_question_is_searched_for_and_says_why(understander: Understander) -> None:
    text = "Wie viele Urlaubstage habe ich?"
    understood = understander.understand(text)
    assert decide(understood, text=text).move is Move.ANSWER
    assert "by the words it is asked in" in understood.reasons[0]


@pytest.mark.parametrize(
    "text", ["was that wrong", "die another day", "the war is over", "man in a hat", "it was in so"]
)
def test_english_with_german_looking_words_is_no_german(text: str) -> None:
    assert language_of(text) != "de"


def test_english_rows_are_left_to_the_heads() -> None:
    """Of the project's own English rows none is taken for German but those that are."""
    lines = files("finetune").joinpath("data", "intents.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    german = [text for text in texts if language_of(text) == "de"]
    assert len(german) <= 8
    assert all(intent_of(text) is not None or "helfen" in text for text in german)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Wo finde ich das?", "de"),
        ("Where is it?", "en"),
        ("SCAMPER 2026", ""),
        ("¿Cuál es la política?", ""),
        ("", ""),
    ],
)
def test_the_language_is_told_by_function_words(text: str, language: str) -> None:
    assert language_of(text) == language


def test_a_german_question_needs_no_question_mark() -> None:
    assert looks_like_question("Wie beantrage ich Elternzeit")
    assert not looks_like_question("Das ist gut so")
    assert asks("Bis wann muss die Krankmeldung vorliegen")


def test_german_words_of_ours_have_the_same_names_as_the_english() -> None:
    english, german = _phrases(), _phrases("de")
    for room, names in german.items():
        assert set(names) == set(english[room])
        for name, text in names.items():
            assert isinstance(text, list) == isinstance(english[room][name], list)


def test_what_is_not_held_is_said_in_the_language_asked_for() -> None:
    assert answer("Wo?", Reading((), ()), (), "de-AT").startswith("In den Dokumenten")
    assert answer("Wo?", Reading((), ()), (), "fr") == phrase("answer", "nothing")


def test_small_talk_is_answered_in_german(encoder: TransformerEncoder) -> None:
    prompt = Prompt("", History(), "Vielen Dank!", Intent.SMALL_TALK, Move.CHAT, (), "de")
    assert ExtractiveGenerator(encoder).reply(prompt) == "Gern geschehen!"
