"""What people do with ideas by a command, and what the machine gives when it is asked or when nothing comes."""

import logging
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from agent.ideation import facilitator
from agent.ideation.facilitator import Limits
from connectors.desk import ideation
from connectors.desk.ideation_offers import Offers
from tests.connectors.desk.chats import Chat, SlackChat, TelegramChat
from tests.connectors.desk.doors import Doors, Scripted
from tests.connectors.desk.meetings import Meeting, hurry


async def collects(doors: Doors, chat: Chat, *ideas: str, count: int = 2, held: str = "") -> Meeting:
    meeting = Meeting(doors, chat, count)
    await meeting.opens(f"{held} how might we welcome new colleagues?".strip())
    await meeting.presses("Keep it as it is")
    await meeting.says(*ideas)
    return meeting


async def test_ideas_are_changed_tagged_merged_and_taken_back_by_a_command(open_doors: Doors, chat: Chat) -> None:
    meeting = await collects(open_doors, chat, "A budy", "A map", "A tour", "Cake")
    assert "A buddy" in (await meeting.orders("ideate edit 1 A buddy")).text
    await meeting.orders("ideate tag 2 Cheap", who=1)
    assert "A map #cheap" in meeting.board.text
    await meeting.orders("ideate withdraw 4", who=1)
    assert meeting.texts() == ["A buddy", "A map", "A tour"]
    await meeting.orders("ideate merge 2 3 A map that is a tour")
    (buddy, merged) = meeting.session.open
    assert (buddy.text, merged.text, merged.parents) == ("A buddy", "A map that is a tour", ("2", "3"))
    await meeting.orders("ideate withdraw 1", who=1)
    assert len(meeting.texts()) == 2  # it is somebody else's


async def test_what_the_buttons_say_can_be_written_and_a_tie_is_told(open_doors: Doors, chat: Chat) -> None:
    meeting = await collects(open_doors, chat, "A budy", "A map")
    await meeting.says("rename 1 to A buddy")
    assert meeting.texts() == ["A buddy", "A map"]
    await meeting.orders("ideate vote")
    for who, number in ((0, "1"), (1, "2")):
        await meeting.orders(f"ideate vote {number}", who=who)
    await meeting.orders("ideate decide")
    assert "Two or more share the lead" in meeting.board.text
    await meeting.says("take 1")
    assert meeting.session.decided == ("1",)
    await meeting.orders("ideate take 2 because it is cheap")
    assert (meeting.session.decided, meeting.session.decision_reason) == (("2",), "it is cheap")
    await meeting.orders("ideate stop")
    assert meeting.session.session.is_closed


async def test_of_a_session_that_is_over_it_is_said_when_that_was(
    open_doors: Doors, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = await collects(open_doors, chat, "A buddy", "A map")
    await meeting.orders("ideate stop")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    seen = await meeting.orders("ideate board")
    assert "A buddy" in seen.text
    assert f"It ended on {today}" in seen.text
    monkeypatch.setattr(ideation, "LATELY", timedelta(0))
    seen = await meeting.orders("ideate board")
    assert f"how might we welcome new colleagues?, ended on {today}" in seen.text.replace("*", "")
    assert "A buddy" not in seen.text
    assert not seen.buttons
    assert "ideate export" in seen.text


async def test_who_thinks_alone_with_it_ends_that_by_the_command_too(doors: Doors, chat: Chat) -> None:
    await doors.open()
    ann = chat.person("Ann")
    said, seen = [], 0
    for words in ("ways to welcome new colleagues", "stop", "stop"):
        chat.orders(ann, f"ideate {words}")
        await doors.settle()
        said.append("\n".join(each.text for each in chat.shown(ann)[seen:]))
        seen = len(chat.shown(ann))
    assert "welcoming new colleagues" in said[0]
    assert "No ideas are written down yet" in said[1]  # asked once, as where "stop" is written
    assert "All right." in said[2]


async def test_a_model_gives_an_idea_where_it_is_asked_and_never_one_that_is_there(
    doors: Doors, slack: SlackChat, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, telegram)
    model = Scripted("A photograph of every newcomer hangs in the lift.")
    monkeypatch.setattr(Offers, "generator", property(lambda _: model))
    await doors.open()
    meeting = await collects(doors, slack, "A buddy for everybody", "A map of the house")
    await meeting.presses("↔️ Wider")
    (made,) = [each for each in meeting.session.open if each.by == "machine"]
    assert (made.text, made.share, made.authors) == (model.text, 1.0, ())
    assert "hangs in the lift. 🤖" in meeting.board.text
    for text in (model.text, "A buddy for everyone"):
        model.text = text
        await meeting.presses("↔️ Wider")
    assert len(meeting.texts()) == 3


async def test_sparks_and_questions_come_by_a_button_without_a_model(open_doors: Doors, slack: SlackChat) -> None:
    meeting = await collects(open_doors, slack, "A buddy for everybody")
    for label in ("🎲 Spark", "↔️ Wider"):
        await meeting.presses(label)
    first, second = meeting.session.sparks
    assert first.text != second.text
    assert any(second.text in each.text for each in meeting.shown)
    await meeting.presses("⤵️ Deeper")
    assert any("A buddy for everybody" in each.text and "?" in each.text for each in meeting.shown[-2:])
    assert [each.by for each in meeting.session.open] == ["person"]


async def test_what_a_group_is_nudged_for_is_logged_and_one_that_stalls_is_given_something(
    doors: Doors,
    slack: SlackChat,
    telegram: TelegramChat,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hurry(
        monkeypatch, telegram, look=2.0
    )  # the queue is looked through twice a second: at 1.0 something was always due
    soon = Limits(pause=timedelta(seconds=1), quiet=timedelta(seconds=2))
    monkeypatch.setattr(facilitator, "watch", partial(facilitator.watch, limits=soon))
    caplog.set_level(logging.INFO, "connectors.desk.ideation_due")
    await doors.open()
    meeting = await collects(doors, slack, "A buddy for everybody")
    await doors.until(lambda: any("gone quiet" in each.text for each in meeting.shown))
    (said,) = [each.text for each in meeting.shown if "gone quiet" in each.text]
    assert meeting.session.sparks[0].text in said
    assert "stagnation nudge. No contribution for" in caplog.text
    await meeting.says(
        "This is a terrible, stupid idea and I hate it.",
        "You are wrong, this is awful and it makes me angry.",
        "I am sick of this, it is horrible and useless.",
        "This is the worst, most annoying rubbish ever.",
    )
    await doors.until(lambda: any("getting tense" in each.text for each in meeting.shown))
    assert "heated nudge. " in caplog.text
