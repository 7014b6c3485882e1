"""The library's requests by aiohttp: which never left, which may have arrived, and that none is sent twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from telegram.error import NetworkError, TimedOut

from connectors.connector import Throttled, Unsure
from connectors.telegram import requests as module
from connectors.telegram.failures import mapped
from connectors.telegram.requests import Requests


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def requests() -> AsyncIterator[Requests]:
    made = Requests(1, read=0.2, pool=0.2)
    yield made
    await made.shutdown()


async def test_what_never_left_can_be_sent_again(requests: Requests) -> None:
    with pytest.raises(NetworkError) as refused:
        await requests.do_request("http://127.0.0.1:1/bot1:a/getMe", "POST")
    assert isinstance(mapped(refused.value), Throttled)


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_what_was_sent_and_not_answered_is_unsure(requests: Requests, hangs_up: bool) -> None:
    asked: list[bytes] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if not hangs_up:
            await reader.read()  # until the other side has had enough
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/bot1:a/sendMessage"
    with pytest.raises(NetworkError if hangs_up else TimedOut) as lost:
        await requests.do_request(url, "POST")
    assert isinstance(mapped(lost.value), Unsure)
    assert len(asked) == 1
    server.close()
    await server.wait_closed()


async def test_an_answer_without_an_end_ends(requests: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WHOLE", 0.0)
    monkeypatch.setattr(module, "_CONNECT", 0.1)

    async def answers(piece: bytes, pause: float) -> str:
        over = asyncio.Event()

        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, asyncio.IncompleteReadError):  # it may have given up before it asked
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
                while True:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(pause)
            writer.close()
            over.set()

        server = await asyncio.start_server(endless, "127.0.0.1", 0)
        with pytest.raises(NetworkError) as lost:
            await requests.do_request(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/bot1:a/getMe", "POST")
        await over.wait()
        server.close()
        await server.wait_closed()
        assert isinstance(mapped(lost.value), Unsure)
        return type(lost.value).__name__

    assert await answers(b" ", 0.05) == "TimedOut"  # each piece in time
    monkeypatch.setattr(module, "_WHOLE", 20.0)
    monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    assert await answers(b" " * 50_000, 0.0) == "NetworkError"


async def test_after_the_end_nothing_is_sent(requests: Requests) -> None:
    await requests.shutdown()
    with pytest.raises(NetworkError, match="closed"):
        await requests.do_request("http://127.0.0.1:1/bot1:a/getMe", "POST")
