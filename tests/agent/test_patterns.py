"""No message holds anybody up: the patterns that read one are quick on their own words said again and again.

While one is matched the whole process waits, and one that can split a text in two ways takes twice as long with each
word more.
"""

import re
from collections.abc import Callable, Iterator
from time import process_time
from types import ModuleType

import pytest

from agent import conversation, ourselves, outline, policy, prompt, rewrite, surface
from agent.generation import answer, asked_kind, asked_on, looked_back, phrases, steering, topics, who
from agent.generation.adjectives import asked_of_table
from agent.generation.asked_kind import lacks_kind
from agent.generation.facts import denied, figures, known_words, names
from agent.generation.quantities import column
from agent.generation.rendering import _FENCE_MARK
from agent.generation.sentences import first_sentence, sentences
from agent.generation.topics import topic_of
from agent.guard import clean
from agent.ideation import techniques
from agent.rows import row_of
from agent.support.mining import _MENTION
from agent.syntax.words import words_of
from connectors.desk.finetune_said import said_in
from connectors.desk.ideation_ballots import criteria_of
from connectors.desk.ideation_wishes import _BY
from finetune.examples.cleaning import cleaned
from retrieval.loading.markdown import _INLINE_DATA
from retrieval.loading.webpage import HIDING

AGAIN = 18
READING = (
    answer, asked_kind, asked_on, conversation, looked_back, ourselves, outline, phrases, policy, rewrite, steering,
    surface, techniques, topics, who,
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


LONGEST = 32_000
AT_ONCE = 1.0  # seconds of processor time; reading linearly takes hundredths of it, quadratically tens
READERS: dict[str, tuple[Callable[[str], object], tuple[str, ...]]] = {
    "clean": (clean, ("a--bb.", "a.", "_-a.b.", ".", "[a](")),
    "sentences": (sentences, ("…", "؟", ".")),
    "first sentence": (first_sentence, ("…", "؟", ".")),
    "citations": (lambda text: prompt._CITATION.sub("", text), ("\t", " ", "[1,")),
    "figures": (figures, ("a ", "A ", "1 ")),
    "denied": (denied, ("not ", "not a ")),
    "known words": (known_words, ("Ab-", "_", "Ab ")),
    "names": (names, ("Ab-", "-a", "12-", "Ab ")),
    "kinds asked for": (lambda text: lacks_kind(f"how much is it? {text}", text), ("1", "1.", "1 ", "half ", "hi, ")),
    "topic": (topic_of, (".", ", ", "please ", "heute, ")),
    "wants ours": (steering.WANTS_OURS.search, ("suggest ", " ")),
    "fence": (_FENCE_MARK.search, ("<", " ", "< ")),
    "syntax": (words_of, ("<!x", "@a.", "a@")),
    "mentions": (lambda text: _MENTION.sub("", text), ("<!", "@")),
    "rows to learn from": (cleaned, ("a ", "  ", "<\u200b ")),
    "due": (_BY.search, (" ", "\n", "by ")),
    "criteria": (criteria_of, (":", " ", "x ")),
    "training in German": (lambda text: said_in("de", text), ("`", " ", "a ", "It failed: ")),
    "pictures in text": (lambda text: _INLINE_DATA.sub("", text), ("( data:x ", "(data:")),
    "asked of a table": (asked_of_table, ("which ", "most ", " ", "n't", "die ")),
    "cells": (lambda text: column([text, "1"]), ("1", "1 ", "1.000", ".", "€", "a")),
    "rows": (row_of, ("a: b; ", "; ", "a: ", ": ")),
    "hidden text": (HIDING.search, ("0", " ", "font-size: 0")),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_a_run_of_the_same_characters_is_read_at_once(name: str) -> None:
    read, runs = READERS[name]
    for run in runs:
        for before in ("", "suggest ", "font-size: 0", "<", "names for us "):
            text = (before + run * LONGEST)[:LONGEST] + "\x02"
            began = process_time()
            read(text)
            assert process_time() - began < AT_ONCE, (before, run)
