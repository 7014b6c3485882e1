"""`/faq mine`: what a channel's people asked and answered among themselves, proposed as answers.

Only of people who both agreed that their words are used, only what no entry holds already, and for no more people than
read the channel: in one that is open to the whole team an administrator may give it to everyone, in others nobody may
as long as it stands in the words of who wrote it there.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.events import Command
from agent.guard import clean
from agent.memory import Memory
from agent.message import Person, Place
from agent.support.curated import Curated, Entry
from agent.support.mining import Pair, pairs
from agent.support.proposals import Thread
from connectors.connector import Connector, ConnectorError
from connectors.desk.access import own_audience
from connectors.desk.gaps import days_of
from connectors.desk.support_words import relayed
from connectors.desk.texts import prefix, say
from retrieval.errors import MessageRefused

THREADS = 100  # that are looked at, the latest
MOST = 10  # that are proposed at once


@dataclass(frozen=True, slots=True)
class Mining:
    """curated: with an encoder. tidy: takes personal data out of a text."""

    tenant: str
    memory: Memory
    curated: Curated
    connectors: Mapping[str, Connector]
    tidy: Callable[[str], str]

    async def mine(self, command: Command, days: str) -> tuple[str, Sequence[Entry]]:
        """Look through the channel in which this was ordered; what is said of it, and what is proposed."""
        place, connector = command.place.whole_channel, self.connectors.get(command.place.platform)
        if command.direct or connector is None:
            return self._say(command, "faq_mine_where"), ()
        if place.platform != "slack":
            return self._say(command, "faq_mine_blind"), ()
        since = datetime.now(UTC) - timedelta(days=days_of(days))
        try:
            threads = await connector.threads(place, since, THREADS)
            is_open = await connector.is_open(place)
        except ConnectorError as error:
            return str(error), ()
        settled = pairs(threads)
        agreed = [each for each in settled if await asyncio.to_thread(self._agreed, each)]
        found = await asyncio.to_thread(self._proposed, agreed, place, command.language, is_open=is_open)
        counts = {"threads": len(threads), "settled": len(settled), "agreed": len(agreed), "new": len(found)}
        return self._say(command, "faq_mined", **counts), found

    def _agreed(self, pair: Pair) -> bool:
        people = [self._known(each.account) for each in (pair.question, pair.answer)]
        return all(person is not None and person.consent for person in people)

    def _known(self, account: str) -> Person | None:
        return self.memory.people.known(account)

    def _proposed(self, agreed: Sequence[Pair], place: Place, language: str, *, is_open: bool) -> list[Entry]:
        """The entries of what is not known yet. Mined again, a thread is the entry that it was."""
        asked = [" ".join(clean(self.tidy(each.question.text)).split()) for each in agreed]
        known = self.curated.known(asked, self.tenant)
        found: list[Entry] = []
        for pair, question, is_known in zip(agreed, asked, known, strict=True):
            if is_known or any(question.casefold() == each.question.casefold() for each in found):
                continue
            thread = Thread(is_open, place, pair.question.id, pair.answer.id)
            asker, answerer = (self._known(each.account) for each in (pair.question, pair.answer))
            if asker is None or answerer is None:
                continue
            try:
                found.append(
                    self.curated.propose(
                        thread.origin,
                        self.tenant,
                        question,
                        relayed(self.tidy(pair.answer.text.strip())),
                        say(language, "faq_thread_source", channel=f"{place.platform}:{place.channel}"),
                        own_audience(place),
                        answerer.id,
                        asked_by=asker.id,
                        language=language,
                    )
                )
            except MessageRefused:  # somebody took their consent back just now
                continue
            if len(found) == MOST:
                break
        return found

    def _say(self, command: Command, name: str, /, **values: object) -> str:
        return say(command.language, name, p=prefix(command.place.platform), **values)
