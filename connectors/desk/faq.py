"""Proposed answers: what people settled in a case, for the team to approve, and then said word for word.

    case resolved ──> an entry that waits, its card at the desk ── Approve ──> it answers the next who asks
                                                              └─ Dismiss      In other words: approved in these

Who may is asked at every press and order, never read from a button: agents of the case's desk and administrators. What
was proposed of somebody's words goes with them (`agent.support.persons`), and with a message that they delete.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.buttons import Buttons, Meaning
from agent.events import Button, Command, Due, Outgoing, Press
from agent.guard import clean
from agent.memory import Memory
from agent.message import Move, Place
from agent.support.cases import Case, Cases, Kind, State
from agent.support.curated import Curated, Entry
from agent.support.curated import State as Standing
from agent.support.proposals import KIND, OF_CASE
from agent.surface import looks_like_question
from connectors.delivery.stage import Stage
from connectors.desk.roles import Guard, Role, Roles
from connectors.desk.support_orders import answer
from connectors.desk.support_words import relayed
from connectors.desk.texts import prefix, say
from retrieval.audience import EVERYONE, everyone
from retrieval.errors import MessageRefused

MINUTES = 30 * 24 * 60  # that buttons work
LISTED = 20
EARLIER = 12  # turns before a case in which its question is looked for
_SHORT = 120


@dataclass(frozen=True, slots=True)
class Faq:
    """tenant: whose answers these are. language: of the desks. tidy: takes personal data out of a text."""

    tenant: str
    language: str
    memory: Memory
    cases: Cases
    curated: Curated
    buttons: Buttons
    roles: Roles
    guard: Guard
    tidy: Callable[[str], str]

    async def order(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """`/faq`, `/faq approve N [WORDS]`, `/faq ask N QUESTION`, `/faq dismiss N`."""
        verb, _, rest = command.argument.strip().partition(" ")
        name, _, words = rest.strip().partition(" ")
        entry = await asyncio.to_thread(self._named, name)
        if not await self._may(command, entry):
            return [await self._no(command, f"faq {verb}".strip(), name, stage)]
        if verb in ("", "list"):
            return [answer(command, self._listed(command, await self._waiting(command)))]
        if verb not in ("approve", "ask", "dismiss") or (verb == "ask" and not words.strip()):
            return [answer(command, self._say(command, "faq_usage"))]
        if entry is None:
            return [answer(command, self._say(command, "faq_unknown", n=name.removeprefix("#")[:20] or "?"))]
        return [await self._decided(command, entry, verb, words.strip(), stage)]

    async def press(self, press: Press, meaning: Meaning, stage: Stage) -> Sequence[Outgoing]:
        verb, _, name = meaning.value.partition(" ")
        entry = await asyncio.to_thread(self._named, name)
        if not await self._may(press, entry):
            return [await self._no(press, f"faq {verb}", name, stage)]
        is_there = (press.place.platform, press.place.channel) == (meaning.place.platform, meaning.place.channel)
        if entry is None or not is_there:  # a client can send the id of any button
            return [answer(press, self._say(press, "expired"))]
        if verb == "reword" and not press.text.strip():
            return [answer(press, self._say(press, "faq_how_reword", n=entry.id))]
        return [await self._decided(press, entry, "approve" if verb == "reword" else verb, press.text.strip(), stage)]

    async def follow(self, due: Due, _stage: Stage) -> Sequence[Outgoing]:
        """The card of an answer that a case gave, where it gave one. Again after a crash, it is the same entry."""
        entry = await asyncio.to_thread(self._proposed, int(due.value.partition(" ")[2]))
        return [] if entry is None or entry.state is not Standing.PROPOSED else [self._card(entry, due.place)]

    def _proposed(self, number: int) -> Entry | None:
        """What a case was settled with, as an entry that waits."""
        case = self.cases.get(number)
        if case is None or case.state is not State.RESOLVED or not case.asker or case.desk.tenant != self.tenant:
            return None
        lines = self.cases.lines(number)
        said = [line for line in lines if line.kind in (Kind.ANSWERED, Kind.RESOLVED) and line.text.strip()]
        question = self._question(case)
        if not said or not question:
            return None
        answered = "\n".join(relayed(self.tidy(line.text.strip())) for line in said)
        try:
            return self.curated.propose(
                f"{OF_CASE}{number}",
                self.tenant,
                question,
                answered,
                say(case.language, "faq_source", n=number),
                self._readers(case),
                said[-1].author,
                asked_by=case.asker,
                language=case.language,
            )
        except MessageRefused:  # longer than an answer may be
            return None

    def _question(self, case: Case) -> str:
        """What the asker wanted to know: their last question that was searched for, else one of the case."""
        known = self.memory.turns(case.place, EARLIER) if case.turn else ()
        theirs = [each for each in known if each.message.author.id == case.asker and each.id <= case.turn]
        searched = [each.message.text for each in theirs if each.decision.move is Move.ANSWER]
        written = [
            line.text
            for line in self.cases.lines(case.number)
            if line.author == case.asker and looks_like_question(line.text)
        ]
        found = searched[-1:] or written[:1]
        return " ".join(clean(self.tidy(found[0])).split()) if found else ""

    def _readers(self, case: Case) -> str:
        """Everyone, unless it was asked in a channel where something is read that is not for everyone: then those.

        Of several the first by name: an entry has one audience, and is for no more people than it was asked among.
        """
        turn = self.memory.turn(case.turn) if case.turn and not case.direct else None
        named = {each for each in turn.message.readers if "/chat-" not in each} if turn else set()
        named -= {everyone(self.tenant)}
        return min(named, default=EVERYONE)

    def _card(self, entry: Entry, place: Place) -> Outgoing:
        number = entry.origin.removeprefix(OF_CASE)
        head = say(self.language, "faq_card", n=entry.id, case=number)
        readers = say(self.language, "faq_readers", audience=entry.audience.partition("/")[2])
        text = "\n".join([head, *(f"> {line}" for line in entry.question.split("\n")), relayed(entry.answer), readers])
        return Outgoing(place, text, buttons=self._choices(entry, place))

    def _choices(self, entry: Entry, place: Place) -> tuple[Button, ...]:
        verbs = ("approve", "reword", "dismiss")
        meanings = {f"{KIND}/{verb}/{entry.id}": Meaning(KIND, f"{verb} {entry.id}", place) for verb in verbs}
        made = self.buttons.make_keyed(meanings, MINUTES)
        labels = [say(self.language, f"faq_{verb}") for verb in verbs]
        form = say(self.language, "faq_reword_ask")
        return tuple(
            Button(button, label, form if verb == "reword" else "")
            for button, label, verb in zip(made, labels, verbs, strict=True)
        )

    async def _decided(self, event: Command | Press, entry: Entry, verb: str, words: str, stage: Stage) -> Outgoing:
        person = await asyncio.to_thread(self.memory.person, event.account)
        role = Role.ADMINISTRATOR if self.roles.administers(event.account, event.place) else Role.AGENT
        await asyncio.to_thread(self.guard.note, event, f"faq {verb}", f"#{entry.id}", stage.message, role)
        try:
            if verb == "dismiss":
                await asyncio.to_thread(self.curated.withdraw, entry.id, person.id)
                return answer(event, self._say(event, "faq_dismissed", n=entry.id))
            question, reply = (words, None) if verb == "ask" else (None, words or None)
            await asyncio.to_thread(self.curated.approve, entry.id, person.id, reply, question=question)
        except MessageRefused as refused:
            return answer(event, str(refused))
        return answer(event, self._say(event, "faq_reworded" if words else "faq_approved", n=entry.id))

    async def _may(self, event: Command | Press, entry: Entry | None) -> bool:
        """Agents of the desk that settled it, and administrators; without an entry the agents of any desk."""
        if event.place.tenant != self.tenant:
            return False
        if entry is not None:
            case = await asyncio.to_thread(self.cases.get, int(entry.origin.removeprefix(OF_CASE)))
            if case is not None:
                return await self.roles.helps(event.account, case.desk, event.place)
        return await self.roles.helps_somewhere(event.account, event.place)

    async def _no(self, event: Command | Press, verb: str, name: str, stage: Stage) -> Outgoing:
        await asyncio.to_thread(self.guard.note, event, verb, name and f"#{name}", stage.message, None)
        return answer(event, self._say(event, "gaps_agents_only"))

    def _named(self, name: str) -> Entry | None:
        """An entry that was proposed here, by its number."""
        digits = name.removeprefix("#")
        is_number = digits.isascii() and digits.isdigit() and len(digits) < 16
        entry = self.curated.get(int(digits)) if is_number else None
        is_ours = entry is not None and entry.tenant == self.tenant and entry.origin.startswith(OF_CASE)
        return entry if is_ours else None

    async def _waiting(self, command: Command) -> list[Entry]:
        """What waits for who gave the order, the latest; in a Telegram group, which all read, that of its own desk."""
        is_alone = command.direct or command.place.platform == "slack"
        decides: dict[tuple[str, str], bool] = {}
        found: list[Entry] = []
        for entry in reversed(await asyncio.to_thread(self.curated.listing, self.tenant, Standing.PROPOSED)):
            number = entry.origin.removeprefix(OF_CASE)
            case = await asyncio.to_thread(self.cases.get, int(number)) if number != entry.origin else None
            if case is None:
                continue
            desk = (case.desk.platform, case.desk.channel)
            if desk not in decides:
                is_here = is_alone or desk == (command.place.platform, command.place.channel)
                decides[desk] = is_here and await self._may(command, entry)
            if decides[desk]:
                found.append(entry)
            if len(found) == LISTED:
                break
        return found[::-1]

    def _listed(self, command: Command, waiting: Sequence[Entry]) -> str:
        lines = [
            self._say(command, "faq_line", n=each.id, question=_short(each.title), answer=_short(each.answer))
            for each in waiting
        ]
        return clean("\n".join(lines)) if lines else self._say(command, "faq_none")

    def _say(self, event: Command | Press, name: str, /, **values: object) -> str:
        return say(event.language, name, p=prefix(event.place.platform), **values)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else f"{line[: _SHORT - 1].rstrip()}…"
