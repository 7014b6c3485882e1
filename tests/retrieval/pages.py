"""A web site of our own for tests: a real server on this machine, and who may call it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate

from aiohttp import web

from retrieval.web import Web

HTML = "<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"


@dataclass(slots=True)
class Site:
    """pages: path to HTML, or to how it is answered. asked: (path, headers) of each call, in order."""

    pages: dict[str, str | web.Response] = field(default_factory=dict)
    robots: str | int = 404
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    etags: bool = True
    base: str = ""

    def put(self, path: str, title: str, text: str) -> str:
        self.pages[path] = HTML.format(title=title, text=text)
        return self.base + path

    def calls(self, path: str) -> list[dict[str, str]]:
        return [headers for asked, headers in self.asked if asked == path]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, dict(request.headers)))
        if request.path == "/robots.txt":
            if isinstance(self.robots, int):
                return web.Response(status=self.robots)
            return web.Response(text=self.robots)
        page = self.pages.get(request.path)
        if page is None:
            return web.Response(status=404)
        if isinstance(page, web.Response):
            return web.Response(status=page.status, headers=page.headers, body=page.body)
        mark = f'"{hash(page) & 0xFFFFFFFF:x}"'
        headers = {"ETag": mark} if self.etags else {"Last-Modified": formatdate(len(page), usegmt=True)}
        known = request.headers.get("If-None-Match" if self.etags else "If-Modified-Since", "")
        if known and known in headers.values():
            return web.Response(status=304, headers=headers)
        return web.Response(text=page, content_type="text/html", headers=headers)


@asynccontextmanager
async def served() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()


def for_tests(seconds: float = 20.0) -> Web:
    """The product calls nothing on this machine; what is tested here is all else."""
    return Web(lambda _, address: address == "127.0.0.1", seconds)
