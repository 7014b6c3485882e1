"""Battery 6 to 10: what is not signed, what is sent again, what is signed and broken, and what is far too large.

The payloads are those that the emulated platforms send when people write, press, react, send files and give commands;
they are made wrong and then signed rightly. Server, queue and desk are the product's, over a real store.
"""

import asyncio
import hashlib
import hmac
import json
import random
import time
from collections import Counter
from typing import Any
from urllib.parse import urlencode

from tests.battery.inside import (
    SECRET,
    SECRET_HEADER,
    SLACK_PATH,
    TELEGRAM_PATH,
)
from tests.battery.mutations import encoded, mutated, swapped
from tests.battery.town import Town, town
from tests.benchmarks import Cell, Report
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_delivery import signed

AT_ONCE = 8  # requests
FEW = 200  # open events at which sending goes on
EMPTY = 120.0  # seconds in which the queue must empty at the end
JSON_TYPE = {"Content-Type": "application/json"}
FORM_TYPE = {"Content-Type": "application/x-www-form-urlencoded"}


async def slack_payloads(made: Town) -> list[tuple[str, Any]]:
    """What Slack sends when Bob does all that a person can do: (kind, payload)."""
    slack, bob = made.slack, made.bobs[0]
    known = len(slack.deliveries())
    general = slack.channel("C1", "general", members=made.bobs)
    asked = bob.writes(f"<@{slack.bot_user}> How many days?", general)
    bob.writes("and <https://a.example.com|there> &amp; then?", general, asked)
    said = bob.writes("How many days in private?")
    bob.writes("a file", files=[("notes.md", b"# Notes\nTea at four.")])
    bob.edits(said, "How many weeks?")
    bob.commands("/atelier", "ideate tea", general)
    bob.opens_app("home")
    bob.opens_app("messages")
    slack.channel("C2", "later", members=[bob], bot_in=False)
    bob.adds_bot("C2")
    await slack.until(lambda: any(each.buttons and "👎" in each.buttons for each in slack.seen(bob.dm)), 30)
    shown = next(each for each in slack.seen(bob.dm) if "👎" in each.buttons)
    bob.reacts(shown.ts, "bulb")
    bob.unreacts(shown.ts, "bulb")
    bob.presses(shown.ts, "👍")
    bob.presses(shown.ts, "👎")
    await slack.until(lambda: slack.views(bob.id), 10)
    bob.submits({"answer": "too short"})
    bob.deletes(said)
    await made.doors.until_few(30)
    sent = [(each.kind, each.payload) for each in slack.deliveries()[known:]]
    return [each for each in sent if '"bot_id"' not in json.dumps(each[1].get("event"))]  # Atelier's own messages


async def telegram_payloads(made: Town) -> list[dict[str, Any]]:
    """What Telegram sends when Ann does all that a person can do."""
    telegram, ann, known = made.telegram, made.anns[0], len(made.updates)
    ann.starts("from-a-link")
    said = ann.writes("How many days?")
    ann.edits(said, "How many weeks?")
    ann.writes("/ideate tea and https://a.example.com")
    ann.writes("again", reply_to=said)
    ann.sends_file("notes.md", b"# Notes\nTea at four.", "read this")
    group = telegram.group("Tea", made.anns[:3], topics=True, privacy=False)
    group.promotes_bot()
    topic = group.topic("Green")
    ann.writes(f"@{telegram.username} how far?", group, thread=topic)
    await telegram.until(lambda: any(each.author == "bot" and each.buttons for each in telegram.seen(ann)), 30)
    await made.doors.until_few(30)
    shown = next(each for each in telegram.seen(ann) if each.author == "bot" and any("👍" in r for r in each.buttons))
    ann.reacts(shown, "👍")
    ann.reacts(shown)
    ann.presses(shown, "👍")
    await telegram.until(lambda: telegram.pending() == 0, 30)
    await made.doors.until_few(30)
    return made.updates[known:]


def fresh_slack(dice: random.Random, made: Town, payload: Any, number: int) -> Any:
    """The same from somebody else, now: new ids, so that it is no copy of an event that was seen."""
    old, new = made.bobs[0], dice.choice(made.bobs)
    with made.slack.world.lock:
        others = list(made.slack.world.channels[old.dm].messages)
    other: dict[Any, Any] = {old.id: new.id, old.dm: new.dm}
    texts = json.dumps(payload)
    for ts in others:
        if ts in texts and dice.random() < 0.8:
            other[ts] = f"{1_800_000_000 + number}.{dice.randrange(10**6):06d}"
    for holder in (payload, payload.get("view") or {}, payload.get("event") or {}):
        for name in ("event_id", "trigger_id", "id", "ts", "event_ts"):
            value = holder.get(name)
            if isinstance(value, str) and dice.random() < 0.95:
                is_time = name.endswith("ts")
                other[value] = f"{1_800_000_000 + number}.000{number % 1000:03d}" if is_time else f"{name[:2]}{number}"
    return swapped(payload, other)


def fresh_telegram(dice: random.Random, made: Town, update: Any, number: int) -> Any:
    """The same in somebody else's chat, now."""
    old, new = made.anns[0], dice.choice(made.anns)
    copy = swapped(update, {old.id: new.id}) | {"update_id": 500_000_000 + number}
    for kind in ("message", "edited_message"):
        if kind in copy and dice.random() < 0.95:
            copy[kind]["message_id"] = 2_000_000 + number
    if "callback_query" in copy:
        copy["callback_query"]["id"] = str(number)
    return copy


def slack_request(dice: random.Random, kind: str, payload: Any) -> tuple[bytes, dict[str, str]]:
    """A request as Slack makes it of a payload: a form around JSON for presses, a form for commands."""
    if kind == "slash_commands" and isinstance(payload, dict):
        flat = {key: each if isinstance(each, str) else json.dumps(each) for key, each in payload.items()}
        body = urlencode(flat, errors="surrogatepass").encode()
        return body, signed(body) | FORM_TYPE
    if kind == "interactive":
        body = urlencode({"payload": encoded(dice, payload)}).encode()
        return body, signed(body) | FORM_TYPE
    body = encoded(dice, payload)
    return body, signed(body) | JSON_TYPE


async def storm(made: Town, platform: str, count: int, seed: int = 7) -> dict[str, Cell]:
    """Mutated and signed, `count` of them."""
    dice = random.Random(seed)
    payloads: list[Any] = await (slack_payloads(made) if platform == "slack" else telegram_payloads(made))
    statuses: Counter[int] = Counter()
    before, began = sum(made.doors.handled.values()), time.perf_counter()
    dead = (await made.doors.delivery.counts()).get("dead", 0)
    requests = []
    for number in range(count):
        if platform == "slack":
            kind, payload = dice.choice(payloads)
            wrong = mutated(dice, fresh_slack(dice, made, payload, number))
            requests.append((SLACK_PATH, *slack_request(dice, kind, wrong)))
        else:
            wrong = mutated(dice, fresh_telegram(dice, made, dice.choice(payloads), number))
            requests.append((TELEGRAM_PATH, encoded(dice, wrong), JSON_TYPE | {SECRET_HEADER: SECRET}))
    for at in range(0, count, 5 * AT_ONCE):
        part = requests[at : at + 5 * AT_ONCE]
        if platform == "slack":  # a signature is good for five minutes
            part = [(path, body, headers | signed(body)) for path, body, headers in part]
        statuses.update(await asyncio.gather(*(made.post(*each) for each in part)))
        await made.doors.until_few(EMPTY, FEW)
    emptied = await made.doors.until_few(EMPTY)
    counts = await made.doors.delivery.counts()
    reached = sum(made.doors.handled.values()) - before
    return {
        "check": f"8: {platform}, mutated payloads rightly signed",
        "sent": count,
        "200": statuses[200],
        "400": statuses[400],
        "other 4xx": sum(n for status, n in statuses.items() if 400 < status < 500),
        "5xx": sum(n for status, n in statuses.items() if status >= 500),
        "broken connections": statuses[0],
        "reached the core": reached,
        "share": reached / count,
        "dead letters": counts.get("dead", 0) - dead,
        "crashes": made.doors.ended + len(made.failures),
        "stuck": 0 if emptied else await made.doors.open_events(),
        "seconds": time.perf_counter() - began,
    }


async def poison(made: Town, platform: str) -> dict[str, Cell]:
    """99 messages of a conversation and between them one that cannot be read: 99 answers, one dead letter."""
    dead = (await made.doors.delivery.counts()).get("dead", 0)
    ann, bob = made.anns[5], made.bobs[5]
    for number in range(100):
        if number == 50 and platform == "telegram":
            chat = {"id": ann.id, "type": "private", "first_name": "Ann"}
            wrong = {"message_id": 999_999, "date": 1, "chat": chat, "from": ann.user.json(), "text": 5}
            made.telegram.inject({"message": wrong})
        elif number == 50:
            event = {"type": "message", "channel": bob.dm, "user": bob.id, "ts": 5, "text": "poison"}
            outer = {"type": "event_callback", "team_id": made.slack.team_id, "event_id": "EvPoison", "event": event}
            made.slack.inject({"type": "events_api", "payload": outer})
        elif platform == "telegram":
            ann.writes(f"poison test {number}")
        else:
            bob.writes(f"poison test {number}")
    finals = 0
    ends = time.monotonic() + EMPTY
    while finals < 99 and time.monotonic() < ends:
        await asyncio.sleep(0.1)
        seen = made.telegram.seen(ann) if platform == "telegram" else made.slack.seen(bob.dm)
        finals = sum(each.author == "bot" and "poison test" in each.text for each in seen)
    await made.doors.until_few(EMPTY)
    counts = await made.doors.delivery.counts()
    return {
        "check": f"9: {platform}, one poisoned event in 100",
        "sent": 100,
        "answered": finals,
        "dead letters": counts.get("dead", 0) - dead,
        "stuck": await made.doors.open_events(),
    }


async def strangers(made: Town, platform: str) -> dict[str, Cell]:
    """6: nobody who does not hold the secret gets in, and nothing of theirs makes it fail."""
    now, before = int(time.time()), sum(made.doors.handled.values())
    statuses: Counter[int] = Counter()
    if platform == "slack":
        event = {"type": "message", "channel": made.bobs[1].dm, "user": "U1", "ts": "1.000001", "text": "let me in"}
        outer = {"type": "event_callback", "team_id": made.slack.team_id, "event_id": "EvStranger", "event": event}
        body = json.dumps(outer).encode()
        right = signed(body)
        stamp, signature = "X-Slack-Request-Timestamp", "X-Slack-Signature"
        stale = [str(now + off) for off in (-86_400, -3_600, -310, 310, 3_600, 86_400)]
        odd = ["", "x", "-5", "1e9", f"{now}.0", "9" * 50, "१२३", "١٢٣", "²", f" {now} x", "\u200b", "0x10", "nan"]
        tries: list[dict[str, str]] = [signed(body, each) for each in stale]
        tries += [_signed_any(body, each) for each in odd]
        tries += [right | {signature: each} for each in ("", "v0=", "v0=" + "0" * 64, "é" * 64, "v0=" + "f" * 7_000)]
        tries += [signed(body, secret="wrong"), {}, {stamp: str(now)}, {signature: right[signature]}]
        tries += [right | {signature: right[signature].upper()}, right | {signature: right[signature][:-1]}]
        requests = [(SLACK_PATH, body, each | JSON_TYPE) for each in tries]
        requests += [(SLACK_PATH, body + b" ", right | JSON_TYPE), (SLACK_PATH, b"", right | JSON_TYPE)]
    else:
        body = json.dumps({"update_id": 1}).encode()
        secrets = ["", "x", SECRET[:-1], SECRET + "x", SECRET.upper(), "sécrèt", "\u200b", "x" * 7_000, "é" * 64]
        given: list[dict[str, str]] = [{SECRET_HEADER: each} for each in secrets]
        requests = [(TELEGRAM_PATH, body, each | JSON_TYPE) for each in [*given, {}]]
    for each in requests:
        statuses[await made.post(*each)] += 1
    return {
        "check": f"6: {platform}, wrong or stale signatures",
        "sent": len(requests),
        "401 or 403": statuses[401] + statuses[403],
        "5xx": sum(n for status, n in statuses.items() if status >= 500),
        "reached the core": sum(made.doors.handled.values()) - before,
        "crashes": made.doors.ended + len(made.failures),
    }


def _signed_any(body: bytes, stamp: str) -> dict[str, str]:
    """Signed with the right secret over a timestamp that is none."""
    digest = hmac.new(SlackEmulator.signing_secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256)
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest.hexdigest()}"}


async def replays(made: Town, platform: str, times: int = 20) -> dict[str, Cell]:
    """7: a signed request sent again is taken, and nobody hears of it."""
    if platform == "slack":
        bob = made.bobs[2]
        event = {"type": "message", "channel_type": "im", "channel": bob.dm, "user": bob.id, "text": "once?"}
        outer = {"type": "event_callback", "team_id": made.slack.team_id, "event_id": "EvReplay"}
        body = json.dumps({**outer, "event": {**event, "ts": "1790000000.000001"}}).encode()
        request = (SLACK_PATH, body, signed(body) | JSON_TYPE)
    else:
        ann = made.anns[2]
        chat = {"id": ann.id, "type": "private", "first_name": "Ann"}
        message = {"message_id": 888_888, "date": 1_790_000_000, "chat": chat, "from": ann.user.json(), "text": "once?"}
        body = json.dumps({"update_id": 900_000_001, "message": message}).encode()
        request = (TELEGRAM_PATH, body, JSON_TYPE | {SECRET_HEADER: SECRET})
    first = await made.post(*request)
    await made.doors.until_few(30)
    seen = made.posts()
    statuses = Counter(await asyncio.gather(*(made.post(*request) for _ in range(times))))
    await made.doors.until_few(30)
    await asyncio.sleep(0.2)
    return {
        "check": f"7: {platform}, a signed request again",
        "sent": times,
        "200": statuses[200] if first == 200 else 0,
        "5xx": sum(n for status, n in statuses.items() if status >= 500),
        "extra replies": made.posts() - seen,
    }


async def everything(count: int) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = []
    for platform in ("slack", "telegram"):
        async with town() as made:
            rows += [await strangers(made, platform), await replays(made, platform), await poison(made, platform)]
            rows.append(await storm(made, platform, count))
    return rows


def run(quick: bool) -> Report:
    """quick: 300 mutations a connector instead of 10,000."""
    from tests.battery.giants import giants

    rows = asyncio.run(everything(300 if quick else 10_000))
    rows += giants()
    columns = dict.fromkeys(key for row in rows for key in row)
    return Report(
        "fuzz",
        "Does anything that reaches the doors from outside break, block or get past them?",
        [{column: row.get(column, "") for column in columns} for row in rows],
        (
            "Server, queue and desk run as in `atelier serve`, over a real SQLite store and a stub generator.",
            "The emulated platforms' paces are taken away: with them 10,000 answers take most of an hour.",
            "Reached the core: an event was read and the desk handled it.",
        ),
    )
