"""Nobody but an administrator trains, cancels, promotes or rolls back: a thousand tries, none of which works.

Each try is a payload as the platform's emulator delivers it, changed as somebody could change or repeat it.
"""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.buttons import Buttons
from agent.events import Button, Due, Outgoing
from agent.message import Place
from connectors.connector import Received
from connectors.delivery.worker import Delivery
from connectors.desk.finetune import KIND
from finetune.job import Figures, Order, State, save
from finetune.jobs import Jobs
from finetune.recipe import Recipe
from finetune.registry import AdapterRegistry
from tests.connectors.desk.chats import Chat, Room, SlackChat
from tests.connectors.desk.doors import TENANT, Doors, Scripted
from tests.finetune.adapters import sealed

TRIES = 500  # on each of the two platforms
SEED = 4
ORDERS = (
    "finetune run --rated",
    "finetune run rated knowledge recipe small-cpu name ours",
    "finetune list",
    "finetune show",
    "finetune cancel",
    "finetune resume",
    "finetune promote team-1",
    "finetune promote",
    "finetune rollback",
    "finetune compare team-1",
    "finetune",
)
FORGED = ("AAAAAAAAAAAA", "start", "../../jobs", "' OR 1=1 --", "x" * 64, "promote team-1", "finetune/start")
REFUSALS = ("Only administrators can do that", "belongs to another team's Atelier", "too old, so nothing was done")
Payload = dict[str, Any]


class Followed:
    """A stage whose answers nobody sees; what it is asked to follow counts as a try that worked."""

    def __init__(self, platform: str) -> None:
        self.key, self.message, self.event = "k", f"{platform}/{TENANT}/k", 0
        self.platform, self.handle, self.is_excess = platform, "", False
        self.delivery = self
        self.due: list[Due] = []
        self.along: list[object] = []

    async def follow(self, due: Due) -> None:
        self.due.append(due)

    async def behind(self, *_: object) -> list[object]:
        return []

    async def has_come(self, *_: object) -> bool:
        return False

    async def open(self, *_: object) -> None: ...


class Target:
    """What could be harmed: a job that waits for its confirmation, one that failed, two versions, one of them live."""

    def __init__(self, home: Path, registry: AdapterRegistry, scratch: Path) -> None:
        self.jobs, self.registry = Jobs(home), registry
        order = Order(name="team", base="/models/small", recipe=Recipe(), tenant=TENANT, rated=True)
        self.waiting, self.failed = self.jobs.create(order, confirmed=False), self.jobs.create(order)
        save(replace(self.waiting, state=State.QUEUED, starts=1, figures=Figures(9, 1, 0, 90, 30, 3, 1.0, 1)))
        save(replace(self.failed, state=State.FAILED, reason="The disk is full."))
        for number in (1, 2):
            registry.add("team", sealed(scratch / f"adapter-{number}", b"weights %d" % number), job=str(number))
        registry.promote("team-1")
        registry.promote("team-2")

    def state(self) -> list[object]:
        jobs = [(each.id, each.state, each.starts, each.cancel_requested) for each in self.jobs.known()]
        return [jobs, self.registry.aliases(), [each.name for each in self.registry.versions()]]

    def meanings(self) -> list[str]:
        waiting, failed = self.waiting.id, self.failed.id
        return [
            f"start {waiting}",
            f"discard {waiting}",
            f"cancel {waiting}",
            f"resume {failed}",
            "promote team-1",
            "rollback team-2",
        ]


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[Received]:
    """Every payload that the platforms deliver, as it is stored."""
    kept: list[Received] = []
    acceptor = Delivery.acceptor

    def recording(self: Delivery, platform: str) -> Callable[..., Any]:
        accept = acceptor(self, platform)

        async def record(events: list[Received]) -> None:
            kept.extend(events)
            await accept(events)

        return record

    monkeypatch.setattr(Delivery, "acceptor", recording)
    return kept


async def test_a_thousand_tries_of_people_who_may_not(
    doors: Doors, chat: Chat, received: list[Received], tmp_path: Path
) -> None:
    ann, eve = chat.person("Ann"), chat.person("Eve")
    await doors.open(Scripted(), administrators=(chat.account(ann),))
    room = chat.room(ann, eve)
    target = Target(doors.home, AdapterRegistry(doors.house.store.engine, doors.home / "versions"), tmp_path)
    buttons = await _shown(doors, chat, room, target.meanings())
    chat.orders(eve, "finetune run rated", room)
    message = next(shown for shown in chat.shown(room) if shown.buttons)
    chat.presses(eve, message, message.buttons[0])
    if chat.name == "telegram":
        eve.edits(eve.writes("/finetune", room.channel, thread=room.thread), "/finetune promote team-1")
    await doors.settle()
    before = target.state()
    genuine = [json.loads(each.payload) for each in received if not each.key.startswith("out:")]
    tries = _slack_tries if isinstance(chat, SlackChat) else _telegram_tries
    reached = 0  # tries that the connector takes for an event at all
    made = tries(genuine, _id(chat, ann), _id(chat, eve), buttons, random.Random(SEED))
    for number, (payload, is_demoted) in enumerate(itertools.islice(made, TRIES)):
        administrators = () if is_demoted else (chat.account(ann),)
        doors.settings = doors.settings.model_copy(update={"administrators": administrators})
        event = doors.connectors[chat.name].read(json.dumps(payload))
        stage = Followed(chat.name)
        said = await doors.delivery._handler(event, stage) if event is not None else ()
        assert not any(each.buttons or each.pictures for each in said), (number, event)
        assert all(any(sign in each.text for sign in REFUSALS) for each in said), (number, event, said)
        assert stage.due == [], (number, event)
        reached += event is not None
        if number % 50 == 0:
            assert target.state() == before, (number, event)
    assert reached > TRIES / 2
    assert target.state() == before
    assert target.jobs.busy() is None


async def _shown(doors: Doors, chat: Chat, room: Room, meanings: list[str]) -> list[str]:
    """Genuine buttons, put before everybody in the room."""
    channel, thread = (room.channel, "") if chat.name == "slack" else (str(room.channel.id), str(room.thread))
    place = Place(chat.name, TENANT, channel, thread)
    store = Buttons(doors.house.store.engine)
    made = [store.make(KIND, meaning, place, 60) for meaning in meanings]
    shown = tuple(Button(each, meaning) for each, meaning in zip(made, meanings, strict=True))
    await doors.delivery.post("choose", Outgoing(place, "Choose.", buttons=shown))
    await doors.settle()
    room.thread = None if chat.name == "slack" else room.thread
    return made


def _id(chat: Chat, who: Any) -> str:
    return chat.account(who).partition(":")[2]


def _slack_tries(
    genuine: list[Payload], ann: str, eve: str, buttons: list[str], chance: random.Random
) -> Iterator[tuple[Payload, bool]]:
    """(payload, whether the administrator was demoted before it came)."""
    command = next(each for each in genuine if each["body"].get("command"))
    press = next(each for each in genuine if each["body"].get("type") == "block_actions")
    for number in itertools.count():
        kind = number % 8
        payload = deepcopy(command if kind in (0, 1, 2, 3) else press)
        body = payload["body"]
        is_demoted = kind in (3, 7)
        user, team = eve, body.get("team_id") or (body.get("team") or {}).get("id")
        if kind == 0:
            user = chance.choice([eve, f"U{number}9", eve.lower(), ann + "0", ann.lower(), f"slack:{ann}"])
        elif kind == 1:  # a stranger of another company who has the administrator's id, in a shared channel
            user, team, payload["bot"]["is_shared"] = ann, f"T{number}", True
        elif kind == 2:  # the administrator's id in another workspace that the app is installed in
            user, payload["bot"]["tenant"] = ann, f"other{number}"
        elif is_demoted:
            user = ann
        if kind < 4:
            body |= {"user_id": user, "team_id": team, "trigger_id": f"t{number}"}
            body["text"] = chance.choice(ORDERS)
        else:
            forged = chance.choice(FORGED)
            button = chance.choice(buttons) if kind in (4, 5, 7) else forged
            if kind == 5:
                payload["bot"]["is_shared"], user, team = True, ann, f"T{number}"
            if kind == 6:  # the administrator's own press of what nobody made, or in another channel
                user = ann
            body["user"] |= {"id": user, "team_id": team}
            body["trigger_id"] = f"t{number}"
            body["actions"][0] |= {"action_id": button[:255], "value": button[:2000]}
        yield payload, is_demoted


def _telegram_tries(
    genuine: list[Payload], ann: str, eve: str, buttons: list[str], chance: random.Random
) -> Iterator[tuple[Payload, bool]]:
    command = next(each for each in genuine if _is_command(each["update"].get("message")))
    press = next(each for each in genuine if "callback_query" in each["update"])
    edit = next(each for each in genuine if "edited_message" in each["update"])
    for number in itertools.count():
        kind = number % 8
        is_demoted = kind in (3, 7)
        user = int(ann if is_demoted else eve)
        if kind in (0, 1, 3):
            payload = deepcopy(command)
            message = payload["update"]["message"]
            if kind == 1:  # an administrator of the group who stays anonymous, or writes as a channel
                message["sender_chat"] = {
                    **message["chat"],
                    "id": chance.choice([message["chat"]["id"], -100 - number]),
                }
                user = int(ann)
            elif kind == 0:
                user = chance.choice([int(eve), -int(ann), int(ann) * 10, int(ann) + 10_000 + number])
            _order(message, chance.choice(ORDERS), user, number)
        elif kind == 2:  # a message that is changed into an order is none, whoever wrote it
            payload = deepcopy(edit)
            message = payload["update"]["edited_message"]
            _order(message, chance.choice(ORDERS), int(ann), 10_000 + number)
        else:
            payload = deepcopy(press)
            query = payload["update"]["callback_query"]
            query["data"] = chance.choice(buttons) if kind in (4, 5, 7) else chance.choice(FORGED)
            if kind == 5:  # a copy of the message in another chat
                query["message"]["chat"]["id"] = -1_000_000 - number
                user = int(ann)
                query["message"]["chat"]["type"] = "supergroup"
            if kind == 6:
                user = int(ann)
            query["from"]["id"] = user
            query["id"] = str(number)
        payload["update"]["update_id"] = 1_000_000 + number
        yield payload, is_demoted


def _is_command(message: Payload | None) -> bool:
    return bool(message and str(message.get("text", "")).startswith("/finetune run"))


def _order(message: Payload, words: str, user: int, number: int) -> None:
    length = len("/finetune")
    message |= {"text": f"/{words}", "message_id": 1_000 + number}
    message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
    message["from"]["id"] = user
