"""A passage is cut into sentences, items, rows and code: what can be quoted by itself."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.generation.sentences import Kind, cut


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
    st.lists(st.sampled_from(["- a", "1. b", "| c | d |", "```", "Text. More", "", "  x:", "| - | - |", "年。"])).map(
        "\n".join
    )
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
