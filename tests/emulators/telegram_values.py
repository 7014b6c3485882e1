"""What the Telegram emulator hands to a test: frozen values. Wire JSON is `Json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]  # an object of the Bot API as it travels; its shape is the API page's business


class ApiError(Exception):
    """A refusal, answered as `{"ok": false, ...}`. https://core.telegram.org/bots/api#making-requests"""

    def __init__(
        self, status: int, description: str, retry_after: int | None = None, *, moved_to: int | None = None
    ) -> None:
        super().__init__(description)
        self.status, self.description, self.retry_after = status, description, retry_after
        self.moved_to = moved_to


def bad_request(reason: str) -> ApiError:
    return ApiError(400, f"Bad Request: {reason}")


def forbidden(reason: str) -> ApiError:
    return ApiError(403, f"Forbidden: {reason}")


@dataclass(frozen=True, slots=True)
class Entity:
    """A formatted stretch. offset, length: UTF-16 units. text: the stretch itself."""

    type: str
    offset: int
    length: int
    text: str
    url: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One message as its readers see it now.

    author: "bot" or the person's name. thread: the forum topic's id, if any. buttons: rows of labels.
    edited: how many times it was edited. draft: a preview of the bot's (message_id is then the draft's id).
    preview: a link preview would show. entities_dropped: entities beyond the 100th, which Telegram ignores.
    file: name of the document, or "photo". reactions: (who, emoji).
    """

    chat_id: int
    message_id: int
    author: str
    text: str
    entities: tuple[Entity, ...] = ()
    buttons: tuple[tuple[str, ...], ...] = ()
    edited: int = 0
    draft: bool = False
    thread: int | None = None
    reply_to: int | None = None
    asks_reply: bool = False
    preview: bool = False
    file: str | None = None
    reactions: tuple[tuple[str, str], ...] = ()
    entities_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """One version of a streamed draft. at: seconds of `time.monotonic()`."""

    draft_id: int
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What answerCallbackQuery showed to the one who pressed; text is "" for nothing but the end of the spinner."""

    text: str
    alert: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A finished call of the bot's. at: seconds of `time.monotonic()` when it arrived. status: HTTP.

    params: as sent, JSON decoded where the API asks for JSON; an upload is shown as its file name.
    """

    method: str
    params: Mapping[str, Any]
    at: float
    status: int
    description: str = ""
    retry_after: int | None = None
