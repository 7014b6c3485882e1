"""The emulator drives a bot in another process, and kills it in the middle of a call."""

import os
import signal
import subprocess
import sys

from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_blocks import JSON

BOT = """
import asyncio, sys
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

url, bot_token, app_token = sys.argv[1:]
app = AsyncApp(client=AsyncWebClient(token=bot_token, base_url=url))

@app.event("message")
async def told(ack, event, say):
    await say(text="Heard: " + event["text"])

async def main():
    await AsyncSocketModeHandler(app, app_token).start_async()

asyncio.run(main())
"""


def test_a_bot_is_killed_when_its_call_has_landed_and_starts_again() -> None:
    clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    with SlackEmulator.threaded() as slack:
        ann = slack.person("U1", "Ann")

        def start() -> subprocess.Popen[bytes]:
            arguments = [slack.api_url, slack.bot_token, slack.app_token]
            return subprocess.Popen([sys.executable, "-c", BOT, *arguments], env=clean, stdout=subprocess.DEVNULL)

        bot = start()
        alive = [bot]

        def kill(method: str, params: JSON, phase: str) -> None:
            if (method, phase) == ("chat.postMessage", "applied") and len(alive) == 1:
                os.kill(bot.pid, signal.SIGKILL)
                bot.wait()
                alive.append(start())

        slack.on_call(kill)
        try:
            slack.wait_until(lambda: slack.connections, timeout=30)
            ann.writes("one")
            slack.wait_until(lambda: len(alive) == 2 and slack.connections, timeout=30)
            ann.writes("two")
            slack.wait_until(lambda: len(slack.seen(ann.dm)) == 4, timeout=30)
        finally:
            for process in alive:
                process.kill()
                process.wait()
        assert [line.text for line in slack.seen(ann.dm)] == ["one", "Heard: one", "two", "Heard: two"]
        assert [call.applied for call in slack.calls("chat.postMessage")] == [True, True]
