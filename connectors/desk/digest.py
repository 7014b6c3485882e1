"""The week in figures, for administrators: on demand with `/digest`, and every week by itself."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from agent.events import Command, Outgoing, Picture
from agent.guard import clean
from agent.message import Place
from agent.support.asked import lately_asked
from agent.support.cases import Case, Cases, Entry
from agent.support.digest import DAYS, Figures, figures
from agent.support.digest_picture import draw_week
from agent.support.gaps import Encode
from agent.support.stale import Differing, Old
from connectors.compose import Store
from connectors.connector import Connector
from connectors.delivery.stage import Stage
from connectors.desk.gaps import counted, documents_of, tidied
from connectors.desk.telling import Word
from connectors.desk.texts import say
from retrieval.audience import everyone

NAMED = 5  # gaps and documents in a line
FILE = "week.png"


@dataclass(frozen=True, slots=True)
class Week:
    """The figures with the documents that need a look, of those that everyone may read."""

    figures: Figures
    old: tuple[Old, ...]
    differing: tuple[Differing, ...]


def week_of(store: Store, encode: Encode, until: datetime) -> Week:
    """What the store knows of the week that ends at `until`. Raises StoreError."""
    settings, since = store.settings, until - timedelta(days=DAYS)
    asked = lately_asked(store.engine, settings.tenant, since, until)
    before = lately_asked(store.engine, settings.tenant, since - timedelta(days=DAYS), since)
    found = figures(until, asked, before, _cases(store, since), encode, tidied())
    old, differing = documents_of(store, asked, settings.support, {everyone(settings.tenant)}, until)
    return Week(found, old, differing)


def _cases(store: Store, since: datetime) -> list[tuple[Case, Sequence[Entry]]]:
    """All cases; of the older ones it only counts whether somebody still waits."""
    cases = Cases(store.engine)
    return [
        (case, cases.lines(case.number) if case.opened >= since else ())
        for case in cases.listed(store.settings.tenant)
        if case.opened >= since or case.is_live
    ]


def said(week: Week, language: str) -> str:
    """The week in sentences, Markdown."""
    found = week.figures
    days = {"since": f"{found.since:%Y-%m-%d}", "until": f"{found.until:%Y-%m-%d}"}
    if not (found.questions or found.handed or found.waiting):
        return say(language, "digest_quiet", until=days["until"])
    counts = {name: getattr(found, name) for name in ("before", "answered", "refused", "handed")}
    counts["questions"] = counted(language, "digest_questions", found.questions)
    lines = [say(language, "digest_title", **days), say(language, "digest_volume", **counts)]
    if found.reply is not None:
        late = found.reply if found.late_reply is None else found.late_reply
        lines.append(say(language, "digest_reply", reply=f"{found.reply:.1f}", late=f"{late:.1f}"))
    if found.person is not None:
        lines.append(say(language, "digest_person", hours=f"{found.person / 3600:.1f}", waiting=found.waiting))
    elif found.waiting:
        lines.append(counted(language, "digest_waiting", found.waiting))
    if found.liked or found.disliked:
        lines.append(say(language, "digest_ratings", liked=found.liked, disliked=found.disliked))
    if found.gaps:
        gaps = "; ".join(f"{gap.label} ({gap.count})" for gap in found.gaps[:NAMED])
        lines.append(say(language, "digest_gaps", gaps=gaps))
    if week.old:
        names = ", ".join(f"{each.source} ({each.changed:%Y-%m})" for each in week.old[:NAMED])
        lines.append(say(language, "digest_old", names=names))
    if week.differing:
        pairs = "; ".join(f"{each.first} – {each.second}" for each in week.differing[:NAMED])
        lines.append(say(language, "digest_differ", names=pairs))
    return clean("\n".join(lines))


def shown(week: Week, place: Place, language: str, account: str = "") -> Outgoing:
    """The week as a message with its picture."""
    text, found = said(week, language), week.figures
    if not found.questions:
        return Outgoing(place, text, to=account)
    counts = {name: getattr(found, name) for name in ("answered", "refused", "handed")}
    counts["questions"] = counted(language, "digest_questions", found.questions)
    picture = Picture(draw_week(found, language), say(language, "digest_picture", **counts))
    return Outgoing(place, text, pictures=(picture,), to=account)


@dataclass(frozen=True, slots=True)
class DigestOrders:
    """Who gives the order was found to be an administrator before."""

    store: Store
    encode: Encode
    connectors: Mapping[str, Connector]

    async def order(self, command: Command, _stage: Stage) -> Sequence[Outgoing]:
        """`/digest`: told where it was asked for, if that is in private, else to who asked alone."""
        if command.place.tenant != self.store.settings.tenant:
            return [Outgoing(command.place, say(command.language, "administrators_only"), to=command.account)]
        week = await asyncio.to_thread(week_of, self.store, self.encode, datetime.now(UTC))
        place = command.place
        if not command.direct:  # a picture cannot be whispered
            place = await self.connectors[place.platform].aside(command.account, place)
        made = await asyncio.to_thread(shown, week, place, command.language, command.account)
        if place == command.place:
            return [made]
        link = self.connectors[place.platform].address("hello")
        public = Outgoing(command.place, say(command.language, "in_private", link=link), to=command.account)
        return [replace(made, instead=public)]

    async def weekly(self, until: datetime) -> Word:
        """What administrators are told of the week that ends at `until`."""
        week = await asyncio.to_thread(week_of, self.store, self.encode, until)
        return lambda place, language: [shown(week, place, language)]
