"""The HTTP side: answers the bot's calls, long polls and downloads. https://core.telegram.org/bots/api#making-requests"""

import asyncio
import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Literal

from aiohttp import web

from tests.emulators.telegram_faults import COUNTED, Faults, Flood
from tests.emulators.telegram_methods import METHODS, allow, file_content
from tests.emulators.telegram_params import MOST_UPLOAD, Params, read_params
from tests.emulators.telegram_values import ApiError, Call, Json, bad_request
from tests.emulators.telegram_webhook import WebhookPoster
from tests.emulators.telegram_world import World

Phase = Literal["received", "applied", "answered"]
Hook = Callable[[str, Mapping[str, Any], Phase], None]

MOST_POLL_SECONDS = 50  # undocumented; longer polls are cut short
_NAMES = {name.lower(): name for name in [*METHODS, "getUpdates"]}  # method names are case-insensitive


class Server:
    """One bot's API on 127.0.0.1. Everything but `wake` runs in the loop that called `start`."""

    def __init__(self, world: World, token: str) -> None:
        self.world = world
        self.token = token
        self.port = 0
        self.faults = Faults()
        self.flood = Flood()
        self.flood_on = False
        self.hooks: list[Hook] = []
        self.calls: list[Call] = []
        self.by_method: defaultdict[str, list[Call]] = defaultdict(list)
        self.failures: list[Exception] = []  # mistakes of the emulator itself: a test must not pass over them
        self.webhook = WebhookPoster(world)
        self._poll: asyncio.Event | None = None  # of the latest getUpdates: set when another one takes over
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.AppRunner | None = None
        self._pump: asyncio.Task[None] | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=MOST_UPLOAD + 1_000_000)
        app.router.add_route("*", "/bot{token}/{method}", self._handle)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        app.router.add_route("*", "/{rest:.*}", self._unknown)
        self._loop = asyncio.get_running_loop()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        self.world.updates.arrived = self.wake
        self._pump = asyncio.create_task(self._post_updates())

    async def close(self) -> None:
        """Let go of everyone who waits, then stop. Raises the first mistake of the emulator's own."""
        self.world.updates.arrived = lambda: None
        self._closing.set()
        self._ring()
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
        await self.webhook.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._loop = None
        if self.failures:
            raise self.failures[0]

    def wake(self) -> None:
        """From any thread: something new waits for the bot."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        self._arrived.set()
        self._arrived = asyncio.Event()

    async def _post_updates(self) -> None:
        while True:
            arrived = self._arrived
            await self.webhook.wake()
            await arrived.wait()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        at = time.monotonic()
        method = _NAMES.get(request.match_info["method"].lower())
        refused = self._refusal(request.match_info["token"], method)
        if method is None or refused is not None:
            return _answer(refused or ApiError(404, "Not Found"))
        params = Params({})
        try:
            params = await read_params(request)
        except web.HTTPRequestEntityTooLarge:
            return await self._finish(request, method, params, at, ApiError(413, "Request Entity Too Large"))
        except ApiError as error:
            return await self._finish(request, method, params, at, error)
        except (ConnectionError, web.RequestPayloadError):  # the bot died while it spoke: nothing arrived
            return web.Response()
        self._tell(method, params, "received")
        delay = self.faults.take_delay(method)
        if delay is not None:
            await self._sleep(delay.seconds)
            if not delay.lands:
                if request.transport is not None:
                    request.transport.close()
                return web.Response()
        result: Any = None
        try:
            result = await self._apply(method, params)
        except ApiError as error:
            return await self._finish(request, method, params, at, error)
        except Exception as mistake:  # noqa: BLE001 - raised again when the emulator closes
            self.failures.append(mistake)
            return await self._finish(request, method, params, at, ApiError(500, "Internal Server Error"))
        self._tell(method, params, "applied")
        return await self._finish(request, method, params, at, None, result)

    def _refusal(self, token: str, method: str | None) -> ApiError | None:
        if ":" not in token or method is None:
            return ApiError(404, "Not Found")
        return None if token == self.token else ApiError(401, "Unauthorized")

    async def _apply(self, method: str, params: Params) -> Any:
        self.faults.check(method)
        if method == "getUpdates":
            return await self._get_updates(params)
        with self.world.changed:
            if self.flood_on and method in COUNTED:
                self.flood.check(params.integer("chat_id") or 0, time.monotonic())
            result = METHODS[method](self.world, params)
            self.world.touch()
        if method in {"setWebhook", "deleteWebhook"}:
            self._ring()
        return result

    async def _get_updates(self, params: Params) -> list[Json]:
        """https://core.telegram.org/bots/api#getupdates"""
        if self.world.webhook.url:
            raise ApiError(
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete it first",
            )
        if self._poll is not None:
            self._poll.set()
        mine = self._poll = asyncio.Event()
        offset = params.integer("offset") or 0
        limit = params.integer("limit") or 100
        if not 1 <= limit <= 100:
            raise bad_request("limit must be between 1 and 100")
        with self.world.changed:
            allow(self.world, params)
        until = time.monotonic() + min(params.integer("timeout") or 0, MOST_POLL_SECONDS)
        while True:
            arrived = self._arrived
            if mine.is_set():
                raise ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                )
            with self.world.changed:
                found = self.world.updates.take(offset, limit)
            left = until - time.monotonic()
            if found or left <= 0 or self._closing.is_set():
                return found
            await _first_of(arrived, mine, seconds=left)

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    async def _finish(
        self,
        request: web.Request,
        method: str,
        params: Params,
        at: float,
        error: ApiError | None,
        result: Any = None,
    ) -> web.StreamResponse:
        """Log the call, answer it, and tell the hooks once the answer is on the wire."""
        call = Call(method, params.shown(), at, 200)
        if error is not None:
            call = Call(method, call.params, at, error.status, error.description, error.retry_after)
        with self.world.changed:
            self.calls.append(call)
            self.by_method[method].append(call)
            self.world.touch()
        response = web.json_response({"ok": True, "result": result}) if error is None else _answer(error)
        with contextlib.suppress(ConnectionError):  # the bot is gone: the answer goes nowhere
            await response.prepare(request)
            await response.write_eof()
        self._tell(method, params, "answered")
        return response

    def _tell(self, method: str, params: Params, phase: Phase) -> None:
        for hook in list(self.hooks):
            try:
                hook(method, params.values, phase)
            except Exception as mistake:  # noqa: BLE001 - the test's own hook failed: raised again at the end
                self.failures.append(mistake)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """https://core.telegram.org/bots/api#getfile"""
        if request.match_info["token"] != self.token:
            return _answer(ApiError(401, "Unauthorized"))
        try:
            self.faults.check("download")
        except ApiError as error:
            return _answer(error)
        with self.world.changed:
            content = file_content(self.world, request.match_info["path"])
        return _answer(ApiError(404, "Not Found")) if content is None else web.Response(body=content)

    async def _unknown(self, _: web.Request) -> web.StreamResponse:
        return _answer(ApiError(404, "Not Found"))


def _answer(error: ApiError) -> web.Response:
    body: Json = {"ok": False, "error_code": error.status, "description": error.description}
    headers = {}
    if error.moved_to is not None:  # https://core.telegram.org/bots/api#responseparameters
        body["parameters"] = {"migrate_to_chat_id": error.moved_to}
    if error.retry_after is not None:
        body["parameters"] = {"retry_after": error.retry_after}
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    return web.json_response(body, status=error.status, headers=headers)


async def _first_of(*events: asyncio.Event, seconds: float) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
