"""Saying something to administrators of Atelier's own accord: to each in private, once."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.events import Outgoing
from agent.message import Place
from connectors.connector import Connector, ConnectorError
from connectors.delivery.worker import Delivery

log = logging.getLogger(__name__)

Word = Callable[[Place, str], Sequence[Outgoing]]  # a place and its reader's language to what is said; in a thread


@dataclass(frozen=True, slots=True)
class Telling:
    """administrators: as the settings name them now (`slack:U1`); those of one channel alone are not told."""

    tenant: str
    administrators: Callable[[], Sequence[str]]
    connectors: Mapping[str, Connector]

    async def tell(self, key: str, word: Word, delivery: Delivery) -> int:
        """Hand what is said to the queue, once for each `key` and administrator; how many are told."""
        told = 0
        for entry in dict.fromkeys(self.administrators()):
            platform, _, user = entry.partition(":")
            connector = self.connectors.get(platform)
            if connector is None or "@" in entry or not user:
                continue
            account = f"{platform}:{self.tenant}:{user}"
            try:
                place = await connector.aside(account, Place(platform, self.tenant, user))
                language = await connector.language(account)
            except ConnectorError as error:
                log.warning("An administrator on %s could not be told: %s", platform, type(error).__name__)
                continue
            for number, said in enumerate(await asyncio.to_thread(word, place, language)):
                await delivery.post(f"{key}/{entry}/{number}", said)
            told += 1
        return told
