"""A case between a Slack asker and a Telegram agent, or the other way, while the process dies at every step.

Nothing is lost, nothing is said twice, each side reads the other in order, and Atelier is silent while a person has it.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from retrieval.errors import StoreError
from tests.connectors.desk.chats import Chat, SlackChat, TelegramChat
from tests.connectors.desk.doors import Doors, Scripted
from tests.connectors.desk.handing import HUMAN, Desk, cases, desk_for, rest, section, under_way

LIVES = 1  # runs, each with a death in each step, at another place; 8 were seen to pass
PLACES = 14  # before and after each of the first commits that follow a step


class Mortal:
    """Lets a process commit `at` - 1 times more; then nothing of it goes on, until it is buried."""

    def __init__(self, doors: Doors, at: int) -> None:
        self.left, self.is_out, self.is_buried = at, False, asyncio.Event()
        write: Any = doors.delivery._write

        async def mortal(job: Any) -> Any:
            await self._pass()
            result = await write(job)
            await self._pass()
            return result

        mortal.close = write.close
        doors.delivery._write = mortal

    async def _pass(self) -> None:
        self.left -= 1
        if self.is_out or self.left == 0:
            self.is_out = True
            await self.is_buried.wait()
            raise StoreError("The process is dead.")

    async def dies(self, doors: Doors) -> bool:
        """Until the process is dead, or has nothing more to do and lives on; whether it died."""
        await doors.until(lambda: self.is_out or (doors._slack.is_quiet() and doors._telegram.is_quiet()))
        async with asyncio.timeout(20):
            while not self.is_out and await asyncio.to_thread(under_way, doors):  # noqa: ASYNC110 - it is in the store
                await asyncio.sleep(0.01)
        died = self.is_out
        self.is_out = True
        self.is_buried.set()
        return died


@pytest.mark.parametrize("seed", range(LIVES))
@pytest.mark.parametrize("asked_in", ["slack", "telegram"])
async def test_killed_at_every_step(
    doors: Doors, slack: SlackChat, telegram: TelegramChat, asked_in: str, seed: int
) -> None:
    asking, taking = (slack, telegram) if asked_in == "slack" else (telegram, slack)
    chance = random.Random(f"{asked_in}{seed}")
    generator = Scripted("At nine.")
    ann, mara = asking.person("Ann"), taking.person("Mara")
    desk = desk_for(taking, mara)
    settings = {"support": section(desk)}
    await doors.open(generator, **settings)

    async def lived(act: Callable[[], None]) -> None:
        """One step of the people's, in which the process dies; another one takes over."""
        mortal = Mortal(doors, chance.randint(1, PLACES))
        act()
        await mortal.dies(doors)
        await doors.close()
        await doors.open(**settings)
        await rest(doors)

    await lived(lambda: asking.says(ann, "When does it open?"))
    await lived(lambda: asking.says(ann, HUMAN))
    await lived(lambda: taking.presses(mara, desk.card(), "Take it"))
    asked = len(generator.prompts)
    claimed = next(each for each in desk.shown() if "Return" in each.buttons)

    def both_write() -> None:
        for number in range(3):
            asking.says(ann, f"Word {number}.")
            desk.replies(mara, claimed, f"Answer {number}.")

    await lived(both_write)
    held = len(generator.prompts)
    await lived(lambda: taking.presses(mara, claimed, "Resolve"))
    assert held == asked  # nothing was answered while a person had it
    assert [each.state for each in cases(doors)] == ["resolved"]
    _read_once(asking, ann, desk)


def _read_once(asking: Chat, ann: Any, desk: Desk) -> None:
    heard = [each.text for each in asking.shown(ann) if each.is_final]
    marks = (
        "At nine.",
        "asking a person",
        "A person has taken up",
        "is done, and I answer",
        "One question, asked once",
    )
    assert [sum(mark in text for text in heard) for mark in marks] == [1, 1, 1, 1, 1], heard
    answers = [text.rpartition("Answer ")[2] for text in heard if "Answer " in text]
    assert answers == ["0.", "1.", "2."], heard
    seen = [each.text for each in desk.shown()]
    marks = ("a person is asked for", "has case #1.", "is resolved by")
    assert [sum(mark in text for text in seen) for mark in marks] == [1, 1, 1], seen
    assert [text.rpartition("Word ")[2] for text in seen if "Word " in text] == ["0.", "1.", "2."], seen
