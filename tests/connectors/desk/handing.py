"""The two sides of a case as their people see them, on any two platforms."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from agent.support.cases import Case, Cases
from connectors.delivery.tables import OPEN, inbox
from retrieval.database import reading
from tests.connectors.desk.chats import Chat, Room, Shown, SlackChat
from tests.connectors.desk.doors import TENANT, Doors

HUMAN = "I want to talk to a real person, please. Connect me to a human."
SOON = 2.0  # seconds: what is due later, as a reminder, is not waited for


@dataclass(slots=True)
class Desk:
    """A room of agents on one platform."""

    chat: Chat
    room: Room

    @property
    def setting(self) -> str:
        return f"{self.chat.name}:{self.room.channel if self.chat.name == 'slack' else self.room.channel.id}"

    def shown(self) -> list[Shown]:
        """Everything of Atelier's that is final there, in any thread."""
        whole = Room(self.room.channel)
        return [each for each in self.chat.shown(whole) if each.is_final]

    def card(self) -> Shown:
        return next(each for each in self.shown() if "Take it" in each.buttons)

    def replies(self, who: Any, to: Shown, text: str) -> Any:
        """As people there answer a message of Atelier's: in its thread, or as a reply to it. What chats call it."""
        if isinstance(self.chat, SlackChat):
            return who.writes(text, self.room.channel, to.thread or to.ref)
        return who.writes(text, self.room.channel, reply_to=to.ref)


def desk_for(chat: Chat, *people: Any) -> Desk:
    room = chat.room(*people)
    if chat.name == "telegram":  # an ordinary group: support teams seldom have topics
        room = Room(chat.emulator.group("Support", people, topics=False, privacy=True))
    return Desk(chat, room)


def section(*desks: Desk, **more: object) -> dict[str, object]:
    """The setting `support`."""
    return {"desks": [{"to": desk.setting} for desk in desks], "remind": 0, **more}


async def rest(doors: Doors) -> None:
    """Until everything that people did is dealt with, but for what is due later."""
    for _ in range(2):
        await doors.until(lambda: doors._slack.is_quiet() and doors._telegram.is_quiet())
        async with asyncio.timeout(20):
            while await asyncio.to_thread(under_way, doors):  # noqa: ASYNC110 - it is in the store
                await asyncio.sleep(0.01)


def under_way(doors: Doors) -> int:
    soon = OPEN & (inbox.c.due < time.time() + SOON)
    with reading(doors.house.store.engine) as connection:
        return int(connection.execute(sa.select(sa.func.count()).where(soon)).scalar_one())


def cases(doors: Doors) -> list[Case]:
    return Cases(doors.house.store.engine).listed(TENANT)
