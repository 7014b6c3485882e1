"""Battery 1-2 with `atelier serve` itself: real encoder, search, extractive generator; 400 kills a platform."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.battery import killing
from tests.battery.kills import QUESTION, run_both, scene_of, settings_of
from tests.battery.process import Real, clean_environment
from tests.battery.scenes import FactWords, SlackScene, TelegramScene
from tests.benchmarks import Report
from tests.emulators.telegram import TelegramEmulator

PATIENCE = 6.0


def run(quick: bool) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        FactWords().write(Path(folder) / "facts")
        command = [str(Path(sys.executable).with_name("atelier")), "ingest", str(Path(folder) / "facts")]
        subprocess.run(
            command, env=clean_environment({"ATELIER_HOME": str(home)}), check=True, stdout=subprocess.DEVNULL
        )
        notes = (
            "The installed command `atelier serve`, unchanged; people ask who leads one of 6,000 made-up projects.",
        )
        return run_both(
            lambda platform: _kill(platform, home, 3 if quick else 400), QUESTION, "kills_real", notes, "real"
        )


def _kill(platform: str, home: Path, kills: int) -> killing.Outcome:
    own = home.with_name(platform)
    shutil.copytree(home, own)
    with scene_of(platform) as emulator:
        scene: TelegramScene | SlackScene
        if isinstance(emulator, TelegramEmulator):
            scene = TelegramScene(emulator, FactWords())
        else:
            scene = SlackScene(emulator, FactWords())
        settings = scene.settings() | settings_of(own) | {"ATELIER_GENERATOR": "extractive"}
        with Real(settings, own / "log") as bot:
            return killing.kill_often(scene, bot, kills, patience=PATIENCE)
