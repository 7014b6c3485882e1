"""Asked who somebody is, Atelier quotes a sentence that says it; one that only names them is given as no more."""

import pytest

from agent.generation.who import asked_of, names, says_who


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Who is Tom Baker?", "Tom Baker"),
        ("who's olga weber", "olga weber"),
        ("and who was Ada Lovelace again?", "Ada Lovelace"),
        ("Wer ist Frau Richter?", "Frau Richter"),
        ("who is responsible for the keys?", ""),
        ("who is the head of Sales?", ""),
        ("who are you?", ""),
        ("Who is CEO?", ""),
        ("who's data protection officer?", ""),
        ("Wer ist Geschäftsführer?", ""),
        ("Wer ist Datenschutzbeauftragter?", ""),
        ("Wer ist im Betriebsrat?", ""),
        ("Wer ist Ersthelfer?", ""),
        ("who is allowed to park here?", ""),
        ("what is Tom Baker's number?", ""),
    ],
)
def test_a_name_is_asked_of(question: str, name: str) -> None:
    assert asked_of(question) == name


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("The support team is led by Tom Baker.", "Tom Baker"),
        ("Its chair is Olga Weber.", "Olga Weber"),
        ("Maria Lopez is the chief executive officer.", "maria lopez"),
        ("Priya Nair leads Engineering.", "Priya Nair"),
        ("Ask Ann Smith, our office manager, for keys.", "Ann Smith"),
        ("Name: Tom Baker; Role: Head of support", "Tom Baker"),
        ("Leiterin der Buchhaltung ist Eva Kurz.", "Frau Kurz"),
        ("Contact: Ben Yu", "Ben Yu"),
        ("Tom Miller leads Sales.", "Tom"),
        ("Eva M. Kurz ist Leiterin der Buchhaltung.", "Eva"),
        ("Datenschutzbeauftragte ist Eva Kurz.", "Eva Kurz"),
    ],
)
def test_a_sentence_says_who_somebody_is(sentence: str, name: str) -> None:
    assert names(sentence, name)
    assert says_who(sentence, name)


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("Tom Baker gave a talk at the summer party.", "Tom Baker"),
        ("Tom Baker is away until Monday.", "Tom Baker"),
        ("Work clothes are handed out by Frau Richter on Tuesdays.", "Frau Richter"),
    ],
)
def test_a_sentence_that_only_names_somebody_does_not(sentence: str, name: str) -> None:
    assert names(sentence, name)
    assert not says_who(sentence, name)


def test_somebody_else_of_the_first_name_is_not_meant() -> None:
    assert not names("Tom Miller leads Sales.", "Tom Baker")
