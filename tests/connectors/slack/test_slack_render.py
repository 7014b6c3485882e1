"""Any answer becomes messages that Slack takes, and nothing of it is lost."""

import json
import re
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from agent.events import Button, Outgoing
from agent.message import Place, Source
from connectors.slack import render
from connectors.slack.text import calm
from tests.emulators.slack_blocks import check_blocks

PLACE = Place("slack", "acme", "C1", "1.2")
GOLDEN = Path(__file__).parent / "golden" / "answer.json"
ANSWER = Outgoing(
    PLACE,
    "# Tea\n\nGreen tea, **warm** [1]. Ask <@U2> or <!here>.\n\n```python\nprint(1 < 2)\n```",
    (Source(1, "handbook.md, line 3: Drinks > Tea", 7), Source(2, "tea.md", 9)),
    "The model failed; these are quotes.",
    (Button("b1", "👍 Helpful"), Button("b2", "👎 Not helpful", form='What was "wrong"?'), Button("b3", "Wider")),
)

PIECES = [*"abc äß.!?。\n \t😀<@>", "```", "~~~~", "```py\n", "\n\n", "<!here>"]
words = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
long = st.lists(words | st.text(max_size=40), max_size=60).map("".join)
longer = st.tuples(long, st.sampled_from([1, 7, 40, 150])).map(lambda pair: pair[0] * pair[1])
buttons = st.builds(Button, st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True), st.text(max_size=90), st.text())
sources = st.builds(Source, st.integers(1, 99), st.text(max_size=300), st.just(1))


def test_an_answer_looks_like_this() -> None:
    shown = {"text": render.fallback(ANSWER), "blocks": render.blocks(ANSWER)}
    assert shown == json.loads(GOLDEN.read_text(encoding="utf-8"))


@given(
    longer,
    st.lists(sources, max_size=40).map(tuple),
    st.text(max_size=4_000),
    st.lists(buttons, max_size=60, unique_by=lambda button: button.id).map(tuple),
)
def test_any_answer_is_taken_by_slack(
    text: str, cited: tuple[Source, ...], notice: str, pressed: tuple[Button, ...]
) -> None:
    outgoing = Outgoing(PLACE, text, cited, notice, pressed)
    parts = render.parts(outgoing)
    for part in parts:
        shown = render.blocks(part)
        check_blocks(shown)
        assert len(render.fallback(part)) <= 3_500
        json.dumps(shown)
        assert len(part.text.encode("utf-16-le")) // 2 <= 3_500
    assert [bool(part.sources or part.buttons or part.notice) for part in parts[:-1]] == [False] * (len(parts) - 1)
    assert (parts[-1].sources, parts[-1].notice, parts[-1].buttons) == (cited, notice, pressed)


def ink(text: str) -> str:
    """What is on the page, without white space and without the fences around code."""
    return re.sub(r"\s|\u200b", "", re.sub(r"(?m)^ {0,3}(`{3,}|~{3,})[^`\n]*$", "", text))


def without_fences(text: str) -> bool:
    return "```" not in text and "~~~" not in text


@given(longer.map(lambda text: re.sub(r"[`~]", "", text)))
def test_nothing_is_lost(text: str) -> None:
    assert "".join(ink(part.text) for part in render.parts(Outgoing(PLACE, text))) == ink(calm(text))


@given(
    st.lists(st.text(st.sampled_from("ab =(1)"), max_size=80), min_size=1, max_size=300),
    st.sampled_from(["```", "~~~~"]),
)
@example(["x" * 79] * 200, "```")
def test_code_that_is_cut_stays_code_line_by_line(lines: list[str], mark: str) -> None:
    before = "Intro. " * 300
    text = f"{before}\n\n{mark}python\n" + "\n".join(["#", *lines, "#"]) + f"\n{mark}\n\nThe end."
    code = []
    for part in render.parts(Outgoing(PLACE, text)):
        assert len(re.findall(rf"(?m)^{mark}", part.text)) % 2 == 0
        for block in re.findall(rf"(?ms)^{mark}python\n(.*?)\n?^{mark}$", part.text):
            code += block.split("\n")
    assert [line for line in code if line.strip()] == ["#", *(line for line in lines if line.strip()), "#"]


def test_cuts_fall_between_paragraphs_then_lines_then_sentences_then_words() -> None:
    for unit in ("A paragraph. It has two sentences.\n\n", "A line of its own\n", "One sentence here. ", "word ", "x"):
        first, *_ = render.cut((unit * 4_000).strip())
        assert 1_700 <= len(first) <= 3_500
        assert first.endswith(unit.strip())


def test_a_preview_that_grows_only_grows() -> None:
    """What a stream shows stays a beginning of what it shows next, or appending would stop."""
    text = "A sentence with words. " * 400
    shown = ""
    for end in range(0, len(text), 97):
        now = render.cut(text[:end].strip())[0]
        if end < 3_400:
            assert now.startswith(shown)
            shown = now


def test_a_long_question_still_fits_into_its_button() -> None:
    [row] = render.below(Outgoing(PLACE, "", buttons=(Button("b1", "Why?", form='"\n' * 3_000),)))
    value = row["elements"][0]["value"]
    assert len(value) <= 2_000
    assert json.loads(value)["id"] == "b1"
