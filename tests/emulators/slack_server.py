"""The HTTP side: the Web API, files, response_urls and the Socket Mode endpoint, on 127.0.0.1 and a free port."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.emulators import slack_events as events
from tests.emulators.slack_api import METHODS, auth_test
from tests.emulators.slack_blocks import JSON, Refused, parse_blocks, with_ids
from tests.emulators.slack_delivery import Courier
from tests.emulators.slack_faults import Fault, Faults
from tests.emulators.slack_files import readable
from tests.emulators.slack_world import (
    APP_TOKEN,
    BOT_TOKEN,
    BOT_USER,
    CLIENT_ID,
    CLIENT_SECRET,
    Message,
    World,
)

MOST_BYTES = 200 * 1024 * 1024
# Arguments that are lists or objects: a form carries them as JSON strings.
NESTED = ("blocks", "chunks", "files", "loading_messages", "metadata", "prompts", "view")
OPEN_TO_ALL = {"api.test", "oauth.v2.access"}  # need no token
Hook = Callable[[str, JSON, str], bool | None]


@dataclass(slots=True)
class Call:
    """One call of the Web API. status and error are those of the answer; applied: it took effect."""

    method: str
    params: JSON
    at: float = field(default_factory=time.time)
    applied: bool = False
    status: int | None = None
    error: str | None = None


class Server:
    def __init__(self, world: World, courier: Courier, faults: Faults) -> None:
        self.world, self.courier, self.faults = world, courier, faults
        self.calls: list[Call] = []
        self.on_call: list[Hook] = []

    async def start(self) -> None:
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_route("*", "/api/{method}", self._call)
        app.router.add_get("/link/", self._link)
        app.router.add_post("/hooks/{key}", self._hook)
        app.router.add_post("/upload/v1/{file}", self._upload)
        app.router.add_get("/files-pri/{file}/{rest:.+}", self._download)
        app.router.add_get("/signin", self._sign_in)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.world.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _call(self, request: web.Request) -> web.StreamResponse:
        """https://docs.slack.dev/apis/web-api"""
        method = request.match_info["method"]
        try:
            given = await _arguments(request)
        except Refused as refusal:
            return web.json_response({"ok": False, "error": refusal.error})
        call = Call(method, {key: value for key, value in given.items() if key != "token"})
        self.calls.append(call)
        if self._tell(call, "received") is False:
            return _cut(request)
        delay = self.faults.take_delay(method)
        if delay:
            await asyncio.sleep(delay)  # the client may be gone by then: aiohttp finishes the call all the same
        response = self._answer(call, given, _token(request, given))
        call.status = response.status
        await response.prepare(request)
        await response.write_eof()
        self._tell(call, "answered")
        return response

    def _tell(self, call: Call, phase: str) -> bool | None:
        replies = [hook(call.method, call.params, phase) for hook in self.on_call]
        return False if False in replies else None

    def _answer(self, call: Call, given: JSON, token: str) -> web.Response:
        if self.faults.out:
            call.error = "outage"
            return web.Response(status=503, text="<html>Slack is down</html>", content_type="text/html")
        fault = self.faults.take(call.method)
        wait = self.faults.too_soon(call.method, given) if fault is None else None
        if wait is not None:
            fault = Fault(call.method, 429, "ratelimited", wait, 1, landed=False)
        if fault is not None:
            if fault.landed:
                self._apply(call, given, token)
            call.error = fault.error
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            return web.json_response({"ok": False, "error": fault.error}, status=fault.status, headers=headers)
        _, scopes = self.world.elsewhere.get(token, ("", self.world.scopes))
        return web.json_response(self._apply(call, given, token), headers={"x-oauth-scopes": scopes})

    def _apply(self, call: Call, given: JSON, token: str) -> JSON:
        try:
            if call.method == "auth.test" and token in self.world.elsewhere:
                team, _ = self.world.elsewhere[token]
                return {"ok": True} | auth_test(self.world, given) | {"team": f"Team {team}", "team_id": team}
            _authorize(call.method, token, given, is_revoked=self.world.revoked)
            with self.world.lock:
                answer = METHODS[call.method](self.world, given)
        except Refused as refusal:
            call.error = refusal.error
            return {"ok": False, "error": refusal.error} | refusal.more
        call.applied = True
        self._tell(call, "applied")
        return {"ok": True} | answer

    async def _link(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if self.faults.out or ticket not in self.world.tickets:
            return web.Response(status=503 if self.faults.out else 403)
        self.world.tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        transport = request.transport
        if not isinstance(transport, asyncio.Transport):
            return socket
        await self.courier.join(socket, transport)
        try:
            async for frame in socket:
                if isinstance(frame.data, str):
                    self.courier.heard(frame.data)
        finally:
            self.courier.leave(socket)
        return socket

    async def _hook(self, request: web.Request) -> web.Response:
        """https://docs.slack.dev/interactivity/handling-user-interaction#message_responses"""
        try:
            given = await _arguments(request)
        except Refused:
            return web.Response(status=400, text="invalid_payload")
        call = Call("response_url", given)
        self.calls.append(call)
        with self.world.lock:
            try:
                respond(self.world, request.match_info["key"], given)
            except Refused as refusal:
                call.error, call.status = refusal.error, 404
                return web.json_response({"ok": False, "error": refusal.error}, status=404)
        call.applied, call.status = True, 200
        return web.Response(text="ok")

    async def _upload(self, request: web.Request) -> web.Response:
        """https://docs.slack.dev/messaging/working-with-files#uploading_files: raw bytes or a form with one file."""
        file = self.world.files.get(request.match_info["file"])
        if file is None:
            return web.Response(status=404, text="not found")
        if request.content_type == "multipart/form-data":
            parts = [part for part in (await request.post()).values() if isinstance(part, web.FileField)]
            file.content = parts[0].file.read()
        else:
            file.content = await request.read()
        return web.Response(text=f"OK - {len(file.content)}")

    async def _download(self, request: web.Request) -> web.Response:
        """https://docs.slack.dev/reference/objects/file-object: without the right token comes a sign-in page."""
        file = self.world.files.get(request.match_info["file"].rpartition("-")[2])
        if _token(request, {}) != BOT_TOKEN:
            raise web.HTTPFound("/signin")
        if file is None or file.content is None or not readable(self.world, file):
            return web.Response(status=404)
        return web.Response(body=file.content, content_type=file.mimetype)

    async def _sign_in(self, request: web.Request) -> web.Response:
        return web.Response(text="<!DOCTYPE html><title>Sign in</title>", content_type="text/html")


def respond(world: World, key: str, given: JSON) -> None:
    """What a response_url, or the answer to a slash command, does. The world's lock is held. Raises Refused."""
    hook = world.hooks.get(key)
    if hook is None or hook.left == 0:
        raise Refused("used_url")
    hook.left -= 1
    channel = world.channels[hook.channel]
    original = channel.messages.get(hook.message_ts or "")
    if given.get("delete_original") and original:
        del channel.messages[original.ts]
        if original.ephemeral_for is None:
            world.announce(events.message_deleted(world, channel, world.message_json(original)))
        return
    blocks = parse_blocks(given.get("blocks") or [])
    if given.get("replace_original") and original:
        before = world.message_json(original)
        original.text, original.markdown = str(given.get("text") or ""), ""
        original.blocks = with_ids(blocks, f"r{world.ts()[-6:]}")
        original.edited = {"user": BOT_USER, "ts": world.ts()}
        if original.ephemeral_for is None:
            world.announce(events.message_changed(world, original, before))
        return
    message = Message(world.ts(), channel.id, BOT_USER, str(given.get("text") or ""), blocks=blocks)
    message.thread_ts = given.get("thread_ts")
    if given.get("response_type") != "in_channel":  # ephemeral unless said otherwise
        message.ephemeral_for = hook.user
    world.add(message)
    if message.ephemeral_for is None:
        world.announce(events.message(world, message))


async def _arguments(request: web.Request) -> JSON:
    """Query, form or JSON body as one object. Raises Refused("invalid_json" or "json_not_object")."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.read() or b"{}")
        except (ValueError, RecursionError) as error:
            raise Refused("invalid_json") from error
        if not isinstance(body, dict):
            raise Refused("json_not_object")
        given |= body
    elif request.can_read_body:
        given |= await request.post()
    for key in NESTED:
        if isinstance(given.get(key), str):
            try:
                given[key] = json.loads(given[key])
            except ValueError:
                continue  # the method refuses it by its own code
    return given


def _token(request: web.Request, given: JSON) -> str:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind == "Basic":  # oauth.v2.access: client_id and client_secret
        login, _, password = base64.b64decode(value + "==").decode("latin-1").partition(":")
        given |= {"client_id": login, "client_secret": password}
        return ""
    return value.strip() if kind == "Bearer" else str(given.get("token") or "")


def _authorize(method: str, token: str, given: JSON, *, is_revoked: bool) -> None:
    """https://docs.slack.dev/authentication/tokens"""
    if method not in METHODS:
        raise Refused("unknown_method")
    if method == "oauth.v2.access":
        if given.get("client_id") != CLIENT_ID:
            raise Refused("invalid_client_id")
        if given.get("client_secret") != CLIENT_SECRET:
            raise Refused("bad_client_secret")
    if method in OPEN_TO_ALL:
        return
    if not token:
        raise Refused("not_authed")
    if token not in {BOT_TOKEN, APP_TOKEN}:
        raise Refused("invalid_auth")
    if (token == APP_TOKEN) != (method == "apps.connections.open"):
        raise Refused("not_allowed_token_type")
    if is_revoked and token == BOT_TOKEN:
        raise Refused("account_inactive")


def _cut(request: web.Request) -> web.Response:
    """As if the request had never arrived."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
