"""Proposed answers: what people settled, for the team to approve, and then said word for word.

    case resolved ──> an entry that waits, its card at the desk ── Approve ──> it answers the next who asks
    /faq mine ──────> one a thread, cards for who asked          ├─ In other words: approved in these
                                                                 └─ Dismiss

Who may is asked at every press and order, never read from a button: agents of the case's desk and administrators; of
what stood in a channel, its administrators. Nobody's words are proposed who has not agreed to that: then an agent puts
the question. What was proposed of somebody's words goes with them (`agent.support.persons`), and with a message that
they delete. An entry is for no more people than it was asked among until somebody says for whom.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.buttons import Meaning
from agent.events import Command, Due, Outgoing, Press
from agent.guard import clean
from agent.message import Place
from agent.support.curated import LONGEST, Entry
from agent.support.curated import State as Standing
from agent.support.proposals import OF_CASE, Thread
from agent.support.tables import OF_THREAD
from connectors.delivery.stage import Stage
from connectors.desk.access import Access
from connectors.desk.faq_cards import Cards, Settled, is_of_one_place
from connectors.desk.faq_mining import Mining
from connectors.desk.roles import Guard, Role, Roles
from connectors.desk.support_orders import answer
from connectors.desk.support_words import number_of
from connectors.desk.texts import prefix, say
from retrieval.audience import audience_of, everyone
from retrieval.errors import MessageRefused, SettingsError

LISTED = 20
VERBS = ("approve", "ask", "for", "dismiss")
_SHORT = 120


@dataclass(frozen=True, slots=True)
class Faq:
    """access: which audiences there are."""

    cards: Cards
    mining: Mining
    roles: Roles
    guard: Guard
    access: Access

    async def order(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """`/faq`, `approve N [WORDS]`, `ask N QUESTION`, `for N AUDIENCE`, `dismiss N`, `case N QUESTION`, `mine`."""
        verb, _, rest = command.argument.strip().partition(" ")
        name, _, words = rest.strip().partition(" ")
        if verb == "mine":
            return await self._mine(command, rest, stage)
        if verb == "case":
            return await self._worded(command, name, words.strip(), stage)
        entry = await asyncio.to_thread(self._named, name)
        if not await self._may(command, entry):
            return [await self._no(command, f"faq {verb}".strip(), name, stage)]
        if verb in ("", "list"):
            return [answer(command, self._listed(command, await self._waiting(command)))]
        if verb not in VERBS or (verb in ("ask", "for") and not words.strip()):
            return [answer(command, self._say(command, "faq_usage"))]
        if entry is None:
            return [answer(command, self._say(command, "faq_unknown", n=name.removeprefix("#")[:20] or "?"))]
        return [await self._decided(command, entry, verb, words.strip(), stage)]

    async def press(self, press: Press, meaning: Meaning, stage: Stage) -> Sequence[Outgoing]:
        verb, _, name = meaning.value.partition(" ")
        is_there = press.place.whole_channel == meaning.place.whole_channel
        if verb == "word":
            if not is_there:
                return [answer(press, self._say(press, "expired"))]
            return await self._worded(press, name, press.text.strip(), stage)
        entry = await asyncio.to_thread(self._named, name)
        if not await self._may(press, entry):
            return [await self._no(press, f"faq {verb}", name, stage)]
        if entry is None or not is_there:  # a client can send the id of any button
            return [answer(press, self._say(press, "expired"))]
        if verb == "reword" and not press.text.strip():
            return [answer(press, self._say(press, "faq_how_reword", n=entry.id))]
        return [await self._decided(press, entry, "approve" if verb == "reword" else verb, press.text.strip(), stage)]

    async def follow(self, due: Due, _stage: Stage) -> Sequence[Outgoing]:
        """The card of an answer that a case gave, where it gave one. Again after a crash, it is the same entry."""
        settled = await asyncio.to_thread(self.cards.settled, int(due.value.partition(" ")[2]))
        if settled is None:
            return []
        entry = await asyncio.to_thread(self.cards.curated.by_origin, f"{OF_CASE}{settled.case.number}")
        if entry is None and settled.question:
            is_open = await self.cards.is_open(settled.case)
            entry = await asyncio.to_thread(self.cards.propose, settled, is_open=is_open)
        if entry is None:
            return [await asyncio.to_thread(self.cards.unworded, settled, due.place)]
        if entry.state is not Standing.PROPOSED:
            return []
        return [await asyncio.to_thread(self.cards.card, entry, due.place)]

    async def _worded(self, event: Command | Press, name: str, words: str, stage: Stage) -> Sequence[Outgoing]:
        """A case's answer with the question in an agent's words, its card for the desk."""
        settled = await asyncio.to_thread(self._settled, name)
        if not await (
            self.roles.helps(event.account, settled.case.desk, event.place) if settled else self._may(event, None)
        ):
            return [await self._no(event, "faq case", name, stage)]
        if settled is None:
            return [answer(event, self._say(event, "faq_no_case", n=name.removeprefix("#")[:20] or "?"))]
        if not words:
            return [answer(event, self._say(event, "faq_how_word", n=settled.case.number))]
        is_open = await self.cards.is_open(settled.case)
        entry = await asyncio.to_thread(self.cards.propose, settled, words, is_open=is_open)
        if entry is None:
            is_long = len(settled.answer) > LONGEST
            said = self.cards.too_long(settled, event.language) if is_long else self._say(event, "faq_usage")
            return [answer(event, said)]
        await self._note(event, "faq case", f"#{settled.case.number}", stage, settled.case.desk)
        if entry.state is not Standing.PROPOSED:
            return [answer(event, self._listed(event, [entry]))]
        card = await asyncio.to_thread(self.cards.card, entry, settled.case.desk)
        return [card] if isinstance(event, Press) else [answer(event, self._listed(event, [entry])), card]

    async def _mine(self, command: Command, days: str, stage: Stage) -> Sequence[Outgoing]:
        """Only a channel's administrators: the cards show what stood there."""
        is_ours = command.place.tenant == self.cards.tenant
        may = is_ours and self.roles.administers(command.account, command.place)
        if not may:
            await asyncio.to_thread(self.guard.note, command, "faq mine", days[:20], stage.message, None)
            return [answer(command, self._say(command, "administrators_only"))]
        await self._note(command, "faq mine", days[:20], stage, command.place)
        told, found = await self.mining.mine(command, days)
        said = answer(command, told)
        if not found:
            return [said]
        aside = await self.cards.connectors[command.place.platform].aside(command.account, command.place)
        cards = [await asyncio.to_thread(self.cards.card, entry, aside) for entry in found]
        return [said, *(replace(card, to=command.account) for card in cards)]

    async def _decided(self, event: Command | Press, entry: Entry, verb: str, words: str, stage: Stage) -> Outgoing:
        person = await asyncio.to_thread(self.cards.memory.person, event.account)
        curated = self.cards.curated
        try:
            wider = self._audience(event, entry, everyone(entry.tenant) if verb == "everyone" else words, verb)
        except (MessageRefused, SettingsError) as refused:
            await asyncio.to_thread(self.guard.note, event, f"faq {verb}", f"#{entry.id}", stage.message, None)
            return answer(event, str(refused))
        about = f"#{entry.id} {words}" if verb == "for" else f"#{entry.id}"
        thread = Thread.of(entry.origin, entry.tenant)
        await self._note(event, f"faq {verb}", about, stage, thread.place if thread else event.place)
        try:
            if verb == "dismiss":
                await asyncio.to_thread(curated.withdraw, entry.id, person.id)
                return answer(event, self._say(event, "faq_dismissed", n=entry.id))
            if verb == "for":
                given = await asyncio.to_thread(curated.give, entry.id, wider)
                return answer(event, self._say(event, "faq_given", n=entry.id, readers=self._readers(event, given)))
            question, reply = (words, None) if verb == "ask" else (None, words or None)
            made = await asyncio.to_thread(
                curated.approve, entry.id, person.id, reply, question=question, audience=wider
            )
        except MessageRefused as refused:
            return answer(event, str(refused))
        name = "faq_reworded" if words else "faq_approved"
        return answer(event, self._say(event, name, n=entry.id, readers=self._readers(event, made)))

    def _audience(self, event: Command | Press, entry: Entry, wanted: str, verb: str) -> str:
        """The audience that is asked for; empty where none is. Raises MessageRefused where it may not be given."""
        if verb not in ("for", "everyone"):
            return ""
        audience = audience_of(entry.tenant, wanted)
        known = {everyone(entry.tenant), *(audience_of(entry.tenant, name) for name, _ in self.access.members)}
        if audience not in known:
            names = ", ".join(sorted(each.partition("/")[2] for each in known))
            raise MessageRefused(self._say(event, "faq_no_audience", names=names))
        thread = Thread.of(entry.origin, entry.tenant)
        if thread is not None and thread.is_to_stay(entry):
            raise MessageRefused(self._say(event, "faq_private_place", n=entry.id))
        is_narrow = not is_of_one_place(entry.audience) and entry.audience not in (audience, everyone(entry.tenant))
        if is_narrow and not self.roles.administers(event.account, event.place):
            raise MessageRefused(self._say(event, "administrators_only"))
        return audience

    def _readers(self, event: Command | Press, entry: Entry | None) -> str:
        return "" if entry is None else self.cards.readers(entry.audience, event.language)

    async def _may(self, event: Command | Press, entry: Entry | None) -> bool:
        """Agents of the desk that settled it, and administrators; without an entry the agents of any desk."""
        if event.place.tenant != self.cards.tenant:
            return False
        if entry is not None:
            if (thread := Thread.of(entry.origin, entry.tenant)) is not None:
                return self.roles.administers(event.account, thread.place)
            case = await asyncio.to_thread(self.cards.cases.get, int(entry.origin.removeprefix(OF_CASE)))
            if case is not None:
                return await self.roles.helps(event.account, case.desk, event.place)
        return await self.roles.helps_somewhere(event.account, event.place)

    async def _no(self, event: Command | Press, verb: str, name: str, stage: Stage) -> Outgoing:
        await asyncio.to_thread(self.guard.note, event, verb, name and f"#{name}", stage.message, None)
        return answer(event, self._say(event, "gaps_agents_only"))

    async def _note(self, event: Command | Press, verb: str, about: str, stage: Stage, place: Place) -> None:
        role = Role.ADMINISTRATOR if self.roles.administers(event.account, place) else Role.AGENT
        await asyncio.to_thread(self.guard.note, event, verb, about, stage.message, role)

    def _named(self, name: str) -> Entry | None:
        """An entry that was proposed here, by its number."""
        number = number_of(name)
        entry = self.cards.curated.get(number) if number is not None else None
        is_ours = entry is not None and entry.tenant == self.cards.tenant
        is_proposed = entry is not None and entry.origin.startswith((OF_CASE, OF_THREAD))
        return entry if is_ours and is_proposed else None

    def _settled(self, name: str) -> Settled | None:
        number = number_of(name)
        return None if number is None else self.cards.settled(number)

    async def _waiting(self, command: Command) -> list[Entry]:
        """What waits for who gave the order, the latest; in a Telegram group, which all read, that of its own desk."""
        is_alone = command.direct or command.place.platform == "slack"
        decides: dict[tuple[str, str], bool] = {}
        found: list[Entry] = []
        waiting = await asyncio.to_thread(self.cards.curated.listing, self.cards.tenant, Standing.PROPOSED)
        for entry in reversed(waiting):
            place = await asyncio.to_thread(self._decided_at, entry)
            if place is None:
                continue
            if place not in decides:
                is_here = is_alone or place == (command.place.platform, command.place.channel)
                decides[place] = is_here and await self._may(command, entry)
            if decides[place]:
                found.append(entry)
            if len(found) == LISTED:
                break
        return found[::-1]

    def _decided_at(self, entry: Entry) -> tuple[str, str] | None:
        """The desk or channel whose people decide on an entry."""
        if (thread := Thread.of(entry.origin, entry.tenant)) is not None:
            return thread.place.platform, thread.place.channel
        number = number_of(entry.origin.removeprefix(OF_CASE))
        case = self.cards.cases.get(number) if number is not None else None
        return None if case is None else (case.desk.platform, case.desk.channel)

    def _listed(self, event: Command | Press, waiting: Sequence[Entry]) -> str:
        lines = [
            self._say(event, "faq_line", n=each.id, question=_short(each.title), answer=_short(each.answer))
            for each in waiting
        ]
        return clean("\n".join(lines)) if lines else self._say(event, "faq_none")

    def _say(self, event: Command | Press, name: str, /, **values: object) -> str:
        return say(event.language, name, p=prefix(event.place.platform), **values)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else f"{line[: _SHORT - 1].rstrip()}…"
