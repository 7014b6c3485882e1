"""Sessions across rooms; who may do what; what comes of reactions, edits, timers and old buttons."""

import asyncio
from dataclasses import replace

import pytest

from agent.buttons import Buttons
from agent.ideation.acts import Phase
from agent.message import Place
from connectors.desk import ideation
from connectors.desk.access import Access, own_audience
from tests.connectors.desk.chats import Chat, Room, Shown, SlackChat, TelegramChat
from tests.connectors.desk.doors import TENANT, Doors, Scripted
from tests.connectors.desk.meetings import Meeting, hurry

ELSEWHERE = Place("slack", TENANT, "C0ELSE")
THINGS = ("a buddy", "maps", "lunch", "plants", "a tour", "cake", "letters", "music", "a quiz", "badges")


async def test_a_channel_and_a_group_hold_one_session_with_one_ballot_a_person(
    open_doors: Doors, slack: SlackChat, telegram: TelegramChat
) -> None:
    here, there = Meeting(open_doors, slack, 2), Meeting(open_doors, telegram, 2)
    board = await here.opens()
    code = board.text.split("join ")[1][:6]
    await here.presses("Keep it as it is")
    joined = await there.orders(f"ideate join {code.lower()}")
    assert "Held in 2 chats at once" in joined.text
    await here.says("A buddy for everybody")
    await there.says("A map of who knows what")
    for meeting in (here, there):
        assert "A buddy" in meeting.board.text
        assert "A map" in meeting.board.text
    people = open_doors.house.store.memory.people
    ann = f"slack:{TENANT}:{here.people[0].id}"
    people.link(people.link_code(people.person(ann).id), f"telegram:{TENANT}:{there.people[0].id}")
    await here.orders("ideate vote")
    await here.presses("1")
    assert await there.presses("2") == "Your vote for 2 is in. 1 left."  # the same Ann, at her telephone
    assert await there.presses("1") == "Your vote for 1 is taken back. 2 left."
    assert "1 person voted" in here.board.text


async def test_a_wrong_code_lets_nobody_in(open_doors: Doors, slack: SlackChat, telegram: TelegramChat) -> None:
    await Meeting(open_doors, slack, 1).opens()
    there = Meeting(open_doors, telegram, 1)
    assert "does not exist or is over" in (await there.orders("ideate join AAAAAA")).text


async def test_a_bulb_makes_an_idea_of_anybodys_message_once(open_doors: Doors, chat: Chat) -> None:
    meeting = Meeting(open_doors, chat, 3)
    if isinstance(chat, TelegramChat):
        meeting.room.channel.promotes_bot()
    await meeting.opens()
    await meeting.presses("Keep it as it is")
    await meeting.orders("ideate discuss")
    ann, bob, cem = meeting.people
    said = chat.says(bob, "somebody should just show them round", meeting.room)
    await open_doors.settle()
    assert not meeting.texts()  # people talk now
    for who in (ann, cem):
        chat.reacts(who, said, "💡")
        await open_doors.settle()
    assert meeting.texts() == ["somebody should just show them round"]
    (idea,) = meeting.session.open
    assert idea.authors == (open_doors.house.store.memory.person(f"{chat.name}:{TENANT}:{bob.id}").id,)


async def test_a_message_that_is_changed_changes_its_idea_and_one_taken_back_takes_it(
    open_doors: Doors, slack: SlackChat
) -> None:
    meeting = Meeting(open_doors, slack, 2)
    await meeting.opens()
    await meeting.presses("Keep it as it is")
    said = slack.says(meeting.people[1], "A budy", meeting.room)
    await open_doors.settle()
    meeting.people[1].edits(said, "A buddy")
    await open_doors.settle()
    assert meeting.texts() == ["A buddy"]
    assert meeting.words() == ["A budy", "A buddy"]
    meeting.people[1].deletes(said)
    await open_doors.settle()
    assert not meeting.texts()
    assert meeting.words() == ["[removed]", "[removed]"]


async def test_a_message_taken_back_takes_along_what_its_idea_was_split_into(
    open_doors: Doors, slack: SlackChat
) -> None:
    meeting = Meeting(open_doors, slack, 2)
    await meeting.opens()
    await meeting.presses("Keep it as it is")
    said = slack.says(meeting.people[1], "A map and a tour", meeting.room)
    await open_doors.settle()
    await meeting.says("A buddy")
    await meeting.orders("ideate split 1 A map | A tour", who=0)
    assert sorted(meeting.texts()) == ["A buddy", "A map", "A tour"]
    meeting.people[1].deletes(said)
    await open_doors.settle()
    assert meeting.texts() == ["A buddy"]
    acts = ideation.Sessions(open_doors.house.store.engine).events(meeting.session.session.id)
    assert not any(word in str(each.act) for each in acts for word in ("map", "tour"))


async def test_a_list_follows_its_message_also_where_ideas_are_hidden(open_doors: Doors, slack: SlackChat) -> None:
    meeting = Meeting(open_doors, slack, 2)
    await meeting.opens("new blind how might we welcome new colleagues?")
    await meeting.presses("Keep it as it is")
    bob = meeting.people[1]
    said = slack.says(bob, "- a buddy\n- a mapp\n- a tour", meeting.room)
    await open_doors.settle()
    bob.edits(said, "- a buddy\n- a map\n- a tour\n- cake")
    await open_doors.settle()
    assert sorted(meeting.texts()) == ["a buddy", "a map", "a tour", "cake"]
    bob.edits(said, "- a map\n- cake")
    await open_doors.settle()
    assert sorted(meeting.texts()) == ["a map", "cake"]
    bob.deletes(said)
    await open_doors.settle()
    assert not meeting.texts()


async def test_what_each_is_dealt_stands_on_the_board_and_ideas_fill_the_design_space(
    open_doors: Doors, slack: SlackChat
) -> None:
    meeting = Meeting(open_doors, slack, 2)
    await meeting.opens()
    await meeting.presses("🙋 I take part", who=1)
    await meeting.presses("Keep it as it is")
    await meeting.orders("ideate use role-storming")
    assert "You are **…**." in meeting.board.text
    assert "• Ann: **a child of seven**" in meeting.board.text
    assert "• Bob: **our fiercest rival**" in meeting.board.text
    await meeting.orders("ideate use design space")
    assert "📐" not in meeting.board.text
    await meeting.says("price: free, paid", "place: here, online")
    await meeting.presses("▶ Next question")
    assert "• Bob: **price: free, place: online**" in meeting.board.text
    empty = "price: free, place: here; price: free, place: online; price: paid, place: here; price: paid, place: online"
    assert f"4 combinations are still empty: {empty}." in meeting.board.text
    slack.says(meeting.people[1], "A tour on video", meeting.room)
    await open_doors.settle()
    assert "3 combinations are still empty" in meeting.board.text
    await meeting.orders("ideate cell 3 paid, here", who=1)
    (idea,) = meeting.session.open
    assert idea.values == ("paid", "here")
    assert "1 of 4 combinations" in (await meeting.orders("ideate figures")).text
    assert "**1** 📐 price: free, paid" in meeting.board.text
    await meeting.orders("ideate vote")
    assert "price: free, paid" not in meeting.board.text  # ideas are voted on, nothing else


async def test_a_nudge_that_a_crash_kept_from_being_shown_is_the_same_when_it_is_looked_at_again(
    open_doors: Doors,
) -> None:
    """The look at a session is an event of our own: after a crash it comes again, under the same id."""
    house = open_doors.house
    made = ideation.Ideation.over(house, open_doors.connectors, Access.of((), (), ()), Buttons(house.store.engine))
    sessions, people = made.stand.sessions, [house.store.memory.person(f"slack:{TENANT}:U{i}") for i in range(3)]
    session = sessions.open(Place("slack", TENANT, "C9", "1.1"), people[0], "tea", key="open").board.session.id
    for person in people[1:]:
        sessions.enter(session, person, key=f"in/{person.id}")
    sessions.course.move(session, people[0], Phase.COLLECT, key="on")
    for thing in THINGS:
        board = sessions.add(session, people[0], thing, key=thing).board
    said = made.dues._nudged(board, "look/1")
    assert "not had a word yet" in said
    assert made.dues._nudged(sessions.board(session), "look/1") == said
    assert made.dues._nudged(sessions.board(session), "look/2") == ""  # it rests for a while
    assert len(sessions.board(session).nudges) == 1


async def test_a_bulb_finds_after_a_restart_what_telegram_cannot_look_up(
    open_doors: Doors, telegram: TelegramChat
) -> None:
    meeting = Meeting(open_doors, telegram, 2)
    meeting.room.channel.promotes_bot()
    await meeting.opens()
    await meeting.presses("Keep it as it is")
    await meeting.orders("ideate discuss")
    said = telegram.says(meeting.people[1], "somebody should just show them round", meeting.room)
    await open_doors.settle()
    await open_doors.restart()
    telegram.reacts(meeting.people[0], said, "💡")
    await open_doors.settle()
    assert meeting.texts() == ["somebody should just show them round"]


async def test_buttons_of_a_step_that_is_over_or_of_another_room_do_nothing(
    open_doors: Doors, telegram: TelegramChat
) -> None:
    meeting = Meeting(open_doors, telegram, 2)
    asking = await meeting.opens()
    await meeting.presses("Keep it as it is")
    await meeting.says("A buddy", "A map")
    await meeting.orders("ideate vote")
    voting = meeting.board
    data = _data(telegram, voting, "1")
    await meeting.presses("1", who=1)
    other = telegram.person("Eve")
    room = telegram.room(other)
    telegram.orders(other, "ideate something else", room)
    await open_doors.settle()
    query = _forged(telegram, other, telegram.shown(room)[-1], data)
    await open_doors.settle()
    told = other.was_told(query)
    assert told is not None
    assert "too old" in (told.text or "")
    await meeting.orders("ideate decide")
    assert "2" in meeting.board.text
    await meeting.presses("✅ Take 1")
    first = ideation.Sessions(open_doors.house.store.engine)
    board = next(each for each in map(first.board, first.running(TENANT)) if each.open)
    assert sum(each.value for each in board.votes) == 1
    assert board.session.topic == asking.text.split("💡 ")[1].split("\n")[0]


def _data(telegram: TelegramChat, shown: Shown, label: str) -> str:
    """What a button carries, as somebody who looks into their app's traffic finds it."""
    world = telegram.emulator._world
    message = world.chats[shown.ref.chat_id].messages[shown.ref.message_id]
    rows = (message.now.markup or {})["inline_keyboard"]
    return next(str(each["callback_data"]) for row in rows for each in row if each["text"] == label)


def _forged(telegram: TelegramChat, who: object, shown: Shown, data: str) -> str:
    """A press of a button that stands elsewhere, as a changed client sends it."""
    world = telegram.emulator._world
    message = world.chats[shown.ref.chat_id].messages[shown.ref.message_id]
    markup = message.now.markup
    assert markup is not None
    markup["inline_keyboard"][0][0]["callback_data"] = data
    return str(who.presses(shown.ref, data))


async def test_time_runs_out_while_nobody_serves(
    doors: Doors, slack: SlackChat, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, telegram)
    monkeypatch.setattr(ideation, "MINUTES", ((Phase.COLLECT, 2 / 60),))
    await doors.open()
    meeting = Meeting(doors, slack, 2)
    await meeting.opens()
    slack.presses(meeting.people[0], meeting.board, "Keep it as it is")
    await doors.until(lambda: meeting.session.session.ends is not None)
    await doors.close()
    await asyncio.sleep(2)
    await doors.open()
    await doors.until(lambda: "Talk about them" in meeting.board.text)
    await doors.settle()


async def test_one_who_says_it_all_makes_the_facilitator_ask_the_others_once(
    doors: Doors, slack: SlackChat, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, telegram, look=2.0)
    await doors.open()
    meeting = Meeting(doors, slack, 3)
    await meeting.opens()
    for who in range(3):
        await meeting.presses("🙋 I take part", who=who)
    await meeting.presses("Keep it as it is")
    slack.says(meeting.people[0], "\n".join(f"- {each}" for each in THINGS), meeting.room)
    await doors.until(lambda: any("not had a word" in each.text for each in meeting.shown))
    await asyncio.sleep(4.4)  # two looks later it has not said it again
    assert sum("not had a word" in each.text for each in meeting.shown) == 1
    assert meeting.session.nudges[0].reason.startswith("One person gave 10 of 10")


async def test_who_asks_for_ideas_among_others_gets_a_session_and_alone_a_partner(
    doors: Doors, slack: SlackChat, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = slack
    hurry(monkeypatch, telegram)
    await doors.open(Scripted("What would a child try first?"))
    meeting = Meeting(doors, chat, 2)
    chat.says(meeting.people[0], "let's brainstorm names for our new café", meeting.room, called=True)
    await doors.settle()
    assert "names for our new café" in meeting.board.text
    assert "Step 1 of 7" in meeting.board.text
    chat.says(meeting.people[1], "let's brainstorm names for our boat")
    await doors.settle()
    assert chat.shown(meeting.people[1])[0].text == "What would a child try first?"


@pytest.mark.parametrize("words", ["2", "Let's take 2"])
async def test_who_is_ahead_of_the_question_loses_no_idea(
    open_doors: Doors, telegram: TelegramChat, words: str
) -> None:
    meeting = Meeting(open_doors, telegram, 2)
    await meeting.opens()
    await meeting.says("a buddy for everybody", "I would take the second one")
    assert meeting.texts() == ["a buddy for everybody"]
    assert "1 idea from 1 person" in meeting.board.text
    telegram.says(meeting.people[1], words, meeting.room)  # only who leads chooses
    await open_doors.settle()
    assert meeting.session.session.phase is Phase.REFRAME
    telegram.says(meeting.people[0], words, meeting.room)
    await open_doors.settle()
    assert "What stands in the way" in meeting.board.text
    assert "a buddy for everybody" in meeting.board.text


async def test_anyone_may_lead_where_the_place_wishes(open_doors: Doors, telegram: TelegramChat) -> None:
    meeting = Meeting(open_doors, telegram, 2)
    await meeting.opens("new anyone dots 1 how might we welcome new colleagues?")
    await meeting.presses("Keep it as it is", who=1)
    await meeting.says("A buddy", "A map")
    await meeting.presses("▶ Talk about them", who=1)
    assert "Talk about them" in meeting.board.text
    await meeting.orders("ideate vote", who=1)
    await meeting.presses("1", who=1)
    assert "All your votes are given" in await meeting.presses("2", who=1)


@pytest.mark.parametrize("ends", ["forget yes", "consent no"])
async def test_ideas_of_those_who_agree_are_found_by_later_sessions_until_they_say_otherwise(
    open_doors: Doors, slack: SlackChat, ends: str
) -> None:
    meeting = Meeting(open_doors, slack, 2)
    people = open_doors.house.store.memory.people
    bob = people.person(f"slack:{TENANT}:{meeting.people[1].id}")
    people.set_consent(bob.id, consent=True)
    await meeting.opens()
    await meeting.presses("Keep it as it is")
    await meeting.says("A confetti cannon at the door", "A welcome breakfast with pancakes")
    await meeting.orders("ideate close")
    (kept,) = [each for each in open_doors.documents() if each.startswith("ideas/")]
    place = replace(meeting.session.session.places[0], thread="of a later session")
    for audience, texts in (
        (own_audience(place), ["A welcome breakfast with pancakes"]),
        (own_audience(ELSEWHERE), []),
    ):
        found = open_doors.house.knowledge.search("pancakes or confetti", frozenset({audience}), 5)
        assert [each.text for each in found if each.source == kept] == texts
    slack.orders(meeting.people[1], ends)
    await open_doors.settle()
    assert kept not in open_doors.documents()


async def test_sessions_in_one_channel_keep_apart(open_doors: Doors, slack: SlackChat) -> None:
    one = Meeting(open_doors, slack, 2)
    await one.opens()
    await one.presses("Keep it as it is")
    first = one.room.thread
    slack.orders(one.people[1], "ideate what shall we cook on Friday", one.room)
    await open_doors.settle()
    second = slack.shown(Room(one.room.channel))[-1]
    assert second.ref != first
    assert "what shall we cook" in second.text
    slack.presses(one.people[1], second, "Keep it as it is")
    await open_doors.settle()
    slack.says(one.people[0], "A buddy", Room(one.room.channel, first))
    slack.says(one.people[0], "Pancakes", Room(one.room.channel, second.ref))
    await open_doors.settle()
    sessions = ideation.Sessions(open_doors.house.store.engine)
    boards = [sessions.board(each) for each in sessions.running(TENANT)]
    assert [[idea.text for idea in board.open] for board in boards] == [["A buddy"], ["Pancakes"]]


async def test_a_team_thinks_by_a_technique_of_its_own(
    doors: Doors, slack: SlackChat, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, telegram)
    own = '[[technique]]\nid = "premortem"\ntitle = "Premortem"\nnames = ["premortem"]\nwhen = "before a start"\n'
    stages = "".join(
        f'[[technique.stages]]\nask = "{ask}"\n' for ask in ("It failed. Why?", "What would have saved it?")
    )
    (doors.home / ideation.TECHNIQUES).write_text(own + stages)
    await doors.open()
    meeting = Meeting(doors, slack, 2)
    await meeting.opens()
    assert "before a start" in (await meeting.orders("ideate techniques")).text
    await meeting.orders("ideate use premortem")
    assert "It failed. Why?" in meeting.board.text
    await meeting.presses("▶ Next question")
    assert "What would have saved it?" in meeting.board.text
