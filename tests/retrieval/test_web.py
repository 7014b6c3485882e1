"""Pages of the web: read once, asked after politely, and never from inside a network."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from retrieval.addresses import is_public
from retrieval.errors import UnreadableFile
from retrieval.web import LARGEST, Gone, Page, Unchanged, Web, check_url
from tests.retrieval.pages import Site, for_tests, served


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with served() as opened:
        yield opened


@pytest.mark.parametrize("etags", [True, False])
async def test_a_page_is_sent_again_only_when_it_changed(site: Site, etags: bool) -> None:
    site.etags = etags
    url = site.put("/faq", "FAQ", "We open at nine.")
    async with for_tests() as reader:
        page = await reader.read(f"{url}#top")
        assert isinstance(page, Page)
        assert b"We open at nine." in page.content
        assert page.suffix == ".html"
        assert await reader.read(url, page.version) == Unchanged()
        site.put("/faq", "FAQ", "From now on we open at ten.")
        assert isinstance(await reader.read(url, page.version), Page)
        del site.pages["/faq"]
        assert await reader.read(url, page.version) == Gone()
    assert len(site.calls("/robots.txt")) == 1
    assert site.calls("/faq")[0]["User-Agent"].startswith("Atelier/")


async def test_a_version_of_another_address_is_not_asked_after(site: Site) -> None:
    url = site.put("/new", "New", "Here it is.")
    site.pages["/old"] = web.Response(status=301, headers={"Location": "/new"})
    async with for_tests() as reader:
        page = await reader.read(f"{site.base}/old")
        assert isinstance(page, Page)
        assert page.version.url == url
        assert await reader.read(f"{site.base}/old", page.version) == Unchanged()
    assert ["If-None-Match" in headers for headers in site.calls("/old")] == [False, False]


async def test_what_robots_txt_forbids_is_not_asked_for(site: Site) -> None:
    url = site.put("/private/x", "X", "Secret.")
    site.pages["/way"] = web.Response(status=302, headers={"Location": "/private/x"})
    site.robots = "User-agent: *\nDisallow: /private/"
    async with for_tests() as reader:
        for each in (url, f"{site.base}/way"):
            with pytest.raises(UnreadableFile, match=r"robots\.txt does not let"):
                await reader.read(each)
    assert site.calls("/private/x") == []


async def test_while_robots_txt_fails_nothing_is_read(site: Site) -> None:
    url, site.robots = site.put("/x", "X", "Text."), 503
    async with for_tests() as reader:
        with pytest.raises(UnreadableFile, match="robots"):
            await reader.read(url)
    assert site.calls("/x") == []


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f000001", "2130706433", "[::1]", "localhost", "[::ffff:7f00:1]"),
        *("127\u30020\u30020\u30021", "\uff11\uff12\uff17.0.0.1"),  # other marks and wide digits, which are the same
    ],
)
async def test_nothing_inside_is_called(site: Site, host: str) -> None:
    port = site.base.rpartition(":")[2]
    site.put("/", "Inside", "Secret.")
    async with Web() as reader:
        with pytest.raises(UnreadableFile, match="inside this machine or network"):
            await reader.read(f"http://{host}:{port}/")
    assert site.asked == []


async def test_no_redirect_leads_inside(site: Site) -> None:
    """Nor does robots.txt, which is read first."""
    inside = f"http://127.0.0.2:{site.base.rpartition(':')[2]}/secret"
    site.pages["/out"] = web.Response(status=302, headers={"Location": inside})
    site.pages["/named"] = web.Response(status=302, headers={"Location": inside.replace("127.0.0.2", "localhost")})
    async with Web(lambda host, address: host == address == "127.0.0.1") as reader:
        for path in ("/out", "/named"):
            with pytest.raises(UnreadableFile, match="inside this machine or network"):
                await reader.read(site.base + path)
    assert {path for path, _ in site.asked} == {"/robots.txt", "/out", "/named"}


async def test_a_page_too_many_or_in_a_circle(site: Site) -> None:
    site.pages["/a"] = web.Response(status=302, headers={"Location": "/a"})
    site.pages["/ftp"] = web.Response(status=302, headers={"Location": "ftp://127.0.0.1/x"})
    async with for_tests() as reader:
        with pytest.raises(UnreadableFile, match="more than 5 times"):
            await reader.read(f"{site.base}/a")
        with pytest.raises(UnreadableFile, match="no web address"):
            await reader.read(f"{site.base}/ftp")


async def test_what_is_large_strange_or_closed_is_left_out(site: Site) -> None:
    bomb = gzip.compress(bytes(LARGEST + 1), 9)
    packed = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    site.pages["/bomb"] = web.Response(body=bomb, headers=packed)
    site.pages["/photo"] = web.Response(body=b"x", headers={"Content-Type": "image/png"})
    site.pages["/login"] = web.Response(status=403)
    site.pages["/down"] = web.Response(status=503)
    async with for_tests() as reader:
        for path, reason in (
            ("bomb", "larger than"),
            ("photo", "kind"),
            ("login", "open to"),
            ("down", "answered 503"),
        ):
            with pytest.raises(UnreadableFile, match=reason):
                await reader.read(f"{site.base}/{path}")


async def test_a_server_that_drips_is_not_waited_for() -> None:
    ends = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readline()
        if b"robots" in asked:
            writer.write(b"HTTP/1.1 404 None\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\na")
            await writer.drain()
            await ends.wait()
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with for_tests(seconds=0.5) as reader:
        with pytest.raises(UnreadableFile, match="took longer"):
            await reader.read(f"http://127.0.0.1:{port}/")
    ends.set()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/x", "no web address"),
        ("https://", "no web address"),
        ("https://example.com:99999/", "no web address"),
        ("https://ann:secret@example.com/", "user name or password"),
        ("https://example.com/" + "x" * 2000, "no web address"),
        ("https://example.com/\x1b[2J", "no web address"),
    ],
)
def test_addresses_that_are_none(url: str, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason) as caught:
        check_url(url)
    assert "secret" not in str(caught.value)


def test_an_address_has_one_spelling() -> None:
    assert check_url(" HTTPS://Example.com#part ") == "https://example.com/"
    assert check_url("https://example.com/A?b=C") == "https://example.com/A?b=C"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *(
            (each, True)
            for each in ("93.184.215.14", "2606:2800:21f:cb07::1", "64:ff9b::5db8:d70e", "::ffff:5db8:d70e")
        ),
        *((each, False) for each in ("64:ff9b::a00:1", "::7f00:1", "::ffff:7f00:1", "2002:7f00:1::", "fe80::1%eth0")),
        *(
            (each, False)
            for each in ("10.1.2.3", "100.64.0.1", "169.254.169.254", "0.0.0.0", "240.0.0.1", "fd00::1", "x")
        ),
    ],
)
def test_which_addresses_are_of_the_open_internet(address: str, expected: bool) -> None:
    assert is_public(address) is expected
