"""The library's requests by aiohttp, which the rest of the process uses too: by httpx each cost three times as much.

https://docs.python-telegram-bot.org/en/stable/telegram.request.baserequest.html
"""

from collections.abc import Mapping
from typing import cast
from urllib.request import getproxies

import aiohttp
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData
from yarl import URL

NEVER_LEFT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)  # no connection, or none that was free
_CONNECT = 5.0  # seconds
_MEDIA = 20.0  # seconds more where files are sent
_WHOLE, _WHOLE_MEDIA = 30.0, 600.0  # seconds more until an answer is there to its end, and what is sent before it
MOST_BYTES = 16 << 20  # of an answer: of a hundred updates, the most that come at once, it is a tenth


class Requests(BaseRequest):
    """most: connections at once. read: seconds until an answer. pool: seconds that a request waits for a connection."""

    def __init__(self, most: int, *, read: float = 5.0, pool: float = 1.0) -> None:
        self._most, self._read, self._pool = most, read, pool
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    @property
    def read_timeout(self) -> float | None:
        return self._read

    async def initialize(self) -> None:
        self._is_closed = False  # a session is made in the loop that uses it

    async def shutdown(self) -> None:
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = BaseRequest.DEFAULT_NONE,
        write_timeout: object = BaseRequest.DEFAULT_NONE,  # noqa: ARG002 - the library's interface
        connect_timeout: object = BaseRequest.DEFAULT_NONE,  # noqa: ARG002 - as above
        pool_timeout: object = BaseRequest.DEFAULT_NONE,  # noqa: ARG002 - as above
    ) -> tuple[int, bytes]:
        """Status and body. Raises TimedOut, or NetworkError with the cause; neither is ever sent twice from here."""
        read = self._read if read_timeout is BaseRequest.DEFAULT_NONE else cast("float | None", read_timeout)
        files = request_data.multipart_data if request_data else {}
        if files and read is not None:
            read += _MEDIA
        connect = self._pool + _CONNECT
        whole = None if read is None else connect + read + (_WHOLE_MEDIA if files else _WHOLE)
        limits = aiohttp.ClientTimeout(whole, connect, sock_connect=_CONNECT, sock_read=read)
        try:
            async with self._client.request(
                method, URL(url, encoded=True), data=_body(request_data, files), timeout=limits, allow_redirects=False
            ) as response:
                return response.status, await _whole(response.content)
        except TimeoutError as error:
            raise TimedOut from error
        except (aiohttp.ClientError, OSError) as error:
            raise NetworkError(type(error).__name__) from error

    @property
    def _client(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise NetworkError("The connections were closed.")
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._most),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self.USER_AGENT},
                trust_env=bool(getproxies()),  # else the environment is searched, in a thread, for each request
            )
        return self._session


async def _whole(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > MOST_BYTES:
            raise NetworkError("The answer is too large.")
    return bytes(body)


def _body(given: RequestData | None, files: Mapping[str, tuple[str, object, str]]) -> aiohttp.FormData | None:
    if given is None:
        return None
    form = aiohttp.FormData(given.json_parameters)
    for name, (filename, content, kind) in files.items():
        form.add_field(name, content, filename=filename, content_type=kind)
    return form
