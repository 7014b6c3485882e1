"""An administrator gives an answer in a chat, and whoever asks gets it word for word."""

from tests.connectors.desk.chats import SlackChat
from tests.connectors.desk.doors import Doors

QUESTION = "Where can I pick up my parcel?"
ANSWER = "At the front desk, until six."


async def test_from_an_administrator_s_order_to_the_answer_to_its_end(doors: Doors, slack: SlackChat) -> None:
    ann, bob = slack.person("Ann"), slack.person("Bob")
    await doors.open(administrators=(slack.account(ann),))

    async def orders(words: str) -> str:
        slack.orders(ann, words)
        await doors.settle()
        return slack.shown(ann)[-1].text.replace("`", "").replace("*", "")

    slack.orders(bob, f"curated add {QUESTION} | Nowhere.")  # not everybody gives answers
    await doors.settle()
    assert slack.shown(bob)[-1].text.startswith("Only administrators can do that.")
    assert "There are no curated answers yet." in await orders("curated list")
    assert "From now on I answer this" in await orders(f"curated add {QUESTION} | {ANSWER} | porter's notes")
    assert "#1 approved: Where can I pick up my parcel?" in await orders("curated list")
    slack.says(bob, "Where do I pick up my parcel?")
    await doors.settle()
    shown = "\n".join(each.text for each in slack.shown(bob))
    assert ANSWER in shown
    assert "porter's notes" in shown
    slack.orders(bob, "why")
    await doors.settle()
    assert "The team has approved an answer" in slack.shown(bob)[-1].text
    assert "At the gate." in await orders("curated approve 1 At the gate.")
    assert "withdrawn" in await orders("curated withdraw 1")
    slack.says(bob, "Where do I pick up my parcel?")
    await doors.settle()
    assert "gate" not in "\n".join(each.text for each in slack.shown(bob))
    assert "There is no curated answer 9" in await orders("curated show 9")
    assert "curated add QUESTION" in await orders("curated add only a question")
    assert "empty" not in await orders("curated")
