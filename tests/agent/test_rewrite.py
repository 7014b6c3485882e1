"""A follow-up is searched with the words it leaves out; a question that stands alone is searched as it is."""

from collections.abc import Sequence
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.message import History, Line
from agent.rewrite import content_words, standalone


def after(*said: str) -> History:
    lines = [Line("user", text) for text in said]
    return History("", tuple(line for asked in lines for line in (asked, Line("assistant", "An answer."))))


@pytest.mark.parametrize(
    ("before", "message", "expected"),
    [
        ("What is the VAT rate in France?", "and in Germany?", "What is the VAT rate in Germany?"),
        ("What is the VAT rate for France?", "and for Germany?", "What is the VAT rate for Germany?"),
        ("How long is the warranty for laptops?", "what about for phones?", "How long is the warranty for phones?"),
        ("How do I install it on Windows?", "and on Linux?", "How do I install it on Linux?"),
        ("How many people live in Paris?", "and London?", "How many people live in London?"),
        ("Who founded New York?", "what about Los Angeles?", "Who founded Los Angeles?"),
        ("Can I pay with a credit card?", "or with PayPal?", "Can I pay with PayPal?"),
        ("How much leave do I get?", "and in the first year?", "How much leave do I get in the first year"),
        ("How much leave do I get?", "and part time?", "How much leave do I get part time"),
        ("how much holiday do i get?", "what about sick leave", "how much sick leave do i get?"),
        ("how many days of vacation do i have?", "what about overtime?", "how many days of overtime do i have?"),
        ("how much is the lumen mini", "what about the pro?", "how much is the pro"),
        ("can I bring my dog?", "how about my cat?", "can I bring my cat?"),
        ("德国的增值税是多少?", "那法国呢?", "德国的增值税是多少? 法国"),
    ],
)
def test_a_phrase_takes_the_place_of_the_one_it_stands_for(before: str, message: str, expected: str) -> None:
    assert standalone(message, after(before)) == expected


@pytest.mark.parametrize(
    ("before", "message", "words"),
    [
        ("How do I reset my password?", "why?", ["reset", "password"]),
        ("How do I book a meeting room?", "how long does it last?", ["meeting", "room"]),
        ("What is the travel policy?", "who approved it?", ["travel", "policy"]),
        ("What is the travel policy?", "does it apply to contractors?", ["travel", "policy", "contractors"]),
        ("Which plans do you offer?", "how much is the second one?", ["plans", "offer"]),
        ("Where is the Berlin office?", "how do I get there?", ["Berlin", "office"]),
        ("Who is Ada Lovelace?", "when was she born?", ["Ada", "Lovelace", "born"]),
        ("What is SCAMPER?", "can you explain that?", ["SCAMPER"]),
        ("What is SCAMPER?", "and how does it work?", ["SCAMPER"]),
        ("Tell me about the parental leave", "more details please", ["parental", "leave"]),
        ("What does the Pro plan cost?", "how much exactly is that?", ["Pro", "plan"]),
    ],
)
def test_what_a_follow_up_points_at_is_searched_too(before: str, message: str, words: list[str]) -> None:
    query = standalone(message, after(before))
    assert [word for word in words if word not in query] == []
    assert query.endswith(message)


def test_a_follow_up_with_a_verb_of_its_own_leaves_the_old_one() -> None:
    assert "add" not in standalone("how do I install it?", after("How do I add my documents?"))
    assert "reset" in standalone("why?", after("How do I reset my password?"))


@pytest.mark.parametrize(
    "message",
    [
        "How do I install Atelier?",
        "Is it possible to export my data?",
        "How long does it take to get a refund?",
        "Which file types can be read?",
        "What is the capital of France?",
        "Does the company pay for public transport?",
        "Is there a gym in the office?",
        "I think that the handbook needs a chapter on safety",
        "Who do I ask about payroll taxes?",
        "Where can I find the documents that explain parental leave?",
        "And how do I connect Slack with Telegram channels?",
        "brainstorm names for a coffee shop",
        "who are you",
        "what can you do?",
        "wer bist du?",
        "Was kannst du?",
        "what is the policy on remote work?",
        "how do they calculate overtime pay for part-time staff?",
        "怎么安装这个软件?",
    ],
)
def test_a_complete_question_stays_as_it_is(message: str) -> None:
    assert standalone(message, after("What is the VAT rate in France?")) == message


@pytest.mark.parametrize("message", ["and a{}x", "for a{}x?", "no, I meant a{}x?!x"])
def test_a_run_of_spaces_holds_nobody_up(message: str) -> None:
    began = process_time()
    standalone(message.format(" " * 30_000), after("How long is the notice period?"))
    assert process_time() - began < 1


def test_of_a_long_text_no_phrase_is_asked_for() -> None:
    def never(_phrase: str, _others: Sequence[str]) -> list[float]:
        raise AssertionError("each phrase costs an encoder's time")

    text = "Is this right? " + " and ".join(f"Anna{n} packs boxes" for n in range(100))
    assert standalone("and what about trains?", after(text), never)


def test_a_chain_of_follow_ups_keeps_the_first_topic() -> None:
    chain = after("What is the VAT rate in France?", "and in Germany?", "thanks!")
    assert standalone("and in Spain?", chain) == "What is the VAT rate in Spain?"


KINDS = {
    "contractors": "people",
    "part-time staff": "people",
    "full-time employees": "people",
    "my cat": "pet",
    "dog": "pet",
}


def by_kind(phrase: str, others: Sequence[str]) -> list[float]:
    """Near where a kind is shared, as an encoder would say."""
    return [0.6 if KINDS.get(phrase) == KINDS.get(other, other) else 0.1 for other in others]


@pytest.mark.parametrize(
    ("before", "message", "expected"),
    [
        ("how many days do full-time employees have?", "what about contractors?", "how many days do contractors have?"),
        (
            "how many days do full-time employees have?",
            "for part-time staff?",
            "how many days do part-time staff have?",
        ),
        ("can I bring my dog?", "and my cat?", "can I bring my cat?"),
        ("is the shop in London open?", "what about trains?", "what about trains?"),
        (
            "how long is the notice period?",
            "no, I meant during probation",
            "how long is the notice period during probation",
        ),
        (
            "how many days do full-time employees have?",
            "sorry, I meant contractors",
            "how many days do contractors have?",
        ),
        ("when does the office open?", "on Saturdays too?", "when does the office open on Saturdays"),
    ],
)
def test_the_phrase_that_is_of_its_kind_gives_way(before: str, message: str, expected: str) -> None:
    assert standalone(message, after(before), by_kind) == expected


def test_what_was_asked_of_an_answer_and_small_talk_are_no_topic() -> None:
    said = after("Who founded New York?", "are you sure?", "where is that written?", "thanks!", "tell me more")
    assert standalone("what about Los Angeles?", said) == "Who founded Los Angeles?"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("und für Leiharbeiter?", ["Urlaubstage", "für Leiharbeiter"]),
        ("gilt das auch für Leiharbeiter?", ["Urlaubstage", "Leiharbeiter"]),
    ],
)
def test_a_german_follow_up_is_completed_too(message: str, words: list[str]) -> None:
    query = standalone(message, after("Wie viele Urlaubstage haben Angestellte?"))
    assert [word for word in words if word not in query] == []


def test_a_german_question_after_und_stands_alone() -> None:
    asked = "und wann verfällt der Resturlaub?"
    assert standalone(asked, after("Wie viele Urlaubstage haben Angestellte?")) == asked


def test_the_first_message_has_nothing_to_point_at() -> None:
    assert standalone("why?", History()) == "why?"


_LEFT_OUT = {"same", "呢", "y", "et", "qué", "aus"}  # that only say that it goes on


@given(st.lists(st.text(max_size=60), max_size=5), st.text(max_size=80))
def test_any_conversation_is_survived_and_the_message_is_not_lost(said: list[str], message: str) -> None:
    query = standalone(message, after(*said))
    if not said:
        assert query == message
    assert (
        all(
            word in query
            for word in content_words(message)
            if word.casefold() not in {"same", "呢", "y", "et", "qué", "aus"}
        )
        or "呢" in message
    )


@pytest.mark.parametrize(
    ("message", "query"),
    [
        ("what does the onboarding page say about the first week?", "the first week onboarding page"),
        ("was steht im Handbuch über Urlaub?", "Urlaub"),
        ("what does the travel policy say about meals?", "meals travel policy"),
        ("was steht in der Hausordnung über Hunde?", "Hunde Hausordnung"),
        ("what does the contract say?", "what does the contract say?"),
        ("what does the manual say about that?", "charge drill that"),
    ],
)
def test_what_a_page_says_on_something_is_searched_by_that(message: str, query: str) -> None:
    assert standalone(message, after("How do I charge the drill?")) == query


def test_joined_words_carry_no_topic() -> None:
    assert content_words("what's the warranty if it doesn't start?") == ["warranty", "start"]
    assert content_words("can't I bring my dog? won't they let it in?") == ["bring", "dog"]
