"""Who is answered, where, and who is not."""

from tests.connectors.desk.chats import Chat, SlackChat, TelegramChat
from tests.connectors.desk.doors import Doors, Scripted

VACATION = "# Vacation\n\nEverybody has thirty days of vacation a year.\n"
QUESTION = "How many days of vacation do we have a year?"


async def test_a_direct_message_is_answered_with_its_source(doors: Doors, chat: Chat) -> None:
    await doors.open()
    doors.add("vacation.md", VACATION, "everyone")
    ann = chat.person("Ann")
    chat.says(ann, QUESTION)
    await doors.settle()
    first = chat.shown(ann)[0]
    assert first.is_final
    assert "thirty days" in first.text
    assert "vacation.md" in first.text
    assert first.buttons == ("👍", "👎", "Why?")


async def test_a_mention_in_a_channel_is_answered_in_its_thread(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = chat.person("Ann")
    room = chat.room(ann)
    chat.says(ann, "Will you help us?", room, called=True)
    await doors.settle()
    (answer,) = chat.shown(room)
    assert answer.text.startswith("Gladly.")
    assert answer.thread == str(room.thread)


async def test_what_is_not_meant_for_it_is_not_answered(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted())
    ann, bob = chat.person("Ann"), chat.person("Bob")
    room = chat.room(ann, bob)
    chat.says(ann, "Shall we have lunch?", room)
    chat.says(bob, "At noon!", room)
    await doors.settle()
    assert chat.shown(room) == []


async def test_a_thread_is_followed_without_a_new_mention_also_after_a_restart(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted("Gladly."))
    ann, bob = chat.person("Ann"), chat.person("Bob")
    room = chat.room(ann, bob)
    chat.says(ann, "Will you help us?", room, called=True)
    await doors.settle()
    chat.says(bob, "How many days of leave do we have?", room)
    await doors.settle()
    assert len(chat.shown(room)) == 2
    await doors.restart()
    chat.says(ann, "haha, good one", room)  # among people
    chat.says(bob, "Who approves travel expenses?", room)
    await doors.settle()
    assert len(chat.shown(room)) == 3
    other = chat.another_thread(room)
    chat.says(ann, "Something else, among us.", other)
    await doors.settle()
    assert chat.shown(other) == []


async def test_a_restart_repeats_nothing(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = chat.person("Ann")
    chat.says(ann, "Hello!")
    await doors.settle()
    before = len(chat.shown(ann))
    await doors.restart()
    await doors.settle()
    assert len(chat.shown(ann)) == before


async def test_a_generator_that_fails_ends_in_a_sentence(doors: Doors, chat: Chat) -> None:
    class Broken(Scripted):
        async def stream(self, *_):
            raise RuntimeError("some words of somebody's")
            yield

    await doors.open(Broken())
    ann = chat.person("Ann")
    chat.says(ann, "Hello!")
    await doors.settle()
    (shown,) = chat.shown(ann)
    assert shown.text.startswith("Sorry, something went wrong")
    assert "somebody" not in shown.text


async def test_first_called_into_a_thread_it_knows_what_was_said_there(doors: Doors, slack: SlackChat) -> None:
    generator = Scripted()
    await doors.open(generator)
    ann, bob = slack.person("Ann"), slack.person("Bob")
    room = slack.room(ann, bob)
    slack.says(ann, "The fair is on the ninth of May.", room)
    slack.says(bob, "I book the train.", room)
    slack.says(ann, "Did we forget anything?", room, called=True)
    await doors.settle()
    lines = [line.text for line in generator.prompts[0].history.lines]
    assert lines == ["The fair is on the ninth of May.", "I book the train."]


async def test_in_a_group_without_topics_the_answer_is_in_the_group(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = telegram.person("Ann")
    group = telegram.emulator.group("Group", [ann])
    ann.writes("@atelier_bot Will you help us?", group)
    await doors.settle()
    last = telegram.emulator.seen(group)[-1]
    assert (last.text, last.thread) == ("Gladly.", None)
    ann.writes("And with this?", group, reply_to=last)
    await doors.settle()
    assert telegram.emulator.seen(group)[-1].text == "Gladly."
    assert telegram.emulator.seen(group)[-1].author == "bot"


async def test_people_of_two_channels_hear_nothing_of_each_other(doors: Doors, chat: Chat) -> None:
    generator = Scripted()
    await doors.open(generator)
    ann, bob = chat.person("Ann"), chat.person("Bob")
    one, other = chat.room(ann), chat.room(bob)
    chat.says(ann, "Our plan is a blue lighthouse.", one, called=True)
    await doors.settle()
    chat.says(bob, "What is the plan?", other, called=True)
    await doors.settle()
    assert "lighthouse" not in repr(generator.prompts[-1])
    assert len(chat.shown(one)) == len(chat.shown(other)) == 1
