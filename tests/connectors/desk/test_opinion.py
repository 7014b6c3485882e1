"""A watched channel: everybody is told, words are kept of who agreed, administrators get charts and an alarm."""

from datetime import UTC, datetime, timedelta

from agent.events import Due
from agent.message import Place
from agent.opinion.monitor import Monitor
from agent.opinion.mood import Heard
from connectors.privacy import copy_of
from tests.connectors.desk.chats import Chat, Room, SlackChat
from tests.connectors.desk.doors import TENANT, Doors, Scripted
from tests.connectors.desk.handing import rest

BAD = (
    "The printer is broken again, this is terrible",
    "I hate this printer, it is awful",
    "What a horrible printer, nothing works",
    "The printer is a disaster and I am angry",
)


def channel_of(chat: Chat, doors: Doors) -> Place:
    (watch,) = Monitor(doors.house.store.engine).watches(TENANT)
    return watch.place


async def test_from_watch_to_alarm_and_chart(doors: Doors, slack: SlackChat) -> None:
    chat = slack
    boss, *team = (chat.person(name) for name in ("Boss", "Ann", "Ben", "Cem", "Dee"))
    room = chat.room(boss, *team)
    await doors.open(Scripted("Yes."), administrators=[chat.account(boss)])
    chat.says(boss, "hello")  # Telegram lets a bot write in private once somebody wrote to it
    for who in team[:2]:
        chat.orders(who, "consent yes")
    chat.orders(team[1], "watch on", room)
    await rest(doors)
    assert not Monitor(doors.house.store.engine).watches(TENANT)  # it is for administrators
    chat.orders(boss, "watch on", room)
    await rest(doors)
    assert any("From now on I count" in each.text for each in chat.shown(room))
    place, monitor = channel_of(chat, doors), Monitor(doors.house.store.engine)
    memory = doors.house.store.memory
    chat.says(team[3], "The lunch menu is on the door", chat.another_thread(room))
    await rest(doors)
    (first,) = monitor.heard(place, datetime(2000, 1, 1, tzinfo=UTC))  # the platforms have clocks of their own here
    for i in range(48):  # what is usual there, and how it begins to turn
        person, at = memory.person(f"{chat.name}:{TENANT}:p{i % 8}"), first.at - timedelta(minutes=50 - i)
        mood = (0.03, 0.2) if i < 42 else (0.95, 0.01)
        monitor.note(Heard(f"before{i}", place.key, place.key, person.id, at, *mood, ("lunch",)))
    before = len(chat.files())
    for text in BAD[:3]:
        for who in team:
            chat.says(who, text, chat.another_thread(room))
    await rest(doors)
    alarmed = [each.text for each in chat.shown(boss) if "has turned" in each.text]
    assert len(alarmed) == 1
    assert "printer" in alarmed[0]
    assert chat.files()[before][1].startswith(b"\x89PNG")
    kept = {each.author: each for each in monitor.heard(place, first.at) if each.negative > 0.5}
    ann, ben = (memory.person(f"{chat.name}:{TENANT}:{chat.account(who).partition(':')[2]}") for who in team[:2])
    assert len(kept) == len(team)
    assert {author for author, each in kept.items() if each.text} == {ann.id, ben.id}
    assert copy_of(ann, memory, doors.home)["heard"]
    chat.orders(boss, "mood 7", room)
    await rest(doors)
    assert any("last 7 days" in each.text for each in chat.shown(boss))
    chat.orders(boss, "watch forget", room)
    await rest(doors)
    assert monitor.heard(place, datetime(2000, 1, 1, tzinfo=UTC)) == []


async def test_the_weekly_chart_comes_as_long_as_the_channel_is_watched(doors: Doors, telegram: Chat) -> None:
    chat = telegram
    deputy, boss = chat.person("Deputy"), chat.person("Boss")
    room = chat.room(boss, deputy)
    await doors.open(Scripted("Yes."), administrators=[chat.account(boss), chat.account(deputy)])
    for who in (deputy, boss):
        chat.says(who, "hello")
        chat.orders(who, "watch on", room)
        await rest(doors)
    assert [each.text for each in chat.shown(deputy) if "Another administrator" in each.text]  # it is the boss's now
    assert not any("Another administrator" in each.text for each in chat.shown(boss))
    chat.says(boss, "The new coffee machine is great", room)
    await rest(doors)
    monitor, memory = Monitor(doors.house.store.engine), doors.house.store.memory
    (watch,) = monitor.watches(TENANT)
    chat.orders(boss, "mood", room)
    await rest(doors)
    assert chat.files() == []  # of one person there is no chart, and it is said why
    assert any("fewer than 3 people wrote" in each.text for each in chat.shown(boss))
    (said,) = monitor.heard(watch.place, watch.since - timedelta(days=2))
    for name in ("ann", "ben"):
        person = memory.person(f"telegram:{TENANT}:{name}").id
        monitor.note(Heard(name, watch.place.key, watch.place.key, person, said.at, 0.1, 0.2))
    assert (await doors.delivery.counts()).get("later", 0) >= 1  # it waits in the store, also over a restart

    async def comes(number: int) -> int:
        before = len(chat.files())
        value = f"{number} {watch.since:%Y%m%d%H%M%S%f} {watch.place.key}"
        due = Due(f"opinion/test/{number}", watch.told, watch.account, "opinion", value)
        await doors.delivery.follow(due)
        await rest(doors)
        return len(chat.files()) - before

    assert await comes(1) == 1
    chat.orders(boss, "forget yes")  # who ordered it: nobody is left to be told, so it ends, and not in silence
    await rest(doors)
    assert monitor.watches(TENANT) == []
    assert any("is forgotten now" in each.text for each in chat.shown(Room(room.channel)))
    assert await comes(2) == 0
