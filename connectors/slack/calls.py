"""Calls of Slack's Web API: errors told apart, paces kept, nothing sent twice by itself.

Errors and rates: https://docs.slack.dev/apis/web-api/rate-limits
"""

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

import aiohttp
from aiolimiter import AsyncLimiter
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from connectors.connector import ConnectorError, Refused, Throttled, Unsure

SEND_SECONDS = 10.0  # for all of one send, waiting included: under the connector's grace
PATIENCE = 3.0  # seconds that a call waits by itself; for longer pauses the queue waits
RECONNECT = 5.0  # seconds until a Slack that could not be reached is tried again
POST_PAUSE = 1.0  # chat.postMessage: one a second in a channel

# Calls a minute that previews and streams leave room under: Tier 2, 3 and 4 are 20, 50 and 100.
PREVIEWS = {"chat.startStream": 18, "chat.update": 35, "chat.appendStream": 85}
INSIDE_SLACK = frozenset({"fatal_error", "internal_error", "service_unavailable", "request_timeout", "timeout"})

_SECRET = re.compile(r"xox[a-z]-[\w-]+|xapp-[\w-]+|(?<=ticket=)[\w-]+|(?<=code: )\S+|(?<=state: )\S+")


class Refusal(Refused):
    """code: Slack's, for example channel_not_found."""

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"Slack refused {method}: {code}.")
        self.code = code


class _Discreet(logging.Filter):
    """The libraries' own lines, without secrets and without tracebacks, whose texts nobody has read."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _SECRET.sub("…", record.getMessage()).split("\n")[0], None
        record.exc_info = record.exc_text = None
        return True


def discreet_logger() -> logging.Logger:
    """What Bolt and slack_sdk write to: warnings, never bodies (they log those at DEBUG and INFO)."""
    logger = logging.getLogger("connectors.slack.library")
    if not logger.filters:
        logger.addFilter(_Discreet())
    if logger.level != logging.WARNING:  # to set it clears what all loggers have cached, and this is asked at each call
        logger.setLevel(logging.WARNING)
    return logger


class How(TypedDict, total=False):
    """How a call is made.

    ends: time.monotonic() by which it must have ended. patience: the longest pause that is waited for here. get: the
    method reads its query.
    """

    ends: float | None
    patience: float
    get: bool


class Calls:
    """api: the Web API's address, ending in a slash."""

    def __init__(self, api: str) -> None:
        self.api = api
        self._session: aiohttp.ClientSession | None = None
        self._clients: dict[str, AsyncWebClient] = {}  # by token, over the session
        self._posts: dict[str, float] = {}  # channel -> when it takes the next message
        self._rooms: dict[tuple[str, str], AsyncLimiter] = {}  # method and token -> room for previews
        self._paused: dict[tuple[str, str], float] = {}
        self._asked: dict[tuple[str, str, str], float] = {}  # method, token, and channel where it counts -> until when

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SEND_SECONDS))
            self._clients.clear()
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def client(self, token: str | None = None, session: aiohttp.ClientSession | None = None) -> AsyncWebClient:
        """A client that never repeats a call by itself: slack_sdk's would post twice after a broken connection."""
        seconds = int(SEND_SECONDS)
        logger = discreet_logger()
        return AsyncWebClient(token, self.api, timeout=seconds, session=session, retry_handlers=[], logger=logger)

    async def __call__(
        self, token: str, method: str, arguments: Mapping[str, Any], **how: Unpack[How]
    ) -> dict[str, Any]:
        """What Slack answers. Raises as `response`."""
        response = await self.response(token, method, arguments, **how)
        return dict(response.data) if isinstance(response.data, dict) else {}

    async def response(
        self,
        token: str,
        method: str,
        arguments: Mapping[str, Any],
        *,
        ends: float | None = None,
        patience: float = PATIENCE,
        get: bool = False,
    ) -> AsyncSlackResponse:
        """The same with its headers. Raises Throttled, Refusal or Unsure. The last arguments: as `How` says."""
        given = {key: value for key, value in arguments.items() if value is not None}
        ends = ends if ends is not None else time.monotonic() + SEND_SECONDS
        what = (method, token, str(given.get("channel")) if method == "chat.postMessage" else "")
        await self._rested(what, patience, ends)
        while True:
            try:
                async with asyncio.timeout(max(0.0, ends - time.monotonic())):
                    session = self.session
                    if (client := self._clients.get(token)) is None:
                        client = self._clients[token] = self.client(token, session)
                    if get:
                        return await client.api_call(method, http_verb="GET", params=given)
                    return await client.api_call(method, json=given)
            except SlackApiError as error:
                problem = _meaning(method, error)
                if isinstance(problem, Throttled):
                    self._asked[what] = time.monotonic() + problem.seconds
            except aiohttp.ClientConnectorError:
                problem = Throttled("Slack cannot be reached.", RECONNECT)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError, AttributeError, SlackClientError):
                # AttributeError: slack_sdk's, for an answer that is no JSON
                problem = Unsure(f"Slack gave no answer to {method}.")
            if not isinstance(problem, Throttled):
                raise problem
            self._paused[method, token] = time.monotonic() + problem.seconds
            if problem.seconds > patience or time.monotonic() + problem.seconds > ends:
                raise problem
            await asyncio.sleep(problem.seconds)

    async def _rested(self, what: tuple[str, str, str], patience: float, ends: float) -> None:
        """Wait until a pause that Slack asked for is over. Raises Throttled when that takes too long."""
        until = self._asked.get(what, 0.0)
        left = until - time.monotonic()
        if left <= 0:
            self._asked.pop(what, None)
            return
        if left > patience or until > ends:
            raise Throttled("Slack asked for a pause.", left)
        await asyncio.sleep(left)

    async def upload(self, address: str, content: bytes, ends: float) -> None:
        """Hand a file over to the address that Slack gave for it. Raises Unsure."""
        try:
            async with asyncio.timeout(max(0.0, ends - time.monotonic())):
                async with self.session.post(address, data=content) as response:
                    if response.status == 200:
                        return
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass  # its text would hold the address
        raise Unsure("Slack did not take a picture.")

    async def turn(self, channel: str, ends: float) -> None:
        """Wait until a channel takes one more message. Raises Throttled when that takes too long."""
        now = time.monotonic()
        if len(self._posts) > 1_000:
            self._posts = {key: at for key, at in self._posts.items() if at > now}
        at = max(now, self._posts.get(channel, 0.0))
        if at - now > PATIENCE or at > ends:
            raise Throttled("This Slack channel has had too many messages in a row.", at - now)
        self._posts[channel] = at + POST_PAUSE
        await asyncio.sleep(at - now)

    def has_room(self, token: str, method: str) -> bool:
        """Whether a preview may be sent now without taking what the answers themselves need."""
        return time.monotonic() >= self._paused.get((method, token), 0.0) and self._room(token, method).has_capacity()

    async def take_room(self, token: str, method: str) -> None:
        await self._room(token, method).acquire()

    def _room(self, token: str, method: str) -> AsyncLimiter:
        return self._rooms.setdefault((method, token), AsyncLimiter(PREVIEWS[method], 60))


def _meaning(method: str, error: SlackApiError) -> ConnectorError:
    """What an error of the Web API says about whether the call took effect."""
    response = error.response
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
    data = getattr(response, "data", None)
    code = data.get("error") if isinstance(data, dict) else None
    if status == 429 or code in {"ratelimited", "rate_limited"}:
        headers = getattr(response, "headers", None) or {}
        after = str(headers.get("Retry-After") or headers.get("retry-after") or "")
        return Throttled(f"Slack wants a pause before {method}.", float(after) if after.isdigit() else 1.0)
    if status >= 500 or not isinstance(code, str) or code in INSIDE_SLACK:
        return Unsure(f"Slack failed at {method}.")
    return Refusal(method, re.sub(r"[^a-z0-9_]", "", code.lower())[:80])
