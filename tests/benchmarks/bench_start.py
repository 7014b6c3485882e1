"""From `atelier chat`, as `make chat` runs it, to the first answer: by the clock and in processor time, in a real pty.

A new home is a folder that does not exist: the store is made and Atelier's guide is read in. A question is typed at
once, before anything is loaded, as people do who know what they want. Needs a system with pseudo-terminals.
"""

import os
import re
import resource
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks import Cell, Report

ROOT = Path(__file__).parents[2]
QUESTION = "How do I install Atelier?"
MARKS = {  # what has happened once this is seen
    "prompt, s": "you ›",
    "introduction, s": "/help shows",
    "first answer, s": "guide/install.md",
}
PATIENCE = 300.0  # seconds
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r")


def run(quick: bool) -> Report:
    rounds = 1 if quick else 5
    rows: list[dict[str, Cell]] = []
    with tempfile.TemporaryDirectory() as name:
        known = Path(name) / "known"
        _started(known)  # also warms the system's file cache for both
        for kind in ("a known home", "a new home"):
            runs = []
            for number in range(rounds):
                home = known if kind == "a known home" else Path(name) / f"new-{number}"
                runs.append(_started(home))
                if home != known:
                    shutil.rmtree(home)
            medians = {what: round(statistics.median(each[what] for each in runs), 2) for what in runs[0]}
            rows.append({"home": kind, "starts": rounds, **medians})
    return Report(
        "start",
        "how long from `atelier chat` to the first answer?",
        rows,
        (
            "Medians, files cached by the system. Answered is a question that was typed before the prompt was there.",
            "Processor time is that of the whole process, to its end.",
        ),
    )


def _started(home: Path) -> dict[str, float]:
    """One start with a question and /quit: what of `MARKS` was seen when, and processor seconds."""
    import pty  # not on every system

    keyboard, screen = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ATELIER_")}
    environment = kept | {"ATELIER_HOME": str(home), "TERM": "xterm", "PYTHONPATH": str(ROOT)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    chat = subprocess.Popen(
        [sys.executable, "-m", "connectors.cli", "chat"],
        stdin=screen, stdout=screen, stderr=screen, env=environment, cwd=home.parent, start_new_session=True,
    )  # fmt: skip
    os.close(screen)
    try:
        os.write(keyboard, f"{QUESTION}\r".encode())
        found = _watched(keyboard, began)
        os.write(keyboard, b"/quit\r")
        while select.select([keyboard], [], [], 1.0)[0]:  # what it still writes, or it could not end
            try:
                os.read(keyboard, 65_536)
            except OSError:  # the other end is closed
                break
        chat.wait(60)
    finally:
        chat.kill()
        chat.wait()
        os.close(keyboard)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**found, "processor, s": used}


def _watched(keyboard: int, began: float) -> dict[str, float]:
    """Seconds until each of `MARKS` was seen. Raises RuntimeError with what was seen where one stays away."""
    seen, found = "", dict[str, float]()
    while len(found) < len(MARKS):
        try:
            ready = select.select([keyboard], [], [], max(0.0, began + PATIENCE - time.monotonic()))[0]
            more = os.read(keyboard, 65_536) if ready else b""
        except OSError:  # the chat has ended
            more = b""
        if not more:
            raise RuntimeError(f"The chat did not come to its first answer:\n{seen}")
        seen += _ESCAPES.sub("", more.decode("utf-8", "replace"))
        for what, mark in MARKS.items():
            if mark in seen:
                found.setdefault(what, time.monotonic() - began)
    return found
