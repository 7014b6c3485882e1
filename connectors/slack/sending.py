"""Messages that are put up, previewed and finished. A stream where Slack streams, else one message that is edited.

A handle is `stream:TS` or `post:TS`. What a stream shows so far is remembered here only to append to it; without that
memory, after a crash, the message is ended and written anew, so `finish` may be repeated.
Streams: https://docs.slack.dev/reference/methods/chat.startStream
"""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from agent.events import Button, Outgoing
from agent.message import Place
from connectors.connector import ConnectorError, Throttled, Unsure
from connectors.slack import reading, render
from connectors.slack.calls import SEND_SECONDS, Calls, Refusal
from connectors.slack.text import calm
from connectors.slack.workspaces import Workspace

log = logging.getLogger(__name__)

WAITING = "…"
STREAM_PAUSE, EDIT_PAUSE = 0.6, 1.2  # seconds between two previews of one message
PREVIEW_SECONDS = 3.0  # a preview that takes longer is given up
LATE = 10.0  # seconds after which a request that nobody answered has landed or never will
STREAM_LIFE = 240.0  # Slack ends a stream after about 300 seconds
PROMPTS = 4  # suggestions, the most that Slack shows
CONFLICT = 2.0  # seconds until an edit is tried again that came before Slack had ended a stream
FORGET = 3_600.0  # seconds after which a message nobody finished is forgotten
# Said in turn below the name while an answer is made (docs.slack.dev/reference/methods/assistant.threads.setStatus).
LOADING = ["Looking through the documents…", "Reading what I found…", "Putting it into words…"]
QUIET = {"unfurl_links": False, "unfurl_media": False}
SHUT_OUT = frozenset({"not_in_channel", "channel_not_found", "is_archived", "account_inactive", "token_revoked"})
UNREADABLE = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"})


@dataclass(slots=True)
class _Shown:
    """What an opened message shows. is_live: a stream that may still be appended to. may_land: a preview still may."""

    stop: Button | None = None
    may_land: bool = False
    text: str = ""
    is_live: bool = True
    opened: float = field(default_factory=time.monotonic)
    last: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Sending:
    def __init__(self, calls: Calls) -> None:
        self._call = calls
        self._shown: dict[tuple[str, str], _Shown] = {}
        self._streamless: set[str] = set()  # workspaces whose Slack knows no streams
        self._doubtful: set[str] = set()  # keys of opened messages of which nobody knows whether they arrived

    async def open(
        self, workspace: Workspace, place: Place, asker: tuple[str, str], key: str, stop: Button | None
    ) -> str:
        """asker: the user's id and the team's."""
        ends = time.monotonic() + SEND_SECONDS
        self._forget()
        if place.thread:
            await self._status(workspace, place)
            handle = await self._start_stream(workspace, place, asker, ends)
            if handle:
                self._shown[place.channel, handle] = _Shown()
                return handle
        message = {"text": WAITING, "blocks": [render.markdown(WAITING), *render.stop_row(stop)]}
        ts = await self._post(workspace, place, message, {"open": key}, ends)
        self._shown[place.channel, f"post:{ts}"] = _Shown(stop)
        return f"post:{ts}"

    async def _status(self, workspace: Workspace, place: Place) -> None:
        ends = time.monotonic() + PREVIEW_SECONDS
        given: dict[str, Any] = {"channel_id": place.channel, "thread_ts": place.thread, "status": "is thinking…"}
        given |= {"loading_messages": LOADING}
        with suppress(ConnectorError):
            await self._call(workspace.token, "assistant.threads.setStatus", given, ends=ends, patience=0)

    async def _start_stream(self, workspace: Workspace, place: Place, asker: tuple[str, str], ends: float) -> str:
        """The handle; empty where Slack streams nothing here, now."""
        if (
            not asker[0]
            or workspace.id in self._streamless
            or not self._call.has_room(workspace.token, "chat.startStream")
        ):
            return ""
        await self._call.take_room(workspace.token, "chat.startStream")
        given = {"channel": place.channel, "thread_ts": place.thread}
        given |= {"recipient_user_id": asker[0], "recipient_team_id": asker[1]}
        try:
            answer = await self._call(workspace.token, "chat.startStream", given, ends=ends, patience=0)
        except (Refusal, Throttled) as error:
            if isinstance(error, Refusal) and error.code == "unknown_method":
                self._streamless.add(workspace.id)
            return ""  # certainly not started; what is wrong with the place itself shows when the post is tried
        return f"stream:{answer['ts']}"

    async def show(
        self, workspace: Workspace, place: Place, handle: str, text: str, button: Button | None = None
    ) -> None:
        is_stream = handle.startswith("stream:")
        if button is not None and not is_stream:  # it may have been opened long ago, or by another process
            self._shown.setdefault((place.channel, handle), _Shown(button))
        shown = self._shown.get((place.channel, handle))
        pause = STREAM_PAUSE if is_stream else EDIT_PAUSE
        method = "chat.appendStream" if is_stream else "chat.update"
        if shown is None or not shown.is_live or shown.lock.locked() or time.monotonic() - shown.last < pause:
            return
        text = render.cut(calm(text).strip())[0]
        if not text or text == shown.text or not self._call.has_room(workspace.token, method):
            return
        async with shown.lock:
            await self._call.take_room(workspace.token, method)
            shown.last = time.monotonic()
            if is_stream:
                await self._append(workspace, place, handle, shown, text)
            else:
                await self._preview(workspace, place, handle, shown, text)

    async def _append(self, workspace: Workspace, place: Place, handle: str, shown: _Shown, text: str) -> None:
        if not text.startswith(shown.text) or time.monotonic() - shown.opened > STREAM_LIFE:
            shown.is_live = False  # the end of it will be written by an edit
            return
        given = {"channel": place.channel, "ts": _ts(handle), "markdown_text": text[len(shown.text) :]}
        try:
            ends = time.monotonic() + PREVIEW_SECONDS
            await self._call(workspace.token, "chat.appendStream", given, ends=ends, patience=0)
            shown.text = text
        except Throttled:
            return  # certainly not appended
        except ConnectorError:
            shown.is_live = False

    async def _preview(self, workspace: Workspace, place: Place, handle: str, shown: _Shown, text: str) -> None:
        content = {"text": WAITING, "blocks": [render.markdown(text), *render.stop_row(shown.stop)]}
        given = {"channel": place.channel, "ts": _ts(handle), **content}
        try:
            ends = time.monotonic() + PREVIEW_SECONDS
            await self._call(workspace.token, "chat.update", given, ends=ends, patience=0)
            shown.text = text
        except Unsure:
            shown.may_land = True
        except ConnectorError:
            return

    async def finish(self, workspace: Workspace, part: Outgoing, handle: str) -> str:
        """The opened message becomes `part`. Repeating it changes nothing."""
        ends = time.monotonic() + SEND_SECONDS
        channel, ts = part.place.channel, _ts(handle)
        shown = self._shown.pop((channel, handle), None)
        if handle.startswith("stream:") and await self._stop(workspace, part, ts, shown, ends):
            return ts
        try:
            await self._written(workspace, "chat.update", {"channel": channel, "ts": ts}, part, ends)
        except Refusal as error:
            if error.code != "streaming_state_conflict":
                raise
            raise Throttled("Slack takes this stream for an open one.", CONFLICT) from None  # and is asked to end it
        if shown is not None and shown.may_land:  # a preview that nobody heard of again could come after this
            await asyncio.sleep(LATE)
            ends = time.monotonic() + SEND_SECONDS
            await self._written(workspace, "chat.update", {"channel": channel, "ts": ts}, part, ends)
        return ts

    async def _stop(self, workspace: Workspace, part: Outgoing, ts: str, shown: _Shown | None, ends: float) -> bool:
        """End a stream; whether that left the whole part on the screen."""
        given: dict[str, Any] = {"channel": part.place.channel, "ts": ts}
        text = calm(part.text).strip()
        is_whole = shown is not None and shown.is_live and bool(text) and text.startswith(shown.text)
        if shown is not None and is_whole:
            given |= {"markdown_text": text[len(shown.text) :] or None, "blocks": render.below(part) or None}
        try:
            await self._call(workspace.token, "chat.stopStream", given, ends=ends)
        except Refusal as error:  # it ended by itself, or what we added was not to Slack's taste
            if error.code in SHUT_OUT:  # an edit would be taken for one of an open stream, again and again
                raise
            if is_whole and error.code != "message_not_in_streaming_state":
                bare = {"channel": part.place.channel, "ts": ts}
                with suppress(Refusal):
                    await self._call(workspace.token, "chat.stopStream", bare, ends=ends)
            return False
        return is_whole

    async def post(self, workspace: Workspace, part: Outgoing, key: str) -> str:
        """A new message that carries `key`."""
        ends = time.monotonic() + SEND_SECONDS
        await self._call.turn(part.place.channel, ends)
        where = {**_where(part.place), **QUIET, "metadata": _metadata({"key": key})}
        return str((await self._written(workspace, "chat.postMessage", where, part, ends))["ts"])

    async def picture(self, workspace: Workspace, part: Outgoing, key: str) -> str:
        """A picture as a file whose name carries `key`. Until the last of the three calls nobody sees anything.

        https://docs.slack.dev/messaging/working-with-files/#upload
        """
        ends = time.monotonic() + SEND_SECONDS
        (picture,) = part.pictures
        named = f"{key}.png"
        if picture.name:
            stem, dot, ending = picture.name.rpartition(".")
            named = f"{stem}-{key}{dot}{ending}"
        given = {"filename": named, "length": len(picture.content), "alt_txt": picture.text[:1000]}
        place = await self._call(workspace.token, "files.getUploadURLExternal", given, ends=ends)
        await self._call.upload(str(place["upload_url"]), picture.content, ends)
        file = {"id": place["file_id"], "title": picture.name or render.fallback(part)}
        shared = {"files": [file], "channel_id": part.place.channel, "thread_ts": part.place.thread or None}
        await self._call(workspace.token, "files.completeUploadExternal", shared, ends=ends)
        return str(place["file_id"])

    async def whisper(self, workspace: Workspace, part: Outgoing, user: str, handle: str) -> str:
        """A message that only `user` sees. What was opened for everybody goes away."""
        ends = time.monotonic() + SEND_SECONDS
        if handle:
            self._shown.pop((part.place.channel, handle), None)
            given = {"channel": part.place.channel, "ts": _ts(handle)}
            for method in ("chat.stopStream", "chat.delete") if handle.startswith("stream:") else ("chat.delete",):
                with suppress(Refusal):
                    await self._call(workspace.token, method, given, ends=ends)
        where = {**_where(part.place), "user": user}
        return str((await self._written(workspace, "chat.postEphemeral", where, part, ends))["message_ts"])

    async def suggest(self, workspace: Workspace, part: Outgoing) -> None:
        """https://docs.slack.dev/reference/methods/assistant.threads.setSuggestedPrompts: thread_ts would undo it."""
        if part.suggestions and not part.place.thread and part.place.channel.startswith("D"):
            prompts = [{"title": one[:80], "message": one} for one in part.suggestions[:PROMPTS]]
            given = {"channel_id": part.place.channel, "prompts": prompts}
            try:
                await self._call(workspace.token, "assistant.threads.setSuggestedPrompts", given)
            except ConnectorError as error:
                log.info("Suggestions could not be set: %s", error)

    async def _written(
        self, workspace: Workspace, method: str, where: dict[str, Any], part: Outgoing, ends: float
    ) -> dict[str, Any]:
        """Put a part's content up; as bare text where Slack cannot read its blocks."""
        text = render.fallback(part)
        try:
            content = {"text": text, "blocks": render.blocks(part)}
            return await self._call(workspace.token, method, {**where, **content}, ends=ends)
        except Refusal as error:
            if error.code not in UNREADABLE:
                raise
            log.warning("Slack could not read the blocks of a message (%s); it goes out as bare text.", error.code)
            return await self._call(workspace.token, method, {**where, "text": text, "blocks": []}, ends=ends)

    async def _post(
        self, workspace: Workspace, place: Place, content: dict[str, Any], mark: dict[str, str], ends: float
    ) -> str:
        """Open by a message, once: one of which nobody knows whether it arrived is looked for first."""
        mark_key = mark["open"]
        if mark_key in self._doubtful:
            found = await reading.find(self._call, workspace, place, mark)
            self._doubtful.discard(mark_key)
            if found:
                return found
        await self._call.turn(place.channel, ends)
        given = {**_where(place), **content, **QUIET, "metadata": _metadata(mark)}
        try:
            return str((await self._call(workspace.token, "chat.postMessage", given, ends=ends))["ts"])
        except Unsure:
            self._doubtful.add(mark_key)
            raise

    def _forget(self) -> None:
        late = time.monotonic() - FORGET
        for key in [key for key, shown in self._shown.items() if shown.opened < late]:
            del self._shown[key]


def _where(place: Place) -> dict[str, Any]:
    return {"channel": place.channel, "thread_ts": place.thread or None}


def _ts(handle: str) -> str:
    return handle.partition(":")[2]


def _metadata(payload: dict[str, str]) -> dict[str, Any]:
    return {"event_type": reading.EVENT, "event_payload": payload}
