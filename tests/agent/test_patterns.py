"""No message holds anybody up: the patterns that read one are quick on their own words said again and again.

While one is matched the whole process waits, and one that can split a text in two ways takes twice as long with each
word more.
"""

import re
from collections.abc import Iterator
from time import process_time
from types import ModuleType

import pytest

from agent import conversation, ourselves, outline, policy, rewrite, surface
from agent.generation import answer, asked_on, looked_back, phrases, steering, topics, who
from agent.ideation import techniques

AGAIN = 18
READING = (
    answer, asked_on, conversation, looked_back, ourselves, outline, phrases, policy, rewrite, steering, surface,
    techniques, topics, who,
)  # fmt: skip


def patterns_of(module: ModuleType) -> Iterator[tuple[str, re.Pattern[str]]]:
    """A module's own patterns, and those that it holds in a table."""
    for name, value in vars(module).items():
        held = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
        for each in held:
            inner = each if isinstance(each, tuple) else (each,)
            for part in (one for some in inner for one in (some if isinstance(some, tuple) else (some,))):
                if isinstance(part, re.Pattern):
                    yield name, part


@pytest.mark.parametrize("module", READING, ids=lambda module: module.__name__)
def test_words_said_again_and_again_are_read_at_once(module: ModuleType) -> None:
    slow = []
    for name, pattern in patterns_of(module):
        for word in sorted(set(re.findall(r"(?<!\\)[a-zäöüß]+", pattern.pattern))):
            for between in (" ", ", "):
                began = process_time()
                pattern.search((word + between) * AGAIN + "\x02")
                if process_time() - began > 0.1:
                    slow.append((name, word))
    assert slow == []
