"""Desks: who takes up cases, of what, and when. From the settings; pure, with the time handed in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.support.triggers import concerns

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(?:([a-z]{3})(?:-([a-z]{3}))?\s+)?(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", re.IGNORECASE)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """On these days (0: Monday) from `start` until `end`, which may be the next morning; equal ones are a whole day."""

    days: frozenset[int]
    start: time
    end: time

    def holds(self, now: datetime) -> bool:
        clock = now.time().replace(tzinfo=None)
        if self.start < self.end:
            return now.weekday() in self.days and self.start <= clock < self.end
        is_late = now.weekday() in self.days and clock >= self.start
        return is_late or ((now.weekday() - 1) % 7 in self.days and clock < self.end)


@dataclass(frozen=True, slots=True)
class Hours:
    """When a desk is there. Without spans: always. zone: an IANA name, Europe/Berlin."""

    spans: tuple[Span, ...] = ()
    zone: str = "UTC"

    @classmethod
    def of(cls, text: str, zone: str) -> "Hours":
        """`mon-fri 09:00-17:00, sat 10:00-12:00`. Raises ValueError with what is wrong with it."""
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{zone!r} is no time zone that this machine knows. Write one like Europe/Berlin; where that is "
                "unknown too, `pip install tzdata`."
            ) from None
        spans = tuple(_span(part.strip()) for part in text.split(",") if part.strip())
        return cls(spans, zone)

    def are_on(self, now: datetime) -> bool:
        """Whether somebody is there. now: aware."""
        local = now.astimezone(ZoneInfo(self.zone))
        return not self.spans or any(span.holds(local) for span in self.spans)

    def next(self, now: datetime) -> datetime | None:
        """When somebody is there again, in the desk's zone; None when that is now, or never."""
        if self.are_on(now):
            return None
        zone = ZoneInfo(self.zone)
        today = now.astimezone(zone).date()
        starts = [
            datetime.combine(today + ahead * _DAY, span.start, zone)
            for ahead in range(8)
            for span in self.spans
            if (today + ahead * _DAY).weekday() in span.days
        ]
        later = [each for each in starts if each.astimezone(UTC) > now]
        return min(later, key=lambda each: each.astimezone(UTC), default=None)


@dataclass(frozen=True, slots=True)
class Desk:
    """to: a channel, group or account as settings write it (`slack:C0123ABCD`, `telegram:-100123`, `telegram:42`).

    topics: only cases about one of these; empty: all. platforms: only cases asked there; empty: all.
    """

    to: str
    topics: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    hours: Hours = Hours()

    @property
    def platform(self) -> str:
        return self.to.partition(":")[0]

    @property
    def channel(self) -> str:
        return self.to.partition(":")[2]

    @property
    def is_person(self) -> bool:
        """Slack's people are U… and W…, Telegram's groups have negative ids."""
        return self.channel[:1] in {"U", "W"} if self.platform == "slack" else not self.channel.startswith("-")


def choose(desks: Sequence[Desk], text: str, platform: str, now: datetime) -> Desk | None:
    """The desk for a case: the first that is for it and open now, else the first that is for it; None without any.

    One that names a topic of the text goes before those for everything.
    """
    fitting = [desk for desk in desks if not desk.platforms or platform in desk.platforms]
    named = [desk for desk in fitting if concerns(text, desk.topics)]
    anything = [desk for desk in fitting if not desk.topics]
    for rank in (named, anything):  # a desk of the topic that is closed is still better than a stranger who is there
        if rank:
            return next((desk for desk in rank if desk.hours.are_on(now)), rank[0])
    return None


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text)
    wrong = ValueError(f"{text!r} are no hours. Write them like: mon-fri 09:00-17:00, sat 10:00-12:00.")
    if found is None:
        raise wrong
    first, last = (each and each.lower() for each in found.group(1, 2))
    if any(each and each not in DAYS for each in (first, last)):
        raise wrong
    if first is None:
        days = frozenset(range(7))
    else:
        begin = DAYS.index(first)
        days = frozenset((begin + ahead) % 7 for ahead in range((DAYS.index(last or first) - begin) % 7 + 1))
    try:
        clocks = [time(int(hour) % 24, int(minute)) for hour, minute in (found.group(3, 4), found.group(5, 6))]
    except ValueError:
        raise wrong from None
    if any(int(found[part]) > 24 for part in (3, 5)):
        raise wrong
    return Span(days, *clocks)
