"""Ideation sessions at the terminal: the desk's own, with the screen in place of a platform and of the queue.

One keyboard, one board. Steps are printed as they begin; what was printed is never changed, so a board is shown anew
where a step begins or when it is asked for. A button is pressed by its number: `/2`. Where a group sits around the
keyboard, a line that begins with `@Ann` is Ann's.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from agent.buttons import Buttons
from agent.events import Button, Command, Due, Event, Outgoing, Picture, Post, Press
from agent.message import Place
from connectors.compose import House, user_name
from connectors.delivery.stage import Stage
from connectors.desk.access import Access
from connectors.desk.ideation import Ideation
from retrieval.files import write_atomically

if TYPE_CHECKING:
    from connectors.connector import Connector

EXPORTS = "exports"  # in the home folder
_ESCAPED = re.compile(r"\\([\\*_`~\[\]])")
_MARKS = re.compile(r"\*\*|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)|`")


class TerminalSessions:
    """say: prints a paragraph. Everything is handled in the order in which it is typed."""

    def __init__(self, house: House, say: Callable[[str], None]) -> None:
        self._place, self._account = house.store.place, f"terminal:{house.store.settings.tenant}:{user_name()}"
        access = Access.of((f"terminal:{user_name()}",), (), ())
        connectors = {"terminal": cast("Connector", _Screen())}  # the few of its methods that sessions use
        self.ideation = Ideation.over(house, connectors, access, Buttons(house.store.engine))
        self._exports = house.store.settings.home / EXPORTS
        self._say = say
        self._buttons: tuple[Button, ...] = ()
        self._done: set[str] = set()
        self._timers: set[asyncio.Task[None]] = set()
        self._next: list[Due] = []  # what follows what is being answered

    async def resume(self) -> None:
        """Timers of a session that was left open go on."""
        board = await asyncio.to_thread(self.ideation.stand.at, self._place)
        if board is not None:
            await self.ideation.stand.wake(board, self._stage().delivery)
            await self._go_on()

    async def is_open(self) -> bool:
        return await asyncio.to_thread(self.ideation.stand.at, self._place) is not None

    @contextmanager
    def speaking(self, name: str) -> Iterator[str]:
        """What is said meanwhile is that of somebody else at this keyboard, whose account this is.

        It is made of the account of who types, so that it is nobody's who has a terminal of their own.
        """
        own, self._account = self._account, f"{self._account}/{name.casefold()}"
        try:
            yield self._account
        finally:
            self._account = own

    async def said(self, line: str) -> bool:
        """Whether a line, an order or a button's number was for the session. Raises AtelierError."""
        order, _, rest = line.partition(" ")
        if order in {"/ideate", "/idea"}:
            return await self.command(order[1:], rest.strip())
        if order.startswith("/"):
            return order[1:].isdecimal() and await self.press(int(order[1:]))
        return await self.line(line)

    async def command(self, name: str, argument: str) -> bool:
        """Whether `/ideate …` or `/idea …` was for a session. Raises AtelierError."""
        language = await self._language()
        event = Command(uuid4().hex, self._place, self._account, name, argument, True, language)  # noqa: FBT003 - alone
        said = await self.ideation.command(event, self._stage())
        self._show(said or ())
        await self._go_on()
        return said is not None

    async def press(self, number: int) -> bool:
        """Press the button with this number of the last board; whether there is one. Raises AtelierError."""
        if not 0 < number <= len(self._buttons):
            return False
        button = self._buttons[number - 1].id
        meaning = await asyncio.to_thread(self.ideation.stand.buttons.look_up, button)
        if meaning is None:
            return False
        event = Press(uuid4().hex, self._place, self._account, button, direct=True, language=await self._language())
        self._show(await self.ideation.press(event, meaning, self._stage()))
        await self._go_on()
        return True

    async def line(self, text: str) -> bool:
        """Whether a line was for the session that runs here. Raises AtelierError."""
        event = Post(uuid4().hex, self._place, self._account, text, datetime.now(UTC), direct=True, called=True)
        event = replace(event, language=await self._language())
        said = await self.ideation.post(event, self._stage())
        self._show(said or ())
        await self._go_on()
        return said is not None

    async def _language(self) -> str:
        """That of the session which runs here: nobody tells a terminal what its reader speaks."""
        board = await asyncio.to_thread(self.ideation.stand.at, self._place)
        return "" if board is None else board.session.rules.language

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()

    def _stage(self) -> Stage:
        return cast("Stage", _Sheet(self))  # what sessions use of one

    def _show(self, said: Sequence[Outgoing]) -> None:
        for each in said:
            if each.renews or not (each.text or each.pictures):
                continue  # what was printed stays
            lines = [plain(each.text)] if each.text else []
            if each.buttons:
                self._buttons = each.buttons
                lines.append("  ".join(f"/{number} {button.label}" for number, button in enumerate(each.buttons, 1)))
            lines += [self._kept(picture) for picture in each.pictures]
            self._say("\n".join(lines) + "\n")

    def _kept(self, picture: Picture) -> str:
        self._exports.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._exports / (picture.name or f"map-{datetime.now(UTC):%Y%m%d-%H%M%S}.png")
        write_atomically(path, picture.content)
        return f"{plain(picture.text)} {path}" if not picture.name else str(path)

    async def follow(self, due: Due, wait: float) -> None:
        if due.id in self._done or due.value.endswith(" board"):
            return
        self._done.add(due.id)
        if wait > 0:
            timer = asyncio.create_task(self._later(due, wait))
            self._timers.add(timer)
            timer.add_done_callback(self._timers.discard)
        else:
            self._next.append(due)

    async def _go_on(self) -> None:
        """The step that an answer led to is shown below it."""
        while self._next:
            self._show(await self.ideation.due(self._next.pop(0), self._stage()))

    async def _later(self, due: Due, wait: float) -> None:
        await asyncio.sleep(wait)
        self._show(await self.ideation.due(due, self._stage()))
        await self._go_on()

    async def post(self, key: str, outgoing: Outgoing) -> None:
        if key not in self._done:
            self._done.add(key)
            self._show([outgoing])


class _Sheet:
    """What a `Stage` is to a session: a key, a message that is opened, and what comes later."""

    def __init__(self, sessions: TerminalSessions) -> None:
        self.key = uuid4().hex
        self.message, self.handle = f"terminal/{self.key}", ""
        self.delivery = _Queue(sessions)

    async def open(self, _event: Event) -> None:
        self.handle = self.key


class _Queue:
    def __init__(self, sessions: TerminalSessions) -> None:
        self._sessions = sessions

    async def follow(self, due: Due, *, wait: float = 0.0, lane: str = "") -> None:  # noqa: ARG002 - the queue's
        await self._sessions.follow(due, wait)

    async def post(self, key: str, outgoing: Outgoing) -> None:
        await self._sessions.post(key, outgoing)

    def answered(self, place: Place, message: str) -> str | None:  # noqa: ARG002 - the queue's
        return None


class _Screen:
    """The place is one, and so are its readers."""

    name = "terminal"

    def under(self, place: Place, handle: str) -> Place:  # noqa: ARG002 - the seam's
        return place

    async def called(self, account: str) -> str:
        _, _, guest = account.partition("/")
        return guest[:1].upper() + guest[1:]

    async def has_left(self, account: str, place: Place) -> bool:  # noqa: ARG002 - the seam's
        return False

    async def aside(self, account: str, place: Place) -> Place:  # noqa: ARG002 - the seam's
        return place

    def address(self, parameter: str) -> str:  # noqa: ARG002 - the seam's
        return ""


def plain(text: str) -> str:
    """Markdown as it is read at a terminal: without its marks."""
    kept = _ESCAPED.sub(lambda found: f"\ue000{ord(found[1])}\ue001", text)
    return re.sub("\ue000(\\d+)\ue001", lambda found: chr(int(found[1])), _MARKS.sub("", kept))
