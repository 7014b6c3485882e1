"""What was heard is kept once, leaves with its message and its author, and makes an alarm once."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from agent.memory import Memory
from agent.message import Place
from agent.moving import move
from agent.opinion import alarms
from agent.opinion.monitor import KEPT, Monitor, key_of
from agent.opinion.mood import Heard
from agent.opinion.persons import withhold

ROOM, OTHER = Place("slack", "T", "C1"), Place("slack", "T", "C2")
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)


class Channel:
    """A watched channel that people write in."""

    def __init__(self, engine: Engine) -> None:
        self.memory, self.monitor = Memory(engine), Monitor(engine)
        self.people = [self.memory.person(f"slack:T:U{i}") for i in range(12)]
        self.count = 0
        for each in self.people:
            self.memory.people.set_consent(each.id, consent=True)

    def says(self, negative: float, text: str = "", who: int | None = None, *topics: str) -> str:
        key, at = key_of(f"m{self.count}"), NOW + timedelta(minutes=self.count)
        author = self.people[self.count % 12 if who is None else who].id
        self.count += 1
        self.monitor.note(
            Heard(key, ROOM.key, ROOM.key, author, at, negative, 0.5 - negative / 2, topics or ("printer",), text)
        )
        return key

    @property
    def texts(self) -> list[str]:
        return [each.text for each in self.monitor.heard(ROOM, NOW)]


@pytest.fixture
def channel(engine: Engine) -> Channel:
    return Channel(engine)


def test_a_channel_is_watched_until_it_is_not(channel: Channel) -> None:
    monitor = channel.monitor
    assert monitor.watched(ROOM) is None
    assert monitor.watch(ROOM, "slack:T:U1", OTHER, "de")
    assert not monitor.watch(ROOM, "slack:T:U1", OTHER, "de")
    watch = monitor.watched(Place("slack", "T", "C1", "17.1"))
    assert watch is not None
    assert (watch.told, watch.language) == (OTHER, "de")
    channel.says(0.2)
    assert monitor.unwatch(ROOM)
    assert (monitor.watches("T"), len(channel.texts)) == ([], 1)
    assert not monitor.unwatch(ROOM, forget=True)
    assert channel.texts == []


def test_an_edited_message_is_the_same_one_and_a_deleted_one_is_gone(channel: Channel) -> None:
    key = channel.says(0.1, "fine", 1)
    (first,) = channel.monitor.heard(ROOM, NOW)
    assert not channel.monitor.note(Heard(key, ROOM.key, ROOM.key, first.author, NOW, 0.9, 0.0, (), "awful"))
    (now,) = channel.monitor.heard(ROOM, NOW)
    assert (now.text, now.negative, now.at) == ("awful", 0.9, first.at)
    assert channel.monitor.take_back(key)
    assert channel.texts == []


def test_forget_consent_and_a_new_id_reach_it(channel: Channel, engine: Engine) -> None:
    for who in (0, 1, 2):
        channel.says(0.2, f"words of {who}", who)
    channel.monitor.watch(ROOM, "slack:T:U2", OTHER, "en")
    assert withhold(engine, channel.people[1].id) == 1
    assert channel.texts == ["words of 0", "", "words of 2"]
    channel.memory.people.set_consent(channel.people[1].id, consent=False)
    key = channel.says(0.3, "was under way when they took it back", 1)
    assert channel.texts == ["words of 0", "", "words of 2", ""]
    assert channel.monitor.take_back(key)
    assert channel.memory.forget(channel.people[2].id).heard == 1
    assert channel.texts == ["words of 0", ""]
    assert channel.monitor.watched(ROOM) is None  # its reports went to who is forgotten
    forgotten = channel.people[2].id
    assert not channel.monitor.note(Heard("late", ROOM.key, "", forgotten, NOW, 0.2, 0.2))  # was under way
    channel.monitor.watch(ROOM, "slack:T:U1", ROOM, "en")
    move(engine, ROOM, OTHER)
    (watch,) = channel.monitor.watches("T")
    assert (watch.place, watch.told) == (OTHER, OTHER)
    assert len(channel.monitor.heard(OTHER, NOW)) == 2
    assert {each.thread for each in channel.monitor.heard(OTHER, NOW)} == {OTHER.key}


def test_a_surge_makes_one_alarm_with_what_it_is_about(channel: Channel) -> None:
    for i in range(60):
        channel.says(0.9 if i % 10 == 0 else 0.03, "", None, "meeting")
    asked = [channel.monitor.alarm(ROOM, channel.says(0.93)) for _ in range(25)]
    found = [(i, alarm) for i, alarm in enumerate(asked) if alarm]
    assert len(found) == 1
    at, alarm = found[0]
    assert at < 22
    assert alarm.surge.topics == ("printer",)
    assert alarm.share > 0.9
    assert alarm.surge.expected < 0.3
    assert channel.monitor.alarm(ROOM, alarm.key) == alarm  # after a crash it is asked for again
    assert len(channel.monitor.alarms(ROOM, NOW)) == 1
    assert channel.monitor.prune(NOW + KEPT + timedelta(days=2)) == 85


def test_messages_of_one_second_are_followed_in_their_order(channel: Channel) -> None:
    for _ in range(60):
        channel.says(0.03)
    now = NOW + timedelta(hours=2)
    found = []
    for i in range(25):  # Telegram tells whole seconds
        heard = Heard(f"k{i}", ROOM.key, ROOM.key, channel.people[i % 12].id, now, 0.93, 0.02, ("printer",))
        channel.monitor.note(heard)
        found.append(channel.monitor.alarm(ROOM, heard.key))
    assert sum(each is not None for each in found) == 1


def test_an_alarm_goes_with_the_messages_that_made_it(channel: Channel) -> None:
    for _ in range(60):
        channel.says(0.03)
    keys, found = [], []
    for _ in range(25):
        keys.append(channel.says(0.93))
        found.append(channel.monitor.alarm(ROOM, keys[-1]))
    (at,) = [i for i, alarm in enumerate(found) if alarm]
    assert channel.monitor.take_back(keys[at + 1])
    assert len(channel.monitor.alarms(ROOM, NOW)) == 1  # it was made before that
    for key in keys[: at - 4]:
        assert channel.monitor.take_back(key)
    assert channel.monitor.alarms(ROOM, NOW) == []


def test_an_alarm_of_long_ago_stays_when_another_message_is_deleted(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "LOOKED_AT", 100)
    first = channel.says(0.03)
    for _ in range(60):
        channel.says(0.03)
    assert any(channel.monitor.alarm(ROOM, channel.says(0.93)) for _ in range(25))
    for _ in range(110):
        channel.says(0.03)
    assert channel.monitor.take_back(first)
    assert len(channel.monitor.alarms(ROOM, NOW)) == 1


def test_alarms_that_a_deleted_message_is_too_old_for_are_not_read_again(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "LOOKED_AT", 80)
    first = channel.says(0.03)
    for _ in range(90):
        channel.says(0.03)
    assert any(channel.monitor.alarm(ROOM, channel.says(0.93)) for _ in range(25))

    def read(*_: object) -> list[Heard]:
        raise AssertionError("months of alarms would take seconds")

    monkeypatch.setattr(alarms, "latest", read)
    assert channel.monitor.take_back(first)
    assert len(channel.monitor.alarms(ROOM, NOW)) == 1


def test_who_is_forgotten_takes_alarms_along_that_are_none_without_them(channel: Channel) -> None:
    for _ in range(60):
        channel.says(0.03)
    asked = [channel.monitor.alarm(ROOM, channel.says(0.95, "", who)) for _ in range(14) for who in (0, 1, 2)]
    assert sum(alarm is not None for alarm in asked) == 1
    channel.memory.forget(channel.people[0].id)
    assert channel.monitor.alarms(ROOM, NOW) == []  # two are left, and two are too few


def test_a_topic_can_turn_while_the_channel_stays_as_it_is(channel: Channel) -> None:
    for i in range(120):
        channel.says(0.03, "", None, "billing" if i % 3 == 0 else "lunch")
    found = []
    for _ in range(18):
        key = channel.says(0.93, "", None, "billing")
        found.append(channel.monitor.alarm(ROOM, key))
        for _ in range(6):
            channel.says(0.01, "", None, "lunch")
    (alarm,) = [each for each in found if each is not None]
    assert (alarm.surge.is_of_topic, alarm.surge.topics) == (True, ("billing",))
    assert {each.topics for each in alarm.surge.rise} == {("billing",)}
    assert alarm.share > 0.9


def test_one_or_two_angry_people_are_no_mood_of_a_channel(channel: Channel) -> None:
    for who in (0, 1) * 40:
        channel.says(0.03, "", who)
    assert all(channel.monitor.alarm(ROOM, channel.says(0.95, "", who)) is None for who in (0, 1) * 15)


def test_an_alarm_comes_also_where_its_last_message_was_heard_before_another(channel: Channel) -> None:
    for _ in range(60):
        channel.says(0.03)
    now = NOW + timedelta(hours=2)
    rise = [
        Heard(f"k{i}", ROOM.key, ROOM.key, channel.people[i % 12].id, now + timedelta(seconds=i), 0.95, 0.02)
        for i in range(24)
    ]
    asked = []
    for heard in reversed(rise):  # each thread is read by itself
        channel.monitor.note(heard)
        asked.append(channel.monitor.alarm(ROOM, heard.key))
    (alarm,) = {each.key for each in asked if each is not None}
    assert alarm in {heard.key for heard in rise}
    assert len(channel.monitor.alarms(ROOM, NOW)) == 1
