"""What people order about cases: `/human`, `/cases`, `/case …`, the buttons of a case, and what follows by itself.

Who may is asked at every act (`Roles`), never read from a button; every act of an agent is in the audit log, refused
ones too.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from agent.buttons import Meaning
from agent.events import Button, Command, Due, Outgoing, Press
from agent.guard import clean
from agent.message import Place
from agent.support.cases import WORDS, Case, Entry, Kind, State, Step
from agent.support.proposals import KIND as PROPOSED
from agent.support.proposals import OF_CASE
from agent.support.triggers import Reason
from connectors import webhook
from connectors.connector import Refused, Throttled
from connectors.delivery.stage import Stage
from connectors.desk import support_words as words
from connectors.desk.access import Access, short
from connectors.desk.conversations import last_turn
from connectors.desk.names import Names
from connectors.desk.passing import fetched, unpacked
from connectors.desk.roles import Guard, Role
from connectors.desk.support import KIND, MINUTES, Handover
from connectors.desk.texts import prefix, say

log = logging.getLogger(__name__)

REMINDERS = 5  # of one case, each after twice the time of the one before
LISTED = 30
LATELY = timedelta(days=1)  # the last conversation that `/human` can be about
STEPS = {"claim": Kind.CLAIMED, "return": Kind.RETURNED, "resolve": Kind.RESOLVED, "withdraw": Kind.WITHDRAWN}


@dataclass(frozen=True, slots=True)
class SupportOrders:
    handover: Handover
    access: Access
    guard: Guard

    async def human(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """`/human`: a person is wanted. `/human no`: nobody is, any more."""
        hand = self.handover
        if not hand.is_for(command.place):
            return [answer(command, self._say(command, "human_off"))]
        person = await asyncio.to_thread(hand.memory.person, command.account)
        turn = await asyncio.to_thread(last_turn, hand.memory, person.id, command.place)
        if turn is not None and turn.message.sent < datetime.now(UTC) - LATELY:
            turn = None
        if command.place.platform == "slack" and not command.direct and turn is None:
            return [answer(command, self._say(command, "human_where"))]
        place = command.place if turn is None else turn.message.place
        live = await asyncio.to_thread(hand.cases.live, place, person.id)
        if command.argument.strip().lower() in {"no", "nein"}:
            if live is None:
                return [answer(command, self._say(command, "case_none_here"))]
            return await self._step(command, live.number, Kind.WITHDRAWN, stage)
        if live is not None and live.origin != stage.message:
            return [answer(command, self._say(command, "case_waiting", n=live.number))]
        case = await hand.open(Reason.REQUEST, command, turn, command.argument.strip(), stage)
        return [answer(command, f"{self._say(command, 'case_because_request')}\n{hand.told(case, command.language)}")]

    async def cases(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """`/cases`: those that are open, of the desks whose agent somebody is."""
        hand, now = self.handover, datetime.now(UTC)
        if not await hand.roles.helps_somewhere(command.account, command.place):
            return [await self._no(command, "cases", "", stage)]
        found = await asyncio.to_thread(hand.cases.listed, hand.tenant, is_live=True, limit=LISTED)
        theirs = [case for case in found if await hand.roles.helps(command.account, case.desk, command.place)]
        names = await self._names.of(case.owner_account for case in theirs)
        return [answer(command, words.listed(theirs, now, command.language, names))]

    async def case(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """`/case show|claim|return|resolve NUMBER [TEXT]`."""
        verb, _, rest = command.argument.strip().partition(" ")
        name, _, text = rest.strip().partition(" ")
        number = words.number_of(name)
        if not await self.handover.roles.helps_somewhere(command.account, command.place):
            return [await self._no(command, f"case {verb}", name, stage)]
        if verb not in ("show", "claim", "return", "resolve") or number is None:
            return [answer(command, self._say(command, "case_usage"))]
        case = await asyncio.to_thread(self.handover.cases.get, number)
        if case is None or case.desk.tenant != self.handover.tenant:
            return [answer(command, self._say(command, "case_unknown", n=number))]
        if not await self.handover.roles.helps(command.account, case.desk, command.place):
            return [await self._no(command, f"case {verb}", name, stage)]
        if verb == "show":
            names = await self._names.of([case.owner_account])
            return [answer(command, await asyncio.to_thread(self._whole, case, command.language, names))]
        return await self._step(command, number, STEPS[verb], stage, text.strip())

    async def press(self, press: Press, meaning: Meaning, stage: Stage) -> Sequence[Outgoing]:
        """Do what one of our buttons stands for, if whoever pressed it may, there and now."""
        verb, _, rest = meaning.value.partition(" ")
        name, _, language = rest.partition(" ")
        press = press if press.language else replace(press, language=language)
        if press.place.whole_channel != meaning.place.whole_channel:  # a client can send the id of any button
            return [answer(press, self._say(press, "expired"))]
        if verb == "ask":
            return await self._ask(press, name, stage)
        number = words.number_of(name)
        case = None if number is None else await asyncio.to_thread(self.handover.cases.get, number)
        if case is None or number is None:
            return [answer(press, self._say(press, "expired"))]
        if verb in ("withdraw", "good", "bad"):
            person = await asyncio.to_thread(self.handover.memory.person, press.account)
            if person.id != case.asker:
                return [answer(press, self._say(press, "not_yours"))]
            if verb == "withdraw":
                return await self._step(press, number, Kind.WITHDRAWN, stage)
            rated = await asyncio.to_thread(
                self.handover.cases.rate, number, person.id, 1 if verb == "good" else -1, f"rate/{stage.key}"
            )
            if rated:
                await self.handover.changed(case, f"rated {stage.key}", stage)
            return [answer(press, self._say(press, "thanks_good" if rated else "expired"))]
        if not await self.handover.roles.helps(press.account, case.desk, press.place):
            return [await self._no(press, f"case {verb}", name, stage)]
        return await self._step(press, number, STEPS[verb], stage) if verb in STEPS else ()

    async def follow(self, due: Due, stage: Stage) -> Sequence[Outgoing]:
        """What is to be done at a desk by itself: the card, words passed on, reminders, calls of the team's system."""
        verb, number, *rest = due.value.split(" ")
        case = await asyncio.to_thread(self.handover.cases.get, int(number))
        if case is None:
            return ()
        act = self._acts.get(verb)
        return await act(case, due, stage, rest) if act else ()

    @property
    def _names(self) -> Names:
        return self.handover.names

    async def _gone(self, case: Case, _due: Due, stage: Stage, _rest: list[str]) -> Sequence[Outgoing]:
        """Who asked is not there any more: nobody at the desk should go on writing to them."""
        await self._shown(case, stage)
        name = "case_desk_gone" if case.asker else "case_desk_forgotten"
        return [Outgoing(case.desk, self._desk_says(name, n=case.number))]

    @property
    def _acts(self) -> dict[str, Callable[[Case, Due, Stage, list[str]], Awaitable[Sequence[Outgoing]]]]:
        return {
            "card": self._card,
            "pass": self._passed,
            "tell": self._tell,
            "remind": self._remind,
            "hook": self._hook,
            "gone": self._gone,
        }

    async def _ask(self, press: Press, turn_id: str, stage: Stage) -> Sequence[Outgoing]:
        hand = self.handover
        turn = await asyncio.to_thread(hand.memory.turn, turn_id)
        if turn is None:
            return [answer(press, self._say(press, "expired"))]
        person = await asyncio.to_thread(hand.memory.person, press.account)
        if turn.message.author.id != person.id:
            return [answer(press, self._say(press, "not_yours"))]
        live = await asyncio.to_thread(hand.cases.live, turn.message.place, person.id)
        if live is not None and live.origin != stage.message:
            return [answer(press, self._say(press, "case_waiting", n=live.number))]
        case = await hand.open(Reason.REQUEST, press, turn, turn.message.text, stage)
        made = self._button(press, f"withdraw {case.number} {press.language}", "case_withdraw", str(case.number))
        told = f"{self._say(press, 'case_because_request')}\n{hand.told(case, press.language)}"
        await hand.to_asker(case, f"asked/{stage.key}", told, stage, (made,))
        return ()

    async def _step(
        self, event: Command | Press, number: int, kind: Kind, stage: Stage, text: str = ""
    ) -> Sequence[Outgoing]:
        """Make a step and tell both sides. Again after a crash, it is the same step, told with the same keys."""
        hand, key = self.handover, f"{kind}/{stage.key}"
        person = await asyncio.to_thread(hand.memory.person, event.account)
        case = await asyncio.to_thread(hand.cases.get, number)
        is_agents = kind is not Kind.WITHDRAWN
        is_anothers = case is not None and is_agents and kind is not Kind.CLAIMED and case.owner not in ("", person.id)
        if case is not None and is_anothers and not hand.roles.administers(event.account, case.desk):
            return [answer(event, self._say(event, "case_not_yours", n=number))]
        made = await asyncio.to_thread(hand.cases.step, number, kind, person.id, event.account, key, text=text)
        if made is None:
            return [answer(event, self._say(event, "case_unknown", n=number))]
        if not isinstance(made, Step):
            owner = await self._names(made.owner_account)
            return [answer(event, words.refused(made, event.language, event.place.platform, owner))]
        if is_agents:
            await self._note(event, f"case {_verb(kind)}", f"#{number}", stage, case)
        if text:
            said = say(made.case.language, "case_says", text=words.relayed(text))
            await hand.to_asker(made.case, f"{made.line}/text", said, stage)
        await self._tell_asker(made, kind, stage)
        await hand.call(made.case, f"tell {made.line}", stage, lane="desk")
        await hand.changed(made.case, f"{kind} {made.line}", stage)
        if kind is Kind.RESOLVED:  # what was settled may answer the next who asks
            name = f"{PROPOSED}/{OF_CASE}{number}"
            await stage.delivery.follow(Due(name, made.case.desk, "", PROPOSED, f"case {number}"))
        if is_agents and isinstance(event, Press):  # the desk sees it
            return ()
        return [answer(event, self._say(event, f"case_did_{_verb(kind)}", n=number))]

    async def _tell_asker(self, made: Step, kind: Kind, stage: Stage) -> None:
        case, hand = made.case, self.handover
        if kind is Kind.WITHDRAWN:
            return  # they did it, and are answered
        buttons: tuple[Button, ...] = ()
        told = say(case.language, f"case_told_{_verb(kind)}", n=case.number)
        if kind is Kind.CLAIMED:
            buttons = (await asyncio.to_thread(self._at_place, case, "withdraw", "case_withdraw"),)
        elif kind is Kind.RESOLVED and hand.support.rating and case.asker:
            told = f"{told} {say(case.language, 'case_rate')}"
            buttons = tuple([await asyncio.to_thread(self._at_place, case, *each) for each in _THUMBS])
        await hand.to_asker(case, f"{made.line}/told", told, stage, buttons)

    async def _card(self, case: Case, due: Due, stage: Stage, _rest: list[str]) -> Sequence[Outgoing]:
        """Shown as a message that is opened first, as then the thread below it is known."""
        hand = self.handover
        if not case.asker or not case.is_live:
            return ()
        try:
            await stage.open(due)
        except Refused:
            log.warning("No case can be shown at %s:%s: check [support].", case.desk.platform, case.desk.channel)
            await hand.to_asker(case, "unreachable", say(case.language, "case_unreachable", n=case.number), stage)
            raise
        thread = hand.connectors[due.place.platform].under(due.place, stage.handle)
        await asyncio.to_thread(hand.cases.seat, case.number, thread)
        await self._shown(case, stage)
        known = await self._names(case.asker_account)
        name = "" if known == short(case.asker_account) else known
        told = await asyncio.to_thread(self._described, case, name)
        buttons = tuple(
            [await asyncio.to_thread(self._at_desk, due.place, case, each) for each in ("claim", "resolve")]
        )
        return [Outgoing(due.place, told, buttons=buttons)]

    def _described(self, case: Case, name: str) -> str:
        """The card's text. Of the conversation only the asker's side is shown: others were not asked."""
        hand, desk = self.handover, case.desk
        known = hand.memory.turns(case.place, 3 * words.LINES) if case.turn else ()
        theirs = [each for each in known if each.id <= case.turn and each.message.author.id == case.asker]
        _, audiences = self.access.readers(f"{desk.platform}:{desk.tenant}:", desk, is_direct=False)
        told = words.card(case, theirs[-words.LINES :], audiences, hand.support.language, name)
        opening = next((each.text for each in hand.cases.lines(case.number) if each.kind is Kind.OPENED), "")
        return told if theirs or not opening else f"{told}\n> {clean(opening)}"

    async def _passed(self, case: Case, _due: Due, stage: Stage, rest: list[str]) -> Sequence[Outgoing]:
        """Words of the asker's side, in the case's thread."""
        line = next((each for each in await self._lines(case) if str(each.id) == rest[0]), None)
        if line is None or not line.text:
            return ()
        await self._shown(case, stage)
        hand, name = self.handover, "case_asker_says" if line.author == case.asker else "case_other_says"
        connector = hand.connectors.get(case.place.platform)
        files, lost = await fetched(unpacked(rest[1] if rest[1:] else ""), connector)
        told = self._desk_says(name, n=case.number, text=clean(line.text))
        if lost:  # the desk is told that there is one; who sent it should know that it is no more than that
            unsent = ", ".join(f"`{each}`" for each in lost)
            told = f"{told}\n{self._desk_says('case_files_lost', names=unsent)}"
            await hand.to_asker(case, f"unsent/{line.id}", say(case.language, "case_files_asker", names=unsent), stage)
        return [Outgoing(case.desk, told, pictures=tuple(files))]

    async def _tell(self, case: Case, _due: Due, stage: Stage, rest: list[str]) -> Sequence[Outgoing]:
        """A step, in the case's thread, with what can be done next."""
        lines = await self._lines(case)
        line = next((each for each in lines if str(each.id) == rest[0]), None)
        if line is None:
            return ()
        await self._shown(case, stage)
        who = await self._names(case.owner_account)
        buttons: tuple[Button, ...] = ()
        told = self._desk_says(f"case_desk_{_verb(line.kind)}", n=case.number, account=who)
        if line.kind is Kind.CLAIMED:
            told = f"{told} {words.how(case, self.handover.support.language)}"
            since = [each for each in lines if each.kind is Kind.ASKED and each.id < line.id and each.text]
            if since:
                said = "\n".join(f"> {clean(each.text)}" for each in since[-words.LINES :])
                told = f"{told}\n{self._desk_says('case_since')}\n{said}"
            buttons = tuple(
                [await asyncio.to_thread(self._at_desk, case.desk, case, each) for each in ("return", "resolve")]
            )
        elif line.kind is Kind.RETURNED and case.state is State.OPEN:
            buttons = (await asyncio.to_thread(self._at_desk, case.desk, case, "claim"),)
        return [Outgoing(case.desk, told, buttons=buttons)]

    async def _remind(self, case: Case, _due: Due, stage: Stage, rest: list[str]) -> Sequence[Outgoing]:
        """An open case is named again, in the desk's hours; one that somebody has, where its asker waits for them."""
        if not case.is_live or not case.asker:
            return ()
        now, hand = datetime.now(UTC), self.handover
        hours = hand.hours(case)
        again = hours.next(now) if hours else None
        if again is not None:
            raise Throttled("Nobody is at the desk.", max(1.0, (again - now).total_seconds()))
        count = int(rest[0]) if rest else REMINDERS
        if count < REMINDERS and hand.support.remind:
            await hand.call(case, f"remind {count + 1}", stage, wait=hand.support.remind * 60.0 * 2**count)
        waited = words.age(case.opened, now)
        if case.state is State.OPEN:
            await self._shown(case, stage)
            claim = await asyncio.to_thread(self._at_desk, case.desk, case, "claim")
            told = self._desk_says("case_reminder_open", n=case.number, age=waited)
            return [Outgoing(case.desk, told, buttons=(claim,))]
        spoken = [each for each in await self._lines(case) if each.kind in (Kind.ASKED, Kind.ANSWERED)]
        if not spoken or spoken[-1].kind is Kind.ANSWERED:
            return ()
        await self._shown(case, stage)
        waited, owner = words.age(spoken[-1].at, now), await self._names(case.owner_account)
        return [Outgoing(case.desk, self._desk_says("case_reminder_held", n=case.number, age=waited, account=owner))]

    async def _hook(self, case: Case, _due: Due, stage: Stage, rest: list[str]) -> Sequence[Outgoing]:
        """Raises Unsure, so that it is tried again."""
        support = self.handover.support
        value: dict[str, object] = {"case": case.number, "event": rest[0], "state": case.state, "reason": case.reason}
        value |= {"opened": case.opened.isoformat(), "closed": case.closed.isoformat() if case.closed else None}
        value |= {"owner": short(case.owner_account) if case.owner_account else None, "rating": case.rating}
        if support.webhook:
            key, private = stage.key, support.webhook_private
            await webhook.call(support.webhook, support.webhook_secret, key, value, allow_private=private)
        return ()

    async def _lines(self, case: Case) -> list[Entry]:
        return await asyncio.to_thread(self.handover.cases.lines, case.number)

    async def _shown(self, case: Case, stage: Stage) -> None:
        """What is made now is shown at the desk: replies to it are about the case."""
        cases = self.handover.cases
        await asyncio.to_thread(cases.write, case.number, Kind.CARD, "", "", f"shown/{stage.message}", stage.message)

    def _whole(self, case: Case, language: str, names: Mapping[str, str]) -> str:
        """A case with all that was said in it, for an agent."""
        said = [
            f"> **{each.at:%m-%d %H:%M} {each.kind}** {clean(each.text)}"
            for each in self.handover.cases.lines(case.number)
            if each.kind in WORDS and each.text
        ]
        return "\n".join([words.listed([case], datetime.now(UTC), language, names), *said])

    async def _no(self, event: Command | Press, verb: str, name: str, stage: Stage) -> Outgoing:
        await self._note(event, verb, name and f"#{name}", stage, None)
        return answer(event, self._say(event, "case_agents_only"))

    async def _note(self, event: Command | Press, verb: str, what: str, stage: Stage, case: Case | None) -> None:
        """case: the one that it was done to; None: it was refused."""
        role = None
        if case is not None:
            role = Role.ADMINISTRATOR if self.handover.roles.administers(event.account, case.desk) else Role.AGENT
        await asyncio.to_thread(self.guard.note, event, verb, what, stage.message, role)

    def _at_desk(self, place: Place, case: Case, verb: str) -> Button:
        buttons, key = self.handover.buttons, f"{KIND}/{verb}/{case.number}"
        return Button(
            buttons.make(KIND, f"{verb} {case.number}", place, MINUTES, key=key), self._desk_says(f"case_{verb}")
        )

    def _at_place(self, case: Case, verb: str, label: str) -> Button:
        value = f"{verb} {case.number} {case.language}".strip()
        made = self.handover.buttons.make(KIND, value, case.place, MINUTES, key=f"{KIND}/{verb}/{case.number}")
        return Button(made, label if label in "👍👎" else say(case.language, label))

    def _button(self, press: Press, value: str, label: str, about: str) -> Button:
        made = self.handover.buttons.make(KIND, value.strip(), press.place, MINUTES, key=f"{KIND}/{label}/{about}")
        return Button(made, self._say(press, label))

    def _desk_says(self, name: str, **values: object) -> str:
        return say(self.handover.support.language, name, **values)

    def _say(self, event: Command | Press, name: str, /, **values: object) -> str:
        return say(event.language, name, p=prefix(event.place.platform), **values)


_THUMBS = (("good", "👍"), ("bad", "👎"))


def answer(event: Command | Press, text: str) -> Outgoing:
    """For whoever ordered it: Slack whispers, a press in a Telegram group has a word on its button."""
    said = Outgoing(event.place, text, to=event.account)
    if event.place.platform == "slack":
        return replace(said, audience="one")
    if isinstance(event, Press) and not event.direct:
        return replace(said, audience="one", press=event.id)
    return said


def _verb(kind: Kind) -> str:
    return next(verb for verb, step in STEPS.items() if step is kind)
