"""The terminal door: lines in, streamed answers with numbered sources out. It translates and decides nothing.

With a keyboard it has line editing, history and Ctrl-C that stops the answer; piped, it answers each line in turn.
"""

import asyncio
import contextlib
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from uuid import uuid4

from agent.explain import explain
from agent.generation.generator import Piece
from agent.guard import clean
from agent.message import Message, Move, Turn
from agent.why import why
from connectors.compose import House
from connectors.desk.explaining import explained
from connectors.privacy import forget, withhold, write_copy
from connectors.terminal_unanswered import Unanswered
from retrieval.errors import AtelierError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from connectors.terminal_session import TerminalSessions

PROMPT = "you › "
GUEST = re.compile(r"@(?P<name>[^\W\d_][\w'’-]{0,29}):?\s+(?P<said>\S.*)", re.DOTALL)  # @Ann a rota with a wheel
EARLIER = 200  # messages of earlier sessions that the arrow keys bring back
HELP = """\
Ask a question, or write what you think about; Enter sends it.
  /ideate TOPIC   think a topic through with a technique
  /ideate new TOPIC   the same as a session with a board, votes and a record; /ideate help says how
  /idea TEXT      put an idea on a session's board
  @ANN an idea    in a session: what Ann, who sits beside you, says, votes (@Ann /2) or orders
  /ask QUESTION   a question, also in the middle of a session
  /sources        the passages behind the last answer, in full
  /why            how your last message was understood and what was decided
  /why TEXT       how any text is understood, and which of its words decided that
  /clear          start afresh: forget this conversation
  /feedback TEXT  what was wrong with the last answer; it is kept with it
  /consent yes    let what you write here be learned from (`/consent no` takes it back)
  /human          how to reach a person
  /export FILE    write everything stored about you to a JSON file
  /forget yes     delete everything about you
  /help           this list
  /quit           leave (also Ctrl-D)
Ctrl-C stops an answer. Gaps, cases, the digest and training are commands of the shell: `atelier --help` lists them."""

UNANSWERED = "The chat ended before this was answered. Send it again if you still want to know:"
NOT_SHOWN = "The chat ended before this answer was shown:"
NOBODY = """\
Nobody can be called from the terminal: support teams are reached where Atelier serves Slack and Telegram (`atelier
serve`, section `support` of the settings). Please turn to your team directly."""


LEAVE = frozenset("/quit /exit quit exit :q".split())
ALIKE = 0.7  # of a word and a command, by `difflib`: "hlep", "expotr"
KNOWN = "help ask ideate idea sources why clear feedback consent export forget human quit".split()
ELSEWHERE = frozenset("gaps digest cases curated sources finetune audit doctor backup knowledge ingest".split())
SHELL = "That is a command of the shell, and not of this chat: leave with /quit and write `atelier {name}` there."
CHAT_ALONE = "{command} is for Slack and Telegram. /help shows what there is here."
IN_CHATS = frozenset("link rule stop label watch mood faq case claim return resolve start".split())


class Wrap:
    """Breaks streamed lines between words at `width` columns; 0 leaves them, and code is never touched."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._column = 0
        self._in_code = False

    def feed(self, text: str) -> str:
        """The next words, with line breaks where they are needed. A word never spans two calls."""
        if not self.width:
            return text
        out: list[str] = []
        for part in re.findall(r"\n|[^\S\n]+|\S+", text):
            if part.startswith("```"):
                self._in_code = not self._in_code
            if part == "\n":
                self._column = 0
            elif self._column and self._column + len(part) > self.width and not self._in_code:
                self._column = 0 if part.isspace() else len(part)
                part = "\n" if part.isspace() else f"\n{part}"  # noqa: PLW2901 - the part as it is written
            else:
                self._column += len(part)
            out.append(part)
        return "".join(out)


class Terminal:
    """One person, one conversation. The house may still be loading: the prompt is there at once, the answer waits."""

    def __init__(self, house: Awaitable[House], out: TextIO | None = None) -> None:
        self._loading = asyncio.ensure_future(house)
        self._given_out = out
        self._styled = self._out.isatty()
        self._wrap = Wrap(shutil.get_terminal_size().columns if self._styled else 0)
        self._last: Turn | None = None
        self._answering: asyncio.Future[None] | None = None
        self._sessions: TerminalSessions | None = None
        self._unanswered: Unanswered | None = None  # of lines that are typed

    @property
    def _out(self) -> TextIO:
        return self._given_out or sys.stdout  # looked up each time: while a prompt is open, it stands for another

    async def run(self) -> None:
        """Talk until the person leaves. Raises AtelierError when Atelier cannot be set up."""
        lines = self._typed() if sys.stdin is not None and sys.stdin.isatty() else self._piped()
        try:
            async for line in lines:
                try:
                    if not await self._handle(line.strip()):
                        break
                except AtelierError as error:
                    if self._loading.done() and self._loading.exception() is not None:
                        break  # nothing can be answered; said once, below
                    self._say(str(error))  # about this message only: the conversation goes on
        finally:
            if self._sessions is not None:
                self._sessions.close()
            if self._unanswered is not None:
                self._unanswered.close()
            await (await self._loading).close()

    async def _typed(self) -> AsyncIterator[str]:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import InMemoryHistory
        from prompt_toolkit.patch_stdout import patch_stdout

        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in its loop
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._interrupted)
        greeting: asyncio.Future[None] | None = None
        while True:
            # The store is the history, so what is forgotten there is forgotten here: it is filled anew for each line.
            history = InMemoryHistory(await self._earlier() if self._loading.done() else [])
            session: PromptSession[str] = PromptSession(history=history, enable_suspend=True)
            greeting = greeting or asyncio.ensure_future(self._greet(session))
            try:
                with patch_stdout(raw=True):
                    line = await session.prompt_async(PROMPT, handle_sigint=False)
            except KeyboardInterrupt:
                self._say(self._dim("(Ctrl-D or /quit leaves)"))
                continue
            except EOFError:
                break
            yield line

    async def _greet(self, session: "PromptSession[str]") -> None:
        """Introduce Atelier when it is there; when it cannot be, do not let a person type in vain."""
        try:
            house = await self._loading
            self._say(self._dim(house.introduction()))
            place, memory = house.store.place, house.store.memory
            self._unanswered = Unanswered(house.store.settings.home, f"{place.platform}:{place.tenant}:{place.channel}")
            for message, line in self._unanswered.left():
                turn = await asyncio.to_thread(memory.turn_for, message)
                self._say(f"{NOT_SHOWN}\n> {line}\n{turn.reply.text}" if turn else f"{UNANSWERED}\n> {line}")
        except AtelierError:
            if session.app.is_running:
                session.app.exit(exception=EOFError())

    async def _earlier(self) -> list[str]:
        store = (await self._loading).store
        return [turn.message.text for turn in await asyncio.to_thread(store.memory.turns, store.place, EARLIER)]

    async def _piped(self) -> AsyncIterator[str]:
        while sys.stdin is not None and (line := await asyncio.to_thread(sys.stdin.readline)):
            yield line

    async def _handle(self, line: str) -> bool:
        """Act on one line; False means leave. Raises AtelierError."""
        command, _, rest = line.partition(" ")
        command = command.lower() if command.startswith("/") else command
        if not line:
            return True
        if line.lower() in LEAVE:
            return False
        if command.startswith("@") and (guest := GUEST.fullmatch(line)) and await (await self._session()).is_open():
            await self._for(guest["name"], guest["said"])
            return True
        if command in {"/ideate", "/idea"} and await (await self._session()).command(command[1:], rest.strip()):
            return True
        if command == "/ideate" and rest.strip():
            await self._answer(line, Move.IDEATE)
        elif command == "/ask" and rest.strip():
            await self._answer(rest.strip(), None)
        elif command[1:].isdecimal() and command[0] == "/":
            if not await (await self._session()).press(int(command[1:])):
                self._say(f"There is no button {command}.")
        elif command in {"/help", "/ideate"}:
            self._say(HELP)
        elif command == "/human":
            self._say(NOBODY)
        elif command == "/sources":
            self._say(self._passages())
        elif command == "/why":
            self._say(await self._why(rest.strip()))
        elif command == "/clear":
            store = (await self._loading).store
            await asyncio.to_thread(store.memory.clear, store.place)
            self._last = None
            self._say("This conversation is forgotten.")
        elif command == "/forget" and rest.strip() != "yes":
            self._say("This deletes everything about you for good. Write `/forget yes` to do it.")
        elif command == "/forget":
            store = (await self._loading).store
            report = await asyncio.to_thread(forget, store.person(), store.memory, store.shelf, store.settings.home)
            self._last = None
            self._say("\n".join(report.sentences))
        elif command in {"/consent", "/export", "/feedback"}:
            self._say(await asyncio.to_thread(self._own, await self._house(), command, rest.strip()))
        elif command.startswith("/") and "/" not in command[1:]:
            self._say(_unknown(command))
        elif not await (await self._session()).line(line):
            await self._answer(line, None)
        return True

    async def _house(self) -> House:
        return await asyncio.shield(self._loading)

    def _own(self, house: House, command: str, rest: str) -> str:
        """What a person orders about what is kept of them. Blocks. Raises StoreError."""
        store = house.store
        person = store.person()
        if command == "/export":
            if not rest:
                return "Name the file to write: /export my-data.json"
            copy = write_copy(person, store.memory, store.settings.home, Path(rest).expanduser())
            return f"{rest} holds everything about you: {len(copy['turns'])} messages with their replies."
        if command == "/feedback":
            if self._last is None or not rest:
                return "Nothing was asked yet." if self._last is None else "Write what was wrong: /feedback TEXT"
            store.memory.rate(self._last.id, person.id, -1, rest[:2000])
            return "Thank you. It is kept with that answer."
        if rest not in {"yes", "no"}:
            state = "may" if person.consent else "may not"
            return f"What you write here {state} be learned from. /consent yes or /consent no changes that."
        if rest == "yes":
            store.memory.people.set_consent(person.id, consent=True)
            return "Thank you: what you write here may be learned from, until you write /consent no."
        withhold(person, store.memory, store.shelf, store.settings.home)
        return "What you write here is not learned from, and what was gathered from it is withdrawn."

    async def _for(self, name: str, said: str) -> None:
        """What somebody else at this keyboard gives to the session."""
        session = await self._session()
        with session.speaking(name) as account:
            if said == "/forget yes":
                store = (await self._loading).store
                person = await asyncio.to_thread(store.memory.person, account)
                report = await asyncio.to_thread(forget, person, store.memory, store.shelf, store.settings.home)
                self._say("\n".join(report.sentences))
            elif not await session.said(said):
                self._say(f"That is nothing for the session: ideas, votes and buttons can be given for {name}.")

    async def _session(self) -> "TerminalSessions":
        """What a session at this terminal is held with; its timers go on from where they were."""
        from connectors.terminal_session import TerminalSessions

        if self._sessions is None:
            self._sessions = TerminalSessions(await asyncio.shield(self._loading), self._say)
            await self._sessions.resume()
        return self._sessions

    async def _answer(self, text: str, wanted: Move | None) -> None:
        """Stream one reply; Ctrl-C stops it, or the waiting for it, and keeps the program."""
        self._wrap = Wrap(self._wrap.width)
        self._answering = asyncio.ensure_future(self._stream(text, wanted))
        try:
            await self._answering
        except asyncio.CancelledError:
            if not self._answering.cancelled():  # it is this chat that ends
                raise
            self._say(self._dim(" (stopped)"))
        finally:
            self._answering = None
            if self._unanswered is not None:
                self._unanswered.done()

    def _interrupted(self) -> None:
        if self._answering is not None:
            self._answering.cancel()

    async def _stream(self, text: str, wanted: Move | None) -> None:
        house = await asyncio.shield(self._loading)
        person = house.store.person()
        message = Message(uuid4().hex, house.store.place, person, text, datetime.now(UTC), person.audiences)
        if self._unanswered is not None:
            await asyncio.to_thread(self._unanswered.keep, message.id, text)
        is_open = False  # whether the answer's last line has no end yet
        try:
            async with contextlib.aclosing(house.colleague.reply(message, wanted)) as events:
                async for event in events:
                    if isinstance(event, Piece):
                        if event.replaces:
                            self._wrap = Wrap(self._wrap.width)
                            self._out.write("\n")
                        self._out.write(self._wrap.feed(event.text))
                        self._out.flush()
                        is_open = not event.text.endswith("\n")
                    else:
                        self._last = event
                        self._close_answer(event)
                        is_open = False
        except AtelierError:
            self._out.write("\n" * is_open)  # what is said of it stands on a line of its own
            raise

    def _close_answer(self, turn: Turn) -> None:
        lines = ["" if turn.reply.text.endswith("\n") else "\n"]
        lines += [self._dim(f"  [{source.number}] {source.label}\n") for source in turn.reply.sources]
        if turn.reply.notice:
            lines.append(self._dim(f"  Note: {turn.reply.notice}\n"))
        if not turn.reply.sources and (near := _near(turn.message.text.strip())):
            lines.append(self._dim(f"  If you meant the command, write /{near}.\n"))
        self._out.write("".join([*lines, "\n"]))
        self._out.flush()

    def _passages(self) -> str:
        if self._last is None or not self._last.reply.sources:
            return "The last answer has no sources."
        texts = {passage.id: passage.text for passage in self._last.passages}
        return "\n\n".join(f"[{each.number}] {each.label}\n{texts[each.passage]}" for each in self._last.reply.sources)

    async def _why(self, text: str) -> str:
        """Of the last answer, with what its message was understood from; of any text that is given."""
        if not text and self._last is None:
            return "Nothing was asked yet."
        understander = (await asyncio.shield(self._loading)).colleague.understander
        asked = text or (self._last.message.text if self._last is not None else "")
        found = explained(await asyncio.to_thread(explain, understander, asked), "en").replace("**", "")
        return found if text else f"{self._decided()}\n\n{found}"

    def _decided(self) -> str:
        if self._last is None:
            return "Nothing was asked yet."
        return clean(why(self._last))

    def _say(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()

    def _dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self._styled else text


def _near(word: str) -> str:
    """The command that a word was meant to be: "hlep", and not "forget it"; mostly empty."""
    if len(word.split()) != 1:
        return ""
    return next(iter(get_close_matches(word.casefold(), KNOWN, 1, ALIKE)), "")


def _unknown(command: str) -> str:
    """What is said of a command that the chat does not have: where it is, if it is anywhere."""
    name = command[1:]
    if name in ELSEWHERE:
        return SHELL.format(name=name)
    if name in IN_CHATS:
        return CHAT_ALONE.format(command=command)
    near = _near(name)
    meant = f" Did you mean /{near}?" if near else ""
    return f"There is no command {command}.{meant} /help shows them all."
