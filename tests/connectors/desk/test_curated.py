"""An administrator gives an answer in a chat, and whoever asks gets it word for word, on every platform."""

from tests.connectors.desk.chats import Chat, TelegramChat
from tests.connectors.desk.doors import Doors

QUESTION = "Where can I pick up my parcel?"
ANSWER = "At the front desk, until six."


async def test_from_an_administrator_s_order_to_the_answer_to_its_end(doors: Doors, chat: Chat) -> None:
    ann, bob = chat.person("Ann"), chat.person("Bob")
    room = chat.room(ann, bob)
    await doors.open(administrators=(chat.account(ann),))

    async def orders(words: str) -> str:
        chat.orders(ann, words)
        await doors.settle()
        return chat.shown(ann)[-1].text.replace("`", "").replace("*", "")

    chat.orders(bob, f"curated add {QUESTION} | Nowhere.")  # not everybody gives answers
    await doors.settle()
    assert chat.shown(bob)[-1].text.startswith("Only administrators can do that.")
    assert "There are no curated answers yet." in await orders("curated list")
    if isinstance(chat, TelegramChat):  # and not in front of all, where others read what is said to one
        chat.orders(ann, "curated list", room)
        await doors.settle()
        assert "direct message" in chat.shown(room)[-1].text
    assert "From now on I answer this" in await orders(f"curated add {QUESTION} | {ANSWER} | porter's notes")
    assert "#1 approved: Where can I pick up my parcel?" in await orders("curated list")
    chat.says(bob, "Where do I pick up my parcel?")
    await doors.settle()
    shown = "\n".join(each.text for each in chat.shown(bob))
    assert ANSWER in shown
    assert "porter's notes" in shown
    chat.orders(bob, "why")
    await doors.settle()
    assert "The team has approved an answer" in chat.shown(bob)[-1].text
    assert "At the gate." in await orders("curated approve 1 At the gate.")
    assert "withdrawn" in await orders("curated withdraw 1")
    chat.says(bob, "Where do I pick up my parcel?")
    await doors.settle()
    assert "gate" not in "\n".join(each.text for each in chat.shown(bob))
    assert "There is no curated answer 9" in await orders("curated show 9")
    assert "curated add QUESTION" in await orders("curated add only a question")
    assert "empty" not in await orders("curated")
