"""What people can order, and what only administrators can."""

import json

import pytest

from tests.connectors.desk.chats import Chat, SlackChat, TelegramChat
from tests.connectors.desk.doors import Doors, Scripted

VACATION = "# Vacation\n\nEverybody has thirty days of vacation a year.\n"
QUESTION = "How many days of vacation do we have a year?"
HINT = {
    "mention": "when I am mentioned.",
    "always": "every message",
    "off": "only when I am mentioned, and say nothing",
}


async def test_help_lists_the_commands_as_they_are_written_here(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted())
    ann = chat.person("Ann")
    chat.orders(ann, "help")
    await doors.settle()
    (shown,) = chat.shown(ann)
    assert f"{chat.begin}ideate" in shown.text
    assert "administrators" not in shown.text


async def test_an_unknown_command_is_answered_with_the_way_to_help(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted())
    ann = chat.person("Ann")
    chat.orders(ann, "dance")
    await doors.settle()
    (shown,) = chat.shown(ann)
    assert "There is no command dance" in shown.text.replace("`", "")
    assert f"{chat.begin}help" in shown.text


async def test_in_a_group_a_command_of_another_bot_is_left_to_it(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open(Scripted())
    ann = telegram.person("Ann")
    room = telegram.room(ann)
    telegram.orders(ann, "dance", room)
    await doors.settle()
    assert telegram.shown(room) == []


async def test_sources_and_why_tell_of_ones_own_last_answer(doors: Doors, chat: Chat) -> None:
    await doors.open()
    doors.add("vacation.md", VACATION, "everyone")
    ann, bob = chat.person("Ann"), chat.person("Bob")
    room = chat.room(ann, bob)
    chat.says(ann, QUESTION, room, called=True)
    await doors.settle()
    chat.says(bob, "Thank you, that is all I wanted.", room, called=True)
    await doors.settle()
    if isinstance(chat, TelegramChat):
        ann.starts()  # a bot may write first to nobody
        await doors.settle()
    for order, expected in (("sources", "thirty days of vacation"), ("why", "question")):
        before = len(chat.told(ann, room))
        chat.orders(ann, order, room)
        await doors.settle()
        assert expected in chat.told(ann, room)[before].text
    stranger = chat.person("Cleo")
    elsewhere = chat.room(stranger)
    if isinstance(chat, TelegramChat):
        stranger.starts()
        await doors.settle()
    chat.orders(stranger, "sources", elsewhere)
    await doors.settle()
    assert chat.told(stranger, elsewhere)[-1].text == "Nothing was asked here yet."


async def test_clear_forgets_ones_own_conversation(doors: Doors, chat: Chat) -> None:
    generator = Scripted()
    await doors.open(generator)
    ann = chat.person("Ann")
    chat.says(ann, "My plan is a blue lighthouse.")
    await doors.settle()
    chat.orders(ann, "clear")
    await doors.settle()
    assert chat.shown(ann)[-1].text == "This conversation is forgotten."
    chat.says(ann, "What is my plan?")
    await doors.settle()
    assert "lighthouse" not in repr(generator.prompts[-1])


async def test_in_a_channel_only_administrators_clear(doors: Doors, chat: Chat) -> None:
    generator = Scripted()
    ann, eve = chat.person("Ann"), chat.person("Eve")
    await doors.open(generator, administrators=(chat.account(ann),))
    room = chat.room(ann, eve)
    chat.says(ann, "The plan is a blue lighthouse.", room, called=True)
    await doors.settle()
    chat.orders(eve, "clear", room)
    await doors.settle()
    assert chat.shown(room)[-1].text.startswith("Only administrators can do that.")
    chat.says(eve, "What is the plan?", room, called=True)
    await doors.settle()
    assert "lighthouse" in repr(generator.prompts[-1].history)
    chat.orders(ann, "clear", room)
    await doors.settle()
    assert "forgotten" in chat.shown(room)[-1].text
    assert doors.held(chat.account(ann)).turns == ()
    assert doors.held(chat.account(eve)).turns == ()


@pytest.mark.parametrize("rule", ["mention", "always", "off"])
async def test_an_administrator_sets_when_it_answers(doors: Doors, chat: Chat, rule: str) -> None:
    ann, bob = chat.person("Ann"), chat.person("Bob")
    await doors.open(Scripted("Gladly."), administrators=(chat.account(ann),))
    room = chat.room(ann, bob)
    chat.orders(ann, f"rule {rule}", room)
    await doors.settle()
    assert any(HINT[rule] in shown.text for shown in chat.shown(room))
    chat.says(bob, "Just between us.", room)
    await doors.settle()
    answers = [shown for shown in chat.shown(room) if shown.text.startswith("Gladly.")]
    assert len(answers) == (rule == "always")
    chat.says(bob, "And now with you.", room, called=True)
    await doors.settle()
    chat.says(bob, "Do you follow?", room)
    await doors.settle()
    answers = [shown for shown in chat.shown(room) if shown.text.startswith("Gladly.")]
    assert len(answers) == (3 if rule == "always" else 1)


async def test_nobody_else_sets_the_rule(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted(), administrators=("slack:U0", "telegram:0"))
    eve = chat.person("Eve")
    room = chat.room(eve)
    chat.orders(eve, "rule always", room)
    await doors.settle()
    assert chat.shown(room)[-1].text.startswith("Only administrators can do that.")
    chat.says(eve, "Are you there?", room)
    await doors.settle()
    assert len(chat.shown(room)) == 1


async def test_slack_answers_a_command_to_the_one_who_gave_it(doors: Doors, slack: SlackChat) -> None:
    await doors.open(Scripted())
    ann = slack.person("Ann")
    room = slack.room(ann)
    slack.orders(ann, "help", room)
    await doors.settle()
    (shown,) = slack.shown(room)
    assert shown.only_for == ann.id


async def test_ideate_begins_to_think_a_topic_through(doors: Doors, chat: Chat) -> None:
    await doors.open()
    ann = chat.person("Ann")
    chat.orders(ann, "ideate how might we welcome new colleagues")
    await doors.settle()
    first = chat.shown(ann)[0]
    assert first.is_final
    assert "welcoming new colleagues" in first.text  # whichever technique it takes
    assert "Your ideas first" in first.text
    chat.orders(ann, "ideate")
    await doors.settle()
    assert "Name a topic" in chat.shown(ann)[-1].text


async def test_a_command_where_it_is_not_invited_is_answered_directly(doors: Doors, slack: SlackChat) -> None:
    await doors.open(Scripted())
    ann = slack.person("Ann")
    slack.emulator.channel("C99", "secret", members=[ann], bot_in=False)
    ann.commands("/atelier", "ideate our offsite", "C99")
    await doors.settle()
    (answer,) = slack.shown(ann)
    assert answer.text == "One fine answer."
    slack.presses(ann, answer, "👍")
    await doors.settle()
    assert [each.rating for each in doors.held(slack.account(ann)).ratings] == [1]


async def test_export_hands_a_person_everything_kept_about_them(doors: Doors, chat: Chat) -> None:
    """In a direct message and of them alone; elsewhere it says where."""
    await doors.open(Scripted())
    ann, bob = chat.person("Ann"), chat.person("Bob")
    chat.says(ann, "My locker is number 4711.")
    chat.says(bob, "Mine is number 815.")
    await doors.settle()
    chat.orders(ann, "export", room := chat.room(ann, bob))
    await doors.settle()
    assert any("export to me in a direct message" in each.text.replace("`", "") for each in chat.shown(room))
    assert chat.files() == []
    chat.orders(ann, "export")
    await doors.settle()
    ((name, content),) = chat.files()
    assert name.endswith(".json")
    assert chat.name == "slack" or any(name in each.text for each in chat.shown(ann))  # Slack shows it on the file
    copy = json.loads(content)
    (account,) = copy["accounts"]
    assert account.rpartition(":")[2] == chat.account(ann).rpartition(":")[2]
    assert [turn["message"] for turn in copy["turns"]] == ["My locker is number 4711."]
