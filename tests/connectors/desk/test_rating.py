"""What people think of an answer reaches memory, whichever way they say it."""

from tests.connectors.desk.chats import Chat, SlackChat, TelegramChat
from tests.connectors.desk.doors import Doors, Scripted


def ratings(doors: Doors, account: str) -> list[tuple[int, str]]:
    return [(each.rating, each.comment) for each in doors.held(account).ratings]


async def test_a_thumb_up_is_noted_and_thanked_for(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = chat.person("Ann")
    chat.says(ann, "Hello!")
    await doors.settle()
    chat.presses(ann, chat.shown(ann)[0], "👍")
    await doors.settle()
    assert ratings(doors, chat.account(ann)) == [(1, "")]
    assert chat.shown(ann)[-1].text == "Thank you, noted."


async def test_whoever_reads_an_answer_may_rate_it_and_change_their_mind(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open(Scripted("Gladly."))
    ann, bob = telegram.person("Ann"), telegram.person("Bob")
    room = telegram.room(ann, bob)
    telegram.says(ann, "Hello!", room, called=True)
    await doors.settle()
    answer = telegram.shown(room)[0]
    telegram.presses(bob, answer, "👍")
    await doors.settle()
    telegram.presses(bob, answer, "👎")
    await doors.settle()
    assert ratings(doors, telegram.account(bob)) == [(-1, "")]
    assert ratings(doors, telegram.account(ann)) == []


async def test_slack_asks_for_the_reason_of_a_thumb_down(doors: Doors, slack: SlackChat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = slack.person("Ann")
    room = slack.room(ann)
    slack.says(ann, "Hello!", room, called=True)
    await doors.settle()
    slack.presses(ann, slack.shown(room)[0], "👎")
    await doors.until(lambda: slack.emulator.views(ann.id))
    assert "What was wrong, or missing?" in repr(slack.emulator.views(ann.id))
    ann.submits({"answer": "It is out of date."})
    await doors.settle()
    assert ratings(doors, slack.account(ann)) == [(-1, "It is out of date.")]
    thanks = slack.shown(room)[-1]
    assert thanks.text.startswith("Thank you. I have noted")
    assert thanks.only_for == ann.id


async def test_a_reaction_rates(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = chat.person("Ann")
    room = chat.room(ann)
    if isinstance(chat, TelegramChat):
        room.channel.promotes_bot()  # Telegram tells of reactions only administrators
    chat.says(ann, "Hello!", room, called=True)
    await doors.settle()
    (answer,) = chat.shown(room)
    chat.reacts(ann, answer, "👎")
    await doors.settle()
    assert ratings(doors, chat.account(ann)) == [(-1, "")]
    assert len(chat.shown(room)) == 1
    if isinstance(chat, TelegramChat):
        ann.reacts(answer.ref)
    else:
        ann.unreacts(answer.ref, "-1")
    await doors.settle()
    assert ratings(doors, chat.account(ann)) == []


async def test_a_reaction_in_one_chat_rates_nothing_in_another(doors: Doors, telegram: TelegramChat) -> None:
    """Telegram counts messages for each chat, so two chats have a message of the same number."""
    await doors.open(Scripted("Gladly."))
    ann, bob = telegram.person("Ann"), telegram.person("Bob")
    rooms = [telegram.room(ann, bob), telegram.room(bob, ann)]
    for room in rooms:
        room.channel.promotes_bot()
        telegram.says(ann, "Hello!", room, called=True)
        await doors.settle()
    answers = [telegram.shown(room)[0] for room in rooms]
    assert answers[0].ref.message_id == answers[1].ref.message_id
    telegram.reacts(bob, answers[1], "👍")
    await doors.settle()
    for rating in doors.held(telegram.account(bob)).ratings:
        turn = doors.house.store.memory.turn(rating.turn)
        assert turn is not None
        assert turn.message.place.channel == str(rooms[1].channel.id)


async def test_a_button_of_an_answer_that_was_cleared_says_so(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = chat.person("Ann")
    chat.says(ann, "Hello!")
    await doors.settle()
    answer = chat.shown(ann)[0]
    chat.orders(ann, "clear")
    await doors.settle()
    chat.presses(ann, answer, "👍")
    await doors.settle()
    assert "nothing was done" in chat.shown(ann)[-1].text
