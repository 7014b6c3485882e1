"""A summary quotes, stays within its budget, keeps how things began, and costs linear time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.message import Line
from agent.summary import fold, quoted, sentences, shorten


def count(text: str) -> int:
    return len(text.split())


TALK = [
    Line("user", "We plan the summer party for forty people. Any ideas for the garden?"),
    Line("assistant", "A garden party can have lanterns. What is the budget?"),
    Line("user", "ok"),
    Line("user", "The budget is 500 euros. The party must end at ten, the neighbours complained last summer."),
    Line("assistant", "Thanks. Then quiet games and a potluck fit the budget."),
]


def test_the_beginning_and_the_weighty_sentences_stay() -> None:
    summary = fold("", TALK, 40, count)
    assert summary.startswith("User: We plan the summer party for forty people.")
    assert "User: ok" not in summary
    assert "budget" in summary


def test_later_folds_keep_how_it_began() -> None:
    summary = fold("", TALK, 40, count)
    for number in range(30):
        summary = fold(summary, [Line("user", f"Remark number {number} about chairs and tables.")], 40, count)
    assert summary.startswith("User: We plan the summer party for forty people.")


@given(
    st.lists(st.builds(Line, st.sampled_from(["user", "assistant"]), st.text())),
    st.integers(0, 60),
    st.text(max_size=80),
)
def test_a_summary_fits_its_budget_and_invents_nothing(lines: list[Line], budget: int, before: str) -> None:
    summary = fold(before, lines, budget, count)
    assert count(summary) <= budget
    said = {sentence for line in lines for sentence in sentences(line.text)}
    for item in summary.split("\n") if summary else []:
        assert item in before or any(sentence.startswith(quoted(item)) for sentence in said)


@given(st.lists(st.builds(Line, st.sampled_from(["user", "assistant"]), st.text())))
def test_folding_is_repeatable(lines: list[Line]) -> None:
    assert fold("", lines, 30, count) == fold("", lines, 30, count)


@given(st.text())
def test_sentences_lose_only_white_space(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_sentences_of_several_scripts() -> None:
    assert sentences('It costs 3.5 euros. "Really?" Yes!\nNew line') == [
        "It costs 3.5 euros.",
        '"Really?"',
        "Yes!",
        "New line",
    ]
    full_stop, question_mark = "\u3002", "\uff1f"
    assert sentences(f"今天天气很好{full_stop}我们去公园吧{full_stop}好吗{question_mark}") == [
        f"今天天气很好{full_stop}",
        f"我们去公园吧{full_stop}",
        f"好吗{question_mark}",
    ]


@pytest.mark.parametrize("text", ["." * 200_000 + "x", "a." * 100_000, "\"'" * 100_000, "a" * 200_000])
def test_hostile_text_costs_linear_time(text: str) -> None:
    began = time.perf_counter()
    sentences(text)
    assert time.perf_counter() - began < 2


@given(st.text(), st.integers(2, 20))
def test_shortened_text_fits_and_is_a_beginning(text: str, budget: int) -> None:
    short = shorten(text, budget, count)
    assert count(short) <= budget
    assert short == text or text.startswith(short.removesuffix(" …"))
