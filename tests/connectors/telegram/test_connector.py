"""Answers as a person sees them: placeholder, previews, finals, splits, and what happens when Telegram objects."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram import MessageEntity

from agent.events import Button, File, Outgoing, Post
from agent.message import Place, Source
from connectors.connector import Connector, Gone, Refused, Throttled, Unsure
from connectors.telegram import connector as connector_module
from connectors.telegram.connector import TelegramConnector
from connectors.telegram.opened import Opened
from connectors.telegram.render import Rendered
from tests.connectors.telegram.conftest import Inbox, connector_to
from tests.emulators.telegram import FloodLimits, Group, Person, TelegramEmulator

STOP = Button("st0p", "⏹ Stop")


@pytest.fixture
async def ann(emulator: TelegramEmulator) -> Person:
    person = emulator.person("Ann")
    person.writes("Hello")  # a bot may not begin a conversation
    return person


def place_of(chat: Person | Group, thread: int | None = None) -> Place:
    return Place("telegram", "acme", str(chat.id), str(thread or ""))


def answer(place: Place, text: str = "It is **ready**.", **more: object) -> Outgoing:
    return Outgoing(place, text, **more)


def test_it_is_a_connector() -> None:
    connector: Connector = TelegramConnector("1:a", "acme")
    assert (connector.name, connector.edits_only) == ("telegram", True)


async def test_a_placeholder_becomes_the_answer(emulator: TelegramEmulator, connector: TelegramConnector, ann) -> None:
    place = place_of(ann)
    handle = await connector.open(place, f"telegram:acme:{ann.id}", "k", STOP)
    assert len(handle) <= 200
    opened = emulator.seen(ann)[-1]
    assert (opened.text, opened.buttons, opened.author) == ("…", (("⏹ Stop",),), "bot")
    assert emulator.calls("sendMessage")[0].params["disable_notification"] in (True, "true")
    await emulator.until(lambda: emulator.calls("sendChatAction"), 5)

    final = answer(
        place,
        "It is **ready** [1]: https://tea.example",
        sources=(Source(1, "tea.md, page 2", 4),),
        buttons=(Button("u", "👍"), Button("d", "👎"), Button("w", "Why")),
    )
    assert await connector.send(final, "k", handle) == str(opened.message_id)
    shown = emulator.seen(ann)[-1]
    assert shown.message_id == opened.message_id
    assert shown.text == "It is ready [1]: https://tea.example\n\n[1] tea.md, page 2"
    assert [(entity.type, entity.text) for entity in shown.entities if entity.type == "bold"] == [("bold", "ready")]
    assert shown.buttons == (("👍", "👎"), ("Why",))
    assert not shown.preview


async def test_repeating_the_final_changes_nothing(emulator: TelegramEmulator, connector, ann) -> None:
    place = place_of(ann)
    handle = await connector.open(place, "", "k")
    first = await connector.send(answer(place), "k", handle)
    again = connector_to(emulator)  # another process, after a crash
    assert await again.send(answer(place), "k", handle) == first
    await again.close()
    assert [seen.text for seen in emulator.seen(ann)] == ["Hello", "It is ready."]
    assert emulator.seen(ann)[-1].edited == 1


async def test_previews_come_at_the_rate_that_is_allowed_and_keep_the_stop_button(emulator, connector, ann) -> None:
    emulator.flood = True
    place = place_of(ann)
    handle = await connector.open(place, "", "k", STOP)
    began = time.monotonic()
    words = 0
    while time.monotonic() < began + 3.6:
        words += 1
        before = time.monotonic()
        await connector.show(place, handle, "word " * words + "**unfinished")
        assert time.monotonic() - before < 0.1  # it never makes the writer wait
        await asyncio.sleep(0.05)
    edits = emulator.calls("editMessageText")
    assert 2 <= len(edits) <= 3
    assert all(later.at - earlier.at >= 1.0 for earlier, later in pairwise(edits))
    assert {call.status for call in edits} == {200}
    assert emulator.seen(ann)[-1].buttons == (("⏹ Stop",),)
    await connector.send(answer(place), "k", handle)
    shown = emulator.seen(ann)[-1]
    assert (shown.text, shown.buttons) == ("It is ready.", ())


async def test_an_answer_that_is_ready_at_once_does_not_wait(emulator, connector, ann) -> None:
    emulator.flood = True
    place = place_of(ann)
    began = time.monotonic()
    await connector.send(answer(place), "k", await connector.open(place, "", "k"))
    assert time.monotonic() - began < 0.5


async def test_a_group_has_fewer_previews(emulator, connector, ann) -> None:
    group = emulator.group("Tea", [ann])
    place = place_of(group)
    handle = await connector.open(place, "", "k")
    await asyncio.sleep(1.5)
    await connector.show(place, handle, "too early")
    await asyncio.sleep(1.8)
    await connector.show(place, handle, "in time")
    await emulator.until(lambda: emulator.seen(group)[-1].edited, 5)
    assert emulator.history(emulator.seen(group)[-1].message_id, group) == ["…", "in time"]


async def test_a_slow_preview_never_ends_up_on_top_of_the_answer(emulator, connector, ann) -> None:
    place = place_of(ann)
    handle = await connector.open(place, "", "k")
    await asyncio.sleep(1.2)
    emulator.delay("editMessageText", 0.7)
    under_way = asyncio.Event()
    emulator.on_call(
        lambda method, _, phase: under_way.set() if (method, phase) == ("editMessageText", "received") else None
    )
    await connector.show(place, handle, "It is")
    await under_way.wait()
    await connector.send(answer(place), "k", handle)
    await asyncio.sleep(0.8)
    assert emulator.seen(ann)[-1].text == "It is ready."
    assert emulator.history(emulator.seen(ann)[-1].message_id, ann) == ["…", "It is", "It is ready."]


async def test_a_preview_that_was_given_up_does_not_stay_over_the_answer(emulator, connector, ann, monkeypatch) -> None:
    for name in ("PREVIEW_TIMEOUT", "_LATE"):  # in tenths: it lands after 17 seconds, as in `make battery NAMES=late`
        monkeypatch.setattr(connector_module, name, getattr(connector_module, name) / 10)
    place = place_of(ann)
    handle = await connector.open(place, "", "k")
    await asyncio.sleep(1.2)
    emulator.delay("editMessageText", 1.7)
    await connector.show(place, handle, "It is")
    await connector.send(answer(place), "k", handle)
    await asyncio.sleep(0.5)
    assert emulator.history(emulator.seen(ann)[-1].message_id, ann)[-2:] == ["It is", "It is ready."]


async def test_a_preview_shows_the_beginning_of_a_long_answer(emulator, connector, ann) -> None:
    place = place_of(ann)
    handle = await connector.open(place, "", "k")
    await asyncio.sleep(1.2)
    await connector.show(place, handle, "Tea is good. " * 3000)
    await emulator.until(lambda: emulator.seen(ann)[-1].edited == 1, 5)
    assert emulator.seen(ann)[-1].text.startswith("Tea is good. Tea")


async def test_showing_never_raises(emulator, connector, ann) -> None:
    place = place_of(ann)
    handle = await connector.open(place, "", "k")
    for trouble in (lambda: emulator.fail_next("editMessageText", 500), ann.blocks_bot):
        await asyncio.sleep(1.2)
        trouble()
        await connector.show(place, handle, "It is")
        await emulator.until(lambda: not connector._previews, 5)


async def test_a_long_answer_is_whole_in_several_messages(emulator, connector, ann) -> None:
    place = place_of(ann)
    text = "\n\n".join(f"## Step {number}\n\nPour **water** {'slowly ' * 60}" for number in range(24))
    parts = connector.parts(answer(place, text, sources=(Source(1, "tea.md", 1),), buttons=(STOP,)))
    assert len(parts) >= 3
    for part in parts:
        await connector.send(part, "k", await connector.open(place, "", "k"))
    shown = [seen for seen in emulator.seen(ann) if seen.author == "bot"]
    assert len(shown) == len(parts)
    assert [line for seen in shown for line in seen.text.split("\n") if line.startswith("Step")] == [
        f"Step {number}" for number in range(24)
    ]
    assert [seen.buttons for seen in shown] == [()] * (len(parts) - 1) + [(("⏹ Stop",),)]
    assert shown[-1].text.endswith("[1] tea.md")


@pytest.mark.parametrize("name", ["answer", "code", "table", "hostile", "languages"])
async def test_what_is_shown_is_what_was_meant(emulator, connector, ann, name: str) -> None:
    """Telegram cleans texts and drops entities by rules of its own: nothing of ours may fall to them."""
    place = place_of(ann)
    golden = Path(__file__).parent / "golden"
    text, _, entities = (golden / f"{name}.txt").read_text("utf-8").partition("\n=====\n")
    await connector.send(
        answer(place, (golden / f"{name}.md").read_text("utf-8")), "k", await connector.open(place, "", "k")
    )
    shown = emulator.seen(ann)[-1]
    assert shown.text == text
    assert shown.entities_dropped == 0
    for line in entities.splitlines():
        assert line.partition(" ")[0].rstrip(":") in {entity.type for entity in shown.entities}


async def test_what_telegram_cannot_format_is_shown_plain(emulator, connector, ann, monkeypatch) -> None:
    place = place_of(ann)
    handle = await connector.open(place, "", "k")
    broken = Rendered("It is ready.", (MessageEntity("bold", 0, 99),), 1)  # what no rendering makes
    monkeypatch.setattr("connectors.telegram.connector.render", lambda _: broken)
    for opened in (handle, ""):
        await connector.send(answer(place), "k", opened)
        shown = emulator.seen(ann)[-1]
        assert (shown.text, shown.entities) == ("It is ready.", ())
    assert [call.status for call in emulator.calls("editMessageText")] == [400, 200]
    assert [call.status for call in emulator.calls("sendMessage")] == [200, 400, 200]


async def test_a_placeholder_that_was_deleted_has_to_be_opened_anew(emulator, connector, ann) -> None:
    place = place_of(ann)
    handle = await connector.open(place, "", "k")
    placeholder = emulator.seen(ann)[-1]
    ann.deletes(placeholder)
    with pytest.raises(Gone):  # nothing is sent blindly: another is opened, and committed, first
        await connector.send(answer(place), "k", handle)


async def test_without_a_handle_it_is_a_new_message(emulator, connector, ann) -> None:
    await connector.send(answer(place_of(ann)), "k")
    assert emulator.seen(ann)[-1].text == "It is ready."


async def test_answers_stay_in_their_topic(emulator, connector, ann, monkeypatch) -> None:
    monkeypatch.setattr(connector_module, "_TYPING", 0.0)
    group = emulator.group("Tea", [ann], topics=True)
    green = group.topic("Green")
    place = place_of(group, green)
    handle = await connector.open(place, "", "k", STOP)
    await emulator.until(lambda: emulator.calls("sendChatAction"), 5)
    assert emulator.calls("sendChatAction")[0].params["message_thread_id"] in (green, str(green))
    await connector.send(answer(place), "k", handle)
    (shown,) = [seen for seen in emulator.seen(group, green) if seen.author == "bot"]
    assert shown.text == "It is ready."


async def test_a_group_that_gave_up_its_topics_is_answered_and_a_deleted_topic_is_not(emulator, connector, ann) -> None:
    group = emulator.group("Tea", [ann], topics=True)
    place = place_of(group, group.topic("Green"))
    group.deletes_topic(int(place.thread))
    with pytest.raises(Refused, match="topic is gone"):
        await connector.open(place, "", "k", STOP)
    group.gives_up_topics()
    handle = await connector.open(place, "", "k", STOP)
    await connector.send(answer(place), "k", handle)
    assert [seen.text for seen in emulator.seen(group) if seen.author == "bot"] == ["It is ready."]


async def test_who_is_answered_soon_is_not_told_that_somebody_types(emulator, connector, ann, monkeypatch) -> None:
    monkeypatch.setattr(connector_module, "_TYPING", 3600.0)
    handle = await connector.open(place_of(ann), "", "k", STOP)
    assert connector._background, "it would be told, in an hour"
    await connector.send(answer(place_of(ann)), "k", handle)
    await emulator.until(lambda: not connector._background, 5)
    assert not emulator.calls("sendChatAction")


async def test_a_short_pause_is_waited_for_and_a_long_one_is_told(emulator, connector, ann) -> None:
    place = place_of(ann)
    handle = await connector.open(place, "", "k")
    emulator.fail_next("editMessageText", 429, retry_after=1)
    await connector.send(answer(place), "k", handle)
    assert emulator.seen(ann)[-1].text == "It is ready."
    emulator.fail_next("editMessageText", 429, retry_after=17)
    with pytest.raises(Throttled) as raised:
        await connector.send(answer(place, "Changed."), "k", handle)
    assert raised.value.seconds == 17
    assert emulator.seen(ann)[-1].text == "It is ready."


@pytest.mark.parametrize("status", [500, 502])
async def test_an_error_inside_telegram_is_unsure(emulator, connector, ann, status: int) -> None:
    place = place_of(ann)
    handle = await connector.open(place, "", "k")
    emulator.fail_next("editMessageText", status)
    with pytest.raises(Unsure):
        await connector.send(answer(place), "k", handle)
    emulator.delay("editMessageText", 0.1, lands=False)
    with pytest.raises(Unsure):
        await connector.send(answer(place), "k", handle)
    await connector.send(answer(place), "k", handle)
    assert emulator.seen(ann)[-1].text == "It is ready."


async def test_who_blocked_the_bot_is_refused(emulator, connector, ann) -> None:
    place = place_of(ann)
    handle = await connector.open(place, "", "k")
    ann.blocks_bot()
    with pytest.raises(Refused, match="blocked"):
        await connector.send(answer(place), "k", handle)
    with pytest.raises(Refused):
        await connector.open(place, "", "k2")


async def test_a_group_that_removed_the_bot_and_an_unknown_chat_are_refused(emulator, connector, ann) -> None:
    group = emulator.group("Tea", [ann])
    group.kicks_bot()
    for place in (place_of(group), Place("telegram", "acme", "123456789")):
        with pytest.raises(Refused):
            await connector.open(place, "", "k")


async def test_a_server_that_is_not_there_was_certainly_not_reached(ann) -> None:
    nowhere = TelegramConnector("1:sEcReT", "acme", api="http://127.0.0.1:9")
    with pytest.raises(Throttled) as raised:
        await nowhere.open(place_of(ann), "", "k")
    assert "sEcReT" not in repr(raised.value)
    await nowhere.close()


async def test_a_wrong_token_is_not_in_the_error(emulator, ann) -> None:
    stranger = TelegramConnector("1:sEcReT", "acme", api=emulator.base_url.removesuffix("/bot"))
    with pytest.raises(Throttled, match="does not accept") as raised:
        await stranger.open(place_of(ann), "", "k")
    assert "sEcReT" not in repr(raised.value)
    await stranger.close()


async def test_many_answers_in_one_chat_stay_under_its_flood_limit(emulator, connector, ann) -> None:
    emulator.flood = True
    emulator.flood_limits = FloodLimits(burst=2)
    place = place_of(ann)
    handles = [await connector.open(place, "", str(number)) for number in range(3)]
    await asyncio.gather(*(connector.send(answer(place, f"n{n}"), str(n), h) for n, h in enumerate(handles)))
    assert {call.status for call in (*emulator.calls("sendMessage"), *emulator.calls("editMessageText"))} == {200}


async def test_chats_do_not_wait_for_each_other(emulator, connector) -> None:
    emulator.flood = True
    people = [emulator.person(f"P{number}") for number in range(12)]
    for person in people:
        person.writes("Hi")
    began = time.monotonic()

    async def serve(person: Person) -> None:
        handle = await connector.open(place_of(person), "", "k")
        await connector.send(answer(place_of(person)), "k", handle)

    await asyncio.gather(*map(serve, people))
    assert time.monotonic() - began < 4
    assert {emulator.seen(person)[-1].text for person in people} == {"It is ready."}


async def test_a_bot_cannot_look_back(connector, ann) -> None:
    assert await connector.find(place_of(ann), "k") is None
    assert await connector.earlier(place_of(ann), "1", 10) == []


async def test_files_are_fetched(emulator, connector, inbox: Inbox, ann, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    ann.sends_file("tea.bin", content, "read this")
    ann.sends_photo(b"\xff\xd8 picture", "look")
    await emulator.until(lambda: len(inbox.events) == 3, 5)
    _, document, photo = inbox.events
    assert isinstance(document, Post)
    assert isinstance(photo, Post)
    assert (document.text, document.files[0].name, document.files[0].size) == ("read this", "tea.bin", len(content))
    await connector.fetch(document.files[0], tmp_path / "a")
    await connector.fetch(photo.files[0], tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == content
    assert (tmp_path / "b").read_bytes() == b"\xff\xd8 picture"


async def test_files_that_cannot_be_had_leave_nothing_behind(emulator, connector, inbox, ann, tmp_path: Path) -> None:
    ann.sends_file("big.bin", bytes(20_000_001))
    ann.sends_file("tea.bin", b"tea")
    await emulator.until(lambda: len(inbox.events) == 3, 5)
    big, small = inbox.events[1].files[0], inbox.events[2].files[0]
    target = tmp_path / "file"
    with pytest.raises(Refused, match="20 MB"):
        await connector.fetch(big, target)
    with pytest.raises(Refused, match="20 MB"):
        await connector.fetch(File("big.bin", 0, big.locator), target)
    with pytest.raises(Refused, match="gone"):
        await connector.fetch(File("x", 0, '{"file_id": "none"}'), target)
    with pytest.raises(Refused, match="damaged"):
        await connector.fetch(File("x", 0, "["), target)
    for status, failure in ((404, Refused), (429, Throttled), (500, Unsure)):
        emulator.fail_next("download", status)
        with pytest.raises(failure):
            await connector.fetch(small, target)
        assert not target.exists()


@given(st.integers(-(2**52), 2**52), st.integers(1, 2**31), st.text(max_size=200))
def test_a_handle_is_short_and_says_all(chat: int, message: int, label: str) -> None:
    opened = Opened(str(chat), message, Button("x" * 32, label))
    handle = opened.handle()
    assert len(handle) <= 200
    again = Opened.of(handle)
    assert (again.chat, again.message) == (opened.chat, message)
    assert again.stop is not None
    assert again.stop.id == "x" * 32
