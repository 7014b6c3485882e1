"""Asked who somebody is, Atelier quotes a sentence that says it; one that only names them is given as no more."""

import pytest

from agent.generation.who import asked_of, asked_whom, names, names_somebody, says_who


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
        ("- IT (Tom Baker): laptops and passwords", "Tom Baker"),
        ("At nine Priya Nair from People Operations meets you.", "Priya"),
        ("Für Passwörter ist Herr Yilmaz zuständig.", "Herr Yilmaz"),
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


@pytest.mark.parametrize(
    ("question", "what"),
    [
        ("who is responsible for heating?", "heating"),
        ("and who do I ask about my laptop?", "my laptop"),
        ("Who looks after the keys", "the keys"),
        ("Wer ist für Passwörter zuständig?", "Passwörter"),
        ("an wen wende ich mich wegen Gehalt?", "Gehalt"),
        ("who approves my leave?", ""),
        ("who is Ann Smith?", ""),
    ],
)
def test_for_what_somebody_is_asked_after_is_known(question: str, what: str) -> None:
    assert asked_whom(question) == what


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("- Facilities (Anna Gruber): keys, desks, heating", True),
        ("Für Gehalt ist Frau Hoffmann da.", True),
        ("Write to it@birch.example.", True),
        ("Your team lead approves it.", True),
        ("The heating is on from October.", False),
    ],
)
def test_an_entry_names_somebody_to_turn_to(text: str, *, is_one: bool) -> None:
    assert names_somebody(text) is is_one
