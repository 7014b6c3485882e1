"""Payloads as Slack sends them, read."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import Arrived, Deleted, Edited, Left, Post, Press, Reaction
from agent.message import Place
from connectors.slack import events
from connectors.slack.receive import received, workspace_of
from connectors.slack.workspaces import Workspace

HOME = Workspace("T1", "acme", "UBOT", "xoxb-secret")


def callback(event: dict[str, Any], **more: Any) -> dict[str, Any]:
    authorization = {"enterprise_id": None, "team_id": "T1", "user_id": "UBOT", "is_bot": True}
    outer = {"token": "secret", "team_id": "T1", "api_app_id": "A1", "type": "event_callback", "event_id": "Ev1"}
    return {**outer, "event": event, "authorizations": [authorization], "event_time": 1_700_000_000, **more}


def message(**more: Any) -> dict[str, Any]:
    base = {"type": "message", "user": "U1", "text": "Hello", "ts": "1700000000.000100", "team": "T1"}
    return {**base, "channel": "C1", "channel_type": "channel", "event_ts": "1700000000.000100", **more}


def read(body: dict[str, Any]) -> Any:
    taken = received(body, HOME)
    return None if taken is None else events.read(taken.payload)


@pytest.mark.parametrize(
    "event",
    [
        message(bot_id="B1"),
        message(user="UBOT"),
        message(subtype="bot_message", user=None),
        message(subtype="channel_join"),
        message(subtype="channel_topic"),
        message(subtype="assistant_app_thread"),
        message(text=""),
        {"type": "message", "subtype": "message_changed", "channel": "C1", "message": message(bot_id="B1")},
        {
            "type": "message",
            "subtype": "message_changed",
            "channel": "C1",
            "message": message(attachments=[{}]),
            "previous_message": message(),
        },
        {
            "type": "message",
            "subtype": "message_deleted",
            "channel": "C1",
            "deleted_ts": "1.2",
            "previous_message": {"bot_id": "B1"},
        },
        {"type": "reaction_added", "user": "UBOT", "reaction": "eyes", "item": {"type": "message"}},
        {"type": "reaction_added", "user": "U1", "reaction": "eyes", "item": {"type": "file", "file": "F1"}},
        {"type": "member_left_channel", "user": "U2", "channel": "C1"},
        {"type": "tokens_revoked", "tokens": {"oauth": ["U2"], "bot": ["UOTHER"]}},
        {"type": "team_rename", "name": "x"},
    ],
)
def test_what_says_nothing_to_us_is_not_kept(event: dict[str, Any]) -> None:
    assert received(callback(event), HOME) is None


def test_a_message_with_a_file_and_a_broadcast_reply() -> None:
    file = {"id": "F1", "name": "a.pdf", "size": 9, "url_private_download": "https://files.slack.com/a.pdf"}
    gone = {"id": "F2", "mode": "tombstone"}
    elsewhere = {"id": "F3", "file_access": "check_file_info"}
    post = read(callback(message(subtype="file_share", files=[file, gone, elsewhere], text="")))
    assert isinstance(post, Post)
    assert [(one.name, one.size) for one in post.files] == [("a.pdf", 9), ("file", 0)]
    assert [json.loads(one.locator)[1] for one in post.files] == ["https://files.slack.com/a.pdf", "F3"]
    reply = read(callback(message(subtype="thread_broadcast", thread_ts="1600000000.000100")))
    assert reply.place == Place("slack", "acme", "C1", "1600000000.000100")
    assert not reply.called


def test_a_group_message_is_not_direct_and_a_mention_calls() -> None:
    post = read(callback(message(channel="G1", channel_type="mpim", text="so <@UBOT|atelier> why?")))
    assert (post.direct, post.called, post.text) == (False, True, "so why?")


def test_edits_and_deletions_belong_where_the_message_is() -> None:
    changed = {"type": "message", "subtype": "message_changed", "channel": "D1", "channel_type": "im"}
    edited = read(callback({**changed, "message": message(text="new", edited={}), "previous_message": message()}))
    sent = datetime.fromtimestamp(1700000000.0001, UTC)
    place = Place("slack", "acme", "D1")
    assert edited == Edited("Ev1", place, "slack:acme:U1", "1700000000.000100", "new", sent, direct=True, called=True)
    gone = message(thread_ts="1.5")
    deleted = {"type": "message", "subtype": "message_deleted", "channel": "C1", "deleted_ts": gone["ts"]}
    assert read(callback({**deleted, "previous_message": gone})) == Deleted(
        "Ev1", Place("slack", "acme", "C1", "1.5"), gone["ts"]
    )


@pytest.mark.parametrize(
    ("event", "channel"),
    [
        ({"type": "channel_left", "channel": "C1"}, "C1"),
        ({"type": "group_left", "channel": "G1"}, "G1"),
        ({"type": "member_left_channel", "user": "UBOT", "channel": "C1"}, "C1"),
        ({"type": "app_uninstalled"}, ""),
        ({"type": "tokens_revoked", "tokens": {"bot": ["UBOT"]}}, ""),
    ],
)
def test_where_it_may_speak_no_more(event: dict[str, Any], channel: str) -> None:
    assert read(callback(event)) == Left("Ev1", Place("slack", "acme", channel))
    taken = received(callback(event), HOME)
    assert taken is not None
    assert taken.conversation.startswith("change:")  # it waits for nothing that it makes vain


def test_who_comes_into_a_channel() -> None:
    event = {"type": "member_joined_channel", "user": "U2", "channel": "C1", "team": "T1"}
    assert read(callback(event)) == Arrived("Ev1", Place("slack", "acme", "C1"), "slack:acme:U2")
    assert events.changed_channel(callback(event)) == "C1"
    assert events.changed_channel(callback(event | {"type": "member_left_channel"})) == "C1"
    assert events.changed_channel(callback(message())) == ""


@pytest.mark.parametrize(("name", "emoji"), [("+1::skin-tone-3", "👍"), ("heart", "❤️"), ("our-logo", "our-logo")])
def test_reactions(name: str, emoji: str) -> None:
    item = {"type": "message", "channel": "C1", "ts": "1.2"}
    reaction = read(callback({"type": "reaction_removed", "user": "U1", "reaction": name, "item": item}))
    assert reaction == Reaction("Ev1", Place("slack", "acme", "C1"), "slack:acme:U1", "1.2", emoji, is_added=False)


def test_strangers_in_a_shared_channel_are_nobody_of_ours() -> None:
    stranger = callback(message(team="T9", user_team="T9"), is_ext_shared_channel=True)
    assert read(stranger).account == "slack:T9:U1"
    assert read(callback(message(), is_ext_shared_channel=True)).account == "slack:acme:U1"
    colleague = callback(message(user_team="T2"))  # another workspace of the same organisation
    assert read(colleague).account == "slack:acme:U1"


def test_an_organisations_installation_is_kept_under_its_own_id() -> None:
    body = callback(message())
    body["authorizations"][0] |= {"enterprise_id": "E1", "is_enterprise_install": True}
    assert workspace_of(body) == "E1"
    assert workspace_of(callback(message())) == "T1"
    press = {"type": "block_actions", "team": None, "enterprise": {"id": "E1"}, "is_enterprise_install": True}
    assert workspace_of(press) == "E1"
    command = {"command": "/atelier", "team_id": "T1", "enterprise_id": "E1", "is_enterprise_install": "false"}
    assert workspace_of(command) == "T1"


def test_a_press_of_slacks_feedback_buttons_in_a_direct_message() -> None:
    action = {"type": "feedback_buttons", "action_id": "b1.b2", "value": "b1"}
    sent = {"ts": "1.2", "text": "our words", "blocks": [{}]}
    body = {
        "type": "block_actions",
        "team": {"id": "T1"},
        "user": {"id": "U1", "team_id": "T1"},
        "trigger_id": "12.34.ab",
        "response_url": "https://hooks.slack.com/secret",
        "channel": {"id": "D1", "name": "directmessage"},
        "container": {"type": "message", "message_ts": "1.2", "channel_id": "D1"},
        "message": sent,
        "actions": [action],
    }
    press = Press("12.34.ab", Place("slack", "acme", "D1"), "slack:acme:U1", "b1", "", "1.2", direct=True)
    assert read(body) == press
    taken = received(body, HOME)
    assert taken is not None
    assert (taken.key, taken.conversation) == ("action:12.34.ab", "press:slack/acme/12.34.ab")
    assert "our words" not in taken.payload
    assert "secret" not in taken.payload


def test_a_broken_payload_is_kept_so_that_somebody_knows() -> None:
    broken = callback(message(ts=["no", "ts"]))
    taken = received(broken, HOME)
    assert taken is not None
    assert taken.key.startswith("broken:")
    with pytest.raises(ValueError, match="payload"):
        events.read(taken.payload)
    assert received(broken, HOME) == taken


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.sampled_from(["im", "U1", "1.2", "message"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(message())), inner, max_size=5),
    max_leaves=12,
)
bodies = st.fixed_dictionaries(
    {"type": st.sampled_from(["event_callback", "block_actions", "view_submission", "x"]) | json_values},
    optional={
        key: json_values
        | st.fixed_dictionaries({"type": st.sampled_from(["message", "app_mention", "reaction_added"])})
        for key in ("event", "actions", "view", "user", "channel", "container", "message", "command", "event_id")
    },
)


@given(bodies)
def test_any_payload_is_read_refused_or_left(body: dict[str, Any]) -> None:
    taken = received(body, HOME)
    if taken is None or taken.key.startswith("broken:"):
        return
    assert events.read(taken.payload) is not None
    assert taken.key.isprintable()


@given(json_values | st.text())
def test_reading_raises_nothing_but_value_errors(payload: Any) -> None:
    for text in (json.dumps(payload), str(payload), json.dumps({"bot": payload, "body": payload})):
        try:
            events.read(text)
        except ValueError:
            continue
