"""The reply contract at the terminal: lines are answered in order, and one that a killed terminal left is told of."""

import asyncio
import fcntl
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from connectors.settings import Settings
from connectors.terminal import NOT_SHOWN, UNANSWERED, Terminal
from connectors.terminal_unanswered import FOLDER, Unanswered, forget
from tests.battery.house import open_house

ANN, BOB = "terminal:acme:ann", "terminal:acme:bob"
KEEPS = """
import sys, time, pathlib
from connectors.terminal_unanswered import Unanswered
mine = Unanswered(pathlib.Path(sys.argv[1]), sys.argv[2])
for number, line in enumerate(sys.argv[3:]):
    mine.done()
    mine.keep(f"m{number}", line)
print("kept", flush=True)
time.sleep(600)
"""


def keeps(home: Path, account: str, *lines: str) -> "subprocess.Popen[str]":
    """A terminal that answers the last of these lines."""
    command = [sys.executable, "-c", KEEPS, str(home), account, *lines]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "kept\n"
    return process


def kill(process: "subprocess.Popen[str]") -> None:
    with process:
        process.kill()


def test_what_a_killed_terminal_left_is_told_once_and_to_its_person_alone(tmp_path: Path) -> None:
    first = keeps(tmp_path, ANN, "Answered long ago, at length", "How many days?")
    assert list(Unanswered(tmp_path, ANN).left()) == [], "it lives, and will answer"
    kill(first)
    assert list(Unanswered(tmp_path, BOB).left()) == []
    assert list(Unanswered(tmp_path, ANN).left()) == [("m1", "How many days?")]
    assert list(Unanswered(tmp_path, ANN).left()) == []
    kill(keeps(tmp_path, BOB, "A secret"))
    forget(tmp_path, [ANN])
    assert "A secret" in next((tmp_path / FOLDER).iterdir()).read_text()
    forget(tmp_path, [BOB])
    assert not list((tmp_path / FOLDER).iterdir())


def meanwhile(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Before the next lock of a file is taken, `do` has half a second in another thread."""
    others: list[threading.Thread] = []
    lock = fcntl.flock

    def late(file: IO[bytes], how: int) -> None:
        if how & fcntl.LOCK_NB and not others:
            others.append(threading.Thread(target=do))
            others[0].start()
            others[0].join(0.5)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)


def test_a_terminal_that_just_begins_is_not_taken_for_a_dead_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, told = Unanswered(tmp_path, ANN), Unanswered(tmp_path, ANN)
    meanwhile(monkeypatch, lambda: list(told.left()))
    mine.keep("m1", "How many days?")
    assert list(told.left()) == [], "it lives"
    assert mine._file is not None
    mine._file.close()  # as the kernel does for one that was killed
    assert list(told.left()) == [("m1", "How many days?")]


def test_two_terminals_that_look_at_once_tell_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(keeps(tmp_path, ANN, "How many days?"))
    telling = Unanswered(tmp_path, ANN).left()
    assert next(telling) == ("m0", "How many days?")
    meanwhile(monkeypatch, lambda: list(telling))
    assert list(Unanswered(tmp_path, ANN).left()) == []


def test_what_was_not_told_to_its_end_is_told_again(tmp_path: Path) -> None:
    kill(keeps(tmp_path, ANN, "How many days?"))
    telling = Unanswered(tmp_path, ANN).left()
    next(telling)
    telling.close()
    assert list(Unanswered(tmp_path, ANN).left()) == [("m0", "How many days?")]


def test_a_line_lies_on_the_disk_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is new is there after a power cut only when its folder has been written too."""
    written: list[int] = []
    sync = os.fsync

    def synced(descriptor: int) -> None:
        written.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    mine = Unanswered(tmp_path, ANN)
    mine.keep("m1", "How many days?")
    (file,) = (tmp_path / FOLDER).iterdir()
    assert {each.stat().st_ino for each in (file, tmp_path / FOLDER, tmp_path)} <= set(written)
    mine.close()


def test_what_is_typed_after_forgetting_is_kept_again(tmp_path: Path) -> None:
    mine = Unanswered(tmp_path, ANN)
    mine.keep("m1", "A secret")
    forget(tmp_path, [ANN])
    mine.done()
    mine.keep("m2", "How many days?")
    assert mine._file is not None
    mine._file.close()  # as the kernel does for one that was killed
    assert list(Unanswered(tmp_path, ANN).left()) == [("m2", "How many days?")]


def test_a_line_that_was_not_written_to_its_end_is_forgotten_too(tmp_path: Path) -> None:
    kill(keeps(tmp_path, ANN, "A secret that takes some room"))
    (file,) = (tmp_path / FOLDER).iterdir()
    part = file.read_bytes()[:40]
    file.write_bytes(part)
    forget(tmp_path, [BOB])
    assert file.exists()
    forget(tmp_path, [ANN])
    assert not file.exists()
    file.write_bytes(part)
    assert list(Unanswered(tmp_path, ANN).left()) == [], "there is no line to tell of"
    assert not file.exists()


async def test_the_next_terminal_says_what_had_no_answer_and_shows_what_had_one(tmp_path: Path) -> None:
    house = open_house(Settings(home=tmp_path, tenant="acme"))
    place, memory = house.store.place, house.store.memory
    account = f"terminal:acme:{place.channel}"
    before = Terminal(asyncio.sleep(0, house), io.StringIO())
    before._unanswered = Unanswered(tmp_path, account)
    await before._answer("Where is tea-1?", None)
    (turn,) = memory.turns(place, 5)
    lost = Unanswered(tmp_path, account)
    lost.keep("nobody", "Where is rice-2?")
    before._unanswered.keep(turn.message.id, "Where is tea-1?")
    for each in (lost, before._unanswered):
        assert each._file is not None
        each._file.close()  # as the kernel does for one that was killed

    out = io.StringIO()
    after = Terminal(asyncio.sleep(0, house), out)
    await after._greet(None)  # type: ignore[arg-type]  # it asks for the prompt where the house does not open
    said = out.getvalue()
    assert f"{UNANSWERED}\n> Where is rice-2?\n" in said
    assert f"{NOT_SHOWN}\n> Where is tea-1?\n{turn.reply.text}\n" in said
    assert said.count("?") == 2
    assert after._unanswered is not None
    after._unanswered.close()
    assert not list((tmp_path / FOLDER).iterdir())
    await house.close()
