"""Atelier's own sentences: the same in every language, as long as platforms take, and known where they are said."""

import string
import tomllib
from pathlib import Path

import pytest

import agent
from connectors.desk import texts
from connectors.desk.texts import languages, say, translated

FOLDER = Path(texts.__file__).parent
FILES = [tomllib.loads((FOLDER / name).read_text("utf-8")) for name in texts.FILES]
TEXTS = {language: {name: said for file in FILES for name, said in file[language].items()} for language in FILES[0]}
SENTENCES = tomllib.loads((FOLDER / "sentences.toml").read_text("utf-8"))
TOASTS = ("thanks_good", "thanks_bad", "expired", "forgotten_answer", "not_yours")  # Telegram shows 200 characters


def test_no_sentence_has_two_homes() -> None:
    names = [name for file in FILES for name in file["en"]]
    assert len(names) == len(set(names))


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", languages())
def test_every_language_says_everything_with_the_same_figures_in_it(language: str) -> None:
    own, english = TEXTS[language], TEXTS["en"]
    assert set(own) == set(english)
    assert {name: fields(text) for name, text in own.items()} == {name: fields(text) for name, text in english.items()}


@pytest.mark.parametrize("language", languages())
def test_what_platforms_cut_is_short_enough(language: str) -> None:
    assert all(len(say(language, name, p="/")) <= 200 for name in TOASTS)
    menu = [text for name, text in TEXTS[language].items() if name.startswith("menu_")]
    assert all(1 <= len(text) <= 256 for text in menu)  # https://core.telegram.org/bots/api#botcommand
    assert all(len(TEXTS[language][name]) <= 24 for name in ("send", "cancel"))  # docs.slack.dev, modal views
    assert all(len(text) <= 3000 for name, text in TEXTS[language].items() if name.startswith("home_"))


def test_what_is_translated_is_really_said() -> None:
    """A sentence that a lower room words anew would be shown in English without anybody noticing."""
    source = "\n".join(path.read_text("utf-8") for path in Path(agent.__file__).parent.rglob("*.py"))
    joined = source.replace('"\n        "', "").replace('"\n            "', "")
    topic = {f"{before} {verb} " for before in ("-", ")", "”") for verb in ("is about", "feels like")}
    built = {"reads as", "could be", ", a guess", "closest to", *topic}  # of parts; seen in the test below
    for sentence in SENTENCES["de"]:
        words = sentence.removeprefix("reads as ").removeprefix("could be ").removeprefix("sounds ")
        assert words in joined or sentence in built, sentence


def test_a_sentence_and_what_surrounds_it_are_translated_apart() -> None:
    said = "This is a question, so I search the documents.\n- reads as a question for facts (83%): closest to “why”"
    assert translated("de-DE", said) == (
        "Das ist eine Frage, darum suche ich in den Dokumenten.\n"
        "- klingt nach: Frage nach Fakten (83%): am nächsten an “why”"
    )
    assert translated("fr", said) == said
    assert translated("de", "sounds negative (70%): “late” is about billing (80%)") == (
        "Ton: verärgert (70%): “late” Thema: billing (80%)"
    )
    assert translated("de", "- is about billing (80%)") == "- Thema: billing (80%)"
    none = "- is like none of your examples, so it has no topic (billing comes nearest)"
    assert (
        translated("de", none)
        == "- gleicht keinem eurer Beispiele, darum hat es kein Thema (billing kommt am nächsten)"
    )


def test_what_is_missing_is_said_in_english() -> None:
    assert say("xx", "stopped") == say("en", "stopped") == say("", "stopped")
    assert say("de_AT", "stopped") == say("de", "stopped")
