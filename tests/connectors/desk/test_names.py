"""The names under which people are shown are chosen by them, and so nothing but words."""

import pytest

from agent.message import Place
from connectors.desk.names import Names, plain


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        ("www.evil.example/x", "www evil example x"),
        ("t.me/joinchat", "t me joinchat"),
        ("J.R.R. Tolkien", "J.R.R. Tolkien"),
        ("Dr. Ann O’Neil-Lee", "Dr. Ann O’Neil-Lee"),
        ("Bob <!channel> *loud*\n@all", "Bob channel loud all"),
        ("\u202eevil\u200b", "evil"),
    ],
)
def test_a_name_is_no_address_and_calls_nobody(chosen: str, shown: str) -> None:
    assert plain(chosen) == shown


async def test_who_is_mentioned_is_written_by_a_name_that_is_no_address() -> None:
    names = Names({}, {"slack:acme:U1": (plain("evil.example"), float("inf"))})
    assert await names.written("Ask <@U1>!", Place("slack", "acme", "C1")) == "Ask @evil_example!"
