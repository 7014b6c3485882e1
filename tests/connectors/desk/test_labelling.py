"""Messages worth labelling, shown with a button for each intent, to administrators alone, and read by the next run."""

from pathlib import Path

import numpy as np
import pytest

from agent.head import Head, Inputs
from agent.understanding import SHIPPED
from finetune.few_shot import Judged, Learned, floor_of
from finetune.few_shot_folder import write_intents
from finetune.few_shot_labels import CHAT, Labels
from finetune.heads import embed, fit
from finetune.heads_data import OWN, Row
from retrieval.encoder import TransformerEncoder
from tests.connectors.desk.chats import Chat, Shown, TelegramChat
from tests.connectors.desk.doors import TENANT, Doors
from tests.connectors.desk.test_growth import agrees

ROWS = tuple(
    Row(text, label, OWN)
    for label, texts in {
        "billing": ("the invoice is wrong", "I was charged twice", "where is my receipt"),
        "travel": ("book a train to Rome", "the flight was late", "which hotel is near"),
    }.items()
    for text in texts
)


@pytest.fixture(scope="module")
def heads(encoder: TransformerEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped heads with one of a team's own, which is not measured here."""
    texts, labels = [row.text for row in ROWS], ("billing", "travel")
    vectors = embed(encoder, texts, lambda _: None)
    linear = fit("topic", Inputs.of(vectors, texts), ROWS, labels)
    judged = Judged(1.0, 0.0, (1.0, 0.0), np.zeros((len(ROWS), 2), dtype=np.float32))
    learned = Learned(
        labels, ROWS, vectors, linear, None, judged, judged, floor_of(vectors), (), (), "nothing", (), seconds=0.0
    )
    folder = tmp_path_factory.mktemp("topics") / "heads"
    write_intents(folder, learned, encoder, SHIPPED)
    return folder


def cards(chat: Chat, who: object) -> list[Shown]:
    return [each for each in chat.shown(who) if "Skip" in each.buttons]


async def test_from_a_message_in_a_channel_to_a_row_that_is_learned_from(doors: Doors, chat: Chat, heads: Path) -> None:
    ann, bob, eve, kim = (chat.person(name) for name in ("Ann", "Bob", "Eve", "Kim"))
    await doors.open(administrators=(chat.account(ann),))
    room, elsewhere = chat.room(ann, bob, eve), chat.room(bob, kim)
    chat.says(bob, "my ticket to Paris was paid twice", room, called=True)
    chat.says(eve, "the receipt of the hotel in Rome", room, called=True)  # she has not agreed
    chat.says(bob, "is my salary wrong", elsewhere, called=True)  # where Ann is not
    chat.says(kim, "my private doctor's bill")
    await doors.settle()
    for each in (bob, kim):
        agrees(doors, chat, each)

    chat.orders(ann, "label")
    await doors.settle()
    assert "no intents of your own yet" in chat.shown(ann)[-1].text
    doors.house.colleague.understander.take(heads)
    chat.orders(ann, "label")
    await doors.settle()
    (card,) = cards(chat, ann)
    assert "ticket to" in card.text
    assert "(0 more after it)" in card.text
    assert set(card.buttons) == {"billing", "travel", "None of these", "Skip"}

    chat.presses(ann, card, "travel")
    await doors.settle()
    assert "Kept as travel. " in chat.shown(ann)[-1].text.replace("**", "").replace("\n", " ")
    labels = Labels(doors.house.store.engine, TENANT)
    (row,) = labels.rows().rows
    assert (row.label, row.source) == ("travel", CHAT)
    assert row.text.endswith("my ticket to Paris was paid twice")
    chat.orders(ann, "label")
    await doors.settle()
    assert "No message waits" in chat.shown(ann)[-1].text

    memory = doors.house.store.memory
    author = memory.person(f"{chat.account(bob).replace(':', f':{TENANT}:', 1)}").id
    memory.people.set_consent(author, consent=False)
    assert not labels.rows().rows
    chat.presses(ann, card, "billing")
    await doors.settle()
    assert "may not be learned from any more" in chat.shown(ann)[-1].text
    memory.people.set_consent(author, consent=True)
    assert [each.label for each in labels.rows().rows] == ["travel"]


async def test_nobody_else_orders_or_presses(doors: Doors, chat: Chat, heads: Path) -> None:
    ann, bob = chat.person("Ann"), chat.person("Bob")
    await doors.open(administrators=(chat.account(ann),))
    doors.house.colleague.understander.take(heads)
    room = chat.room(ann, bob)
    chat.says(bob, "the invoice of the hotel", room, called=True)
    await doors.settle()
    agrees(doors, chat, bob)
    chat.orders(bob, "label")
    await doors.settle()
    assert chat.shown(bob)[-1].text.startswith("Only administrators can do that.")
    chat.orders(ann, "label")
    await doors.settle()
    (card,) = cards(chat, ann)
    await doors.close()
    await doors.open(administrators=())
    chat.presses(ann, card, "billing")  # no administrator any more
    await doors.settle()
    assert not Labels(doors.house.store.engine, TENANT).rows().rows
    if isinstance(chat, TelegramChat):
        await doors.close()
        await doors.open(administrators=(chat.account(ann),))
        chat.orders(ann, "label", room)
        await doors.settle()
        assert "direct message" in chat.shown(room)[-1].text


def test_what_people_wrote_is_compared_with_and_named_to_nobody(encoder: TransformerEncoder, tmp_path: Path) -> None:
    texts = ["the invoice is wrong", "Ann's private matter"]
    vectors = embed(encoder, texts, lambda _: None)
    rows = (Row(texts[0], "billing", OWN), Row(texts[1], "other", CHAT))
    linear = fit("topic", Inputs.of(vectors, texts), rows, ("billing", "other"))
    judged = Judged(1.0, 0.0, (1.0, 0.0), np.zeros((2, 2), dtype=np.float32))
    learned = Learned(
        ("billing", "other"), rows, vectors, linear, None, judged, judged, 0.0, (), (), "nothing", (), seconds=0.0
    )
    write_intents(tmp_path / "heads", learned, encoder, SHIPPED)
    assert all(b"private" not in path.read_bytes() for path in (tmp_path / "heads").iterdir())
    head = Head.load(tmp_path / "heads", "topic", encoder)
    assert [each.text for each in head.examples_near(vectors[1], 2)] == [texts[0]]
    assert head.likeness(vectors) == pytest.approx([1.0, 1.0], abs=1e-3)
