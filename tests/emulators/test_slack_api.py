"""The emulator's Web API through the unmodified AsyncWebClient: messages, streams, files, limits, and faults."""

import asyncio
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_blocks import JSON
from tests.emulators.slack_library import FEEDBACK, SOURCES, button, refusal, section
from tests.emulators.slack_person import Person

KEY = {"event_type": "atelier_reply", "event_payload": {"key": "k1"}}


async def refused(call: Any) -> str:
    with pytest.raises(SlackApiError) as error:
        await call
    return refusal(error)


async def test_messages_are_posted_edited_and_deleted(
    slack: SlackEmulator, client: AsyncWebClient, general: str, ann: Person
) -> None:
    sent = await client.chat_postMessage(channel=general, text="one", metadata=KEY, unfurl_links=False)
    assert slack.calls("chat.postMessage")[0].params["unfurl_links"] is False
    assert slack.seen(general)[0].metadata == KEY
    await client.chat_update(channel=general, ts=sent["ts"], text="two")
    assert (slack.seen(general)[0].text, slack.seen(general)[0].edited) == ("two", True)
    marked = await client.chat_postMessage(channel=general, markdown_text="**bold**")
    assert slack.seen(general)[1].text == "**bold**"
    await client.chat_update(channel=general, ts=marked["ts"], text="only for notifications")
    assert slack.seen(general)[1].text == "**bold**"  # blocks are retained
    await client.chat_update(channel=general, ts=marked["ts"], text="x", blocks=[section("new")])
    assert slack.seen(general)[1].text == "new"
    await client.chat_delete(channel=general, ts=sent["ts"])
    assert len(slack.seen(general)) == 1
    link = await client.chat_getPermalink(channel=general, message_ts=marked["ts"])
    assert link["permalink"].endswith(f"/archives/C1/p{marked['ts'].replace('.', '')}")
    await client.chat_postEphemeral(channel=general, user="U1", text="psst")
    assert slack.seen(general)[-1].ephemeral_for == "U1"
    hers = ann.writes("mine", general)
    assert await refused(client.chat_update(channel=general, ts=hers, text="x")) == "cant_update_message"
    assert await refused(client.chat_delete(channel=general, ts=hers)) == "cant_delete_message"
    assert await refused(client.chat_postMessage(channel="C9", text="x")) == "channel_not_found"
    assert await refused(client.chat_postMessage(channel=general, text="x", thread_ts="1.2")) == "thread_not_found"
    slack.channel("C2", "outside", bot_in=False)
    assert await refused(client.chat_postMessage(channel="C2", text="x")) == "not_in_channel"
    assert await refused(client.chat_postEphemeral(channel=general, user="U2", text="x")) == "user_not_in_channel"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"text": "x" * 40_000}, None),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"text": "x", "markdown_text": "x"}, "markdown_text_conflict"),
        ({"text": "x", "blocks": [{"type": "markdown", "text": "x" * 6_000}] * 2}, None),
        ({"text": "x", "blocks": [{"type": "markdown", "text": "x" * 6_001}] * 2}, "msg_blocks_too_long"),
        ({"text": "x", "blocks": [section("x" * 3_000)]}, None),
        ({"text": "x", "blocks": [section("x" * 3_001)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("")]}, "invalid_blocks"),
        ({"text": "x", "blocks": [section("x")] * 50}, None),
        ({"text": "x", "blocks": [section("x")] * 51}, "invalid_blocks"),
        ({"text": "x", "blocks": [button("B", "a" * 255, value="v" * 2_000)]}, None),
        ({"text": "x", "blocks": [button("B", "a" * 256)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [button("B", "a", value="v" * 2_001)]}, "invalid_blocks"),
        ({"text": "x", "blocks": [button("B" * 76, "a")]}, "invalid_blocks"),
        ({"text": "x", "blocks": [FEEDBACK, SOURCES, {"type": "divider"}]}, None),
        ({"text": "x", "blocks": [{"type": "actions", "elements": FEEDBACK["elements"]}]}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "sparkles"}]}, "invalid_blocks"),
        ({"text": "x", "blocks": "{"}, "invalid_blocks_format"),
        ({"text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ({"text": " "}, "no_text"),
    ],
)
@pytest.mark.filterwarnings("ignore:The top-level `text` argument")  # a warning of slack_sdk
async def test_limits(client: AsyncWebClient, general: str, given: JSON, error: str | None) -> None:
    if error is None:
        await client.chat_postMessage(channel=general, **given)
    else:
        assert await refused(client.chat_postMessage(channel=general, **given)) == error


async def test_edits_are_shorter_than_messages(client: AsyncWebClient, general: str) -> None:
    sent = await client.chat_postMessage(channel=general, text="x" * 5_000)
    assert await refused(client.chat_update(channel=general, ts=sent["ts"], text="x" * 4_001)) == "msg_too_long"
    await client.chat_update(channel=general, ts=sent["ts"], text="x" * 4_000)


async def test_the_streaming_helper_streams_in_a_channel(
    slack: SlackEmulator, client: AsyncWebClient, ann: Person, general: str
) -> None:
    ts = ann.writes("<@UBOT> go", general)
    place: dict[str, Any] = {"channel": general, "thread_ts": ts, "buffer_size": 1}
    assert await refused((await client.chat_stream(**place)).append(markdown_text="x")) == "missing_recipient_team_id"
    stream = await client.chat_stream(**place, recipient_team_id=slack.team_id, recipient_user_id=ann.id)
    await stream.append(markdown_text="Hello ")
    line = slack.seen(general, ts)[1]
    assert (line.text, line.streaming, line.stalled) == ("Hello ", True, False)
    assert await refused(client.chat_update(channel=general, ts=line.ts, text="x")) == "streaming_state_conflict"
    assert await refused(client.chat_delete(channel=general, ts=line.ts)) == "cant_delete_message"
    assert await refused(stream.append(markdown_text="x" * 12_001)) == "msg_too_long"
    plain = client.chat_appendStream(channel=general, ts=line.ts, markdown_text="x")
    assert await refused(plain) == "streaming_mode_mismatch"
    stream._buffer = "there"  # the helper keeps what was refused, and would send it again
    await stream.stop(blocks=[SOURCES, FEEDBACK], metadata=KEY)
    line = slack.seen(general, ts)[1]
    assert (line.text, line.streaming) == ("Hello there\n[1] handbook.md", False)
    assert (line.buttons, line.metadata, line.edited) == (("👍", "👎"), KEY, False)
    again = client.chat_stopStream(channel=general, ts=line.ts)
    assert await refused(again) == "message_not_in_streaming_state"
    ann.presses(line.ts, "👍")


async def test_a_stream_dies_and_is_recovered_by_an_edit(
    slack: SlackEmulator, client: AsyncWebClient, ann: Person
) -> None:
    ts = ann.writes("go")
    slack.world.stream_seconds = 0.05
    started = await client.chat_startStream(channel=ann.dm, thread_ts=ts, markdown_text="Half")
    await slack.until(lambda: slack.seen(ann.dm)[1].stalled)
    append = client.chat_appendStream(channel=ann.dm, ts=started["ts"], markdown_text="x")
    assert await refused(append) == "message_not_in_streaming_state"
    await client.chat_update(channel=ann.dm, ts=started["ts"], markdown_text="The whole")
    line = slack.seen(ann.dm)[1]
    assert (line.text, line.stalled, line.edited) == ("The whole", False, True)
    slack.streaming = False
    start = client.chat_startStream(channel=ann.dm, thread_ts=ts)
    assert await refused(start) == "unknown_method"


async def test_history_replies_and_their_pages(
    client: AsyncWebClient, general: str, ann: Person, slack: SlackEmulator
) -> None:
    roots = [ann.writes(f"root {number}", general) for number in range(5)]
    for number in range(3):
        await client.chat_postMessage(channel=general, text=f"reply {number}", thread_ts=roots[0], metadata=KEY)
    pages = [
        [line["text"] for line in page["messages"]]
        async for page in await client.conversations_history(channel=general, limit=2)
    ]
    assert pages == [["root 4", "root 3"], ["root 2", "root 1"], ["root 0"]]
    last = (await client.conversations_history(channel=general, oldest=roots[3]))["messages"]
    assert [line["text"] for line in last] == ["root 4"]
    thread = (await client.conversations_replies(channel=general, ts=roots[0], include_all_metadata=True))["messages"]
    assert [line["text"] for line in thread] == ["root 0", "reply 0", "reply 1", "reply 2"]
    assert (thread[0]["reply_count"], thread[1]["metadata"], thread[1]["bot_id"]) == (3, KEY, "BBOT")
    bare = (await client.conversations_replies(channel=general, ts=roots[0]))["messages"]
    assert "metadata" not in bare[1]
    assert await refused(client.conversations_replies(channel=general, ts="1.2")) == "thread_not_found"
    assert [line.text for line in slack.seen(general, roots[0])] == [line["text"] for line in thread]


async def test_people_and_places(client: AsyncWebClient, general: str, ann: Person, slack: SlackEmulator) -> None:
    user = (await client.users_info(user="U1", include_locale=True))["user"]
    assert (user["locale"], user["is_bot"], user["profile"]["display_name"]) == ("de-DE", False, "Ann")
    assert (await client.conversations_info(channel=general))["channel"]["is_private"] is False
    assert (await client.conversations_members(channel=general))["members"] == ["U1", "UBOT"]
    assert (await client.conversations_open(users="U1"))["channel"]["id"] == ann.dm
    assert (await client.conversations_info(channel=ann.dm))["channel"]["user"] == "U1"
    ts = ann.writes("hi")
    await client.reactions_add(channel=ann.dm, name="eyes", timestamp=ts)
    assert slack.seen(ann.dm)[0].reactions == (("eyes", "bot"),)
    assert await refused(client.reactions_add(channel=ann.dm, name="eyes", timestamp=ts)) == "already_reacted"
    await client.reactions_remove(channel=ann.dm, name="eyes", timestamp=ts)
    assert slack.seen(ann.dm)[0].reactions == ()


async def test_files_come_and_go(slack: SlackEmulator, client: AsyncWebClient, ann: Person, general: str) -> None:
    ann.writes("look", general, files=[("plan.txt", b"the plan")])
    message = (await client.conversations_history(channel=general))["messages"][0]
    file = (await client.files_info(file=message["files"][0]["id"]))["file"]
    async with aiohttp.ClientSession() as session:
        async with session.get(
            file["url_private_download"], headers={"Authorization": f"Bearer {client.token}"}
        ) as got:
            assert (await got.read(), got.content_type) == (b"the plan", "text/plain")
        async with session.get(file["url_private_download"]) as got:
            assert got.content_type == "text/html"  # the sign-in page
    await client.files_upload_v2(channel=general, content="picture", filename="a.png", initial_comment="Here")
    assert (slack.seen(general)[-1].text, slack.seen(general)[-1].files) == ("Here", ("a.png",))
    slack.channel("C2", "outside", members=[ann], bot_in=False)
    hidden = ann.writes("secret", "C2", files=[("s.txt", b"s")])
    file_id = slack.world.find(hidden).files[0]
    assert await refused(client.files_info(file=file_id)) == "file_not_found"


async def test_form_bodies_work_as_json_ones_do(slack: SlackEmulator, general: str) -> None:
    headers = {"Authorization": f"Bearer {slack.bot_token}"}
    form = {"channel": general, "text": "x", "blocks": '[{"type": "divider"}]'}
    post = f"{slack.api_url}chat.postMessage"
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(post, data=form) as answer:
            assert (await answer.json())["message"]["blocks"][0]["type"] == "divider"
        async with session.post(post, data="{", headers={"Content-Type": "application/json"}) as answer:
            assert (await answer.json())["error"] == "invalid_json"


async def test_flood_control(slack: SlackEmulator, client: AsyncWebClient, general: str) -> None:
    slack.flood = True
    for _ in range(2):
        await client.chat_postMessage(channel=general, text="x")
    with pytest.raises(SlackApiError) as error:
        await client.chat_postMessage(channel=general, text="x")
    assert (error.value.response.status_code, error.value.response.headers["Retry-After"]) == (429, "1")
    sent = await client.chat_postMessage(channel=slack.channel("C2", "other"), text="x")
    for _ in range(50):
        await client.chat_update(channel="C2", ts=sent["ts"], text="y")
    assert await refused(client.chat_update(channel="C2", ts=sent["ts"], text="y")) == "ratelimited"


async def test_faults_on_request(slack: SlackEmulator, client: AsyncWebClient, general: str) -> None:
    async def post(text: str) -> str:
        with pytest.raises(SlackApiError) as error:
            await client.chat_postMessage(channel=general, text=text)
        return f"{error.value.response.status_code} {error.value.response.get('error')}"

    slack.fail_next("chat.postMessage", status=429, retry_after=7, times=2)
    assert [await post("a"), await post("b")] == ["429 ratelimited"] * 2
    slack.fail_next("*", error="fatal_error")
    assert await post("c") == "200 fatal_error"
    slack.fail_next("chat.postMessage", status=500, landed=True)
    assert await post("landed") == "500 internal_error"
    slack.outage(1.0)
    assert (await post("d")).startswith("503")
    await asyncio.sleep(1.0)
    await client.chat_postMessage(channel=general, text="back")
    assert [line.text for line in slack.seen(general)] == ["landed", "back"]
    assert [call.status for call in slack.calls("chat.postMessage")] == [429, 429, 200, 500, 503, 200]


async def test_a_late_call_lands_after_the_client_gave_up(slack: SlackEmulator, general: str) -> None:
    hasty = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, timeout=0.05, retry_handlers=[])
    slack.delay("chat.postMessage", 0.2)
    with pytest.raises(TimeoutError):
        await hasty.chat_postMessage(channel=general, text="late")
    assert slack.seen(general) == []
    await slack.until(lambda: slack.seen(general))


async def test_hooks_see_each_phase_and_can_lose_a_call(
    slack: SlackEmulator, client: AsyncWebClient, general: str
) -> None:
    phases: list[tuple[str, str, int]] = []
    lose = False

    def hook(method: str, params: JSON, phase: str) -> bool | None:
        phases.append((method, phase, len(slack.seen(general))))
        return False if lose else None

    slack.on_call(hook)
    await client.chat_postMessage(channel=general, text="x")
    await slack.until(lambda: len(phases) == 3)
    name = "chat.postMessage"
    assert phases == [(name, "received", 0), (name, "applied", 1), (name, "answered", 1)]
    lose = True
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel=general, text="y")
    assert len(slack.seen(general)) == 1


async def test_members_come_and_go_and_the_app_hears_of_it(
    slack: SlackEmulator, client: AsyncWebClient, general: str, ann: Person
) -> None:
    bea = slack.person("U2", "Bea")
    bea.joins(general)
    assert "U2" in (await client.conversations_members(channel=general))["members"]
    bea.leaves(general)
    assert "U2" not in (await client.conversations_members(channel=general))["members"]
    ann.removes_bot(general)
    assert await refused(client.chat_postMessage(channel=general, text="no")) == "not_in_channel"
    told = [made.payload["event"]["type"] for made in slack.deliveries("events_api")]
    assert told == ["member_joined_channel", "member_left_channel", "channel_left"]


async def test_after_an_uninstallation_the_token_is_good_for_nothing(
    slack: SlackEmulator, client: AsyncWebClient, ann: Person
) -> None:
    ann.uninstalls()
    assert await refused(client.auth_test()) == "account_inactive"
    told = [made.payload["event"]["type"] for made in slack.deliveries("events_api")]
    assert told == ["tokens_revoked", "app_uninstalled"]
