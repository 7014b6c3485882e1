"""Who may not, may not: every administrative verb, a thousand tries a role, forged and borrowed buttons included."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.buttons import Buttons
from agent.channels import ChannelRules
from agent.events import Command, Outgoing, Press
from agent.message import Place
from agent.opinion.monitor import Monitor
from agent.support.audit import Audit
from agent.support.cases import Cases, Kind, Opening, Step
from agent.support.curated import Curated
from agent.support.proposals import Thread
from tests.connectors.desk.chats import SlackChat
from tests.connectors.desk.doors import TENANT, Doors, Scripted
from tests.connectors.desk.handing import rest
from tests.connectors.desk.test_finetune_refused import Followed, Target

TRIES = 1000  # of each role
FORGED = ("AAAAAAAAAAAA", "claim 1", "' OR 1=1 --", "x" * 64, "case/claim/1", "resolve", "")
ADMINISTRATIVE = (
    *("rule always", "rule off", "rule mention", "clear"),
    *("curated add Who? | Me.", "curated approve 1", "curated withdraw 1", "curated list"),
    *("finetune run rated", "finetune promote team-1", "finetune rollback", "finetune cancel", "finetune list"),
    *("digest", "watch on", "watch off", "watch forget", "watch", "mood", "mood 30"),
    *("faq mine", "faq mine 90", "faq approve 2", "faq for 2 everyone", "faq ask 2 Who is it?", "faq dismiss 2"),
)
OF_AGENTS = (
    *("cases", "case show 1", "case claim 1", "case return 1", "case resolve 1 Bye.", "case resolve #2"),
    *("gaps", "gaps 90", "faq", "faq approve 1", "faq approve 1 Me.", "faq ask 1 Who?", "faq for 1 everyone"),
    *("faq dismiss 1", "faq case 3 Who opens the door?"),
)
HELD, SETTLED = 2, 3  # the numbers of the case that somebody has, and of one that ended with an answer


@dataclass(slots=True)
class World:
    """What could be harmed, and the buttons that would harm it."""

    doors: Doors
    target: Target
    desk: Place
    channel: Place
    buttons: dict[str, list[str]]  # by who may press them

    def state(self) -> list[object]:
        engine = self.doors.house.store.engine
        rules = [ChannelRules(engine).rule(place) for place in (self.channel, self.desk)]
        said = len(self.doors.house.store.memory.turns(self.channel))
        cases = [(each.number, each.state, each.owner, each.rating) for each in Cases(engine).listed(TENANT)]
        told = Curated(engine).listing(TENANT), Monitor(engine).watches(TENANT), self.doors.documents()
        return [rules, said, cases, self.target.state(), *told]


@pytest.mark.parametrize("role", ["member", "agent", "administrator of another channel"])
async def test_a_thousand_tries(doors: Doors, slack: SlackChat, tmp_path: Path, role: str) -> None:
    ann, eve, mara = slack.person("Ann"), slack.person("Eve"), slack.person("Mara")
    room, support, elsewhere = slack.room(ann, eve), slack.room(mara), slack.room(eve)
    world = await _world(
        doors, slack, ann, mara, room, support, elsewhere, tmp_path, f"{eve.id}@slack:{elsewhere.channel}"
    )
    tries = random.Random(role)
    who = mara.id if role == "agent" else eve.id
    is_agent = role == "agent"
    before = world.state()
    for number, event in zip(range(TRIES), _tries(world, f"slack:{TENANT}:{who}", tries, is_agent), strict=False):
        stage: Any = Followed("slack")
        stage.key, stage.message = f"{number}", f"slack/{TENANT}/{number}"
        said = await doors.delivery._handler(event, stage)
        assert stage.due == [], (number, event)
        assert not any(each.buttons for each in said), (number, event)
        assert all(_refuses(each) for each in said), (number, event, said)
        if number % 100 == 99:
            assert world.state() == before, (number, event)
    assert world.state() == before
    acts = [act for act in Audit(doors.house.store.engine).acts() if act.account == f"slack:{who}"]
    assert {act.outcome for act in acts} == {"refused"}
    wanted = {"rule", "clear", "curated", "finetune run", "finetune promote", "finetune rollback", "finetune cancel"}
    wanted |= {"digest", "watch", "mood", "sources", "faq mine", "faq approve", "faq for", "faq ask", "faq dismiss"}
    wanted |= set() if is_agent else {"cases", "case claim", "case return", "case resolve", "gaps", "faq", "faq case"}
    assert wanted <= {act.verb for act in acts}


async def _world(
    doors: Doors,
    slack: SlackChat,
    ann: Any,
    mara: Any,
    room: Any,
    support: Any,
    elsewhere: Any,
    scratch: Path,
    carl: str,
) -> World:
    await doors.open(
        Scripted("At nine."),
        administrators=(f"slack:{ann.id}", carl),
        support={"desks": [{"to": f"slack:{support.channel}"}], "agents": [f"slack:{mara.id}"], "remind": 0},
    )
    slack.says(ann, "When does it open?", room, called=True)
    await rest(doors)
    store = doors.house.store
    target = Target(doors.home, store.registry, scratch)
    desk, channel = Place("slack", TENANT, support.channel), Place("slack", TENANT, room.channel, room.thread)
    cases, person = Cases(store.engine), store.memory.person(f"slack:{TENANT}:{ann.id}")
    for origin in ("one", "two", "three"):
        account = f"slack:{TENANT}:{ann.id}"
        cases.open(Opening(origin, "request", person.id, account, channel, False, "", "", desk, "Help!"))
    _stepped(cases, HELD, Kind.CLAIMED, person.id, f"slack:{TENANT}:{ann.id}")
    _stepped(cases, SETTLED, Kind.RESOLVED, person.id, f"slack:{TENANT}:{ann.id}", "The porter opens it.")
    store.memory.people.set_consent(person.id, consent=True)
    curated, aside = Curated(store.engine), Place("slack", TENANT, "D77")
    curated.propose("case/1", TENANT, "Who?", "Nobody.", "", "everyone")
    curated.propose(Thread(False, channel, "1.1", "1.2").origin, TENANT, "Who?", "I.", "", "chat-1", person.id)
    doors.add("old.md", "# Old\n\nOf a source that is not on the list any more.", "everyone")
    Monitor(store.engine).watch(channel, f"slack:{TENANT}:{ann.id}", aside, "en")
    made = Buttons(store.engine)
    finetuned = [made.make("finetune", each, channel, 60, key=f"f{each}") for each in target.meanings()]
    handed = [made.make("case", f"{verb} 1", desk, 60, key=verb) for verb in ("claim", "resolve")]
    held = [made.make("case", f"{verb} {HELD}", desk, 60, key=f"{verb}2") for verb in ("return", "resolve")]
    asker = [made.make("case", f"{verb} 1 en", channel, 60, key=verb) for verb in ("withdraw", "good", "bad")]
    proposed = [
        made.make("faq", f"{verb} {SETTLED if verb == 'word' else 1}", place, 60, key=f"{verb}/{place.channel}")
        for verb in ("approve", "everyone", "reword", "dismiss", "word")
        for place in (desk, channel)
    ]
    mined = [made.make("faq", f"{verb} 2", aside, 60, key=f"{verb}2/faq") for verb in ("approve", "everyone", "reword")]
    mined += [made.make("sources", "drop old.md", place, 60, key=f"drop/{place.channel}") for place in (aside, channel)]
    known = {"finetune": finetuned, "case": [*handed, *proposed], "held": held, "asker": asker, "mined": mined}
    return World(doors, target, desk, channel, known)


def _stepped(cases: Cases, number: int, kind: Kind, person: str, account: str, text: str = "") -> None:
    assert isinstance(cases.step(number, kind, person, account, f"step/{number}", text=text), Step)


def _tries(world: World, account: str, chance: random.Random, is_agent: bool) -> Iterator[Command | Press]:
    """Commands and presses in every place, also where somebody is not; buttons that exist, and some that do not."""
    orders = ADMINISTRATIVE if is_agent else (*ADMINISTRATIVE, *OF_AGENTS)
    kinds = ("finetune", "held", "asker", "mined") if is_agent else tuple(world.buttons)
    private = Place("slack", TENANT, "D77")
    while True:
        place = chance.choice([world.channel, Place("slack", TENANT, world.channel.channel), private])
        number = str(chance.getrandbits(48))
        if chance.random() < 0.5:
            words = chance.choice(orders)
            words = words if chance.random() < 0.8 else f"{words} {chance.choice(FORGED)}"
            name, _, argument = words.partition(" ")
            direct = place is private and name != "clear"  # one's own conversation is one's own
            there = place if direct or place is not private else world.channel
            yield Command(number, there, account, name, argument, direct)
        else:
            known = chance.choice(world.buttons[chance.choice(kinds)])
            button = known if chance.random() < 0.8 else chance.choice([*FORGED, known.swapcase(), known[:-1]])
            where = chance.choice([place, world.desk])
            yield Press(number, where, account, button, "text", datetime.now(UTC).isoformat(), where is private)


def _refuses(said: Outgoing) -> bool:
    signs = ("Only a", "too old, so nothing", "Only who", "another team", "There is no c")
    return any(sign in said.text for sign in signs)
