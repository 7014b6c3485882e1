"""A Slack for tests: a made-up workspace behind the real Web API, Socket Mode and Events API, on 127.0.0.1.

In a test's own loop:                            In a thread, for a bot in another process:
    async with SlackEmulator() as slack:             with SlackEmulator.threaded() as slack:
        ann = slack.person("U1", "Ann")                  ann = slack.person("U1", "Ann")
        ann.writes("Hello")                              ann.writes("Hello")
        await slack.until(lambda: slack.seen(ann.dm))    slack.wait_until(lambda: slack.seen(ann.dm))

What a bot is told: api_url (base_url of AsyncWebClient), bot_token, app_token, signing_secret, client_id,
client_secret. What people do is in slack_person.py, what a reader sees is Seen in slack_world.py. Errors, outages and
lateness are asked for here; limits of length are always enforced, limits of rate when `flood` is on.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

from tests.emulators import slack_events as events
from tests.emulators import slack_world as made_up
from tests.emulators.slack_blocks import JSON
from tests.emulators.slack_delivery import Courier, Delivery
from tests.emulators.slack_faults import Fault, Faults
from tests.emulators.slack_person import Person
from tests.emulators.slack_server import Call, Hook, Server
from tests.emulators.slack_world import BOT_USER, Channel, Seen, User, World

ERRORS = {429: "ratelimited", 500: "internal_error", 503: "service_unavailable"}
LOOK = 0.005  # seconds between two looks while waiting


class SlackEmulator:
    """Every method but `until` is synchronous and may be called from any thread."""

    team_id, app_id, bot_user = made_up.TEAM, made_up.APP, BOT_USER
    bot_token, app_token = made_up.BOT_TOKEN, made_up.APP_TOKEN
    signing_secret = made_up.SIGNING_SECRET
    client_id, client_secret, oauth_code = made_up.CLIENT_ID, made_up.CLIENT_SECRET, made_up.OAUTH_CODE

    def __init__(self) -> None:
        self.world = World(self._announce)  # streaming, stream_seconds, status_seconds, trigger_seconds are set here
        self.courier = Courier()  # ack_seconds and retry_delays are set here
        self.faults = Faults()
        self._overtaken: list[JSON] | None = None
        self._server = Server(self.world, self.courier, self.faults)

    async def __aenter__(self) -> Self:
        await self.courier.start()
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.courier.stop()
        await self._server.stop()

    @classmethod
    @contextmanager
    def threaded(cls) -> Iterator[Self]:
        """An emulator whose server runs in a thread with a loop of its own."""
        emulator = cls()
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="slack-emulator", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(emulator.__aenter__(), loop).result(10)
            try:
                yield emulator
            finally:
                asyncio.run_coroutine_threadsafe(emulator.__aexit__(), loop).result(10)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    # The workspace

    @property
    def url(self) -> str:
        return self.world.url

    @property
    def api_url(self) -> str:
        return f"{self.world.url}/api/"

    def person(self, user_id: str, name: str, *, locale: str = "en-US", admin: bool = False) -> Person:
        user = User(user_id, name, locale, admin)
        with self.world.lock:
            self.world.users[user_id] = user
        return Person(user, self.world, self.courier)

    def channel(
        self,
        channel_id: str,
        name: str,
        *,
        members: Sequence[Person] = (),
        bot_in: bool = True,
        private: bool = False,
    ) -> str:
        """A new channel. Returns its id. Nothing is sent to the bot: Person.adds_bot does that."""
        inside = [person.id for person in members] + ([BOT_USER] if bot_in else [])
        with self.world.lock:
            self.world.channels[channel_id] = Channel(channel_id, name, "group" if private else "channel", inside)
        return channel_id

    # How it is delivered, and what goes wrong

    @property
    def events_url(self) -> str | None:
        """Where events go as signed HTTP requests. None: to the Socket Mode connections."""
        return self.courier.events_url

    @events_url.setter
    def events_url(self, url: str | None) -> None:
        self.courier.events_url = url

    @property
    def streaming(self) -> bool:
        """False: this Slack does not know chat.startStream and its kin (unknown_method)."""
        return self.world.streaming

    @streaming.setter
    def streaming(self, on: bool) -> None:
        self.world.streaming = on

    @property
    def flood(self) -> bool:
        """True: calls above Slack's rates are answered 429 with Retry-After."""
        return self.faults.flood

    @flood.setter
    def flood(self, on: bool) -> None:
        self.faults.flood = on

    @property
    def connections(self) -> int:
        """Open Socket Mode connections that take new events."""
        return len(self.courier.sockets)

    def verify_url(self) -> Delivery:
        """Send url_verification to events_url. The delivery is acked when the challenge came back."""
        return self.courier.verify()

    def inject(self, envelope: JSON) -> Delivery:
        """Deliver this Socket Mode envelope ({"type", "payload", ...}) once, in either mode: replays and fuzz."""
        return self.courier.inject(envelope)

    def deliver_raw(self, body: bytes, headers: Mapping[str, str] | None = None) -> Delivery:
        """Send exactly these bytes: over HTTP with exactly these headers, else as a WebSocket frame.

        `signed` in slack_delivery.py makes the two headers of a right signature.
        """
        return self.courier.raw(body, headers)

    def disconnect(self, reason: str = "refresh_requested") -> None:
        """Say goodbye to all connections: "refresh_requested", "warning" or "link_disabled"."""
        self.courier.disconnect(reason)

    def sever(self) -> None:
        """Cut all connections without a word."""
        self.courier.sever()

    def fail_next(
        self,
        method: str,
        *,
        status: int | None = None,
        error: str | None = None,
        retry_after: int | None = None,
        times: int = 1,
        landed: bool = False,
    ) -> None:
        """Answer the next `times` calls of a method ("*": any) with an error.

        status: 429, 500 or 503; 200 when only `error` is given. landed: the calls take effect all the same.
        """
        status = status or (500 if error is None else 200)
        error = error or ERRORS.get(status, "internal_error")
        if status == 429 and retry_after is None:
            retry_after = 1
        self.faults.add(Fault(method, status, error, retry_after, times, landed))

    @contextmanager
    def overtaken(self) -> Iterator[Callable[[], None]]:
        """What happens inside is told of only when the given function is called: what comes meanwhile overtakes it.

        Slack tries an event again after a minute and after five, and goes on meanwhile:
        https://docs.slack.dev/apis/events-api/#retries
        """
        late = self._overtaken = []

        def deliver() -> None:
            for event in late:
                self._announce(event)

        try:
            yield deliver
        finally:
            self._overtaken = None

    def outage(self, seconds: float) -> None:
        """Every request is answered 503, every connection is cut and refused, until the seconds are over."""
        self.faults.outage(seconds)
        self.sever()

    def delay(self, method: str, seconds: float, times: int = 1) -> None:
        """The next calls of a method take effect late, even when the client has given up by then."""
        self.faults.add_delay(method, seconds, times)

    def on_call(self, hook: Hook) -> None:
        """Call hook(method, params, phase) in the server's thread, phase by phase, for every Web API call.

        "received": nothing has happened yet; when a hook returns False here, the call is dropped as if it had never
        arrived. "applied": it took effect, no answer is out. "answered": the answer is on its way to the client.
        A call that is refused skips "applied".
        """
        self._server.on_call.append(hook)

    # What is to be seen

    def seen(self, channel: str, thread_ts: str | None = None) -> list[Seen]:
        """The messages in a channel, ephemeral ones too, oldest first; with thread_ts the root and its replies."""
        with self.world.lock:
            lines = list(self.world.channel(channel).messages.values())
            return [self.world.seen(line) for line in lines if thread_ts in {None, line.ts, line.thread_ts}]

    def status(self, channel: str, thread_ts: str) -> str:
        """What assistant.threads.setStatus shows there now; "" when nothing."""
        with self.world.lock:
            text, until = self.world.channel(channel).statuses.get(thread_ts, ("", 0.0))
        return text if time.monotonic() < until else ""

    def prompts(self, channel: str) -> tuple[tuple[str, str], ...]:
        """The suggested prompts there: (title, message)."""
        with self.world.lock:
            return self.world.channel(channel).prompts

    def title(self, channel: str, thread_ts: str) -> str:
        with self.world.lock:
            return self.world.channel(channel).titles.get(thread_ts, "")

    def views(self, user: str) -> list[JSON]:
        """The modals a person has open, the top one last."""
        with self.world.lock:
            return list(self.world.users[user].views)

    def home(self, user: str) -> JSON | None:
        with self.world.lock:
            return self.world.users[user].home

    def calls(self, method: str | None = None) -> list[Call]:
        """All Web API calls so far, and the uses of response_urls (method "response_url"), in order of arrival."""
        return [replace(call) for call in list(self._server.calls) if method in {None, call.method}]

    def deliveries(self, kind: str | None = None) -> list[Delivery]:
        """All that was sent to the app: kind is events_api, interactive, slash_commands, url_verification or raw."""
        return [made for made in list(self.courier.deliveries) if kind in {None, made.kind}]

    def wait_until(self, predicate: Callable[[], object], timeout: float = 10.0) -> None:
        """Block until the predicate holds. Raises TimeoutError. Not for the emulator's own loop: see `until`."""
        if _in_loop(self.courier.loop):
            raise RuntimeError("This would block the emulator: await until(...) instead.")
        ends = time.monotonic() + timeout
        while not predicate():
            if time.monotonic() > ends:
                raise TimeoutError(f"Nothing of the kind within {timeout} s.")
            time.sleep(LOOK)

    async def until(self, predicate: Callable[[], object], timeout: float = 10.0) -> None:  # noqa: ASYNC109 - as long as the test says
        """The same for a test that runs in the emulator's loop. Raises TimeoutError."""
        ends = time.monotonic() + timeout
        while not predicate():
            if time.monotonic() > ends:
                raise TimeoutError(f"Nothing of the kind within {timeout} s.")
            await asyncio.sleep(LOOK)

    def _announce(self, event: JSON) -> None:
        if self._overtaken is not None:
            self._overtaken.append(event)
            return
        self.courier.send("events_api", events.callback(self.world, event))


def _in_loop(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
