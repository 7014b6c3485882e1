"""A bot in another process: started, killed without warning, started again."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol, Self


class Bot(Protocol):
    """One process at a time. start: its id. kill: SIGKILL, from any thread; whether it was alive."""

    def start(self) -> int: ...
    def kill(self) -> bool: ...
    def end(self) -> None: ...


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Ours, without proxies and without settings of somebody else's Atelier."""
    kept = {key: value for key, value in os.environ.items() if "proxy" not in key.lower() and key[:8] != "ATELIER_"}
    return (
        kept | {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive", "TOKENIZERS_PARALLELISM": "false"} | dict(settings)
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stub:
    """stub_serve.py. log: where its lines go."""

    def __init__(self, settings: Mapping[str, str], log: Path, lease: float = 3.0) -> None:
        self.pid = 0
        self._lock = threading.Lock()  # the new process may call, and be killed for it, before we know its id
        self._log: IO[bytes] = log.open("ab")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.battery.stub_serve"],
            env=clean_environment({**settings, "ATELIER_BATTERY_LEASE": str(lease)}),
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(20)
        assert self._server.stdout is not None
        self._server.stdout.close()
        self._log.close()

    def start(self) -> int:
        self.kill()  # never two
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with self._lock:
            self._server.stdin.write(b"\n")
            self._server.stdin.flush()
            self.pid = int(self._server.stdout.readline())
            return self.pid

    def kill(self) -> bool:
        return self._signal(signal.SIGKILL)

    def end(self) -> None:
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> bool:
        was_alive = False
        with self._lock, suppress(ProcessLookupError):
            while self.pid:
                os.kill(self.pid, 0 if was_alive else number)
                was_alive = True
                time.sleep(0.001)
        return was_alive


class Real:
    """`atelier serve` itself."""

    def __init__(self, settings: Mapping[str, str], log: Path) -> None:
        self._settings = clean_environment(settings)
        self._log: IO[bytes] = log.open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._log.close()

    def start(self) -> int:
        self.kill()
        command = [str(Path(sys.executable).with_name("atelier")), "serve"]
        with self._lock:
            self._process = subprocess.Popen(command, env=self._settings, stderr=self._log, stdout=self._log)
            return self._process.pid

    def kill(self) -> bool:
        with self._lock:
            was_alive = self._process is not None and self._process.poll() is None
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            return was_alive

    def end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
