"""What an HTTP request of Slack's must be before anything looks into it: small, signed, and of the right shape.

Bolt checks later and less: an odd timestamp or body makes it fail before it has verified anything.
Signatures: https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

MOST_BYTES = 1024 * 1024
WINDOW = 300  # seconds that a signature is good for, either way
DEPTH = 64  # Slack's deepest payloads, rich text in lists in messages, reach about 20
FIELDS = 50  # of a form


class Gate:
    """secret: the app's signing secret. clock: seconds since 1970."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode()
        self._clock = clock

    async def body(self, request: web.Request) -> dict[str, Any]:
        """The payload of a request. Raises 413, 401 or 400."""
        raw = await _read(request)
        if raw is None:
            refusal = web.HTTPRequestEntityTooLarge(MOST_BYTES, text="The request is too large.")
            refusal.force_close()  # the rest of it is not waited for
            raise refusal
        self._verify(request, raw)
        return shape(raw, request.content_type)

    def _verify(self, request: web.Request, raw: bytes) -> None:
        sent = request.headers.get("X-Slack-Request-Timestamp", "")
        is_number = sent.isascii() and sent.isdigit() and len(sent) <= 12
        if not is_number or abs(self._clock() - int(sent)) > WINDOW:
            raise web.HTTPUnauthorized(text="The request is not signed, or too old.")
        right = "v0=" + hmac.new(self._secret, b"v0:" + sent.encode() + b":" + raw, hashlib.sha256).hexdigest()
        given = request.headers.get("X-Slack-Signature", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(right.encode(), given):
            raise web.HTTPUnauthorized(text="The request is not signed.")


async def _read(request: web.Request) -> bytes | None:
    """The body; None as soon as it is too long. Apart from what raises: an exception would hold on to what was read."""
    if (request.content_length or 0) > MOST_BYTES:
        return None
    raw = bytearray()
    try:
        async for chunk in request.content.iter_chunked(65_536):
            raw += chunk
            if len(raw) > MOST_BYTES:
                return None
    except (web.RequestPayloadError, ClientPayloadError, HttpProcessingError) as error:
        raise web.HTTPBadRequest(text="The body cannot be read.") from error
    return bytes(raw)


def shape(raw: bytes, content_type: str) -> dict[str, Any]:
    """JSON, a form with JSON in `payload`, or a command's form, as an object. Raises 400."""
    try:
        text = raw.decode()
        if content_type == "application/json" or text.startswith("{"):
            return _object(text)
        form = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS))
        if "payload" in form:
            return _object(form["payload"])
        if "command" in form or form.get("ssl_check") == "1":
            return form
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text="The request is not of Slack's shape.") from error
    raise web.HTTPBadRequest(text="The request is not of Slack's shape.")


def _object(text: str) -> dict[str, Any]:
    body = json.loads(text, parse_constant=_no_number)
    if not isinstance(body, dict) or not _is_shallow(body):
        raise ValueError
    return body


def _no_number(_: str) -> NoReturn:
    raise ValueError


def _is_shallow(body: dict[str, Any]) -> bool:
    level: list[Any] = [body]
    for _ in range(DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return True
    return False
