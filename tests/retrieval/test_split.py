"""Chunks fit the encoder, keep their place and heading, and lose nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.document import Chunk, Document, Section
from retrieval.encoder import TransformerEncoder
from retrieval.split import split


def count(text: str) -> int:
    """Additive over white space like a real tokenizer, and cheap: four letters a token."""
    return len(re.findall(r"\w{1,4}|[^\w\s]", text))


def chunks_of(text: str, heading: tuple[str, ...] = (), line: int | None = 1, budget: int = 20) -> list[Chunk]:
    return split(Document("", (Section(text, heading, None, line),)), count, budget)


def dense(text: str) -> str:
    return "".join(text.split())


words = st.text(alphabet="abc ABC123.!?\n\t|-*。\uff0c中文 ́🙂`#;{}", max_size=400)
sections = st.builds(
    Section,
    text=words,
    heading=st.lists(st.text(alphabet="ab c", min_size=1, max_size=60), max_size=5).map(tuple),
    line=st.none() | st.integers(1, 1000),
    whole=st.booleans(),
)


@given(st.lists(sections, max_size=5), st.integers(8, 60))
def test_nothing_is_lost_and_order_is_kept(read: list[Section], budget: int) -> None:
    chunks = split(Document("", tuple(read)), count, budget)
    assert "".join(dense(chunk.text) for chunk in chunks) == "".join(dense(section.text) for section in read)


@given(st.lists(sections, max_size=5), st.integers(8, 60))
def test_every_chunk_fits_with_its_heading_and_none_is_empty(read: list[Section], budget: int) -> None:
    for chunk in split(Document("", tuple(read)), count, budget):
        assert count(chunk.encoded_text) <= budget
        assert chunk.text.strip()


@given(words, st.integers(1, 50), st.integers(8, 30))
def test_a_chunk_stands_on_the_line_of_its_first_character(text: str, line: int, budget: int) -> None:
    lines = text.split("\n")
    for chunk in chunks_of(text, line=line, budget=budget):
        assert chunk.line is not None
        assert chunk.text.split("\n")[0].strip() in lines[chunk.line - line]


def test_paragraphs_under_one_heading_are_packed() -> None:
    assert [c.text for c in chunks_of("One two.\n\nThree four.\n\nFive six.", ("Numbers",))] == [
        "One two.\n\nThree four.\n\nFive six."
    ]


def test_a_long_text_is_cut_between_paragraphs() -> None:
    text = "\n\n".join(f"Paragraph number {n} says something." for n in range(8))
    assert all(chunk.text.startswith("Paragraph") and chunk.text.endswith(".") for chunk in chunks_of(text))


def test_a_long_paragraph_is_cut_between_sentences_not_at_abbreviations() -> None:
    text = "Dr. Meier met Mr. Smith at 3 p.m. on Monday. They spoke of e.g. Bonn. " * 3
    parts = [chunk.text for chunk in chunks_of(text, budget=25)]
    assert len(parts) > 1
    assert all(part.startswith(("Dr. Meier", "They spoke")) for part in parts)


def test_chinese_is_cut_after_its_full_stops() -> None:
    parts = [
        chunk.text
        for chunk in split(Document("", (Section("今天天气很好。我们去公园\uff01你来吗\uff1f" * 4),)), len, 20)
    ]
    assert all(part[-1] in "。\uff01\uff1f" for part in parts)


def test_tables_and_code_are_cut_between_lines() -> None:
    table = "\n".join(f"| row {n} | {n * n} |" for n in range(30))
    assert all(c.text.startswith("| row") and c.text.endswith(" |") for c in chunks_of(table))
    code = "\n".join(f"    x{n} = f({n});" for n in range(30))
    assert all(c.text.startswith("    x") and c.text.endswith(";") for c in chunks_of(code))


def test_sections_are_never_joined() -> None:
    read = (Section("Up.", ("A",)), Section("Down.", ("B",)), Section("x: 1", whole=True), Section("x: 2", whole=True))
    assert [c.text for c in split(Document("", read), count)] == ["Up.", "Down.", "x: 1", "x: 2"]


def test_each_part_of_a_long_record_keeps_heading_and_line() -> None:
    parts = split(Document("", (Section("Word word word.\n" * 30, ("How?",), 2, 7, whole=True),)), count, 20)
    assert len(parts) > 1
    assert {(c.heading, c.page, c.line) for c in parts} == {(("How?",), 2, 7)}


def test_a_long_heading_path_leaves_half_the_budget_to_the_text() -> None:
    path = tuple(f"Heading number {n} that goes on and on" for n in range(12))
    (chunk,) = chunks_of("Short text.", path, budget=40)
    assert count(" > ".join(chunk.heading)) <= 20
    assert chunk.heading[0].startswith("Heading")


def test_a_long_text_does_not_end_in_a_crumb() -> None:
    text = "\n\n".join(["Seven words stand here now, is seven."] * 6 + ["End."])
    sizes = [count(chunk.text) for chunk in chunks_of(text, budget=60)]
    assert min(sizes) >= 15


def test_one_endless_word_is_cut_quickly() -> None:
    parts = chunks_of("x" * 1_000_000, budget=200)
    assert max(len(part.text) for part in parts) <= 2000


@pytest.mark.parametrize(
    "text", ["a. " * 200_000, "\n" * 1_000_000 + "x", "." * 500_000, "( " * 200_000, " \n" * 300_000]
)
@pytest.mark.timeout(20)
def test_hostile_text_takes_linear_time(text: str) -> None:
    assert "".join(dense(chunk.text) for chunk in chunks_of(text, budget=200)) == dense(text)


def test_real_tokens_fit_and_are_counted_about_twice(encoder: TransformerEncoder) -> None:
    sentence = "Refunds are paid within 14 days, to the account that was used for the purchase of 1.250,00 €. "
    text = "\n\n".join([sentence * 3, sentence * 40, sentence, "q7f3x" * 90, "这是一个测试。" * 80])
    counted = 0

    def counting(part: str) -> int:
        nonlocal counted
        tokens = encoder.count_tokens(part)
        counted += tokens
        return tokens

    chunks = split(Document("", (Section(text, ("Help", "Refunds")),)), counting, 200)
    assert all(encoder.count_tokens(chunk.encoded_text) <= 200 for chunk in chunks)
    assert counted < 3 * encoder.count_tokens(text)
