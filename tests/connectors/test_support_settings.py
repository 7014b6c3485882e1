"""The section `support` of the settings, and the addresses that a webhook may have."""

import asyncio
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from aiohttp import web

from agent.support.triggers import Reason
from connectors import webhook
from connectors.connector import Refused, Unsure
from connectors.settings import Settings, load_settings, settings_table
from connectors.support_settings import Support
from retrieval.errors import SettingsError

SECTION = """
[support]
topics = ["refund*"]
ask_first = ["anger"]
agents = ["slack:U1@slack:C1"]
webhook = "https://example.com/cases"
[[support.desks]]
to = "slack:C1"
hours = "mon-fri 09:00-17:00"
zone = "Europe/Berlin"
[[support.desks]]
to = "telegram:-1001"
topics = ["refund*"]
platforms = ["telegram"]
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [*(f"ATELIER_{field.upper()}" for field in Settings.model_fields), "ATELIER_SETTINGS"]:
        monkeypatch.delenv(name, raising=False)


def written(text: str) -> Support:
    Path("atelier.toml").write_text(text)
    return load_settings().support


def test_a_section_with_everything_in_it() -> None:
    support = written(SECTION)
    assert [desk.to for desk in support.desks] == ["slack:C1", "telegram:-1001"]
    assert support.desks[0].hours.zone == "Europe/Berlin"
    assert support.desks[1].platforms == ("telegram",)
    assert (support.topics, support.ask_first, support.remind) == (("refund*",), frozenset({Reason.ANGER}), 30)


def test_without_a_section_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert written("") == Support()
    assert "`support` | `{}`" in settings_table()
    monkeypatch.setenv("ATELIER_SUPPORT", '{"desks": [{"to": "telegram:42"}]}')
    assert [desk.to for desk in load_settings().support.desks] == ["telegram:42"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("desks = 1", "is a list of tables"),
        ('desk = "slack:C1"', "There is no 'desk' in support"),
        ('desks = [{to = "C1"}]', "slack:C0123ABCD or telegram:-1001234"),
        ('desks = [{to = "slack:C1", hours = "always"}]', "Write them like: mon-fri"),
        ('desks = [{to = "slack:C1", zone = "Moon"}]', "no time zone"),
        ('desks = [{to = "slack:C1", where = 1}]', "There is no 'where' in a desk"),
        ('ask_first = ["rage"]', "it can hold request, doubt, anger, topic"),
        ('agents = ["Mara"]', "Write slack:U0123ABCD"),
        ("remind = -1", "whole number of minutes"),
        ('rating = "yes"', "true or false"),
        ('webhook = "ftp://x"', "Write it like https"),
    ],
)
def test_a_mistake_is_named_with_what_is_right(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match='setting "support"') as caught:
        written(f"[support]\n{text}\n")
    assert reason in str(caught.value)


def test_a_webhook_s_secret_is_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        written('[support]\nwebhook_secret = "hunter2"\nremind = -1\n')
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Support.of({"webhook_secret": "hunter2"}))


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07::1", True),
        *((inside, False) for inside in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1")),
        *((inside, False) for inside in ("::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "2002:7f00:1::")),
        *((strange, False) for strange in ("0.0.0.0", "224.0.0.1", "", "example.com")),
    ],
)
def test_which_addresses_are_public(address: str, is_public: bool) -> None:
    assert webhook.is_public(address) is is_public


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "[::1]", "localhost", "[::ffff:7f00:1]"]
)
async def test_nothing_inside_is_called(host: str) -> None:
    heard: list[str] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    with pytest.raises(Refused, match="webhook_private"):
        await webhook.call(f"http://{host}:{port}/", "", "k", {}, allow_private=False)
    assert heard == []
    await runner.cleanup()


async def test_a_call_is_signed_and_goes_nowhere_else() -> None:
    heard: list[tuple[dict[str, str], bytes]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append((dict(request.headers), await request.read()))
        return web.Response(status=204)

    async def leads_away(_: web.Request) -> web.Response:
        raise web.HTTPFound("/hear")

    app = web.Application()
    app.router.add_post("/hear", hear)
    app.router.add_post("/away", leads_away)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    await webhook.call(f"{base}/hear", "s3cret", "key-1", {"case": 1, "event": "claimed"}, allow_private=True)
    ((headers, body),) = heard
    assert json.loads(body) == {"case": 1, "event": "claimed"}
    assert headers[webhook.SIGNATURE] == f"sha256={hmac.new(b's3cret', body, hashlib.sha256).hexdigest()}"
    assert headers[webhook.DELIVERY] == "key-1"
    with pytest.raises(Unsure, match="302"):
        await webhook.call(f"{base}/away", "", "k", {}, allow_private=True)
    assert len(heard) == 1
    await runner.cleanup()
    with pytest.raises(Unsure):
        await asyncio.wait_for(webhook.call(f"{base}/hear", "", "k", {}, allow_private=True), 20)
