"""The connector: Slack's side of the seam, put together.

Bolt receives. Its listeners would acknowledge an event before anything is safe, so all is done in the one middleware
that runs before them, and an event is acknowledged by that middleware's answer.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from agent.events import Button, Event, File, Outgoing, Post
from agent.message import Line, Place
from agent.support.mining import Said
from connectors.connector import Accept, ConnectorError
from connectors.slack import events, forms, home, oauth, reading, receive, render
from connectors.slack.calls import Calls, Refusal, discreet_logger
from connectors.slack.gate import Gate
from connectors.slack.oauth import Installations, OAuth
from connectors.slack.sending import Sending
from connectors.slack.workspaces import Workspace, Workspaces
from retrieval.errors import SettingsError

log = logging.getLogger(__name__)

API = "https://slack.com/api/"
BROKEN = (KeyError, TypeError, AttributeError, IndexError, ValueError)
OUTSIDE = frozenset({"not_in_channel", "channel_not_found"})


class SlackConnector:
    """tenant: whose workspace it is, of the one that `bot_token` belongs to. oauth: many workspaces, in its store.

    tenants: of those, workspace id -> tenant; a workspace it does not name is a tenant of its own, by its id.
    app_token: Socket Mode; else HTTP Events, which need signing_secret. api: for tests, another address.
    """

    name = "slack"
    grace = 15.0
    edits_only = False

    def __init__(
        self,
        tenant: str,
        *,
        bot_token: str = "",
        app_token: str = "",
        signing_secret: str = "",
        oauth: OAuth | None = None,
        tenants: Mapping[str, str] | None = None,
        api: str = API,
    ) -> None:
        if bool(bot_token) == bool(oauth):
            raise SettingsError("Slack needs the bot's token (xoxb-…), or OAuth for several workspaces, and not both.")
        if not app_token and not signing_secret:
            raise SettingsError("Slack needs slack_app_token (xapp-…) for Socket Mode, or slack_signing_secret.")
        self._app_token, self._signing_secret, self._oauth = app_token.strip(), signing_secret.strip(), oauth
        self._call = Calls(api if api.endswith("/") else f"{api}/")
        store = Installations(oauth.engine) if oauth else None
        self._store = store
        self._workspaces = Workspaces(tenant, bot_token.strip(), store, tenants or {}, self._identify)
        self._sending = Sending(self._call)
        self._reading = reading.Channels(self._call)
        self._memo = reading.Memo(self._call)
        self._handler: AsyncSocketModeHandler | None = None
        self._heard = time.time()
        self._shows: set[asyncio.Task[None]] = set()  # modals being opened, Home tabs being put up

    async def _identify(self, token: str) -> tuple[str, str]:
        """The workspace and the bot behind a token: https://docs.slack.dev/reference/methods/auth.test."""
        who = await self._call(token, "auth.test", {})
        whole = who.get("is_enterprise_install") and who.get("enterprise_id")
        return str(whole or who["team_id"]), str(who["user_id"])

    # Receiving

    async def check(self) -> str:
        """Raises Refused for a wrong token, Unsure when Slack cannot be reached."""
        way = "by Socket Mode" if self._app_token else "by HTTP Events at /slack/events"
        if self._oauth is not None:
            return f"Slack: for the workspaces that install it at /slack/install, {way}."
        workspace = await self._workspaces.own()
        return f"Slack: in workspace {workspace.id} as {workspace.bot}, {way}."

    async def run(self, accept: Accept) -> None:
        if self._oauth is None:
            await self._workspaces.own()  # a wrong token shows here, and not as silence
        if not self._app_token:
            await asyncio.Event().wait()  # `routes` receives
        opened = await self._call(self._app_token, "apps.connections.open", {})
        self._heard = time.time()
        self._handler = handler = AsyncSocketModeHandler(self._app(accept), self._app_token, discreet_logger())
        handler.client.wss_uri = opened["url"]
        try:
            await handler.client.connect()  # type: ignore[no-untyped-call]  # slack_sdk types few returns
            await asyncio.Event().wait()  # the client watches its connection and renews it
        finally:
            self._heard, self._handler = time.time() - self.silence(), None
            await _end(handler)

    def silence(self) -> float:
        """Slack answers a ping every few seconds; by HTTP it calls us."""
        pong = self._handler.client.last_ping_pong_time if self._handler is not None else None
        return time.time() - max(self._heard, pong or 0.0) if self._app_token else 0.0

    def routes(self, accept: Accept) -> list[web.RouteDef]:
        found: list[web.RouteDef] = []
        if not self._app_token:
            receiver = _Http(Gate(self._signing_secret), self._app(accept))
            found.append(web.post("/slack/events", receiver.answer))
        if self._oauth is not None and self._store is not None:
            found += oauth.routes(self._oauth, self._store, self._call.client(), discreet_logger())
        return found

    def _app(self, accept: Accept) -> AsyncApp:
        return AsyncApp(
            name="atelier",
            logger=discreet_logger(),
            client=self._call.client(),
            authorize=_nobody,
            before_authorize=_Committing(partial(self._commit, accept)),
            request_verification_enabled=False,  # the gate has done it; a socket needs none
        )

    async def _commit(self, accept: Accept, body: dict[str, Any]) -> int:
        """The status to answer with: 200 only for what is safe, or says nothing to us."""
        try:
            workspace = await self._workspaces.of(receive.workspace_of(body))
            if workspace is None:
                log.warning("An event came from a Slack workspace where Atelier is not installed.")
                return 200
            button = forms.asked(body)
            if button is not None:
                self._open_form(workspace, body, button)
                return 200
            if (user := events.opened_home(body)) is not None:
                self._beside(self._put_home(workspace, user))
                return 200
            if channel := events.changed_channel(body):
                self._memo.changed(channel)
            channel = events.silent_channel(body)
            is_shared = bool(channel) and await self._reading.is_shared(workspace, channel)
            event = receive.received(body, workspace, is_shared=is_shared)
        except BROKEN as error:
            log.warning("A payload of Slack's could not be read (%s).", type(error).__name__)
            return 200
        except Exception as error:  # noqa: BLE001 - whatever it is, Slack shall send the event again
            log.warning("An event of Slack's has to come again: its workspace is unknown (%s).", type(error).__name__)
            return 503
        if event is None:
            return 200
        try:
            await accept([event])
            if self._store is not None and events.uninstalls(body, workspace.bot):
                await self._store.async_delete_bot(enterprise_id=None, team_id=workspace.id)
        except Exception as error:  # noqa: BLE001 - as above; a driver's text could hold the payload
            log.warning("An event of Slack's has to come again: it could not be stored (%s).", type(error).__name__)
            return 503
        return 200

    def _open_form(self, workspace: Workspace, body: dict[str, Any], button: dict[str, str]) -> None:
        """Beside the acknowledgement: a trigger lives for three seconds. What is accepted is the form, once sent."""
        user = str(body["user"]["id"])

        async def opened() -> None:
            view = forms.view(body, button, await self._memo.language(workspace, user))
            given = {"trigger_id": body["trigger_id"], "view": view}
            try:
                await self._call(workspace.token, "views.open", given)
            except ConnectorError as error:
                log.warning("A form could not be opened: %s", error)

        self._beside(opened())

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that only shows: the acknowledgement does not wait for it, and nothing is lost when it fails."""

        async def attempted() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - whatever a strange payload makes the library raise
                log.warning("Something could not be shown in Slack (%s).", type(error).__name__)

        task = asyncio.create_task(attempted())
        self._shows.add(task)
        task.add_done_callback(self._shows.discard)

    def read(self, payload: str) -> Event | None:
        return events.read(payload)

    # Sending

    def parts(self, outgoing: Outgoing) -> list[Outgoing]:
        return render.parts(outgoing)

    async def open(self, place: Place, asker: str, key: str, stop: Button | None = None) -> str:
        workspace = await self._workspaces.speaking(place.tenant)
        tenant, user = _account(asker)
        team = workspace.id if tenant == place.tenant else tenant
        return await self._sending.open(workspace, place, (user, team), key, stop)

    async def show(self, place: Place, handle: str, text: str, button: Button | None = None) -> None:
        with suppress(ConnectorError):
            workspace = await self._workspaces.speaking(place.tenant)
            await self._sending.show(workspace, place, handle, text, button)

    async def send(self, part: Outgoing, key: str, handle: str = "") -> str:
        workspace = await self._workspaces.speaking(part.place.tenant)
        await self._sending.suggest(workspace, part)
        if not render.blocks(part) and not handle:
            return "suggestions"
        try:
            if part.pictures:
                return await self._sending.picture(workspace, part, key)
            if part.audience == "one" and part.to and not part.place.channel.startswith("D"):
                return await self._sending.whisper(workspace, part, _account(part.to)[1], handle)
            if handle:
                return await self._sending.finish(workspace, part, handle)
            return await self._sending.post(workspace, part, key)
        except Refusal as error:
            if handle or not part.to or error.code not in OUTSIDE:  # a command may be given where Atelier is not
                raise
            aside = replace(part, place=await self.aside(part.to, part.place))
            return await (self._sending.picture if part.pictures else self._sending.post)(workspace, aside, key)

    async def _put_home(self, workspace: Workspace, user: str) -> None:
        """https://docs.slack.dev/reference/methods/views.publish; done again each time the person looks."""
        try:
            view = home.view(await self._memo.language(workspace, user))
            await self._call(workspace.token, "views.publish", {"user_id": user, "view": view})
        except ConnectorError as error:
            log.warning("A Home tab could not be put up: %s", error)

    # Looking

    async def find(self, place: Place, key: str) -> str | None:
        workspace = await self._workspaces.speaking(place.tenant)
        return await reading.find(self._call, workspace, place, {"key": key})

    async def earlier(self, place: Place, before: str, limit: int) -> list[Line]:
        try:
            workspace = await self._workspaces.speaking(place.tenant)
            return await reading.earlier(self._call, workspace, place, before, limit)
        except ConnectorError as error:
            log.info("What was written before could not be read: %s", error)
            return []

    async def language(self, account: str) -> str:
        tenant, user = _account(account)
        with suppress(ConnectorError):  # somebody of another company has a workspace of their own
            return await self._memo.language(await self._workspaces.speaking(tenant), user)
        return ""

    async def called(self, account: str) -> str:
        tenant, user = _account(account)
        with suppress(ConnectorError, TimeoutError):
            return await self._memo.called(await self._workspaces.speaking(tenant), user)
        return ""

    async def belongs(self, account: str, place: Place) -> bool:
        tenant, user = _account(account)
        return tenant == place.tenant and user in await self._people(place)

    async def has_left(self, account: str, place: Place) -> bool:
        tenant, user = _account(account)
        known = await self._people(place) if tenant == place.tenant else frozenset[str]()
        return bool(known) and user not in known

    async def members(self, place: Place) -> frozenset[str]:
        """Strangers in a shared channel are counted as if they were of the team: then nothing is shared too widely."""
        with suppress(ConnectorError):
            if await self._memo.is_closed(await self._workspaces.speaking(place.tenant), place.channel):
                return frozenset(f"slack:{place.tenant}:{user}" for user in await self._people(place))
        return frozenset()

    async def _people(self, place: Place) -> frozenset[str]:
        with suppress(ConnectorError):
            return await self._memo.members(await self._workspaces.speaking(place.tenant), place.channel)
        return frozenset()

    async def is_open(self, place: Place) -> bool:
        with suppress(ConnectorError):
            return await self._memo.is_open(await self._workspaces.speaking(place.tenant), place.channel)
        return False

    async def threads(self, place: Place, since: datetime, limit: int) -> list[list[Said]]:
        workspace = await self._workspaces.speaking(place.tenant)
        return await reading.threads(self._call, workspace, place, since.timestamp(), limit)

    def address(self, parameter: str) -> str:  # noqa: ARG002 - the seam's: Slack's links hand nothing over
        return ""

    def under(self, place: Place, handle: str) -> Place:
        is_thread = bool(place.thread) or place.channel.startswith("D")
        return place if is_thread else replace(place, thread=handle.partition(":")[2])

    async def aside(self, account: str, place: Place) -> Place:
        workspace = await self._workspaces.speaking(place.tenant)
        opened = await self._call(workspace.token, "conversations.open", {"users": _account(account)[1]})
        return Place(self.name, place.tenant, opened["channel"]["id"])

    async def said(self, place: Place, message: str) -> Post | None:
        with suppress(ConnectorError):
            return await reading.said(self._call, await self._workspaces.speaking(place.tenant), place, message)
        return None

    async def fetch(self, file: File, to: Path) -> None:
        workspace = await self._workspaces.speaking(json.loads(file.locator)[0])
        await reading.fetch(self._call, workspace, file, to)

    async def close(self) -> None:
        for task in self._shows:
            task.cancel()
        await asyncio.gather(*self._shows, return_exceptions=True)
        await self._call.close()


class _Committing(AsyncMiddleware):
    """Runs before all else of Bolt's. commit: a payload to the status it is answered with."""

    def __init__(self, commit: Callable[[dict[str, Any]], Awaitable[int]]) -> None:
        self._commit = commit

    async def async_process(
        self,
        *,
        req: AsyncBoltRequest,
        resp: BoltResponse,  # noqa: ARG002 - Bolt's signature
        next: Callable[[], Awaitable[BoltResponse]],  # noqa: A002 - Bolt's name
    ) -> BoltResponse | None:
        if req.body.get("type") == "url_verification":
            return await next()
        return BoltResponse(status=await self._commit(req.body), body="")


class _Http:
    """One endpoint for events, presses and commands."""

    def __init__(self, gate: Gate, app: AsyncApp) -> None:
        self._gate, self._app = gate, app

    async def answer(self, request: web.Request) -> web.Response:
        body = await self._gate.body(request)
        if body.get("ssl_check") == "1":
            return web.Response()
        try:
            # Bolt is handed the object, as from a socket: its own parser takes a command whose text contains the
            # word "payload" for another kind of form, and loses it.
            asked = AsyncBoltRequest(mode="socket_mode", body=body)
        except BROKEN as error:
            raise web.HTTPBadRequest(text="The request is not of Slack's shape.") from error
        response = await self._app.async_dispatch(asked)
        return web.Response(status=response.status, text=response.body or "", content_type=_type(response))


def _type(response: BoltResponse) -> str:
    return str(response.headers.get("content-type", ["text/plain"])[0]).partition(";")[0]


async def _nobody(**_: object) -> AuthorizeResult:
    """Bolt wants an authorizer. It is never asked: every event is answered before."""
    raise AssertionError


async def _end(handler: AsyncSocketModeHandler) -> None:
    client = handler.client
    tasks = [client.message_processor, client.current_session_monitor, client.message_receiver]
    await client.close()  # type: ignore[no-untyped-call]  # as above
    await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)


def _account(account: str) -> tuple[str, str]:
    """Tenant and user id of `slack:tenant:user`; empty for nobody."""
    tenant, _, user = account.removeprefix("slack:").rpartition(":")
    return tenant, user
