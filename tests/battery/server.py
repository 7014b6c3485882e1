"""`python -m tests.battery.server SECONDS [models]`: `atelier serve` as a process of its own, on a stub generator.

SECONDS: how long the stub takes for an answer. models: with the real encoder, heads and search over Atelier's own
guide; else with stand-ins for them. Settings come from the environment, as everywhere.
"""

import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from agent.colleague import Colleague, Manner
from agent.generation.generator import Limits
from agent.message import Prompt
from agent.prompt import PERSONA
from agent.understanding import Understander
from connectors import compose
from connectors.loop import run
from connectors.serve import serve
from connectors.settings import Settings, load_settings
from tests.battery import house as stub
from tests.battery.inside import StubGenerator, settings_for
from tests.battery.process import clean_environment
from tests.emulators.slack import SlackEmulator
from tests.emulators.telegram import TelegramEmulator


def answer(prompt: Prompt) -> str:
    """Twenty-one words, the last of which is the question's last: so the answer can be told from others."""
    return " ".join(["So", "far", "all", "is", "well,"] * 4) + f" {prompt.message.split()[-1]}"


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves."""

    process: "subprocess.Popen[str]"
    port: int
    log: Path

    @property
    def used(self) -> psutil.Process:
        return psutil.Process(self.process.pid)


@contextmanager
def served(
    home: Path,
    port: int,
    telegram: TelegramEmulator,
    slack: SlackEmulator,
    *,
    seconds: float = 0.0,
    models: bool = False,
    **chosen: object,
) -> Iterator[Server]:
    """The process, its webhooks up. chosen: settings. Blocks: not for the emulators' own loop."""
    home.mkdir(parents=True, exist_ok=True)
    given = settings_for(home, port, telegram, slack, **chosen)
    environment = clean_environment({f"ATELIER_{name.upper()}": str(value) for name, value in given.items()})
    command = [sys.executable, "-m", "tests.battery.server", str(seconds), *(["models"] if models else [])]
    log = home / "serve.log"
    with (
        log.open("w") as lines,
        subprocess.Popen(command, env=environment, stderr=lines, stdout=lines, text=True) as process,
    ):
        try:
            server = Server(process, port, log)
            _wait_for(server, telegram)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _wait_for(server: Server, telegram: TelegramEmulator) -> None:
    ends = time.monotonic() + 120
    while not telegram.calls("setWebhook"):
        if server.process.poll() is not None or time.monotonic() > ends:
            raise RuntimeError(server.log.read_text()[-2000:])
        time.sleep(0.05)


def house_with_models(settings: Settings, generator: StubGenerator) -> compose.House:
    """All real but the generator."""
    house = compose.open_house(settings, print)
    manner = Manner(PERSONA, Limits(), settings.passages, settings.history_tokens, settings.allowed_links, None)
    understander = Understander(house.encoder, compose.heads_folder(settings))
    memory, count = house.store.memory, house.encoder.count_tokens
    colleague = Colleague(house.knowledge, understander, generator, memory, count, manner)
    return replace(house, generator=generator, colleague=colleague)


def main() -> None:
    settings, generator = load_settings(None), StubGenerator(answer, float(sys.argv[1]))

    def house() -> compose.House:
        if "models" in sys.argv[2:]:
            return house_with_models(settings, generator)
        return stub.open_house(settings, lambda: generator)

    run(serve(settings, house, print))


if __name__ == "__main__":
    main()
