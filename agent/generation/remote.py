"""Any OpenAI-compatible server as a generator: vLLM, `transformers serve`, llama.cpp, Ollama.

Speaks POST /chat/completions with server-sent events
(https://platform.openai.com/docs/api-reference/chat-streaming). What the server sends is not trusted: lines, text and
time are bounded, and the key never stands in a message.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from ipaddress import ip_address
from time import monotonic
from typing import Any

import httpx

from agent.generation.generator import Limits, Piece
from agent.generation.rendering import messages_of, neutralised
from agent.generation.sse import BadStream, ChatStream
from agent.message import Prompt
from retrieval.errors import GeneratorError, ModelFailed, Overloaded, SettingsError

MAX_OPEN = 64  # requests at once
CONNECT = 10.0  # seconds
MAX_ERROR = 1 << 16  # bytes of an error's body that are read
MAX_EXCERPT = 300  # characters of a server's own words shown to a person


class RemoteGenerator:
    """A model on a server. An adapter's name takes the place of the model's, as vLLM serves them.

    called: what the server calls adapters, where that is not their own name.

    The repetition penalty is no part of the API and is not sent. Closing the iterator closes the connection, which is
    how servers know that a request is cancelled.
    """

    def __init__(self, url: str, model: str, key: str | None = None) -> None:
        """url: the API's root, like http://localhost:8000/v1. Raises SettingsError."""
        self._server = Server(url, key)
        self._model = model
        self.called: dict[str, str] = {}
        self._client = httpx.AsyncClient(**self._server.client_options())
        self._open = 0

    @property
    def name(self) -> str:
        return self._model

    async def stream(self, prompt: Prompt, adapter: str | None, limits: Limits) -> AsyncGenerator[Piece, None]:
        """Pieces of the reply as the server sends them. Raises Overloaded or ModelFailed."""
        if self._open >= MAX_OPEN:
            raise Overloaded(f"{self._model} is busy with {MAX_OPEN} messages. Try again in a moment.")
        self._open += 1
        try:
            reply = ChatStream(limits.max_tokens)
            async with aclosing(self._chunks(self._body(prompt, adapter, limits), limits.deadline)) as chunks:
                async for chunk in chunks:
                    for text in reply.feed(chunk):
                        yield Piece(text)
                    if reply.done:
                        break
            reply.check()
        except BadStream as error:
            raise ModelFailed(f"{self._server} {self._server.shown(str(error))}") from error
        finally:
            self._open -= 1

    def _body(self, prompt: Prompt, adapter: str | None, limits: Limits) -> dict[str, Any]:
        seed = {} if limits.seed is None else {"seed": limits.seed}
        return {
            "model": self.called.get(adapter, adapter) if adapter else self._model,
            "messages": [{"role": m.role, "content": neutralised(m.content)} for m in messages_of(prompt)],
            "stream": True,
            "max_tokens": limits.max_tokens,
            "temperature": limits.temperature,
            "top_p": limits.top_p,
        } | seed

    async def _chunks(self, body: dict[str, Any], deadline: float) -> AsyncGenerator[bytes, None]:
        """The body of the answer as it arrives. Raises Overloaded or ModelFailed."""
        if self._client.is_closed:
            raise ModelFailed(f"The connection to {self._server.address} is closed.")
        until = monotonic() + deadline
        response = None
        try:
            request = self._client.build_request("POST", self._server.path("chat/completions"), json=body)
            async with asyncio.timeout(until - monotonic()):
                response = await self._client.send(request, stream=True)
                if response.status_code != httpx.codes.OK:
                    raise self._server.refusal(response.status_code, await _error_body(response), body["model"])
            chunks = response.aiter_raw()  # as sent: a compressed answer was not asked for
            while True:
                async with asyncio.timeout(until - monotonic()):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield chunk
        except TimeoutError as error:
            raise ModelFailed(f"{self._server} took longer than {deadline:g} seconds.") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise self._server.failure(error) from error
        finally:
            if response is not None:
                await response.aclose()

    async def close(self) -> None:
        await self._client.aclose()


def check_server(url: str, model: str, key: str | None = None) -> str:
    """Ask a server whether it is there and lists the model: a line for a person.

    Raises SettingsError, or ModelFailed when it cannot be reached or refuses the key.
    """
    server = Server(url, key)
    with httpx.Client(**server.client_options()) as client:
        try:
            response = client.get(server.path("models"), timeout=CONNECT)
        except httpx.HTTPError as error:
            raise server.failure(error) from error
    if response.status_code in (401, 403):
        raise server.refusal(response.status_code, b"", model)
    try:
        listed = [str(entry["id"]) for entry in response.json()["data"]]
    except (ValueError, KeyError, TypeError):
        listed = []  # not every server lists its models
    known = "is listed" if model in listed else f"is not listed (listed: {', '.join(listed[:5]) or 'none'})"
    return server.shown(f"remote: {model} at {server.address} {known}")


async def _error_body(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ERROR:
            break
    return body[:MAX_ERROR]


class Server:
    """Where the server is, how it is reached, and what a person is told when it fails."""

    def __init__(self, url: str, key: str | None) -> None:
        try:
            root = httpx.URL(url.strip())
            known = root.scheme in ("http", "https") and bool(root.host)
        except httpx.InvalidURL as error:
            raise SettingsError(f"remote_url is not an address: {error}.") from error
        if not known:
            raise SettingsError("remote_url must be an address like http://localhost:8000/v1.")
        if key and not (key.isascii() and key.isprintable()):
            raise SettingsError("remote_key holds characters that a key cannot have. Copy it again.")
        path = root.path.rstrip("/").removesuffix("/chat/completions")
        self._root = root.copy_with(path=path or "/v1", query=None, fragment=None)
        self._key = (key or "").strip()
        self.address = f"{root.scheme}://{root.netloc.decode()}"

    def __str__(self) -> str:
        return f"The model server at {self.address}"

    def path(self, name: str) -> httpx.URL:
        return self._root.copy_with(path=f"{self._root.path.rstrip('/')}/{name}")

    def client_options(self) -> dict[str, Any]:
        headers = {"Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return {
            "headers": headers,
            "trust_env": not _is_loopback(self._root.host),  # a company's proxy cannot reach this machine's loopback
            "timeout": httpx.Timeout(CONNECT, read=None),  # the deadline bounds reading
            "limits": httpx.Limits(max_connections=MAX_OPEN),
            "follow_redirects": False,  # a redirect could carry the key to another host
        }

    def refusal(self, status: int, body: bytes, model: str) -> GeneratorError:
        """What an answer other than 200 means."""
        said = _message_in(body)
        words = f": {self.shown(said)}" if said else "."
        match status:
            case 429 | 503:
                return Overloaded(f"{self} is busy. Try again in a moment.")
            case 401 | 403:
                return ModelFailed(f"{self} refused the key. Check remote_key.")
            case 404:
                return ModelFailed(
                    f"{self} does not know {model}, or not this path. Check remote_url and the model{words}"
                )
            case _ if 300 <= status < 400:
                return ModelFailed(f"{self} points to another address. Set remote_url to the final one.")
            case _ if status < 500:
                return ModelFailed(f"{self} refused the request (HTTP {status}){words}")
        return ModelFailed(f"{self} failed (HTTP {status}){words}")

    def failure(self, error: Exception) -> ModelFailed:
        """What a broken connection means."""
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return ModelFailed(f"{self} cannot be reached. Check that it runs, and remote_url.")
        if isinstance(error, httpx.RemoteProtocolError):
            return ModelFailed(f"{self} broke off in the middle of its answer.")
        return ModelFailed(f"The connection to {self.address} failed ({type(error).__name__}).")

    def shown(self, text: str) -> str:
        """A server's words for a person: one line, short, without the key."""
        if self._key:
            text = text.replace(self._key, "[key]")
        line = "".join(c if c.isprintable() else " " for c in text)
        return " ".join(line.split())[:MAX_EXCERPT]


def _message_in(body: bytes) -> str:
    """The message of an error as OpenAI, vLLM and FastAPI word it; "" where there is none."""
    try:
        found = json.loads(body)
        for name in ("error", "message", "detail"):
            if isinstance(found, dict) and name in found:
                found = found[name]
        return found if isinstance(found, str) else ""
    except (ValueError, RecursionError):
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost" or host.lower().endswith(".localhost")
