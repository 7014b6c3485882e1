"""What happens again after a crash leads to one answer."""

from collections.abc import Sequence

from agent.events import Event, Outgoing
from connectors.delivery.stage import Stage
from retrieval.database import writing
from tests.connectors.desk.chats import Chat
from tests.connectors.desk.doors import Doors, Scripted


async def test_an_event_handled_twice_has_one_answer(doors: Doors, chat: Chat) -> None:
    """A process that dies before its answer is committed leaves nothing of it; what was committed is not made anew."""
    generator = Scripted("Gladly.")
    await doors.open(generator)
    handler = doors.delivery._handler
    answers: list[Sequence[Outgoing]] = []

    async def twice(event: Event, stage: Stage) -> Sequence[Outgoing]:
        await handler(event, stage)
        stage.is_first = False  # as it is for who claims it after a crash
        stage.along.clear()
        answers.append(await handler(event, stage))
        with writing(doors.delivery._engine) as connection:
            for step in stage.along:
                step(connection)
        answers.append(await handler(event, stage))
        return answers[-1]

    doors.delivery._handler = twice
    ann = chat.person("Ann")
    room = chat.room(ann)
    chat.says(ann, "Hello!", room, called=True)
    await doors.settle()
    assert answers[0] == answers[1]
    assert len(generator.prompts) == 2
    assert [shown.text for shown in chat.shown(room)] == ["Gladly."]
    assert len(doors.held(chat.account(ann)).turns) == 1
