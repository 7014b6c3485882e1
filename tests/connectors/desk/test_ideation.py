"""Sessions of eight people from the question to the record, on both platforms, with a restart in the middle."""

import json
import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.connectors.desk.chats import Chat, TelegramChat
from tests.connectors.desk.doors import Doors
from tests.connectors.desk.meetings import Meeting, hurry

GOLDEN = Path(__file__).with_name("golden")
IDEAS = (
    "A buddy for every newcomer",
    "A map of who knows what",
    "Lunch with another team in the first week",
    "A box with a mug and a plant on the desk",
    "- Coffee roulette every Thursday\n- A glossary of our odd words",
    "A newcomer writes down what puzzled them",
    "The first day ends at three",
    "A tour of the warehouse at night",
)


def pictures(chat: Chat) -> list[bytes]:
    return [content for _, content in chat.files() if content.startswith(b"\x89PNG")]


class Minutes:
    """What people saw: the board at each step, with what differs from day to day left out."""

    def __init__(self, meeting: Meeting) -> None:
        self.meeting, self.pages = meeting, list[str]()

    def note(self) -> None:
        board = self.meeting.board
        text = re.sub(r"(?<=⏳ ).*", "…", board.text)
        text = text.replace(self.meeting.session.session.code, "CODE")
        self.pages.append(text + "\n" + " ".join(f"[{label}]" for label in board.buttons))

    @property
    def text(self) -> str:
        return "\n\n———\n\n".join(self.pages) + "\n"


async def meets(meeting: Meeting, minutes: Minutes) -> None:
    """Eight people sharpen the question and collect ideas."""
    await meeting.opens()
    minutes.note()
    await meeting.presses("🙋 I take part", who=7)
    assert "Only who opened" in await meeting.presses("2", who=1)
    await meeting.presses("2")
    await meeting.says(*IDEAS)
    await meeting.says("what is for lunch?", "ok")  # talk is no idea
    minutes.note()


@pytest.mark.timeout(180)
async def test_eight_people_decide_and_a_restart_in_the_middle_changes_nothing(
    doors: Doors, chat: Chat, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, telegram)
    await doors.open()
    meeting = Meeting(doors, chat, 8)
    minutes = Minutes(meeting)
    await meets(meeting, minutes)
    assert len(meeting.texts()) == 9
    await meeting.presses("▶ Talk about them")
    await meeting.orders("ideate better 2 it shows a picture of each", who=3)
    minutes.note()
    await meeting.presses("▶ Vote")
    ballots = {0: "123", 1: "12", 2: "15", 3: "2", 4: "269", 5: "1", 6: "12", 7: "8"}
    for who, numbers in ballots.items():
        for number in numbers:
            chat.presses(meeting.people[who], meeting.board, number)
        if who == 3:
            await doors.settle()
            await doors.restart()
    await doors.settle()
    assert await meeting.presses("4", who=0) == "All your votes are given. Press one of yours again to take it back."
    assert await meeting.presses("3", who=0) == "Your vote for 3 is taken back. 1 left."
    assert "8 people voted" in meeting.board.text
    assert "· 2 votes" not in meeting.board.text  # what leads stays open until all have voted
    minutes.note()
    await meeting.presses("▶ Work out the favourites")
    assert meeting.board.text.index("A buddy") < meeting.board.text.index("A box")
    minutes.note()
    await meeting.presses("▶ Decide")
    minutes.note()
    await meeting.presses("✅ Take 1")
    await meeting.orders("ideate action ask for buddies @bob by Friday")
    await meeting.presses("Close")
    minutes.note()
    last = meeting.board
    assert list(last.buttons) == ["Markdown", "CSV", "JSON", "HTML", "PNG"]
    assert "Decided" in last.text
    assert "ask for buddies · @bob · Friday" in last.text
    seen = pictures(chat)
    assert len(seen) >= 2  # when talk begins, and for the decision
    for content in seen:
        assert min(Image.open(BytesIO(content)).size) >= 800
    golden = GOLDEN / f"ideation-{chat.name}.txt"
    assert minutes.text == golden.read_text("utf-8")


async def test_a_session_is_taken_home_as_a_file(
    doors: Doors, chat: Chat, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, telegram)
    await doors.open()
    meeting = Meeting(doors, chat)
    await meeting.opens()
    await meeting.presses("Keep it as it is")
    await meeting.says("=HYPERLINK(1) for all", "a mug & a plant", "A buddy")
    await meeting.orders("ideate export json")
    record = json.loads(chat.files()[-1][1])
    assert [each["text"] for each in record["ideas"]] == list(meeting.texts())
    assert {each["by"][0] for each in record["ideas"]} == {"A", "B", "C"}  # who they are stays in the room
    await meeting.orders("ideate export html")
    page = chat.files()[-1][1].decode()
    assert "a mug &amp; a plant" in page
    assert "data:image/png;base64" in page
    await meeting.orders("ideate export csv")
    assert "'=HYPERLINK" in chat.files()[-1][1].decode()


async def test_it_speaks_german(doors: Doors, telegram: TelegramChat, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, telegram)
    await doors.open()
    meeting = Meeting(doors, telegram, language="de")
    board = await meeting.opens("wie begrüßen wir neue Kolleginnen?")
    assert "Schritt 1 von 7" in board.text
    await meeting.presses("So lassen")
    assert "Ideen sammeln" in meeting.board.text
    assert (
        await meeting.presses("+5 min", who=1) == "Das können nur, wer die Sitzung eröffnet hat, und Administratoren."
    )
