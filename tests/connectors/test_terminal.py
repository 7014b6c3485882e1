"""The terminal as a person sits at it: a real pseudo-terminal, a real Ctrl-C."""

import asyncio
import io
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.settings import Settings
from connectors.terminal import LEAVE, Terminal, Wrap, _unknown
from retrieval.errors import StoreError
from tests.battery.house import open_house

ROOT = Path(__file__).parents[2]
CTRL_C, CTRL_D, CTRL_Z, ENTER = b"\x03", b"\x04", b"\x1a", b"\r"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r")
PATIENCE = 60.0  # seconds: a busy machine loads torch slowly


def _own_terminal() -> None:
    """Make the pseudo-terminal the one whose Ctrl-C reaches this process: a session's first opened one is."""
    os.close(os.open(os.ttyname(0), os.O_RDWR))


class Person:
    """Types into a chat and reads its screen."""

    def __init__(self, home: Path, **settings: str) -> None:
        self._screen, child = pty.openpty()
        environment = os.environ | {"ATELIER_HOME": str(home), "TERM": "xterm", "PYTHONPATH": str(ROOT)} | settings
        self.process = subprocess.Popen(
            [sys.executable, "-m", "connectors.cli", "chat"],
            stdin=child, stdout=child, stderr=child, env=environment, cwd=home.parent, start_new_session=True,
            preexec_fn=_own_terminal,  # noqa: PLW1509 - it only opens a file
        )  # fmt: skip
        os.close(child)
        self.seen = ""

    def type(self, keys: bytes) -> None:
        os.write(self._screen, keys)

    def sees(self, text: str) -> None:
        """Wait until `text` is on the screen, after what was seen before."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            ready, _, _ = select.select([self._screen], [], [], max(end - time.monotonic(), 0))
            assert ready, f"never saw {text!r} in {self.seen!r}"
            self.seen += ESCAPES.sub("", os.read(self._screen, 65536).decode("utf-8", "replace"))
        self.seen = self.seen.split(text, 1)[1]

    def leaves(self) -> int:
        """Close the terminal at the next prompt; the exit status."""
        self.sees("you")
        self.type(CTRL_D)
        status = self.process.wait(PATIENCE)
        os.close(self._screen)
        return status


@pytest.fixture
def sit(tmp_path: Path, first_home: Path) -> Iterator[Callable[..., Person]]:
    """Sit down at a terminal, with settings; whoever is still there in the end is sent home."""
    people: list[Person] = []
    shutil.copytree(first_home, tmp_path / "home")

    def down(**settings: str) -> Person:
        people.append(Person(tmp_path / "home", **settings))
        return people[-1]

    yield down
    for person in people:
        person.process.kill()
        person.process.wait()


@pytest.fixture
def hanging_server() -> Iterator[tuple[str, threading.Event]]:
    """A model server that takes requests and never answers, and an event that says a request has come."""
    asked, kept = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    kept.append(server.accept()[0])
                except OSError:
                    return
                asked.set()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1", asked
        server.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()


def test_ctrl_c_stops_an_answer_and_not_the_program(
    sit: Callable[..., Person], hanging_server: tuple[str, threading.Event]
) -> None:
    url, asked = hanging_server
    person = sit(ATELIER_GENERATOR="remote", ATELIER_REMOTE_URL=url, ATELIER_REMOTE_MODEL="any")
    person.sees("you")
    person.type(b"How do I install Atelier?" + ENTER)
    assert asked.wait(PATIENCE)
    person.type(CTRL_C)
    person.sees("(stopped)")
    person.type(b"/why" + ENTER)
    person.sees("Nothing was asked yet.")
    person.sees("you")
    person.type(CTRL_C)
    person.sees("Ctrl-D or /quit leaves")
    assert person.leaves() == 0


def test_a_person_asks_and_is_answered(sit: Callable[..., Person]) -> None:
    person = sit()
    person.sees("/help shows what it can do")
    person.type(b"How do I install Atelier?" + ENTER)
    person.sees("make chat")
    person.sees("[1] guide/install.md")
    person.sees("you")
    person.type(CTRL_Z + b"/nonsense" + ENTER)  # no shell could wake it, so it goes on; the key is no part of the line
    person.sees("There is no command /nonsense")
    person.type(b"hlep" + ENTER)
    person.sees("If you meant the command, write /help.")
    person.type(b"/gaps" + ENTER)
    person.sees("`atelier gaps`")
    person.type(b"/consent yes" + ENTER)
    person.sees("may be learned from")
    person.type(b"/feedback it should name the Makefile" + ENTER)
    person.sees("kept with that answer")
    person.type(b"/export copy.json" + ENTER)
    person.sees("copy.json holds everything about you")
    person.type(b"/forget" + ENTER)
    person.sees("/forget yes")
    assert person.leaves() == 0


def test_an_encoder_that_is_not_there_ends_the_chat_with_a_sentence(sit: Callable[..., Person]) -> None:
    person = sit(ATELIER_ENCODER="no/such-encoder")
    person.sees("The encoder 'no/such-encoder' could not be loaded.")
    assert person.process.wait(PATIENCE) == 1


async def test_an_error_in_mid_answer_stands_on_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("The disk is full.")

    house, out = open_house(Settings(home=tmp_path, tenant="acme")), io.StringIO()
    monkeypatch.setattr(type(house.store.memory), "append", full)
    monkeypatch.setattr("sys.stdin", io.StringIO("Where is tea-1?\r\n"))
    await Terminal(asyncio.sleep(0, house), out).run()
    answer, error = out.getvalue().rstrip("\n").rsplit("\n", 1)
    assert error == "The disk is full."
    assert answer.strip()
    assert "\n\n" not in out.getvalue()


@given(st.lists(st.sampled_from(["word", "longer-word", "x" * 30, " ", "\n", "- item"]), max_size=60))
def test_lines_break_between_words_and_nothing_is_lost(parts: list[str]) -> None:
    text = "".join(f"{part} " for part in parts)
    wrap = Wrap(20)
    shown = "".join(wrap.feed(f"{part} ") for part in parts)
    assert shown.split() == text.split()
    assert all(len(line.rstrip()) <= 20 or " " not in line.strip() for line in shown.split("\n"))


def test_code_is_never_broken() -> None:
    wrap = Wrap(10)
    code = "```\nan unbroken command line that is long\n```\n"
    assert "".join(wrap.feed(line) for line in code.splitlines(keepends=True)) == code


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/hlep", "Did you mean /help?"),
        ("/ideat", "Did you mean /ideate?"),
        ("/sorces", "Did you mean /sources?"),
        ("/xyzzy", "There is no command /xyzzy. /help"),
        ("/claim", "for Slack and Telegram"),
        ("/digest", "a command of the shell"),
    ],
)
def test_a_command_that_is_not_there_is_told_from_one_that_is_mistyped(typed: str, said: str) -> None:
    assert said in _unknown(typed)
    assert {"exit", "quit"} <= LEAVE, "who wants to leave need not know how commands begin"
