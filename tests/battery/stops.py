"""Battery 15: a thousand answers are stopped by their button; nothing keeps a slot, a task or memory."""

import asyncio
import resource
import tempfile
import time
from pathlib import Path

from connectors.serve import make_connectors, make_delivery
from connectors.settings import Settings
from tests.battery.house import Silence, open_house
from tests.benchmarks import Report
from tests.emulators.telegram import Person, TelegramEmulator

PEOPLE = 50


def run(quick: bool) -> Report:
    people, rounds = (10, 2) if quick else (PEOPLE, 20)
    with tempfile.TemporaryDirectory() as folder, TelegramEmulator.threaded() as emulator:
        row = asyncio.run(_stop_all(emulator, Path(folder), people, rounds))
    notes = (
        (
            f"On Telegram, {people} people, {rounds} times each: a model that never goes on, a press on Stop, the "
            f"next message. "
            "Slots, open model streams and tasks are counted after the last one; memory is the growth of the "
            "process's peak since the first round."
        ),
    )
    return Report("battery stops", "What is left of answers that were stopped?", [row], notes)


async def _stop_all(emulator: TelegramEmulator, home: Path, people: int, rounds: int) -> dict[str, str | int | float]:
    api = emulator.base_url.removesuffix("/bot")
    chosen = {
        "telegram_token": emulator.token,
        "telegram_api": api,
        "messages_per_minute": 10000,
        "answers_at_once": 64,
    }
    settings = Settings(home=home, **chosen)
    model = Silence()
    house = open_house(settings, lambda: model)
    connectors = make_connectors(settings, house)
    delivery = make_delivery(settings, house, connectors)
    crowd = [emulator.person(f"P{number}") for number in range(people)]
    receiving = asyncio.create_task(connectors["telegram"].run(delivery.acceptor("telegram")))
    working = asyncio.create_task(delivery.run())
    began, tasks, memory, stopped = time.monotonic(), 0, 0, 0
    for number in range(rounds):
        for person in crowd:
            person.writes(f"note {person.name.lower()[0]}-{number}")
        await emulator.until(lambda: all(_stoppable(emulator, person) for person in crowd), timeout=60)
        for person in crowd:
            message = _stoppable(emulator, person)[-1]
            person.presses(message, message.buttons[0][0])
        finished = number + 1
        await emulator.until(lambda: all(_stopped(emulator, p) == finished for p in crowd), timeout=15)  # noqa: B023 - awaited here
        await emulator.until(lambda: not delivery._running, timeout=60)
        stopped += len(crowd)
        if number == 0:
            await asyncio.sleep(2)
            tasks, memory = len(asyncio.all_tasks()), _peak()
    await asyncio.sleep(2)
    grown = (_peak() - memory) / 1e3
    cells: dict[str, str | int | float] = {"stopped": stopped, "slots left": len(delivery._running)}
    cells |= {"streams left": model.begun - model.ended, "tasks more": len(asyncio.all_tasks()) - tasks}
    cells |= {"memory MB more": round(grown, 1), "seconds": round(time.monotonic() - began, 1)}
    for task in (receiving, working):
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await connectors["telegram"].close()
    await house.close()
    return cells


def _peak() -> int:
    """The most memory this process has held, in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _stoppable(emulator: TelegramEmulator, person: Person) -> list[object]:
    return [
        each for each in emulator.seen(person) if each.text in {"…", "One moment."} and len(sum(each.buttons, ())) == 1
    ]


def _stopped(emulator: TelegramEmulator, person: Person) -> int:
    """Answers that were put up to the end of what was said. Not the question about consent, which has "
    "two buttons too."""
    said = [each for each in emulator.seen(person) if each.author == "bot" and each.text.startswith("One moment.")]
    return sum(len(sum(each.buttons, ())) != 1 for each in said)
