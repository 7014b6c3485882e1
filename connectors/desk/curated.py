"""`/curated …`: administrators give the answers that are said word for word, see them, and take them back."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from agent.events import Command, Outgoing
from agent.guard import clean
from agent.memory import Memory
from agent.support.curated import Curated, Entry, State
from connectors.delivery.stage import Stage
from connectors.desk.faq_cards import is_of_one_place
from connectors.desk.support_orders import answer
from connectors.desk.support_words import number_of
from connectors.desk.texts import prefix, say
from retrieval.audience import EVERYONE
from retrieval.errors import MessageRefused, SettingsError

LISTED = 40
SHORT = 120  # characters of a question or an answer in a list


@dataclass(frozen=True, slots=True)
class CuratedOrders:
    """Who gives these orders was found to be an administrator before. tenant: whose answers they are."""

    curated: Curated
    memory: Memory
    tenant: str

    async def order(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """`add QUESTION | ANSWER | SOURCE | AUDIENCE`, `list`, `show N`, `approve N [ANSWER]`, `withdraw N`."""
        if command.place.tenant != self.tenant:
            return [answer(command, self._say(command, "administrators_only"))]
        if command.place.platform == "telegram" and not command.direct:  # others in a group may not read all of them
            return [answer(command, self._say(command, "curated_private"))]
        try:
            said = await asyncio.to_thread(self._carried_out, command, stage.message)
        except (MessageRefused, SettingsError) as refused:
            said = str(refused)
        return [answer(command, said)]

    def _carried_out(self, command: Command, key: str) -> str:
        verb, _, rest = command.argument.strip().partition(" ")
        by = self.memory.person(command.account).id
        if verb == "add":
            return self._add(command, rest, key, by)
        if verb == "list":
            return self._list(command)
        name, _, words = rest.strip().partition(" ")
        entry = self._named(name)
        if verb not in ("show", "approve", "withdraw"):
            return self._say(command, "curated_usage")
        if entry is None:
            return self._say(command, "curated_unknown", n=name.strip()[:20] or "?")
        if verb == "approve":
            entry = self.curated.approve(entry.id, by, words.strip() or None) or entry
        elif verb == "withdraw":
            entry = self.curated.withdraw(entry.id, by) or entry
        return self._shown(command, entry)

    def _add(self, command: Command, rest: str, key: str, by: str) -> str:
        question, answered, source, audience, *more = *(part.strip() for part in rest.split("|")), "", "", ""
        if not question or not answered or len(more) > 3:
            return self._say(command, "curated_usage")
        entry = self.curated.put(key, self.tenant, question, answered, source, audience or EVERYONE, by)
        return f"{self._say(command, 'curated_added', n=entry.id)}\n{self._shown(command, entry)}"

    def _list(self, command: Command) -> str:
        found = [each for each in self.curated.listing(self.tenant) if each.state is not State.WITHDRAWN]
        if not found:
            return self._say(command, "curated_none")
        lines = [
            f"- **#{each.id}** {self._say(command, f'curated_{each.state}')}: {short(each.title)}"
            for each in found[-LISTED:]
        ]
        return clean("\n".join(lines))

    def _shown(self, command: Command, entry: Entry) -> str:
        is_one = is_of_one_place(entry.audience)
        readers = self._say(command, "curated_one_place") if is_one else entry.audience.partition("/")[2]
        state = self._say(command, f"curated_{entry.state}")
        head = f"**#{entry.id}** {state}, {self._say(command, 'curated_for', audience=readers)}"
        asked = "\n".join(f"> {line}" for line in entry.question.split("\n"))
        source = f"\n{entry.source}" if entry.source else ""
        return clean(f"{head}\n{asked}\n{entry.answer}{source}")

    def _named(self, name: str) -> Entry | None:
        number = number_of(name)
        entry = self.curated.get(number) if number is not None else None
        return entry if entry is not None and entry.tenant == self.tenant else None

    def _say(self, command: Command, name: str, /, **values: object) -> str:
        return say(command.language, name, p=prefix(command.place.platform), **values)


def short(text: str) -> str:
    """A text as a line of a list."""
    line = " ".join(text.split())
    return line if len(line) <= SHORT else f"{line[:SHORT].rstrip()} …"
