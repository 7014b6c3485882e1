"""The unmodified slack_bolt AsyncApp with Socket Mode, and slack_sdk, run against the emulator."""

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import aiohttp.web
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_blocks import JSON
from tests.emulators.slack_library import FEEDBACK, SOURCES, button, refusal, section
from tests.emulators.slack_person import Person


@pytest.fixture
def app(client: AsyncWebClient) -> AsyncApp:
    return AsyncApp(client=client, signing_secret=SlackEmulator.signing_secret)


@asynccontextmanager
async def connected(slack: SlackEmulator, app: AsyncApp) -> AsyncIterator[AsyncSocketModeHandler]:
    handler = AsyncSocketModeHandler(app, slack.app_token, ping_interval=0.2)
    await handler.connect_async()
    await slack.until(lambda: slack.connections)
    try:
        yield handler
    finally:
        await handler.close_async()


async def test_tokens_are_told_apart(slack: SlackEmulator, client: AsyncWebClient) -> None:
    assert (await client.auth_test())["user_id"] == slack.bot_user
    assert (await client.api_test(hello="there"))["args"]["hello"] == "there"
    assert (await client.apps_connections_open(app_token=slack.app_token))["url"].startswith("ws://127.0.0.1")
    for token, error in (("xoxb-wrong", "invalid_auth"), (slack.app_token, "not_allowed_token_type")):
        with pytest.raises(SlackApiError) as refused:
            await client.auth_test(token=token)
        assert refusal(refused) == error
    with pytest.raises(SlackApiError) as refused:
        await client.api_call("chat.nonsense")
    assert refusal(refused) == "unknown_method"


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated")  # slack_sdk 3.47 uses it
async def test_oauth_gives_the_token_once(slack: SlackEmulator) -> None:
    stranger = AsyncWebClient(base_url=slack.api_url)
    ask = {"client_id": slack.client_id, "client_secret": slack.client_secret, "code": slack.oauth_code}
    assert (await stranger.oauth_v2_access(**ask))["access_token"] == slack.bot_token
    with pytest.raises(SlackApiError) as refused:
        await stranger.oauth_v2_access(**ask)
    assert refusal(refused) == "invalid_code"


async def test_bolt_hears_a_mention_twice_and_answers_in_the_thread(
    slack: SlackEmulator, app: AsyncApp, ann: Person, general: str
) -> None:
    heard: list[JSON] = []

    @app.event("app_mention")
    async def mentioned(event: JSON, say: Any, body: JSON) -> None:
        heard.append(body)
        await say(text=f"Hello <@{event['user']}>", thread_ts=event["ts"])

    @app.event("message")
    async def told(event: JSON, body: JSON) -> None:
        heard.append(body)

    async with connected(slack, app):
        ts = ann.writes("<@UBOT> hello", general)
        await slack.until(lambda: len(slack.seen(general, ts)) == 2)
        await slack.until(lambda: all(made.done for made in slack.deliveries("events_api")))
    assert sorted(body["event"]["type"] for body in heard) == ["app_mention", "message"]
    assert len({body["event_id"] for body in heard}) == 2
    assert {(body["event"]["channel"], body["event"]["ts"]) for body in heard} == {(general, ts)}
    elements = heard[0]["event"]["blocks"][0]["elements"][0]["elements"]
    assert elements == [{"type": "user", "user_id": "UBOT"}, {"type": "text", "text": " hello"}]
    assert heard[0]["authorizations"][0]["user_id"] == "UBOT"
    answer = slack.seen(general, ts)[1]
    assert (answer.author, answer.text, answer.thread_ts) == ("bot", "Hello <@U1>", ts)
    echo = slack.deliveries("events_api")[-1]  # the bot hears itself, and Bolt skips it
    assert (echo.payload["event"]["bot_id"], echo.acked) == ("BBOT", True)


async def test_direct_messages_edits_reactions_and_the_app_page(
    slack: SlackEmulator, app: AsyncApp, ann: Person
) -> None:
    heard: list[JSON] = []
    for kind in ("message", "reaction_added", "reaction_removed", "app_home_opened", "member_joined_channel"):

        @app.event(kind)
        async def note(event: JSON) -> None:
            heard.append(event)

    async with connected(slack, app):
        ts = ann.writes("hi", files=[("plan.txt", b"the plan")])
        ann.edits(ts, "hi there")
        ann.reacts(ts, "thumbsup")
        ann.unreacts(ts, "thumbsup")
        ann.deletes(ts)
        ann.opens_app("messages")
        ann.adds_bot(slack.channel("C2", "secret", members=[ann], bot_in=False, private=True))
        await slack.until(lambda: len(heard) == 7)
    by_kind = {event.get("subtype", event["type"]): event for event in heard}
    assert by_kind["file_share"]["channel_type"] == "im"
    assert by_kind["message_changed"]["message"]["edited"]["user"] == "U1"
    assert by_kind["message_changed"]["previous_message"]["text"] == "hi"
    assert by_kind["message_deleted"]["deleted_ts"] == ts
    assert by_kind["reaction_added"]["item"] == {"type": "message", "channel": ann.dm, "ts": ts}
    assert by_kind["app_home_opened"]["tab"] == "messages"
    assert by_kind["member_joined_channel"]["user"] == "UBOT"
    assert "reaction_removed" in by_kind
    assert slack.seen(ann.dm) == []


async def test_feedback_buttons_and_the_response_url(slack: SlackEmulator, app: AsyncApp, ann: Person) -> None:
    pressed: list[JSON] = []

    @app.action("rate")
    async def rated(ack: Any, body: JSON, respond: Any) -> None:
        await ack()
        pressed.append(body)
        await respond(text="Thank you", response_type="ephemeral")

    @app.action("more")
    async def more(ack: Any, body: JSON, respond: Any) -> None:
        await ack()
        await respond(text="Gone on", replace_original=True)

    async with connected(slack, app):
        sent = await app.client.chat_postMessage(
            channel="U1", text="fallback", blocks=[section("Answer"), SOURCES, FEEDBACK, button("More", "more")]
        )
        seen = slack.seen(ann.dm)[0]
        assert (seen.text, seen.buttons) == ("Answer\n[1] handbook.md", ("👍", "👎", "More"))
        made = ann.presses(sent["ts"], "rate", "bad")
        await slack.until(lambda: made.done and len(slack.seen(ann.dm)) == 2)
        assert pressed[0]["actions"][0]["value"] == "bad"
        assert pressed[0]["actions"][0]["type"] == "feedback_buttons"
        assert pressed[0]["message"]["ts"] == sent["ts"]
        assert (slack.seen(ann.dm)[1].text, slack.seen(ann.dm)[1].ephemeral_for) == ("Thank you", "U1")
        ann.presses(sent["ts"], "More")
        await slack.until(lambda: slack.seen(ann.dm)[0].text == "Gone on")
        hook = AsyncWebhookClient(pressed[0]["response_url"])
        codes = [(await hook.send(text="again")).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 200, 404]
    assert slack.seen(ann.dm)[0].buttons == ()
    with pytest.raises(ValueError, match="no button"):
        ann.presses(sent["ts"], "More")


async def test_a_command_opens_a_modal_that_is_checked_and_submitted(
    slack: SlackEmulator, app: AsyncApp, ann: Person, general: str
) -> None:
    entry = {"type": "plain_text_input", "action_id": "said"}
    label = {"type": "plain_text", "text": "Your idea"}
    view = {
        "type": "modal",
        "callback_id": "idea",
        "title": {"type": "plain_text", "text": "An idea"},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [{"type": "input", "block_id": "idea", "label": label, "element": entry}],
    }
    said: list[str] = []

    @app.command("/atelier")
    async def commanded(ack: Any, body: JSON, client: AsyncWebClient) -> None:
        await ack(f"You said {body['text']}.")
        await client.views_open(trigger_id=body["trigger_id"], view=view)
        with pytest.raises(SlackApiError) as refused:
            await client.views_open(trigger_id=body["trigger_id"], view=view)
        said.append(refusal(refused))

    @app.view("idea")
    async def submitted(ack: Any, body: JSON) -> None:
        idea = body["view"]["state"]["values"]["idea"]["said"]["value"]
        if idea == "bad":
            await ack(response_action="errors", errors={"idea": "Not that one."})
        else:
            await ack()
            said.append(idea)

    async with connected(slack, app):
        ann.commands("/atelier", "help", general)
        await slack.until(lambda: said and slack.seen(general))
        assert slack.seen(general)[0].text == "You said help."
        assert slack.seen(general)[0].ephemeral_for == "U1"
        with pytest.raises(ValueError, match="required"):
            ann.submits({})
        refused = ann.submits({"idea": "bad"})
        await slack.until(lambda: refused.done)
        assert slack.views("U1")[0]["errors"] == {"idea": "Not that one."}
        taken = ann.submits({"said": "a garden"})
        await slack.until(lambda: taken.done)
    assert (slack.views("U1"), said) == ([], ["exchanged_trigger_id", "a garden"])


async def test_views_prompts_status_and_home(slack: SlackEmulator, client: AsyncWebClient, ann: Person) -> None:
    ts = ann.writes("hi")
    slack.world.status_seconds = 0.05
    await client.assistant_threads_setStatus(channel_id=ann.dm, thread_ts=ts, status="is thinking")
    assert slack.status(ann.dm, ts) == "is thinking"
    await slack.until(lambda: slack.status(ann.dm, ts) == "")
    slack.world.status_seconds = 100
    await client.assistant_threads_setStatus(channel_id=ann.dm, thread_ts=ts, status="is thinking")
    await client.chat_postMessage(channel=ann.dm, thread_ts=ts, text="done")
    assert slack.status(ann.dm, ts) == ""
    prompt = {"title": "Ideas", "message": "Brainstorm"}
    await client.assistant_threads_setSuggestedPrompts(channel_id=ann.dm, thread_ts=ts, prompts=[prompt])
    assert slack.prompts(ann.dm) == ()  # agent_view: silently nothing
    await client.assistant_threads_setSuggestedPrompts(channel_id=ann.dm, prompts=[prompt])
    assert slack.prompts(ann.dm) == (("Ideas", "Brainstorm"),)
    with pytest.raises(SlackApiError):
        await client.assistant_threads_setSuggestedPrompts(channel_id=ann.dm, prompts=[prompt] * 5)
    await client.views_publish(user_id="U1", view={"type": "home", "blocks": [section("Welcome")]})
    home = slack.home("U1")
    assert home
    assert home["blocks"][0]["text"]["text"] == "Welcome"
    slack.world.trigger_seconds = 0
    trigger = slack.world.trigger("U1")
    with pytest.raises(SlackApiError) as refused:
        await client.views_open(trigger_id=trigger, view={"type": "modal", "blocks": []})
    assert refusal(refused) == "expired_trigger_id"


async def test_unacknowledged_events_come_again(slack: SlackEmulator, ann: Person, client: AsyncWebClient) -> None:
    slack.courier.ack_seconds = 0.1
    slack.courier.retry_delays = (0.01, 0.01)
    address = (await client.apps_connections_open(app_token=slack.app_token))["url"]
    async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        ann.writes("hi")
        tries = [await socket.receive_json() for _ in range(3)]
        await socket.send_json({"envelope_id": tries[2]["envelope_id"]})
        made = slack.deliveries("events_api")[0]
        await slack.until(lambda: made.done)
        assert (made.acked, made.attempts) == (True, 3)
        assert [one["retry_attempt"] for one in tries] == [0, 1, 2]
        assert [one["retry_reason"] for one in tries] == ["", "timeout", "timeout"]
        assert len({one["payload"]["event_id"] for one in tries}) == 1
        slack.deliver_raw(b"[1, 2")
        assert (await socket.receive()).data == "[1, 2"
        again = slack.inject({"type": "events_api", "payload": made.payload})
        envelope = await socket.receive_json()
        await socket.send_json({"envelope_id": envelope["envelope_id"]})
        await slack.until(lambda: again.done)
        assert (again.acked, envelope["payload"]) == (True, made.payload)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with aiohttp.ClientSession() as session:
            await session.ws_connect(address)  # an address is good for one connection


@pytest.mark.parametrize("reason", ["refresh_requested", "warning", "cut"])
async def test_bolt_comes_back_after_a_disconnect(
    slack: SlackEmulator, app: AsyncApp, ann: Person, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    heard: list[str] = []

    @app.event("message")
    async def told(event: JSON) -> None:
        heard.append(event["text"])

    async with connected(slack, app):
        if reason == "cut":
            slack.sever()
        else:
            slack.disconnect(reason)
        await slack.until(lambda: len(slack.calls("apps.connections.open")) == 2)
        ann.writes("still there?")
        await slack.until(lambda: heard)
    assert heard == ["still there?"]


async def test_http_delivery_is_signed_and_retried(slack: SlackEmulator, ann: Person, general: str) -> None:
    got: list[tuple[dict[str, str], bytes]] = []

    async def receive(request: aiohttp.web.BaseRequest) -> aiohttp.web.Response:
        body = await request.read()
        got.append(({key.lower(): value for key, value in request.headers.items()}, body))
        if b"challenge" in body:
            return aiohttp.web.json_response({"challenge": json.loads(body)["challenge"]})
        return aiohttp.web.Response(status=500 if len(got) == 2 else 200)

    server = aiohttp.web.ServerRunner(aiohttp.web.Server(receive))
    await server.setup()
    await aiohttp.web.TCPSite(server, "127.0.0.1", 0).start()
    slack.events_url = f"http://127.0.0.1:{server.addresses[0][1]}/slack/events"
    try:
        verified = slack.verify_url()
        await slack.until(lambda: verified.done)
        ann.writes("hi")
        await slack.until(lambda: len(got) == 3)
        ann.commands("/atelier", "help me", general)
        await slack.until(lambda: len(got) == 4)
        raw = slack.deliver_raw(b"{", {"X-Slack-Signature": "v0=é"})
        await slack.until(lambda: raw.done)
    finally:
        await server.cleanup()
    assert verified.acked
    for headers, body in got[:4]:
        stamped = f"v0:{headers['x-slack-request-timestamp']}:{body.decode()}".encode()
        right = hmac.new(slack.signing_secret.encode(), stamped, hashlib.sha256).hexdigest()
        assert headers["x-slack-signature"] == f"v0={right}"
    assert "x-slack-retry-num" not in got[1][0]
    assert (got[2][0]["x-slack-retry-num"], got[2][0]["x-slack-retry-reason"]) == ("1", "http_error")
    assert b"text=help+me" in got[3][1]
    assert (got[4][1], raw.status) == (b"{", 200)


@pytest.fixture
def threaded() -> Iterator[SlackEmulator]:
    with SlackEmulator.threaded() as emulator:
        yield emulator


def test_a_bot_elsewhere_is_driven_without_a_loop(threaded: SlackEmulator) -> None:
    bea = threaded.person("U2", "Bea")

    async def bot() -> None:
        app = AsyncApp(client=AsyncWebClient(token=threaded.bot_token, base_url=threaded.api_url))

        @app.event("message")
        async def told(event: JSON, say: Any) -> None:
            await say(text=event["text"].upper())

        handler = AsyncSocketModeHandler(app, threaded.app_token)
        await handler.connect_async()
        await asyncio.to_thread(bea.writes, "hi")
        await asyncio.to_thread(threaded.wait_until, lambda: len(threaded.seen(bea.dm)) == 2)
        await handler.close_async()

    asyncio.run(bot())
    assert [(line.author, line.text) for line in threaded.seen(bea.dm)] == [("U2", "hi"), ("bot", "HI")]
    with pytest.raises(TimeoutError):
        threaded.wait_until(lambda: False, timeout=0.02)
