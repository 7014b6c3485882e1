"""Updates of the shapes that Telegram sends, as files, and what each says; and anything else that may come."""

import json
from contextlib import suppress
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.events import Command, Event, Joined, Left, Post
from connectors.telegram.events import Identity, read, wrap
from connectors.telegram.receive import received

BOT = Identity(99, "atelier_bot", sees_all=False)
FILES = sorted((Path(__file__).parent / "updates").glob("*.json"))
UPDATES = [json.loads(path.read_text("utf-8"))["update"] for path in FILES]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def told(event: Event | None) -> dict[str, Any] | None:
    """An event as the files have it: without what has its default."""
    if event is None:
        return None
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    kept = {field.name: values[field.name] for field in fields(event) if values[field.name] != field.default}
    for name, value in kept.items():
        if name in ("place", "to"):
            kept[name] = value.key
        elif isinstance(value, datetime):
            kept[name] = value.isoformat()
        elif name == "files":
            kept[name] = [asdict(file) for file in value]
    return {"is": type(event).__name__, **kept}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_an_update_says(path: Path) -> None:
    stored = json.loads(path.read_text("utf-8"))
    expected = stored["event"]
    defaults = {"Joined": {"sees_all": True}, "Reaction": {"is_added": True}, "Post": {"language": ""}}
    if expected:
        dropped = defaults.get(expected["is"], {})
        expected = {name: value for name, value in expected.items() if dropped.get(name, not value) != value}
    assert told(read(wrap(stored["update"], BOT), "acme")) == expected


def test_every_kind_of_event_has_a_file() -> None:
    kinds = {
        json.loads(path.read_text("utf-8"))["event"] and json.loads(path.read_text())["event"]["is"] for path in FILES
    }
    assert kinds == {
        None,
        "Post",
        "Command",
        "Press",
        "Reaction",
        "Edited",
        "Opened",
        "Joined",
        "Left",
        "Moved",
        "Arrived",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_event_happens_in_the_conversation_it_was_stored_under(path: Path) -> None:
    update = json.loads(path.read_text("utf-8"))["update"]
    stored = received(update, "acme", BOT)
    event = read(stored.payload, "acme")
    if isinstance(event, Post | Command):
        assert stored.conversation == event.place.key
    if isinstance(event, Joined | Left):
        assert stored.conversation == f"change:{event.place.key}"  # in order, and before what it makes vain
    if "callback_query" in update:
        assert stored.conversation == "press:4382bfdwdsb323b2d9"
    if "message_reaction" in update:
        assert stored.conversation == stored.key


def test_copies_of_a_message_share_a_key_and_its_edit_does_not() -> None:
    by_name = {path.stem: update for path, update in zip(FILES, UPDATES, strict=True)}
    message, edit = by_name["group_text"], by_name["edited"]
    copy = {**message, "update_id": message["update_id"] + 100}
    assert received(message, "acme", BOT).key == received(copy, "acme", BOT).key == "message:-1001234567890:8"
    assert received(edit, "acme", BOT).key == "update:863462024"
    assert received(edit, "acme", BOT).conversation == received(message, "acme", BOT).conversation


def test_a_bot_that_reads_everything_says_so_when_it_joins() -> None:
    update = json.loads((Path(__file__).parent / "updates/joined.json").read_text("utf-8"))["update"]
    joined = read(wrap(update, Identity(99, "atelier_bot", sees_all=True)), "acme")
    assert isinstance(joined, Joined)
    assert joined.sees_all


@pytest.mark.parametrize("language", [{"a": [{}]}, ["de"], 5, True, "", "d" * 36, "{0.__class__}", "de\n"])
def test_a_language_that_is_none_is_not_believed(language: object) -> None:
    update = json.loads((Path(__file__).parent / "updates/joined.json").read_text("utf-8"))["update"]
    update["my_chat_member"]["from"]["language_code"] = language
    joined = read(wrap(update, BOT), "acme")
    assert isinstance(joined, Joined)
    assert joined.language == ""


@st.composite
def broken_updates(draw: st.DrawFn) -> object:
    """A real update in which something somewhere is something else, or is missing."""
    update = json.loads(json.dumps(draw(st.sampled_from(UPDATES))))
    for _ in range(draw(st.integers(1, 3))):
        node = update
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(node[key], dict | list) and draw(st.booleans()):
                node = node[key]
                continue
            if draw(st.booleans()):
                node[key] = draw(json_values)
            else:
                del node[key]
            break
    return update


@settings(max_examples=400, deadline=None)
@given(broken_updates() | json_values)
def test_a_broken_update_is_stored_and_then_read_or_refused_with_a_value_error(update: object) -> None:
    stored = received(update, "acme", BOT)
    assert 0 < len(stored.key) < 100
    assert 0 < len(stored.conversation) < 200
    with suppress(ValueError):  # anything else is a failure
        event = read(stored.payload, "acme")
        if isinstance(event, Post):
            event.text.encode()


@pytest.mark.parametrize("payload", ["", "null", "[]", "{}", '{"bot": {}, "update": {}}', "{" * 5000])
def test_a_broken_payload_is_a_value_error(payload: str) -> None:
    with pytest.raises(ValueError, match="shape"):
        read(payload, "acme")
