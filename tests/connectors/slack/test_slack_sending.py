"""Answers in Slack: previewed where that works, and in the end exactly what was committed, once."""

import asyncio
import time
from pathlib import Path
from typing import Literal

import pytest

from agent.events import Button, File, Outgoing, Post
from agent.message import Line, Place, Source
from connectors.connector import Refused, Throttled, Unsure
from connectors.slack import sending
from connectors.slack.connector import SlackConnector
from tests.connectors.slack.conftest import Inbox
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_person import Person
from tests.emulators.slack_world import Seen

ANN = "slack:acme:U1"
SOURCES = (Source(1, "handbook.md, line 3", 7), Source(2, "tea.md", 9))
BUTTONS = (Button("b1", "👍"), Button("b2", "👎"), Button("b3", "Wider"))


@pytest.fixture
def thread(ann: Person, general: str) -> Place:
    return Place("slack", "acme", general, ann.writes("What about tea?", general))


@pytest.fixture
def direct(ann: Person) -> Place:
    ann.writes("Hello")
    return Place("slack", "acme", ann.dm)


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Previews at the pace of a test."""
    monkeypatch.setattr(sending, "STREAM_PAUSE", 0.0)
    monkeypatch.setattr(sending, "EDIT_PAUSE", 0.0)


def answers(slack: SlackEmulator, place: Place) -> list[Seen]:
    return [seen for seen in slack.seen(place.channel) if seen.author == "bot"]


async def test_an_answer_streams_into_its_thread(
    slack: SlackEmulator, connector: SlackConnector, thread: Place
) -> None:
    handle = await connector.open(thread, ANN, "k", Button("stop", "Stop"))
    assert slack.calls("assistant.threads.setStatus")[0].params["status"] == "is thinking…"
    assert 1 <= len(slack.calls("assistant.threads.setStatus")[0].params["loading_messages"]) <= 10
    await connector.show(thread, handle, "Green")
    await connector.show(thread, handle, "Green tea")
    [seen] = answers(slack, thread)
    assert (seen.text, seen.streaming) == ("Green tea", True)
    assert [call.params["markdown_text"] for call in slack.calls("chat.appendStream")] == ["Green", " tea"]
    part = Outgoing(thread, "Green tea, **warm** [1].", SOURCES, "Cut short.", BUTTONS)
    assert await connector.send(part, "k-0", handle) == seen.ts
    [seen] = answers(slack, thread)
    assert not seen.streaming
    assert seen.text.splitlines() == [
        "Green tea, **warm** [1].",
        "[1] handbook.md, line 3 · [2] tea.md",
        "Cut short.",
    ]
    assert seen.buttons == ("👍", "👎", "Wider")
    assert not slack.calls("chat.update")  # the stream itself became the answer


async def test_a_final_text_that_differs_from_the_preview_replaces_it(
    slack: SlackEmulator, connector: SlackConnector, thread: Place
) -> None:
    handle = await connector.open(thread, ANN, "k")
    await connector.show(thread, handle, "Black tea is")
    await connector.show(thread, handle, "Green tea is")  # no continuation: nothing is appended
    ts = await connector.send(Outgoing(thread, "Green tea is best."), "k-0", handle)
    [seen] = answers(slack, thread)
    assert (seen.ts, seen.text, seen.streaming) == (ts, "Green tea is best.", False)


@pytest.mark.parametrize("streams", [True, False])
async def test_sending_again_changes_nothing_also_in_another_process(
    slack: SlackEmulator, connector: SlackConnector, thread: Place, *, streams: bool
) -> None:
    slack.streaming = streams
    handle = await connector.open(thread, ANN, "k")
    await connector.show(thread, handle, "Some")
    other = SlackConnector("acme", bot_token=slack.bot_token, app_token=slack.app_token, api=slack.api_url)
    part = Outgoing(thread, "Something else.", SOURCES)
    first = await other.send(part, "k-0", handle)  # that process never saw the preview
    [once] = answers(slack, thread)
    for sender in (connector, other):
        assert await sender.send(part, "k-0", handle) == first
    [twice] = answers(slack, thread)
    assert once.text == twice.text == "Something else.\n[1] handbook.md, line 3 · [2] tea.md"
    assert not twice.streaming
    await other.close()


async def test_a_stream_that_slack_ended_is_finished_by_an_edit(
    slack: SlackEmulator, connector: SlackConnector, thread: Place
) -> None:
    slack.world.stream_seconds = 0.2
    handle = await connector.open(thread, ANN, "k")
    await connector.show(thread, handle, "One")
    await slack.until(lambda: not answers(slack, thread)[0].streaming)
    await connector.show(thread, handle, "One two")
    await connector.show(thread, handle, "One two three")
    assert len(slack.calls("chat.appendStream")) == 2  # after the refusal nothing more is tried
    await connector.send(Outgoing(thread, "One two three four.", buttons=BUTTONS), "k-0", handle)
    [seen] = answers(slack, thread)
    assert (seen.text, seen.buttons) == ("One two three four.", ("👍", "👎", "Wider"))


async def test_where_slack_does_not_stream_a_message_is_edited(
    slack: SlackEmulator, connector: SlackConnector, thread: Place, direct: Place
) -> None:
    slack.streaming = False
    for place in (thread, direct):
        handle = await connector.open(place, ANN, "k", Button("stop", "Stop"))
        [seen] = answers(slack, place)
        assert (seen.text, seen.buttons, seen.thread_ts) == ("…", ("Stop",), place.thread or None)
        await connector.show(place, handle, "Half an")
        [seen] = answers(slack, place)
        assert (seen.text, seen.buttons) == ("Half an", ("Stop",))
        await connector.send(Outgoing(place, "Half an answer."), "k-0", handle)
        [seen] = answers(slack, place)
        assert (seen.text, seen.buttons) == ("Half an answer.", ())
    await connector.open(thread, ANN, "again")
    assert len(slack.calls("chat.startStream")) == 1  # once told, it does not ask again


async def test_direct_messages_outside_of_threads_are_not_streamed(
    slack: SlackEmulator, connector: SlackConnector, direct: Place
) -> None:
    assert (await connector.open(direct, ANN, "k")).startswith("post:")
    assert not slack.calls("chat.startStream")
    assert not slack.calls("assistant.threads.setStatus")


async def test_previews_keep_a_pace_of_their_own(
    slack: SlackEmulator, connector: SlackConnector, thread: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "STREAM_PAUSE", 0.2)
    handle = await connector.open(thread, ANN, "k")
    text, began = "", time.monotonic()
    while time.monotonic() - began < 0.7:
        text += "word "
        await connector.show(thread, handle, text)
        await asyncio.sleep(0.01)
    assert 2 <= len(slack.calls("chat.appendStream")) <= 4
    await connector.send(Outgoing(thread, text), "k-0", handle)
    assert answers(slack, thread)[0].text == text.strip()


async def test_previews_leave_the_rates_to_the_answers(
    slack: SlackEmulator, connector: SlackConnector, direct: Place
) -> None:
    slack.flood = True
    handle = await connector.open(direct, ANN, "k")
    for count in range(80):
        await connector.show(direct, handle, "word " * count)
    assert not [call for call in slack.calls("chat.update") if call.status == 429]
    await connector.send(Outgoing(direct, "The answer."), "k-0", handle)
    assert [seen.text for seen in answers(slack, direct)] == ["The answer."]


async def test_a_preview_never_raises(slack: SlackEmulator, connector: SlackConnector, thread: Place) -> None:
    handle = await connector.open(thread, ANN, "k")
    slack.fail_next("chat.appendStream", status=500)
    await connector.show(thread, handle, "One")
    await connector.show(thread, "post:gone", "One")
    await connector.send(Outgoing(thread, "Two."), "k-0", handle)
    assert [seen.text for seen in answers(slack, thread)] == ["Two."]


async def test_a_preview_waits_for_nothing(slack: SlackEmulator, connector: SlackConnector, thread: Place) -> None:
    slack.fail_next("chat.startStream", status=429, retry_after=2)
    slack.fail_next("chat.update", status=429, retry_after=2)
    began = time.monotonic()
    handle = await connector.open(thread, ANN, "k")
    await connector.show(thread, handle, "One")
    await connector.show(thread, handle, "One two")
    assert time.monotonic() - began < 1
    assert len(slack.calls("chat.update")) == 1
    await connector.send(Outgoing(thread, "Two."), "k-0", handle)
    assert [seen.text for seen in answers(slack, thread)] == ["Two."]


async def test_a_message_whose_answer_was_lost_is_found(
    slack: SlackEmulator, connector: SlackConnector, thread: Place, direct: Place
) -> None:
    for number, place in enumerate((thread, direct)):
        assert await connector.find(place, f"k-{number}") is None
        slack.fail_next("chat.postMessage", status=500, landed=True)
        with pytest.raises(Unsure):
            await connector.send(Outgoing(place, "An answer."), f"k-{number}")
        [seen] = answers(slack, place)
        assert await connector.find(place, f"k-{number}") == seen.ts
        assert await connector.find(place, "k-9") is None


async def test_opening_twice_after_a_lost_answer_leaves_one_message(
    slack: SlackEmulator, connector: SlackConnector, direct: Place
) -> None:
    slack.fail_next("chat.postMessage", status=500, landed=True)
    with pytest.raises(Unsure):
        await connector.open(direct, ANN, "k")
    handle = await connector.open(direct, ANN, "k")
    await connector.send(Outgoing(direct, "Once."), "k-0", handle)
    assert [seen.text for seen in answers(slack, direct)] == ["Once."]
    assert await connector.find(direct, "k") is None  # what was only opened is no answer


async def test_a_short_pause_is_waited_for_and_a_long_one_handed_up(
    slack: SlackEmulator, connector: SlackConnector, thread: Place
) -> None:
    slack.fail_next("chat.postMessage", status=429, retry_after=1)
    began = time.monotonic()
    await connector.send(Outgoing(thread, "One."), "k-0")
    assert time.monotonic() - began >= 1
    slack.fail_next("chat.postMessage", status=429, retry_after=30)
    with pytest.raises(Throttled) as throttled:
        await connector.send(Outgoing(thread, "Two."), "k-1")
    assert throttled.value.seconds == 30
    assert [seen.text for seen in answers(slack, thread)] == ["One."]


async def test_a_channel_gets_one_message_a_second(
    slack: SlackEmulator, connector: SlackConnector, thread: Place
) -> None:
    slack.flood = True
    began = time.monotonic()
    for number in range(4):
        await connector.send(Outgoing(thread, f"Part {number}."), f"k-{number}")
    assert time.monotonic() - began >= 2.9
    assert not [call for call in slack.calls() if call.status == 429]
    assert [seen.text for seen in answers(slack, thread)] == [f"Part {number}." for number in range(4)]


async def test_a_place_where_nothing_can_be_said(slack: SlackEmulator, connector: SlackConnector, ann: Person) -> None:
    slack.channel("C2", "elsewhere", members=[ann], bot_in=False)
    elsewhere, nowhere = Place("slack", "acme", "C2", "1.2"), Place("slack", "acme", "C404")
    with pytest.raises(Refused, match="not_in_channel"):
        await connector.open(elsewhere, ANN, "k")
    with pytest.raises(Refused, match="channel_not_found"):
        await connector.send(Outgoing(nowhere, "Anybody?"), "k-0")
    assert await connector.earlier(elsewhere, "9.9", 10) == await connector.earlier(nowhere, "9.9", 10) == []


@pytest.mark.parametrize("audience", ["all", "one"])
async def test_a_command_given_where_atelier_is_not_is_answered_directly(
    slack: SlackEmulator, connector: SlackConnector, ann: Person, audience: Literal["all", "one"]
) -> None:
    slack.channel("C2", "elsewhere", members=[ann], bot_in=False)
    await connector.send(Outgoing(Place("slack", "acme", "C2"), "Help.", to=ANN, audience=audience), "k-0")
    assert [seen.text for seen in slack.seen(ann.dm)] == ["Help."]


async def test_a_slack_that_is_away(connector: SlackConnector, thread: Place) -> None:
    away = SlackConnector("acme", bot_token="xoxb-1", app_token="xapp-1", api="http://127.0.0.1:9/api/")
    with pytest.raises(Throttled, match="cannot be reached"):
        await away.send(Outgoing(thread, "Hello?"), "k-0")
    await away.close()


async def test_only_one_person_sees_a_whisper(
    slack: SlackEmulator, connector: SlackConnector, thread: Place, direct: Place
) -> None:
    handle = await connector.open(thread, ANN, "k")
    part = Outgoing(thread, "Between us.", to=ANN, audience="one")
    await connector.send(part, "k-0", handle)
    [seen] = answers(slack, thread)
    assert (seen.text, seen.ephemeral_for, seen.thread_ts) == ("Between us.", "U1", thread.thread)
    await connector.send(Outgoing(direct, "Between us.", to=ANN, audience="one"), "k-1")
    assert [seen.ephemeral_for for seen in answers(slack, direct)] == [None]  # nobody else reads there


async def test_blocks_that_slack_cannot_read_go_out_as_text(
    slack: SlackEmulator, connector: SlackConnector, thread: Place
) -> None:
    slack.fail_next("chat.postMessage", error="invalid_blocks")
    await connector.send(Outgoing(thread, "An <b> answer."), "k-0")
    [seen] = answers(slack, thread)
    assert (seen.text, seen.blocks) == ("An &lt;b&gt; answer.", ())
    handle = await connector.open(thread, ANN, "k")
    slack.fail_next("chat.stopStream", error="invalid_blocks")
    await connector.send(Outgoing(thread, "Another."), "k-1", handle)
    assert answers(slack, thread)[-1].text == "Another."


async def test_suggestions_stand_in_the_direct_messages(
    slack: SlackEmulator, connector: SlackConnector, direct: Place
) -> None:
    some = tuple(f"Question {number}?" for number in range(6))
    await connector.send(Outgoing(direct, "", suggestions=some), "k-0")
    assert [message for _, message in slack.prompts(direct.channel)] == list(some[:4])
    assert answers(slack, direct) == []


async def test_what_was_said_before(
    slack: SlackEmulator, connector: SlackConnector, ann: Person, thread: Place
) -> None:
    await connector.send(Outgoing(thread, "Green & warm."), "k-0")
    ann.writes("Why?", thread.channel, thread.thread)
    before = ann.writes("And coffee?", thread.channel, thread.thread)
    lines = [Line("user", "What about tea?"), Line("assistant", "Green & warm."), Line("user", "Why?")]
    assert await connector.earlier(thread, before, 10) == lines
    assert await connector.earlier(thread, before, 2) == lines[1:]
    ann.writes("First")
    direct = Place("slack", "acme", ann.dm)
    await connector.send(Outgoing(direct, "Second"), "k-1")
    last = ann.writes("Third")
    assert await connector.earlier(direct, last, 10) == [Line("user", "First"), Line("assistant", "Second")]


async def test_files_are_fetched_from_slack_only_and_not_too_large(
    slack: SlackEmulator, inbox: Inbox, ann: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann.writes("see these", files=[("a.txt", b"tea"), ("b.bin", b"x" * 5_000)])
    await slack.until(lambda: inbox.received)
    [post] = inbox.events
    assert isinstance(post, Post)
    target = tmp_path / "a"
    await inbox.connector.fetch(post.files[0], target)
    assert target.read_bytes() == b"tea"

    monkeypatch.setattr("connectors.slack.reading.MOST_BYTES", 4_096)
    unsized = File("b.bin", 0, post.files[1].locator)
    for file in (post.files[1], unsized):
        with pytest.raises(Refused, match="larger than"):
            await inbox.connector.fetch(file, tmp_path / "b")
    for where in (
        "https://evil.example/x",
        "http://slack.com/x",
        "https://slack.com.evil.example/x",
        "file:///etc/passwd",
    ):
        with pytest.raises(Refused, match="not kept by Slack"):
            await inbox.connector.fetch(File("c", 1, f'["acme", "{where}"]'), tmp_path / "c")
    for gone in (f"{slack.url}/files-pri/T0-F404/gone.txt", f"{slack.url}/signin"):
        with pytest.raises(Refused, match="gone, or Atelier may not"):
            await inbox.connector.fetch(File("d", 1, f'["acme", "{gone}"]'), tmp_path / "d")
    assert [(tmp_path / name).exists() for name in "abcd"] == [True, False, False, False]


async def test_a_file_of_another_workspace_is_looked_up(
    slack: SlackEmulator, connector: SlackConnector, ann: Person, tmp_path: Path
) -> None:
    ann.writes("see this", files=[("a.txt", b"tea")])
    [file] = slack.world.files.values()
    await connector.fetch(File("a.txt", 0, f'["acme", "{file.id}"]'), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"tea"
