"""No message holds anybody up: the patterns that read one are quick on their own words said again and again.

While one is matched the whole process waits, and one that can split a text in two ways takes twice as long with each
word more.
"""

import re
from time import process_time
from types import ModuleType

import pytest

from agent import conversation, policy, rewrite, surface
from agent.generation import steering, topics, who
from agent.ideation import techniques

AGAIN = 18
READING = (conversation, policy, rewrite, steering, surface, techniques, topics, who)


@pytest.mark.parametrize("module", READING, ids=lambda module: module.__name__)
def test_words_said_again_and_again_are_read_at_once(module: ModuleType) -> None:
    slow = []
    for name, pattern in vars(module).items():
        if not isinstance(pattern, re.Pattern):
            continue
        for word in sorted(set(re.findall(r"(?<!\\)[a-zäöüß]+", pattern.pattern))):
            for between in (" ", ", "):
                began = process_time()
                pattern.search((word + between) * AGAIN + "\x02")
                if process_time() - began > 0.1:
                    slow.append((name, word))
    assert slow == []
