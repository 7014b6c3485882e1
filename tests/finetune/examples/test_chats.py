"""Chat files of every kind: rows in OpenAI's form are read, every problem is named with its line, nothing crashes."""

import codecs
import json
import pickle
import re
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.generation.rendering import ChatMessage
from finetune.examples import lines
from finetune.examples.chats import author_key, read_chats
from finetune.examples.problems import EXPLAINED, Code, Severity
from finetune.examples.rows import parse
from retrieval.errors import DataRefused
from tests.finetune.examples.files import chat, codes, write


def test_rows_in_openais_form_are_read(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "first"}, {"type": "text", "text": "second"}]
    rows = [
        chat("Hi?", "Hello."),
        chat("Hi?", "Hello.", system="Be brief."),
        {"messages": [{"role": "developer", "content": "d"}, {"role": "user", "content": parts, "name": "Bo"},
                      {"role": "assistant", "content": "a", "weight": 0}, {"role": "user", "content": "more"},
                      {"role": "assistant", "content": "b", "weight": 1, "refusal": None}]},
        chat("Rated?", "Yes.", rating=-1),
        {"input": {"messages": [{"role": "user", "content": "Best?"}]},
         "preferred_output": [{"role": "assistant", "content": "This."}],
         "non_preferred_output": [{"role": "assistant", "content": "That."}]},
    ]  # fmt: skip
    read = read_chats(write(tmp_path / "chats.jsonl", rows), licence="CC BY 4.0")
    assert read.problems == ()
    first, second, third, rated, good, bad = read.examples
    assert first.messages == (ChatMessage("user", "Hi?"), ChatMessage("assistant", "Hello."))
    assert second.messages[0] == ChatMessage("system", "Be brief.")
    assert [message.role for message in third.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert third.messages[1].content == "first\nsecond"
    assert third.untrained == {2}
    assert (third.origin.place, third.origin.person) == ("chats.jsonl:3", author_key("bo"))
    assert rated.rating == -1
    assert [(each.rating, each.messages[-1].content) for each in (good, bad)] == [(1, "This."), (-1, "That.")]
    assert (read.source.rows, read.source.licence, len(read.source.sha256)) == (5, "CC BY 4.0", 64)


TOOL_CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]}
PICTURE = [{"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}]
BAD_ROWS = {
    "not json": ("{'messages': 1}", {Code.BAD_JSON}),
    "half": ('{"messages": [', {Code.BAD_JSON}),
    "two objects": ("{} {}", {Code.BAD_JSON}),
    "a number": ("7", {Code.BAD_JSON}),
    "a key twice": ('{"messages": [], "messages": []}', {Code.BAD_JSON}),
    "not a number": ('{"messages": [], "rating": NaN}', {Code.BAD_JSON}),
    "a huge number": ('{"messages": ' + "9" * 6000 + "}", {Code.BAD_JSON}),
    "a million deep": ("[" * 1_000_000, {Code.BAD_JSON}),
    "latin-1": (b'{"messages": "caf\xe9"}', {Code.NOT_UTF8}),
    "raw NUL": (b'{"messages": "\x00"}', {Code.BAD_JSON}),
    "no messages": ({"text": "hi"}, {Code.NO_MESSAGES}),
    "ShareGPT": ({"conversations": [{"from": "human", "value": "hi"}]}, {Code.NO_MESSAGES}),
    "empty list": ({"messages": []}, {Code.NO_MESSAGES}),
    "half a preference": ({"input": {"messages": []}, "preferred_output": []}, {Code.NO_MESSAGES}),
    "a text for a message": ({"messages": ["hi"]}, {Code.BAD_MESSAGE}),
    "a number as content": ({"messages": [{"role": "user", "content": 5}]}, {Code.BAD_MESSAGE}),
    "another role": ({"messages": [{"role": "narrator", "content": "x"}]}, {Code.BAD_ROLE}),
    "a list as role": ({"messages": [{"role": ["user"], "content": "x"}]}, {Code.BAD_ROLE}),
    "a tool's role": ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, {Code.TOOLS}),
    "a tool call": ({"messages": [{"role": "user", "content": "x"}, TOOL_CALL]}, {Code.TOOLS}),
    "offered tools": (chat("x", "y", tools=[{"type": "function"}]), {Code.TOOLS}),
    "legacy functions": (chat("x", "y", functions=[{"name": "f"}]), {Code.TOOLS}),
    "a picture": ({"messages": [{"role": "user", "content": PICTURE}]}, {Code.NOT_TEXT}),
    "a user's weight": (
        {"messages": [{"role": "user", "content": "x", "weight": 0}, {"role": "assistant", "content": "y"}]},
        {Code.BAD_WEIGHT},
    ),
    "half a weight": (
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "weight": 0.5}]},
        {Code.BAD_WEIGHT},
    ),
    "weight true": (
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "weight": True}]},
        {Code.BAD_WEIGHT},
    ),
    "five stars": (chat("x", "y", rating=5), {Code.BAD_RATING}),
    "empty reply": (chat("x", " \n"), {Code.EMPTY_CONTENT}),
    "null reply": ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant"}]}, {Code.EMPTY_CONTENT}),
    "only a question": (chat("x"), {Code.NO_ASSISTANT}),
    "assistant first": ({"messages": [{"role": "assistant", "content": "x"}]}, {Code.ROLE_ORDER}),
    "no reply at the end": (chat("x", "y", "z"), {Code.ROLE_ORDER}),
    "twice the user": (
        {"messages": [*chat("x")["messages"], *chat("x", "y")["messages"]]},
        {Code.ROLE_ORDER},
    ),
    "system in the middle": (
        {"messages": [*chat("x", "y")["messages"], {"role": "system", "content": "s"}]},
        {Code.ROLE_ORDER},
    ),
    "nothing to learn": (
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "weight": 0}]},
        {Code.NO_TRAINABLE_TOKEN},
    ),
    "several at once": (
        {
            "messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "", "weight": 3}],
            "rating": "x",
        },
        {Code.EMPTY_CONTENT, Code.BAD_WEIGHT, Code.BAD_RATING},
    ),
}


def test_every_bad_row_is_named_and_none_of_the_good_ones(tmp_path: Path) -> None:
    rows = [row for row, _ in BAD_ROWS.values()]
    read = read_chats(write(tmp_path / "c.jsonl", [chat("before", "a"), *rows, chat("after", "b")]))
    assert [example.messages[0].content for example in read.examples] == ["before", "after"]
    assert [each.place for each in read.rejected] == [f"c.jsonl:{i + 2}" for i in range(len(rows))]
    for (name, (_, expected)), rejected in zip(BAD_ROWS.items(), read.rejected, strict=True):
        assert {problem.code for problem in rejected.problems} == expected, name
    assert str(read.problems[0]).startswith("c.jsonl:2: bad_json ")


def test_a_problem_repeats_nothing_of_the_rows_text(tmp_path: Path) -> None:
    secret = "hunter2-is-my-password"
    rows = [
        {"messages": [{"role": secret, "content": secret}]}, {secret + "!": 1}, f'{{"{secret}": ',
        chat(secret, ""), {"messages": secret}, {"messages": [{"role": "user", "content": [{"type": secret}]}]},
    ]  # fmt: skip
    read = read_chats(write(tmp_path / "c.jsonl", rows))
    assert len(read.rejected) == len(rows)
    assert not any(secret in str(problem) for problem in read.problems)


def test_lines_end_and_begin_as_other_systems_write_them(tmp_path: Path) -> None:
    first, second = json.dumps(chat("a", "b")).encode(), json.dumps(chat("c", "d")).encode()
    path = tmp_path / "c.jsonl"
    path.write_bytes(codecs.BOM_UTF8 + first + b"\r\n\r\n  \n" + second)
    read = read_chats(path)
    assert [example.origin.place for example in read.examples] == ["c.jsonl:1", "c.jsonl:4"]
    assert read.problems == ()


def test_what_is_not_read_is_said_once(tmp_path: Path) -> None:
    read = read_chats(write(tmp_path / "c.jsonl", [chat(f"q{i}", "a", metadata={"k": 1}) for i in range(3)]))
    assert len(read.examples) == 3
    assert [str(problem) for problem in read.problems] == [
        "c.jsonl:1: ignored_field The field `metadata` is not read. (3 rows)"
    ]
    assert read.problems[0].severity is Severity.NOTE


def other_files(folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("a", "b")
    row = json.dumps([chat("a", "b")])
    return {
        "a pickle": pickle.dumps({"messages": []}, protocol=4),
        "a ZIP archive": (folder / "x.zip").read_bytes(),
        "compressed": b"\x1f\x8b\x08\x00rest",
        "a Parquet table": b"PAR1rest",
        "an SQLite database": b"SQLite format 3\0",
        "one JSON array": row.encode(),
        "JSON spread over several lines": json.dumps(chat("a", "b"), indent=2).encode(),
        "UTF-16": row.encode("utf-16"),
        "not a text file": b"\x7fELF\0\0\0\0",
        "a page of HTML": b"<!DOCTYPE html><p>Sign in</p>",
        "holds no row": b"\n\n",
    }


def test_another_kind_of_file_is_refused_as_what_it_is(tmp_path: Path) -> None:
    for said, content in other_files(tmp_path).items():
        path = tmp_path / "c.jsonl"
        path.write_bytes(content)
        read = read_chats(path)
        assert read.examples == ()
        assert [problem.severity for problem in read.problems] == [Severity.FILE], said
        assert said in read.problems[0].message


def test_a_file_that_is_not_there_or_never_ends_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.jsonl", tmp_path, Path("/dev/zero")):
        with pytest.raises(DataRefused, match="There is no file"):
            read_chats(path)


def test_a_gigabyte_and_a_long_line_cost_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # sparse
    tracemalloc.start()
    try:
        read = read_chats(path)
        assert codes(read) == [("c.jsonl", Code.TOO_LARGE)]
        good = json.dumps(chat("a", "b")).encode() + b"\n"
        with path.open("wb") as file:
            file.write(good)
            for _ in range(100):
                file.write(b"[" * (1 << 20))
            file.write(b"\n" + good)
        read = read_chats(path)
        assert codes(read) == [("c.jsonl:2", Code.LINE_TOO_LONG)]
        assert [example.origin.place for example in read.examples] == ["c.jsonl:1", "c.jsonl:3"]
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_a_file_of_rubbish_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune.examples.chats.MOST_REFUSED", 5)
    read = read_chats(write(tmp_path / "c.jsonl", ["x"] * 9))
    assert len(read.rejected) == 5
    assert read.problems[-1].code is Code.TOO_MANY


def test_every_code_is_explained_and_none_is_lost() -> None:
    assert set(EXPLAINED) == set(Code)
    assert len({code.value for code in Code}) == len(Code)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=5,
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["system", "user", "assistant", "tool", "developer"]) | json_values,
        "content": st.text(st.characters()) | json_values,
        "weight": st.sampled_from([0, 1, 2, None, True]),
        "name": json_values,
        "tool_calls": json_values,
    },
)
rows = st.fixed_dictionaries(
    {"messages": st.lists(messages, max_size=5) | json_values},
    optional={"rating": st.sampled_from([-1, 0, 1, 2, "1"]), "tools": json_values, "input": json_values},
)


@settings(max_examples=100, deadline=None)
@given(rows)
def test_any_row_is_either_learned_or_refused_with_reasons(row: dict[str, object]) -> None:
    parsed = parse(json.dumps(row).encode())
    assert bool(parsed.drafts) != bool(parsed.findings)
    for draft in parsed.drafts:
        roles = [message.role for message in draft.messages if message.role != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert roles
        assert all(message.content.strip() for message in draft.messages)
        assert all(draft.messages[i].role == "assistant" for i in draft.untrained)
    for _, message in parsed.findings:
        assert re.match(r"[A-Z`]", message)


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=200) | st.text(st.characters(), max_size=100).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_at_all_are_refused_in_peace(line: bytes) -> None:
    parsed = parse(line)
    assert bool(parsed.drafts) != bool(parsed.findings)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=30).map(lambda part: part.replace(b"\n", b" ")), max_size=8), st.integers(1, 9))
def test_lines_are_cut_alike_however_the_file_comes_in(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], piece: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "c.jsonl"
    path.write_bytes(b"x" + b"\n".join(parts))
    whole, pieces = lines.Lines(path), lines.Lines(path)
    try:
        expected = list(whole)
    except lines.Refused:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_PIECE", piece)
        assert list(pieces) == expected
    assert pieces.sha256 == whole.sha256
