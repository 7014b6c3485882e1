"""Every event of every platform comes here and leaves as what is to be said, perhaps nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from agent.buttons import Buttons
from agent.channels import ChannelRules, is_addressed
from agent.events import Button, Command, Event, Joined, Opened, Outgoing, Post, Press, Reaction
from agent.generation.generator import Piece
from agent.memory import Memory
from agent.message import Line, Message, Move, Turn
from connectors.compose import House
from connectors.connector import Connector
from connectors.delivery.worker import Stage
from connectors.desk.access import Access, Limiter
from connectors.desk.files import read_files
from connectors.desk.orders import Orders
from connectors.desk.texts import prefix, say
from retrieval.errors import MessageRefused

EARLIER = 20  # lines of a thread that are read when Atelier is first called into it
RATABLE = 30 * 24 * 60  # minutes that the buttons under an answer work
GOOD, BAD = frozenset("👍❤💡🎉✅"), frozenset("👎")


@dataclass(frozen=True, slots=True)
class Desk:
    """Pure routing over the house. Safe for many events at once; those of one conversation come one by one."""

    house: House
    connectors: Mapping[str, Connector]
    access: Access
    limiter: Limiter
    rules: ChannelRules
    buttons: Buttons
    orders: Orders

    @property
    def memory(self) -> Memory:
        return self.house.store.memory

    async def __call__(self, event: Event, stage: Stage) -> Sequence[Outgoing]:
        """What is to be said. An event may come again after a crash: then the same is said. Raises AtelierError."""
        match event:
            case Post():
                return await self._post(event, stage)
            case Command() if event.name == "ideate" and event.argument.strip():
                return await self._answer(_as_post(event), stage, Move.IDEATE)
            case Command() if event.name == "ask" and event.argument.strip():
                return await self._answer(_as_post(event), stage, None)
            case Command():
                return await self.orders(event)
            case Press():
                return await self.orders.press(event)
            case Reaction():
                return await asyncio.to_thread(self._react, event)
            case Opened():
                return await self._open(event)
            case Joined():
                text = "joined" if event.sees_all else "joined_blind"
                return [Outgoing(event.place, say("", text, rule=f"{prefix(event.place.platform)}rule"))]
            case _:
                return ()  # edited and deleted messages change no answer that was given

    def apology(self, event: Event) -> Outgoing:
        """For an event whose answer failed for good."""
        return Outgoing(event.place, say(getattr(event, "language", ""), "apology"), to=getattr(event, "account", ""))

    async def _post(self, post: Post, stage: Stage) -> Sequence[Outgoing]:
        rule = await asyncio.to_thread(self.rules.rule, post.place)
        followed = bool(post.place.thread) and await asyncio.to_thread(self.rules.is_followed, post.place)
        addressed, _ = is_addressed(post, rule, followed)
        if not addressed:
            return ()
        return await self._answer(post, stage, None)

    async def _answer(self, post: Post, stage: Stage, wanted: Move | None) -> Sequence[Outgoing]:
        refusal = self._refusal(post, stage)
        if refusal is not None:
            return [Outgoing(post.place, refusal, to=post.account)] if refusal else ()
        person, readers = self.access.readers(post.account, post.place, is_direct=post.direct)
        author = await asyncio.to_thread(self.memory.person, post.account, person)
        message = Message(stage.message, post.place, author, post.text, post.sent, readers)
        turn = await asyncio.to_thread(self.memory.turn_for, message.id)  # made before a crash?
        if turn is None:
            await stage.open(post, await self._stop_button(post, stage))
            notes = await read_files(post, self.connectors[post.place.platform], self.house.knowledge, author.id)
            if notes and not post.text.strip():
                return [Outgoing(post.place, "\n".join(notes), to=post.account)]
            try:
                turn = await self._make(post, message, stage, wanted)
            except MessageRefused as refused:
                return [Outgoing(post.place, str(refused), to=post.account)]
            if turn is None:
                return [Outgoing(post.place, say(post.language, "stopped"), to=post.account)]
        if post.place.thread:
            await asyncio.to_thread(self.rules.follow, post.place)
        return await asyncio.to_thread(self._shown, post, turn)

    def _refusal(self, post: Post, stage: Stage) -> str | None:
        """Why this one is not answered, `""` when that needs no saying; None when it is."""
        if not self.access.is_allowed(post.account, post.place):
            platform, _, user = post.account.split(":", 2)
            account = f"{platform}:{user}"
            return say(post.language, "not_allowed", account=account) if post.direct or post.called else ""
        if stage.is_excess:
            return say(post.language, "busy")
        seconds, told = self.limiter.wait(post.account)
        if not seconds:
            return None
        many = say(post.language, "too_many", limit=self.limiter.limit, seconds=int(seconds) + 1)
        return "" if told else many

    async def _stop_button(self, post: Post, stage: Stage) -> Button:
        make = self.buttons.make
        button = await asyncio.to_thread(make, "stop", str(stage.event), post.place, 60, key=f"stop/{stage.key}")
        return Button(button, say(post.language, "stop"))

    async def _make(self, post: Post, message: Message, stage: Stage, wanted: Move | None) -> Turn | None:
        """The turn; None when it was stopped before a word. What is said so far is shown as it grows."""
        earlier: Sequence[Line] = ()
        if post.place.thread and not await asyncio.to_thread(self.memory.turns, post.place, 1):
            earlier = await self.connectors[post.place.platform].earlier(post.place, post.id, EARLIER)
        text = ""
        replies = self.house.colleague.reply(message, wanted, earlier=earlier, is_resumed=True)
        stopped = asyncio.create_task(stage.stopped.wait())
        try:
            async with aclosing(replies):
                while True:
                    coming = asyncio.ensure_future(anext(replies))
                    try:
                        await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
                    except asyncio.CancelledError:
                        coming.cancel()
                        raise
                    if not coming.done():
                        coming.cancel()
                        await asyncio.wait({coming})
                        break
                    event = coming.result()
                    if isinstance(event, Turn):
                        return event
                    assert isinstance(event, Piece)
                    text = event.text if event.replaces else text + event.text
                    await stage.show(post, text)
                    if stage.stopped.is_set():
                        break
        finally:
            stopped.cancel()
        return await asyncio.to_thread(self.memory.turn_for, message.id)

    def _shown(self, post: Post, turn: Turn) -> list[Outgoing]:
        """The answer with its buttons; after the first one in private, the question about consent."""
        reply = turn.reply
        meanings = [(kind, turn.id) for kind in ("good", "bad")]
        good, bad = (
            self.buttons.make(kind, value, post.place, RATABLE, key=f"{kind}/{turn.id}") for kind, value in meanings
        )
        buttons = (Button(good, "👍"), Button(bad, "👎", say(post.language, "ask_reason")))
        shown = [Outgoing(post.place, reply.text or "…", reply.sources, reply.notice, buttons=buttons, to=post.account)]
        if post.direct and self.memory.people.mark_consent_asked(turn.message.author.id):
            shown.append(self.orders.consent_question(post))
        return shown

    def _react(self, event: Reaction) -> Sequence[Outgoing]:
        """A reaction on an answer rates it."""
        bare = event.emoji.rstrip("\ufe0f")
        if event.is_added and (bare in GOOD or bare in BAD):
            self.orders.rate_message(event, 1 if bare in GOOD else -1)
        return ()

    async def _open(self, event: Opened) -> Sequence[Outgoing]:
        suggestions = tuple(say(event.language, each) for each in ("suggest_ask", "suggest_ideate", "suggest_document"))
        welcome = say(event.language, "welcome")
        return [Outgoing(event.place, welcome, suggestions=suggestions, to=event.account)]


def _as_post(command: Command) -> Post:
    from datetime import UTC, datetime

    return Post(
        command.id,
        command.place,
        command.account,
        command.argument.strip(),
        datetime.now(UTC),
        direct=command.direct,
        called=True,
        language=command.language,
    )
