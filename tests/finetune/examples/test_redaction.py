"""Personal data and secrets are found and what only looks like them is not; a placeholder stands for one value."""

import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from agent.generation.rendering import ChatMessage
from finetune.example import Example, Origin
from finetune.examples.checksums import is_card, is_chinese_id, is_iban
from finetune.examples.personal import Finder, Kind
from finetune.examples.redaction import Redactor

CASES = [json.loads(line) for line in Path(__file__).with_name("personal.jsonl").read_text("utf-8").splitlines()]
_MARKED = re.compile("«(.*?)»", re.DOTALL)


def expected(case: dict[str, str]) -> tuple[str, list[tuple[str, str]]]:
    """The text without its marks, and what is marked in it."""
    return _MARKED.sub(r"\1", case["text"]), [(case["kind"], value) for value in _MARKED.findall(case["text"])]


def test_precision_and_recall_on_texts_with_hard_negatives() -> None:
    finder, right, wrong, missed = Finder(), Counter[str](), list[str](), list[str]()
    for case in CASES:
        text, wanted = expected(case)
        found = [(each.kind.value, text[each.start : each.end]) for each in finder.find(text)]
        right.update(kind for kind, _ in set(wanted) & set(found))
        wrong += [f"{value} as {kind} in {text}" for kind, value in found if (kind, value) not in wanted]
        missed += [f"{value} of {kind} in {text}" for kind, value in wanted if (kind, value) not in found]
    assert set(right) == set(Kind)
    assert (wrong, missed) == ([], [])


def redacted(*texts: str, names: tuple[str, ...] = ()) -> list[str]:
    messages = tuple(ChatMessage("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(texts))
    example, _ = Redactor(names).redact(Example(messages, Origin("x:1")))
    return [message.content for message in example.messages]


def test_one_value_has_one_placeholder_throughout_a_conversation() -> None:
    assert redacted(
        "I am at a@example.com or b@example.com, phone +1 415-555-0132.",
        "Noted: b@example.com, then a@example.com, and +1 (415) 555 0132.",
        "And c@example.com?",
    ) == [
        "I am at [email] or [email 2], phone [phone].",
        "Noted: [email 2], then [email], and [phone].",
        "And [email 3]?",
    ]


def test_a_name_that_was_given_is_found_where_nothing_points_to_it() -> None:
    assert redacted("Hi, my name is Maria Lopez.", "Hello Maria! Lopez is a fine name.", "MARIA is a ship") == [
        "Hi, my name is [person].",
        "Hello [person]! [person] is a fine name.",
        "MARIA is a ship",
    ]
    assert redacted("The password is hunter2.", "So I type hunter2 here?") == [
        "The password is [secret].",
        "So I type [secret] here?",
    ]


def test_known_people_and_accounts_are_found_by_name() -> None:
    said = redacted("Is U0123ABCD away? Ask Jo   Brand or @jo.brand.", names=("Jo Brand", "U0123ABCD", "jo.brand"))
    assert said == ["Is [person] away? Ask [person 2] or [person 2]."]
    assert redacted("Joanna and Jo Brandt stay.", names=("Jo Brand",)) == ["Joanna and Jo Brandt stay."]


def test_citations_and_placeholders_survive() -> None:
    text = "It is so [1]. Write to [email] [2]."
    assert redacted(text, text) == [text, text]


def test_a_private_key_goes_whole() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc\n-----END RSA PRIVATE KEY-----"
    assert redacted(f"Mine:\n{key}\nKeep it.") == ["Mine:\n[secret]\nKeep it."]


@pytest.mark.parametrize(
    "hostile",
    ["a" * 50_000, "1 " * 25_000, "+" + "1-" * 25_000, "@" * 50_000, "a.b@" * 12_000, "::" * 25_000,
     "Mr " * 16_000, "Aa " * 16_000, "password " * 6_000, "DE12 " * 10_000, "-----BEGIN PRIVATE KEY" * 2_000],
)  # fmt: skip
def test_no_text_keeps_the_finder_busy(hostile: str) -> None:
    start = time.process_time()
    Finder(["Jo Brand"]).find(hostile)
    assert time.process_time() - start < 5  # seconds, on a slow machine


def test_check_digits_tell_numbers_from_look_alikes() -> None:
    assert is_card("4242424242424242")
    assert not is_card("4242424242424241")
    assert not is_card("0000000000000000")
    assert is_iban("NO9386011117947")
    assert not is_iban("NO9386011117948")
    assert not is_iban("NO93860111179470")
    assert is_chinese_id("11010519491231002X")
    assert not is_chinese_id("110105194912310021")
