"""SIGKILL at 200 points of training, half of them at a chosen access to its files: the same weights in the end?"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from finetune.recipe import Method
from tests.agent.models import build_model
from tests.benchmarks import Cell, Report

KILLS = {Method.LORA: 100, Method.ADALORA: 60, Method.FULL: 40}


def run(quick: bool) -> Report:
    rows: list[dict[str, Cell]] = []
    with tempfile.TemporaryDirectory() as folder:
        for method, kills in KILLS.items():
            here = Path(folder) / method
            build_model(here / "model")
            command = [sys.executable, "-W", "ignore", "-m", "tests.finetune.killing", str(here)]
            command += [str(4 if quick else kills), method]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rows.append({"method": method.value, **json.loads(said.splitlines()[-1])})
    notes = (
        "Each run is a process of its own; some are killed again while they go on. A job is finished after its kills.",
        "equal: jobs whose adapter is, byte for byte, that of a run that nobody killed.",
    )
    return Report(
        "kills_training", "Does training survive SIGKILL anywhere, with exactly the same weights?", rows, notes
    )
