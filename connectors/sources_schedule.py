"""What `atelier serve` does by the clock: sources are read again, and administrators get the week in figures.

Each round is a timer in the queue, kept in the store under the number of its turn: several processes keep it once, and
one that was due while none ran is made up for. A round keeps the next.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.buttons import Buttons, Meaning
from agent.events import Button, Due, Outgoing, Press
from agent.message import Place
from agent.secret_shapes import mask_secrets
from connectors.compose import House
from connectors.connector import Connector
from connectors.delivery.stage import Stage
from connectors.delivery.worker import Delivery
from connectors.desk.gaps import counted
from connectors.desk.support_orders import answer
from connectors.desk.telling import Telling, Word
from connectors.desk.texts import say
from connectors.settings import Settings
from connectors.sources import allowed, wanted
from retrieval.errors import SettingsError, SourcesBusy
from retrieval.watched import Look, Watcher
from retrieval.web import Web

log = logging.getLogger(__name__)

SOURCES, DIGEST = "sources", "digest"  # kinds of our timers
NAMED = 10  # documents in a list
MOST = 5  # buttons under a message
MINUTES = 30 * 24 * 60  # that they work
Follow = Callable[[Due, Stage], Awaitable[Sequence[Outgoing]]]
Weekly = Callable[[datetime], Awaitable[Word]]  # the end of a week to what is said of it


@dataclass(frozen=True, slots=True)
class Schedule:
    """settings: as they are now. web: opens what reads pages; else what the settings let it read."""

    house: House
    settings: Callable[[], Settings]
    telling: Telling
    weekly: Weekly
    buttons: Buttons
    web: Callable[[], Web] | None = None

    async def follow(self, due: Due, stage: Stage) -> Sequence[Outgoing]:
        """What is due. A timer of settings that have changed since is let go: `begin` has kept others.

        While the settings cannot be read, a round is left out and the next one kept: a slip in them ends nothing.
        """
        settings: Settings | None = None
        try:
            settings = self.settings()
        except SettingsError as error:
            log.warning("Nothing is read or told by the clock while the settings cannot be read: %s", error)
        if due.what == DIGEST:
            return await self._digest(due, stage, settings)
        every = int(due.value.partition(" ")[0])
        if settings is not None and settings.sources.every != every:
            return ()
        kind, value = round_of(every, time.time() + 60.0 * every)
        later = 60.0 * every * int(value.partition(" ")[2]) - time.time()
        await _keep(stage.delivery, due.place, kind, value, wait=later)
        if settings is not None:
            await self.read(stage, due.id, settings)
        return ()

    async def read(self, stage: Stage, key: str, settings: Settings) -> list[Look]:
        """One round of the sources; administrators are told what changed."""
        stage.wait()  # it may take minutes, and holds up no answer
        sources = settings.sources
        web = self.web or (lambda: Web(allowed(sources)))
        store = self.house.store
        watcher = Watcher(store.engine, self.house.knowledge, settings.tenant, web)
        try:
            looks = await watcher.look(wanted(settings))
        except SourcesBusy:
            log.info("Sources: another process reads them just now, so this round is left to it.")
            return []
        news = [look for look in looks if look.is_news]
        log.info("Sources: %d looked at, %d with news.", len(looks), len(news))
        if news:
            await self.telling.tell(
                f"sources/{key}", lambda place, language: [self._news(news, place, language)], stage.delivery
            )
            await asyncio.to_thread(watcher.told, news)  # only now: what a crash keeps from being told is told later
        return looks

    async def press(self, press: Press, meaning: Meaning, _stage: Stage) -> Sequence[Outgoing]:
        """An administrator lets the documents go of a source that is on the list no more."""
        address = meaning.value.partition(" ")[2]
        if press.place.whole_channel != meaning.place.whole_channel:
            return [answer(press, say(press.language, "expired"))]
        settings = self.settings()
        watcher = Watcher(self.house.store.engine, self.house.knowledge, settings.tenant)
        gone = await asyncio.to_thread(watcher.let_go, address, wanted(settings))
        if gone is None:
            return [answer(press, say(press.language, "sources_listed", address=address))]
        return [answer(press, counted(press.language, "sources_let_go", len(gone.removed), address=address))]

    def _news(self, news: Sequence[Look], place: Place, language: str) -> Outgoing:
        """What changed, with a button for each source whose documents wait for an order."""
        left = [look for look in news if look.left]
        meanings = {
            f"{SOURCES}/drop/{look.address}/{place.key}": Meaning(SOURCES, f"drop {look.address}", place)
            for look in left[:MOST]
        }
        labels = [counted(language, "sources_drop", len(look.left)) for look in left[:MOST]]
        made = self.buttons.make_keyed(meanings, MINUTES) if meanings else ()
        buttons = tuple(Button(button, label) for button, label in zip(made, labels, strict=True))
        return Outgoing(place, told(news, language), buttons=buttons)

    async def _digest(self, due: Due, stage: Stage, settings: Settings | None) -> Sequence[Outgoing]:
        moment = datetime.fromisoformat(due.value)
        at = (moment.weekday(), moment.hour, moment.minute)
        if settings is not None and settings.support.digest_at != at:
            return ()
        following = next_digest(at, max(moment, datetime.now(UTC)))
        wait = following.timestamp() - time.time()
        await _keep(stage.delivery, due.place, DIGEST, following.isoformat(), wait=wait)
        if settings is not None and moment > datetime.now(UTC) - timedelta(days=7):
            await self.telling.tell(f"digest/{due.value}", await self.weekly(moment), stage.delivery)
        return ()


async def begin(settings: Settings, connectors: Mapping[str, Connector], delivery: Delivery) -> None:
    """Keep the timers that are not kept yet, so that one round follows the other. Raises StoreError."""
    now = time.time()
    place = Place(next(iter(connectors)), settings.tenant, "")
    if settings.sources.every:
        await _keep(delivery, place, *round_of(settings.sources.every, now), wait=0.0)
    if settings.support.digest_at is not None and settings.administrators:
        moment = next_digest(settings.support.digest_at, datetime.fromtimestamp(now, UTC))
        await _keep(delivery, place, DIGEST, moment.isoformat(), wait=moment.timestamp() - now)


async def _keep(delivery: Delivery, place: Place, kind: str, value: str, *, wait: float) -> None:
    lane = f"{kind}/{value.partition(' ')[0]}"  # of one interval: another's timers would hold these up
    await delivery.follow(Due(f"{kind}/{value}", place, "", kind, value), wait=max(0.0, wait), lane=lane)


def round_of(every: int, now: float) -> tuple[str, str]:
    """The kind and value of the timer for the round that `now` lies in. every: minutes."""
    return SOURCES, f"{every} {int(now // (60 * every))}"


def next_digest(at: tuple[int, int, int], now: datetime) -> datetime:
    """The first moment after `now` that is at this weekday, hour and minute, in UTC."""
    day, hour, minute = at
    today = now.astimezone(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    found = today + timedelta(days=(day - today.weekday()) % 7)
    return found if found > now else found + timedelta(days=7)


def told(news: Sequence[Look], language: str) -> str:
    """What changed, for an administrator."""

    def names(found: Sequence[str]) -> str:
        more = f" … (+{len(found) - NAMED})" if len(found) > NAMED else ""
        return ", ".join(f"`{each}`" for each in found[:NAMED]) + more

    lines = [say(language, "sources_news")]
    for look in news:
        lines += [
            say(language, f"sources_{what}", names=names(getattr(look, what)))
            for what in ("added", "updated", "removed")
            if getattr(look, what)
        ]
        if look.problem and not look.is_off:
            lines.append(say(language, "sources_problem", problem=look.problem))
        if look.is_well_again:
            lines.append(say(language, "sources_well", names=f"`{look.address}`"))
        if look.left:
            lines.append(say(language, "sources_left", address=f"`{look.address}`", names=names(look.left)))
        elif look.is_off:
            lines.append(say(language, "sources_off", names=f"`{look.address}`"))
    return mask_secrets("\n".join(lines))  # an address that is wrong may hold a password
