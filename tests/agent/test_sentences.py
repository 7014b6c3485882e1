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
    assert not any(cut(said)[0].asks for said in ('Our motto is "Why not?"', "We meet at noon (or later?)"))
    assert all(cut(said)[0].asks for said in ("“Why not?”", "**(Who pays?)**", '- "Who pays?"'))
    assert texts("什么时候发工资？每月25日。") == ["什么时候发工资？每月25日。"]
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


def test_a_sentence_with_an_aside_is_not_cut_where_it_is_wrapped():
    assert not [unit for text in WRAPPED for unit in cut(text) if unit.kind is Kind.FIELD]
    said = "Anna: We should move the launch to the first week of June\nBen: The printer needs two weeks."
    assert [unit.text for unit in cut(said)] == said.split("\n")


WRAPPED = (
    "The design team - which was founded by Ann and has grown since\nthen - works on the third floor.",
    "Our team - tents and boats, founded in 2012 in the city of\nBerlin - has twelve people.",
    "Berlin: our head office, where most of the\npeople work: engineers, designers and writers.",
)
