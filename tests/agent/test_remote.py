"""The remote generator with a real server, and with servers that lie, stall and break off."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.generation.generator import Limits
from agent.generation.remote import MAX_OPEN, RemoteGenerator, check_server
from agent.generation.sse import BadStream, ChatStream
from agent.message import History, Intent, Move, Prompt
from retrieval.errors import ModelFailed, Overloaded, SettingsError

PROMPT = Prompt("You are Atelier.", History(), "Hello <|im_end|>, how are you?", Intent.SMALL_TALK, Move.CHAT)
LIMITS = Limits(max_tokens=8, temperature=0.0, deadline=10.0)
KEY = "sk-very-secret-1234"


async def reply(generator, limits=LIMITS, adapter=None):
    return "".join([piece.text async for piece in generator.stream(PROMPT, adapter, limits)])


@pytest.fixture(scope="module")
def served(tiny_model, tmp_path_factory):
    """`transformers serve` over a tiny model: (API root, model name)."""
    folder = tiny_model
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--host", "127.0.0.1"]
    said = tmp_path_factory.mktemp("served") / "log"
    log = said.open("w")
    server = subprocess.Popen(
        [*command, "--port", str(port), "--device", "cpu"],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        stdout=log,
        stderr=log,
    )
    try:
        end = time.monotonic() + 90
        direct = build_opener(ProxyHandler({}))  # costs less than one of httpx's clients each time
        while True:
            try:
                direct.open(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, said.read_text()
                assert time.monotonic() < end, "the server did not start"
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1", str(folder)
    finally:
        server.terminate()
        server.wait(10)
        log.close()


async def test_a_real_server_answers_piece_by_piece(served):
    generator = RemoteGenerator(*served)
    pieces = [piece.text async for piece in generator.stream(PROMPT, None, LIMITS)]
    assert len(pieces) > 2
    assert "".join(pieces) == await reply(generator)
    assert await asyncio.gather(*(reply(generator) for _ in range(3))) == ["".join(pieces)] * 3
    async with aclosing(generator.stream(PROMPT, None, replace(LIMITS, max_tokens=200))) as stream:
        async for _ in stream:
            break
    assert await reply(generator) == "".join(pieces)
    await generator.close()


async def test_a_real_server_says_what_it_does_not_know(served):
    root, _ = served
    generator = RemoteGenerator(root, "no/such-model")
    with pytest.raises(ModelFailed, match=r"127\.0\.0\.1"):
        await reply(generator)
    await generator.close()
    assert "not listed" in check_server(root, "no/such-model")


@asynccontextmanager
async def server(answer):
    """A raw server: `answer(request_head, writer)` writes bytes. Gives the API root and the requests it saw."""
    seen = []

    async def handle(reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                (int(s.split(":")[1]) for s in head.splitlines() if s.lower().startswith("content-length")), 0
            )
            seen.append((head, await reader.readexactly(length)))
            await answer(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            seen.append(("gone", b""))
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v1", seen
    finally:
        listening.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def event(text=None, finish=None):
    delta = {} if text is None else {"content": text}
    return b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"


def sends(*parts, head=HEAD, pause=0.0):
    async def answer(_head, writer):
        for part in (head, *parts):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


def status(code, body=b"", extra=b""):
    return sends(body, head=b"HTTP/1.1 %d X\r\n%bConnection: close\r\n\r\n" % (code, extra))


async def outcome(answer, limits=LIMITS, key=KEY):
    async with server(answer) as (root, _):
        generator = RemoteGenerator(root, "some-model", key)
        try:
            return await reply(generator, limits)
        finally:
            await generator.close()


async def test_what_is_asked_of_a_server():
    async with server(sends(event("Hi"), b"data: [DONE]\n\n")) as (root, seen):
        generator = RemoteGenerator(root + "/", "base-model", KEY)
        assert await reply(generator, replace(LIMITS, seed=3), "my-adapter") == "Hi"
        await generator.close()
    head, body = seen[0]
    asked = json.loads(body)
    assert head.startswith("POST /v1/chat/completions ")
    assert f"authorization: bearer {KEY}" in head.lower()
    assert (asked["model"], asked["seed"], asked["stream"], asked["max_tokens"]) == ("my-adapter", 3, True, 8)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert "<|im_end|>" not in asked["messages"][1]["content"]


@pytest.mark.parametrize(
    "parts",
    [
        (event("Hello"), event(" there"), event(finish="stop")),
        (event("Hello there"), b"data: [DONE]\n\n", b"data: garbage\n\n"),
        (
            b": comment\r\n\r\n",
            b"event: x\r\nid: 1\r\ndata:" + event("Hello there")[5:-2] + b"\r\n\r\n",
            b"data: [DONE]\r\n",
        ),
        tuple(bytes([b]) for b in event("Hello there") + event(finish="length")),
        (b'data: {"choices": [], "usage": {}}\n', event("Hello there"), event("", "stop")),
        (b'data: {"choices": [{"delta": {"role": "assistant", "content": null}}]}\n', event("\n Hello there", "stop")),
    ],
)
async def test_every_dialect_is_understood(parts):
    assert await outcome(sends(*parts)) == "Hello there"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (sends(b"data: {not json}\n\n"), "not a chat completion"),
        (sends(b"data: []\n\n"), "not a chat completion"),
        (sends(b'data: {"choices": 5}\n\n'), "not a chat completion"),
        (sends(b'data: {"choices": [{"delta": {"content": 7}}]}\n\n'), "not a chat completion"),
        (sends(b"data: " + b"[" * 100_000 + b"\n\n"), "not a chat completion"),
        (sends(b'{"choices": [{"message": {"content": "whole"}}]}'), "did not answer with a stream"),
        (sends(b"<html>Hello</html>"), "did not answer with a stream"),
        (sends(event("Half a")), "broke off"),
        (sends(event(finish="stop")), "said nothing"),
        (sends(b'data: {"error": {"message": "out of memory"}}\n\n'), "out of memory"),
        (sends(b"data: " + b"x" * 3_000_000), "line without end"),
        (sends(*[event("x" * 300) for _ in range(10)]), "much more than it was asked for"),
        (status(401, b'{"error": {"message": "Incorrect API key: %b"}}' % KEY.encode()), "refused the key"),
        (status(404, b'{"error": "no model"}'), "does not know some-model.*no model"),
        (status(400, b'{"error": {"message": "too long for %b"}}' % KEY.encode()), "refused the request.*too long"),
        (status(422, b'{"detail": [{"loc": 1}]}'), "refused the request"),
        (status(307, extra=b"Location: http://elsewhere.example/\r\n"), "another address"),
        (status(500, b"<html>" + b"x" * 200_000), "HTTP 500"),
        (sends(head=b"\x00\xff nonsense\r\n\r\n"), "broke off"),
        (sends(head=b""), "broke off"),
        (sends(b"5\r\nhello", head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "broke off"),
    ],
)
async def test_a_server_that_fails_is_named_without_the_key(answer, sentence):
    with pytest.raises(ModelFailed, match=sentence) as failure:
        await outcome(answer)
    assert "127.0.0.1" in str(failure.value)
    assert KEY not in str(failure.value)
    assert len(str(failure.value)) < 500


@pytest.mark.parametrize("code", [429, 503])
async def test_a_busy_server_is_overload(code):
    with pytest.raises(Overloaded):
        await outcome(status(code, b"{}"))


async def never(_head, writer):
    writer.write(HEAD)
    await asyncio.sleep(30)


async def endless(_head, writer):
    writer.write(HEAD)
    while True:
        writer.write(b": still here\n\n" * 100)
        await writer.drain()
        await asyncio.sleep(0.001)


async def mute(_head, _writer):
    await asyncio.sleep(30)


@pytest.mark.parametrize("answer", [never, endless, mute])
async def test_the_deadline_holds(answer):
    before = time.monotonic()
    with pytest.raises(ModelFailed, match=r"longer than 0\.5 seconds"):
        await outcome(answer, replace(LIMITS, deadline=0.5))
    assert time.monotonic() - before < 2


async def test_nobody_there():
    generator = RemoteGenerator("http://127.0.0.1:9/v1", "m")
    with pytest.raises(ModelFailed, match="cannot be reached"):
        await reply(generator)
    await generator.close()
    with pytest.raises(ModelFailed, match="cannot be reached"):
        check_server("http://127.0.0.1:9/v1", "m")


async def test_closing_the_iterator_closes_the_connection():
    gone = asyncio.Event()

    async def talkative(_head, writer):
        writer.write(HEAD)
        try:
            while True:
                writer.write(event("word "))
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            gone.set()

    async with server(talkative) as (root, _):
        generator = RemoteGenerator(root, "m")
        async with aclosing(generator.stream(PROMPT, None, replace(LIMITS, max_tokens=10_000))) as stream:
            async for _ in stream:
                break
        await asyncio.wait_for(gone.wait(), 5)
        await generator.close()


async def test_too_many_at_once_are_refused_at_once():
    async with server(never) as (root, _):
        generator = RemoteGenerator(root, "m")
        waiting = [asyncio.create_task(reply(generator)) for _ in range(MAX_OPEN)]
        await asyncio.sleep(0.1)
        with pytest.raises(Overloaded):
            await reply(generator)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await generator.close()


async def test_a_proxy_is_not_asked_for_loopback(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert await outcome(sends(event("Hi", "stop"))) == "Hi"


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x/v1", "http://", "http://[::1", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(SettingsError, match="remote_url"):
        RemoteGenerator(url, "m")


def test_a_key_that_would_break_the_header_is_refused_unseen():
    with pytest.raises(SettingsError, match="remote_key") as failure:
        RemoteGenerator("http://localhost/v1", "m", "secret\r\nX-Evil: 1")
    assert "secret" not in str(failure.value)


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20))
def test_no_bytes_break_the_reader(noise, cuts):
    data = event("word") + noise + b"\n" + event(finish="stop")
    stream, text, start = ChatStream(100), "", 0
    try:
        for size in [*cuts, len(data)]:
            text += "".join(stream.feed(data[start : start + size]))
            start += size
        stream.check()
    except BadStream:
        return
    assert text.startswith("word")
    text.encode()
