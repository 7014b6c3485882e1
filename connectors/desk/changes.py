"""What becomes of messages that are changed or taken back, and of channels that Atelier loses or that move.

A message that is changed before its answer is begun is answered as it reads then; afterwards Atelier offers to answer
anew. One that is deleted is not answered, or its turn is forgotten. Telegram tells bots of no deletion. What became of
a message may come before it: a platform repeats what it could not deliver, and goes on meanwhile.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from agent.buttons import Buttons
from agent.channels import ChannelRules, Rule
from agent.events import Arrived, Button, Deleted, Edited, Left, Moved, Outgoing, Post
from agent.memory import Memory
from agent.moving import move
from agent.support.curated import Curated
from connectors.delivery.queue import name_of
from connectors.delivery.stage import Stage
from connectors.delivery.waiting import supersede
from connectors.desk.access import Access, own_audience
from connectors.desk.texts import prefix, say
from connectors.privacy import take_back
from retrieval.shelf import Shelf

RECENT = timedelta(minutes=10)  # a message that is changed later to call Atelier is history, and not a question
MINUTES = 24 * 60  # that the offer to answer anew stands


@dataclass(frozen=True, slots=True)
class Changes:
    memory: Memory
    shelf: Shelf
    access: Access
    rules: ChannelRules
    buttons: Buttons
    home: Path

    async def latest(self, post: Post, stage: Stage) -> Post | None:
        """The message as it reads now, by what waits behind it; None where it was taken back."""
        for event in await self._behind(stage, post.id):
            if isinstance(event, Deleted):
                return None
            if event.account == post.account and event.as_of >= post.sent:
                post = replace(post, text=event.text, sent=event.as_of)
        return post

    async def _behind(self, stage: Stage, message: str) -> list[Edited | Deleted]:
        behind = await stage.delivery.behind(stage, message)
        return [each for each in behind if isinstance(each, Edited | Deleted) and each.message == message]

    async def edited(self, event: Edited, stage: Stage) -> Sequence[Outgoing] | Post:
        """An offer to answer anew; the message itself where only its change calls Atelier."""
        behind = await self._behind(stage, event.message)
        if any(isinstance(each, Deleted) or each.as_of >= event.as_of for each in behind):
            return ()  # a later change, or that it was deleted, says more
        turn = await asyncio.to_thread(self.memory.turn_for, name_of(event.place, event.message))
        if turn is None:
            return await self._late(event, stage) or ()
        if event.as_of < turn.message.sent:
            return ()  # what was answered is newer: a platform repeats what failed, and goes on meanwhile
        author = await asyncio.to_thread(self.memory.person, event.account)
        if event.text == turn.message.text or author.id != turn.message.author.id or not event.text.strip():
            return ()
        value = f"{turn.id} {event.text}"
        made = await asyncio.to_thread(
            self.buttons.make, "again", value, event.place, MINUTES, key=f"again/{stage.key}"
        )
        offer = Outgoing(event.place, say(event.language, "edited"), to=event.account)
        offer = replace(offer, buttons=(Button(made, say(event.language, "again")),))
        return [replace(offer, audience="one") if event.place.platform == "slack" else offer]

    async def _late(self, event: Edited, stage: Stage) -> Post | None:
        """The message itself, where only its change calls Atelier, or came before it: platforms repeat what failed."""
        if event.sent < datetime.now(UTC) - RECENT:
            return None
        if (event.direct or not event.called) and await stage.has_come(event.place, event.message):
            return None
        stage.along.append(partial(supersede, place=event.place, message=event.message))
        return event.post()

    async def deleted(self, event: Deleted, stage: Stage) -> None:
        await stage.supersede(event.place, event.message)
        turn = await asyncio.to_thread(self.memory.turn_for, name_of(event.place, event.message))
        if turn is not None:
            await asyncio.to_thread(take_back, turn, self.memory, self.home)

    async def left(self, event: Left, stage: Stage) -> None:
        """Nobody can be answered there: what waits is let go, and no thread is followed any more."""
        await stage.delivery.drop(event.place, stage.event)
        await asyncio.to_thread(self.rules.leave, event.place)

    async def moved(self, event: Moved) -> Sequence[Outgoing]:
        await asyncio.to_thread(self._move, event)
        if not self.access.names(event.place):
            return ()
        old, new = (f"{each.platform}:{each.channel}" for each in (event.place, event.to))
        return [Outgoing(event.to, say("", "moved_settings", old=old, new=new))]

    def _move(self, event: Moved) -> None:
        move(self.memory.engine, event.place, event.to)
        tenant, before = event.place.tenant, own_audience(event.place)
        for document in self.shelf.documents(tenant):
            if document.audience == before:
                self.shelf.set_audience(tenant, document.source, own_audience(event.to))
        Curated(self.memory.engine).move(tenant, before, own_audience(event.to))

    async def arrived(self, event: Arrived, language: str) -> Sequence[Outgoing]:
        """Who comes into a channel where every message is answered is told what that means for what they write."""
        if await asyncio.to_thread(self.rules.rule, event.place) is not Rule.ALWAYS:
            return ()
        told = say(language, "watched_new", p=prefix(event.place.platform))
        return [Outgoing(event.place, told, to=event.account, audience="one")]
