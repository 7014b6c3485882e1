"""The loop in the terminal, by the command alone: from a file of conversations to answers by what they taught."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.agent.models import build_model
from tests.finetune.tiny import chats

PATIENCE = 280  # seconds, on a machine that does other things too
RECIPE = """
rank = 4
epochs = 30
batch_tokens = 512
max_tokens = 256
learning_rate = 5e-3
evaluations = 2
"""


class Terminal:
    """`atelier` in a process of its own, as a user has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ATELIER_")}
        more = {"ATELIER_HOME": str(folder / "home"), "ATELIER_GENERATOR": "local", "ATELIER_MAX_TOKENS": "16"}
        self.environment = kept | more | {"ATELIER_MODEL": str(folder / "small")}

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "connectors.cli", *words],
            cwd=self.folder,
            env=self.environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str) -> tuple[int, str, str]:
        with self.begin(*words) as running:
            out, err = running.communicate(timeout=PATIENCE)
        return running.returncode, out, err

    def json(self, *words: str) -> Any:
        status, out, err = self(*words, "--json")
        assert out, err
        return json.loads(out) | {"status": status}


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    build_model(tmp_path / "small", hidden=32)
    chats(tmp_path / "chats.jsonl")
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return Terminal(tmp_path)


@pytest.mark.timeout(900)  # processes that load torch, perhaps beside other work
def test_from_a_file_by_way_of_ctrl_c_to_an_answer(terminal: Terminal) -> None:
    """Ctrl-C keeps a checkpoint and says how to go on; gone on, the version speaks, and its turns name it."""
    words = ("finetune", "run", "--data", "chats.jsonl", "--recipe", "recipe.toml", "--promote")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job hands that down to ours
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with terminal.begin(*words) as running:
        ends = time.monotonic() + PATIENCE
        jobs = terminal.folder / "home" / "jobs"
        while not list(jobs.glob("*/metrics.jsonl")) and time.monotonic() < ends:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert "a checkpoint is kept" in err
    (job,) = jobs.glob("2*")
    assert f"Go on from its last checkpoint: atelier finetune resume {job.name}" in out
    assert list(job.glob("checkpoints/step-*"))
    done = terminal.json("finetune", "resume", job.name)
    assert (done["status"], done["state"], done["version"]) == (0, "succeeded", "team-1"), done["reason"]
    assert (Path(done["folder"]) / "report.md").is_file()
    status, out, err = terminal("ask", "Hello, how are you today?")  # small talk: an untaught word there is no claim
    assert status == 0, err
    assert out.strip()
    turns = terminal.folder / "copy.json"
    assert terminal("export", str(turns))[0] == 0
    assert [turn["adapter"] for turn in json.loads(turns.read_text())["turns"]] == ["team-1"]
