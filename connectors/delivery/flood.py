"""Who sends far more than anybody is answered, and whoever writes on while the queue is full: refused at the door.

Each was told once in words that there is too much, which covers what they write in that minute. It is acknowledged and
kept nowhere, as refusing must cost next to nothing: in memory, so a restart forgives. Presses, reactions and edits of
one person are bounded apart from that, and beyond it let go without a word.
"""

import time
from collections.abc import Collection, Sequence

from connectors.connector import Received
from connectors.delivery.queue import MESSAGE

TOLD = 60.0  # seconds that a conversation's refusal is good for, while there is too much
FULL = 1.0  # seconds for which the queue is taken to be as full as when somebody last looked
BESIDE = 300  # presses, reactions and edits of one person in a minute that are looked at: nobody votes so fast
MOST = 10_000  # persons who are remembered at once


class Flood:
    """most: messages of one person that may come at once, and in a minute: a bucket that is emptied at that pace."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._full = float("-inf")  # until when
        self._told: dict[str, float] = {}  # conversations and persons, and when
        self._levels: dict[str, tuple[float, float]] = {}  # how full a bucket was, and when

    def sees(self, who: str, now: float | None = None, *, most: int = 0) -> bool:
        """Count one more message of theirs; whether it is too many. most: another size of their bucket."""
        now, most = time.monotonic() if now is None else now, most or self._most
        level, since = self._levels.get(who, (0.0, now))
        level = max(0.0, level - (now - since) * most / 60) + 1
        if len(self._levels) >= MOST and who not in self._levels:
            self._levels = {each: seen for each, seen in self._levels.items() if seen[1] > now - 60}
        self._levels[who] = min(level, most + 1), now
        return level > most

    def told(self) -> Collection[str]:
        """The conversations and persons that were told in this minute that there is too much."""
        if self._told:
            since = time.monotonic() - TOLD
            self._told = {each: at for each, at in self._told.items() if at > since}
        return self._told.keys()

    def tell(self, names: Sequence[str], *, is_full: bool) -> None:
        """They will be told so: that is safe in the store. is_full: whatever comes now is excess."""
        now = time.monotonic()
        self._told |= dict.fromkeys(names, now)
        self._full = now + FULL if is_full else float("-inf")

    def kept(self, events: Sequence[Received]) -> tuple[list[Received], dict[str, str]]:
        """What is not refused here; and of that who is to be told so now, by conversation."""
        told, is_full = self.told(), time.monotonic() < self._full
        kept, telling = list[Received](), dict[str, str]()
        for event in events:
            who = event.by or event.conversation
            if event.key.startswith(MESSAGE):
                if is_full and event.conversation in told:
                    continue
                if self.sees(who):
                    if who in told:
                        continue
                    telling[event.conversation] = who
            elif event.by and self.sees(f"beside {event.by}", most=BESIDE):
                continue
            kept.append(event)
        return kept, telling
