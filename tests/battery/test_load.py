"""The load battery in small: real process, both platforms, every message acknowledged and answered."""

import asyncio
from pathlib import Path

from tests.battery.load import eleven


def test_every_message_of_many_chats_is_answered(furnished: Path) -> None:
    for row in asyncio.run(eleven(3, (), rate=3, furnished=furnished)):
        assert row["errors"] == 0, row
