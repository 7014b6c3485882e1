"""Slack by OAuth, from the installation to the removal: a workspace reads its tenant's documents while it is there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from connectors import compose
from connectors.slack.oauth import Installations
from retrieval.encoder import TransformerEncoder
from tests.connectors.desk.chats import SlackChat
from tests.emulators.slack_world import OAUTH_CODE
from tests.foreign.servers import Served, serving, until

VACATION = "# Vacation\n\nEverybody has thirty days of vacation a year.\n"
QUESTION = "How many days of vacation do we have a year?"
COOKIE = "slack-app-oauth-state"
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated")  # slack_sdk 3.47 uses it


@pytest.fixture
async def served(
    furnished: Path, tmp_path: Path, slack: SlackChat, encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Served]:
    """Reached over HTTP, by whichever workspaces install it; the emulator's is the tenant acme."""
    monkeypatch.setattr(compose, "TransformerEncoder", lambda *_, **__: encoder)
    emulator = slack.emulator
    given = {
        "slack_client_id": emulator.client_id,
        "slack_client_secret": emulator.client_secret,
        "slack_signing_secret": emulator.signing_secret,
        "slack_workspaces": (f"{emulator.team_id}=acme",),
        "slack_api": emulator.api_url,
        "public_url": "https://atelier.example.com",
    }
    async with serving(furnished, tmp_path / "home", **given) as house:
        emulator.events_url = f"{house.url}/slack/events"
        house.add("vacation.md", VACATION)
        yield house


async def install(house: Served) -> None:
    """As a person's browser does, without Slack's own page in between."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        async with session.get(f"{house.url}/slack/install") as response:
            state = response.cookies[COOKIE].value
        back = {"code": OAUTH_CODE, "state": state}
        headers = {"Cookie": f"{COOKIE}={state}"}
        async with session.get(f"{house.url}/slack/oauth_redirect", params=back, headers=headers) as response:
            assert response.status == 200


async def settled(house: Served, slack: SlackChat) -> None:
    async def is_over() -> bool:
        counts = await house.delivery.counts()
        return slack.is_quiet() and not counts.get("new") and not counts.get("claimed")

    await until(is_over)


async def test_a_workspace_is_answered_from_its_tenant_until_it_removes_the_app(
    served: Served, slack: SlackChat
) -> None:
    ann = slack.person("Ann")
    slack.says(ann, QUESTION)
    await settled(served, slack)
    assert slack.shown(ann) == []  # not installed yet

    await install(served)
    slack.says(ann, QUESTION)
    await settled(served, slack)
    assert "thirty days of vacation" in slack.shown(ann)[0].text
    store = Installations(served.house.store.engine)
    assert await store.find(slack.emulator.team_id) is not None

    ann.uninstalls()
    await settled(served, slack)
    assert await store.find(slack.emulator.team_id) is None
    calls = len(slack.emulator.calls())
    slack.says(ann, "Are you still there?")
    await settled(served, slack)
    assert len(slack.emulator.calls()) == calls

    slack.emulator.world.oauth_codes.add(OAUTH_CODE)
    await install(served)
    before = len(slack.shown(ann))
    slack.says(ann, QUESTION)
    await settled(served, slack)
    assert "thirty days of vacation" in slack.shown(ann)[before].text


async def test_what_waits_when_the_app_is_removed_is_let_go(served: Served, slack: SlackChat) -> None:
    await install(served)
    ann = slack.person("Ann")
    slack.emulator.fail_next("chat.postMessage", status=429, retry_after=30, times=99)
    slack.says(ann, QUESTION)

    async def is_put_off() -> bool:
        return bool(slack.emulator.calls("chat.postMessage")) and bool((await served.delivery.counts()).get("new"))

    await until(is_put_off)
    ann.uninstalls()
    await settled(served, slack)
    assert slack.shown(ann) == []
    assert await asyncio.to_thread(lambda: b"days of vacation do we have" not in _store(served))


def _store(served: Served) -> bytes:
    return (served.house.store.settings.home / "store.db").read_bytes()
