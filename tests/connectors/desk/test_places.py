"""Channels that Atelier loses, that move, and whose members come and go."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from agent.message import Place
from agent.support.curated import Curated
from connectors.desk.access import own_audience
from tests.connectors.desk.chats import Chat, Room, SlackChat, TelegramChat
from tests.connectors.desk.doors import TENANT, Doors, Scripted

CANARY = "heliotrope"
SECRET = f"# Salaries\n\nThe salary of the gardener is {CANARY} seven thousand euros a month.\n"
QUESTION = "What is the salary of the gardener?"
FILE = ("salaries.md", SECRET.encode())


def answered(chat: Chat, where: object) -> Sequence[str]:
    return [shown.text for shown in chat.shown(where) if shown.is_final and shown.text.strip()]


async def test_what_waits_for_a_channel_that_was_left_is_let_go(doors: Doors, chat: Chat) -> None:
    generator = Scripted("Gladly.", waits=True)
    await doors.open(generator)
    ann = chat.person("Ann")
    room = chat.room(ann)
    chat.says(ann, "Hello!", room, called=True)
    await doors.until(lambda: generator.prompts)
    for text in ("One?", "Two?"):
        chat.says(ann, text, room, called=True)
    await doors.until(chat.is_quiet)
    if isinstance(chat, SlackChat):
        ann.removes_bot(room.channel)
    else:
        room.channel.kicks_bot()
    await doors.settle_but(1)
    generator.go.set()
    await doors.settle()
    assert [prompt.message for prompt in generator.prompts] == ["Hello!"]
    assert answered(chat, room) == []


async def test_who_blocks_the_bot_and_comes_back_is_answered_again(doors: Doors, telegram: TelegramChat) -> None:
    generator = Scripted("Gladly.")
    await doors.open(generator)
    ann = telegram.person("Ann")
    telegram.says(ann, "Hello!")
    await doors.settle()
    ann.blocks_bot()
    await doors.settle()
    before = len(telegram.emulator.calls())
    ann.starts()
    telegram.says(ann, "Back again!")
    await doors.settle()
    assert [prompt.message for prompt in generator.prompts] == ["Hello!", "Back again!"]
    assert not any(call.status == 403 for call in telegram.emulator.calls()[before:])


async def test_a_group_that_becomes_a_supergroup_keeps_what_was_said(doors: Doors, telegram: TelegramChat) -> None:
    generator = Scripted("Gladly.")
    ann = telegram.person("Ann")
    await doors.open(generator, administrators=(telegram.account(ann),))
    group = telegram.emulator.group("Group", [ann], privacy=False, basic=True)
    room = Room(group)
    telegram.orders(ann, "rule always", room)
    telegram.says(ann, "My plan is a blue lighthouse.", room)
    await doors.settle()
    new = Room(group.upgrades())
    await doors.settle()
    telegram.says(ann, "What is my plan?", new)
    await doors.settle()
    assert "lighthouse" in repr(generator.prompts[-1].history)
    assert answered(telegram, new) == ["Gladly."]
    answer = telegram.shown(new)[-1]
    telegram.presses(ann, answer, "👍")
    await doors.settle()
    assert [each.rating for each in doors.held(telegram.account(ann)).ratings] == [1]


async def test_its_files_move_with_a_group(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open()
    ann = telegram.person("Ann")
    group = telegram.emulator.group("Group", [ann], privacy=False, basic=True)
    telegram.says(ann, "", Room(group), called=True, files=[FILE])
    await doors.settle()
    entries = Curated(doors.house.store.engine)
    place = Place("telegram", TENANT, str(group.id))
    entry = entries.put("m1", TENANT, "Where is the spade?", "In the shed.", "", own_audience(place))
    new = Room(group.upgrades())
    await doors.settle()
    telegram.says(ann, QUESTION, new, called=True)
    await doors.settle()
    assert CANARY in telegram.shown(new)[-1].text
    moved = entries.get(entry.id)
    assert moved is not None
    assert moved.audience == own_audience(replace(place, channel=str(new.channel.id)))
    telegram.says(ann, "Where is the spade?", new, called=True)
    await doors.settle()
    assert "In the shed." in telegram.shown(new)[-1].text


async def test_a_group_that_settings_name_says_what_to_change(doors: Doors, telegram: TelegramChat) -> None:
    ann = telegram.person("Ann")
    group = telegram.emulator.group("Group", [ann], privacy=False, basic=True)
    await doors.open(Scripted("Gladly."), allowed=(f"telegram:{group.id}",))
    new = group.upgrades()
    await doors.settle()
    told = telegram.shown(Room(new))[-1].text
    assert f"telegram:{new.id}" in told
    assert f"telegram:{group.id}" in told


async def test_a_channels_documents_go_with_its_members(doors: Doors, slack: SlackChat) -> None:
    """Into their direct messages, and into places where nobody else reads; who leaves has lost them."""
    ann, bob, eve = slack.person("Ann"), slack.person("Bob"), slack.person("Eve")
    hr = slack.emulator.channel("C90", "hr", members=[ann, bob], private=True)
    await doors.open(members=(f"hr=slack:{hr}",))
    doors.add("salaries.md", SECRET, "hr")
    narrow = Room(slack.emulator.channel("C91", "narrow", members=[ann, bob], private=True))
    wide = Room(slack.emulator.channel("C92", "wide", members=[ann, bob, eve], private=True))
    public = slack.room(ann, bob)  # whoever is in the workspace can read it
    asked = ((ann, ann, True), (eve, eve, False), (ann, narrow, True), (ann, wide, False), (ann, public, False))
    for who, where, may_read in asked:
        slack.says(who, QUESTION, where if isinstance(where, Room) else None, called=isinstance(where, Room))
        await doors.settle()
        assert any(CANARY in shown.text for shown in slack.shown(where)) is may_read
    bob.leaves(hr)
    eve.joins(hr)
    await doors.settle()
    before = {id(who): len(slack.shown(who)) for who in (bob, eve)}
    for who, may_read in ((bob, False), (eve, True)):
        slack.says(who, QUESTION)
        await doors.settle()
        assert any(CANARY in shown.text for shown in slack.shown(who)[before[id(who)] :]) is may_read
    slack.says(ann, QUESTION, slack.another_thread(narrow), called=True)
    await doors.settle()
    assert CANARY not in slack.shown(Room(narrow.channel))[-1].text


async def test_a_groups_documents_go_with_its_members_into_private(doors: Doors, telegram: TelegramChat) -> None:
    ann, eve = telegram.person("Ann"), telegram.person("Eve")
    group = telegram.emulator.group("HR", [eve, ann], privacy=False)
    group.promotes_bot()
    await doors.open(members=(f"hr=telegram:{group.id}",))
    doors.add("salaries.md", SECRET, "hr")
    for may_read in (True, False):
        before = len(telegram.shown(ann))
        telegram.says(ann, QUESTION)
        await doors.settle()
        assert any(CANARY in shown.text for shown in telegram.shown(ann)[before:]) is may_read
        if may_read:
            group.removes(ann)


async def test_where_every_message_is_answered_everybody_is_told_what_that_means(doors: Doors, chat: Chat) -> None:
    ann, bob = chat.person("Ann"), chat.person("Bob")
    await doors.open(Scripted("Gladly."), administrators=(chat.account(ann),))
    room = chat.room(ann, bob)
    chat.orders(ann, "rule always", room)
    await doors.settle()
    (told,) = [shown for shown in chat.shown(room) if "may train" in shown.text]
    assert not told.only_for
    assert f"{chat.begin}consent yes" in told.text.replace("`", "")


@pytest.mark.parametrize("rule", ["always", "thread"])
async def test_who_comes_into_a_watched_channel_is_told_too(doors: Doors, slack: SlackChat, rule: str) -> None:
    ann, eve = slack.person("Ann"), slack.person("Eve", "de-DE")
    await doors.open(Scripted("Gladly."), administrators=(slack.account(ann),))
    room = slack.room(ann)
    slack.orders(ann, f"rule {rule}", room)
    await doors.settle()
    eve.joins(room.channel)
    await doors.settle()
    told = [shown.text for shown in slack.told(eve, room)]
    assert len(told) == (rule == "always")
    assert all(text.startswith("In diesem Kanal") for text in told)
