"""Previews as drafts in Telegram's private chats: the placeholder comes last, and becomes the answer."""

from tests.connectors.desk.chats import TelegramChat
from tests.connectors.desk.doors import Doors, Scripted

WORDS = "One after the other the words of this answer arrive, until all of them are there at last."


async def test_a_draft_flows_and_a_placeholder_becomes_the_answer(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open(Scripted(WORDS, pace=0.15), telegram_previews="drafts")
    ann = telegram.person("Ann")
    telegram.says(ann, "Hello!")
    await doors.until(lambda: [line for line in telegram.emulator.seen(ann) if line.draft and line.text])
    assert telegram.shown(ann) == []  # no message yet
    await doors.settle()
    answer = telegram.shown(ann)[0]
    assert answer.text == WORDS
    assert "👍" in answer.buttons
    assert telegram.emulator.history(answer.ref.message_id) == ["…", WORDS]
    assert not [line for line in telegram.emulator.seen(ann) if line.draft]
    shown = [draft.text for draft in telegram.emulator.drafts(ann)]
    assert shown[0] == ""  # Telegram says "Thinking…"
    assert all(WORDS.startswith(text) for text in shown)
    assert len({draft.draft_id for draft in telegram.emulator.drafts(ann)}) == 1


async def test_in_a_group_there_are_edits_all_the_same(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open(Scripted(WORDS), telegram_previews="drafts")
    ann = telegram.person("Ann")
    room = telegram.room(ann)
    telegram.says(ann, "Hello!", room, called=True)
    await doors.settle()
    assert [shown.text for shown in telegram.shown(room)] == [WORDS]
    assert telegram.emulator.calls("sendMessageDraft") == []


async def test_where_drafts_are_unknown_there_are_edits(doors: Doors, telegram: TelegramChat) -> None:
    telegram.emulator.fail_next("sendMessageDraft", status=404)
    await doors.open(Scripted(WORDS, pace=0.01), telegram_previews="drafts")
    ann = telegram.person("Ann")
    telegram.says(ann, "Hello!")
    await doors.settle()
    assert telegram.shown(ann)[0].text == WORDS
    assert telegram.emulator.drafts(ann) == []
