"""A passage is cut into sentences, items, rows and code: what can be quoted by itself."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.generation.sentences import Kind, cut, name_of


def test_a_passage_is_cut_into_what_can_be_quoted():
    units = cut(
        "Mr. Smith of the U.S. Army paid $3.50, e.g. in May. He left.\n"
        "Steps:\n\n1. Open\n   it\n2. Close\n\n```\na. B\n```"
    )
    assert [(unit.kind, unit.text) for unit in units] == [
        (Kind.SENTENCE, "Mr. Smith of the U.S. Army paid $3.50, e.g. in May."),
        (Kind.SENTENCE, "He left."),
        (Kind.SENTENCE, "Steps:"),
        (Kind.ITEM, "1. Open it"),
        (Kind.ITEM, "2. Close"),
        (Kind.CODE, "```\na. B\n```"),
    ]
    assert [unit.text for unit in cut("年假十五天。\n可以保留！真的吗？")] == ["年假十五天。", "可以保留！", "真的吗？"]
    assert [unit.text for unit in cut("Er kam am 3. Mai 2020. Dann ging er.")] == [
        "Er kam am 3. Mai 2020.",
        "Dann ging er.",
    ]


@given(
    st.lists(
        st.sampled_from(
            ["- a", "1. b", "Name: f", "Who - g?", "| c | d |", "```", "Text. More", "", "  x:", "| - | - |", "年。"]
        )
    ).map("\n".join)
)
@settings(max_examples=200, deadline=None)
def test_cutting_loses_no_word(text):
    said = " ".join(f"{unit.head} {unit.text}" for unit in cut(text))
    assert set(re.findall(r"\w", text)) <= set(re.findall(r"\w", said))


def test_a_number_is_not_cut_from_what_it_numbers():
    assert [unit.text for unit in cut("Key no. 12 is lost. He said no. Then ext. 42 rang.")] == [
        "Key no. 12 is lost.",
        "He said no.",
        "Then ext. 42 rang.",
    ]


def test_a_question_stands_with_the_sentence_that_answers_it():
    def texts(passage: str) -> list[str]:
        return [unit.text for unit in cut(passage)]

    assert texts("Dogs? Yes, on Fridays. No cats.") == ["Dogs? Yes, on Fridays.", "No cats."]
    assert texts("**Can I bring a dog?**\n\nYes, on Fridays.") == ["**Can I bring a dog?** Yes, on Fridays."]
    assert texts("Open: who pays? who asks?\n\nThe lease ends in May.") == [
        "Open: who pays?",
        "who asks?",
        "The lease ends in May.",
    ], "the next paragraph is about something else"
    assert texts("“Why now?” he asked.") == ["“Why now?” he asked."]
    bring = cut("What do I bring?\n- a photo")
    assert [unit.text for unit in bring if unit.announces] == ["What do I bring?"]
    assert not cut("Who pays? Bob.")[0].asks
    assert [unit.asks for unit in cut("- Who pays?\n- Who asks? Ann.")] == [True, False]


def test_lines_of_names_and_what_belongs_to_them_are_quoted_one_by_one():
    units = cut("Contact:\nPhone: +49 30 1234\n**E-mail:** help@acme.example\nARPU - revenue a user")
    assert [(unit.kind, unit.text) for unit in units] == [
        (Kind.SENTENCE, "Contact:"),
        (Kind.FIELD, "Phone: +49 30 1234"),
        (Kind.FIELD, "**E-mail:** help@acme.example"),
        (Kind.FIELD, "ARPU - revenue a user"),
    ]
    assert [name_of(unit) for unit in units[1:]] == ["Phone", "E-mail", "ARPU"]
    assert [unit.text for unit in cut("Q: Do you refund?\nA: Within a week.")] == [
        "Q: Do you refund? A: Within a week."
    ]
    assert [unit.kind for unit in cut("Note: the door\nis open.")] == [Kind.SENTENCE]
