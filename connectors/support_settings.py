"""The setting `support`: the desks that take up cases, what sends a case there, and what administrators are told."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, InstanceOf
from pydantic_settings import NoDecode

from agent.support.desks import DAYS, Desk, Hours
from agent.support.triggers import Reason
from connectors.settings_tables import flag, table, text, texts, whole

_KEYS = ("desks", "agents", "topics", "ask_first", "remind", "language", "rating", "digest", "stale")
_HOOK = ("webhook", "webhook_secret", "webhook_private")
_DESK = ("to", "topics", "platforms", "hours", "zone")
_PLATFORMS = ("slack", "telegram")
DIGEST, STALE = "mon 08:00", 12


@dataclass(frozen=True, slots=True)
class Support:
    """desks: in the order in which they are chosen; without any nothing is handed over.

    agents: who may take cases up (`slack:U0123ABCD`, for one desk `slack:U0123ABCD@slack:C0456EFGH`); empty: whoever is
    in the desk's channel. topics: what goes to a person at once. ask_first: reasons for which the asker is asked
    whether they want a person. remind: minutes after which an open case is named again, 0: never. language: the desks'.
    rating: whether the asker is asked how it went. digest: when administrators get the week in figures, in UTC,
    `mon 08:00`; empty: never. stale: months unchanged after which a document that is asked about is old, 0: none.
    """

    desks: tuple[Desk, ...] = ()
    agents: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    ask_first: frozenset[Reason] = frozenset()
    remind: int = 30
    language: str = "en"
    rating: bool = True
    digest: str = DIGEST
    stale: int = STALE
    webhook: str = ""
    webhook_secret: str = field(default="", repr=False)
    webhook_private: bool = False

    def __str__(self) -> str:
        """The default as a settings file writes it."""
        return "{}"

    @property
    def digest_at(self) -> tuple[int, int, int] | None:
        """The weekday (0: Monday), hour and minute of the digest."""
        day, _, clock = self.digest.partition(" ")
        hour, _, minute = clock.partition(":")
        return (DAYS.index(day), int(hour), int(minute)) if day else None

    @classmethod
    def of(cls, value: object) -> "Support":
        """From a settings file's table, or from its JSON in the environment. Raises ValueError with what is wrong."""
        if isinstance(value, cls):
            return value
        example = '{"desks": [{"to": "slack:C0123ABCD"}]}'
        given = table(value, "support", (*_KEYS, *_HOOK), example)
        desks = given.get("desks", ())
        if not isinstance(desks, Sequence) or isinstance(desks, str):
            raise ValueError("`desks` is a list of tables: write [[support.desks]] above each.")  # noqa: TRY004 - pydantic collects ValueErrors
        known = [reason.value for reason in Reason]
        ask_first = texts(given, "ask_first")
        if unknown := set(ask_first) - set(known):
            raise ValueError(f"`ask_first` holds {unknown.pop()!r}; it can hold {', '.join(known)}.")
        made = cls(
            desks=tuple(_desk(each) for each in desks),
            agents=_accounts(texts(given, "agents")),
            topics=texts(given, "topics"),
            ask_first=frozenset(map(Reason, ask_first)),
            remind=whole(given, "remind", 30, 100_000, "minutes"),
            digest=_day(text(given, "digest", DIGEST)),
            stale=whole(given, "stale", STALE, 1200, "months"),
            language=text(given, "language", "en"),
            rating=flag(given, "rating", default=True),
            webhook=text(given, "webhook"),
            webhook_secret=text(given, "webhook_secret"),
            webhook_private=flag(given, "webhook_private", default=False),
        )
        if made.webhook and (
            urlsplit(made.webhook).scheme not in ("http", "https") or not urlsplit(made.webhook).hostname
        ):
            raise ValueError("`webhook` is no web address. Write it like https://example.com/cases.")
        return made


SupportSetting = Annotated[InstanceOf[Support], NoDecode, BeforeValidator(Support.of)]


def _desk(value: object) -> Desk:
    given = table(value, "a desk", _DESK)
    to, platforms = text(given, "to"), texts(given, "platforms")
    platform, _, channel = to.partition(":")
    if platform not in _PLATFORMS or not channel:
        raise ValueError(
            f"A desk's `to` is {to!r}. Write a channel, group or account: slack:C0123ABCD or telegram:-1001234."
        )
    if unknown := set(platforms) - set(_PLATFORMS):
        raise ValueError(f"A desk's `platforms` holds {unknown.pop()!r}; it can hold slack and telegram.")
    hours = Hours.of(text(given, "hours"), text(given, "zone", "UTC"))
    return Desk(to, texts(given, "topics"), platforms, hours)


def _accounts(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        for part in entry.split("@"):
            if part.partition(":")[0] not in _PLATFORMS or not part.partition(":")[2]:
                raise ValueError(
                    f"`agents` holds {entry!r}. Write slack:U0123ABCD, or slack:U0123ABCD@slack:C0456EFGH."
                )
    return entries


def _day(words: str) -> str:
    day, _, clock = " ".join(words.lower().split()).partition(" ")
    if words and not (day in DAYS and re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", clock)):
        raise ValueError("`digest` is a day and an hour in UTC, like mon 08:00; empty: no digest.")
    return f"{day} {clock}".strip()
