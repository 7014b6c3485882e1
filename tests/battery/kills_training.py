"""SIGKILL at 200 points of training, half of them at a chosen access to its files: the same weights in the end?

It is done in parts; what was done stays in the folder that ATELIER_WORK names, so that a run that was stopped goes on.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from finetune.recipe import Method
from tests.agent.models import build_model
from tests.benchmarks import Cell, Report

KILLS = {Method.LORA: 100, Method.ADALORA: 60, Method.FULL: 40}
PART = 20  # kills


def part(work: Path, method: Method, first: int, kills: int, of: int) -> dict[str, int]:
    """What came of so many kills, now or before."""
    here, kept = work / method, work / f"{method}-{first}.json"
    if not kept.exists():
        if not (here / "model").exists():
            build_model(here / "model")
        command = [sys.executable, "-W", "ignore", "-m", "tests.finetune.killing", str(here)]
        command += [str(kills), method, str(first), str(of)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        kept.write_text(said.splitlines()[-1])
    found: dict[str, int] = json.loads(kept.read_text())
    return found


def row(work: Path, method: Method, kills: int, *, size: int = PART) -> dict[str, Cell]:
    found = [part(work, method, first, min(size, kills - first), kills) for first in range(0, kills, size)]
    counts = {name: sum(each[name] for each in found) for name in found[0] if name != "accesses"}
    return {"method": method.value, **counts, "accesses": found[0]["accesses"]}


def run(quick: bool) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder if quick else os.environ.get("ATELIER_WORK", folder))
        work.mkdir(parents=True, exist_ok=True)
        rows = [row(work, method, 4 if quick else kills) for method, kills in KILLS.items()]
    notes = (
        "Each run is a process of its own; some are killed again while they go on. A job is finished after its kills.",
        "equal: jobs whose adapter is, byte for byte, that of a run that nobody killed.",
    )
    return Report(
        "kills_training", "Does training survive SIGKILL anywhere, with exactly the same weights?", rows, notes
    )
