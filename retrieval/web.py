"""One page of the web, read politely: only where robots.txt lets us, only from the open internet, only what changed.

Every hop of a redirect is judged anew: its scheme, its address, its robots.txt. Proxies and cookies are not used.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import version
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp
from yarl import URL

from retrieval.addresses import Allows, PrivateAddressError, Resolver, is_address, is_open
from retrieval.errors import UnreadableFile
from retrieval.loading import SUFFIXES
from retrieval.robots import EVERYTHING, MOST, NOTHING, Robots

LARGEST = 20 * 1024 * 1024  # bytes of a page, unpacked
SECONDS = 30.0  # that one answer may take, to its last byte
REDIRECTS = 5
LONGEST = 2_000  # characters of an address
USER_AGENT = f"Atelier/{version('atelier')} (reads the pages that its team has named)"
_PIECE = 64 * 1024
_LOGIN = re.compile(r"(?<=//).*@", re.DOTALL)
_KINDS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "application/json": ".json",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
_LOOSE = frozenset({"text/plain", "application/octet-stream", "binary/octet-stream", ""})  # the name says more

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Version:
    """By what a server tells whether a page is still as it was. url: where it was found, after redirects."""

    url: str = ""
    etag: str = ""
    modified: str = ""


UNKNOWN = Version()


@dataclass(frozen=True, slots=True)
class Page:
    """suffix: of a file that holds the content."""

    content: bytes
    suffix: str
    version: Version


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The page is as it was at that version."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The page is not there any more, for certain (404, 410)."""


def without_login(address: str) -> str:
    """An address that is refused as it may be shown and kept: what stands before an @ may be a password."""
    return _LOGIN.sub("***@", address)


def check_url(url: str) -> str:
    """A web address in one spelling, without what comes behind #. Raises UnreadableFile with what is wrong."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise UnreadableFile(f"{without_login(url)[:200]!r} is no web address ({error}).") from None
    if parts.scheme.lower() not in ("http", "https") or not host or len(url) > LONGEST or not url.isprintable():
        raise UnreadableFile(f"{without_login(url)[:200]!r} is no web address. Write it like https://example.com/page.")
    if parts.username is not None or parts.password is not None:
        raise UnreadableFile(f"The address at {host} holds a user name or password, which would be sent in the clear.")
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), parts.path or "/", parts.query, ""))


class Web:
    """Reads pages, one after the other. What robots.txt says is remembered until it is closed.

    allows: which addresses may be called.

    >>> async with Web() as web:  # doctest: +SKIP
    ...     page = await web.read("https://example.com/")
    """

    def __init__(self, allows: Allows = is_open, seconds: float = SECONDS) -> None:
        self._allows = allows
        self._seconds = seconds
        self._robots: dict[str, Robots] = {}
        self._called: dict[str, float] = {}  # when a site was called last, where it wants pauses
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(resolver=Resolver(self._allows), use_dns_cache=False, limit=4)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, identity"},
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def read(self, url: str, known: Version = UNKNOWN) -> Page | Unchanged | Gone:
        """The page, unless it is as it was at the `known` version. Raises UnreadableFile with why it was not read."""
        url = check_url(url)
        at = url
        for _ in range(REDIRECTS + 1):
            self._check(at)
            robots = await self._robots_of(at)
            if not robots.allows(at):
                raise UnreadableFile(f"{url} is not read: the site's robots.txt does not let it be.")
            await self._pause(at, robots)
            answer = await self._get(url, at, known if known.url == at else UNKNOWN)
            if not isinstance(answer, str):
                return answer
            if urlsplit(at).scheme == "https" and urlsplit(answer).scheme != "https":
                raise UnreadableFile(f"{url} leads to an address without encryption, so it is not read.")
            at = answer
        raise UnreadableFile(f"{url} leads from one address to the next more than {REDIRECTS} times.")

    async def _get(self, url: str, at: str, known: Version) -> Page | Unchanged | Gone | str:
        """What is at an address; another address where it leads there."""
        headers = {"If-None-Match": known.etag} if known.etag else {}
        if known.modified:
            headers["If-Modified-Since"] = known.modified
        try:
            async with self._session.get(at, headers=headers, allow_redirects=False) as answer:
                status = answer.status
                if status in (301, 302, 303, 307, 308) and "Location" in answer.headers:
                    return check_url(urljoin(at, answer.headers["Location"]))
                if status == 304 and headers:
                    return Unchanged()
                if status in (404, 410):
                    return Gone()
                if status in (401, 403):
                    raise UnreadableFile(f"{url} is not open to everybody (the site answered {status}).")
                if status != 200:
                    raise UnreadableFile(f"{url} could not be read: the site answered {status}.")
                kind = _media_type(answer.headers.get("Content-Type", ""))
                suffix = _suffix(kind, at)
                if suffix is None:
                    raise UnreadableFile(f"{url} is of a kind that Atelier does not read ({kind or 'not named'}).")
                content = await _whole(answer, LARGEST)
                if content is None:
                    raise UnreadableFile(f"{url} is larger than {LARGEST // 2**20} MB, so it is not read.")
                version_ = Version(at, _header(answer, "ETag"), _header(answer, "Last-Modified"))
                return Page(content, suffix, version_)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._failed(url, error) from None

    async def _robots_of(self, at: str) -> Robots:
        """What a site lets us read. By the RFC: everything where there is no such file, nothing while it fails."""
        parts = urlsplit(at)
        site = f"{parts.scheme}://{parts.netloc}"
        if site not in self._robots:
            self._robots[site] = await self._read_robots(f"{site}/robots.txt")
        return self._robots[site]

    async def _read_robots(self, at: str) -> Robots:
        url = at
        try:
            for _ in range(REDIRECTS + 1):
                self._check(at)
                async with self._session.get(at, allow_redirects=False) as answer:
                    if answer.status in (301, 302, 303, 307, 308) and "Location" in answer.headers:
                        at = check_url(urljoin(at, answer.headers["Location"]))
                        continue
                    if 400 <= answer.status < 500 and answer.status != 429:
                        return EVERYTHING
                    if answer.status != 200:
                        return NOTHING
                    return Robots.of(await _whole(answer, MOST, cut=True) or b"")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._failed(url, error) from None
        return EVERYTHING  # too many redirects: as if there were none

    async def _pause(self, at: str, robots: Robots) -> None:
        site, clock = urlsplit(at).netloc, asyncio.get_running_loop()
        if robots.delay and site in self._called:
            await asyncio.sleep(max(0.0, self._called[site] + robots.delay - clock.time()))
        self._called[site] = clock.time()

    def _check(self, at: str) -> None:
        """A bare address is never looked up, so it is judged here, as it is called: wide digits are plain ones."""
        try:
            host = URL(at).raw_host or ""
        except ValueError as error:
            raise UnreadableFile(f"{at[:200]!r} is no web address ({error}).") from None
        if is_address(host) and not self._allows(host, host):
            raise UnreadableFile(_inside(host))

    def _failed(self, url: str, error: Exception) -> UnreadableFile:
        inner: BaseException | None = error
        while inner is not None:
            if isinstance(inner, PrivateAddressError):
                return UnreadableFile(_inside(inner.host))
            inner = inner.__cause__
        if isinstance(error, TimeoutError):
            return UnreadableFile(f"{url} took longer than {self._seconds:g} seconds, so it was not read.")
        return UnreadableFile(f"{url} could not be reached ({type(error).__name__}).")


async def _whole(answer: aiohttp.ClientResponse, most: int, *, cut: bool = False) -> bytes | None:
    """The body; of one that is larger than `most` its beginning (`cut`) or None."""
    content = bytearray()
    async for piece in answer.content.iter_chunked(_PIECE):
        content += piece
        if len(content) > most:
            return bytes(content[:most]) if cut else None
    return bytes(content)


def _media_type(header: str) -> str:
    message = Message()
    message["Content-Type"] = header
    return message.get_content_type() if header else ""


def _suffix(kind: str, at: str) -> str | None:
    """How a file with this content would be named; None for what is not read."""
    named = PurePosixPath(urlsplit(at).path).suffix.lower()
    if kind in _LOOSE and named in SUFFIXES:
        return named
    return _KINDS.get(kind)


def _header(answer: aiohttp.ClientResponse, name: str) -> str:
    """A header to be sent back later; one that is no plain short line is not kept."""
    value = answer.headers.get(name, "").strip()
    return value if len(value) <= 300 and value.isascii() and value.isprintable() else ""


def _inside(host: str) -> str:
    return (
        f"{host} is inside this machine or network, so it is not read. If it is a server of your own, name it in "
        "`private_hosts` of the section `sources`."
    )
