"""The updates that wait for the bot. https://core.telegram.org/bots/api#getting-updates"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.emulators.telegram_values import Json

# Only on request. https://core.telegram.org/bots/api#getupdates (allowed_updates)
ON_REQUEST = frozenset({"chat_member", "message_reaction", "message_reaction_count"})


@dataclass(slots=True)
class WebhookSetting:
    """Where updates are posted; url "" means nowhere. generation: grows with every change."""

    url: str = ""
    secret: str = ""
    max_connections: int = 40
    last_error: str = ""
    last_error_at: float = 0.0
    generation: int = 0

    def set(self, url: str, secret: str, max_connections: int) -> None:
        self.url, self.secret, self.max_connections = url, secret, max_connections
        self.last_error = ""
        self.generation += 1


class Updates:
    """Kept until confirmed. `arrived` is called for each new one, by whichever thread brings it."""

    def __init__(self) -> None:
        self.allowed: frozenset[str] = frozenset()
        self.pending: dict[int, tuple[int, Json]] = {}  # by update id, oldest first: (chat id, update)
        self.overtaken: list[Json] | None = None  # what is to come later, while later ones overtake it
        self.arrived: Callable[[], None] = lambda: None
        self._ids = itertools.count(100_000_001)

    def allow(self, kinds: Sequence[str]) -> None:
        """Holds for updates made from now on; an empty list is the default again."""
        self.allowed = frozenset(kinds)

    def add(self, kind: str, payload: Json, chat_id: int) -> None:
        if kind in self.allowed if self.allowed else kind not in ON_REQUEST:
            if self.overtaken is not None:
                self.overtaken.append({kind: payload})
            else:
                self.inject({kind: payload}, chat_id)

    def inject(self, update: Mapping[str, object], chat_id: int = 0) -> int:
        """Queue any update as it is, under the next id, which is returned."""
        update_id = next(self._ids)
        self.pending[update_id] = (chat_id, {**update, "update_id": update_id})
        self.arrived()
        return update_id

    def take(self, offset: int, limit: int) -> list[Json]:
        """Forget what `offset` confirms and return the next ones; a negative offset keeps so many of the last."""
        if offset < 0:
            for update_id in list(self.pending)[:offset]:
                del self.pending[update_id]
        else:
            for update_id in list(itertools.takewhile(lambda known: known < offset, self.pending)):
                del self.pending[update_id]
        return [update for _, update in itertools.islice(self.pending.values(), limit)]
