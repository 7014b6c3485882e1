"""Markdown as Telegram's text and entities: against golden files, and for any text."""

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telegram import MessageEntity

from agent.events import Button, Outgoing
from agent.message import Place, Source
from connectors.telegram.markdown import clean, escape
from connectors.telegram.render import NOTHING, Rendered, keyboard, render
from tests.connectors.telegram.test_cut import MARKS, is_within, letters

PLACE = Place("telegram", "acme", "7")
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.md"))
SCRAPS = (
    "word", "**", "`", "```\n", "\n", "\n\n", "> ", "- ", "    ", "| a | b |\n|---|---|\n", "|", "||", "<b>", "</b>",
    "<!--", "-->", "<div>\n", "$y$", "~~", "~", "\\", "# ", "1. ", "]: ", "[y]", "[^1]", "---\n", "===\n",
)  # fmt: skip
# Words in a link's address and a language after a fence are not shown, and [x] is a tick.
shown_texts = st.one_of(
    st.lists(st.sampled_from(SCRAPS), max_size=25).map("".join),
    st.text("ab \n*_#>+|<!:1.\\$=\t[](é😀", max_size=80).filter(lambda text: "](" not in text),
)


def shown(text: str, **outgoing: object) -> Rendered:
    return render(Outgoing(PLACE, text, **outgoing))


def described(rendered: Rendered) -> str:
    """The text, and each entity with what it covers, as a golden file has it."""
    units = rendered.text.encode("utf-16-le")
    lines = []
    for entity in rendered.entities:
        covered = units[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le")
        detail = entity.url or entity.language or ""
        lines.append(f"{entity.type} {detail}".strip() + f": {json.dumps(covered, ensure_ascii=False)}")
    return "\n".join([rendered.text, "=====", *lines, ""])


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_markdown_looks_as_in_the_golden_file(path: Path) -> None:
    """With GOLDEN=write in the environment the files are written anew: then read the difference."""
    actual = described(shown(path.read_text("utf-8")))
    expected = path.with_suffix(".txt")
    if os.environ.get("GOLDEN") == "write":
        expected.write_text(actual, "utf-8")
    assert actual == expected.read_text("utf-8")


def test_there_are_golden_files() -> None:
    assert len(GOLDEN) >= 4


@settings(max_examples=300, deadline=None)
@given(shown_texts)
def test_rendering_loses_no_letter(text: str) -> None:
    text = re.sub(r"(?m)(`{3,}|~{3,})[ \t]*[\w+#.-]{1,32}[ \t]*$", "", text)  # a language is shown as one
    assert is_within(letters(text), letters(shown(text).text))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.text(MARKS, max_size=80))
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    rendered = shown(escape(clean(text)))
    assert rendered.entities == ()
    assert rendered.text == NOTHING or "".join(rendered.text.split()) == "".join(clean(text).split())


def test_sources_notice_and_suggestions_are_plain_paragraphs_under_the_text() -> None:
    rendered = shown(
        "Brew it **hot** [1].",
        sources=(Source(1, "guide_to_*tea*.md, page 3", 7), Source(2, "a\nb", 8)),
        notice="The model was slow.",
        suggestions=("How long?", "Which leaf?"),
    )
    assert rendered.text == (
        "Brew it hot [1].\n\n[1] guide_to_*tea*.md, page 3\n[2] a b\n\nThe model was slow.\n\n"
        "You could ask:\n• How long?\n• Which leaf?"
    )
    assert [rendered.text[e.offset : e.offset + e.length] for e in rendered.entities] == ["hot", "The model was slow."]
    assert rendered.entities[1].type == MessageEntity.ITALIC


def test_what_stands_after_a_fence_and_is_no_language_is_shown() -> None:
    rendered = shown("> - ```python 3 is <b>\n>   code\n>   ```\n\n~~~ruby\nputs\n~~~")
    assert rendered.text == "• python 3 is <b>\ncode\n\nputs"
    assert [entity.language for entity in rendered.entities if entity.type == "pre"] == [None, "ruby"]


def test_only_links_into_the_web_are_links() -> None:
    rendered = shown(
        "[a](https://a.example) [b](tg://user?id=1) [c](javascript:x) ![d](tg://emoji?id=5368324170671202286)"
    )
    assert rendered.text == "a b c d"
    assert [entity.url for entity in rendered.entities] == ["https://a.example"]


def test_characters_that_telegram_deletes_do_not_shift_entities() -> None:
    rendered = shown("a\r\nb\u202e \x07**c**\ud800")
    assert rendered.text == "a\nb  c?"
    (entity,) = rendered.entities
    assert (entity.offset, entity.length) == (5, 1)


def test_a_message_holds_a_hundred_formats_and_says_how_many_it_had() -> None:
    rendered = shown(" ".join(f"**{number}**" for number in range(130)))
    assert len(rendered.entities) == 100
    assert (rendered.formats, rendered.fits) == (130, False)


def test_buttons_stand_three_a_row_and_thumbs_together() -> None:
    labels = ["👍", "👎", "Wider", "Deeper", "Why", "Sources", "I need a human to look at this"]
    rows = keyboard([Button(str(number), label) for number, label in enumerate(labels)]).inline_keyboard
    assert [[key.text for key in row] for row in rows] == [
        ["👍", "👎"],
        ["Wider", "Deeper", "Why"],
        ["Sources"],
        ["I need a human to look at this"],
    ]
    assert rows[0][1].callback_data == "1"
    assert keyboard([]) is None
