"""A draft previews and promises nothing: the queue is told to open a placeholder, and what is said stands there."""

import pytest

from agent.events import Button, Outgoing
from agent.message import Place
from connectors.connector import Gone
from connectors.telegram.opened import Opened
from tests.connectors.telegram.conftest import connector_to
from tests.emulators.telegram import TelegramEmulator

STOP = Button("b1", "Stop")


async def test_a_draft_is_followed_by_a_placeholder(emulator: TelegramEmulator) -> None:
    """Also in another process: the handle is all that it knows."""
    ann = emulator.person("Ann")
    ann.starts()
    place = Place("telegram", "acme", str(ann.id))
    first, second = (connector_to(emulator, drafts=True) for _ in range(2))
    handle = await first.open(place, f"telegram:acme:{ann.id}", "k1", STOP)
    assert handle == await second.open(place, f"telegram:acme:{ann.id}", "k1", STOP)  # the same draft goes on
    assert Opened.of(handle).draft
    with pytest.raises(Gone):
        await second.send(Outgoing(place, "Done."), "k1", handle)
    placeholder = await second.open(place, f"telegram:acme:{ann.id}", "k1")
    await second.send(Outgoing(place, "Done."), "k1", placeholder)
    assert [(line.text, line.draft) for line in emulator.seen(ann) if line.author == "bot"] == [("Done.", False)]
    for connector in (first, second):
        await connector.close()


@pytest.mark.parametrize("key", ["k1", "k2", "", "ü"])
def test_a_draft_has_an_id_that_is_not_nought(key: str) -> None:
    """https://core.telegram.org/bots/api#sendmessagedraft: draft_id must be non-zero."""
    opened = Opened.draft_for("7", key)
    assert 0 < opened.draft < 2**31
    assert Opened.of(opened.handle()) == opened
