"""A stored payload to what happened. Pure: all that it needs stands in the payload.

Payloads: https://docs.slack.dev/reference/events and https://docs.slack.dev/reference/interaction-payloads
"""

import json
import re
from datetime import UTC, datetime
from typing import Any

from agent.events import (
    Arrived,
    Command,
    Deleted,
    Edited,
    Event,
    File,
    Joined,
    Left,
    Opened,
    Post,
    Press,
    Reaction,
)
from agent.message import Place
from connectors.slack import forms
from connectors.slack.text import plain

Json = dict[str, Any]  # a payload of Slack's

KEPT_SUBTYPES = frozenset({"", "file_share", "thread_broadcast"})
LONGEST_ID = 80

# The names under which Slack sends these; any other emoji keeps its name.
EMOJI = {
    "+1": "👍",
    "thumbsup": "👍",
    "-1": "👎",
    "thumbsdown": "👎",
    "bulb": "💡",
    "heart": "❤️",
    "tada": "🎉",
    "eyes": "👀",
    "white_check_mark": "✅",
    "heavy_check_mark": "✅",
    "fire": "🔥",
    "rocket": "🚀",
    "clap": "👏",
    "star": "⭐",
    "100": "💯",
    "raised_hands": "🙌",
    "pray": "🙏",
    "thinking_face": "🤔",
    "x": "❌",
    "question": "❓",
    "bug": "🐛",
    "laughing": "😆",
    "smile": "😄",
    "cry": "😢",
}


def read(payload: str) -> Event | None:
    """Raises ValueError for a payload that is broken."""
    try:
        stored = json.loads(payload)
        return _Reader(stored["bot"], stored["body"]).event()
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, OSError, RecursionError) as error:
        raise ValueError("This payload is not one of Slack's.") from error


def identity(value: object) -> str:
    """One of Slack's ids. Raises ValueError for anything else: ids become keys in the store."""
    if not isinstance(value, str) or not re.fullmatch(rf"[A-Za-z0-9._:-]{{1,{LONGEST_ID}}}", value):
        raise ValueError("An id in this payload is none.")
    return value


def optional(value: object) -> str:
    return identity(value) if value else ""


class _Reader:
    """bot: {"user", "team", "tenant"}, who Atelier is where the payload arrived. body: the payload."""

    def __init__(self, bot: Json, body: Json) -> None:
        self.bot, self.body = bot, body
        self.tenant: str = bot["tenant"]

    def event(self) -> Event | None:
        kind = self.body.get("type")
        if kind == "event_callback":
            return self._happened(self.body["event"])
        if kind == "block_actions":
            return self._press()
        if kind == "view_submission":
            return self._submission()
        if "command" in self.body:
            return self._command()
        return None

    def place(self, channel: str, thread: str = "") -> Place:
        return Place("slack", self.tenant, channel, thread)

    def account(self, user: str, team: str = "") -> str:
        """team: the user's own. In shared channels strangers keep theirs, and whoever comes from nowhere is one."""
        ours = {self.bot.get("team")}
        if self.body.get("type") == "event_callback":  # these name the workspace that Atelier is installed in
            ours |= {self.body.get("team_id"), self.body.get("context_team_id")}
            ours |= {self.body.get("enterprise_id"), self.body.get("context_enterprise_id")}
        is_stranger = self.is_shared and (not team or team not in ours)
        return f"slack:{optional(team) or 'unknown' if is_stranger else self.tenant}:{user}"

    @property
    def is_shared(self) -> bool:
        """Whether another company reads along. Commands and presses do not say; who receives them has asked."""
        return bool(self.body.get("is_ext_shared_channel") or self.bot.get("is_shared"))

    def _happened(self, event: Json) -> Event | None:
        kind, happened = event["type"], identity(self.body["event_id"])
        if kind in {"message", "app_mention"}:
            return self._message(event, happened)
        user = optional(event.get("user"))
        if kind in {"reaction_added", "reaction_removed"}:
            item = event["item"]
            if item.get("type") != "message" or not user or user == self.bot["user"]:
                return None
            name = str(event["reaction"]).partition("::")[0]  # without the skin tone
            emoji = EMOJI.get(name, name)
            place = self.place(identity(item["channel"]))
            account, message = self.account(user), identity(item["ts"])
            return Reaction(happened, place, account, message, emoji, is_added=kind == "reaction_added")
        if kind == "app_home_opened":
            place = self.place(identity(event["channel"]))
            return Opened(happened, place, self.account(user))
        if kind == "member_joined_channel" and user != self.bot["user"]:
            return Arrived(
                happened, self.place(identity(event["channel"])), self.account(user, event.get("team") or "")
            )
        if kind == "member_joined_channel":
            inviter = optional(event.get("inviter"))
            return Joined(happened, self.place(identity(event["channel"])), self.account(inviter) if inviter else "")
        is_our_leaving = kind == "member_left_channel" and user == self.bot["user"]
        if is_our_leaving or kind in {"channel_left", "group_left"}:
            return Left(happened, self.place(identity(event["channel"])))
        return Left(happened, self.place("")) if uninstalls(self.body, self.bot["user"]) else None

    def _message(self, event: Json, happened: str) -> Event | None:
        channel = identity(event["channel"])
        direct = event.get("channel_type") == "im" or channel.startswith("D")
        subtype = event.get("subtype") or ""
        if subtype == "message_changed":
            return self._edited(event["message"], event.get("previous_message") or {}, happened, channel, direct=direct)
        if subtype == "message_deleted":
            gone = event.get("previous_message") or {}
            message = identity(event["deleted_ts"])
            place = self._thread(channel, gone, message, direct=direct)
            return None if self._is_bot(gone) else Deleted(happened, place, message)
        if subtype not in KEPT_SUBTYPES or self._is_bot(event) or not event.get("user"):
            return None
        message, text = identity(event["ts"]), str(event.get("text") or "")
        called = direct or event["type"] == "app_mention" or self._calls_us(text)
        files = self._files(event)
        said = plain(text, self.bot["user"])
        if not (said or files or called):
            return None
        return Post(
            message,
            self._thread(channel, event, message, direct=direct),
            self.account(identity(event["user"]), event.get("user_team") or event.get("team") or ""),
            said,
            datetime.fromtimestamp(float(message), UTC),
            direct,
            called,
            files,
            is_shared=self.is_shared,
        )

    def _edited(self, now: Json, before: Json, happened: str, channel: str, *, direct: bool) -> Event | None:
        if self._is_bot(now) or (now.get("subtype") or "") not in KEPT_SUBTYPES or not now.get("user"):
            return None
        if "text" in before and before["text"] == now.get("text"):
            return None  # Slack added a preview of a link
        message = identity(now["ts"])
        place = self._thread(channel, now, message, direct=direct)
        account = self.account(identity(now["user"]), now.get("user_team") or now.get("team") or "")
        text = str(now.get("text") or "")
        said, called = plain(text, self.bot["user"]), direct or self._calls_us(text)
        sent = datetime.fromtimestamp(float(message), UTC)
        edited = now.get("edited") or {}
        changed = datetime.fromtimestamp(float(identity(edited["ts"])), UTC) if edited.get("ts") else None
        files = self._files(now)
        shared = self.is_shared
        return Edited(
            happened, place, account, message, said, sent, direct, called, files, is_shared=shared, changed=changed
        )

    def _calls_us(self, text: str) -> bool:
        return f"<@{self.bot['user']}" in text

    def _thread(self, channel: str, message: Json, ts: str, *, direct: bool) -> Place:
        """Channels: every message stands in a thread or begins one. Direct: outside of threads all is one place."""
        return self.place(channel, optional(message.get("thread_ts")) or ("" if direct else ts))

    def _is_bot(self, message: Json) -> bool:
        return bool(message.get("bot_id")) or message.get("user") == self.bot["user"]

    def _files(self, message: Json) -> tuple[File, ...]:
        return tuple(filter(None, (self._file(file) for file in message.get("files") or ())))

    def _file(self, file: Json) -> File | None:
        if file.get("mode") in {"tombstone", "hidden_by_limit"}:
            return None
        where = file.get("url_private_download") or file.get("url_private") or identity(file["id"])
        name = plain(str(file.get("name") or file.get("title") or "file"))
        size = file.get("size") or 0
        return File(name, size if isinstance(size, int) else 0, json.dumps([self.tenant, where]))

    def _command(self) -> Command:
        words = plain(str(self.body.get("text") or "")).split(maxsplit=1)
        channel = identity(self.body["channel_id"])
        return Command(
            identity(self.body["trigger_id"]),
            self.place(channel),
            self.account(identity(self.body["user_id"]), optional(self.body.get("team_id"))),
            words[0].lower() if words else "help",
            words[1].strip() if len(words) > 1 else "",
            channel.startswith("D"),
            is_shared=self.is_shared,
        )

    def _press(self) -> Press | None:
        action = self.body["actions"][0]
        if action.get("type") not in {"button", "feedback_buttons"}:
            return None
        container, message = self.body.get("container") or {}, self.body.get("message") or {}
        channel = (self.body.get("channel") or {}).get("id") or container.get("channel_id")
        ts = optional(container.get("message_ts") or message.get("ts"))
        thread = message.get("thread_ts") or container.get("thread_ts")
        return self._pressed(channel, thread, ts, forms.pressed(action)["id"], "", self.body["trigger_id"])

    def _submission(self) -> Press | None:
        view = self.body["view"]
        if view.get("callback_id") != forms.CALLBACK:
            return None
        where = json.loads(view["private_metadata"])
        said = view["state"]["values"][forms.FIELD][forms.FIELD].get("value") or ""
        return self._pressed(where["channel"], where["thread"], where["message"], where["id"], said, view["id"])

    def _pressed(self, channel: Any, thread: Any, message: str, button: str, text: str, happened: str) -> Press:
        user = self.body["user"]
        channel = identity(channel)
        thread = optional(thread) or ("" if channel.startswith("D") else optional(message))
        account = self.account(identity(user["id"]), optional(user.get("team_id")))
        place = self.place(channel, thread)
        direct = channel.startswith("D")
        return Press(identity(happened), place, account, button, plain(text), optional(message), direct)


def opened_home(body: dict[str, Any]) -> str | None:
    """Whose Home tab was opened; None for any other payload."""
    event = body.get("event")
    if not isinstance(event, dict) or (event.get("type"), event.get("tab")) != ("app_home_opened", "home"):
        return None
    return identity(event["user"])


def uninstalls(body: dict[str, Any], bot: str) -> bool:
    """Whether Atelier was taken out of the whole workspace.

    https://docs.slack.dev/reference/events/app_uninstalled and tokens_revoked, which may come first, or alone.
    """
    event = body.get("event")
    if not isinstance(event, dict) or event.get("type") not in {"app_uninstalled", "tokens_revoked"}:
        return False
    tokens = event.get("tokens")
    return event["type"] == "app_uninstalled" or (isinstance(tokens, dict) and bot in (tokens.get("bot") or ()))


def changed_channel(body: dict[str, Any]) -> str:
    """The channel that somebody came to or left, as this payload tells; empty for any other."""
    event = body.get("event")
    if not isinstance(event, dict) or event.get("type") not in {"member_joined_channel", "member_left_channel"}:
        return ""
    return identity(event["channel"])


def silent_channel(body: dict[str, Any]) -> str:
    """The channel of a command or a press, which do not say who reads there; empty in private and for the rest."""
    channel = body.get("channel")
    found = body.get("channel_id") if "command" in body else channel.get("id") if isinstance(channel, dict) else None
    return found if isinstance(found, str) and not found.startswith("D") else ""
