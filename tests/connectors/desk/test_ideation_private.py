"""Ideas that are given where nobody else reads: by a link, in a form, on sheets that go round; and by whom no more."""

from tests.connectors.desk.chats import SlackChat, TelegramChat
from tests.connectors.desk.doors import Doors
from tests.connectors.desk.meetings import Meeting


async def test_blind_ideas_come_by_a_link_and_stay_hidden_until_they_are_shown(
    open_doors: Doors, telegram: TelegramChat
) -> None:
    meeting = Meeting(open_doors, telegram, 2)
    board = await meeting.opens("new blind how might we welcome new colleagues?")
    await meeting.presses("Keep it as it is")
    board = meeting.board
    assert "t.me/" in board.text
    bob = meeting.people[1]
    bob.starts(board.text.split("?start=")[1].split()[0])
    await open_doors.settle()
    assert "Every message you send me here is an idea" in telegram.shown(bob)[-1].text
    telegram.says(bob, "A buddy for everybody")
    await open_doors.settle()
    assert telegram.shown(bob)[-1].text == "Noted as idea 1. For now only you can see it."
    assert "A buddy" not in meeting.board.text
    assert "1 hidden until" in meeting.board.text
    await open_doors.restart()
    telegram.says(bob, "- a map\n- a tour")
    await open_doors.settle()
    assert "Noted: ideas 2, 3." in telegram.shown(bob)[-1].text
    assert "map" not in (await meeting.orders("ideate figures")).text
    await meeting.presses("▶ See them all")
    assert "A buddy" in meeting.board.text


async def test_in_slack_an_idea_is_given_in_a_form_that_nobody_else_sees(open_doors: Doors, slack: SlackChat) -> None:
    meeting = Meeting(open_doors, slack, 2)
    await meeting.opens("new blind how might we welcome new colleagues?")
    await meeting.presses("Keep it as it is")
    bob = meeting.people[1]
    slack.presses(bob, meeting.board, "💡 Add an idea")
    await open_doors.until(lambda: bob.user.views)
    bob.submits({"answer": "A buddy for everybody"})
    await open_doors.settle()
    assert meeting.whispers(bob)[-1].text == "Noted as idea 1. For now only you can see it."
    assert meeting.texts() == ["A buddy for everybody"]
    assert "A buddy" not in meeting.board.text


async def test_brainwriting_sends_the_sheets_round_in_private(open_doors: Doors, telegram: TelegramChat) -> None:
    chat, meeting = telegram, Meeting(open_doors, telegram, 3)
    for person in meeting.people:
        person.starts()  # whoever never opened the bot cannot be written to
    await meeting.opens()
    for who in range(3):
        await meeting.presses("🙋 I take part", who=who)
    await meeting.presses("Keep it as it is")
    await meeting.orders("ideate use 6-3-5")
    assert "round 1 of 3: I write to each of you in private" in meeting.board.text
    for who, person in enumerate(meeting.people):
        assert "An empty sheet lies before you" in chat.shown(person)[-1].text
        chat.says(person, f"- {who} one\n- {who} two\n- {who} three")
        await open_doors.settle()
    assert "round 2 of 3" in meeting.board.text  # everybody has given three, so the sheets go on
    # the sheet and "Noted" go out side by side, so the last one's may come in either order
    told = [[shown.text for shown in chat.shown(person)[-2:]] for person in meeting.people]
    sheets = [next(text for text in reversed(texts) if "• " in text) for texts in told]
    for who, sheet in enumerate(sheets):
        assert f"{who} one" not in sheet
        assert sheet.count("• ") == 3
    assert "one" not in meeting.board.text


async def test_who_writes_in_private_is_let_go_when_they_think_about_their_own(
    open_doors: Doors, telegram: TelegramChat
) -> None:
    meeting = Meeting(open_doors, telegram, 2)
    await meeting.opens("new blind how might we welcome new colleagues?")
    await meeting.presses("Keep it as it is")
    bob = meeting.people[1]
    bob.starts(meeting.board.text.split("?start=")[1].split()[0])
    await open_doors.settle()
    telegram.says(bob, "A buddy")
    await open_doors.settle()
    telegram.orders(bob, "ideate a present for my boss")
    await open_doors.settle()
    telegram.says(bob, "A one-way ticket")
    await open_doors.settle()
    assert meeting.texts() == ["A buddy"]


async def test_who_has_left_the_group_writes_for_its_session_no_more(open_doors: Doors, telegram: TelegramChat) -> None:
    meeting = Meeting(open_doors, telegram, 2)
    await meeting.opens("new blind how might we welcome new colleagues?")
    await meeting.presses("Keep it as it is")
    bob, link = meeting.people[1], meeting.board.text.split("?start=")[1].split()[0]
    bob.starts(link)
    await open_doors.settle()
    telegram.says(bob, "A buddy")
    await open_doors.settle()
    meeting.room.channel.removes(bob)
    told = []
    for comes in (lambda: telegram.says(bob, "A trap door"), lambda: bob.starts(link)):
        comes()
        await open_doors.settle()
        told.append(telegram.shown(bob)[-1].text)
    assert all("no longer in the channel" in each for each in told)
    assert meeting.texts() == ["A buddy"]
    telegram.says(bob, "A trap door")  # what he writes is his own again
    await open_doors.settle()
    assert meeting.texts() == ["A buddy"]


async def test_a_private_chat_of_who_is_forgotten_hears_no_more_of_the_session(
    open_doors: Doors, telegram: TelegramChat
) -> None:
    meeting = Meeting(open_doors, telegram, 2)
    ann, bob = meeting.people
    telegram.orders(bob, "ideate new how might we welcome new colleagues?")
    await open_doors.settle()
    await meeting.orders(f"ideate join {meeting.session.session.code}")
    await meeting.presses("🙋 I take part")
    assert len(meeting.session.session.places) == 2
    telegram.orders(bob, "forget yes")
    await open_doors.settle()
    (told,) = [each.text for each in telegram.shown(bob) if "Checked" in each.text]
    assert "still in" not in told
    (place,) = meeting.session.session.places
    assert place.channel != str(bob.id)
    before = telegram.shown(bob)
    await meeting.orders("ideate use brainstorming")
    telegram.says(ann, "A map of the house", meeting.room)
    await open_doors.settle()
    assert meeting.texts() == ["A map of the house"]
    assert telegram.shown(bob) == before
