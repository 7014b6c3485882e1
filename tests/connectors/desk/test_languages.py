"""People are spoken to in their language, and what is for one of them is told to one."""

import re

import pytest

from tests.connectors.desk.chats import Chat, SlackChat, TelegramChat
from tests.connectors.desk.doors import Doors, Scripted

VACATION = "# Urlaub\n\nAlle haben dreißig Tage Urlaub im Jahr.\n"


async def test_slack_is_asked_once_which_language_somebody_reads(doors: Doors, slack: SlackChat) -> None:
    await doors.open(Scripted("Gern."))
    ann = slack.person("Anna", "de-DE")
    slack.orders(ann, "help")
    await doors.settle()
    assert slack.shown(ann)[0].text.startswith("Stell eine Frage")
    slack.says(ann, "Hallo!")
    await doors.settle()
    question = slack.shown(ann)[-1]
    assert question.text.startswith("Eine Frage, nur einmal")
    slack.presses(ann, question, "Ja")
    await doors.settle()
    assert slack.shown(ann)[-1].text.startswith("Danke.")
    ann.opens_app("home")
    await doors.until(lambda: slack.emulator.home(ann.id))
    assert "Datenschutz" in repr(slack.emulator.home(ann.id))
    assert len(slack.emulator.calls("users.info")) == 1


async def test_slack_asks_for_a_reason_in_german(doors: Doors, slack: SlackChat) -> None:
    await doors.open(Scripted("Gern."))
    ann = slack.person("Anna", "de-DE")
    slack.says(ann, "Hallo!")
    await doors.settle()
    slack.presses(ann, slack.shown(ann)[0], "👎")
    await doors.until(lambda: slack.emulator.views(ann.id))
    assert "Was war falsch" in repr(slack.emulator.views(ann.id))
    assert "Senden" in repr(slack.emulator.views(ann.id))


async def test_without_a_language_it_goes_on_in_english(doors: Doors, slack: SlackChat) -> None:
    slack.emulator.fail_next("users.info", error="missing_scope")
    await doors.open(Scripted("Gladly."))
    ann = slack.person("Anna", "de-DE")
    slack.orders(ann, "help")
    await doors.settle()
    assert slack.shown(ann)[0].text.startswith("Ask a question")


async def test_a_german_question_gets_german_words_around_its_quotes(doors: Doors, chat: Chat) -> None:
    await doors.open()
    doors.add("urlaub.md", VACATION, "everyone")
    ann = chat.person("Anna", "de-DE")
    chat.says(ann, "Wie viele Tage Urlaub haben alle im Jahr?")
    await doors.settle()
    assert "dreißig Tage Urlaub" in chat.shown(ann)[0].text
    chat.says(ann, "Wer hat gestern das Fahrrad repariert?")
    await doors.settle()
    said = next(shown.text for shown in reversed(chat.shown(ann)) if "👍" in shown.buttons)
    assert "The documents" not in said
    assert re.search("Dokumente|Ich bin nicht sicher", said)
    chat.orders(ann, "why")
    await doors.settle()
    assert "Frage" in chat.shown(ann)[-1].text


async def test_telegram_shows_each_its_menu(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open(Scripted())
    calls = [call.params for call in telegram.emulator.calls("setMyCommands")]
    menus = {
        call.get("language_code"): {each["command"]: each["description"] for each in call["commands"]} for call in calls
    }
    assert menus[None]["stop"] == menus["en"]["stop"] == "Stop the answer that is being written"
    assert menus["de"]["stop"] == "Die laufende Antwort anhalten"
    assert set(menus["de"]) == set(menus["en"])


async def test_in_a_telegram_group_a_personal_answer_comes_in_private(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open(Scripted("Gladly."))
    ann, bob = telegram.person("Ann"), telegram.person("Bob")
    room = telegram.room(ann, bob)
    telegram.says(ann, "Hello!", room, called=True)
    await doors.settle()
    before = len(telegram.shown(room))
    telegram.orders(ann, "why", room)
    await doors.settle()
    (told,) = telegram.shown(room)[before:]
    assert told.text.startswith("That is for you alone")
    assert "https://t.me/atelier_bot?start=hello" in told.text
    ann.starts("hello")
    await doors.settle()
    telegram.orders(ann, "why", room)
    await doors.settle()
    assert len(telegram.shown(room)) == before + 1
    assert "reads as" in telegram.shown(ann)[-1].text


async def test_in_a_group_a_press_is_answered_on_the_button(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open(Scripted("Gladly."))
    ann, bob = telegram.person("Ann"), telegram.person("Bob", "de")
    room = telegram.room(ann, bob)
    telegram.says(ann, "Hello!", room, called=True)
    await doors.settle()
    (answer,) = telegram.shown(room)
    for who, label, expected in ((ann, "👍", "Thank you, noted."), (bob, "👎", "Danke.")):
        query = who.presses(answer.ref, label)
        await doors.settle()
        told = who.was_told(query)
        assert told is not None
        assert told.text.startswith(expected)
    assert len(telegram.shown(room)) == 1


async def test_a_reply_tells_what_was_wrong(doors: Doors, telegram: TelegramChat) -> None:
    generator = Scripted("Gladly.")
    await doors.open(generator)
    ann = telegram.person("Ann")
    telegram.says(ann, "Hello!")
    await doors.settle()
    telegram.presses(ann, telegram.shown(ann)[0], "👎")
    await doors.settle()
    asked = telegram.shown(ann)[-1]
    assert "Reply to this message" in asked.text
    ann.writes("It is out of date.", reply_to=asked.ref)
    await doors.settle()
    ratings = doors.held(telegram.account(ann)).ratings
    assert [(each.rating, each.comment) for each in ratings] == [(-1, "It is out of date.")]
    assert telegram.shown(ann)[-1].text == "Thank you. I have noted what was wrong."
    assert len(generator.prompts) == 1
    ann.writes("And what else?", reply_to=telegram.shown(ann)[0].ref)
    await doors.settle()
    assert len(generator.prompts) == 2


async def test_a_link_joins_accounts_with_one_touch(doors: Doors, slack: SlackChat, telegram: TelegramChat) -> None:
    await doors.open(Scripted("Gladly."))
    here, there = slack.person("Ann"), telegram.person("Ann")
    slack.orders(here, "link")
    await doors.settle()
    link = re.search(r"https://t\.me/atelier_bot\?start=([\w-]+)", slack.shown(here)[-1].text)
    assert link is not None
    there.starts(link[1])
    await doors.settle()
    assert "one person" in telegram.shown(there)[-1].text
    assert doors.held(slack.account(here)) == doors.held(telegram.account(there))
    there.starts(link[1])
    await doors.settle()
    assert "one person" in telegram.shown(there)[-1].text
    other = telegram.person("Bob")
    other.starts(link[1])
    await doors.settle()
    assert "used already" in telegram.shown(other)[-1].text


async def test_a_suggestion_is_asked_with_one_touch(doors: Doors, telegram: TelegramChat) -> None:
    generator = Scripted("Gladly.")
    await doors.open(generator)
    ann = telegram.person("Ann")
    ann.starts()
    await doors.settle()
    (greeting,) = telegram.shown(ann)
    assert "What can you do?" in greeting.buttons
    telegram.presses(ann, greeting, "What can you do?")
    await doors.settle()
    assert [prompt.message for prompt in generator.prompts] == ["What can you do?"]


@pytest.mark.parametrize("name", ["holiday.jpg", "song.ogg"])
async def test_what_cannot_be_read_yet_is_said_so_plainly(doors: Doors, chat: Chat, name: str) -> None:
    await doors.open(Scripted("Gladly."))
    ann = chat.person("Anna", "de-DE")
    chat.says(ann, "", files=[(name, b"\xff\xd8\xff")])
    await doors.settle()
    said = chat.shown(ann)[0].text
    assert "kann ich noch nicht" in said
    assert name in said


async def test_several_files_are_each_answered_for(doors: Doors, slack: SlackChat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = slack.person("Ann")
    files = [
        ("plan.md", b"# Plan\n\nWe build a lighthouse on the hill.\n"),
        ("photo.png", b"\x89PNG"),
        ("old.zip", b"PK"),
    ]
    slack.says(ann, "", files=files)
    await doors.settle()
    said = slack.shown(ann)[0].text
    assert "I have read plan.md" in said
    assert "Pictures cannot be read yet, so photo.png was left out." in said
    assert "old.zip" in said


async def test_a_file_that_is_too_large_says_what_to_do(doors: Doors, telegram: TelegramChat) -> None:
    await doors.open(Scripted("Gladly."))
    ann = telegram.person("Ann")
    telegram.says(ann, "", files=[("huge.pdf", bytes(22 * 1024 * 1024))])
    await doors.settle()
    assert telegram.shown(ann)[0].text == (
        "huge.pdf has 22 MB, and 20 MB is the most. Split it, or give it to whoever runs Atelier."
    )


async def test_forgetting_reaches_what_still_waits(doors: Doors, telegram: TelegramChat) -> None:
    generator = Scripted("Gladly.", waits=True)
    await doors.open(generator)
    ann, bob = telegram.person("Ann"), telegram.person("Bob")
    room = telegram.room(ann, bob)
    telegram.says(bob, "Hello!", room, called=True)
    await doors.until(lambda: generator.prompts)
    telegram.says(ann, "My plan is a blue lighthouse.", room, called=True)
    telegram.says(bob, "And mine is a red one.", room, called=True)
    await doors.until(telegram.is_quiet)
    telegram.orders(ann, "forget yes")
    await doors.until(lambda: any(shown.is_final for shown in telegram.shown(ann)))
    assert "Messages that still waited dropped: 1." in telegram.shown(ann)[-1].text
    generator.go.set()
    await doors.settle()
    assert [prompt.message for prompt in generator.prompts] == ["Hello!", "And mine is a red one."]
    assert b"blue lighthouse" not in (doors.home / "store.db").read_bytes()
