"""People who write all the while, on either platform, and the judgement of what they see in the end.

Each message carries a token and its answer says it, so the emulator's record alone tells what was lost or said twice.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path
from typing import Any, Protocol

from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_blocks import JSON
from tests.emulators.slack_delivery import Delivery
from tests.emulators.telegram import Group, Person, TelegramEmulator

THREAD = 5  # messages in a Slack thread before its people open the next
UNANSWERED = 3  # messages of a conversation that may wait at once


class Words(Protocol):
    """What is asked, and by which words an answer is known: it begins with `begins` and is whole with `ends`."""

    def next(self, conversation: str) -> str: ...  # a token
    def asked(self, token: str) -> str: ...
    def begins(self, token: str) -> str: ...
    def ends(self, token: str) -> str: ...
    def meant(self, asked: str) -> list[str]: ...  # the tokens that a question is about
    def told(self, text: str) -> list[str]: ...  # the tokens whose answers stand in a text


class EchoWords:
    """For the stub house. in_one: only such as the echo answers in one piece, so that there is one preview at most."""

    def __init__(self, *, in_one: bool = False) -> None:
        self._counts: Counter[str] = Counter()
        self._in_one = in_one

    def next(self, conversation: str) -> str:
        self._counts[conversation] += 1
        while self._in_one and self._counts[conversation] % 3 != 2:
            self._counts[conversation] += 1
        return f"{conversation}-{self._counts[conversation]}"

    def asked(self, token: str) -> str:
        return f"Note {token} please"

    def begins(self, token: str) -> str:
        return f"Answer to {token}."

    def ends(self, token: str) -> str:
        return f"End of {token}."

    def meant(self, asked: str) -> list[str]:
        return re.findall(r"Note ([a-z]+-\d+) please", asked)

    def told(self, text: str) -> list[str]:
        return re.findall(r"Answer to ([a-z]+-\d+)\.", text)


class FactWords:
    """For the extractive generator: made-up projects and who leads them, each asked for once."""

    def __init__(self, count: int = 6000) -> None:
        syllables = "ba do fi ku la me ni po ra su ti vo wa ze ga he".split()
        words = ["".join(parts).capitalize() for parts in product(syllables, repeat=4)]
        random.Random(3).shuffle(words)
        self.leaders = dict(zip(words[:count], words[count : 2 * count], strict=True))
        self._left = list(self.leaders)

    def write(self, folder: Path) -> None:
        """The document to ingest."""
        facts = (f"## The {project} project\n\n{self._fact(project)}\n" for project in self.leaders)
        folder.mkdir(exist_ok=True)
        (folder / "projects.md").write_text("# Projects\n\n" + "\n".join(facts))

    def next(self, conversation: str) -> str:
        return self._left.pop()

    def asked(self, token: str) -> str:
        return f"Who leads the {token} project?"

    def begins(self, token: str) -> str:
        return self._fact(token)

    ends = begins

    def meant(self, asked: str) -> list[str]:
        return re.findall(r"leads the (\w+) project", asked)

    def told(self, text: str) -> list[str]:
        return re.findall(r"The (\w+) project is led by \w+\.", text)

    def _fact(self, project: str) -> str:
        return f"The {project} project is led by {self.leaders[project]}."


@dataclass(slots=True)
class Conversation:
    """tokens: of what was written, in order. where: the platform's own names of the place."""

    name: str
    where: Any
    tokens: list[str] = field(default_factory=list)


class Scene:
    """Common to both: who wrote what, and what has been answered so far."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.conversations: list[Conversation] = []
        self.arrived: dict[str, int] = {}  # in which order the bot took what it was told, where that can differ
        self.answered: set[str] = set()  # seen on the wire; only to keep people from writing ahead without end

    def hear(self, method: str, params: Mapping[str, Any], phase: str) -> bool | None:
        if phase == "applied" and method != "getUpdates":
            text = json.dumps({key: value for key, value in params.items() if key != "metadata"})
            self.answered.update(self.words.told(text))
        return None

    def waiting(self, conversation: Conversation) -> int:
        return sum(token not in self.answered for token in conversation.tokens[-2 * UNANSWERED :])

    def write_one(self, draw: random.Random) -> None:
        """Somebody who does not wait for too much writes the next message."""
        free = [each for each in self._open() if self.waiting(each) < UNANSWERED]
        if free:
            self.write(draw.choice(free))

    def write(self, conversation: Conversation) -> str:
        token = self.words.next(conversation.name)
        conversation.tokens.append(token)
        self._say(conversation, self.words.asked(token))
        return token

    def _open(self) -> Sequence[Conversation]:
        return self.conversations

    def _say(self, conversation: Conversation, text: str) -> None:
        raise NotImplementedError

    def texts(self, conversation: Conversation) -> list[str]:
        """The bot's messages there, oldest first."""
        raise NotImplementedError

    def judge(self) -> "Verdict":
        verdict = Verdict()
        for conversation in self.conversations:
            verdict.add(self.words, conversation.tokens, self.texts(conversation), self.arrived)
        return verdict


class TelegramScene(Scene):
    """Private chats, and with `groups` a group and a topic where the bot is mentioned."""

    methods = (
        "getMe",
        "setMyCommands",
        "deleteWebhook",
        "getUpdates",
        "sendMessage",
        "sendChatAction",
        "editMessageText",
    )

    def __init__(self, emulator: TelegramEmulator, words: Words, people: int = 6, *, groups: bool = True) -> None:
        super().__init__(words)
        self.emulator = emulator
        self.people = [emulator.person(f"P{number}") for number in range(people)]
        self.conversations = [Conversation(f"dm{_letters(i)}", (one, None, None)) for i, one in enumerate(self.people)]
        if groups:
            team = emulator.group("Team", self.people)
            forum = emulator.group("Forum", self.people, topics=True)
            topics = [forum.topic("Plans"), forum.topic("Ideas")]
            self.conversations.append(Conversation("team", (self.people[0], team, None)))
            self.conversations += [
                Conversation(f"topic{_letters(i)}", (self.people[i], forum, t)) for i, t in enumerate(topics)
            ]
        emulator.on_call(self.hear)

    def settings(self) -> dict[str, str]:
        api = self.emulator.base_url.removesuffix("/bot")
        return {"ATELIER_TELEGRAM_TOKEN": self.emulator.token, "ATELIER_TELEGRAM_API": api}

    def _say(self, conversation: Conversation, text: str) -> None:
        person, group, thread = conversation.where
        person.writes(text if group is None else f"@{self.emulator.username} {text}", group, thread=thread)

    def texts(self, conversation: Conversation) -> list[str]:
        person, group, thread = conversation.where
        place: Person | Group = group or person
        return [each.text for each in self.emulator.seen(place, thread) if each.author == "bot"]


class SlackScene(Scene):
    """Direct messages, and threads in channels: a new one after every few messages."""

    methods = (
        "auth.test", "apps.connections.open", "chat.postMessage", "assistant.threads.setStatus", "chat.startStream",
        "conversations.replies", "conversations.history", "chat.appendStream", "chat.stopStream", "chat.update",
    )  # fmt: skip

    def __init__(self, emulator: SlackEmulator, words: Words, people: int = 3, channels: int = 4) -> None:
        super().__init__(words)
        self.emulator = emulator
        # A bot that is killed every second must find its events repeated: Slack does so for an hour, here it is dense.
        emulator.courier.retry_delays = (0.2,) * 5 + (1.0,) * 300
        self.people = [emulator.person(f"U{number}", f"P{number}") for number in range(people)]
        self._channels = [emulator.channel(f"C{n}", f"c{n}", members=self.people) for n in range(channels)]
        self._roots: dict[str, str] = {}
        self._open_now: list[Conversation] = []
        self._made = 0
        for i, person in enumerate(self.people):
            self._begin(Conversation(f"dm{_letters(i)}", (person, None)))
        for channel in self._channels:
            self._thread(channel)
        emulator.on_call(self.hear)
        self._note_arrivals()

    def _note_arrivals(self) -> None:
        """In which order the bot took messages: Slack repeats one, and does not wait with the next.

        A mention comes as two events, of which the first that is taken counts.
        """
        courier = self.emulator.courier
        by_socket = courier._by_socket

        async def noted(made: Delivery, envelope: JSON) -> str:
            reason = await by_socket(made, envelope)
            if not reason and made.payload["event"].get("type") in {"message", "app_mention"}:
                for token in self.words.meant(str(made.payload["event"].get("text"))):
                    self.arrived.setdefault(token, len(self.arrived))
            return reason

        courier._by_socket = noted

    def settings(self) -> dict[str, str]:
        emulator = self.emulator
        return {
            "ATELIER_SLACK_BOT_TOKEN": emulator.bot_token,
            "ATELIER_SLACK_APP_TOKEN": emulator.app_token,
            "ATELIER_SLACK_API": emulator.api_url,
        }

    def _begin(self, conversation: Conversation) -> None:
        self.conversations.append(conversation)
        self._open_now.append(conversation)

    def _thread(self, channel: str) -> None:
        self._made += 1
        person = self.people[self._made % len(self.people)]
        self._begin(Conversation(f"thread{_letters(self._made)}", (person, channel)))

    def _open(self) -> Sequence[Conversation]:
        for each in [one for one in self._open_now if one.where[1] and len(one.tokens) >= THREAD]:
            self._open_now.remove(each)
            self._thread(each.where[1])
        return self._open_now

    def _say(self, conversation: Conversation, text: str) -> None:
        person, channel = conversation.where
        if channel is None:
            person.writes(text)
            return
        root = self._roots.get(conversation.name)
        written = person.writes(f"<@{self.emulator.bot_user}> {text}", channel, root)
        self._roots.setdefault(conversation.name, written)

    def texts(self, conversation: Conversation) -> list[str]:
        person, channel = conversation.where
        seen = self.emulator.seen(person.dm) if channel is None else []
        if channel is not None and conversation.name in self._roots:
            seen = self.emulator.seen(channel, self._roots[conversation.name])
        return [each.text for each in seen if each.author == "bot"]

    @property
    def given_up(self) -> int:
        """Events that the emulator stopped repeating before the bot took them."""
        return sum(made.done and not made.acked for made in self.emulator.deliveries("events_api"))


@dataclass(slots=True)
class Verdict:
    """strays: "…" that nobody finished. misplaced: answers out of order. other: what is no answer (consent).

    overtaken: answers in the order in which the platform delivered, which was not that in which people wrote.
    """

    messages: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    overtaken: list[str] = field(default_factory=list)
    strays: int = 0
    other: int = 0

    def add(self, words: Words, tokens: Sequence[str], texts: Sequence[str], arrived: Mapping[str, int]) -> None:
        begun: list[str] = []
        ended: Counter[str] = Counter()
        others: Counter[str] = Counter()
        for text in texts:
            here = [token for token in words.told(text) if token in tokens]
            begun += here
            ends = [token for token in tokens if words.ends(token) in text]
            ended.update(ends)
            if text.strip() in {"", "…"}:
                self.strays += 1
            elif not here and not ends:
                others[text] += 1
        counts = Counter(begun)
        self.messages += len(tokens)
        self.lost += [token for token in tokens if not (counts[token] and ended[token])]
        self.twice += [token for token in tokens if counts[token] > 1 or ended[token] > 1]
        self.twice += [text[:40] for text, count in others.items() if count > 1]
        self.other += others.total()
        order = {token: number for number, token in enumerate(tokens)}
        for before, after in pairwise(begun):
            if order[after] < order[before]:
                as_delivered = before in arrived and after in arrived and arrived[before] < arrived[after]
                (self.overtaken if as_delivered else self.misplaced).append(after)

    def cells(self) -> dict[str, int]:
        answered = self.messages - len(set(self.lost))
        counted = {"messages": self.messages, "answered": answered, "lost": len(set(self.lost))}
        counted |= {"twice": len(self.twice)}
        return counted | {"disordered": len(self.misplaced), "overtaken": len(self.overtaken), "stray …": self.strays}


def _letters(number: int) -> str:
    """A token's first half has only letters."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))
