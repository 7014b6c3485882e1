"""Messages that are changed or deleted, before their answer is begun and afterwards."""

import time
from typing import Any

import pytest

from connectors.slack.receive import received
from connectors.slack.workspaces import Workspace
from tests.connectors.desk.chats import Chat, SlackChat, TelegramChat
from tests.connectors.desk.doors import Doors, Scripted


async def test_a_message_that_still_waits_is_answered_as_it_reads_now(doors: Doors, chat: Chat) -> None:
    generator = Scripted("Gladly.", waits=True)
    await doors.open(generator)
    ann = chat.person("Ann")
    chat.says(ann, "Hello!")
    await doors.until(lambda: generator.prompts)
    said = chat.says(ann, "What about apples?")
    chat.edits(ann, said, "What about oranges?")
    chat.edits(ann, said, "What about pears?")
    await doors.until(chat.is_quiet)
    generator.go.set()
    await doors.settle()
    assert [prompt.message for prompt in generator.prompts] == ["Hello!", "What about pears?"]
    assert not any("changed your message" in shown.text for shown in chat.shown(ann))


async def test_a_message_changed_after_its_answer_can_be_answered_anew(doors: Doors, chat: Chat) -> None:
    generator = Scripted("Gladly.")
    await doors.open(generator)
    ann, bob = chat.person("Ann"), chat.person("Bob")
    room = chat.room(ann, bob)
    said = chat.says(ann, "What about apples?", room, called=True)
    await doors.settle()
    chat.edits(ann, said, "What about pears?", called=True)
    await doors.settle()
    offer = chat.shown(room)[-1]
    assert offer.text == "You changed your message after I had answered it."
    assert offer.buttons == ("Answer anew",)
    assert len(generator.prompts) == 1
    chat.presses(ann, offer, "Answer anew")
    await doors.settle()
    assert [prompt.message for prompt in generator.prompts] == ["What about apples?", "What about pears?"]
    assert [shown.text for shown in chat.shown(room)].count("Gladly.") == 2


async def test_only_the_author_asks_for_another_answer(doors: Doors, chat: Chat) -> None:
    generator = Scripted("Gladly.")
    await doors.open(generator)
    ann, bob = chat.person("Ann"), chat.person("Bob")
    room = chat.room(ann, bob)
    said = chat.says(ann, "What about apples?", room, called=True)
    await doors.settle()
    chat.edits(ann, said, "What about pears?", called=True)
    await doors.settle()
    offer = chat.shown(room)[-1]
    if isinstance(chat, SlackChat):
        assert offer.only_for == ann.id
    else:
        chat.presses(bob, offer, "Answer anew")
        await doors.settle()
    assert len(generator.prompts) == 1


async def test_a_preview_of_a_link_changes_nothing(doors: Doors, chat: Chat) -> None:
    """Platforms tell of changes that are not in the words."""
    await doors.open(Scripted("Gladly."))
    ann = chat.person("Ann")
    said = chat.says(ann, "Hello!")
    await doors.settle()
    before = len(chat.shown(ann))
    chat.edits(ann, said, "Hello!")
    await doors.settle()
    assert len(chat.shown(ann)) == before


async def test_who_forgets_to_mention_it_may_add_that(doors: Doors, chat: Chat) -> None:
    generator = Scripted("Gladly.")
    await doors.open(generator)
    ann = chat.person("Ann")
    room = chat.room(ann)
    said = chat.says(ann, "What about apples?", room)
    await doors.settle()
    assert generator.prompts == []
    chat.edits(ann, said, "What about apples?", called=True)
    await doors.settle()
    assert [prompt.message for prompt in generator.prompts] == ["What about apples?"]
    assert [shown.text for shown in chat.shown(room)] == ["Gladly."]
    chat.edits(ann, said, "What about pears?", called=True)
    await doors.settle()
    assert len(generator.prompts) == 1
    assert chat.shown(room)[-1].buttons == ("Answer anew",)


async def test_a_message_deleted_before_its_answer_is_not_answered(doors: Doors, slack: SlackChat) -> None:
    generator = Scripted("Gladly.", waits=True)
    await doors.open(generator)
    ann = slack.person("Ann")
    slack.says(ann, "Hello!")
    await doors.until(lambda: generator.prompts)
    ann.deletes(slack.says(ann, "What about apples?"))
    await doors.until(slack.is_quiet)
    generator.go.set()
    await doors.settle()
    assert [prompt.message for prompt in generator.prompts] == ["Hello!"]
    assert [shown.text for shown in slack.shown(ann)].count("Gladly.") == 1


async def test_a_message_deleted_afterwards_is_forgotten(doors: Doors, slack: SlackChat) -> None:
    generator = Scripted("Gladly.")
    await doors.open(generator)
    ann = slack.person("Ann")
    secret = slack.says(ann, "My plan is a blue lighthouse on the hill.")
    await doors.settle()
    slack.says(ann, "What else is there to say?")
    await doors.settle()
    ann.deletes(secret)
    await doors.settle()
    held = doors.held(slack.account(ann))
    assert [turn.message.text for turn in held.turns] == ["What else is there to say?"]
    assert "lighthouse" not in repr(held.turns)
    slack.says(ann, "And what was my plan?")
    await doors.settle()
    assert "lighthouse" not in repr(generator.prompts[-1])


@pytest.mark.parametrize("text", ["/help me", "Hello!"])
async def test_an_edited_order_or_a_silent_message_asks_for_nothing(doors: Doors, chat: Chat, text: str) -> None:
    await doors.open(Scripted("Gladly."))
    ann = chat.person("Ann")
    room = chat.room(ann)
    said = chat.says(ann, "Just between us.", room)
    await doors.settle()
    chat.edits(ann, said, text)
    await doors.settle()
    assert chat.shown(room) == []


WRITTEN = time.time()  # of the messages below: none is older than the minutes in which a change may call


def overtaken(doors: Doors, slack: SlackChat, who: Any, text: str, now: str, edited: int = 1) -> list[Any]:
    """A message that could not be delivered at first, and what became of it, which is told of before it.

    edited: seconds after it was written.
    """
    ts, bot = f"{WRITTEN:.6f}", slack.emulator.bot_user
    said = {"type": "message", "user": who.id, "ts": ts, "text": text}
    where = {"type": "message", "channel": who.dm, "channel_type": "im"}
    changed: dict[str, Any] = {"subtype": "message_deleted", "deleted_ts": ts, "previous_message": said}
    if now:
        later = {**said, "text": now, "edited": {"user": who.id, "ts": f"{WRITTEN + edited:.6f}"}}
        changed = {"subtype": "message_changed", "message": later, "previous_message": said}
    workspace = Workspace(slack.emulator.team_id, "acme", bot, slack.emulator.bot_token)
    outer = {"type": "event_callback", "team_id": slack.emulator.team_id}
    bodies = [
        {**outer, "event_id": f"EvLater{edited}", "event": {**where, **changed, "ts": f"{WRITTEN + edited:.6f}"}},
        {**outer, "event_id": "EvFirst", "event": {**where, **said}},
    ]
    return [received(body, workspace) for body in bodies]


@pytest.mark.parametrize(("now", "waits"), [("What about pears?", True), ("What about pears?", False), ("", False)])
async def test_what_became_of_a_message_may_come_before_it(
    doors: Doors, slack: SlackChat, now: str, waits: bool
) -> None:
    """Slack repeats after minutes what it could not deliver, and delivers meanwhile what came later."""
    generator = Scripted("Gladly.", waits=waits)
    await doors.open(generator)
    ann = slack.person("Ann")
    assert ann.dm
    later, first = overtaken(doors, slack, ann, "What about apples?", now)
    accept = doors.delivery.acceptor("slack")
    await accept([later])
    if now:
        await doors.until(lambda: generator.prompts)
    if not waits:
        await doors.settle()
    await accept([first])
    generator.go.set()
    await doors.settle()
    await accept([first])
    await doors.settle()
    assert [prompt.message for prompt in generator.prompts] == [now] * bool(now)
    assert doors.held(slack.account(ann)).turns[0].message.text == now if now else True


@pytest.mark.parametrize("waits", [True, False])
async def test_of_changes_in_any_order_the_newest_is_answered(doors: Doors, slack: SlackChat, waits: bool) -> None:
    """Also where an older change is repeated after it, before or after its answer."""
    generator = Scripted("Gladly.", waits=True)
    await doors.open(generator)
    ann = slack.person("Ann")
    older, first = overtaken(doors, slack, ann, "What about apples?", "What about pears?", edited=1)
    newer, _ = overtaken(doors, slack, ann, "What about apples?", "What about plums?", edited=2)
    accept = doors.delivery.acceptor("slack")
    if waits:
        slack.says(ann, "Hello!")
        await doors.until(lambda: generator.prompts)
        await accept([newer])
        await accept([older])
        await accept([first])
        generator.go.set()
    else:
        generator.go.set()
        for each in (newer, older, first):
            await accept([each])
            await doors.settle()
    await doors.settle()
    said = [prompt.message for prompt in generator.prompts]
    assert said == ["Hello!"] * waits + ["What about plums?"]
    assert not any("changed your message" in shown.text for shown in slack.shown(ann))


FILE = ("salaries.md", b"# Salaries\n\nThe salary of the gardener is heliotrope seven thousand euros a month.\n")
QUESTION = "What is the salary of the gardener?"


@pytest.mark.parametrize("now", [QUESTION, ""])
async def test_a_message_whose_change_comes_before_it_keeps_its_files(doors: Doors, chat: Chat, now: str) -> None:
    await doors.open()
    ann = chat.person("Ann")
    with chat.overtaken() as deliver:
        said = chat.says(ann, "Waht is the salery?", files=[FILE])
    chat.edits(ann, said, now)
    await doors.settle()
    (answer,) = [shown for shown in chat.shown(ann) if "I have read salaries.md" in shown.text]
    assert ("heliotrope" in answer.text) == bool(now)
    before = chat.shown(ann)
    deliver()
    await doors.settle()
    assert chat.shown(ann) == before, "it is answered already"


async def test_a_message_in_a_thread_whose_change_comes_before_it_is_answered_there(doors: Doors, chat: Chat) -> None:
    generator = Scripted("Gladly.")
    await doors.open(generator)
    ann = chat.person("Ann")
    room = chat.room(ann)
    chat.says(ann, "Hello!", room, called=True)
    await doors.settle()
    with chat.overtaken() as deliver:
        said = chat.says(ann, "What about apples?", room, called=True)
    chat.edits(ann, said, "What about pears?", called=True)
    await doors.settle()
    deliver()
    await doors.settle()
    assert [prompt.message for prompt in generator.prompts] == ["Hello!", "What about pears?"]
    assert [shown.text for shown in chat.shown(room)] == ["Gladly.", "Gladly."]


async def test_a_reply_whose_change_comes_before_it_calls_as_it_did(doors: Doors, telegram: TelegramChat) -> None:
    generator = Scripted("Gladly.")
    await doors.open(generator)
    ann = telegram.person("Ann")
    group = telegram.emulator.group("Group", [ann], privacy=True)
    ann.writes(f"@{telegram.emulator.username} Hello!", group)
    await doors.settle()
    answer = telegram.emulator.seen(group)[-1]
    with telegram.overtaken() as deliver:
        said = ann.writes("What about apples?", group, reply_to=answer)
    ann.edits(said, "What about pears?")
    await doors.settle()
    deliver()
    await doors.settle()
    assert [prompt.message for prompt in generator.prompts] == ["Hello!", "What about pears?"]
    ann.edits(said, "What about plums?")
    await doors.settle()
    assert len(generator.prompts) == 2
    assert "Answer anew" in str(telegram.emulator.seen(group)[-1].buttons)
