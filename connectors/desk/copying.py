"""What is held about a person, handed to them as a file in their direct messages."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.events import Command, Outgoing, Picture
from agent.memory import Memory
from connectors.delivery.stage import Stage
from connectors.desk.texts import prefix, say
from connectors.privacy import copy_of


@dataclass(frozen=True, slots=True)
class Copying:
    """The command `export`: the same copy that `atelier export` writes at the terminal, of all linked accounts."""

    memory: Memory
    home: Path

    async def order(self, command: Command, stage: Stage) -> Sequence[Outgoing]:  # noqa: ARG002 - as all orders have
        """The copy as a JSON file; where others could see it, where to ask for it."""
        if not command.direct:
            text = say(command.language, "export_private", p=prefix(command.place.platform))
            is_whispered = command.place.platform == "slack"  # Telegram's groups have no whisper, and it is no secret
            return [Outgoing(command.place, text, to=command.account, audience="one" if is_whispered else "all")]
        copy = await asyncio.to_thread(self._copy, command.account)
        name = say(command.language, "export_name")
        file = Picture(copy, name, name)
        told = say(command.language, "export_told", file=name)
        return [Outgoing(command.place, told, pictures=(file,), to=command.account)]

    def _copy(self, account: str) -> bytes:
        copy = copy_of(self.memory.person(account), self.memory, self.home)
        return json.dumps(copy, ensure_ascii=False, indent=2).encode()
