"""What people do in Slack arrives once, committed before Slack is told, and reads as what it was."""

import asyncio
import json
import logging
from collections.abc import Sequence

import pytest

from agent.events import Button, Command, Deleted, Edited, Joined, Opened, Outgoing, Post, Press, Reaction
from agent.message import Place
from connectors.connector import Received, Refused
from connectors.desk.texts import say
from connectors.slack.calls import discreet_logger
from connectors.slack.connector import SlackConnector
from retrieval.errors import SettingsError
from tests.connectors.slack.conftest import Inbox, running
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_person import Person


async def test_a_mention_arrives_once_though_slack_tells_it_twice(
    slack: SlackEmulator, inbox: Inbox, ann: Person, general: str
) -> None:
    ts = ann.writes(f"<@{slack.bot_user}> what is new? &amp; <https://a.example|docs>", general)
    await slack.until(lambda: len([one for one in slack.deliveries() if one.acked]) == 2)
    [received] = inbox.received
    assert (received.tenant, received.key) == ("acme", f"message:C1:{ts}")
    place = Place("slack", "acme", "C1", ts)
    assert received.conversation == place.key
    [post] = inbox.events
    assert isinstance(post, Post)
    assert (post.id, post.place, post.account) == (ts, place, "slack:acme:U1")
    assert post.text == "what is new? & docs (https://a.example)"
    assert post.called
    assert not post.direct
    assert post.sent.timestamp() == pytest.approx(float(ts))


async def test_direct_messages_are_one_conversation_and_threads_are_their_own(
    slack: SlackEmulator, inbox: Inbox, ann: Person
) -> None:
    first = ann.writes("Hello")
    ann.writes("in a thread", thread_ts=first)
    await slack.until(lambda: len(inbox.received) == 2)
    top, reply = inbox.events
    assert isinstance(top, Post)
    assert isinstance(reply, Post)
    assert (top.place.thread, reply.place.thread) == ("", first)
    assert top.direct
    assert top.called


async def test_edits_deletions_reactions_and_files(
    slack: SlackEmulator, inbox: Inbox, ann: Person, general: str
) -> None:
    ts = ann.writes("a thought", general, files=[("plan.txt", b"12345")])
    await slack.until(lambda: len(inbox.received) == 1)
    ann.edits(ts, "a better <@U9> thought")
    ann.reacts(ts, "bulb")
    ann.unreacts(ts, "bulb")
    ann.deletes(ts)
    await slack.until(lambda: len(inbox.received) == 5)
    by_kind = {type(event): event for event in inbox.events}
    place = Place("slack", "acme", "C1", ts)
    post, edited, deleted = by_kind[Post], by_kind[Edited], by_kind[Deleted]
    assert isinstance(post, Post)
    assert [(file.name, file.size) for file in post.files] == [("plan.txt", 5)]
    assert isinstance(edited, Edited)
    assert (edited.place, edited.message, edited.text) == (place, ts, "a better <@U9> thought")
    assert isinstance(deleted, Deleted)
    assert (deleted.place, deleted.message) == (place, ts)
    reactions = [event for event in inbox.events if isinstance(event, Reaction)]
    assert [(one.emoji, one.message) for one in reactions] == [("💡", ts), ("💡", ts)]
    assert {one.is_added for one in reactions} == {True, False}
    assert len({received.conversation for received in inbox.received if received.key.startswith("event")}) == 2


async def test_commands_joining_and_opening(slack: SlackEmulator, inbox: Inbox, ann: Person, general: str) -> None:
    assert slack.channel("C2", "ideas", members=[ann], bot_in=False) == "C2"
    ann.commands("/atelier", "Ideate payload &amp; tea ", general)
    ann.commands("/atelier", "", general)
    ann.adds_bot("C2")
    ann.opens_app("messages")
    await slack.until(lambda: len(inbox.received) == 4)
    commands = [event for event in inbox.events if isinstance(event, Command)]
    assert {(one.name, one.argument) for one in commands} == {("ideate", "payload & tea"), ("help", "")}
    [joined] = [event for event in inbox.events if isinstance(event, Joined)]
    assert (joined.place.channel, joined.account) == ("C2", "slack:acme:U1")
    [opened] = [event for event in inbox.events if isinstance(event, Opened)]
    assert opened.place == Place("slack", "acme", ann.dm)


async def test_the_home_tab_is_put_up_when_it_is_opened(slack: SlackEmulator, inbox: Inbox, ann: Person) -> None:
    ann.opens_app("home")
    await slack.until(lambda: slack.home("U1") is not None)
    headers = [block["text"]["text"] for block in slack.home("U1")["blocks"] if block["type"] == "header"]
    assert headers == ["What Atelier is", "How to use it", "Privacy"]
    assert inbox.received == []


async def test_the_home_tab_speaks_the_language_of_who_opens_it(slack: SlackEmulator, inbox: Inbox) -> None:
    slack.person("U77", "Eva", locale="de-DE").opens_app("home")
    await slack.until(lambda: slack.home("U77") is not None)
    headers = [block["text"]["text"] for block in slack.home("U77")["blocks"] if block["type"] == "header"]
    assert headers == [say("de", f"home_{part}_title") for part in ("about", "use", "privacy")]
    assert headers != [say("en", f"home_{part}_title") for part in ("about", "use", "privacy")]


async def test_what_atelier_itself_does_is_not_heard(slack: SlackEmulator, inbox: Inbox, ann: Person) -> None:
    place = Place("slack", "acme", ann.dm)
    handle = await inbox.connector.open(place, "slack:acme:U1", "k")
    await inbox.connector.send(Outgoing(place, "Done."), "k-0", handle)
    await slack.until(lambda: len([one for one in slack.deliveries() if one.done]) == 2)
    assert inbox.received == []


async def test_an_event_that_could_not_be_stored_comes_again(
    slack: SlackEmulator, inbox: Inbox, ann: Person, caplog: pytest.LogCaptureFixture
) -> None:
    slack.courier.ack_seconds, slack.courier.retry_delays = 0.2, (0.0, 0.05)
    inbox.failures = 1
    ann.writes("Hello")
    await slack.until(lambda: inbox.received)
    [delivery] = slack.deliveries("events_api")
    await slack.until(lambda: delivery.acked)
    assert delivery.attempts == 2
    assert "could not be stored (OSError)" in caplog.text
    assert "words of a person" not in caplog.text
    assert "Hello" not in caplog.text


async def test_it_is_stored_before_slack_is_told(slack: SlackEmulator, connector: SlackConnector, ann: Person) -> None:
    stored = asyncio.Event()

    class Slow(Inbox):
        async def accept(self, events: Sequence[Received]) -> None:
            await stored.wait()
            await super().accept(events)

    async with running(slack, Slow(connector)) as inbox:
        ann.writes("one")
        await slack.until(lambda: slack.deliveries("events_api"))
        [delivery] = slack.deliveries("events_api")
        await slack.until(lambda: delivery.attempts == 1)
        await asyncio.sleep(0.2)
        assert not delivery.acked
        stored.set()
        await slack.until(lambda: delivery.acked)
        assert len(inbox.received) == 1


async def test_a_press_and_a_form(slack: SlackEmulator, inbox: Inbox, ann: Person, general: str) -> None:
    place = Place("slack", "acme", general, ann.writes("ask", general))
    buttons = (Button("b1", "👍"), Button("b2", "👎", form="What was wrong?"), Button("b3", "Wider"))
    ts = await inbox.connector.send(Outgoing(place, "An answer.", buttons=buttons), "k-0")
    await slack.until(lambda: inbox.received)
    inbox.received.clear()
    assert ann.presses(ts, "Wider")
    assert ann.presses(ts, "👍")
    await slack.until(lambda: len(inbox.received) == 2)
    assert {(one.button, one.place, one.message) for one in inbox.events if isinstance(one, Press)} == {
        ("b3", place, ts),
        ("b1", place, ts),
    }
    assert len({received.conversation for received in inbox.received}) == 2
    inbox.received.clear()

    ann.presses(ts, "👎")
    await slack.until(lambda: slack.views("U1"))
    assert inbox.received == []  # the press by itself says nothing yet
    assert slack.views("U1")[0]["blocks"][0]["label"]["text"] == "What was wrong?"
    sent = ann.submits({"answer": "too long"})
    await slack.until(lambda: sent.acked and inbox.received)
    [press] = inbox.events
    assert isinstance(press, Press)
    assert (press.button, press.text, press.place, press.message) == ("b2", "too long", place, ts)
    assert press.account == "slack:acme:U1"
    assert slack.views("U1") == []


async def test_the_connection_comes_back(slack: SlackEmulator, inbox: Inbox, ann: Person) -> None:
    slack.disconnect()
    ann.writes("after a refresh")
    await slack.until(lambda: len(inbox.received) == 1)


async def test_wrong_tokens_are_said_at_once_and_not_repeated(slack: SlackEmulator) -> None:
    for tokens in (("xoxb-wrong", slack.app_token), (slack.bot_token, "xapp-wrong")):
        connector = SlackConnector("acme", bot_token=tokens[0], app_token=tokens[1], api=slack.api_url)
        with pytest.raises(Refused, match="invalid_auth") as refused:
            await connector.run(Inbox(connector).accept)
        assert "wrong" not in str(refused.value)
        await connector.close()


def test_the_libraries_tell_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    logger = discreet_logger()
    error = OSError("xoxb-12-abc")
    logger.error("Failed (error: %s), wss://x/link/?ticket=ab-cd&app_id=1\n{'text': 'words'}", error, exc_info=error)
    logger.warning("code: 123.abc - error of %s", "xapp-1-A2-b")
    logger.info("a body")
    assert [record.getMessage() for record in caplog.records] == [
        "Failed (error: …), wss://x/link/?ticket=…&app_id=1",
        "code: … - error of …",
    ]
    assert not [record for record in caplog.records if record.exc_info]


def test_settings_that_do_not_fit_together() -> None:
    with pytest.raises(SettingsError, match="bot's token"):
        SlackConnector("acme", app_token="xapp-1")
    with pytest.raises(SettingsError, match="slack_signing_secret"):
        SlackConnector("acme", bot_token="xoxb-1")
    with pytest.raises(SettingsError, match="same tenant"):
        SlackConnector("acme", bot_token="xoxb-1", app_token="xapp-1", tenants={"T1": "a", "T2": "a"})


async def test_no_secret_and_no_words_are_stored_or_logged(
    slack: SlackEmulator, inbox: Inbox, ann: Person, general: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ann.commands("/atelier", "ideate zanzibar", general)
    ann.writes("zanzibar again")
    await slack.until(lambda: len(inbox.received) == 2)
    for received in inbox.received:
        body = json.loads(received.payload)["body"]
        assert not {"token", "response_url", "authorizations"} & body.keys()
    said = [record.getMessage() for record in caplog.records if not record.name.startswith(("tests.", "aiohttp"))]
    assert not [line for line in said if "zanzibar" in line or slack.bot_token in line or slack.app_token in line]
