"""The state of a made-up Slack workspace, and what a reader sees of it. One lock guards it; nothing here does I/O."""

import re
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.emulators.slack_blocks import JSON, Refused, pressables, reads, with_ids

TEAM, TEAM_NAME, APP = "T0MADEUP", "madeup", "A0MADEUP"
BOT_USER, BOT = "UBOT", "BBOT"
BOT_TOKEN, APP_TOKEN = "xoxb-made-up-for-tests", "xapp-made-up-for-tests"
SIGNING_SECRET, CLIENT_ID, CLIENT_SECRET, OAUTH_CODE = "made-up-signing", "made-up-id", "made-up-secret", "made-up-code"
SCOPES = (
    "app_mentions:read,assistant:write,chat:write,channels:history,groups:history,im:history,mpim:history,"
    "channels:read,groups:read,im:write,reactions:read,reactions:write,files:read,files:write,users:read,commands"
)


@dataclass(slots=True)
class Stream:
    """https://docs.slack.dev/reference/methods/chat.startStream. mode: text or chunks, fixed by the first payload."""

    dies: float  # time.monotonic()
    mode: str | None = None
    open: bool = True


@dataclass(slots=True)
class Message:
    ts: str
    channel: str
    author: str
    text: str = ""
    markdown: str = ""  # from markdown_text or a stream: Slack turns it into blocks that stand before the given ones
    blocks: list[JSON] = field(default_factory=list)
    thread_ts: str | None = None
    metadata: JSON | None = None
    files: list[str] = field(default_factory=list)
    edited: JSON | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    ephemeral_for: str | None = None
    stream: Stream | None = None
    client_msg_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def react(self, name: str, user: str, *, add: bool) -> None:
        users = [one for one in self.reactions.pop(name, []) if one != user] + ([user] if add else [])
        if users:
            self.reactions[name] = users

    @property
    def streaming(self) -> bool:
        return self.stream is not None and self.stream.open and time.monotonic() < self.stream.dies

    @property
    def stalled(self) -> bool:
        """The stream died before it was stopped: the reader sees an error until the message is edited."""
        return self.stream is not None and self.stream.open and time.monotonic() >= self.stream.dies


@dataclass(slots=True)
class Channel:
    id: str
    name: str
    kind: str  # channel, group, im or mpim: the channel_type of message events
    members: list[str]
    messages: dict[str, Message] = field(default_factory=dict)
    statuses: dict[str, tuple[str, float]] = field(default_factory=dict)  # thread -> text, time.monotonic() it goes
    prompts: tuple[tuple[str, str], ...] = ()
    titles: dict[str, str] = field(default_factory=dict)

    @property
    def bot_in(self) -> bool:
        return BOT_USER in self.members


@dataclass(slots=True)
class User:
    id: str
    name: str
    locale: str
    admin: bool = False
    home: JSON | None = None
    views: list[JSON] = field(default_factory=list)  # open modals, the top one last


@dataclass(slots=True)
class File:
    id: str
    name: str
    mimetype: str
    user: str
    content: bytes | None = None
    title: str = ""
    channels: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Hook:
    """A response_url. https://docs.slack.dev/interactivity/handling-user-interaction: 5 uses within 30 minutes."""

    user: str
    channel: str
    message_ts: str | None
    left: int = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """One message as a reader has it before them. author: "bot" or a user id. text keeps Slack's markup."""

    ts: str
    author: str
    text: str
    blocks: tuple[JSON, ...]
    buttons: tuple[str, ...]
    metadata: JSON | None
    edited: bool
    streaming: bool
    stalled: bool
    ephemeral_for: str | None
    thread_ts: str | None
    files: tuple[str, ...]
    reactions: tuple[tuple[str, str], ...]  # (name, user id or "bot")


class World:
    """All state. Take `lock` around anything that reads or writes more than one attribute.

    announce: called with each event (the inner object of an event_callback) that Slack would send the app.
    """

    def __init__(self, announce: Callable[[JSON], None]) -> None:
        self.lock = threading.RLock()
        self.announce = announce
        self.url = ""  # of the server, without a slash at the end
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self.hooks: dict[str, Hook] = {}
        self.triggers: dict[str, tuple[str, float]] = {}  # trigger_id -> user, time.monotonic() it expires
        self.tickets: set[str] = set()
        self.oauth_codes = {OAUTH_CODE}
        self.scopes = SCOPES  # that the bot was given
        self.elsewhere: dict[str, tuple[str, str]] = {}  # bot tokens of other workspaces -> their id, and scopes
        self.revoked = False  # the bot's token; a new installation brings it back
        self.streaming = True
        self.stream_seconds = 300.0  # undocumented: reported as about 5 minutes (python-slack-sdk issue 1859)
        self.status_seconds = 120.0  # https://docs.slack.dev/reference/methods/assistant.threads.setStatus
        self.trigger_seconds = 3.0  # https://docs.slack.dev/interactivity/handling-user-interaction
        self._last_ts = 0
        self._count = 0

    def ts(self) -> str:
        """A new timestamp: unique and later than all before. https://docs.slack.dev/messaging"""
        with self.lock:
            self._last_ts = max(time.time_ns() // 1_000, self._last_ts + 1)
            return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def new_id(self, prefix: str) -> str:
        with self.lock:
            self._count += 1
            return f"{prefix}0{self._count:07d}"

    def trigger(self, user: str) -> str:
        trigger = f"{self.new_id('')}.{TEAM}.{uuid.uuid4().hex}"
        self.triggers[trigger] = (user, time.monotonic() + self.trigger_seconds)
        return trigger

    def hook(self, user: str, channel: str, message_ts: str | None) -> str:
        key = uuid.uuid4().hex
        self.hooks[key] = Hook(user, channel, message_ts)
        return f"{self.url}/hooks/{key}"

    def channel(self, key: str) -> Channel:
        """By id, by name, or by user id (their direct messages). Raises Refused("channel_not_found")."""
        if key in self.channels:
            return self.channels[key]
        if key in self.users:
            return self.direct([key])
        name = key.removeprefix("#")
        named = [channel for channel in self.channels.values() if name and channel.name == name]
        if not named:
            raise Refused("channel_not_found")
        return named[0]

    def direct(self, users: Sequence[str]) -> Channel:
        """The direct messages of these people and the bot, opened when needed."""
        members = [*users, BOT_USER]
        for channel in self.channels.values():
            if channel.kind in {"im", "mpim"} and set(channel.members) == set(members):
                return channel
        one = len(users) == 1
        opened = Channel(self.new_id("D" if one else "G"), "", "im" if one else "mpim", members)
        self.channels[opened.id] = opened
        return opened

    def add(self, message: Message) -> Message:
        message.blocks = with_ids(message.blocks, f"b{message.ts[-6:]}")
        channel = self.channels[message.channel]
        channel.messages[message.ts] = message
        if message.author == BOT_USER:  # "the status is cleared when the app sends a reply"
            channel.statuses.pop(message.thread_ts or message.ts, None)
        return message

    def find(self, ts: str) -> Message:
        """A message in any channel: timestamps are unique here. Raises LookupError."""
        for channel in self.channels.values():
            if ts in channel.messages:
                return channel.messages[ts]
        raise LookupError(f"There is no message {ts}.")

    def thread(self, channel: Channel, root: str) -> list[Message]:
        """The root, if it is still there, and its replies, oldest first, without ephemeral ones."""
        lines = channel.messages.values()
        return [line for line in lines if root in {line.ts, line.thread_ts} and line.ephemeral_for is None]

    def seen(self, message: Message) -> Seen:
        """A message shows its blocks when it has any, and its text only when it has none.

        https://docs.slack.dev/reference/methods/chat.postMessage: "text" is then the fallback for notifications.
        """
        shown = "\n".join(part for part in (message.markdown, reads(message.blocks)) if part)
        if not message.markdown and not message.blocks:
            shown = message.text
        return Seen(
            ts=message.ts,
            author=_who(message.author),
            text=shown,
            blocks=tuple(message.blocks),
            buttons=tuple(button.label for button in pressables(message.blocks)),
            metadata=message.metadata,
            edited=message.edited is not None,
            streaming=message.streaming,
            stalled=message.stalled,
            ephemeral_for=message.ephemeral_for,
            thread_ts=message.thread_ts,
            files=tuple(self.files[file].name for file in message.files),
            reactions=tuple((name, _who(user)) for name, users in message.reactions.items() for user in users),
        )

    def message_json(self, message: Message, *, metadata: bool = True) -> JSON:
        """A message as history, replies, events and payloads give it. https://docs.slack.dev/reference/events/message"""
        said: JSON = {"type": "message", "user": message.author, "ts": message.ts, "team": TEAM}
        said["text"] = message.text or message.markdown
        generated = [rich_text(said["text"])] if message.markdown or (message.text and not message.blocks) else []
        said["blocks"] = [*generated, *message.blocks]
        if message.author == BOT_USER:
            profile = {"id": BOT, "app_id": APP, "user_id": BOT_USER, "name": "atelier", "team_id": TEAM}
            said |= {"bot_id": BOT, "app_id": APP, "bot_profile": profile}
        else:
            said["client_msg_id"] = message.client_msg_id
        channel = self.channels[message.channel]
        if message.thread_ts:
            root = channel.messages.get(message.thread_ts)
            said["thread_ts"] = message.thread_ts
            if root and root is not message:
                said["parent_user_id"] = root.author
        replies = [line for line in self.thread(channel, message.ts) if line.ts != message.ts]
        if replies:
            authors = list(dict.fromkeys(line.author for line in replies))
            said |= {"thread_ts": message.ts, "reply_count": len(replies), "reply_users": authors}
            said["latest_reply"] = replies[-1].ts
        if message.edited:
            said["edited"] = message.edited
        if message.files:
            said["files"] = [self.file_json(self.files[file]) for file in message.files]
        if message.reactions:
            said["reactions"] = [
                {"name": name, "users": users, "count": len(users)} for name, users in message.reactions.items()
            ]
        if message.metadata and metadata:
            said["metadata"] = message.metadata
        return said

    def file_json(self, file: File) -> JSON:
        """https://docs.slack.dev/reference/objects/file-object"""
        kind = file.name.rpartition(".")[2].lower()
        address = f"{self.url}/files-pri/{TEAM}-{file.id}"
        return {
            "id": file.id, "created": int(time.time()), "timestamp": int(time.time()), "name": file.name,
            "title": file.title or file.name, "mimetype": file.mimetype, "filetype": kind, "pretty_type": kind.upper(),
            "user": file.user, "user_team": TEAM, "editable": False, "size": len(file.content or b""),
            "mode": "hosted", "is_external": False, "external_type": "", "is_public": False,
            "public_url_shared": False, "display_as_bot": False, "username": "", "file_access": "visible",
            "channels": file.channels, "url_private": f"{address}/{file.name}",
            "url_private_download": f"{address}/download/{file.name}", "permalink": f"{self.url}/files/{file.id}",
        }  # fmt: skip


def rich_text(text: str) -> JSON:
    """The block Slack makes of plain text. https://docs.slack.dev/reference/block-kit/blocks/rich-text-block"""
    elements: list[JSON] = []
    for part in re.split(r"(<@\w+>)", text):
        if mention := re.fullmatch(r"<@(\w+)>", part):
            elements.append({"type": "user", "user_id": mention[1]})
        elif part:
            elements.append({"type": "text", "text": part})
    section = {"type": "rich_text_section", "elements": elements}
    return {"type": "rich_text", "block_id": "generated", "elements": [section]}


def _who(user: str) -> str:
    return "bot" if user == BOT_USER else user
