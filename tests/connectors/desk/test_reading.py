"""Files that people send, and documents that not everybody may read."""

import pytest

from tests.connectors.desk.chats import Chat, SlackChat
from tests.connectors.desk.doors import Doors, Scripted

CANARY = "heliotrope"
SECRET = f"# Salaries\n\nThe salary of the gardener is {CANARY} seven thousand euros a month.\n"
QUESTION = "What is the salary of the gardener?"
FILE = ("salaries.md", SECRET.encode())


async def test_a_file_is_read_for_its_conversation_and_for_no_other(doors: Doors, chat: Chat) -> None:
    await doors.open()
    ann, bob = chat.person("Ann"), chat.person("Bob")
    room = chat.room(ann, bob)
    chat.says(ann, "", files=[FILE])
    await doors.settle()
    assert chat.shown(ann)[0].text == "I have read salaries.md for this conversation: ask me about it."
    chat.says(ann, QUESTION)
    await doors.settle()
    assert any(CANARY in shown.text for shown in chat.shown(ann))
    chat.says(ann, QUESTION, room, called=True)
    chat.says(bob, QUESTION)
    await doors.settle()
    for place in (room, bob):
        assert chat.shown(place)
        assert not any(CANARY in shown.text or "salaries.md" in shown.text for shown in chat.shown(place))


async def test_a_file_and_a_question_about_it_in_one_message(doors: Doors, chat: Chat) -> None:
    await doors.open()
    ann = chat.person("Ann")
    chat.says(ann, QUESTION, files=[FILE])
    await doors.settle()
    answer = chat.shown(ann)[0]
    assert CANARY in answer.text
    assert "I have read salaries.md" in answer.text


async def test_an_unreadable_file_is_said_so_in_a_sentence(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = chat.person("Ann")
    chat.says(ann, "", files=[("photo.xyz", b"\x00\x01\x02")])
    await doors.settle()
    said = chat.shown(ann)[0].text
    assert "photo.xyz" in said
    assert "not read" in said
    assert said.endswith(".")
    chat.says(ann, "What is in it?", files=[("broken.pdf", b"%PDF-1.7 nothing")])
    await doors.settle()
    texts = [shown.text for shown in chat.shown(ann)]
    assert any(text.startswith("Gladly.") and "broken.pdf" in text for text in texts)


async def test_a_file_in_a_thread_that_it_does_not_follow_is_not_read(doors: Doors, chat: Chat) -> None:
    await doors.open()
    ann = chat.person("Ann")
    room = chat.room(ann)
    before = len(doors.documents())
    chat.says(ann, "For you all.", room, files=[FILE])
    await doors.settle()
    assert chat.shown(room) == []
    assert len(doors.documents()) == before


async def test_nothing_is_read_for_whom_it_does_not_answer(doors: Doors, chat: Chat) -> None:
    await doors.open(allowed=("slack:U0", "telegram:0"))
    eve = chat.person("Eve")
    before = len(doors.documents())
    chat.says(eve, QUESTION, files=[FILE])
    await doors.settle()
    (shown,) = chat.shown(eve)
    assert "not on the list" in shown.text
    assert chat.account(eve) in shown.text
    assert len(doors.documents()) == before


@pytest.mark.parametrize("who", ["member", "stranger"])
async def test_a_private_document_answers_its_members_alone(doors: Doors, chat: Chat, who: str) -> None:
    ann, eve = chat.person("Ann"), chat.person("Eve")
    await doors.open(members=(f"hr={chat.account(ann)}",))
    doors.add("salaries.md", SECRET, "hr")
    asking = ann if who == "member" else eve
    chat.says(asking, QUESTION)
    await doors.settle()
    assert any(CANARY in shown.text for shown in chat.shown(asking)) == (who == "member")


async def test_in_a_channel_not_even_a_member_draws_it_out(doors: Doors, chat: Chat) -> None:
    ann, eve = chat.person("Ann"), chat.person("Eve")
    await doors.open(members=(f"hr={chat.account(ann)}",))
    doors.add("salaries.md", SECRET, "hr")
    room = chat.room(ann, eve)
    chat.says(ann, QUESTION, room, called=True)
    await doors.settle()
    for order in ("sources", "why"):
        chat.orders(ann, order, room)
        await doors.settle()
    assert len(chat.shown(room)) == 3
    assert not any(CANARY in shown.text for shown in (*chat.shown(room), *chat.shown(ann)))


async def test_a_channel_that_holds_it_may_read_it(doors: Doors, slack: SlackChat) -> None:
    ann, eve = slack.person("Ann"), slack.person("Eve")
    room, other = slack.room(ann, eve), slack.room(ann, eve)
    await doors.open(members=(f"hr=slack:{room.channel}",))
    doors.add("salaries.md", SECRET, "hr")
    for place in (room, other):
        slack.says(eve, QUESTION, place, called=True)
        await doors.settle()
        assert any(CANARY in shown.text for shown in slack.shown(place)) == (place is room)
