"""Events over HTTP: only what Slack signed gets in, whatever else is sent; and OAuth."""

import json
import random
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import Engine

from agent.events import Button, Command, Outgoing, Post, Press
from agent.message import Place
from connectors.connector import Refused
from connectors.slack.connector import SlackConnector
from connectors.slack.gate import WINDOW
from connectors.slack.oauth import MOST_STATES, OAuth
from connectors.slack.tables import states
from retrieval.database import writing
from tests.connectors.slack.conftest import Inbox
from tests.connectors.slack.test_slack_events import callback, message
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_delivery import signed
from tests.emulators.slack_person import Person

JSON_TYPE = {"Content-Type": "application/json"}
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}
BUTTON = Button("b1", "Wider")
COMMAND = {
    "command": "/atelier",
    "text": "ideate tea",
    "team_id": "T1",
    "channel_id": "C1",
    "user_id": "U1",
    "trigger_id": "1.2",
}
PRESS = {
    "type": "block_actions",
    "team": {"id": "T1"},
    "user": {"id": "U1"},
    "trigger_id": "1.2",
    "channel": {"id": "C1"},
    "container": {"message_ts": "1.2"},
    "message": {"ts": "1.2"},
    "actions": [{"type": "button", "action_id": "b1", "value": "b1"}],
}


@pytest.fixture
async def connector(slack: SlackEmulator) -> AsyncIterator[SlackConnector]:
    made = SlackConnector("acme", bot_token=slack.bot_token, signing_secret=slack.signing_secret, api=slack.api_url)
    yield made
    await made.close()


@pytest.fixture
async def inbox(connector: SlackConnector) -> Inbox:
    return Inbox(connector)


@pytest.fixture
async def server(slack: SlackEmulator, connector: SlackConnector, inbox: Inbox) -> AsyncIterator[TestServer]:
    application = web.Application()
    application.add_routes(connector.routes(inbox.accept))
    started = TestServer(application)
    async with started:
        slack.events_url = str(started.make_url("/slack/events"))
        yield started


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=8)) as session:
        yield session


async def post(client: aiohttp.ClientSession, server: TestServer, body: bytes, **headers: str) -> int:
    given = {**JSON_TYPE, **signed(body), **{key.replace("_", "-"): value for key, value in headers.items()}}
    async with client.post(server.make_url("/slack/events"), data=body, headers=given) as response:
        assert await response.text() != "500: Internal Server Error"
        return response.status


async def test_what_people_do_arrives(
    slack: SlackEmulator, server: TestServer, inbox: Inbox, ann: Person, general: str
) -> None:
    assert server.started
    verified = slack.verify_url()
    await slack.until(lambda: verified.done)
    assert verified.acked
    ts = ann.writes(f"<@{slack.bot_user}> hello", general)
    ann.commands("/atelier", 'ideate a "payload" & tea', general)
    await slack.until(lambda: len(inbox.received) == 2)
    said, commanded = sorted(inbox.events, key=lambda event: type(event).__name__, reverse=True)
    assert isinstance(said, Post)
    assert (said.text, said.called) == ("hello", True)
    assert isinstance(commanded, Command)
    assert (commanded.name, commanded.argument) == ("ideate", 'a "payload" & tea')
    await slack.until(lambda: all(one.done for one in slack.deliveries()))
    assert {one.status for one in slack.deliveries()} == {200}

    answer = await inbox.connector.send(Outgoing(Place("slack", "acme", general, ts), "Hi.", buttons=(BUTTON,)), "k-0")
    ann.presses(answer, "Wider")
    await slack.until(lambda: len(inbox.received) == 3)
    press = inbox.events[-1]
    assert isinstance(press, Press)
    assert press.button == "b1"


async def test_a_store_that_is_away_makes_slack_send_again(
    slack: SlackEmulator, server: TestServer, inbox: Inbox, ann: Person
) -> None:
    assert server.started
    slack.courier.retry_delays = (0.0, 0.05)
    inbox.failures = 2
    ann.writes("Hello")
    await slack.until(lambda: inbox.received)
    [delivery] = slack.deliveries("events_api")
    await slack.until(lambda: delivery.acked)
    assert delivery.attempts == 3


async def test_only_what_slack_signed_gets_in(server: TestServer, inbox: Inbox, client: aiohttp.ClientSession) -> None:
    body = json.dumps(callback(message())).encode()
    now = int(time.time())
    stamps = [
        "",
        "abc",
        "1e9",
        "-5",
        "१२३",
        "9" * 40,
        str(now - WINDOW - 5),
        str(now + WINDOW + 5),
        f"{now}.0",
        f" {now}x",
    ]
    for stamp in stamps:
        headers = signed(body) | {"X-Slack-Request-Timestamp": stamp}
        assert await raw_post(client, server, body, headers) == 401, stamp
    for signature in ("", "v0=", "v0=" + "0" * 64, "v1=" + "a" * 64, "v0=é", "x" * 5_000):
        headers = signed(body) | {"X-Slack-Signature": signature}
        assert await raw_post(client, server, body, headers) == 401, signature
    assert await raw_post(client, server, body, {}) == 401
    assert await raw_post(client, server, body + b" ", signed(body)) == 401
    assert inbox.received == []
    assert await raw_post(client, server, body, signed(body)) == 200
    assert await raw_post(client, server, body, signed(body)) == 200  # a replay inside the window
    assert len(inbox.received) == 1


async def raw_post(client: aiohttp.ClientSession, server: TestServer, body: bytes, headers: dict[str, str]) -> int:
    url = server.make_url("/slack/events")
    async with client.post(url, data=body, headers={**JSON_TYPE, **headers}) as response:
        return response.status


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b"{", b"1", b'"x"', b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b'{"a":' * 500_000,
        b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", b'{"a": ' + b"1" * 5_000 + b"}", b"payload=[]", b"payload={", b"x=1",
        b"&" * 60 + b"command=/x",
    ],
    ids=range(16),
)  # fmt: skip
async def test_signed_bodies_of_no_shape_are_refused_at_once(
    server: TestServer, client: aiohttp.ClientSession, inbox: Inbox, body: bytes
) -> None:
    if len(body) > 1024 * 1024:
        body = body[: 1024 * 1024]
    for kind in (JSON_TYPE, FORM_TYPE):
        async with client.post(server.make_url("/slack/events"), data=body, headers=signed(body) | kind) as response:
            assert response.status == 400
    assert inbox.received == []


@pytest.mark.parametrize("is_announced", [True, False])
async def test_large_bodies_are_refused_without_being_kept(
    server: TestServer, client: aiohttp.ClientSession, inbox: Inbox, *, is_announced: bool
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024 * 1024

    headers = signed(b"") | ({"Content-Length": str(100 * 1024 * 1024)} if is_announced else {})
    tracemalloc.start()
    try:
        began = time.perf_counter()
        with suppress(aiohttp.ClientConnectionError):  # the server hangs up while the rest is still being sent
            async with client.post(server.make_url("/slack/events"), data=endless(), headers=headers) as response:
                assert response.status == 413
        assert time.perf_counter() - began < 1
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert inbox.received == []
    body = json.dumps(callback(message())).encode()
    assert await post(client, server, body) == 200


async def test_thousands_of_signed_bodies_of_noise(
    server: TestServer, client: aiohttp.ClientSession, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    """0 x 5xx, nothing stuck: after the noise a message is answered as before."""
    dice = random.Random(7)
    whole = [json.dumps(callback(message())), json.dumps(PRESS), urlencode(COMMAND)]
    counts: dict[int, int] = {}
    for _ in range(3_000):
        body = _noise(dice, dice.choice(whole)).encode("utf-8", "surrogatepass")
        kind = dice.choice([JSON_TYPE, FORM_TYPE, {"Content-Type": "text/plain"}])
        headers = signed(body) | kind
        async with client.post(server.make_url("/slack/events"), data=body, headers=headers) as response:
            counts[response.status] = counts.get(response.status, 0) + 1
    assert set(counts) <= {200, 400}
    assert counts[200] > 300
    assert counts[400] > 300
    for received in inbox.received:
        assert received.key.isprintable()
        received.payload.encode()
    last = json.dumps(callback(message(ts="1800000000.000100"))).encode()
    assert await post(client, server, last) == 200
    assert inbox.received[-1].key == "message:C1:1800000000.000100"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def _noise(dice: random.Random, body: str) -> str:
    """A payload with something wrong: cut, mixed up, values of other kinds."""
    kind = dice.randrange(4)
    if kind == 0:
        return body[: dice.randrange(len(body))]
    if kind == 1:
        at = dice.randrange(len(body))
        return body[:at] + chr(dice.randrange(0x110000)) + body[at + 1 :]
    if not body.startswith("{"):
        return body.replace("=", dice.choice(["=", "&", "%00", "=%ff"]), dice.randrange(3))
    value = json.loads(body)
    for _ in range(dice.randrange(1, 4)):
        node: Any = value
        while isinstance(node, dict) and node:
            key = dice.choice(sorted(node))
            if not isinstance(node[key], dict) or not node[key] or dice.random() < 0.3:
                node[key] = dice.choice([None, 1, -0.5, [], {}, "", "\0", "\ud800", "x" * 300, [[]], True, {"a": 1}])
                break
            node = node[key]
    return json.dumps(value) if kind == 2 else urlencode({"payload": json.dumps(value)})


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated")  # slack_sdk 3.47 uses it
async def test_several_workspaces_by_oauth(
    slack: SlackEmulator, engine: Engine, client: aiohttp.ClientSession, ann: Person
) -> None:
    oauth = OAuth(slack.client_id, slack.client_secret, engine, "https://atelier.example.com")
    connector = SlackConnector(
        "nobody", oauth=oauth, signing_secret=slack.signing_secret, tenants={slack.team_id: "acme"}, api=slack.api_url
    )
    inbox = Inbox(connector)
    application = web.Application()
    application.add_routes(connector.routes(inbox.accept))
    async with TestServer(application) as server:
        slack.events_url = str(server.make_url("/slack/events"))
        ann.writes("too early")
        await slack.until(lambda: slack.deliveries("events_api")[0].acked)
        assert inbox.received == []
        place = Place("slack", "acme", ann.dm)
        with pytest.raises(Refused, match="not installed"):
            await connector.send(Outgoing(place, "Hello"), "k-0")

        many = [{"state": f"s{number}", "expires": time.time() + 600} for number in range(MOST_STATES)]
        with writing(engine) as connection:
            connection.execute(states.insert(), many)
        async with client.get(server.make_url("/slack/install")) as response:  # anybody may ask: the store stays small
            assert (response.status, response.headers["Retry-After"]) == (503, "600")
        with writing(engine) as connection:
            connection.execute(states.update().values(expires=time.time() - 1))
        async with client.get(server.make_url("/slack/install")) as response:
            assert response.status == 200
            page = await response.text()
            cookie = response.cookies["slack-app-oauth-state"].value
        assert "app_mentions%3Aread" in page or "app_mentions:read" in page
        back = server.make_url("/slack/oauth_redirect").update_query(code=slack.oauth_code, state=cookie)
        sent = {"Cookie": f"slack-app-oauth-state={cookie}"}
        async with client.get(back) as response:
            assert response.status == 400  # another browser than the one that left
        async with client.get(back, headers=sent) as response:
            assert response.status == 200
            assert slack.bot_token not in await response.text()
        async with client.get(back, headers=sent) as response:
            assert response.status == 401  # a state is good once

        ann.writes("now")
        await slack.until(lambda: inbox.received)
        assert inbox.received[0].tenant == "acme"
        await connector.send(Outgoing(place, "Hello"), "k-0")
        assert [seen.text for seen in slack.seen(ann.dm) if seen.author == "bot"] == ["Hello"]
    await connector.close()
