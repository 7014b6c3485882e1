"""Who may read what, who may ask, who may administrate: from the settings and the place, with nothing stored."""

import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256

from agent.message import Place
from retrieval.audience import audience_of, everyone
from retrieval.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what.

    administrators, allowed: accounts and channels as settings write them (`slack:U123`, `telegram:42`); an empty
    `allowed` means everybody. members: `hr=slack:U123`: who holds an audience, or which channel may read it.
    """

    administrators: frozenset[str]
    allowed: frozenset[str]
    members: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, administrators: Sequence[str], allowed: Sequence[str], members: Sequence[str]) -> "Access":
        """Raises SettingsError when an entry of `members` is not AUDIENCE=WHO."""
        pairs = []
        for entry in members:
            audience, equals, who = (part.strip() for part in entry.partition("="))
            if not (equals and audience and ":" in who):
                raise SettingsError(
                    f"{entry!r} in the setting `members` is not AUDIENCE=WHO. Write for example hr=slack:U0123ABCD."
                )
            pairs.append((audience, who))
        return cls(frozenset(administrators), frozenset(allowed), tuple(pairs))

    def is_administrator(self, account: str) -> bool:
        return short(account) in self.administrators

    def is_allowed(self, account: str, place: Place) -> bool:
        return not self.allowed or bool(self.allowed & {short(account), f"{place.platform}:{place.channel}"})

    def names(self, place: Place) -> bool:
        """Whether a setting is about the channel of `place`."""
        here = f"{place.platform}:{place.channel}"
        return here in self.allowed or any(who == here for _, who in self.members)

    def channels(self, platform: str) -> tuple[str, ...]:
        """The channels of a platform that hold an audience, each once."""
        found = (who.partition(":") for _, who in self.members)
        return tuple(dict.fromkeys(each for name, _, each in found if name == platform and _is_channel(each)))

    def readers(
        self,
        account: str,
        place: Place,
        *,
        is_direct: bool,
        is_shared: bool = False,
        of_person: Collection[str] = (),
        of_all: Collection[str] = (),
    ) -> tuple[frozenset[str], frozenset[str]]:
        """The audiences that the person holds, and those that everyone in the place may read.

        Files sent in a conversation are for its channel alone. In a direct message the place has one reader. Where
        other companies read along, only what is named for that channel is read; their people hold nothing else.
        of_person, of_all: other channels that the person, and everybody in the place, is in.
        """
        if account.split(":", 2)[1] != place.tenant:
            return frozenset({own_audience(place)}), frozenset({own_audience(place)})
        held = {own_audience(place)} if is_shared else {own_audience(place), everyone(place.tenant)}
        here = f"{place.platform}:{place.channel}"
        if not is_shared:
            elsewhere = {f"{place.platform}:{each}" for each in of_person}
            common = {f"{place.platform}:{each}" for each in of_all}
            brought = {audience_of(place.tenant, name) for name, who in self.members if who in elsewhere}
            shared = {audience_of(place.tenant, name) for name, who in self.members if who in common}
        else:
            brought = shared = set()
        person = held | {audience_of(place.tenant, name) for name, who in self.members if who == short(account)}
        channel = held | {audience_of(place.tenant, name) for name, who in self.members if who == here}
        everything = frozenset(person | channel | brought)
        return everything, everything if is_direct else frozenset(channel | shared)


def _is_channel(who: str) -> bool:
    """Slack's channels are C… and G…, Telegram's groups have negative ids; anything else is a person."""
    return who[:1] in {"C", "G", "-"}


def short(account: str) -> str:
    """`platform:user` of `platform:tenant:user`, as settings write it."""
    platform, _, user = account.split(":", 2)
    return f"{platform}:{user}"


def own_audience(place: Place) -> str:
    """The audience of what is shown in a channel only."""
    channel = sha256(f"{place.platform}/{place.channel}".encode()).hexdigest()[:16]
    return audience_of(place.tenant, f"chat-{channel}")


class Limiter:
    """At most `limit` messages of one account, or in one channel, in a minute. In memory: a restart forgives."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._sent: dict[str, deque[float]] = {}
        self._told: dict[str, float] = {}

    def wait(self, account: str, now: float | None = None) -> tuple[float, bool]:
        """Seconds until `account` may be answered again (0: now), and whether it was told so in this minute."""
        now = time.monotonic() if now is None else now
        if len(self._sent) > 10_000:  # accounts that are long quiet are dropped
            self._sent = {name: sent for name, sent in self._sent.items() if sent[-1] > now - 60}
        sent = self._sent.setdefault(account, deque())
        while sent and sent[0] <= now - 60:
            sent.popleft()
        if len(sent) < self.limit:
            sent.append(now)
            return 0.0, False
        told = self._told.get(account, -60.0) > now - 60
        if not told:
            self._told[account] = now
        return sent[0] + 60 - now, told
