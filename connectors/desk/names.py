"""The names under which people are shown, in place of their accounts: as their platform tells them at this moment."""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent.message import Place
from connectors.connector import Connector, ConnectorError
from connectors.desk.access import short

KEPT = 600.0  # seconds that a name is remembered, in memory only
MOST = 1_000
MENTION = re.compile(r"<@(?P<user>[A-Z0-9]{2,20})(?:\|[^<>]*)?>")  # of Slack; Telegram's mentions are names already
_UNSEEN = re.compile(r"[^\w .'’-]|\.(?=\w\w)")  # a dot before a word makes an address, which clients link


@dataclass(frozen=True, slots=True)
class Names:
    connectors: Mapping[str, Connector]
    _known: dict[str, tuple[str, float]] = field(default_factory=dict, repr=False)

    async def __call__(self, account: str) -> str:
        """A person's name on one line, or else the account as settings write it. account: `platform:tenant:user`."""
        if not account:
            return "–"
        known, until = self._known.get(account, ("", 0.0))
        if time.monotonic() < until:
            return known or short(account)
        connector = self.connectors.get(account.partition(":")[0])
        name = ""
        if connector is not None:
            try:
                name = plain(await connector.called(account))
            except ConnectorError:
                return short(account)
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[account] = name, time.monotonic() + KEPT
        return name or short(account)

    async def of(self, accounts: Iterable[str]) -> dict[str, str]:
        """Several at once, by account."""
        wanted = list(dict.fromkeys(accounts))
        return dict(zip(wanted, await asyncio.gather(*map(self, wanted)), strict=True))

    async def written(self, text: str, place: Place) -> str:
        """A text of somebody in `place` with the people whom it mentions by their names, `@Ann`."""
        users = {found["user"] for found in MENTION.finditer(text)} if place.platform == "slack" else set()
        if not users:
            return text
        known = await self.of(f"slack:{place.tenant}:{user}" for user in sorted(users))
        return MENTION.sub(lambda found: "@" + _bare(known[f"slack:{place.tenant}:{found['user']}"]), text)


def plain(name: str) -> str:
    """A name as one line of words: whoever has it chose it."""
    return " ".join(_UNSEEN.sub(" ", name).split())[:60]


def _bare(name: str) -> str:
    return name.rpartition(":")[2].replace(" ", "_")
