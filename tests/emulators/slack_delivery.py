"""How events, interactions and commands reach the app: Socket Mode, or signed HTTP requests; with retries.

Sources: https://docs.slack.dev/apis/events-api/using-socket-mode, https://docs.slack.dev/apis/events-api (retries) and
https://docs.slack.dev/authentication/verifying-requests-from-slack.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from tests.emulators.slack_blocks import JSON
from tests.emulators.slack_world import APP, SIGNING_SECRET

MOST_SOCKETS = 10  # https://docs.slack.dev/apis/events-api/using-socket-mode#connections
Answered = Callable[[Any], None]


@dataclass(slots=True)
class Delivery:
    """One thing sent to the app, and what became of it. Filled in by the server; read it from any thread."""

    kind: str  # events_api, interactive, slash_commands, url_verification or raw
    payload: Any
    attempts: int = 0
    acked: bool = False
    done: bool = False  # acked, or given up
    status: int | None = None  # of the last HTTP answer
    answer: Any = None  # what the acknowledgement carried
    seconds: float | None = None  # from the last attempt to its acknowledgement


def signed(body: bytes, timestamp: str | None = None, secret: str = SIGNING_SECRET) -> dict[str, str]:
    """The two headers by which an app knows Slack. timestamp: seconds since 1970; now, when not given."""
    timestamp = timestamp or str(int(time.time()))
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


class Courier:
    """Delivers. send, inject and raw may be called from any thread; the rest runs in the server's loop."""

    def __init__(self) -> None:
        self.events_url: str | None = None  # None: Socket Mode
        self.ack_seconds = 3.0
        self.retry_delays: Sequence[float] = (0.05, 0.2, 0.5)  # at Slack: almost at once, 1 minute, 5 minutes
        self.deliveries: list[Delivery] = []
        self.sockets: list[web.WebSocketResponse] = []  # those that new envelopes may use
        self._all: dict[web.WebSocketResponse, asyncio.Transport] = {}
        self._waiting: dict[str, tuple[asyncio.Future[Any], web.WebSocketResponse]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = 0

    async def start(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.joined = asyncio.Condition()
        self.session = aiohttp.ClientSession()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for socket in list(self._all):
            await socket.close(code=1001)
        await self.session.close()

    def send(self, kind: str, payload: JSON, answered: Answered | None = None) -> Delivery:
        """Deliver. Events are retried; a person's interactions and commands fail at once, as at Slack."""
        delays = self.retry_delays if kind == "events_api" else ()
        return self._launch(Delivery(kind, payload), lambda made: self._deliver(made, delays, answered))

    def inject(self, envelope: JSON) -> Delivery:
        """Deliver once, without retries, exactly this Socket Mode envelope (over HTTP: its payload)."""
        made = Delivery(str(envelope.get("type")), envelope.get("payload"))
        return self._launch(made, lambda made: self._once(made, envelope))

    def raw(self, body: bytes, headers: Mapping[str, str] | None) -> Delivery:
        """Send these bytes: as a request with exactly these headers, or as a WebSocket frame (headers unused)."""
        return self._launch(Delivery("raw", body), lambda made: self._raw(made, headers or {}))

    def verify(self) -> Delivery:
        """https://docs.slack.dev/reference/events/url_verification: acked when the challenge came back."""
        challenge = uuid.uuid4().hex
        payload = {"token": "made-up-verification-token", "challenge": challenge, "type": "url_verification"}
        return self._launch(Delivery("url_verification", payload), lambda made: self._verify(made, challenge))

    def disconnect(self, reason: str) -> None:
        """Ask every connection to go: warning (about ten seconds left), refresh_requested or link_disabled."""
        self.loop.call_soon_threadsafe(self._spawn, self._say_goodbye(reason))

    def sever(self) -> None:
        """Cut every connection without a word."""
        self.loop.call_soon_threadsafe(self._cut)

    async def join(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self._all[socket] = transport
        debug = {"host": "applink-made-up", "build_number": 1, "approximate_connection_time": 18060}
        if len(self._all) > MOST_SOCKETS:
            too_many = {"type": "disconnect", "reason": "too_many_websockets", "debug_info": debug}
            await socket.send_json(too_many)
            await socket.close()
            return
        hello = {"type": "hello", "num_connections": len(self._all), "debug_info": debug}
        await socket.send_json(hello | {"connection_info": {"app_id": APP}})
        self.sockets.append(socket)
        async with self.joined:
            self.joined.notify_all()

    def leave(self, socket: web.WebSocketResponse) -> None:
        self._all.pop(socket, None)
        if socket in self.sockets:
            self.sockets.remove(socket)
        for future, used in list(self._waiting.values()):
            if used is socket and not future.done():
                future.set_exception(ConnectionResetError())

    def heard(self, text: str) -> None:
        """An acknowledgement: {"envelope_id": ..., "payload": ...}. Anything else is ignored, as Slack does."""
        try:
            said = json.loads(text)
        except ValueError:
            return
        if isinstance(said, dict) and said.get("envelope_id") in self._waiting:
            future, _ = self._waiting[said["envelope_id"]]
            if not future.done():
                future.set_result(said.get("payload"))

    def _launch(self, made: Delivery, work: Callable[[Delivery], Any]) -> Delivery:
        self.deliveries.append(made)
        self.loop.call_soon_threadsafe(lambda: self._spawn(work(made)))
        return made

    def _spawn(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, made: Delivery, delays: Sequence[float], answered: Answered | None) -> None:
        reason = ""
        for attempt, delay in enumerate([0.0, *delays]):
            await asyncio.sleep(delay)
            if self.events_url is None:
                envelope: JSON = {"envelope_id": str(uuid.uuid4()), "type": made.kind, "payload": made.payload}
                envelope["accepts_response_payload"] = made.kind != "events_api"
                if made.kind == "events_api":
                    envelope |= {"retry_attempt": attempt, "retry_reason": reason}
                reason = await self._by_socket(made, envelope)
            else:
                retry = {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": reason} if attempt else {}
                reason = await self._by_http(made, retry)
            if not reason or reason == "no_retry":
                break
        if made.acked and answered:
            answered(made.answer)
        made.done = True

    async def _once(self, made: Delivery, envelope: JSON) -> None:
        if self.events_url is None:
            await self._by_socket(made, {"envelope_id": str(uuid.uuid4()), **envelope})
        else:
            await self._by_http(made, {})
        made.done = True

    async def _raw(self, made: Delivery, headers: Mapping[str, str]) -> None:
        if self.events_url is not None:
            await self._post(made, made.payload, headers)
        elif socket := await self._free_socket():
            made.attempts += 1
            try:
                await socket.send_str(made.payload.decode())
            except UnicodeDecodeError:
                await socket.send_bytes(made.payload)
        made.done = True

    async def _verify(self, made: Delivery, challenge: str) -> None:
        await self._by_http(made, {})
        said = made.answer.get("challenge") if isinstance(made.answer, dict) else made.answer
        made.acked = made.acked and said == challenge
        made.done = True

    async def _free_socket(self) -> web.WebSocketResponse | None:
        """The next connection in turn; waits ack_seconds for one when there is none."""
        try:
            async with asyncio.timeout(self.ack_seconds), self.joined:
                await self.joined.wait_for(lambda: self.sockets)
        except TimeoutError:
            return None
        self._turn += 1
        return self.sockets[self._turn % len(self.sockets)]

    async def _by_socket(self, made: Delivery, envelope: JSON) -> str:
        """One attempt. Returns why it failed: the next one's retry_reason; "" when it was acknowledged."""
        socket = await self._free_socket()
        if socket is None:
            return "timeout"
        made.attempts += 1
        started = time.monotonic()
        future: asyncio.Future[Any] = self.loop.create_future()
        self._waiting[envelope["envelope_id"]] = (future, socket)
        try:
            async with asyncio.timeout(self.ack_seconds):
                await socket.send_json(envelope)
                made.answer = await future
        except (TimeoutError, ConnectionError):
            return "timeout"
        finally:
            del self._waiting[envelope["envelope_id"]]
            if future.done() and not future.cancelled():
                future.exception()  # asyncio logs an exception that nobody looked at
        made.acked, made.seconds = True, time.monotonic() - started
        return ""

    async def _by_http(self, made: Delivery, retry: Mapping[str, str]) -> str:
        kind = "application/x-www-form-urlencoded"
        if made.kind == "interactive":
            body = urlencode({"payload": json.dumps(made.payload)})
        elif made.kind == "slash_commands":
            body = urlencode(made.payload)
        else:
            body, kind = json.dumps(made.payload), "application/json"
        headers = {"Content-Type": kind, "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)"}
        return await self._post(made, body.encode(), headers | signed(body.encode()) | dict(retry))

    async def _post(self, made: Delivery, body: bytes, headers: Mapping[str, str]) -> str:
        made.attempts += 1
        started = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=self.ack_seconds)
        skip = ["Content-Type", "User-Agent"]
        try:
            async with self.session.post(
                self.events_url or "", data=body, headers=headers, timeout=timeout, skip_auto_headers=skip
            ) as response:
                text = await response.text(errors="replace")
        except TimeoutError:
            return "http_timeout"
        except aiohttp.ClientError:
            return "connection_failed"
        made.status, made.acked = response.status, 200 <= response.status < 300
        if not made.acked:
            return "no_retry" if response.headers.get("X-Slack-No-Retry") == "1" else "http_error"
        made.seconds = time.monotonic() - started
        made.answer = text
        if response.content_type == "application/json":
            with contextlib.suppress(ValueError):  # an app may answer anything; what is not JSON stays text
                made.answer = json.loads(text)
        return ""

    async def _say_goodbye(self, reason: str) -> None:
        leaving = list(self.sockets)
        if reason != "warning":  # what is told to go gets no new envelopes
            self.sockets.clear()
        for socket in leaving:
            goodbye = {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-made-up"}}
            await socket.send_json(goodbye)

    def _cut(self) -> None:
        for socket, transport in list(self._all.items()):
            self.leave(socket)
            transport.abort()
