"""What people order with a command or a button, the same on every platform."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.buttons import Buttons, Meaning
from agent.channels import ChannelRules, Rule
from agent.events import Button, Command, Outgoing, Post, Press, Reaction
from agent.guard import clean
from agent.memory import Memory
from agent.message import Turn
from agent.people import LinkRefused
from connectors.compose import House
from connectors.desk.access import Access, short
from connectors.desk.conversations import last_turn, meant
from connectors.desk.texts import prefix, say
from connectors.privacy import forget
from retrieval.errors import StoreError

CONSENT_MINUTES = 30 * 24 * 60


@dataclass(frozen=True, slots=True)
class Orders:
    """stop: ends an answer by its event's number. stop_all: ends all in a place. answered: the event whose answer is a
    message of the platform's, as `Message.id` has it.
    """  # noqa: D205 - fields, not prose

    house: House
    access: Access
    rules: ChannelRules
    buttons: Buttons
    stop: Callable[[int], Awaitable[bool]]
    stop_all: Callable[[Command], Awaitable[int]]
    answered: Callable[[Reaction], str | None]

    @property
    def memory(self) -> Memory:
        return self.house.store.memory

    async def __call__(self, command: Command) -> Sequence[Outgoing]:
        """Carry a command out; what is said of it."""
        if not self.access.is_allowed(command.account, command.place):
            refusal = self._say(command, "not_allowed", account=short(command.account))
            return [_said(command, refusal)] if command.direct else ()
        if command.name not in self._todo and command.name != "stop" and not is_for_us(command):
            return ()
        if command.name == "stop":
            text = "stopped" if await self.stop_all(command) else "nothing_to_stop"
            return [_said(command, self._say(command, text))]
        return [await asyncio.to_thread(self._order, command)]

    async def press(self, press: Press) -> Sequence[Outgoing]:
        """Do what a button stands for."""
        meaning = await asyncio.to_thread(self.buttons.look_up, press.button)
        if not self.access.is_allowed(press.account, press.place):
            return ()
        if meaning is None:
            return [_said(press, self._say(press, "expired"))]
        if meaning.kind == "stop":
            if meaning.place.channel == press.place.channel:  # a client can send the id of any button
                await self.stop(int(meaning.value))
            return ()
        return await asyncio.to_thread(self._pressed, press, meaning)

    def rate_message(self, reaction: Reaction, rating: Literal[1, -1]) -> None:
        """A reaction on an answer is a rating; on anything else it is nothing."""
        message = self.answered(reaction)
        turn = self.memory.turn_for(message) if message else None
        if turn is not None and turn.message.place.channel == reaction.place.channel:
            self.memory.rate(turn.id, self.memory.person(reaction.account).id, rating)

    def consent_question(self, post: Post) -> Outgoing:
        pairs = [("yes", say(post.language, "yes")), ("no", say(post.language, "no"))]
        buttons = tuple(
            Button(self.buttons.make("consent", f"{value} {post.language}", post.place, CONSENT_MINUTES), label)
            for value, label in pairs
        )
        return Outgoing(post.place, self._say(post, "consent_question"), buttons=buttons, to=post.account)

    def _order(self, command: Command) -> Outgoing:
        act = self._todo.get(command.name)
        text = act(command) if act else self._say(command, "no_command", name=re.sub(r"[^\w-]", "", command.name)[:24])
        return _said(command, text)

    @property
    def _todo(self) -> dict[str, Callable[[Command], str]]:
        return {
            "help": self._help,
            "start": self._help,
            "ideate": lambda each: self._say(each, "no_topic"),
            "ask": self._help,
            "sources": self._sources,
            "why": self._why,
            "clear": self._clear,
            "forget": self._forget,
            "link": self._link,
            "consent": self._consent_command,
            "rule": self._rule,
            "feedback": self._feedback,
        }

    def _say(self, event: Command | Press | Post, name: str, /, **values: object) -> str:
        language = "" if isinstance(event, Press) else event.language  # no platform tells it of a press
        return say(language, name, p=prefix(event.place.platform), **values)

    def _help(self, command: Command) -> str:
        more = self._say(command, "help_administrator") if self.access.is_administrator(command.account) else ""
        return self._say(command, "help") + more

    def _last(self, command: Command) -> Turn | None:
        return last_turn(self.memory, self.memory.person(command.account).id, command.place)

    def _sources(self, command: Command) -> str:
        turn = self._last(command)
        if turn is None or not turn.reply.sources:
            return self._say(command, "nothing_asked" if turn is None else "no_sources")
        texts = {passage.id: passage.text for passage in turn.passages}
        lines = (f"**[{each.number}] {each.label}**\n{texts.get(each.passage, '')}" for each in turn.reply.sources)
        return clean("\n\n".join(lines), allowed_links=self.house.store.settings.allowed_links)

    def _why(self, command: Command) -> str:
        turn = self._last(command)
        if turn is None:
            return self._say(command, "nothing_asked")
        return "\n".join([turn.decision.reason, *(f"- {reason}" for reason in turn.understanding.reasons)])

    def _clear(self, command: Command) -> str:
        """What others said is not one member's to delete."""
        if not (command.direct or self.access.is_administrator(command.account)):
            return self._say(command, "administrators_only")
        conversations = meant(self.memory, command.place)
        for place in conversations:
            self.memory.clear(place)
        return self._say(command, "cleared" if len(conversations) < 2 or command.direct else "cleared_channel")

    def _feedback(self, command: Command) -> str:
        """Why the last answer was no good, where a platform has no form for it."""
        turn = self._last(command)
        if turn is None or not command.argument.strip():
            return self._say(command, "nothing_asked" if turn is None else "feedback_usage")
        self.memory.rate(turn.id, self.memory.person(command.account).id, -1, command.argument.strip()[:2000])
        return self._say(command, "thanks_reason")

    def _forget(self, command: Command) -> str:
        if command.argument.strip().lower() != "yes":
            return self._say(command, "confirm_forget")
        store = self.house.store
        person = self.memory.person(command.account)
        report = forget(person, self.memory, store.shelf, store.settings.home)
        return "\n".join(report.sentences) if command.direct else self._say(command, "forgotten")

    def _link(self, command: Command) -> str:
        if not command.direct:
            return self._say(command, "link_private")
        if not command.argument.strip():
            code = self.memory.people.link_code(self.memory.person(command.account).id)
            return self._say(command, "link_code", code=code)
        try:
            self.memory.people.link(command.argument.strip(), command.account)
        except LinkRefused as refused:
            return str(refused)
        return self._say(command, "linked")

    def _consent_command(self, command: Command) -> str:
        wish = command.argument.strip().lower()
        if wish not in ("yes", "no"):
            return self._say(command, "consent_usage")
        return self._consent(command, command.language, agreed=wish == "yes")

    def _consent(self, event: Command | Press, language: str, *, agreed: bool) -> str:
        person = self.memory.person(event.account)
        self.memory.people.mark_consent_asked(person.id)
        self.memory.people.set_consent(person.id, consent=agreed)
        return say(language, "consent_yes" if agreed else "consent_no", p=prefix(event.place.platform))

    def _rule(self, command: Command) -> str:
        if not self.access.is_administrator(command.account):
            return self._say(command, "administrators_only")
        wish = command.argument.strip().lower()
        if wish not in set(Rule):
            return self._say(command, "rule_usage", rule=self.rules.rule(command.place))
        self.rules.set_rule(command.place, Rule(wish))
        watched = " " + self._say(command, "watched") if wish == Rule.ALWAYS else ""
        return self._say(command, "rule_set", rule=self._say(command, f"rule_{wish}")) + watched

    def _pressed(self, press: Press, meaning: Meaning) -> Sequence[Outgoing]:
        value, _, language = meaning.value.partition(" ")
        if meaning.kind == "consent":
            return [_said(press, self._consent(press, language, agreed=value == "yes"))]
        return self._rated(press, meaning.kind, value, language) if meaning.kind in ("good", "bad") else ()

    def _rated(self, press: Press, kind: str, turn: str, language: str) -> Sequence[Outgoing]:
        rating: Literal[1, -1] = 1 if kind == "good" else -1
        name = "thanks_good" if rating > 0 else "thanks_reason" if press.text.strip() else "thanks_bad"
        try:
            self.memory.rate(turn, self.memory.person(press.account).id, rating, press.text.strip()[:2000])
        except StoreError:
            name = "forgotten_answer"
        return [_said(press, say(language, name, p=prefix(press.place.platform)))]


def _said(event: Command | Press, text: str) -> Outgoing:
    return replace(Outgoing(event.place, text, to=event.account), audience="one")


def is_for_us(command: Command) -> bool:
    """In a Telegram group every bot is given every command; one that we do not have may be another's."""
    return command.direct or command.place.platform != "telegram"
