"""The knowledge grows: from a question nobody could answer to a gap, a case, and an answer for the next who asks."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from agent.events import Due
from agent.message import Place
from agent.support.audit import Audit
from agent.support.curated import Curated, State
from connectors.sources_schedule import Schedule, begin, next_digest, round_of
from retrieval.errors import SettingsError
from tests.connectors.desk.chats import Chat, Room, SlackChat, TelegramChat
from tests.connectors.desk.doors import TENANT, Doors
from tests.connectors.desk.handing import HUMAN, cases, desk_for, rest, section

QUESTION = "How do I renew my garage badge?"
REPLY = "Bring the badge to the reception; they renew it for twelve months."


def texts(chat: Chat, who: Any) -> list[str]:
    return [each.text.replace("**", "") for each in chat.shown(who) if each.is_final]


def agrees(doors: Doors, chat: Chat, who: Any) -> str:
    """Somebody lets Atelier learn from them; their id."""
    platform, _, user = chat.account(who).partition(":")
    memory = doors.house.store.memory
    person = memory.person(f"{platform}:{TENANT}:{user}").id
    memory.people.set_consent(person, consent=True)
    return person


async def test_from_an_open_question_to_an_answer_for_the_next(
    doors: Doors, slack: SlackChat, telegram: TelegramChat
) -> None:
    ann, ben, mara, boss = slack.person("Ann"), slack.person("Ben"), telegram.person("Mara"), slack.person("Boss")
    desk = desk_for(telegram, mara)
    await doors.open(administrators=(slack.account(boss),), support=section(desk))
    doors.add("travel.md", "# Travel\n\nTrains are booked by the travel desk.", "everyone")
    slack.says(ann, QUESTION)
    await rest(doors)
    agrees(doors, slack, ann)
    slack.orders(boss, "gaps")
    await rest(doors)
    report = texts(slack, boss)[-1]
    assert "1 question · 1 person" in report
    assert QUESTION in report

    slack.says(ann, HUMAN)
    await rest(doors)
    telegram.presses(mara, desk.card(), "Take it")
    await rest(doors)
    claimed = next(each for each in desk.shown() if "Resolve" in each.buttons and "Return" in each.buttons)
    desk.replies(mara, claimed, REPLY)
    await rest(doors)
    mara.sends_file("form.txt", b"Name:", "", desk.room.channel, reply_to=claimed.ref)
    await rest(doors)
    assert any("form.txt" in text for text in texts(slack, ann))
    telegram.presses(mara, claimed, "Resolve")
    await rest(doors)
    card = next(each for each in desk.shown() if "Approve for everyone" in each.buttons)
    assert QUESTION in card.text
    assert REPLY in card.text
    assert "form.txt" not in card.text  # the next who asks does not get it
    assert "only who reads in that one place" in card.text  # it was asked in private
    (entry,) = Curated(doors.house.store.engine).listing(TENANT)
    assert (entry.state, entry.source) == (State.PROPOSED, "case 1 of our support team")
    slack.says(ben, QUESTION)
    await rest(doors)
    assert not any(REPLY in text for text in texts(slack, ben))  # nobody has approved it yet

    telegram.presses(mara, card, "Approve for everyone")
    await rest(doors)
    slack.says(ben, "How can I renew my badge for the garage?")
    await rest(doors)
    said = texts(slack, ben)[-1]
    assert REPLY in said
    assert "case 1 of our support team" in said
    assert ("faq everyone", "done") in {(act.verb, act.outcome) for act in Audit(doors.house.store.engine).acts()}


async def test_who_may_not_approve_does_not_and_nobody_s_words_are_used_who_did_not_agree(
    doors: Doors, slack: SlackChat
) -> None:
    ann, eve, mara = slack.person("Ann"), slack.person("Eve"), slack.person("Mara")
    desk = desk_for(slack, mara, eve)
    await doors.open(support=section(desk, agents=[slack.account(mara)]), members=("hr=slack:U9",))
    await _settled(doors, slack, ann, mara, desk)
    curated, shown = Curated(doors.house.store.engine), next(each for each in desk.shown() if REPLY in each.text)
    assert shown.buttons == ("Put the question",)
    assert curated.listing(TENANT) == []
    assert not any(QUESTION in each.text for each in desk.shown() if REPLY in each.text)
    slack.orders(eve, "faq case 1 May I have it?")
    await rest(doors)
    assert curated.listing(TENANT) == []
    slack.orders(mara, "faq case 1 How is a badge renewed?")
    await rest(doors)
    (entry,) = curated.listing(TENANT)
    assert (entry.question, entry.asked_by) == ("How is a badge renewed?", "")

    card = next(each for each in desk.shown() if "Approve for everyone" in each.buttons)
    slack.presses(eve, card, "Approve for everyone")
    for order in ("faq", "faq approve 1", "faq dismiss 1", "faq ask 1 Who?", "faq for 1 everyone", "gaps", "digest"):
        slack.orders(eve, order)
    slack.orders(mara, "faq for 1 hrr")
    await rest(doors)
    assert curated.listing(TENANT) == [entry]
    refused = {act.verb for act in Audit(doors.house.store.engine).acts() if act.account == slack.account(eve)}
    assert {"faq everyone", "faq approve", "faq dismiss", "faq ask", "faq for", "faq case", "gaps", "digest"} <= refused
    slack.orders(mara, "faq")
    slack.orders(mara, "faq for 1 hr")
    slack.orders(mara, "faq for 1 everyone")  # once it is HR's, only an administrator gives it to more people
    slack.orders(mara, "faq approve 1 Ask at the reception.")
    await rest(doors)
    (entry,) = curated.listing(TENANT)
    assert (entry.state, entry.answer, entry.audience) == (State.APPROVED, "Ask at the reception.", f"{TENANT}/hr")


async def test_an_answer_too_long_to_be_proposed_asks_nobody_for_a_question(doors: Doors, slack: SlackChat) -> None:
    ann, mara = slack.person("Ann"), slack.person("Mara")
    desk = desk_for(slack, mara)
    await doors.open(support=section(desk, agents=[slack.account(mara)]))
    await _settled(doors, slack, ann, mara, desk, "Bring it. " * 900)
    told = next(each for each in desk.shown() if "8,000" in each.text)
    assert "The answer of case #1 has 8,999 characters" in told.text
    assert told.buttons == ()
    slack.orders(mara, "faq case 1 How is a badge renewed?")
    await rest(doors)
    assert "8,000" in texts(slack, mara)[-1]
    assert Curated(doors.house.store.engine).listing(TENANT) == []


async def _settled(doors: Doors, chat: Chat, ann: Any, mara: Any, desk: Any, reply: str = REPLY) -> Any:
    """A case with a question and an answer, ended; the question as it stands in the chat."""
    said = chat.says(ann, QUESTION)
    await rest(doors)
    chat.says(ann, HUMAN)
    await rest(doors)
    chat.orders(mara, f"case resolve {cases(doors)[0].number} {reply}")
    await rest(doors)
    return said


async def test_forgetting_takes_what_was_proposed_or_stands_in_one_s_words(
    doors: Doors, telegram: TelegramChat
) -> None:
    ann, mara = telegram.person("Ann"), telegram.person("Mara")
    desk = desk_for(telegram, mara)
    await doors.open(support=section(desk))
    agrees(doors, telegram, ann)
    await _settled(doors, telegram, ann, mara, desk)
    curated = Curated(doors.house.store.engine)
    (entry,) = curated.listing(TENANT)
    assert entry.question == QUESTION
    curated.approve(entry.id, "")
    telegram.orders(ann, "forget yes")
    await rest(doors)
    assert curated.listing(TENANT) == []
    assert "is left" in telegram.shown(ann)[-1].text
    assert QUESTION.encode() not in (doors.home / "store.db").read_bytes()


async def test_a_question_that_is_deleted_is_in_no_gap_and_takes_the_answer_in_its_words_along(
    doors: Doors, slack: SlackChat
) -> None:
    ann, mara, boss = slack.person("Ann"), slack.person("Mara"), slack.person("Boss")
    desk = desk_for(slack, mara)
    await doors.open(administrators=(slack.account(boss),), support=section(desk))
    agrees(doors, slack, ann)
    said = await _settled(doors, slack, ann, mara, desk)
    curated = Curated(doors.house.store.engine)
    (entry,) = curated.listing(TENANT)
    curated.approve(entry.id, "")
    ann.deletes(said)
    await rest(doors)
    assert curated.listing(TENANT) == []
    slack.orders(boss, "gaps")
    await rest(doors)
    assert QUESTION not in texts(slack, boss)[-1]


async def test_what_people_settled_in_a_channel_is_proposed_where_both_agreed(doors: Doors, slack: SlackChat) -> None:
    ann, ben, eve, boss = (slack.person(name) for name in ("Ann", "Ben", "Eve", "Boss"))
    room = slack.emulator.channel("C70", "help", members=(ann, ben, eve, boss))
    closed = slack.emulator.channel("C71", "leads", members=(ann, ben, boss), private=True)
    await doors.open(administrators=(slack.account(boss),), members=("hr=slack:U9",))
    for who in (ann, ben):
        agrees(doors, slack, who)
    asked = ann.writes(QUESTION, room)
    answered = ben.writes(REPLY, room, asked)
    ann.writes("Thanks, that helped!", room, asked)
    other = ann.writes("Where do I find the parking rules?", room)
    ben.reacts(eve.writes("They hang beside the gate of the garage.", room, other), "white_check_mark")
    secret = ann.writes("Who signs the contract with Miller?", closed)
    ann.reacts(ben.writes("The two of us sign it on Monday morning.", closed, secret), "white_check_mark")
    slack.orders(eve, "faq mine", Room(room))
    for there in (room, room, closed):
        slack.orders(boss, "faq mine", Room(there))
        await rest(doors)
    curated = Curated(doors.house.store.engine)
    first, second = curated.listing(TENANT)  # Eve has not agreed that her answer is used
    assert (first.question, first.answer, first.source) == (QUESTION, REPLY, "a thread in slack:C70")
    assert "2 settled a question, in 1 both people have agreed that their words are used, 0 are new" in "".join(
        each.text for each in slack.shown(Room(room)) if each.only_for == boss.id
    )
    cards = [each for each in slack.shown(boss) if "Dismiss" in each.buttons]
    assert ["Approve for everyone" in each.buttons for each in cards] == [True, False]
    assert not any(REPLY in each.text for each in slack.shown(Room(room)))
    slack.orders(boss, f"faq for {second.id} everyone")
    slack.orders(boss, f"faq approve {second.id}")
    slack.presses(boss, cards[0], "Approve for everyone")
    await rest(doors)
    first, second = curated.listing(TENANT)
    assert (first.state, first.audience) == (State.APPROVED, f"{TENANT}/everyone")
    assert second.state is State.APPROVED
    assert "chat-" in second.audience  # what was said among a few stays among them
    ben.deletes(answered)
    await rest(doors)
    assert curated.listing(TENANT) == [second]


async def test_what_waits_and_what_is_missing_is_told_to_those_who_decide_on_it(
    doors: Doors, telegram: TelegramChat
) -> None:
    ann, mara, boss = telegram.person("Ann"), telegram.person("Mara"), telegram.person("Boss")
    desk, room = desk_for(telegram, mara), telegram.room(ann, boss)
    await doors.open(administrators=(telegram.account(boss),), support=section(desk))
    agrees(doors, telegram, ann)
    await _settled(doors, telegram, ann, mara, desk)
    other = Curated(doors.house.store.engine)
    other.propose("slack/acme/x", TENANT, "Half put in?", "By a crash.", "", "everyone")
    telegram.orders(boss, "faq")
    telegram.says(boss, "Hello!")
    telegram.orders(boss, "faq", room)
    telegram.orders(boss, "faq mine", room)
    telegram.orders(boss, "gaps", room)
    telegram.orders(boss, "curated list", room)
    await rest(doors)
    alone = [text for text in texts(telegram, boss) if REPLY in text]
    assert len(alone) == 1
    assert "By a crash." not in alone[0]
    said = texts(telegram, room)
    assert "No answer waits for approval." in said
    assert any("does not let bots read" in text for text in said)
    assert any("direct message" in text for text in said)  # all answers are not told in front of all
    assert not any(REPLY in text or QUESTION in text for text in said)


async def test_the_week_in_figures(doors: Doors, slack: SlackChat) -> None:
    ann, boss = slack.person("Ann"), slack.person("Boss")
    await doors.open(administrators=(slack.account(boss),))
    doors.add("hours.md", "# Hours\n\nThe office opens at nine.", "everyone")
    slack.says(ann, "When does the office open?")
    slack.says(ann, QUESTION)
    await rest(doors)
    slack.orders(boss, "digest")
    await rest(doors)
    report = texts(slack, boss)[-1]
    assert any("2 questions (0 the week before): 1 answered, 1 not held" in text for text in texts(slack, boss)), report
    (name, content) = slack.files()[-1]
    assert name.endswith(".png")
    assert Image.open(io.BytesIO(content)).width == 1200


async def test_the_digest_comes_by_itself_once(doors: Doors, slack: SlackChat) -> None:
    boss = slack.person("Boss")
    now = datetime.now(UTC)
    at = now - timedelta(minutes=2)
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[at.weekday()]
    await doors.open(administrators=(slack.account(boss),), support={"digest": f"{day} {at:%H:%M}"})
    await begin(doors.settings, doors.connectors, doors.delivery)
    await begin(doors.settings, doors.connectors, doors.delivery)  # another process
    moment = at.replace(second=0, microsecond=0)
    for _ in range(2):  # it was due while no process ran
        place = doors.house.store.place
        due = Due(f"digest/{moment.isoformat()}", _on(place, "slack"), "", "digest", moment.isoformat())
        await doors.delivery.follow(due)
    await doors.until(
        lambda: any("In the week until" in text or "Nothing was asked" in text for text in texts(slack, boss))
    )
    await rest(doors)
    assert sum("Nothing was asked in the week" in text for text in texts(slack, boss)) == 1


def _on(place: Any, platform: str) -> Any:
    return replace(place, platform=platform, channel="", thread="")


async def test_sources_are_read_by_the_clock_and_administrators_hear_what_changed(
    doors: Doors, slack: SlackChat
) -> None:
    boss = slack.person("Boss")
    folder = doors.home.parent / "handbook"
    folder.mkdir()
    (folder / "hours.md").write_text("# Hours\n\nThe office opens at nine.")
    await doors.open(administrators=(slack.account(boss),), sources={"read": [str(folder)], "every": 60})
    await begin(doors.settings, doors.connectors, doors.delivery)
    await doors.until(lambda: "handbook/hours.md" in doors.documents())
    await doors.until(lambda: any("new: `handbook/hours.md`" in text for text in texts(slack, boss)))
    counts = await doors.delivery.counts()
    assert counts.get("later", 0) >= 2  # the next round and the next digest wait in the store
    slack.says(boss, "When does the office open?")
    await rest(doors)
    assert any("nine" in text for text in texts(slack, boss))

    listed = doors.settings
    doors.settings = listed.model_copy(update={"sources": replace(listed.sources, read=())})  # a slip, or a decision
    place = Place("slack", TENANT, "")
    await doors.delivery.follow(Due("sources/60 3", place, "", "sources", "60 3"))
    label = "Remove this document"
    await doors.until(lambda: any(label in each.buttons for each in slack.shown(boss)))
    assert "handbook/hours.md" in doors.documents()
    slack.presses(boss, next(each for each in slack.shown(boss) if label in each.buttons), label)
    await rest(doors)
    assert "handbook/hours.md" not in doors.documents()
    assert "sources" in {act.verb for act in Audit(doors.house.store.engine).acts() if act.outcome == "done"}


@pytest.mark.parametrize("value", ["60 2", "2026-11-23T08:00:00+00:00"])
async def test_a_slip_in_the_settings_ends_no_rounds(value: str) -> None:
    """The next one is kept all the same; nothing else is touched, so there need be nothing else."""
    kept: list[Due] = []

    class Kept:
        async def follow(self, due: Due, **_: Any) -> None:
            kept.append(due)

    def unreadable() -> Any:
        raise SettingsError("line 3 is no TOML")

    nothing: Any = None
    schedule = Schedule(nothing, unreadable, nothing, nothing, nothing)
    kind = "sources" if value == "60 2" else "digest"
    stage: Any = SimpleNamespace(delivery=Kept())
    await schedule.follow(Due(f"{kind}/{value}", Place("slack", TENANT, ""), "", kind, value), stage)
    assert [(due.what, due.value != value) for due in kept] == [(kind, True)]


def test_rounds_and_weeks_are_counted_alike_by_every_process() -> None:
    assert round_of(60, 7200.0) == round_of(60, 10799.0) == ("sources", "60 2")
    friday = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
    assert next_digest((0, 8, 0), friday) == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    assert next_digest((4, 9, 0), friday) == datetime(2026, 12, 4, 9, 0, tzinfo=UTC)
    assert next_digest((4, 9, 1), friday) == datetime(2026, 11, 27, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize("words", ["digest = 'someday'", "stale = -1"])
def test_mistakes_in_the_settings_are_named(words: str, tmp_path: Any) -> None:
    from connectors.settings import load_settings

    file = tmp_path / "atelier.toml"
    file.write_text(f"[support]\n{words}\n")
    with pytest.raises(SettingsError, match=r"`digest` is a day|`stale` is a whole"):
        load_settings(file)
