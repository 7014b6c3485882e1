"""The battery in short: the same checks at small counts. `make battery` runs them at full count."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.battery import copies, killing, models, stops
from tests.battery.kills import settings_of
from tests.battery.process import Stub
from tests.battery.scenes import EchoWords, Scene, SlackScene, TelegramScene
from tests.emulators.slack import SlackEmulator
from tests.emulators.telegram import TelegramEmulator


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def check_kills(scene: TelegramScene | SlackScene, home: Path, kills: int) -> None:
    with Stub(scene.settings() | settings_of(home), home / "log", lease=1.0) as bot:
        verdict = killing.kill_often(scene, bot, kills, patience=1.0, settle=40.0).verdict
    assert verdict.messages > kills / 2
    assert (verdict.lost, verdict.twice, verdict.misplaced) == ([], [], [])


def test_killed_on_telegram_each_message_is_answered_once(home: Path) -> None:
    with TelegramEmulator.threaded() as emulator:
        check_kills(TelegramScene(emulator, EchoWords(in_one=True), people=4, groups=False), home, 4)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the killed bot's half-open connections
def test_killed_on_slack_each_message_is_answered_once(home: Path) -> None:
    with SlackEmulator.threaded() as emulator:
        check_kills(SlackScene(emulator, EchoWords(in_one=True), people=2, channels=2), home, 4)


def test_four_copies_of_an_event_get_one_answer() -> None:
    row = copies.slack(8)
    assert (row["requests"], row["answered"], row["lost"], row["twice"]) == (32, 8, 0, 0)


@pytest.mark.parametrize("way", ["breaks off", "is away"])
def test_a_model_in_trouble_costs_nobody_the_answer(way: str) -> None:
    row = models._ask(way, 2)
    assert row["by deadline"] == row["answered"] == row["messages"]


def test_what_is_stopped_leaves_nothing() -> None:
    row = stops.run(quick=True).rows[0]
    assert (row["stopped"], row["slots left"], row["streams left"]) == (20, 0, 0)
    assert int(row["tasks more"]) <= 0


def test_the_judge_sees_what_is_wrong() -> None:
    scene = Scene(EchoWords())
    words = scene.words
    one, two, three, four = (f"{words.begins(token)} {words.ends(token)}" for token in ("a-1", "a-2", "a-3", "a-4"))
    verdict = killing.Verdict()
    verdict.add(words, ["a-1", "a-2", "a-3", "a-4", "a-5"], [two, one, three, three, four[:15], "…"], {})
    assert verdict.lost == ["a-4", "a-5"]
    assert (verdict.twice, verdict.misplaced, verdict.strays) == (["a-3"], ["a-1"], 1)
