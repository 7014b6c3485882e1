"""Slack's markup read, and Markdown that calls nobody."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.slack.text import BREAK, calm, escaped, plain

CALLS = re.compile(r"<\\?[@#!]|@(?:channel|here|everyone)\b", re.IGNORECASE)
PIECES = [*"<>!@#|&\\ \nU1", "here", "channel", "EVERYONE", "<!", "<@U1>", BREAK]
MARKUP = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("<@UBOT> what is new?", "what is new?"),
        ("hey <@UBOT|atelier>, ask <@U2> too", "hey , ask <@U2> too"),
        ("<https://a.example/x|the docs>", "the docs (https://a.example/x)"),
        ("<https://a.example/x>", "https://a.example/x"),
        ("<http://a.example|a.example>", "http://a.example"),
        ("<mailto:ann@a.example|ann@a.example>", "ann@a.example"),
        ("<#C1|general> and <#C2>", "#general and #C2"),
        ("<!here> <!channel|channel> <!subteam^S1|@design>", "@here channel @design"),
        ("<!date^1392734382^{date}|18 February>", "18 February"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("&amp;lt;", "&lt;"),
        ("half \ud83d and \0 nothing", "half ? and  nothing"),
        ("a\n<@UBOT>\nb", "a\n \nb"),
    ],
)
def test_what_people_wrote(sent: str, read: str) -> None:
    assert plain(sent, "UBOT") == read


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<!channel> look", f"@{BREAK}channel look"),
        ("@here and @Everyone", f"@{BREAK}here and @{BREAK}Everyone"),
        ("<@U123> and <@W1|ann>", "@U123 and @ann"),
        ("<#C1|general>", "#general"),
        ("<<!here>!here>", f"<{BREAK}@{BREAK}here!here>"),
        ("<@<!here>U1>", f"<{BREAK}@@hereU1>"),
        ("<!subteam^S1>", f"<{BREAK}!subteam^S1>"),
        ("mail ann@here.example", f"mail ann@{BREAK}here.example"),
        ("1 < 2, a@b.example, #1", "1 < 2, a@b.example, #1"),
    ],
)
def test_what_atelier_says_calls_nobody(said: str, shown: str) -> None:
    assert calm(said) == shown


@given(st.text() | MARKUP)
def test_nothing_calls_anybody_and_a_second_pass_changes_nothing(text: str) -> None:
    assert not CALLS.search(calm(text))
    assert calm(calm(text)) == calm(text)


@given(st.text() | MARKUP, st.integers(1, 60))
def test_escaped_text_fits_and_is_cut_between_entities(text: str, limit: int) -> None:
    shown = escaped(text, limit)
    assert len(shown) <= limit
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", shown)


@given(st.text(st.characters(exclude_categories=())) | MARKUP)
def test_plain_text_can_be_stored(text: str) -> None:
    read = plain(text, "UBOT")
    assert "\0" not in read
    read.encode()
