"""Handing over to a person: what opens a case, what is passed on between its two sides, when Atelier is silent.

    asker's place                                    the desk: a thread in Slack, replies to our messages in Telegram
    a trigger, /human ──> case ──> card ───────────> [Take it] [Resolve]
    <── "a person has it" ── claimed <────────────── Take it
    what is written there ── passed on ────────────> a line in the thread
    <──────────────────────── passed on ──────────── what its owner writes there
    <── "it is done", a rating ── resolved <──────── Resolve            Return: it waits again, and Atelier answers

Whatever is passed on goes through the queue with a key of its own, made from the event that it comes of: after a crash
it is handed in again and is there already. Towards the desk the queue holds no words: they are read from the case when
it is their turn, so that what was forgotten meanwhile is not said.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from agent.buttons import Buttons
from agent.events import Button, Command, Deleted, Due, Edited, Outgoing, Picture, Post, Press
from agent.guard import LONGEST_MESSAGE
from agent.memory import Memory
from agent.message import Place, Turn, Understanding
from agent.support.cases import Case, Cases, Kind, Opening, State
from agent.support.desks import Desk, Hours, choose
from agent.support.proposals import take_back
from agent.support.triggers import Reason, escalated, is_unanswered, reason_of
from connectors.connector import Connector, ConnectorError
from connectors.delivery.queue import name_of
from connectors.delivery.stage import Stage
from connectors.desk.names import Names
from connectors.desk.passing import fetched, named, packed
from connectors.desk.roles import Roles
from connectors.desk.support_words import relayed
from connectors.desk.texts import say
from connectors.support_settings import Support

KIND = "case"  # of the buttons and events that are ours
LATEST = 12  # turns in a place that are looked at
NOTE = "//"  # begins what stays at the desk
MINUTES = 30 * 24 * 60  # that buttons work


@dataclass(frozen=True, slots=True)
class Handover:
    """What opens cases and passes words on. tenant: whose desks they are; others' people are not handed over."""

    support: Support
    tenant: str
    memory: Memory
    cases: Cases
    buttons: Buttons
    connectors: Mapping[str, Connector]
    roles: Roles
    names: Names

    def is_for(self, place: Place) -> bool:
        """Whether what is asked in a place can be handed over."""
        return bool(self.support.desks) and place.tenant == self.tenant

    async def hear(self, event: Post | Edited, stage: Stage) -> Sequence[Outgoing] | None:
        """What follows from words that belong to a case, mostly nothing that is seen there; None for all others."""
        if not self.is_for(event.place):
            return None
        said = _as_post(event)
        case = await asyncio.to_thread(self._at_desk, said, stage)
        if case is None and isinstance(event, Edited):  # only what was passed on is passed on again
            case = await asyncio.to_thread(self.cases.answered_in, name_of(event.place, event.message))
        if case is not None:
            return await self._from_desk(case, said, stage)
        held = await asyncio.to_thread(self.cases.held, event.place)
        return None if held is None else await self._from_place(held, said, stage)

    async def is_beside(self, post: Post) -> bool:
        """Whether somebody else writes in a room where one person is being helped: that is not passed on."""
        held = await asyncio.to_thread(self.cases.held, post.place) if self.is_for(post.place) else None
        if held is None or held.is_one_room or post.called or post.place.thread:
            return False
        return (await asyncio.to_thread(self.memory.person, post.account)).id != held.asker

    async def live_of(self, account: str) -> list[Case]:
        """Somebody's own cases that are not over."""
        person = await asyncio.to_thread(self.memory.person, account)
        found = await asyncio.to_thread(self.cases.of, person.id)
        return [case for case, _ in found if case.asker == person.id and case.is_live]

    async def left(self, place: Place, stage: Stage) -> None:
        """Atelier was blocked or taken out where cases were asked: the desks are told that nobody hears them there."""
        for case in await asyncio.to_thread(self.cases.listed, self.tenant, is_live=True):
            if place.channel and case.place.whole_channel == place.whole_channel:
                await self.call(case, "gone", stage)

    async def deleted(self, event: Deleted) -> None:
        """What was deleted where it was written is not kept in a case either."""
        name = name_of(event.place, event.message)
        if event.place.tenant == self.tenant:
            await asyncio.to_thread(take_back, self.memory.engine, self.tenant, name, event.place, event.message)
        if self.is_for(event.place):
            await asyncio.to_thread(self.cases.take_back, name)

    def escalated(self, post: Post) -> Callable[[Understanding], str] | None:
        """What is said instead of a reply where the policy calls for a person; None where there is no desk."""
        if not self.is_for(post.place):
            return None

        def words(understanding: Understanding) -> str:
            reason = escalated(understanding)
            return say(post.language, "case_offer" if reason in self.support.ask_first else f"case_because_{reason}")

        return words

    async def after(self, post: Post, turn: Turn, said: Outgoing, stage: Stage) -> Outgoing:
        """The answer, with what comes of it for a case: one is opened or offered, or the words are kept in one."""
        if not self.is_for(post.place):
            return said
        author = turn.message.author.id
        case = await asyncio.to_thread(self.cases.live, post.place, author)
        if case is not None and case.origin != stage.message:
            await asyncio.to_thread(self.cases.write, case.number, Kind.ASKED, author, post.text, stage.message)
            if reason_of([turn], ()) is None:
                return said
            return _with(said, say(post.language, "case_waiting", n=case.number), self._withdraw(post, case))
        reason = reason_of(await asyncio.to_thread(self._since, turn), self.support.topics)
        if reason is None or reason in self.support.ask_first:
            if reason is None and not is_unanswered(turn):
                return said
            offer = self._button(post, f"ask {turn.id}", "case_yes", turn.id)
            is_offered = reason is None or turn.reply.text == say(post.language, "case_offer")
            return _with(said, "" if is_offered else say(post.language, "case_offer"), offer)
        opened = await self.open(reason, post, turn, post.text, stage)
        is_said = turn.reply.text == say(post.language, f"case_because_{reason}")
        why = "" if is_said else say(post.language, f"case_because_{reason}")
        told = f"{why}\n{self.told(opened, post.language)}".strip()
        return _with(said, told, self._withdraw(post, opened))

    async def open(
        self, reason: Reason, event: Post | Command | Press, turn: Turn | None, text: str, stage: Stage
    ) -> Case:
        """A case for who asks, where they asked; its card goes to the desk. Again after a crash, it is the same."""
        place = event.place if turn is None else turn.message.place
        person = await asyncio.to_thread(self.memory.person, event.account)
        live = await asyncio.to_thread(self.cases.live, place, person.id)
        if live is None or live.origin == stage.message:
            now = datetime.now(UTC)
            desk = choose(self.support.desks, text, place.platform, now)
            assert desk is not None or self.support.desks, "is_for was asked"
            where = await self._place(desk or self.support.desks[0])
            opening = Opening(
                origin=stage.message,
                reason=reason.value,
                asker=person.id,
                account=event.account,
                place=place,
                direct=event.direct,
                language=event.language,
                turn=turn.id if turn else "",
                desk=where,
                text=text[:LONGEST_MESSAGE],
            )
            live = await asyncio.to_thread(self.cases.open, opening)
        await self.call(live, "card", stage)
        if self.support.remind:
            await self.call(live, "remind 1", stage, wait=self.support.remind * 60.0)
        await self.changed(live, "opened", stage)
        return live

    def told(self, case: Case, language: str) -> str:
        """What the asker is told of a new case: its number, and when somebody is there."""
        hours = self.hours(case)
        again = hours.next(datetime.now(UTC)) if hours else None
        told = say(language, "case_opened", n=case.number)
        if again is None or hours is None:
            return told
        return f"{told} {say(language, 'case_back', when=f'{again:%Y-%m-%d %H:%M}', zone=hours.zone)}"

    def hours(self, case: Case) -> Hours | None:
        """When somebody is at the desk of a case; None where the settings have no such desk any more."""
        here = [desk for desk in self.support.desks if desk.platform == case.desk.platform]
        named = [desk for desk in here if desk.channel == case.desk.channel]
        persons = [desk for desk in here if desk.is_person]  # Slack writes them in a channel with an id of its own
        return next((desk.hours for desk in named or persons), None)

    async def call(
        self, case: Case, what: str, stage: Stage, *, wait: float = 0.0, lane: str = "", files: str = ""
    ) -> None:
        """Something to be done at the desk, once, also over a restart. what: a verb of `follow`, with its value.

        files: packed, that go with it.
        """
        verb, _, value = what.partition(" ")
        whole = f"{verb} {case.number} {value} {files}".strip()
        due = Due(f"{KIND}/{case.number}/{verb}/{value}", case.desk, "", KIND, whole)
        await stage.delivery.follow(due, wait=wait, lane=lane and f"{KIND}/{case.number}/{lane}")

    async def changed(self, case: Case, what: str, stage: Stage) -> None:
        """Tell the team's own system, where one is named. what: what happened, with the line that says so."""
        if self.support.webhook:
            await self.call(case, f"hook {what}", stage, lane="hook")

    async def to_asker(
        self,
        case: Case,
        key: str,
        text: str,
        stage: Stage,
        buttons: tuple[Button, ...] = (),
        files: Sequence[Picture] = (),
    ) -> None:
        """Say something where the case was asked, behind what is under way there."""
        if case.asker:
            said = Outgoing(case.place, text, to=case.asker_account, buttons=buttons, pictures=tuple(files))
            await stage.delivery.post(f"{KIND}/{case.number}/{key}", said)

    async def _from_desk(self, case: Case, post: Post, stage: Stage) -> Sequence[Outgoing] | None:
        """What its owner writes is passed on; others talk among themselves, and may ask Atelier by name."""
        is_slack = post.place.platform == "slack"
        if is_slack and post.called and not post.direct:
            return None
        if case.state is not State.CLAIMED:
            name = "case_take_first" if case.state is State.OPEN else "case_over"
            return () if is_slack else [Outgoing(post.place, self._desk_says(name, n=case.number), to=post.account)]
        person = await asyncio.to_thread(self.memory.person, post.account)
        if person.id != case.owner or not await self.roles.helps(post.account, case.desk, post.place):
            told = self._desk_says("case_not_yours", n=case.number)
            return () if is_slack else [Outgoing(post.place, told, to=post.account)]
        if case.is_one_room and not post.direct:
            return ()
        text = post.text.strip()
        if text.startswith(NOTE):
            note = text.removeprefix(NOTE).strip()
            await asyncio.to_thread(self.cases.write, case.number, Kind.NOTE, person.id, note, stage.message)
            return ()
        files, lost = await fetched(post.files, self.connectors.get(post.place.platform))
        if lost:
            unsent = ", ".join(f"`{each}`" for each in lost)
            await stage.delivery.post(
                f"{KIND}/{case.number}/files/{stage.key}",
                Outgoing(post.place, self._desk_says("case_files", names=unsent), to=post.account),
            )
        told = "\n".join(filter(None, [text, *(say(case.language, "case_file", name=each.name) for each in files)]))
        if told:
            line = await asyncio.to_thread(self.cases.write, case.number, Kind.ANSWERED, person.id, told, stage.message)
            said = say(case.language, "case_says", text=relayed(told))
            await self.to_asker(case, f"answer/{line}", said, stage, files=files)
        return ()

    async def _from_place(self, case: Case, post: Post, stage: Stage) -> Sequence[Outgoing]:
        """Passed on to who has the case; Atelier is silent. In a whole channel not everybody is heard."""
        author = await asyncio.to_thread(self.memory.person, post.account)
        is_theirs = author.id == case.asker
        if case.is_one_room or not (is_theirs or post.called or post.place.thread):
            return ()
        names = [say(self.support.language, "case_file", name=named(each)) for each in post.files]
        text = "\n".join(filter(None, [post.text.strip()[:LONGEST_MESSAGE], *names]))
        if text:
            line = await asyncio.to_thread(self.cases.write, case.number, Kind.ASKED, author.id, text, stage.message)
            await self.call(case, f"pass {line}", stage, lane="desk", files=packed(post.files))
        return ()

    def _since(self, turn: Turn) -> list[Turn]:
        """The author's latest turns there, up to this one; what led to an earlier case is settled."""
        author = turn.message.author.id
        settled = self.cases.last_turn(turn.message.place, author)
        latest = self.memory.turns(turn.message.place, LATEST)
        return [
            each
            for each in latest
            if each.message.author.id == author and (settled < each.id <= turn.id or each.id == turn.id)
        ]

    def _at_desk(self, post: Post, stage: Stage) -> Case | None:
        if post.replies_to:
            name = stage.delivery.answered(post.place, post.replies_to)
            case = self.cases.shown_as(name) if name else None
            return case if case is not None and case.desk.whole_channel == post.place.whole_channel else None
        if post.direct and post.place.platform == "slack" and post.place.thread:
            name = stage.delivery.answered(post.place, post.place.thread)
            return self.cases.shown_as(name) if name else None
        return self.cases.at_desk(post.place)

    def _desk_says(self, name: str, **values: object) -> str:
        return say(self.support.language, name, **values)

    async def _place(self, desk: Desk) -> Place:
        place = Place(desk.platform, self.tenant, desk.channel)
        connector = self.connectors.get(desk.platform)
        if connector is None or not desk.is_person:
            return place
        try:
            return await connector.aside(f"{desk.platform}:{self.tenant}:{desk.channel}", place)
        except ConnectorError:  # a person's id is an address too
            return place

    def _withdraw(self, post: Post, case: Case) -> Button:
        return self._button(post, f"withdraw {case.number}", "case_withdraw", str(case.number))

    def _button(self, post: Post, value: str, label: str, about: str) -> Button:
        made = self.buttons.make(
            KIND, f"{value} {post.language}".strip(), post.place, MINUTES, key=f"{KIND}/{label}/{about}"
        )
        return Button(made, say(post.language, label))


def _with(said: Outgoing, text: str, button: Button) -> Outgoing:
    return replace(said, text=f"{said.text}\n\n{text}".strip(), buttons=(*said.buttons, button))


def _as_post(event: Post | Edited) -> Post:
    """A change of what was said is said too: the other side has read the words as they were, and has the files."""
    if isinstance(event, Post):
        return event
    text = event.text.strip()
    marked = f"{NOTE} ✎ {text.removeprefix(NOTE)}" if text.startswith(NOTE) else f"✎ {text}"
    return replace(event.post(), text=marked, files=(), replies_to="")
