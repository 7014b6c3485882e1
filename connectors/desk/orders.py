"""What people order with a command or a button, the same on every platform."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection

from agent.buttons import Buttons, Meaning, id_for
from agent.channels import ChannelRules, Rule
from agent.events import Button, Command, Opened, Outgoing, Post, Press, Reaction
from agent.explain import explain
from agent.guard import LONGEST_MESSAGE, clean
from agent.memory import Memory
from agent.message import Place, Turn
from agent.people import LinkRefused
from agent.why import why
from connectors.compose import House
from connectors.connector import Connector
from connectors.delivery.stage import Stage
from connectors.desk.access import Access, short
from connectors.desk.conversations import last_turn, meant
from connectors.desk.explaining import explained
from connectors.desk.roles import Guard
from connectors.desk.texts import prefix, say, translated
from connectors.privacy import finish_joinings, forget, withhold
from retrieval.errors import StoreError

CONSENT_MINUTES = REASON_MINUTES = 30 * 24 * 60
LINK = "link-"  # begins the parameter of a Telegram address that joins accounts
OURS_ALONE = frozenset({"sources", "why", "feedback", "consent", "link", "forget"})  # said to nobody but who asked


Pressed = Callable[[Press, Meaning, Stage], Awaitable[Sequence[Outgoing]]]


@dataclass(frozen=True, slots=True)
class Order:
    """A command of another module's. help: the name of its line in `texts.toml`, for /help."""

    act: Callable[[Command, Stage], Awaitable[Sequence[Outgoing]]]
    help: str = ""
    is_for_administrators: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """more: commands of other modules, by name; who may write here may give them, and only administrators some.

    presses: what the buttons of other modules do, by their kind. restricted: kinds that only administrators may press.
    guard: asks who is an administrator, and keeps each act.
    """

    house: House
    connectors: Mapping[str, Connector]
    access: Access
    rules: ChannelRules
    buttons: Buttons
    guard: Guard
    more: Mapping[str, Order] = field(default_factory=dict)
    presses: Mapping[str, Pressed] = field(default_factory=dict)
    restricted: frozenset[str] = frozenset()

    @property
    def memory(self) -> Memory:
        return self.house.store.memory

    async def __call__(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """Carry a command out; what is said of it."""
        if not self.access.is_allowed(command.account, command.place):
            refusal = self._say(command, "not_allowed", account=short(command.account))
            return [self._said(command, refusal)] if command.direct else ()
        if (order := self.more.get(command.name)) is not None:
            if order.is_for_administrators and not await self._may(command, command.name, command.argument, stage):
                return [self._said(command, self._say(command, "administrators_only"))]
            return await order.act(command, stage)
        if command.name not in (*self._todo, "stop", "rule", "forget") and not is_for_us(command):
            return ()
        if command.name == "stop":
            place = command.place
            stopped = await stage.delivery.stop_all(place.platform, place.tenant, place.channel)
            return [self._said(command, self._say(command, "stopped" if stopped else "nothing_to_stop"))]
        if command.name == "forget":
            return [self._said(command, await self._forget(command, stage))]
        if command.name == "rule":
            if not await self._may(command, "rule", command.argument, stage, command.place):
                return [self._said(command, self._say(command, "administrators_only"))]
            return await asyncio.to_thread(self._rule, command)
        is_others = command.name == "clear" and not command.direct  # what others said is not one member's to delete
        if is_others and not await self._may(command, "clear", "", stage, command.place):
            return [self._said(command, self._say(command, "administrators_only"))]
        return [await asyncio.to_thread(self._order, command)]

    async def press(self, press: Press, stage: Stage) -> Sequence[Outgoing] | Post:
        """Do what a button stands for; a Post is to be answered."""
        meaning = await asyncio.to_thread(self.buttons.look_up, press.button)
        if not self.access.is_allowed(press.account, press.place):
            return ()
        if meaning is None:
            return [self._said(press, self._say(press, "expired"))]
        if (pressed := self.presses.get(meaning.kind)) is not None:
            if meaning.kind in self.restricted and not await self._may(press, meaning.kind, meaning.value, stage):
                return [self._said(press, self._say(press, "administrators_only"))]
            return await pressed(press, meaning, stage)
        if meaning.place.channel != press.place.channel and meaning.kind in ("stop", "again", "ask"):
            return ()  # a client can send the id of any button
        if meaning.kind == "stop":
            await stage.delivery.stop(int(meaning.value))
            return ()
        if meaning.kind == "ask":
            return _asked(press, meaning, meaning.value)
        if meaning.kind == "why":
            return [await asyncio.to_thread(self._why_pressed, press, meaning)]
        if meaning.kind == "again":
            return await asyncio.to_thread(self._again, press, meaning)
        return await asyncio.to_thread(self._pressed, press, meaning, stage)

    def rate_message(self, reaction: Reaction, rating: Literal[1, -1], stage: Stage) -> None:
        """A reaction on an answer is a rating; on anything else it is nothing."""
        message = stage.delivery.answered(reaction.place, reaction.message)
        turn = self.memory.turn_for(message) if message else None
        if turn is None or turn.message.place.channel != reaction.place.channel:
            return
        act = self.memory.rate if reaction.is_added else self.memory.withdraw
        act(turn.id, self.memory.person(reaction.account).id, rating)

    def reason(self, post: Post, stage: Stage) -> Sequence[Outgoing] | None:
        """Thanks for the reason of a 👎, where the post is the reply that was asked for; else None."""
        if not post.replies_to or not post.text.strip():
            return None
        question = stage.delivery.answered(post.place, post.replies_to)
        meaning = self.buttons.look_up(id_for(f"reason/{question}")) if question else None
        if meaning is None or meaning.kind != "reason":
            return None
        turn, _, person = meaning.value.partition(" ")
        if person != self.memory.person(post.account).id:
            return None
        try:
            self.memory.rate(turn, person, -1, post.text.strip()[:2000])
        except StoreError:
            return [Outgoing(post.place, self._say(post, "forgotten_answer"), to=post.account)]
        return [Outgoing(post.place, self._say(post, "thanks_reason"), to=post.account)]

    def consent_question(self, post: Post, person: str) -> tuple[Outgoing, Callable[[Connection], None]]:
        """The question, and what stores its buttons. After a crash it is the same, with the same buttons."""
        ids = {value: id_for(f"consent/{person}/{value}") for value in ("yes", "no")}
        meanings = {made: Meaning("consent", f"{value} {post.language}", post.place) for value, made in ids.items()}
        buttons = tuple(Button(made, say(post.language, value)) for value, made in ids.items())
        question = Outgoing(post.place, self._say(post, "consent_question"), buttons=buttons, to=post.account)
        return question, self.buttons.keeping(meanings, CONSENT_MINUTES)

    def linked(self, event: Opened | Command, code: str) -> str:
        """Join the account to whoever asked for `code`; what is said of it, also where a crash let it come again."""
        try:
            self.memory.people.link(code, event.account)
        except LinkRefused as refused:
            return say(event.language, f"link_{refused.reason}")
        finish_joinings(self.memory, self.house.store.shelf, self.house.store.settings.home)
        return say(event.language, "linked")

    async def _may(
        self, event: Command | Press, verb: str, about: str, stage: Stage, place: Place | None = None
    ) -> bool:
        """Whether an administrator gives this order, everywhere or (with a place) there. It is kept either way."""
        return await asyncio.to_thread(self.guard.administers, event, verb, about, stage.message, place)

    def _said(self, event: Command | Press, text: str) -> Outgoing:
        """An answer for whoever gave an order. Slack whispers; Telegram has toasts on buttons, and private chats."""
        said = Outgoing(event.place, text, to=event.account)
        if event.place.platform == "slack":
            return replace(said, audience="one")
        if event.direct:
            return said
        if isinstance(event, Press):
            return replace(said, audience="one", press=event.id)
        if event.name not in OURS_ALONE:
            return said
        link = self.connectors[event.place.platform].address("hello")
        public = Outgoing(event.place, say(event.language, "in_private", link=link), to=event.account)
        return replace(said, audience="one", instead=public)

    def _again(self, press: Press, meaning: Meaning) -> Sequence[Outgoing] | Post:
        name, _, text = meaning.value.partition(" ")
        turn = self.memory.turn(name)
        if turn is None:
            return [self._said(press, self._say(press, "expired"))]
        if turn.message.author.id != self.memory.person(press.account).id:
            return [self._said(press, self._say(press, "not_yours"))]
        return _asked(press, meaning, text)

    def _order(self, command: Command) -> Outgoing:
        act = self._todo.get(command.name)
        text = act(command) if act else self._say(command, "no_command", name=re.sub(r"[^\w-]", "", command.name)[:24])
        return self._said(command, text)

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
            "link": self._link,
            "consent": self._consent_command,
            "feedback": self._feedback,
        }

    def _say(self, event: Command | Press | Post, name: str, /, **values: object) -> str:
        return say(event.language, name, p=prefix(event.place.platform), **values)

    def _help(self, command: Command) -> str:
        is_administrator = self.guard.roles.administers(command.account, command.place)
        known = (each for each in self.more.values() if is_administrator or not each.is_for_administrators)
        lines = [self._say(command, "help"), *(self._say(command, each.help) for each in known if each.help)]
        return "\n".join(lines) + (self._say(command, "help_administrator") if is_administrator else "")

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
        """Of the last answer; of any text that is given."""
        if text := command.argument.strip()[:LONGEST_MESSAGE]:
            return self._explained(text, command.language)
        turn = self._last(command)
        return self._say(command, "nothing_asked") if turn is None else self._why_of(turn, command.language)

    def _why_of(self, turn: Turn, language: str) -> str:
        """What was decided on which evidence, and how the message is understood, down to its words."""
        found = clean(translated(language, why(turn)), allowed_links=self.house.store.settings.allowed_links)
        return f"{found}\n\n{self._explained(turn.message.text, language)}"

    def _explained(self, text: str, language: str) -> str:
        return clean(explained(explain(self.house.colleague.understander, text), language))

    def _why_pressed(self, press: Press, meaning: Meaning) -> Outgoing:
        """For who pressed alone: longer than a word on a button."""
        name, _, language = meaning.value.partition(" ")
        press = press if press.language else replace(press, language=language)
        turn = self.memory.turn(name)
        if turn is None or turn.message.place.channel != press.place.channel:
            return self._said(press, self._say(press, "expired"))
        said = Outgoing(press.place, self._why_of(turn, press.language), to=press.account)
        if press.direct:
            return said
        link = self.connectors[press.place.platform].address("hello")
        public = Outgoing(press.place, self._say(press, "in_private", link=link), to=press.account)
        return replace(said, audience="one", instead=None if press.place.platform == "slack" else public)

    def _clear(self, command: Command) -> str:
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

    async def _forget(self, command: Command, stage: Stage) -> str:
        """First what waits, so that nothing is answered and remembered after all."""
        if command.argument.strip().lower() != "yes":
            return self._say(command, "confirm_forget")
        store = self.house.store
        person = await asyncio.to_thread(self.memory.person, command.account)
        waiting = await stage.delivery.forget(person.accounts, stage.event)
        report = await asyncio.to_thread(forget, person, self.memory, store.shelf, store.settings.home, waiting)
        return "\n".join(report.said(command.language)) if command.direct else self._say(command, "forgotten")

    def _link(self, command: Command) -> str:
        if not command.direct:
            return self._say(command, "link_private")
        if code := command.argument.strip():
            return self.linked(command, code)
        code = self.memory.people.link_code(self.memory.person(command.account).id)
        told = self._say(command, "link_code", code=code)
        other = self.connectors.get("telegram")
        address = other.address(LINK + code) if other is not None and command.place.platform != "telegram" else ""
        return f"{told}\n{self._say(command, 'link_address', link=address)}" if address else told

    def _consent_command(self, command: Command) -> str:
        wish = command.argument.strip().lower()
        if wish not in ("yes", "no"):
            return self._say(command, "consent_usage")
        return self._consent(command, agreed=wish == "yes")

    def _consent(self, event: Command | Press, *, agreed: bool) -> str:
        person = self.memory.person(event.account)
        self.memory.people.mark_consent_asked(person.id)
        if agreed:
            self.memory.people.set_consent(person.id, consent=True)
            return self._say(event, "consent_yes")
        learned = withhold(person, self.memory, self.house.store.shelf, self.house.store.settings.home).versions
        kept = self._say(event, "forget_versions", versions=", ".join(learned)) if learned else ""
        return f"{self._say(event, 'consent_no')} {kept}".strip()

    def _rule(self, command: Command) -> Sequence[Outgoing]:
        """Where from now on every message is answered, everybody there is told so, and what it means for them."""
        wish = command.argument.strip().lower()
        if wish not in set(Rule):
            return [self._said(command, self._say(command, "rule_usage", rule=self.rules.rule(command.place)))]
        self.rules.set_rule(command.place, Rule(wish))
        said = [self._said(command, self._say(command, "rule_set", rule=self._say(command, f"rule_{wish}")))]
        if wish == Rule.ALWAYS and not command.direct:
            said.append(Outgoing(command.place, self._say(command, "watched_all")))
        return said

    def _pressed(self, press: Press, meaning: Meaning, stage: Stage) -> Sequence[Outgoing]:
        value, _, language = meaning.value.partition(" ")
        press = press if press.language else replace(press, language=language)
        if meaning.kind == "consent":
            return [self._said(press, self._consent(press, agreed=value == "yes"))]
        return self._rated(press, meaning.kind, value, stage) if meaning.kind in ("good", "bad") else ()

    def _rated(self, press: Press, kind: str, turn: str, stage: Stage) -> Sequence[Outgoing]:
        """A platform without forms is replied to: in private, as a group need not know who liked an answer."""
        rating: Literal[1, -1] = 1 if kind == "good" else -1
        person, reason = self.memory.person(press.account).id, press.text.strip()[:2000]
        name = "thanks_good" if rating > 0 else "thanks_reason" if reason else "thanks_bad"
        try:
            self.memory.rate(turn, person, rating, reason)
        except StoreError:
            name = "forgotten_answer"
        if name == "thanks_bad" and press.direct and press.place.platform != "slack":
            name, key = "thanks_bad_reply", f"reason/{stage.message}"
            self.buttons.make("reason", f"{turn} {person}", press.place, REASON_MINUTES, key=key)
        return [self._said(press, self._say(press, name))]


def _asked(press: Press, meaning: Meaning, text: str) -> Post:
    """A press that stands for a message."""
    return Post(
        press.id,
        meaning.place,
        press.account,
        text,
        datetime.now(UTC),
        direct=press.direct,
        called=True,
        language=press.language,
    )


def is_for_us(command: Command) -> bool:
    """In a Telegram group every bot is given every command; one that we do not have may be another's."""
    return command.direct or command.place.platform != "telegram"
