"""What Telegram answers and what becomes of it, at a server that answers anything; no text of Telegram's goes on."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import telegram.error
from aiohttp import web
from telegram.error import RetryAfter, TelegramError

from agent.events import Outgoing
from agent.message import Place
from connectors.connector import ConnectorError, Gone, Refused, Throttled, Unsure
from connectors.telegram.connector import TelegramConnector
from connectors.telegram.failures import mapped, seconds_of

TOKEN = "1:sEcReT"
PLACE = Place("telegram", "acme", "-55")


@asynccontextmanager
async def server(answer: Callable[[str, dict[str, str]], web.Response]) -> AsyncIterator[TelegramConnector]:
    """A connector to a server that answers each call, by its method and parameters, as it is told."""

    async def handle(request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        return answer(request.path.rpartition("/")[2], form)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    connector = TelegramConnector(TOKEN, "acme", api=f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield connector
    await connector.close()
    await runner.cleanup()


def refusal(status: int, description: str, **parameters: int) -> web.Response:
    body = {"ok": False, "error_code": status, "description": description}
    return web.json_response({**body, **({"parameters": parameters} if parameters else {})}, status=status)


ANSWERS = [
    (refusal(400, "Bad Request: chat not found"), Refused),
    (refusal(400, "Bad Request: message thread not found"), Refused),
    (refusal(400, "Bad Request: TOPIC_CLOSED"), Refused),
    (refusal(400, "Bad Request: sEcReT words of somebody"), Refused),
    (refusal(403, "Forbidden: bot was kicked from the supergroup chat"), Refused),
    (refusal(401, "Unauthorized"), Throttled),
    (refusal(404, "Not Found"), Throttled),
    (refusal(429, "Too Many Requests: retry after 9", retry_after=9), Throttled),
    (refusal(429, "Too Many Requests"), Throttled),
    (refusal(500, "Internal Server Error"), Unsure),
    (web.Response(status=502, text="<html>sEcReT</html>"), Unsure),
    (web.Response(status=200, text="sEcReT no JSON"), Unsure),
]


@pytest.mark.parametrize(("response", "expected"), ANSWERS, ids=range(len(ANSWERS)))
async def test_what_an_answer_means(response: web.Response, expected: type[ConnectorError]) -> None:
    async with server(lambda *_: web.Response(status=response.status, body=response.body, content_type="x/y")) as door:
        with pytest.raises(expected) as raised:
            await door.open(PLACE, "", "k")
        assert "sEcReT" not in repr(raised.value)
        assert "127.0.0.1" not in repr(raised.value)
        assert raised.value.__suppress_context__


def test_every_error_of_the_library_is_one_of_ours() -> None:
    arguments = {"RetryAfter": (7,), "ChatMigrated": (5,), "InvalidToken": (), "TimedOut": ()}
    kinds = [kind for _, kind in inspect.getmembers(telegram.error, inspect.isclass) if issubclass(kind, TelegramError)]
    assert len(kinds) >= 10
    for kind in kinds:
        made = mapped(kind(*arguments.get(kind.__name__, ("sEcReT",))))
        assert type(made) in (Throttled, Refused, Unsure)
        assert "sEcReT" not in str(made)
    assert seconds_of(RetryAfter(7)) == 7.0


async def test_a_group_that_became_a_supergroup_is_followed() -> None:
    sent: list[str] = []

    def answer(method: str, form: dict[str, str]) -> web.Response:
        if form.get("chat_id") == "-55":
            return refusal(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-10055)
        sent.append(f"{method} {form['chat_id']} {form.get('message_id', '')}".strip())
        if "entities" in form and form["entities"] != "[]":
            return refusal(400, "Bad Request: can't parse entities: too many")
        chat = {"id": int(form["chat_id"]), "type": "supergroup", "title": "Tea"}
        message = {"message_id": 8, "date": 1, "chat": chat, "text": "…"}
        return web.json_response({"ok": True, "result": message})

    async with server(answer) as door:
        assert await door.send(Outgoing(PLACE, "It is **ready**."), "k") == "8"  # there too what it takes
        assert sent.pop() == "sendMessage -10055"
        sent.clear()
        handle = await door.open(PLACE, "", "k")
        assert await door.send(Outgoing(PLACE, "It is ready."), "k", handle) == "8"
        old = handle.replace("-10055", "-55")  # opened before it became one
        with pytest.raises(Gone):
            await door.send(Outgoing(PLACE, "It is ready."), "k", old)
    assert [call for call in sent if "Action" not in call] == [
        "sendMessage -10055",
        "editMessageText -10055 8",
    ]
