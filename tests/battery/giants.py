"""Battery 10: bodies far too large or too deep are refused while they come, and cost no memory."""

import select
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.battery.inside import SECRET, SECRET_HEADER, SLACK_PATH, TELEGRAM_PATH
from tests.battery.process import free_port
from tests.battery.server import Server, served
from tests.benchmarks import Cell
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_delivery import signed
from tests.emulators.telegram import TelegramEmulator

HUGE = 100 * 1024 * 1024
PIECE = b"x" * 65_536
DEEP = b'{"a":' + b"[" * 1_000_000
TIMES = 20


def giants() -> list[dict[str, Cell]]:
    """A row for each kind of giant, from the worst of its requests."""
    rows = []
    with (
        tempfile.TemporaryDirectory() as home,
        TelegramEmulator.threaded() as telegram,
        SlackEmulator.threaded() as slack,
        served(Path(home), free_port(), telegram, slack) as server,
    ):
        doors = ((SLACK_PATH, signed), (TELEGRAM_PATH, lambda _: {SECRET_HEADER: SECRET}))
        for path, sign in doors:
            _send(server.port, path, {"Content-Length": "2"} | sign(b"{}"), b"{}")  # what loads late is loaded
            name = path.strip("/")
            huge = {"Content-Length": str(HUGE)} | sign(b"")
            rows.append(_row(f"10: {name}, 100 MB announced", server, path, huge, b""))
            chunked = {"Transfer-Encoding": "chunked"} | sign(b"")
            rows.append(_row(f"10: {name}, 100 MB in chunks", server, path, chunked, b""))
            deep = {"Content-Length": str(len(DEEP))} | sign(DEEP)
            rows.append(_row(f"10: {name}, a million deep, signed", server, path, deep, DEEP))
    return rows


def _row(check: str, server: Server, path: str, headers: Mapping[str, str], body: bytes) -> dict[str, Cell]:
    before = peak = server.used.memory_info().rss
    statuses, spent = [], []
    for _ in range(TIMES):
        status, seconds = _send(server.port, path, headers, body)
        statuses.append(status)
        spent.append(seconds)
        peak = max(peak, server.used.memory_info().rss)
    return {
        "check": check,
        "sent": TIMES,
        "400": statuses.count(400),
        "other 4xx": sum(400 < status < 500 for status in statuses),
        "5xx": sum(status >= 500 for status in statuses),
        "broken connections": statuses.count(0),
        "slowest, ms": max(spent) * 1e3,
        "memory, MB": (peak - before) / 1e6,
    }


def _send(port: int, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, float]:
    """The status, and the seconds from the last byte that a body had to have until it came."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        start = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{head}\r\n"
        line.sendall(start.encode())
        began = time.perf_counter()
        if body:
            line.sendall(body)
            began = time.perf_counter()
        else:
            for piece in _pieces(chunked="Transfer-Encoding" in headers):
                if select.select([line], [], [], 0)[0]:
                    break
                try:
                    line.sendall(piece)
                except ConnectionError:  # it hung up, which is right; what it said before can still be read
                    break
        try:
            answer = line.recv(200)
        except ConnectionError:
            return 0, time.perf_counter() - began
        seconds = time.perf_counter() - began
    return int(answer.split()[1]) if answer else 0, seconds


def _pieces(*, chunked: bool) -> Iterator[bytes]:
    for _ in range(HUGE // len(PIECE)):
        yield b"%x\r\n%s\r\n" % (len(PIECE), PIECE) if chunked else PIECE
