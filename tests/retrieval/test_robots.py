"""robots.txt: whose rules are ours, and which of them counts."""

import time

import pytest

from retrieval.robots import EVERYTHING, MOST, NOTHING, Robots

FILE = b"""\xef\xbb\xbf# a comment
User-agent: *
Disallow: /private/   # and what is below
Allow: /private/open
Disallow: /*.pdf$
Disallow: /caf%c3%a9

User-agent: other
User-agent: Atelier/2.0
Disallow: /only-for-us
Crawl-delay: 5
"""


@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("/", True),
        ("/private", True),
        ("/private/", False),
        ("/private/x", False),
        ("/private/open/x", True),  # the longer rule
        ("/a/b.pdf", False),
        ("/a/b.pdf?x=1", True),
        ("/caf\u00e9", False),
        ("/caf%C3%A9/menu", False),
        ("/robots.txt", True),
    ],
)
def test_the_longest_rule_that_fits_counts(path: str, may: bool) -> None:
    assert Robots.of(FILE, "somebody").allows(f"https://example.com{path}") is may


def test_a_group_of_our_own_stands_alone() -> None:
    robots = Robots.of(FILE)
    assert robots.allows("https://example.com/private/x")
    assert not robots.allows("https://example.com/only-for-us/x")
    assert robots.delay == 5


def test_what_cannot_be_understood_is_left_out() -> None:
    assert Robots.of(b"") == EVERYTHING
    assert Robots.of(b"\x00\xff<html>Not found</html>") == EVERYTHING
    assert Robots.of(b"Disallow: /\nUser-agent: *\nDisallow:\nCrawl-delay: soon") == EVERYTHING
    assert not Robots.of(b"user-agent:*\ndisallow:/").allows("http://a/b")
    assert not NOTHING.allows("http://a/b")
    assert Robots.of(b"User-agent: *\nCrawl-delay: 1e300").delay == 60
    assert Robots.of(b"User-agent: *\nDisallow: /x\n" + b"#" * MOST + b"\nDisallow: /").allows("http://a/y")


def test_stars_do_not_cost_more_than_their_length() -> None:
    robots = Robots.of(b"User-agent: *\nDisallow: /" + b"*a" * 2000 + b"b$")
    began = time.process_time()
    assert robots.allows("http://x/" + "a" * 2000)
    assert time.process_time() - began < 1
