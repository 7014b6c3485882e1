"""Who may do what: members, agents of support, administrators; for one channel or everywhere, as the settings are now.

A role is asked of the settings at every act, never read from a button or kept: who is taken off the list loses it with
the next thing they try.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from agent.events import Command, Press
from agent.message import Place
from agent.support.audit import Audit
from agent.support.desks import Desk
from connectors.connector import Connector
from connectors.desk.access import short
from connectors.settings import Settings
from retrieval.errors import SettingsError

log = logging.getLogger(__name__)


class Role(StrEnum):
    MEMBER = "member"
    AGENT = "agent"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Roles:
    """settings: as they are at this moment. Raises nothing: while they cannot be read nobody has a role."""

    settings: Callable[[], Settings]
    connectors: Mapping[str, Connector]

    def administers(self, account: str, place: Place | None = None) -> bool:
        """Whether somebody is an administrator everywhere; with a place, also of that channel alone.

        An entry `slack:U1@slack:C1` is for one channel. People of other companies in a shared channel are never one.
        """
        settings = self._now()
        if settings is None or (place is not None and account.split(":", 2)[1] != place.tenant):
            return False
        return _is_listed(settings.administrators, short(account), place)

    async def helps(self, account: str, desk: Place, here: Place | None = None) -> bool:
        """Whether somebody may take up the cases of a desk. here: where they do it; who is there is in its channel."""
        settings = self._now()
        if settings is None or account.split(":", 2)[1] != desk.tenant or desk.tenant != settings.tenant:
            return False
        if _is_listed(settings.administrators, short(account), desk):
            return True
        agents = settings.support.agents
        if not agents:
            return short(account) == f"{desk.platform}:{desk.channel}" or await self._is_in(account, desk, here)
        if _is_listed(agents, short(account), desk):
            return True
        channel = f"{desk.platform}:{desk.channel}"
        return channel in agents and await self._is_in(account, desk, here)

    async def helps_somewhere(self, account: str, here: Place) -> bool:
        """Whether somebody may take up cases of any desk, or is an administrator."""
        settings = self._now()
        if settings is None:
            return False
        places = [_place(desk, settings.tenant) for desk in settings.support.desks]
        return any([await self.helps(account, place, here) for place in places]) or self.administers(account, here)

    async def of(self, account: str, place: Place) -> Role:
        if self.administers(account, place):
            return Role.ADMINISTRATOR
        return Role.AGENT if await self.helps_somewhere(account, place) else Role.MEMBER

    async def _is_in(self, account: str, desk: Place, here: Place | None) -> bool:
        if here is not None and here.whole_channel == desk.whole_channel:
            return True
        connector = self.connectors.get(desk.platform)
        is_same = account.partition(":")[0] == desk.platform
        return connector is not None and is_same and await connector.belongs(account, desk)

    def _now(self) -> Settings | None:
        try:
            return self.settings()
        except SettingsError as error:
            log.warning("Nobody has a role while the settings cannot be read: %s", error)
            return None


def _is_listed(entries: Sequence[str], who: str, place: Place | None) -> bool:
    return who in entries or (place is not None and f"{who}@{place.platform}:{place.channel}" in entries)


def _place(desk: Desk, tenant: str) -> Place:
    return Place(desk.platform, tenant, desk.channel)


@dataclass(frozen=True, slots=True)
class Guard:
    """Asks who may, and keeps every administrative act and every one that was refused in the audit log."""

    roles: Roles
    audit: Audit

    def administers(self, event: Command | Press, verb: str, about: str, key: str, place: Place | None = None) -> bool:
        """Whether an administrator gives this order. place: where a channel's own administrator is one too.

        key: the event's. Raises StoreError: what cannot be kept in the log is not done.
        """
        may = self.roles.administers(event.account, place)
        what, _, rest = about.partition(" ")
        whole = f"{verb} {what}".strip() if verb == "finetune" else verb
        self.note(event, whole, rest if verb == "finetune" else about, key, Role.ADMINISTRATOR if may else None)
        return may

    def note(self, event: Command | Press, verb: str, about: str, key: str, role: Role | None) -> None:
        """role: as whom it was done; None: it was refused. Refusals of one person and verb are kept once a minute."""
        outcome = "done" if role else "refused"
        if role is None:
            key = f"{event.account}/{datetime.now(UTC):%Y%m%d%H%M}"
        self.audit.note(f"{verb}/{key}", event.account, role or Role.MEMBER, verb, about, outcome, event.place.key)
