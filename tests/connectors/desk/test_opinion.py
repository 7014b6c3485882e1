"""A watched channel: everybody is told, words are kept of who agreed, administrators get charts and an alarm."""

from datetime import UTC, datetime, timedelta

from agent.events import Due
from agent.message import Place
from agent.opinion.monitor import Monitor
from agent.opinion.mood import Heard
from connectors.privacy import copy_of
from tests.connectors.desk.chats import Chat, SlackChat
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


async def test_from_watch_to_alarm_and_chart(doors: Doors, chat: Chat) -> None:
    boss, *team = (chat.person(name) for name in ("Boss", "Ann", "Ben", "Cem", "Dee"))
    room = chat.room(boss, *team)
    await doors.open(Scripted("Yes."), administrators=[chat.account(boss)])
    chat.says(boss, "hello")  # Telegram lets a bot write in private once somebody wrote to it
    chat.says(team[0], "hello")
    chat.orders(team[0], "consent yes")
    chat.orders(team[1], "watch on", room)
    await rest(doors)
    assert not Monitor(doors.house.store.engine).watches(TENANT)  # it is for administrators
    chat.orders(boss, "watch on", room)
    await rest(doors)
    assert any("From now on I count" in each.text for each in chat.shown(room))
    place, monitor = channel_of(chat, doors), Monitor(doors.house.store.engine)
    memory = doors.house.store.memory
    there = chat.another_thread(room) if isinstance(chat, SlackChat) else room
    chat.says(team[3], "The lunch menu is on the door", there)
    await rest(doors)
    (first,) = monitor.heard(place, datetime(2000, 1, 1, tzinfo=UTC))  # the platforms have clocks of their own here
    for i in range(40):  # what is usual there
        person, at = memory.person(f"{chat.name}:{TENANT}:calm{i % 8}"), first.at - timedelta(minutes=50 - i)
        monitor.note(Heard(f"calm{i}", place.key, place.key, person.id, at, 0.03, 0.2, ("lunch",)))
    before = len(chat.files())
    for text in BAD * 3:
        for who in team:
            if len(monitor.alarms(place, datetime(2000, 1, 1, tzinfo=UTC))):
                break
            chat.says(who, text, chat.another_thread(room) if isinstance(chat, SlackChat) else room)
            await rest(doors)
    alarmed = [each.text for each in chat.shown(boss) if "has turned" in each.text]
    assert len(alarmed) == 1
    assert "printer" in alarmed[0]
    assert chat.files()[before][1].startswith(b"\x89PNG")
    kept = {each.author: each for each in monitor.heard(place, datetime(2000, 1, 1, tzinfo=UTC)) if each.negative > 0.5}
    ann = memory.person(f"{chat.name}:{TENANT}:{chat.account(team[0]).partition(':')[2]}")
    assert [bool(each.text) for author, each in kept.items()] == [author == ann.id for author in kept]
    assert copy_of(ann, memory)["heard"]
    chat.orders(boss, "mood 7", room)
    await rest(doors)
    assert any("last 7 days" in each.text for each in chat.shown(boss))
    chat.orders(boss, "watch forget", room)
    await rest(doors)
    assert monitor.heard(place, datetime(2000, 1, 1, tzinfo=UTC)) == []


async def test_the_weekly_chart_comes_as_long_as_the_channel_is_watched(doors: Doors, telegram: Chat) -> None:
    chat = telegram
    boss = chat.person("Boss")
    room = chat.room(boss)
    await doors.open(Scripted("Yes."), administrators=[chat.account(boss)])
    chat.says(boss, "hello")
    chat.orders(boss, "watch on", room)
    chat.says(boss, "The new coffee machine is great", room)
    await rest(doors)
    monitor = Monitor(doors.house.store.engine)
    (watch,) = monitor.watches(TENANT)
    assert (await doors.delivery.counts()).get("later", 0) >= 1  # it waits in the store, also over a restart

    async def comes(number: int) -> int:
        before = len(chat.files())
        value = f"{number} {watch.since:%Y%m%d%H%M%S%f} {watch.place.key}"
        due = Due(f"opinion/test/{number}", watch.told, watch.account, "opinion", value)
        await doors.delivery.follow(due)
        await rest(doors)
        return len(chat.files()) - before

    assert await comes(1) == 1
    monitor.unwatch(watch.place)
    assert await comes(2) == 0
