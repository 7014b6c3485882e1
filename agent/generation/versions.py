"""Which adapter version answers which conversation, and when an old one has nobody left to speak to.

A reply takes its version once and speaks as it to the end. Changing versions is one assignment: nothing waits for it,
and what is in flight goes on as it began.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import Protocol

from agent.message import Place


@dataclass(frozen=True, slots=True)
class Offer:
    """A version that is loaded. audiences: it learned what these may read, so it answers where all of them are held."""

    name: str
    audiences: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lineup:
    """Who may answer. A candidate answers `share` of all conversations (0..1), and everything in `channels`.

    channels: a platform's ids, alone (`C0123ABCD`) or with the platform (`slack:C0123ABCD`).
    """

    live: Offer | None = None
    previous: Offer | None = None
    candidate: Offer | None = None
    share: float = 0.0
    channels: frozenset[str] = frozenset()


class Carrier(Protocol):
    """What adapters are loaded into: the local model, or a server."""

    def add_adapter(self, name: str, folder: str | Path) -> None: ...
    def remove_adapter(self, name: str) -> None: ...


def choose(lineup: Lineup, place: Place, audiences: frozenset[str]) -> str | None:
    """The version for one message, None for the model without one. Pure: a conversation keeps its side of a trial.

    audiences: what everyone who reads the answer may read. A version that learned more stands back for the one before.
    """
    order = [lineup.live, lineup.previous] if lineup.live is not None else []  # else the bare model is live
    if lineup.candidate is not None and _is_on_trial(lineup, lineup.candidate.name, place):
        order.insert(0, lineup.candidate)
    return next((each.name for each in order if each is not None and each.audiences <= audiences), None)


def _is_on_trial(lineup: Lineup, name: str, place: Place) -> bool:
    if {place.channel, f"{place.platform}:{place.channel}"} & lineup.channels:
        return True
    digest = hashlib.sha256(f"{name} {place.key}".encode()).digest()  # another candidate meets other conversations
    return int.from_bytes(digest[:8]) < lineup.share * 2**64


class Versions:
    """The lineup that serves now, and how many replies each version is giving. Thread-safe."""

    def __init__(self, default: str | None = None) -> None:
        """default: what answers where no version does, an adapter that the settings name."""
        self._default = default
        self._lineup = Lineup()
        self._speaking: Counter[str | None] = Counter()
        self._changed = Condition()

    @property
    def lineup(self) -> Lineup:
        return self._lineup

    def flip(self, lineup: Lineup) -> None:
        """From now on new replies are given by `lineup`."""
        with self._changed:
            self._lineup = lineup

    def take(self, place: Place, audiences: frozenset[str]) -> str | None:
        """The version for one reply, which stays loaded until it is released."""
        with self._changed:
            name = choose(self._lineup, place, audiences) or self._default
            self._speaking[name] += 1
            return name

    def release(self, name: str | None) -> None:
        with self._changed:
            self._speaking[name] -= 1
            self._changed.notify_all()

    def wait_idle(self, name: str, seconds: float) -> bool:
        """Wait until nobody is being answered by `name`; False when it took too long. Flip first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._speaking[name] <= 0, seconds)
