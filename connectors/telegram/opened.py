"""What was opened for an answer: a placeholder, which becomes the answer, or a draft, which only previews it.

A draft (https://core.telegram.org/bots/api#sendmessagedraft) is no message: it cannot be edited into one, carries no
button, and goes when the bot's next message comes. So it is followed by a placeholder as soon as the answer is ready,
and nothing that was promised of placeholders changes.
"""

import json
from dataclasses import dataclass
from hashlib import sha256

from telegram import InlineKeyboardMarkup

from agent.events import Button
from connectors.telegram.render import keyboard


@dataclass(frozen=True, slots=True)
class Opened:
    """message: the placeholder's id; of a draft its id, negative. stop: the button that a placeholder carries."""

    chat: str
    message: int
    stop: Button | None

    def handle(self) -> str:
        stop = (self.stop.id, self.stop.label[:60]) if self.stop else ()
        return json.dumps([self.chat, self.message, *stop], ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of(cls, handle: str) -> "Opened":
        chat, message, *stop = json.loads(handle)
        return cls(str(chat), int(message), Button(*stop) if stop else None)

    @classmethod
    def draft_for(cls, chat: str, key: str) -> "Opened":
        """The same key is the same draft: after a crash it goes on where it was."""
        return cls(chat, -1 - int.from_bytes(sha256(key.encode()).digest()[:3]), None)

    @property
    def draft(self) -> int:
        """The draft's id; 0 for a placeholder."""
        return max(0, -self.message)

    @property
    def keyboard(self) -> InlineKeyboardMarkup | None:
        return keyboard([self.stop] if self.stop else [])
