"""Messages made to be slow are cut into words in a time that grows with their length, no faster."""

import time

import pytest

from agent.guard import LONGEST_MESSAGE
from agent.syntax.words import words_of


@pytest.mark.parametrize("piece", ["'s", "a-", "a.", "1.", "x"])
def test_a_message_made_to_be_slow_is_cut_at_once(piece: str) -> None:
    text = ("a" + piece * LONGEST_MESSAGE)[:LONGEST_MESSAGE]
    begun = time.thread_time()
    words = words_of(text)
    assert time.thread_time() - begun < 2  # seconds; while it lasts nobody else is answered
    assert "".join(each.text for each in words) == text
