"""A session at the terminal: from the question to the record, with a restart in the middle."""

import asyncio
import io
import json
import re
import shutil
from pathlib import Path

import pytest

from connectors import compose, terminal
from connectors.compose import House, open_house
from connectors.settings import Settings
from retrieval.encoder import TransformerEncoder


@pytest.fixture
def typed(furnished: Path, tmp_path: Path, encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch) -> "Typed":
    monkeypatch.setattr(compose, "TransformerEncoder", lambda *_, **__: encoder)  # loaded once for all tests
    shutil.copytree(furnished, tmp_path / "home")
    return Typed(tmp_path / "home", monkeypatch)


class Typed:
    """Lines piped into a chat; each call is a new process as far as anything remembers."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self._monkeypatch = home, monkeypatch

    async def __call__(self, *lines: str) -> str:
        screen = io.StringIO()
        self._monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
        await terminal.Terminal(self._house(), screen).run()
        return screen.getvalue()

    async def _house(self) -> House:
        settings = Settings.model_validate({"home": self.home, "tenant": "acme", "generator": "extractive"})
        return await asyncio.to_thread(open_house, settings, lambda _: None)


async def test_alone_a_topic_stays_a_talk_and_a_session_is_there_for_the_asking(typed: Typed) -> None:
    seen = await typed(
        "/ideate board", "/ideate a cleaner kitchen", "/ideate next",
        "/ideate new how might we keep the kitchen clean?", "/2", "a rota with a wheel", "ok", "- no plates",
        "a silly one", "undo", "vote for 1", "show me the list", "export",
    )  # fmt: skip
    talk, session = seen.split("Step 1 of 7")
    assert "/ideate new TOPIC opens one" in talk.replace("\n", " ")  # no topic
    assert "think about next" not in talk
    assert "Your ideas first" in talk
    assert "Noted as idea 1." in session
    assert "Noted as idea 2." in session
    assert "Idea 3 is off the board." in session
    assert "Noted as idea 4." not in session  # an order in plain words is none
    assert "the floor is yours" not in session
    assert "1 a rota with a wheel" in session.partition("Idea 3 is off")[2]
    assert "I take part" not in session  # nobody else is here
    seen = await typed(
        "/idea *music* while cleaning", "/ideate vote", "/1", "/3", "/99", "/ideate decide 1 because it is fun",
        "/ideate action buy a wheel @me by Monday", "/ideate export md", "/ideate map", "/ideate close", "/ideate",
    )  # fmt: skip
    assert "4 *music* while cleaning" in seen  # after a restart the board goes on, and marks are what was typed
    assert "Your vote for 4 is in. 1 left." in seen
    assert "There is no button /99." in seen
    assert "Decided: 1 a rota with a wheel" in seen
    assert "☐ buy a wheel · @me · Monday" in seen
    names = sorted(path.suffix for path in (typed.home / "exports").iterdir())
    assert names.count(".md") == 1
    assert ".png" in names
    assert "Step" not in seen.rpartition("The session is over")[2]


async def test_what_is_asked_of_a_session_that_is_over_is_still_answered(typed: Typed) -> None:
    seen = await typed(
        "/ideate export", "/ideate new how might we keep the kitchen clean?", "/2", "a rota for the kitchen",
        "kitchen rota", "free fruit on Mondays", "a fruit basket every Monday", "music while cleaning", "group them",
        "/ideate enrich", "/ideate close",
    )  # fmt: skip
    before, _, session = seen.partition("Step 1 of 7")
    assert "No session runs here" in before
    assert "What belongs together" in session
    assert "1 and 2 may say the same: /ideate merge 1 2" in session
    assert "Noted as idea 6." not in session
    assert "Nobody has voted, so nothing leads." in session
    seen = await typed("/ideate export csv", "/ideate map", "/ideate figures", "/ideate board", "/ideate vote")
    assert sorted(path.suffix for path in (typed.home / "exports").iterdir()) == [".csv", ".png"]
    assert "music while cleaning" in seen
    assert "No session runs here" in seen.rpartition("The session is over")[2]  # to vote there must be one


async def test_a_mistyped_order_opens_no_topic(typed: Typed) -> None:
    seen = await typed("/ideate a cleaner kitchen", "/ideate nxt")
    assert "Did you mean /ideate next?" in seen
    assert "think about nxt" not in seen


async def test_eight_people_around_one_keyboard_decide(typed: Typed) -> None:
    """Each has ideas and a ballot of their own, over a restart; what is not of the session is said to be so."""
    people = ("Ann", "Bob", "Cem", "Dora", "Eve", "Finn", "Gül", "Hana")
    things = ("a buddy", "a map", "lunch vouchers", "a quiet day", "a podcast", "garden hours", "a quiz", "old photos")
    seen = await typed(
        "@Ann nobody listens yet", "/ideate new how might we welcome new colleagues?", "/2",
        *(f"@{who} {thing} for every newcomer" for who, thing in zip(people, things, strict=True)),
        "@Bob: /sources",
    )  # fmt: skip
    assert all(f"Noted as idea {number}." in seen for number in range(1, 9))
    assert "nothing for the session: ideas, votes and buttons can be given for Bob" in seen
    seen = await typed(
        "@Ann /ideate next", "/ideate vote", *(f"@{who} /{1 if who in people[:5] else 2}" for who in people),
        "/ideate results", "/ideate next", "/ideate decide 1 because nobody is alone then",
        "@Bob /ideate action find the first buddies @Bob by Friday", "/ideate board",
    )  # fmt: skip
    golden = Path(__file__).with_name("golden") / "ideation-terminal.txt"
    assert re.sub("▓+.* left", "(timer)", seen) == golden.read_text("utf-8")
    await typed("/ideate export json")
    record = json.loads(next((typed.home / "exports").glob("*.json")).read_text())
    assert len({idea["by"][0] for idea in record["ideas"]}) == 8
    forgotten, _, left = (await typed("@Ann /forget yes", "/ideate board")).rpartition("Not reached: backups")
    assert "exports/session-" in forgotten  # that file is the group's to delete
    assert "a map for every newcomer" in left
    assert "buddy for" not in left
