"""A question is answered by the entry that asks the same, also in other words or mistyped, and by no near miss."""

import numpy as np
import pytest

from agent.support.matching import Matcher, read

BOOK = {
    "Where can I pick up my parcel?": "desk",
    "Has a package come for me?": "desk",
    "How do I send a parcel?": "post room",
    "How do I book a company bike?": "bike",
    "Who do I ask about my health insurance?": "Lena",
    "When is the summer party?": "July",
    "Where is the summer party?": "courtyard",
    "How do I cancel my gym membership?": "mail",
    "How long is the probation period?": "six months",
    "Wie melde ich mich krank?": "anrufen",
}


@pytest.fixture(scope="module")
def matcher(encoder) -> Matcher:
    return Matcher(encoder)


def answered(matcher: Matcher, encoder, text: str, book: dict[str, str]) -> str:
    questions = list(book)
    vectors = encoder([text, *questions])
    known = [read(each) for each in questions]
    sure = matcher.probabilities(read(text), vectors[0], known, vectors[1:], list(book.values()))
    assert sure.shape == (len(questions),)
    best = int(np.argmax(sure))
    return book[questions[best]] if sure[best] >= matcher.threshold else ""


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("where can i pick up my parcel", "desk"),
        ("Where can I pick up my pracel?", "desk"),
        ("How can I send a parcel", "post room"),
        ("How can I book a bike of the company?", "bike"),
        ("who can I ask about health insurance", "Lena"),
        ("When does the summer party take place?", "July"),
        ("Where does the summer party take place?", "courtyard"),
        ("How can I cancel my membership of the gym?", "mail"),
        ("Wie kann ich mich krank melden?", "anrufen"),
    ],
)
def test_who_asks_the_same_is_answered(matcher, encoder, text: str, answer: str) -> None:
    assert answered(matcher, encoder, text, BOOK) == answer


@pytest.mark.parametrize(
    "text",
    [
        "Why is there a summer party?",
        "How long can a sabbatical be?",
        "How long is parental leave?",
        "When is the christmas party?",
        "How do I book a company car?",
        "Who do I ask about my car insurance?",
        "What is the capital of France?",
        "Wo finde ich die Parkkarte?",
    ],
)
def test_a_near_miss_is_not(matcher, encoder, text: str) -> None:
    assert answered(matcher, encoder, text, BOOK) == ""


def test_a_book_of_one_entry_is_no_less_strict(matcher, encoder) -> None:
    book = {"Where can I pick up my parcel?": "desk"}
    assert answered(matcher, encoder, "Where do I get my parcel?", book) == "desk"
    for other in ("How do I send a parcel abroad?", "Where can I pick up my laptop?", "How many days off do I have?"):
        assert answered(matcher, encoder, other, book) == "", other
    assert answered(matcher, encoder, "Wohin?", {"?": "nothing"}) == ""


def test_an_encoder_that_shows_no_words_in_context_serves_too(encoder) -> None:
    class Plain:
        dim, id = encoder.dim, "plain"

        def __call__(self, texts):
            return encoder(texts)

    matcher = Matcher(Plain())
    assert answered(matcher, encoder, "where can i pick up my parcel", BOOK) == "desk"
    assert matcher.threshold > Matcher(encoder).threshold  # nothing was fitted on it
    assert answered(matcher, encoder, "What is the capital of France?", BOOK) == ""
