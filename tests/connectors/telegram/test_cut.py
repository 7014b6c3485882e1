"""Long answers in parts: every part fits, and no word of any text is lost."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.events import Button, Outgoing
from agent.message import Place, Source
from connectors.telegram import cut
from connectors.telegram.cut import parts
from connectors.telegram.markdown import settle
from connectors.telegram.render import MOST_ENTITIES, MOST_UNITS, Rendered, render, units

PLACE = Place("telegram", "acme", "7")
MARKS = "ab \n*_`~#>-+|[]()<!:1.\\&$=é😀"
BLOCKS = (
    "A **bold** word, a [link](https://example.com/x_y) and `code`.",
    "# Heading",
    "- one\n- two\n  - three\n  ```py\n  x = '<b>'\n  ```",
    "1. first\n2. second **strong**",
    "> quoted *slanted* words\n> and more",
    "| a | b |\n|---|---|\n| one | two |\n| three || ",
    "```python\nif a || b:\n    print('$1')\n```",
    "~~~\nnever closed",
    "    indented <i>code</i>",
    "<div>\nhidden\n</div>",
    "[ref]: https://example.com",
    "$x$ and ||spoiler|| and <b>html</b>",
    "你好世界。" * 20,
    "word " * 60,
)
messy = st.one_of(st.text(max_size=60), st.text(MARKS, max_size=60), st.sampled_from(BLOCKS))
long_texts = st.builds(
    lambda pieces, gap, size: (gap.join(pieces) + gap) * (1 + size // (len(gap.join(pieces)) + 1)),
    st.lists(messy, min_size=1, max_size=8),
    st.sampled_from(["\n\n", "\n", " ", ""]),
    st.sampled_from([0, 5000, 9000]),
)


def shown(outgoing: Outgoing) -> list[Rendered]:
    return [render(part) for part in parts(outgoing)]


def letters(text: str) -> list[str]:
    return [character for character in text if character.isalpha()]


def is_within(few: Iterable[str], many: Iterable[str]) -> bool:
    """Whether `few` all come in `many`, in order."""
    rest = iter(many)
    return all(letter in rest for letter in few)


def check(rendered: Rendered) -> None:
    assert units(rendered.text) <= MOST_UNITS
    assert rendered.text == rendered.text.strip() != ""
    assert len(rendered.entities) == rendered.formats <= MOST_ENTITIES
    for entity in rendered.entities:
        assert 0 <= entity.offset < entity.offset + entity.length <= units(rendered.text)


@settings(max_examples=60, deadline=None)
@given(long_texts)
def test_every_part_of_any_text_is_valid_and_no_word_is_lost(text: str) -> None:
    outgoing = Outgoing(PLACE, text)
    messages = shown(outgoing)
    for message in messages:
        check(message)
    whole = render(outgoing).text
    assert is_within(letters(whole), letters("".join(message.text for message in messages)))


@settings(max_examples=6, deadline=None)
@given(long_texts, st.integers(20_000, 40_000))
def test_of_a_text_that_is_longer_than_is_looked_at_no_word_is_lost_either(text: str, size: int) -> None:
    outgoing = Outgoing(PLACE, (text * size)[:size])
    messages = shown(outgoing)
    for message in messages:
        check(message)
    assert is_within(letters(render(outgoing).text), letters("".join(message.text for message in messages)))


@settings(max_examples=30, deadline=None)
@given(long_texts)
def test_a_part_is_its_own_only_part(text: str) -> None:
    for part in parts(Outgoing(PLACE, text)):
        assert parts(part) == [part]


@settings(max_examples=50, deadline=None)
@given(
    text=messy,
    labels=st.lists(st.text(max_size=200), max_size=40),
    notice=st.text(max_size=300),
    size=st.sampled_from([1, 30]),
)
def test_sources_notice_and_suggestions_stand_under_the_last_part(text, labels, notice, size) -> None:
    outgoing = Outgoing(
        PLACE,
        text * size,
        sources=tuple(Source(number, label * size, number) for number, label in enumerate(labels, 1)),
        notice=notice * size,
        buttons=(Button("b1", "👍"),),
        suggestions=("How long?",),
    )
    cut = parts(outgoing)
    for part in cut:
        check(render(part))
    assert [part.buttons for part in cut] == [()] * (len(cut) - 1) + [outgoing.buttons]
    assert render(cut[-1]).text.endswith("• How long?")
    words = letters("".join(label * size for label in labels))
    assert is_within(words, letters("".join(render(part).text for part in cut)))


def test_a_short_answer_is_one_part_and_unchanged() -> None:
    outgoing = Outgoing(PLACE, "Hello **you**", buttons=(Button("a", "b"),))
    assert parts(outgoing) == [outgoing]


def test_paragraphs_stay_whole() -> None:
    paragraph = "Tea is best with friends. " * 30
    messages = shown(Outgoing(PLACE, "\n\n".join([paragraph.strip()] * 12)))
    assert len(messages) == 3
    assert {line for message in messages for line in message.text.split("\n\n")} == {paragraph.strip()}


def test_a_long_paragraph_is_cut_after_a_sentence() -> None:
    messages = shown(Outgoing(PLACE, "Tea is best with good friends. " * 300))
    assert all(message.text.endswith("friends.") for message in messages)


def test_code_goes_on_in_a_fence_of_its_own() -> None:
    lines = [f"print({number})  # {'x' * 40}" for number in range(200)]
    messages = shown(Outgoing(PLACE, "Look:\n\n```python\n" + "\n".join(lines) + "\n```\n\nThat was it."))
    code = [message for message in messages if message.entities]
    assert len(code) == 3
    for message in code:
        (entity,) = message.entities
        assert (entity.type, entity.language) == ("pre", "python")
    assert re.findall(r"print\(\d+\)", "".join(message.text for message in messages)) == [
        line.split("  ")[0] for line in lines
    ]
    assert messages[-1].text.endswith("That was it.")


def test_a_table_goes_on_under_its_head() -> None:
    rows = "\n".join(f"| tea {number} | {'leaf ' * 8} |" for number in range(200))
    messages = shown(Outgoing(PLACE, f"| name | what |\n|---|---|\n{rows}"))
    assert len(messages) > 1
    for message in messages:
        assert message.text.startswith("name ")
        assert [entity.type for entity in message.entities] == ["pre"]


def test_more_than_a_hundred_formats_make_a_second_part() -> None:
    messages = shown(Outgoing(PLACE, "\n\n".join(f"**idea {number}** is `good`" for number in range(80))))
    assert len(messages) == 2
    assert sum(len(message.entities) for message in messages) == 160


@pytest.mark.parametrize("mark", ["**", "_", "`", "~~"])
def test_no_format_is_cut_open(mark: str) -> None:
    formatted = f"{mark}{'words in a format ' * 12}here{mark}"
    messages = shown(Outgoing(PLACE, f"{formatted} and plain words " * 60))
    assert len(messages) > 2
    assert not any(mark in message.text for message in messages)
    assert sum(len(message.entities) for message in messages) == 60


@pytest.mark.parametrize("mark", ["**", "_", "`", "~~"])
def test_a_format_longer_than_is_looked_at_is_given_up_and_not_cut_open(mark: str) -> None:
    messages = shown(Outgoing(PLACE, f"Before it. {mark}{'words in a format ' * 2000}here{mark} and **behind** it."))
    assert not any(mark in message.text for message in messages)
    assert [entity.type for message in messages for entity in message.entities] == ["bold"]
    assert sum(message.text.count("format") for message in messages) == 2000


def test_of_a_link_only_the_words_take_room() -> None:
    (message,) = shown(Outgoing(PLACE, f"[The picture](data:image/png;base64,{'x' * 60_000}) of it"))
    assert message.text == "The picture of it"


def test_an_item_that_comes_to_the_margin_takes_only_its_own_along() -> None:
    text = f"- one {'word ' * 700}\n    - two {'word ' * 300}\n        - three\n- four\n    - five"
    _, last = shown(Outgoing(PLACE, text))
    assert last.text.startswith("• two")
    assert last.text.endswith("\n  • three\n• four\n  • five")


@pytest.mark.parametrize(
    "text", ["- " * 5000 + "x", "> " * 5000 + "x", "|a" * 3000 + "\n" + "|-" * 3000 + "\n|b" * 3000]
)
def test_a_short_text_cannot_stand_for_a_huge_one(text: str) -> None:
    messages = shown(Outgoing(PLACE, text))
    assert sum(len(message.text) for message in messages) < 3 * len(text)


def test_nothing_to_show_is_one_part() -> None:
    for text in ("", " \n", "\u200b", "[](https://example.com)"):
        assert [message.text for message in shown(Outgoing(PLACE, text))] == ["…"]
    assert shown(replace(Outgoing(PLACE, ""), notice="No model."))[0].text == "No model."


RUNS = ("```\nx\n```\n", "```\n", "- one\n", "[", "**b** ", "# h\n", "|a|b|\n|-|-|\n|c|d|\n\n", "`a")
LONG = 40_000  # characters


@pytest.mark.parametrize("run", RUNS)
def test_a_long_answer_is_read_a_few_times_over(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each part. What is rendered and parsed is counted: time depends on what else runs."""
    read = 0

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def counting(text: str | Outgoing) -> object:
            nonlocal read
            read += len(text if isinstance(text, str) else text.text)
            return function(text)

        return counting

    monkeypatch.setattr(cut, "render", counted(cut.render))
    monkeypatch.setattr(cut, "spans", counted(cut.spans))
    parts(Outgoing(PLACE, (run * LONG)[:LONG]))
    assert read < 30 * LONG


def test_code_between_tables_is_settled_in_linear_time() -> None:
    took = []
    for count in (500, 4000):
        text = "`a`\n\n|a|b|\n|-|-|\n|c|d|\n\n" * count
        began = process_time()
        settle(text)
        took.append(process_time() - began)
    assert took[1] < 20 * took[0]
