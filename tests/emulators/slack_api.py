"""The Web API's other methods, and the table of all of them.

Each takes the world (its lock held) and the call's arguments, and returns what stands beside "ok" in the answer.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from tests.emulators import slack_chat as chat
from tests.emulators import slack_events as events
from tests.emulators.slack_blocks import JSON, VIEW_BLOCKS, Refused, check_blocks
from tests.emulators.slack_chat import missing, writable
from tests.emulators.slack_files import complete_upload, file_info, upload_url
from tests.emulators.slack_world import (
    APP,
    BOT,
    BOT_TOKEN,
    BOT_USER,
    SCOPES,
    TEAM,
    TEAM_NAME,
    Channel,
    Message,
    User,
    World,
)

Method = Callable[[World, JSON], JSON]
Row = TypeVar("Row")


def api_test(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/api.test"""
    if given.get("error"):
        raise Refused(given["error"], args=given)
    return {"args": given}


def auth_test(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/auth.test"""
    names = {"url": f"{world.url}/", "team": TEAM_NAME, "user": "atelier", "team_id": TEAM, "user_id": BOT_USER}
    return names | {"bot_id": BOT, "is_enterprise_install": False}


def connections_open(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/apps.connections.open: the address is good for one connection."""
    ticket = uuid.uuid4().hex
    world.tickets.add(ticket)
    return {"url": f"{world.url.replace('http', 'ws', 1)}/link/?ticket={ticket}&app_id={APP}"}


def oauth_access(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/oauth.v2.access: a code works once."""
    if given.get("code") not in world.oauth_codes:
        raise Refused("invalid_code")
    world.oauth_codes.remove(given["code"])
    world.revoked = False
    team: JSON = {"team": {"id": TEAM, "name": TEAM_NAME}, "enterprise": None, "is_enterprise_install": False}
    bot = {"access_token": BOT_TOKEN, "token_type": "bot", "scope": SCOPES, "bot_user_id": BOT_USER, "app_id": APP}
    return team | bot | {"authed_user": {"id": next(iter(world.users), "U0MADEUP")}}


def set_status(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/assistant.threads.setStatus: an empty status clears it."""
    channel = writable(world, given, "channel_id")
    if not given.get("thread_ts"):
        raise missing("thread_ts")
    if len(given.get("loading_messages") or []) > 10:
        raise Refused("invalid_arguments")
    status = str(given.get("status", ""))
    channel.statuses[given["thread_ts"]] = (status, time.monotonic() + world.status_seconds)
    return {}


def set_prompts(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/assistant.threads.setSuggestedPrompts

    Under agent_view a call with thread_ts is answered "ok" and shows nothing.
    """
    channel = writable(world, given, "channel_id")
    prompts = given.get("prompts")
    if not isinstance(prompts, list) or not 1 <= len(prompts) <= 4:
        raise Refused("invalid_arguments")
    if not all(isinstance(one, dict) and one.get("title") and one.get("message") for one in prompts):
        raise Refused("invalid_arguments")
    if not given.get("thread_ts"):
        channel.prompts = tuple((one["title"], one["message"]) for one in prompts)
    return {}


def set_title(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/assistant.threads.setTitle"""
    channel = writable(world, given, "channel_id")
    channel.titles[str(given.get("thread_ts", ""))] = str(given.get("title", ""))
    return {}


def history(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/conversations.history: top-level messages, newest first."""
    channel = _readable(world, given)
    lines = [
        line
        for line in channel.messages.values()
        if line.ephemeral_for is None and line.thread_ts in {None, line.ts} and _between(line, given)
    ]
    return _page(world, list(reversed(lines)), given, 100)


def replies(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/conversations.replies: the root first, then oldest first."""
    channel = _readable(world, given)
    ts = str(given.get("ts", ""))
    if ts not in channel.messages:
        raise Refused("thread_not_found")
    root = channel.messages[ts].thread_ts or ts
    lines = [line for line in world.thread(channel, root) if line.ts == root or _between(line, given)]
    return _page(world, lines, given, 1_000)


def channel_info(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/conversations.info"""
    channel = world.channel(str(given.get("channel", "")))
    if channel.kind != "channel" and not channel.bot_in:
        raise Refused("channel_not_found")
    return {"channel": _channel_json(channel, with_count=_flag(given, "include_num_members"))}


def members(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/conversations.members"""
    channel = world.channel(str(given.get("channel", "")))
    if channel.kind != "channel" and not channel.bot_in:
        raise Refused("channel_not_found")
    shown, cursor = _slice(channel.members, given, 100)
    return {"members": shown, "response_metadata": {"next_cursor": cursor}}


def channel_open(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/conversations.open"""
    users = [user for user in str(given.get("users") or "").split(",") if user]
    if given.get("channel"):
        channel = world.channel(given["channel"])
    elif not users or any(user not in world.users for user in users):
        raise Refused("user_not_found" if users else "users_list_not_supplied")
    else:
        channel = world.direct(users)
    return {"channel": _channel_json(channel) if _flag(given, "return_im") else {"id": channel.id}}


def user_info(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/users.info"""
    user = world.users.get(str(given.get("user", "")))
    if given.get("user") == BOT_USER:
        user = User(BOT_USER, "atelier", "en-US")
    if user is None:
        raise Refused("user_not_found")
    profile = {"real_name": user.name, "display_name": user.name, "team": TEAM}
    shown: JSON = {
        "id": user.id, "team_id": TEAM, "name": user.name.lower(), "real_name": user.name, "deleted": False,
        "tz": "Etc/UTC", "tz_offset": 0, "profile": profile, "is_admin": user.admin, "is_owner": False,
        "is_bot": user.id == BOT_USER, "is_restricted": False, "is_ultra_restricted": False,
    }  # fmt: skip
    return {"user": shown | ({"locale": user.locale} if _flag(given, "include_locale") else {})}


def react(world: World, given: JSON, *, add: bool = True) -> JSON:
    """https://docs.slack.dev/reference/methods/reactions.add and reactions.remove"""
    channel = _readable(world, given)
    message = channel.messages.get(str(given.get("timestamp", "")))
    if message is None:
        raise Refused("message_not_found")
    name = str(given.get("name") or "").strip(":")
    if not name:
        raise Refused("invalid_name")
    if add == (BOT_USER in message.reactions.get(name, [])):
        raise Refused("already_reacted" if add else "no_reaction")
    message.react(name, BOT_USER, add=add)
    kind = "reaction_added" if add else "reaction_removed"
    world.announce(events.reaction(world, kind, BOT_USER, name, message))
    return {}


def unreact(world: World, given: JSON) -> JSON:
    return react(world, given, add=False)


def open_view(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/views.open: a trigger works once, for three seconds."""
    user, expires = world.triggers.get(str(given.get("trigger_id", "")), ("", 0.0))
    if not user:
        raise Refused("invalid_trigger_id")
    if expires == 0.0:
        raise Refused("exchanged_trigger_id")
    if time.monotonic() > expires:
        raise Refused("expired_trigger_id")
    view = events.stored_view(world, _view(given, "modal"))
    world.triggers[given["trigger_id"]] = (user, 0.0)
    world.users[user].views = [view]
    return {"view": view}


def update_view(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/views.update"""
    wanted = {str(given.get("view_id") or given.get("external_id"))}
    for user in world.users.values():
        for place, view in enumerate(user.views):
            if wanted & {view["id"], view["external_id"] or None}:
                if given.get("hash") and given["hash"] != view["hash"]:
                    raise Refused("hash_conflict")
                user.views[place] = events.stored_view(world, _view(given, "modal"), view)
                return {"view": user.views[place]}
    raise Refused("not_found")


def publish_view(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/views.publish"""
    user = world.users.get(str(given.get("user_id", "")))
    if user is None:
        raise Refused("invalid_arguments")
    if given.get("hash") and user.home and given["hash"] != user.home["hash"]:
        raise Refused("hash_conflict")
    user.home = events.stored_view(world, _view(given, "home"), user.home)
    return {"view": user.home}


def _view(given: JSON, kind: str) -> JSON:
    """https://docs.slack.dev/reference/views/modal-views"""
    view = given.get("view")
    if not isinstance(view, dict) or view.get("type") != kind or not isinstance(view.get("blocks"), list):
        raise Refused("invalid_arguments")
    try:
        check_blocks(view["blocks"], VIEW_BLOCKS)
    except Refused as refusal:
        raise Refused("invalid_arguments", **refusal.more) from refusal
    asks = any(block["type"] == "input" for block in view["blocks"])
    if kind == "modal" and (_too_long(view, "title", 24) or (asks and "submit" not in view)):
        raise missing("title or submit")
    if _too_long(view, "submit", 24, optional=True) or _too_long(view, "close", 24, optional=True):
        raise Refused("invalid_arguments")
    if len(view.get("private_metadata", "")) > 3_000 or len(view.get("callback_id", "")) > 255:
        raise Refused("invalid_arguments")
    filled = [{"block_id": f"v{number}", **block} for number, block in enumerate(view["blocks"])]
    return view | {"blocks": filled}


def _too_long(view: JSON, key: str, most: int, *, optional: bool = False) -> bool:
    if key not in view:
        return not optional
    text = view[key].get("text", "") if isinstance(view[key], dict) else ""
    return not 1 <= len(text) <= most


def _readable(world: World, given: JSON) -> Channel:
    channel = world.channel(str(given.get("channel", "")))
    if not channel.bot_in:
        raise Refused("not_in_channel" if channel.kind == "channel" else "channel_not_found")
    return channel


def _between(message: Message, given: JSON) -> bool:
    inclusive = _flag(given, "inclusive")
    oldest, latest = given.get("oldest") or "0", given.get("latest") or "inf"
    if inclusive and message.ts in {oldest, latest}:
        return True
    return float(oldest) < float(message.ts) < float(latest)


def _page(world: World, lines: Sequence[Message], given: JSON, usual: int) -> JSON:
    shown, cursor = _slice(lines, given, usual)
    metadata = _flag(given, "include_all_metadata")
    answer: JSON = {
        "messages": [world.message_json(line, metadata=metadata) for line in shown],
        "has_more": bool(cursor),
    }
    return answer | ({"response_metadata": {"next_cursor": cursor}} if cursor else {})


def _slice(rows: Sequence[Row], given: JSON, usual: int) -> tuple[list[Row], str]:
    """One page and the cursor of the next ("" at the end). https://docs.slack.dev/apis/web-api/pagination"""
    try:
        limit = int(given.get("limit") or usual)
        start = int(given["cursor"].removeprefix("after:")) if given.get("cursor") else 0
    except ValueError as error:
        raise Refused("invalid_cursor") from error
    if not 1 <= limit <= 1_000:
        raise Refused("invalid_limit")
    return list(rows[start : start + limit]), f"after:{start + limit}" if start + limit < len(rows) else ""


def _flag(given: JSON, key: str) -> bool:
    return given.get(key) in {True, "1", "true", "True"}  # 1 == True


def _channel_json(channel: Channel, *, with_count: bool = False) -> JSON:
    """https://docs.slack.dev/reference/objects/conversation-object"""
    kinds = {"is_channel": "channel", "is_group": "group", "is_im": "im", "is_mpim": "mpim"}
    shown: JSON = {flag: channel.kind == kind for flag, kind in kinds.items()} | {"id": channel.id}
    if channel.kind == "im":
        shown["user"] = next(user for user in channel.members if user != BOT_USER)
    else:
        shown |= {"name": channel.name, "name_normalized": channel.name, "is_member": channel.bot_in}
    shown |= {"is_private": channel.kind != "channel", "is_archived": False, "context_team_id": TEAM}
    return shown | ({"num_members": len(channel.members)} if with_count else {})


METHODS: Mapping[str, Method] = {
    "api.test": api_test,
    "apps.connections.open": connections_open,
    "assistant.threads.setStatus": set_status,
    "assistant.threads.setSuggestedPrompts": set_prompts,
    "assistant.threads.setTitle": set_title,
    "auth.test": auth_test,
    "chat.appendStream": chat.append_stream,
    "chat.delete": chat.delete,
    "chat.getPermalink": chat.permalink,
    "chat.postEphemeral": chat.post_ephemeral,
    "chat.postMessage": chat.post_message,
    "chat.startStream": chat.start_stream,
    "chat.stopStream": chat.stop_stream,
    "chat.update": chat.update,
    "conversations.history": history,
    "conversations.info": channel_info,
    "conversations.members": members,
    "conversations.open": channel_open,
    "conversations.replies": replies,
    "files.completeUploadExternal": complete_upload,
    "files.getUploadURLExternal": upload_url,
    "files.info": file_info,
    "oauth.v2.access": oauth_access,
    "reactions.add": react,
    "reactions.remove": unreact,
    "users.info": user_info,
    "views.open": open_view,
    "views.publish": publish_view,
    "views.update": update_view,
}
