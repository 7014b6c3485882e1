"""The payloads Slack sends an app, in their real shapes: events, interactions and slash commands."""

import time
from typing import Any

from tests.emulators.slack_blocks import JSON, Pressable
from tests.emulators.slack_world import APP, BOT, BOT_USER, TEAM, TEAM_NAME, Channel, Message, User, World

LEGACY_TOKEN = "made-up-verification-token"  # deprecated, but still in every payload


def callback(world: World, event: JSON) -> JSON:
    """The outer object around an event. https://docs.slack.dev/apis/events-api/#event-payloads"""
    return {
        "token": LEGACY_TOKEN,
        "team_id": TEAM,
        "context_team_id": TEAM,
        "context_enterprise_id": None,
        "api_app_id": APP,
        "event": event,
        "type": "event_callback",
        "event_id": world.new_id("Ev"),
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM,
                "user_id": BOT_USER,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": world.new_id("4-"),
    }


def message(world: World, sent: Message) -> JSON:
    """https://docs.slack.dev/reference/events/message and its subtype file_share"""
    event = world.message_json(sent) | _where(world.channels[sent.channel]) | {"event_ts": sent.ts}
    if sent.files:
        event |= {"subtype": "file_share", "upload": False, "display_as_bot": False}
    return event


def app_mention(world: World, sent: Message) -> JSON:
    """https://docs.slack.dev/reference/events/app_mention: the same message once more, without channel_type."""
    event = world.message_json(sent) | {"type": "app_mention", "channel": sent.channel, "event_ts": sent.ts}
    return event | ({"upload": False, "display_as_bot": False} if sent.files else {})


def message_changed(world: World, sent: Message, before: JSON) -> JSON:
    """https://docs.slack.dev/reference/events/message/message_changed"""
    changed = {"subtype": "message_changed", "message": world.message_json(sent), "previous_message": before}
    return _hidden(world, world.channels[sent.channel], changed)


def message_deleted(world: World, channel: Channel, before: JSON) -> JSON:
    """https://docs.slack.dev/reference/events/message/message_deleted"""
    gone = {"subtype": "message_deleted", "previous_message": before, "deleted_ts": before["ts"]}
    return _hidden(world, channel, gone)


def reaction(world: World, kind: str, user: str, name: str, sent: Message) -> JSON:
    """kind: reaction_added or reaction_removed. https://docs.slack.dev/reference/events/reaction_added"""
    item = {"type": "message", "channel": sent.channel, "ts": sent.ts}
    event = {"type": kind, "user": user, "reaction": name, "item": item, "item_user": sent.author}
    return event | {"event_ts": world.ts()}


def app_home_opened(world: World, user: User, tab: str) -> JSON:
    """tab: messages or home. https://docs.slack.dev/reference/events/app_home_opened"""
    event: JSON = {"type": "app_home_opened", "user": user.id, "channel": world.direct([user.id]).id, "tab": tab}
    if tab == "home" and user.home:
        event["view"] = user.home
    return event | {"event_ts": world.ts()}


def member_joined_channel(world: World, channel: Channel, user: str, inviter: str) -> JSON:
    """https://docs.slack.dev/reference/events/member_joined_channel"""
    letter = "C" if channel.kind == "channel" else "G"
    joined = {"type": "member_joined_channel", "user": user, "channel": channel.id, "channel_type": letter}
    return joined | {"team": TEAM, "inviter": inviter, "event_ts": world.ts()}


def member_left_channel(world: World, channel: Channel, user: str) -> JSON:
    """https://docs.slack.dev/reference/events/member_left_channel"""
    letter = "C" if channel.kind == "channel" else "G"
    left = {"type": "member_left_channel", "user": user, "channel": channel.id, "channel_type": letter}
    return left | {"team": TEAM, "event_ts": world.ts()}


def channel_left(world: World, channel: Channel) -> JSON:
    """The app itself was taken out. https://docs.slack.dev/reference/events/channel_left and group_left"""
    kind = "channel_left" if channel.kind == "channel" else "group_left"
    return {"type": kind, "channel": channel.id, "actor_id": "U0", "event_ts": world.ts()}


def uninstalled(world: World) -> tuple[JSON, JSON]:
    """https://docs.slack.dev/reference/events/tokens_revoked and app_uninstalled: both come, in any order."""
    revoked = {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [BOT_USER]}, "event_ts": world.ts()}
    return revoked, {"type": "app_uninstalled", "event_ts": world.ts()}


def block_actions(world: World, user: User, pressed: Pressable, container: JSON, more: JSON) -> JSON:
    """https://docs.slack.dev/reference/interaction-payloads/block_actions-payload

    container: where it was pressed (message or view). more: message, channel, view, response_url as they apply.
    """
    action: JSON = {
        "action_id": pressed.action_id,
        "block_id": pressed.block_id,
        "text": pressed.text,
        "type": pressed.kind,
        "action_ts": world.ts(),
    }
    if pressed.value:
        action["value"] = pressed.value
    sent = _interaction(world, user, "block_actions") | {"container": container, "state": {"values": {}}} | more
    return sent | {"actions": [action]}


def view_submission(world: World, user: User, view: JSON) -> JSON:
    """https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload"""
    return _interaction(world, user, "view_submission") | {"view": view, "response_urls": []}


def slash_command(world: World, user: User, command: str, text: str, channel: Channel) -> JSON:
    """https://docs.slack.dev/interactivity/implementing-slash-commands: flat, and booleans are strings."""
    name = {"im": "directmessage", "group": "privategroup"}.get(channel.kind, channel.name)
    return {
        "token": LEGACY_TOKEN, "team_id": TEAM, "team_domain": TEAM_NAME, "channel_id": channel.id,
        "channel_name": name, "user_id": user.id, "user_name": user.name.lower(), "command": command, "text": text,
        "api_app_id": APP, "is_enterprise_install": "false", "response_url": world.hook(user.id, channel.id, None),
        "trigger_id": world.trigger(user.id),
    }  # fmt: skip


def stored_view(world: World, view: JSON, before: JSON | None = None) -> JSON:
    """A view as Slack keeps and returns it. https://docs.slack.dev/reference/objects/view-object"""
    view_id = before["id"] if before else world.new_id("V")
    defaults: JSON = {
        "private_metadata": "", "callback_id": "", "external_id": "", "title": None, "close": None, "submit": None,
        "clear_on_close": False, "notify_on_close": False,
    }  # fmt: skip
    return defaults | view | {
        "id": view_id, "team_id": TEAM, "app_id": APP, "bot_id": BOT, "app_installed_team_id": TEAM,
        "root_view_id": view_id, "previous_view_id": None, "state": {"values": {}},
        "hash": f"{int(time.time())}.{world.new_id('h')}",
    }  # fmt: skip


def _interaction(world: World, user: User, kind: str) -> JSON:
    who: JSON = {"id": user.id, "username": user.name.lower(), "name": user.name.lower(), "team_id": TEAM}
    nothing: dict[str, Any] = {"enterprise": None, "is_enterprise_install": False}
    return nothing | {
        "type": kind, "user": who, "api_app_id": APP, "token": LEGACY_TOKEN, "trigger_id": world.trigger(user.id),
        "team": {"id": TEAM, "domain": TEAM_NAME},
    }  # fmt: skip


def _where(channel: Channel) -> JSON:
    return {"channel": channel.id, "channel_type": channel.kind}


def _hidden(world: World, channel: Channel, event: JSON) -> JSON:
    ts = world.ts()
    return {"type": "message", "hidden": True, "ts": ts, "event_ts": ts} | _where(channel) | event
