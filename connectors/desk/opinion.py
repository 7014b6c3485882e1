"""How channels feel, for administrators: `/watch`, `/mood`, a chart each week, and an alarm when it turns.

Everybody in a watched channel is told, at the beginning and when they come in. Of people who have not agreed that their
words may be learned from a message is counted, and no word of it is kept.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from agent.events import Arrived, Command, Deleted, Due, Edited, Outgoing, Picture, Post
from agent.guard import clean
from agent.memory import Memory
from agent.message import Place
from agent.opinion.cusum import EVERY
from agent.opinion.hearing import Ear
from agent.opinion.monitor import Alarm, Monitor, Watch, key_of
from agent.opinion.mood import HIDDEN, Heard, midnight, open_days, over_time, shares, topics, trend
from agent.opinion.picture import MOST, draw_mood
from connectors.compose import House
from connectors.connector import Connector, ConnectorError
from connectors.delivery.queue import name_of
from connectors.delivery.stage import Stage
from connectors.desk.gaps import counted
from connectors.desk.texts import prefix, say

if TYPE_CHECKING:
    from agent.syntax.parser import Parser

log = logging.getLogger(__name__)

KIND = "opinion"
WEEK = timedelta(days=7)
SHOWN_DAYS = 14  # of a report that nobody asked for
LONGEST = 365  # days that can be asked for
QUOTED = 3  # messages under an alarm


@dataclass(frozen=True, slots=True)
class OpinionDesk:
    monitor: Monitor
    ear: Ear
    memory: Memory
    connectors: Mapping[str, Connector]
    tenant: str

    @classmethod
    def over(cls, house: House, connectors: Mapping[str, Connector]) -> "OpinionDesk":
        def parser() -> "Parser":
            from agent.syntax.parser import Parser

            return Parser(house.encoder)

        ear = Ear(house.colleague.understander, parser)
        return cls(Monitor(house.store.engine), ear, house.store.memory, connectors, house.store.settings.tenant)

    async def hear(self, event: Post | Edited, stage: Stage) -> None:
        """Count a message of a watched channel; administrators are told where it makes an alarm.

        Again after a crash it is the same message and the same alarm, told once. Raises StoreError.
        """
        if event.direct or not event.text.strip():
            return
        watch = await asyncio.to_thread(self.monitor.watched, event.place)
        if watch is None:
            return
        message = event.message if isinstance(event, Edited) else event.id
        heard = await asyncio.to_thread(self._heard, event, key_of(name_of(event.place, message)))
        await asyncio.to_thread(self.monitor.note, heard)
        if isinstance(event, Edited) or not heard.is_negative:
            return
        alarm = await asyncio.to_thread(self.monitor.alarm, event.place, heard.key)
        if alarm is not None:
            log.info("An alarm: the mood of a watched channel has turned.")
            told = await asyncio.to_thread(self._alarmed, watch, alarm)
            await stage.delivery.post(f"{KIND}/alarm/{alarm.key}", told)

    async def deleted(self, event: Deleted) -> None:
        await asyncio.to_thread(self.monitor.take_back, key_of(name_of(event.place, event.message)))

    async def arrived(self, event: Arrived, language: str) -> Sequence[Outgoing]:
        """Who comes into a watched channel is told."""
        if await asyncio.to_thread(self.monitor.watched, event.place) is None:
            return ()
        told = say(language, "opinion_new", p=prefix(event.place.platform))
        return [Outgoing(event.place, told, to=event.account, audience="one")]

    async def leaving(self, account: str, stage: Stage) -> None:
        """Who ordered watches is about to be forgotten, so these end: whoever is there is told, as at the beginning."""
        accounts = (await asyncio.to_thread(self.memory.person, account)).accounts
        for watch in await asyncio.to_thread(self.monitor.watches, self.tenant):
            if watch.account in accounts:
                told = say(watch.language, "opinion_ended", p=prefix(watch.place.platform))
                await stage.delivery.post(
                    f"{KIND}/ended/{watch.place.key}/{_stamp(watch)}", Outgoing(watch.place, told)
                )

    async def watch(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """`/watch on|off|forget`; without a word, which channels are watched."""
        wish = command.argument.strip().lower()
        if wish not in ("on", "off", "forget"):
            return [self._answer(command, await asyncio.to_thread(self._listed, command))]
        if command.direct:
            return [self._answer(command, self._say(command, "opinion_where"))]
        if wish != "on":
            gone = await asyncio.to_thread(self.monitor.unwatch, command.place, forget=wish == "forget")
            if not gone:
                return [self._answer(command, self._say(command, "opinion_not_watched"))]
            ended = "opinion_forgotten" if wish == "forget" else "opinion_off"
            return [Outgoing(command.place, self._say(command, ended))]
        try:
            told = await self.connectors[command.place.platform].aside(command.account, command.place)
        except ConnectorError:
            return [self._answer(command, self._say(command, "opinion_write_first"))]
        place = command.place.whole_channel
        await self._take_over(place, command.account, stage)
        await asyncio.to_thread(self.monitor.watch, place, command.account, told, command.language)
        watch = await asyncio.to_thread(self.monitor.watched, place)
        if watch is not None:
            await self._follow(watch, 1, stage)
        said = self._answer(command, self._say(command, "opinion_on", every=f"{EVERY:,}"))
        # Each time: whether it is new would be lost in a crash, and nobody would be told.
        return [said, Outgoing(command.place, self._say(command, "opinion_told_all"))]

    async def _take_over(self, place: Place, account: str, stage: Stage) -> None:
        """Who ordered a watch before is told that it goes to somebody else now; once, also after a crash."""
        before = await asyncio.to_thread(self.monitor.watched, place)
        if before is not None and before.account != account:
            told = say(before.language, "opinion_taken", p=prefix(place.platform), channel=_name(place))
            key = f"{KIND}/taken/{place.key}/{_stamp(before)}"
            await stage.delivery.post(key, Outgoing(before.told, told, to=before.account))

    async def mood(self, command: Command, stage: Stage) -> Sequence[Outgoing]:  # noqa: ARG002 - an order's signature
        """`/mood [DAYS]`: the chart of this channel, or in private of all that are watched; always sent in private."""
        days = _days(command.argument)
        if days is None:
            return [self._answer(command, self._say(command, "mood_usage", longest=LONGEST))]
        watches = await asyncio.to_thread(self.monitor.watches, self.tenant)
        if not command.direct:
            watches = [each for each in watches if each.place == command.place.whole_channel]
        if not watches:
            name = "opinion_none" if command.direct else "opinion_not_watched"
            return [self._answer(command, self._say(command, name))]
        try:
            aside = await self.connectors[command.place.platform].aside(command.account, command.place)
        except ConnectorError:
            return [self._answer(command, self._say(command, "opinion_write_first"))]
        thread = command.place.key if command.place.thread and not command.direct else ""
        reports = [
            await asyncio.to_thread(self._report, each, aside, command.language, days, thread) for each in watches
        ]
        return reports if command.direct else [*reports, self._answer(command, self._say(command, "mood_sent"))]

    async def follow(self, due: Due, stage: Stage) -> Sequence[Outgoing]:
        """The weekly chart, as long as the channel is watched as it was when it was planned."""
        number, since, key = due.value.split(" ", 2)
        watches = await asyncio.to_thread(self.monitor.watches, due.place.tenant)
        watch = next((each for each in watches if each.place.key == key and _stamp(each) == since), None)
        if watch is None:
            return ()
        await asyncio.to_thread(self.monitor.prune, datetime.now(UTC))
        await self._follow(watch, int(number) + 1, stage)
        return [await asyncio.to_thread(self._report, watch, watch.told, watch.language, SHOWN_DAYS, "")]

    async def _follow(self, watch: Watch, number: int, stage: Stage) -> None:
        over = (datetime.now(UTC) - watch.since) // WEEK  # charts that were missed while nobody ran are not made up for
        number = max(number, over + 1)
        value = f"{number} {_stamp(watch)} {watch.place.key}"
        due = Due(f"{KIND}/{value}", watch.told, watch.account, KIND, value, watch.language)
        wait = (watch.since + number * WEEK - datetime.now(UTC)).total_seconds()
        await stage.delivery.follow(due, wait=max(0.0, wait))

    def _heard(self, event: Post | Edited, key: str) -> Heard:
        person = self.memory.person(event.account)
        impression = self.ear.hear(event.text)
        agreed = person.consent
        return Heard(
            key=key,
            channel=event.place.whole_channel.key,
            thread=event.place.key,
            author=person.id,
            at=event.sent,
            negative=impression.negative,
            positive=impression.positive,
            topics=impression.labels + (impression.phrases if agreed else ()),
            text=" ".join(event.text.split()) if agreed else "",
        )

    def _listed(self, command: Command) -> str:
        watches = self.monitor.watches(self.tenant)
        lines = [
            self._say(command, "opinion_line", channel=_name(each.place), since=f"{each.since:%Y-%m-%d}")
            for each in watches
        ]
        return "\n".join([*lines, self._say(command, "watch_usage")])

    def _alarmed(self, watch: Watch, alarm: Alarm) -> Outgoing:
        language = watch.language
        surge = alarm.surge
        told = say(
            language,
            "opinion_alarm_topic" if surge.is_of_topic else "opinion_alarm",
            channel=_name(watch.place),
            topic=next(iter(surge.topics), ""),
            count=len(surge.rise),
            share=f"{alarm.share:.0%}",
            usual=f"{surge.expected:.0%}",
            every=f"{EVERY:,}",
        )
        parts = [told]
        if surge.topics and not surge.is_of_topic:
            parts.append(say(language, "opinion_about", topics=", ".join(f"**{each}**" for each in surge.topics)))
        quoted = [each.text for each in surge.rise if each.is_negative and each.text][-QUOTED:]
        parts += [f"> {text}" for text in quoted]
        report = self._report(watch, watch.told, language, SHOWN_DAYS, "")
        return Outgoing(watch.told, clean("\n".join(parts)), to=watch.account, pictures=report.pictures)

    def _report(self, watch: Watch, to: Place, language: str, days: int, thread: str) -> Outgoing:
        """The figures of the last days with their picture, counted of days only on which enough people wrote."""
        until, length = midnight(datetime.now(UTC)), timedelta(days=1 if days <= 60 else 7)
        count = max(1, round(timedelta(days=days) / length))
        begins = until - count * length
        heard = self.monitor.heard(watch.place, begins - count * length)
        here, hidden = open_days([each for each in heard if each.at >= begins])
        before, _ = open_days([each for each in heard if each.at < begins])
        figures, earlier = shares(here), shares(before)
        withheld = counted(language, "mood_hidden", hidden, least=HIDDEN) if hidden else ""
        if not figures.count:
            nothing = say(language, "mood_nothing", channel=_name(watch.place), days=days)
            return Outgoing(to, f"{_name(watch.place)}: {withheld}" if withheld else nothing, to=watch.account)
        low, high = figures.bounds
        told = say(
            language,
            "mood_figures",
            channel=_name(watch.place),
            days=days,
            count=f"{figures.count:,}",
            persons=figures.persons,
            share=f"{figures.share:.0%}",
            low=f"{low:.0%}",
            high=f"{high:.0%}",
        )
        parts = [told, withheld]
        if earlier.count:
            parts.append(say(language, "mood_before", share=f"{earlier.share:.0%}", count=f"{earlier.count:,}"))
        if thread:
            parts.append(self._conversation(language, [each for each in heard if each.thread == thread]))
        words = {
            name: say(language, f"mood_{name}")
            for name in ("negative", "neutral", "positive", "topics", "alarm", "none")
        }
        content = draw_mood(
            say(language, "mood_title", channel=_name(watch.place), days=days),
            say(language, "mood_line", count=f"{figures.count:,}", share=f"{figures.share:.0%}"),
            over_time(here, until, length, count),
            topics(here, MOST),
            self.monitor.alarms(watch.place, begins),
            words,
        )
        text = clean(" ".join(filter(None, parts)))
        return Outgoing(to, text, to=watch.account, pictures=(Picture(content, f"{told} {withheld}".strip()),))

    def _conversation(self, language: str, heard: Sequence[Heard]) -> str:
        if shares(heard).is_hidden:
            return say(language, "mood_thread_hidden", least=HIDDEN)
        went = trend([each.mood for each in heard])
        if went is None:
            return say(language, "mood_thread_short")
        name = "falling" if went.is_falling else "rising" if went.is_rising else "level"
        return say(language, f"mood_thread_{name}", count=len(heard), change=f"{went.change:+.2f}")

    def _answer(self, command: Command, text: str) -> Outgoing:
        """For whoever ordered it: Slack whispers."""
        said = Outgoing(command.place, text, to=command.account)
        return replace(said, audience="one") if command.place.platform == "slack" else said

    def _say(self, event: Command, name: str, /, **values: object) -> str:
        return say(event.language, name, p=prefix(event.place.platform), **values)


def _name(place: Place) -> str:
    return f"{place.platform}:{place.channel}"


def _stamp(watch: Watch) -> str:
    return f"{watch.since:%Y%m%d%H%M%S%f}"


def _days(words: str) -> int | None:
    words = words.strip()
    if not words:
        return SHOWN_DAYS
    digits = words.isascii() and words.isdigit() and len(words) < 5
    return int(words) if digits and 1 <= int(words) <= LONGEST else None
