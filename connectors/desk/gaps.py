"""`/gaps`: what found no good answer, put together, with documents that need a look. For agents and administrators."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from agent.events import Command, Outgoing
from agent.guard import clean
from agent.secret_shapes import mask_secrets
from agent.settled import DIFFERING, dates_of
from agent.support.asked import Asked, lately_asked, may_be_shown
from agent.support.gaps import Encode, Gap, find_gaps
from agent.support.stale import Differing, Old, differing_documents, old_documents
from connectors.compose import Store
from connectors.connector import Connector
from connectors.delivery.stage import Stage
from connectors.desk.access import Access
from connectors.desk.roles import Guard, Role, Roles
from connectors.desk.texts import prefix, say
from connectors.support_settings import Support
from finetune.examples.redaction import Redactor
from retrieval.audience import everyone
from retrieval.watched import known_sources

log = logging.getLogger(__name__)

DAYS = 30
MOST_DAYS = 365
LISTED = 8


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the turns of a time say of the knowledge: gaps, old documents, contradictions. readers: who is told."""

    days: int
    gaps: tuple[Gap, ...]
    old: tuple[Old, ...]
    differing: tuple[Differing, ...]


def examined(store: Store, encode: Encode, readers: Collection[str], days: int = DAYS, viewer: str = "") -> Knowledge:
    """Look at the turns of the last days. viewer: a person's id, whose own questions are always shown to them.

    Raises StoreError.
    """
    now = datetime.now(UTC)
    settings = store.settings
    asked = lately_asked(store.engine, settings.tenant, now - timedelta(days=days))
    held = {everyone(settings.tenant), *readers}
    gaps = find_gaps(
        asked,
        encode,
        lambda turn: turn.message.author.id == viewer or may_be_shown(turn, held, settings.tenant),
        tidied(),
    )
    old, differing = documents_of(store, asked, settings.support, held, now)
    return Knowledge(days, tuple(gaps), old, differing)


def documents_of(
    store: Store, asked: Sequence[Asked], support: Support, readers: Collection[str], now: datetime
) -> tuple[tuple[Old, ...], tuple[Differing, ...]]:
    """Old documents that were cited, and pairs that contradict each other."""
    old = old_documents(asked, changes(store), support.stale, now, readers)
    return tuple(old), tuple(differing_documents(asked, DIFFERING, readers))


def changes(store: Store) -> Mapping[str, datetime]:
    """When each document was changed last, as far as that is known, by source."""
    tenant = store.settings.tenant
    found = dates_of(store.shelf, tenant)
    watched = known_sources(store.engine, tenant)
    return found | {name: datetime.fromtimestamp(each.changed, UTC) for name, each in watched.items() if each.changed}


def tidied() -> Callable[[str], str]:
    """What takes names, numbers and keys out of a text."""
    redactor = Redactor()
    return lambda text: mask_secrets(redactor.text(text))


@dataclass(frozen=True, slots=True)
class GapOrders:
    store: Store
    encode: Encode
    access: Access
    roles: Roles
    guard: Guard
    connectors: Mapping[str, Connector]

    async def gaps(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """`/gaps [DAYS]`. Told to nobody else: there are people's words in it."""
        role = await self.roles.of(command.account, command.place)
        if command.place.tenant != self.store.settings.tenant:
            role = Role.MEMBER
        given = None if role is Role.MEMBER else role
        await asyncio.to_thread(self.guard.note, command, "gaps", command.argument, stage.message, given)
        if given is None:
            return [self._alone(command, say(command.language, "gaps_agents_only"))]
        person = await asyncio.to_thread(self.store.memory.person, command.account)
        readers, _ = self.access.readers(command.account, command.place, is_direct=True)
        found = await asyncio.to_thread(
            examined, self.store, self.encode, readers, days_of(command.argument), person.id
        )
        return [self._alone(command, listed(found, command.language, prefix(command.place.platform)))]

    def _alone(self, command: Command, text: str) -> Outgoing:
        said = Outgoing(command.place, text, to=command.account)
        if command.direct:
            return said
        said = replace(said, audience="one")
        if command.place.platform == "slack":
            return said
        link = self.connectors[command.place.platform].address("hello")
        public = Outgoing(command.place, say(command.language, "in_private", link=link), to=command.account)
        return replace(said, instead=public)


def days_of(argument: str) -> int:
    digits = argument.strip()
    return min(max(1, int(digits)), MOST_DAYS) if digits.isascii() and digits.isdigit() and len(digits) < 6 else DAYS


def listed(found: Knowledge, language: str, begin: str, most: int = LISTED) -> str:
    """The report, Markdown. begin: what a command begins with."""
    if not (found.gaps or found.old or found.differing):
        return say(language, "gaps_none", days=found.days)
    parts = [say(language, "gaps_title" if found.gaps else "gaps_none", days=found.days)]
    for rank, gap in enumerate(found.gaps[:most], 1):
        parts.append(gap_line(gap, rank, language))
        parts += [f"> {example}" for example in gap.examples]
    if len(found.gaps) > most:
        parts.append(say(language, "gaps_more", count=len(found.gaps) - most))
    if any(not gap.examples for gap in found.gaps[:most]):
        parts.append(say(language, "gaps_hidden"))
    if found.gaps:
        parts.append(say(language, "gaps_how", p=begin))
    if found.old:
        parts.append(say(language, "gaps_old"))
        parts += [
            counted(language, "gaps_old_line", each.questions, source=each.source, changed=f"{each.changed:%Y-%m-%d}")
            for each in found.old[:most]
        ]
    if found.differing:
        parts.append(say(language, "gaps_differ"))
        parts += [
            counted(language, "gaps_differ_line", each.questions, first=each.first, second=each.second)
            for each in found.differing[:most]
        ]
    return clean("\n".join(parts))


def gap_line(gap: Gap, rank: int, language: str) -> str:
    line = say(
        language,
        "gaps_line",
        rank=rank,
        label=gap.label or say(language, "gaps_unnamed"),
        questions=counted(language, "gaps_questions", gap.count),
        people=counted(language, "gaps_people", gap.people),
        last=f"{gap.last:%Y-%m-%d}",
    )
    return line + (say(language, "gaps_disliked", count=gap.disliked) if gap.disliked else "")


def counted(language: str, name: str, count: int, **values: object) -> str:
    """The sentence for so many, which for one is another."""
    return say(language, f"{name}_1", **values) if count == 1 else say(language, name, count=count, **values)
