"""Which workspace is whose, and with which token to speak there."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from connectors.connector import Refused
from connectors.slack.oauth import Installations
from retrieval.errors import SettingsError

Identify = Callable[[str], Awaitable[tuple[str, str]]]  # a token to its workspace's id and its bot's user id


@dataclass(frozen=True, slots=True)
class Workspace:
    """id: the team's, or the organisation's where Atelier was installed for all of it. bot: Atelier's user id there."""

    id: str
    tenant: str
    bot: str
    token: str = field(repr=False)


class Workspaces:
    """One workspace by its token, or those in `store`. tenants: workspace id -> tenant, one to one.

    A workspace that OAuth brought and `tenants` does not name is a tenant of its own: it must not read another's
    documents.
    """

    def __init__(
        self, tenant: str, token: str, store: Installations | None, tenants: Mapping[str, str], identify: Identify
    ) -> None:
        self._ids = {tenant: workspace for workspace, tenant in tenants.items()}
        if len(self._ids) < len(tenants):
            raise SettingsError("Two Slack workspaces name the same tenant. Give each workspace a tenant of its own.")
        self._tenant, self._token, self._store, self._tenants = tenant, token, store, dict(tenants)
        self._identify = identify
        self._own: Workspace | None = None
        self._lock = asyncio.Lock()

    async def own(self) -> Workspace:
        """The workspace of the token that was set. Asks Slack once. Raises as a call does."""
        async with self._lock:
            if self._own is None:
                workspace, bot = await self._identify(self._token)
                self._own = Workspace(workspace, self._tenant, bot, self._token)
            return self._own

    async def of(self, workspace: str) -> Workspace | None:
        """The workspace an event comes from, if Atelier is installed there."""
        if self._store is None:
            return await self.own()
        if workspace in self._ids and workspace not in self._tenants:
            return None  # its id is the name of another's tenant
        bot = await self._store.find(workspace)
        if bot is None:
            return None
        return Workspace(workspace, self._tenants.get(workspace, workspace), bot.bot_user_id, bot.bot_token)

    async def speaking(self, tenant: str) -> Workspace:
        """The workspace of a tenant's places. Raises Refused where Atelier is not installed."""
        workspace = await self.of(self._ids.get(tenant, tenant))
        if workspace is None:
            raise Refused("Atelier is not installed in this Slack workspace (any more).")
        return workspace
