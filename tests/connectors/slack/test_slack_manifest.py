"""The manifest grants what the connector does, and tells of what it listens to."""

import re
from pathlib import Path

import yaml

import connectors.slack
from connectors.slack import manifest

# https://docs.slack.dev/reference/methods: the bot scope of each method, empty where it needs none.
NEEDS = {
    "apps.connections.open": "",
    "assistant.threads.setStatus": "chat:write",
    "assistant.threads.setSuggestedPrompts": "assistant:write",
    "auth.test": "",
    "chat.appendStream": "chat:write",
    "chat.delete": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.postMessage": "chat:write",
    "chat.startStream": "chat:write",
    "chat.stopStream": "chat:write",
    "chat.update": "chat:write",
    "conversations.info": "channels:read groups:read",
    "conversations.members": "channels:read groups:read",
    "conversations.history": "channels:history groups:history im:history mpim:history",
    "conversations.open": "im:write",
    "conversations.replies": "channels:history groups:history im:history mpim:history",
    "files.info": "files:read",
    "files.completeUploadExternal": "files:write",
    "files.getUploadURLExternal": "files:write",
    "users.info": "users:read",
    "views.open": "",
    "views.publish": "",
}
# https://docs.slack.dev/reference/events: the scope of each event.
TOLD = {
    "app_home_opened": "",
    "app_mention": "app_mentions:read",
    "app_uninstalled": "",
    "channel_left": "channels:read",
    "group_left": "groups:read",
    "member_joined_channel": "channels:read",
    "member_left_channel": "channels:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
    "tokens_revoked": "",
}
METHOD = re.compile(r'"((?:apps|assistant|auth|chat|conversations|files|users|views|reactions)(?:\.[a-zA-Z]+)+)"')


def test_every_method_that_is_called_is_allowed() -> None:
    folder = Path(connectors.slack.__file__).parent
    called = {name for path in folder.glob("*.py") for name in METHOD.findall(path.read_text(encoding="utf-8"))}
    assert called == set(NEEDS)
    needed = {scope for method in called for scope in NEEDS[method].split()}
    assert needed <= set(manifest.scopes())


def test_it_says_what_slack_needs_to_know() -> None:
    said = yaml.safe_load(manifest.text())
    assert said["oauth_config"]["scopes"]["bot"] == manifest.scopes()
    events = said["settings"]["event_subscriptions"]["bot_events"]
    assert set(events) == set(TOLD)
    assert {scope for event in events for scope in TOLD[event].split()} <= set(manifest.scopes())
    assert said["_metadata"]["major_version"] == 1
    assert said["features"]["agent_view"]["agent_description"]
    assert len(said["features"]["agent_view"]["suggested_prompts"]) <= 4
    assert [command["command"] for command in said["features"]["slash_commands"]] == ["/atelier"]
    assert said["settings"]["socket_mode_enabled"]
    assert said["settings"]["interactivity"]["is_enabled"]
    assert len(said["display_information"]["name"]) <= 35
    assert len(said["display_information"]["description"]) <= 140
