"""What happens in a chat, as every platform's connector tells it; and what Atelier shows there.

A connector turns its platform's payloads into these values and these values into its platform's messages. It decides
nothing: whether an event is for Atelier, and what follows, is decided above it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from agent.message import Place, Source


@dataclass(frozen=True, slots=True)
class File:
    """A file that came with a message. locator: what the connector needs to fetch it. size: bytes, 0 when unknown."""

    name: str
    size: int
    locator: str


@dataclass(frozen=True, slots=True)
class Post:
    """Somebody wrote a message.

    place: where an answer belongs. account: `platform:tenant:user`. id: the platform's id of the message in its
    channel. direct: nobody else reads here. called: Atelier is named, replied to or written to by name. text: without
    Atelier's own name. language: what the platform says the person reads (`de`), or empty. is_shared: people of other
    companies read along. replies_to: the id of the message of Atelier's that this one answers, where it names one.
    """

    id: str
    place: Place
    account: str
    text: str
    sent: datetime
    direct: bool = False
    called: bool = False
    files: tuple[File, ...] = ()
    language: str = ""
    is_shared: bool = False
    replies_to: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """Somebody gave a command: `/atelier ideate tea` and `/ideate tea` are both name `ideate`, argument `tea`."""

    id: str
    place: Place
    account: str
    name: str
    argument: str = ""
    direct: bool = False
    language: str = ""
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class Press:
    """Somebody pressed a button, or sent the form it opened.

    button: its id. text: what the form held. message: the id of the message that carries the button.
    """

    id: str
    place: Place
    account: str
    button: str
    text: str = ""
    message: str = ""
    direct: bool = False
    language: str = ""


@dataclass(frozen=True, slots=True)
class Reaction:
    """Somebody set (or took back) an emoji on a message. emoji: the character itself, 💡."""

    id: str
    place: Place
    account: str
    message: str
    emoji: str
    is_added: bool = True


@dataclass(frozen=True, slots=True)
class Edited:
    """A message was changed. text, called: what it says now, and whether it names us. sent: when it was written.

    changed: when it was changed, where the platform says so; else as `sent`. Changes may come in another order.
    """

    id: str
    place: Place
    account: str
    message: str
    text: str
    sent: datetime
    direct: bool = False
    called: bool = False
    files: tuple[File, ...] = ()
    language: str = ""
    is_shared: bool = False
    replies_to: str = ""
    changed: datetime | None = None

    @property
    def as_of(self) -> datetime:
        return self.changed or self.sent

    def post(self) -> Post:
        """The message as it reads now, and as of when."""
        return Post(
            self.message,
            self.place,
            self.account,
            self.text,
            self.as_of,
            self.direct,
            self.called or bool(self.replies_to),
            self.files,
            self.language,
            self.is_shared,
            self.replies_to,
        )


@dataclass(frozen=True, slots=True)
class Deleted:
    """A message was deleted."""

    id: str
    place: Place
    message: str


@dataclass(frozen=True, slots=True)
class Opened:
    """Somebody opened the conversation with Atelier for themselves. parameter: of the link they came by, or empty."""

    id: str
    place: Place
    account: str
    parameter: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """Atelier was brought into a channel or group. sees_all: it can read messages that do not name it."""

    id: str
    place: Place
    account: str
    sees_all: bool = True
    language: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """Atelier may speak in a channel no more: it was taken out or blocked; without a channel, out of all of them."""

    id: str
    place: Place


@dataclass(frozen=True, slots=True)
class Moved:
    """A channel goes on under another id: `to`."""

    id: str
    place: Place
    to: Place


@dataclass(frozen=True, slots=True)
class Arrived:
    """Somebody came into a channel that Atelier is in."""

    id: str
    place: Place
    account: str


@dataclass(frozen=True, slots=True)
class Due:
    """Something of Atelier's own that has to be gone on with until it is over, also after a restart.

    what: its kind (`finetune`). value: on what (a job's id). place, account: where and whom to tell.
    """

    id: str
    place: Place
    account: str
    what: str
    value: str
    language: str = ""


Event = Post | Command | Press | Reaction | Edited | Deleted | Opened | Joined | Left | Moved | Arrived | Due


@dataclass(frozen=True, slots=True)
class Button:
    """id: short and meaningless (at most 32 of A-Za-z0-9_-); what it stands for is in the store.

    form: pressing it asks for a text first, under this question, where the platform has forms.
    """

    id: str
    label: str
    form: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to show: a PNG, and in words what is on it. name: of any other file, handed over and not shown."""

    content: bytes = field(repr=False)
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What Atelier shows in a place: Markdown text, its sources, an open word when something fell short, and buttons.

    to: the account it is meant for, where a platform needs to know. audience: `all` in the place, or `one`: only `to`
    sees it, where the platform can do that. suggestions: questions a person may send with one touch. press: the press
    it answers, where a platform can show a word on the button. instead: what is said where this one is refused.
    pictures: each becomes a message of its own, after the text. renews: the handle of an earlier message of ours that
    becomes this one; where it is gone, nothing is shown.
    """

    place: Place
    text: str
    sources: tuple[Source, ...] = ()
    notice: str = ""
    buttons: tuple[Button, ...] = ()
    suggestions: tuple[str, ...] = ()
    to: str = ""
    audience: Literal["all", "one"] = "all"
    press: str = ""
    instead: "Outgoing | None" = None
    pictures: tuple[Picture, ...] = ()
    renews: str = ""
