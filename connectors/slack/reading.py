"""What stands in a place already, and the files in it."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from agent.events import File, Post
from agent.message import Line, Place
from agent.support.mining import Said
from connectors.connector import ConnectorError, Refused, Throttled, Unsure
from connectors.slack.calls import Calls
from connectors.slack.events import EMOJI, KEPT_SUBTYPES
from connectors.slack.text import BREAK, plain
from connectors.slack.workspaces import Workspace

EVENT = "atelier_reply"  # the type of our metadata
THANKING = {"pray": "🙏", "ok_hand": "👌", "raised_hands": "🙌", "ballot_box_with_check": "☑", "partying_face": "🥳"}
LOOK_BACK = 7 * 86_400  # seconds in which a message of ours is looked for
MOST_LINES = 2_000
MOST_REPLIES = 200  # of one thread
MOST_BYTES = 20 * 1024 * 1024
FETCH_SECONDS = 60.0
ASKING = 1.5  # seconds: Slack waits three for the acknowledgement
REMEMBERED = 600.0  # seconds
MEMBERS_REMEMBERED = 30.0  # and forgotten at once where Slack tells of a change
LANGUAGE_REMEMBERED = 6 * 3600.0
MEMBER_SECONDS = 5.0  # for the whole list of a channel
MOST_MEMBERS = 5_000


async def lines(
    call: Calls, workspace: Workspace, place: Place, *, oldest: float = 0.0, latest: str = "", most: int = MOST_LINES
) -> AsyncIterator[dict[str, Any]]:
    """The messages of a place: a thread's oldest first, a channel's newest first.

    https://docs.slack.dev/reference/methods/conversations.replies and conversations.history
    """
    method = "conversations.replies" if place.thread else "conversations.history"
    given: dict[str, Any] = {"channel": place.channel, "limit": min(200, most), "include_all_metadata": True}
    given |= {"ts": place.thread or None, "oldest": f"{oldest:.6f}" if oldest else None, "latest": latest or None}
    count = 0
    while True:
        answer = await call(workspace.token, method, given, get=True)
        for message in answer.get("messages") or ():
            yield message
            count += 1
        cursor = (answer.get("response_metadata") or {}).get("next_cursor")
        if not cursor or count >= most:
            return
        given["cursor"] = cursor


async def find(call: Calls, workspace: Workspace, place: Place, mark: dict[str, str]) -> str | None:
    """The id of our message whose metadata holds `mark`, or whose file is named after its key."""
    async for message in lines(call, workspace, place, oldest=time.time() - LOOK_BACK):
        metadata = message.get("metadata") or {}
        if metadata.get("event_type") == EVENT and mark.items() <= (metadata.get("event_payload") or {}).items():
            return str(message["ts"])
        names = [file.get("name") for file in message.get("files") or ()]
        if message.get("user") == workspace.bot and any(str(mark.get("key")) in str(name) for name in names):
            return str(message["ts"])
    return None


async def earlier(call: Calls, workspace: Workspace, place: Place, before: str, limit: int) -> list[Line]:
    """The last `limit` lines before the message `before`, oldest first."""
    kept: deque[Line] = deque(maxlen=limit)
    async for message in lines(call, workspace, place, latest=before, most=MOST_LINES if place.thread else limit):
        if message["ts"] >= before or (message.get("subtype") or "") not in KEPT_SUBTYPES | {"bot_message"}:
            continue
        ours = message.get("user") == workspace.bot
        text = plain(str(message.get("text") or ""), workspace.bot).replace(BREAK, "")
        if text and not (ours and text == "…"):
            kept.append(Line("assistant" if ours else "user", text))
    return list(kept) if place.thread else list(reversed(kept))


async def said(call: Calls, workspace: Workspace, place: Place, message: str) -> Post | None:
    """One message of a person's, be it in a thread or not."""
    async for each in lines(call, workspace, replace(place, thread=message)):
        if str(each["ts"]) != message:
            continue
        team = each.get("user_team") or each.get("team") or workspace.id
        is_theirs = each.get("user") and each.get("user") != workspace.bot and not each.get("bot_id")
        if not is_theirs or (each.get("subtype") or "") not in KEPT_SUBTYPES:
            return None
        tenant = place.tenant if team == workspace.id else team
        where = replace(place, thread=str(each.get("thread_ts") or message))
        text = plain(str(each.get("text") or ""), workspace.bot)
        account = f"slack:{tenant}:{each['user']}"
        return Post(message, where, account, text, datetime.fromtimestamp(float(message), UTC))
    return None


async def threads(call: Calls, workspace: Workspace, place: Place, since: float, limit: int) -> list[list[Said]]:
    """The latest threads of a channel that began at `since` or later, each oldest first.

    Where Slack wants a pause it is those that were read by then. Raises Refused where Atelier may not read there,
    Throttled and Unsure.
    """
    found: list[list[Said]] = []
    try:
        async for root in lines(call, workspace, place.whole_channel, oldest=since):
            if root.get("reply_count") and (root.get("subtype") or "") in KEPT_SUBTYPES:
                within = lines(call, workspace, replace(place, thread=str(root["ts"])), most=MOST_REPLIES)
                found.append([_in_thread(each, workspace, place) async for each in within])
                if len(found) == limit:
                    break
    except Throttled:
        if not found:
            raise
    return found


def _in_thread(message: dict[str, Any], workspace: Workspace, place: Place) -> Said:
    """People of other companies count as nobody: what they say is not the team's."""
    is_persons = not message.get("bot_id") and (message.get("subtype") or "") in KEPT_SUBTYPES
    team = message.get("user_team") or message.get("team") or workspace.id
    is_persons = is_persons and team == workspace.id and message.get("user") not in (None, workspace.bot)
    reactions = tuple(
        (_emoji(str(each.get("name"))), frozenset(f"slack:{place.tenant}:{user}" for user in each.get("users") or ()))
        for each in message.get("reactions") or ()
    )
    account = f"slack:{place.tenant}:{message['user']}" if is_persons else ""
    return Said(str(message["ts"]), account, plain(str(message.get("text") or ""), workspace.bot), reactions)


def _emoji(name: str) -> str:
    plain_name = name.partition("::")[0]
    return EMOJI.get(plain_name) or THANKING.get(plain_name, name)


async def fetch(call: Calls, workspace: Workspace, file: File, to: Path) -> None:
    """Write a file to the path `to`. Raises Refused or Unsure, and then leaves nothing there."""
    where = json.loads(file.locator)[1]
    if ":" not in where:  # only its id came: the file is another workspace's
        found = (await call(workspace.token, "files.info", {"file": where}, get=True)).get("file") or {}
        where = found.get("url_private_download") or found.get("url_private") or ""
    if not _is_slacks(where, call.api):
        raise Refused("This file is not kept by Slack, so it was not read.")
    if file.size > MOST_BYTES:
        raise _too_large()
    try:
        with _whole_or_absent(to):
            await _download(call, workspace.token, where, to)
    except (aiohttp.ClientError, TimeoutError):
        raise Unsure("Slack did not hand over a file.") from None  # its text would hold the address


@contextmanager
def _whole_or_absent(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


async def _download(call: Calls, token: str, where: str, to: Path) -> None:
    """https://docs.slack.dev/reference/objects/file-object: a wrong token is answered with a page to sign in."""
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with call.session.get(where, headers=headers, timeout=timeout, allow_redirects=False) as response:
        if response.status >= 500 or response.status == 429:
            raise Unsure("Slack did not hand over a file.")
        is_page = response.content_type == "text/html" and "attachment" not in response.headers.get(
            "Content-Disposition", "attachment" if where.endswith((".html", ".htm")) else ""
        )
        if response.status != 200 or is_page:
            raise Refused("Slack did not hand over a file: it is gone, or Atelier may not read it.")
        if (response.content_length or 0) > MOST_BYTES:
            raise _too_large()
        taken = 0
        with to.open("wb") as out:
            async for chunk in response.content.iter_chunked(65_536):
                taken += len(chunk)
                if taken > MOST_BYTES:
                    raise _too_large()
                out.write(chunk)


def _is_slacks(where: str, api: str) -> bool:
    """Only Slack is shown the token."""
    try:
        url, home = urlsplit(where), urlsplit(api)
        if (url.scheme, url.netloc) == (home.scheme, home.netloc):
            return True
        host = url.hostname or ""
        return (
            url.scheme == "https" and url.port in {None, 443} and (host == "slack.com" or host.endswith(".slack.com"))
        )
    except ValueError:
        return False


class Memo:
    """What Slack said of channels and people, remembered for a while. Where it does not answer, nothing is known."""

    def __init__(self, call: Calls) -> None:
        self._call = call
        self._members: dict[str, tuple[frozenset[str], float]] = {}
        self._languages: dict[str, tuple[str, float]] = {}

    async def is_closed(self, workspace: Workspace, channel: str) -> bool:
        """Whether nobody but its members can read a channel: all of a workspace can read its public ones."""
        found = await self._about(workspace, channel)
        return any(found.get(kind) for kind in ("is_private", "is_im", "is_mpim"))

    async def is_open(self, workspace: Workspace, channel: str) -> bool:
        """Whether all of the workspace can read a channel, and nobody else; False where it is not known."""
        found = await self._about(workspace, channel)
        closed = ("is_private", "is_im", "is_mpim", "is_ext_shared", "is_pending_ext_shared", "is_org_shared")
        return bool(found.get("is_channel")) and not any(found.get(kind) for kind in closed)

    async def _about(self, workspace: Workspace, channel: str) -> dict[str, Any]:
        """https://docs.slack.dev/reference/objects/conversation-object; empty where Slack does not say in time."""
        try:
            async with asyncio.timeout(ASKING):
                found = await self._call(workspace.token, "conversations.info", {"channel": channel})
        except (ConnectorError, TimeoutError):
            return {}
        return dict(found["channel"])

    def changed(self, channel: str) -> None:
        """Somebody came to a channel or left it."""
        self._members.pop(channel, None)

    async def members(self, workspace: Workspace, channel: str) -> frozenset[str]:
        """The user ids of the people in a channel; empty where Slack does not say, or there are too many.

        https://docs.slack.dev/reference/methods/conversations.members
        """
        known, until = self._members.get(channel, (frozenset(), 0.0))
        if time.monotonic() < until:
            return known
        found: set[str] = set()
        given: dict[str, Any] = {"channel": channel, "limit": 1_000}
        try:
            async with asyncio.timeout(MEMBER_SECONDS):
                while True:
                    answer = await self._call(workspace.token, "conversations.members", given, get=True)
                    found |= set(answer.get("members") or ())
                    given["cursor"] = (answer.get("response_metadata") or {}).get("next_cursor")
                    if not given["cursor"] or len(found) > MOST_MEMBERS:
                        break
        except (ConnectorError, TimeoutError):
            return frozenset()
        if len(found) > MOST_MEMBERS:
            return frozenset()
        if len(self._members) > 1_000:
            self._members.clear()
        people = frozenset(found - {workspace.bot})
        self._members[channel] = people, time.monotonic() + MEMBERS_REMEMBERED
        return people

    async def called(self, workspace: Workspace, user: str) -> str:
        """The name somebody is shown under. Never kept."""
        async with asyncio.timeout(ASKING):
            answer = await self._call(workspace.token, "users.info", {"user": user}, get=True, patience=0)
        person = answer.get("user") or {}
        profile = person.get("profile") or {}
        return str(profile.get("display_name") or profile.get("real_name") or person.get("real_name") or "")

    async def language(self, workspace: Workspace, user: str) -> str:
        """The locale somebody has set, `de-DE`: https://docs.slack.dev/reference/methods/users.info."""
        name = f"{workspace.id}/{user}"
        known, until = self._languages.get(name, ("", 0.0))
        if time.monotonic() < until:
            return known
        kept = LANGUAGE_REMEMBERED
        try:
            async with asyncio.timeout(ASKING):
                given = {"user": user, "include_locale": "true"}
                answer = await self._call(workspace.token, "users.info", given, get=True, patience=0)
            language = str((answer.get("user") or {}).get("locale") or "")
        except (ConnectorError, TimeoutError):
            language, kept = known, REMEMBERED
        if len(self._languages) > 10_000:
            self._languages.clear()
        self._languages[name] = language, time.monotonic() + kept
        return language


def _too_large() -> Refused:
    return Refused(f"The file is larger than {MOST_BYTES // 1024 // 1024} MB.")


class Channels:
    """Which channels are shared with another company, remembered for a while."""

    def __init__(self, call: Calls) -> None:
        self._call = call
        self._known: dict[str, tuple[bool, float]] = {}

    async def is_shared(self, workspace: Workspace, channel: str) -> bool:
        """True too where Slack does not say in time: https://docs.slack.dev/reference/methods/conversations.info."""
        known, until = self._known.get(channel, (True, 0.0))
        if time.monotonic() < until:
            return known
        try:
            async with asyncio.timeout(ASKING):
                found = await self._call(workspace.token, "conversations.info", {"channel": channel})
        except (ConnectorError, TimeoutError):
            return True
        is_shared = bool(found["channel"].get("is_ext_shared") or found["channel"].get("is_pending_ext_shared"))
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[channel] = is_shared, time.monotonic() + REMEMBERED
        return is_shared
