"""Outgoing text is harmless whatever a model or a document says, and still reads well."""

import itertools
import re
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.guard import LONGEST_MESSAGE, StreamCleaner, check_message, clean
from retrieval.errors import MessageRefused

ALLOWED = ("wiki.acme.com", "*.docs.acme.com")

FRAGMENTS = st.sampled_from(
    [
        *"[]()<>`!@:/.#|\\\"'*_~- \n\t",
        "http://", "https://", "HTTPS:", "hxxp://", "//", "www.", "evil.com", "evil.com/?q=1", "wiki.acme.com",
        "a.docs.acme.com/x", "javascript:", "data:text/html,", "mailto:bob@acme.com", "user:pw@", "![", "](", "[x](",
        "<a href=", "<img src=", "</a>", "<!channel>", "<@U123>", "<!subteam^S1|@here>", "@channel", "@here",
        "@everyone", "```", "```py\n", "~~~\n", "``", "word", "two words", "[1]", "[^1]", "[.]", "[secret]",
        "\u200b", "\u200d",
        "\u202e", "\U000e0041", "\x1b[31m", "\x1b]0;x\x07", "\x1b", "\x9b", "\r", "\r\n", "👩", "💻", "é", "שלום", "می",
        "\u200c", "\ufe0f", "。", "\uff0e", "\uff1a\uff0f\uff0f", "evil。com",
        "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----",
        "AKIAABCDEFGHIJKLMNOP", "ghp_" + "a1" * 18, "xoxb-1234567890-abc", "<https://evil.com|click>", "README.md",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.lists(FRAGMENTS, max_size=25).map("".join), st.text(max_size=80))
OFF_LIST = re.compile(r"(?i)https?:(?://[^\s/?#<>\"'`\\|]|/?\w)")


@given(TEXTS)
@example("<<img>a href=x>")
@example("[a](b) `[c](d)` <b")
@settings(max_examples=400, deadline=None)
def test_cleaning_twice_changes_nothing_more(text):
    once = clean(text, allowed_links=ALLOWED)
    assert clean(once, allowed_links=ALLOWED) == once


@given(TEXTS, st.lists(st.integers(0, 60), max_size=8))
@settings(max_examples=300, deadline=None)
def test_a_stream_cut_anywhere_gives_the_same_text(text, cuts):
    cleaner = StreamCleaner(allowed_links=ALLOWED)
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    assert "".join(map(cleaner.feed, pieces)) + cleaner.finish() == clean(text, allowed_links=ALLOWED)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_nothing_off_the_list_can_be_clicked_fetched_or_pinged(text):
    out = clean(text)
    assert not OFF_LIST.search(out)
    assert "`" in out or "~~~" in out or not re.search(r"!\[[^\[\]\n]*\]\([^()\s]*\)", out)
    assert not re.search(r"(?i)@(channel|here|everyone)(?![\w-])|<[!@][^<>\n]*>", out)
    assert not re.search("[\u200b\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f\x00-\x08\x0b-\x1f\x7f-\x9f]", out)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See https://evil.com/?q=secret now", "See evil[.]com/?q=secret now"),
        ("[the guide](https://evil.com/x)", "the guide (evil[.]com/x)"),
        ("[the guide](docs/install.md)", "the guide"),
        ("[x](javascript:alert(1))", "x"),
        ("[x](data:text/html;base64,AAAA)", "x"),
        ("[x](//evil.com/a)", "x"),
        ("[x](https:evil.com)", "x"),
        ("![pixel](https://evil.com/p.png?d=1)", "pixel"),
        ("[![badge](https://evil.com/b.svg)](https://evil.com)", "badge (evil[.]com)"),
        ("<https://evil.com>", "<evil[.]com>"),
        ('<a href="https://evil.com">here</a>', "here"),
        ("<img src=x onerror=alert(1)>ok", "ok"),
        ("<https://evil.com/x|click me>", "click me"),
        ("go to evil.com now", "go to evil[.]com now"),
        ("They are at https://evil.com.", "They are at evil[.]com."),
        ("(see https://evil.com/.)", "(see evil[.]com/.)"),
        ("go to www.evil.zip now", "go to www[.]evil[.]zip now"),
        ("hxxps://evil.com/a", "evil[.]com/a"),
        ("https://evil。com/a", "evil[.]com/a"),
        ("https://wiki.acme.com@evil.com/", "wiki[.]acme[.]com@evil[.]com/"),
        ("https://wiki.acme.com.evil.com/", "wiki[.]acme[.]com[.]evil[.]com/"),
        ("https://wiki.\u0430cme.com/", "wiki[.]\u0430cme[.]com/"),  # a Cyrillic letter
        ("https://wiki.acme.com/?next=https://evil.com", "https://wiki.acme.com/?next=evil[.]com"),
        ("tg://resolve?domain=x", "resolve?domain=x"),
        ("@docs.evil.com and .@evil.com", "@docs[.]evil[.]com and .@evil[.]com"),
        ("a@b.neta@evil.net, a@@evil.com", "a@b.neta@evil[.]net, a@@evil[.]com"),
        ("www.evil.com@x or a@-evil.com", "www[.]evil[.]com@x or a@-evil[.]com"),
        (f"a@{'x' * 40}.com", f"a@{'x' * 40}[.]com"),  # longer than a part of a mail address may be
        ("- a\n-evil.com", "- a\n-evil[.]com"),
        ("--evil.com /--evil.com a.-evil.com /a--evil.com", "--evil[.]com /--evil[.]com a.-evil[.]com /a--evil[.]com"),
        ("//evil.com/x.png", "evil[.]com/x.png"),
        ("\\\\\\evil.com/x.png", "evil[.]com/x.png"),
        ("a" * 50 + "://evil.com", "a" * 9 + "evil[.]com"),
        ("[x](evil.com/a(b)c 'title')", "x"),
        ("<p class=x href = 'evil'>hi</p>", "hi</p>"),
        ("hthttps://tps://evil.com", "evil[.]com"),
        ("<!channel> look", "@ channel look"),
        ("@here and @everyone", "@ here and @ everyone"),
        ("<!subteam^S1|@here> <@U12345>", "@ here @U12345"),
        ("pay\u200bpal \u202egnp.exe\u202c", "paypal gnp.exe"),
        ("a\U000e0041\U000e0042b", "ab"),
        ("\x1b[31mred\x1b[0m \x1b]8;;https://evil.com\x07link\x1b]8;;\x07", "red link"),
        ("key AKIAIOSFODNN7EXAMPLE!", "key [secret]!"),
        ("ghp_" + "a1" * 18, "[secret]"),
        ("bot 123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc", "bot [secret]"),
        ("postgres://bob:hunter2@db/x", "bob:[secret]@db/x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY-----\nafter", "[secret]\nafter"),
        ("[see](https://a.docs.acme.com/x) x", "[see](https://a.docs.acme.com/x) x"),
        ("https://wiki.acme.com/a?b=1#c.", "https://wiki.acme.com/a?b=1#c."),
    ],
)
def test_what_becomes_of_it(text, shown):
    assert clean(text, allowed_links=ALLOWED) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Run `pip install x` (see guide/install.md, line 12) [1][2].",
        "# Title\n\n- **bold** and *soft*\n- 1 < 2 and x -> y, `<div>` and a <placeholder>\n\n| a | b |\n| - | - |\n",
        "```python\nprint('<b>') ; x = a[0](1)\nself.info.com()\n\tindent   kept\n```\n",
        "```\ncurl http://localhost:8000/v1\n```",
        "Write to support@acme.com, ann.o+x@mail.acme.co.uk. Or call Node.js version 3.11.2 at 10:30, e.g. and/or 5/7.",
        "Emoji 👩‍💻 👍🏽 ❤️ 1️⃣, Persian می‌خواهم, Hindi क्‍ष, Hebrew שלום, 中文。日本語です。",
        "See README.md, setup.py, main.rs and archive.tar.gz; the ratio is 3:1.",
        "C:\\Users\\me and /usr/local/bin and ~/handbook",
        "a\tb  c\n\n\n   d",
        "def f(x): return x  # [not a link] (really)",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert clean(text) == text


def test_words_are_released_as_they_come():
    cleaner = StreamCleaner()
    assert cleaner.feed("Hello wor") == "Hello "
    assert cleaner.feed("ld [1] and") == "world [1] "
    assert cleaner.feed(" [link") == "and "
    assert cleaner.feed(" text](https://evil.com/a) done") == "link text (evil[.]com/a) "
    assert cleaner.finish() == "done"


def test_a_long_hostile_line_is_cleaned_in_little_time():
    parts = [*"[]()<>`~|\\/!:.@#-_*'\" \t", "a", "1", "` ", "`` ", "> ", "~ ", "[ ", "< ", "<a ", "a.", "a.-", "a+"]
    parts += ["](", "[](", "[[a]", "href=", "href ", "https://", "http", "//", "a:", "a@", "eyJaaaaaaaa-", "<!", "a()"]
    parts += ["--a", "_-a", "a--bb."]
    starts = ["", "[//", "[x](", "[x](a", "[x]('", "<a ", "```\n"]
    for start, part in itertools.product(starts, parts):
        # 0.002 s for 800 characters; a quadratic rule takes 0.04 s, and a second for five times as many
        if _seconds(start, part, 800) > 0.015:
            assert _seconds(start, part, 4_000) < 0.5, (start, part)


def _seconds(start: str, part: str, length: int) -> float:
    began = process_time()
    assert "https://evil.com" not in clean(start + part * (length // len(part)) + " https://evil.com")
    return process_time() - began


@pytest.mark.parametrize("part", ["`", "` ", "``` ", "~ ", "> ", "> ` ", " ", "\\", "[", "<", "(", "](", "-eyJ"])
def test_a_message_of_one_mark_is_cleaned_at_once(part):
    began = process_time()
    clean(part * (32_000 // len(part)))
    assert process_time() - began < 2


def test_an_incoming_message_is_checked():
    assert check_message("  hi\x00 there\u200b\r\n") == "hi there"
    with pytest.raises(MessageRefused, match="empty"):
        check_message(" \u200b\n")
    with pytest.raises(MessageRefused, match="32,000"):
        check_message("x" * 1_000_000)
    assert len(check_message("x" * LONGEST_MESSAGE)) == LONGEST_MESSAGE
