"""Installing into several workspaces: Bolt's OAuth flow over our store (https://docs.slack.dev/authentication).

slack_sdk's SQLAlchemy stores need an asyncio engine; these two do the same with ours.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import sqlalchemy as sa
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.oauth.installation_store import Bot, Installation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import Engine

from connectors.slack import manifest
from connectors.slack.tables import installations, states
from retrieval.database import reading, writing

log = logging.getLogger(__name__)

STATE_SECONDS = 600
MOST_STATES = 1000  # that are good at once: anybody may begin an installation, and each is a row for so long


@dataclass(frozen=True, slots=True)
class OAuth:
    """client_id, client_secret: the app's. engine: the store. address: https://host under which people reach us."""

    client_id: str
    client_secret: str = field(repr=False)
    engine: Engine = field(repr=False)
    address: str = ""


class Installations(AsyncInstallationStore):
    """One row a workspace; an organisation's installation is kept under its enterprise_id."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def async_save(self, installation: Installation) -> None:
        await asyncio.to_thread(self._save, installation)

    def _save(self, installation: Installation) -> None:
        is_whole = installation.is_enterprise_install and installation.enterprise_id
        workspace = installation.enterprise_id if is_whole else installation.team_id
        with writing(self._engine) as connection:
            connection.execute(installations.delete().where(installations.c.workspace == workspace))
            connection.execute(
                installations.insert().values(
                    workspace=workspace,
                    bot=installation.bot_user_id or "",
                    token=installation.bot_token or "",
                    scopes=",".join(installation.bot_scopes or ()),
                    installed=time.time(),
                )
            )

    async def async_find_bot(
        self, *, enterprise_id: str | None, team_id: str | None, is_enterprise_install: bool | None = False
    ) -> Bot | None:
        workspace = enterprise_id if is_enterprise_install and enterprise_id else team_id
        return await self.find(workspace) if workspace else None

    async def find(self, workspace: str) -> Bot | None:
        return await asyncio.to_thread(self._find, workspace)

    def _find(self, workspace: str) -> Bot | None:
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(installations).where(installations.c.workspace == workspace)).first()
        if row is None:
            return None
        return Bot(
            team_id=workspace,
            bot_token=row.token,
            bot_id="",
            bot_user_id=row.bot,
            bot_scopes=row.scopes.split(","),
            installed_at=row.installed,
        )

    async def tokens(self) -> dict[str, str]:
        """The bot's token in each workspace, by the workspace's id."""
        return await asyncio.to_thread(self._tokens)

    def _tokens(self) -> dict[str, str]:
        known = sa.select(installations.c.workspace, installations.c.token).order_by(installations.c.installed)
        with reading(self._engine) as connection:
            return {row.workspace: row.token for row in connection.execute(known)}

    async def async_delete_bot(self, *, enterprise_id: str | None, team_id: str | None) -> None:
        await asyncio.to_thread(self._delete, team_id or enterprise_id or "")

    def _delete(self, workspace: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(installations.delete().where(installations.c.workspace == workspace))


class TooManyStatesError(Exception):
    """So many installations have begun that no other may, until one ends or its state expires."""


class States(AsyncOAuthStateStore):
    """A state is good once, and not for long: it proves that who comes back from Slack is who left."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def async_issue(self, *_: object, **__: object) -> str:
        """Raises TooManyStatesError, StoreError."""
        state = secrets.token_urlsafe(32)
        await asyncio.to_thread(self._keep, state)
        return state

    def _keep(self, state: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(states.delete().where(states.c.expires < time.time()))
            if connection.execute(sa.select(sa.func.count()).select_from(states)).scalar_one() >= MOST_STATES:
                raise TooManyStatesError
            connection.execute(states.insert().values(state=state, expires=time.time() + STATE_SECONDS))

    async def async_consume(self, state: str) -> bool:
        return await asyncio.to_thread(self._consume, state)

    def _consume(self, state: str) -> bool:
        with writing(self._engine) as connection:
            mine = sa.and_(states.c.state == state, states.c.expires > time.time())
            return connection.execute(states.delete().where(mine)).rowcount == 1


def routes(oauth: OAuth, store: Installations, client: AsyncWebClient, logger: logging.Logger) -> list[web.RouteDef]:
    """/slack/install sends a person to Slack, /slack/oauth_redirect takes them back. client: without a token."""
    settings = AsyncOAuthSettings(
        client_id=oauth.client_id,
        client_secret=oauth.client_secret,
        scopes=manifest.scopes(),
        user_scopes=[],
        redirect_uri=f"{oauth.address}/slack/oauth_redirect" if oauth.address else None,
        installation_store=store,
        state_store=States(oauth.engine),
        state_expiration_seconds=STATE_SECONDS,
        logger=logger,
    )
    flow = AsyncOAuthFlow(settings=settings, client=client, logger=logger)

    async def install(request: web.Request) -> web.Response:
        return await _answered(flow.handle_installation, request)

    async def redirected(request: web.Request) -> web.Response:
        return await _answered(flow.handle_callback, request)

    return [web.get("/slack/install", install), web.get("/slack/oauth_redirect", redirected)]


async def _answered(step: Callable[[AsyncBoltRequest], Awaitable[BoltResponse]], request: web.Request) -> web.Response:
    try:
        response = await step(await to_bolt_request(request))
    except TooManyStatesError:
        log.warning("More than %d installations have begun, so another was refused.", MOST_STATES)
        wait = {"Retry-After": str(STATE_SECONDS)}
        return web.Response(status=503, headers=wait, text="Too many installations have begun. Try again later.")
    except Exception as error:  # noqa: BLE001 - a person waits for a page, and the text may hold the code from Slack
        log.warning("An installation failed (%s).", type(error).__name__)
        return web.Response(status=502, text="Slack or the store could not be reached. Please start once more.")
    log.info("A step of an installation ended with status %d.", response.status)
    return await to_aiohttp_response(response)
