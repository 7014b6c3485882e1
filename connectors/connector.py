"""The seam between a platform and the delivery contract: what every connector does, and how it may fail.

A connector translates. It keeps no queue, decides nothing and forgets everything: what must survive a crash is
committed by `connectors.delivery` between its calls.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from agent.events import Button, Event, File, Outgoing, Post
from agent.message import Line, Place
from agent.support.mining import Said
from retrieval.errors import AtelierError

if TYPE_CHECKING:
    from aiohttp.web import RouteDef  # the terminal comes without it

# ConnectorError (AtelierError)
# ├── Throttled: not delivered, for certain; may be tried again after `seconds`
# ├── Refused: not delivered, for certain; trying again will not help
# ├── Gone: the opened message is not there any more; another has to be opened
# └── Unsure: nobody knows (a timeout, a broken connection, a 5xx)


class ConnectorError(AtelierError):
    """A platform did not do what it was asked. The text holds no token and nobody's words."""


class Throttled(ConnectorError):
    """Not delivered, for certain: the platform wants a pause of `seconds`."""

    def __init__(self, sentence: str, seconds: float) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class Refused(ConnectorError):
    """Not delivered, for certain, and never will be: the chat is gone, Atelier was removed or blocked, no right."""


class Gone(ConnectorError):
    """Not delivered, for certain: the opened message was deleted, so another has to be opened."""


class Unsure(ConnectorError):
    """It may or may not have been delivered: a timeout, a broken connection, an error inside the platform."""


@dataclass(frozen=True, slots=True)
class Received:
    """An event as it arrived, before anything is made of it.

    tenant: whose workspace. key: the same for every copy the platform sends of one event, unique within platform and
    tenant. conversation: events of one are handled in the order in which they were accepted; others in parallel.
    payload: JSON text, all that `Connector.read` needs. wait: seconds before which it is not handled. by: whose
    doing it is, by account, where that is known before it is read.
    """

    tenant: str
    key: str
    conversation: str
    payload: str
    wait: float = 0.0
    by: str = ""


Accept = Callable[[Sequence[Received]], Awaitable[None]]


class Connector(Protocol):
    """One platform. Its methods raise Throttled, Refused or Unsure, and nothing else of the platform's.

    name: `slack`, `telegram`; the first part of every Place's key and account here. grace: seconds after which a send
    with an unknown outcome has either arrived or never will. edits_only: a new message cannot be looked up by its key,
    so `send` must always be given a handle that was committed before.
    """

    name: str
    grace: float
    edits_only: bool

    async def check(self) -> str:
        """Who Atelier is on the platform and how it is reached, in a sentence, with what should be put right."""
        ...

    async def run(self, accept: Accept) -> None:
        """Receive until cancelled. Tells the platform that an event arrived only after `accept` returned."""
        ...

    def routes(self, accept: Accept) -> "list[RouteDef]":
        """What the one HTTP server of the process serves for this platform; none where it is not needed."""
        ...

    def read(self, payload: str) -> Event | None:
        """What a stored payload says; None where it says nothing to us. Pure. Raises ValueError for a broken one."""
        ...

    def parts(self, outgoing: Outgoing) -> list[Outgoing]:
        """`outgoing` cut at sensible places into messages the platform takes. Pure; never empty."""
        ...

    async def open(self, place: Place, asker: str, key: str, stop: Button | None = None) -> str:
        """Show at once that an answer is on its way, with a button that stops it where that can be shown.

        asker: an account. Returns the handle of that message: opaque, at most 200 characters, all that `show` and
        `send` need, also in another process after a crash.
        """
        ...

    async def show(self, place: Place, handle: str, text: str, button: Button | None = None) -> None:
        """Preview the answer so far (all of it, Markdown) in the opened message. Skips what rates do not allow.

        button: the one that `open` was given, where this process may not know of it.

        Never raises: what counts is what `send` puts there.
        """
        ...

    async def send(self, part: Outgoing, key: str, handle: str = "") -> str:
        """Put one final part up; the platform's message id.

        With a handle the opened message becomes `part`: repeating it changes nothing. Without, it is a new message
        that carries `key` for `find`.
        """
        ...

    async def find(self, place: Place, key: str) -> str | None:
        """The id of the message that carries `key`, if it arrived."""
        ...

    async def earlier(self, place: Place, before: str, limit: int) -> list[Line]:
        """What was written in this place before the message `before`, oldest first; empty where it cannot be read."""
        ...

    async def language(self, account: str) -> str:
        """What the person reads (`de`), where the platform tells it only when asked; empty where it does not say."""
        ...

    async def called(self, account: str) -> str:
        """The name under which the platform shows a person, theirs to choose; empty where it does not say."""
        ...

    async def belongs(self, account: str, place: Place) -> bool:
        """Whether a person is in the channel of `place` at this moment; False where the platform does not say."""
        ...

    async def has_left(self, account: str, place: Place) -> bool:
        """Whether a person is not in the channel of `place` at this moment; False where the platform does not say."""
        ...

    async def members(self, place: Place) -> frozenset[str]:
        """The accounts of all who can read in the channel of `place`; empty where they cannot all be named."""
        ...

    async def is_open(self, place: Place) -> bool:
        """Whether everybody of the team, and nobody else, can read in the channel; False where that is not certain."""
        ...

    async def threads(self, place: Place, since: datetime, limit: int) -> list[list[Said]]:
        """The latest threads of a channel that began after `since`, each oldest first; none where it cannot look."""
        ...

    def address(self, parameter: str) -> str:
        """A link that opens the conversation with Atelier and hands `parameter` over; empty where there is none."""
        ...

    def under(self, place: Place, handle: str) -> Place:
        """Where the replies to an opened message stand: its thread, where it begins one. Pure."""
        ...

    async def aside(self, account: str, place: Place) -> Place:
        """The direct conversation with somebody of `place`. Whether they can be written to there, `send` shows."""
        ...

    async def said(self, place: Place, message: str) -> Post | None:
        """What a person wrote in the channel of `place`, by its id; None where it cannot be looked up."""
        ...

    async def fetch(self, file: File, to: Path) -> None:
        """Write a file that came with a message to the path `to`. Raises Refused when it is gone or too large."""
        ...

    def silence(self) -> float:
        """Seconds since anything showed that the connection to the platform lives; 0 where the platform calls us."""
        ...

    async def close(self) -> None: ...
