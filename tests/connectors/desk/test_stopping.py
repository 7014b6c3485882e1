"""A long answer can be ended by whoever has heard enough; what was said so far stays."""

from tests.connectors.desk.chats import Chat
from tests.connectors.desk.doors import Doors, Scripted

LONG = " ".join(f"word{number}" for number in range(400))


async def test_the_stop_button_ends_an_answer_and_what_was_said_stays(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted(LONG, pace=0.02))
    ann = chat.person("Ann")
    chat.says(ann, "Tell me a long story.")
    await doors.until(lambda: "word5" in "".join(shown.text for shown in chat.shown(ann)))
    (growing,) = chat.shown(ann)
    assert "Stop" in growing.buttons
    chat.presses(ann, growing, "Stop")
    await doors.settle()
    first, *others = chat.shown(ann)
    assert first.is_final
    assert "word5" in first.text
    assert "word399" not in first.text
    assert "Stopped before the end." in first.text
    assert not any("word" in other.text for other in others)


async def test_the_stop_command_ends_an_answer(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted(LONG, pace=0.02))
    ann = chat.person("Ann")
    chat.says(ann, "Tell me a long story.")
    await doors.until(lambda: "word5" in "".join(shown.text for shown in chat.shown(ann)))
    chat.orders(ann, "stop")
    await doors.settle()
    texts = [shown.text for shown in chat.shown(ann)]
    assert "word5" in texts[0]
    assert "word399" not in texts[0]
    assert "Stopped." in texts


async def test_the_stop_command_where_nothing_is_answered_says_so(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted())
    ann = chat.person("Ann")
    chat.orders(ann, "stop")
    await doors.settle()
    assert [shown.text for shown in chat.shown(ann)] == ["Nothing is being answered here."]


async def test_a_generator_that_hangs_can_be_stopped(doors: Doors, chat: Chat) -> None:
    """It gives no more pieces, so it has to be cancelled; what was shown is not taken back."""
    await doors.open(Scripted("One two three four", pace=0.7, hangs=True))
    ann = chat.person("Ann")
    chat.says(ann, "Count!")
    await doors.until(lambda: any("One" in shown.text for shown in chat.shown(ann)))
    chat.presses(ann, chat.shown(ann)[0], "Stop")
    await doors.settle()
    first = chat.shown(ann)[0]
    assert first.is_final
    assert first.text.startswith("One")
    assert "Stopped before the end." in first.text


async def test_another_conversation_goes_on_meanwhile(doors: Doors, chat: Chat) -> None:
    await doors.open(Scripted(LONG, pace=0.02))
    ann, bob = chat.person("Ann"), chat.person("Bob")
    chat.says(ann, "Tell me a long story.")
    await doors.until(lambda: "word5" in "".join(shown.text for shown in chat.shown(ann)))
    chat.orders(bob, "help")
    await doors.until(lambda: chat.shown(bob))
    assert not chat.shown(ann)[0].is_final
    chat.presses(ann, chat.shown(ann)[0], "Stop")
    await doors.settle()
