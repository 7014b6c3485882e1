"""Battery 25: whatever a document, a message or a captured model says, no off-list link, picture or mention comes out.

The strongest attacker of all: the generator says the hostile text word for word, a hostile file's passages are shown by
`sources`, and people write it to be quoted back. What counts is what the emulated platforms show in the end.
"""

import asyncio
import re
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiolimiter import AsyncLimiter
from markdown_it import MarkdownIt

from agent.message import Prompt
from connectors.compose import House
from connectors.settings import Settings
from connectors.slack import calls
from retrieval.audience import everyone
from retrieval.document import Document, Section
from tests.battery.attacks import EVIL, SECRETS, Attack, attacks
from tests.battery.house import open_house
from tests.battery.inside import SLACK_PATH, Doors, StubGenerator, doors, settings_for
from tests.battery.process import free_port
from tests.benchmarks import Cell, Report
from tests.emulators.slack import SlackEmulator
from tests.emulators.slack_world import Seen as SlackSeen
from tests.emulators.telegram import Seen as TelegramSeen
from tests.emulators.telegram import TelegramEmulator

ALLOWED = "docs.example.com"
ANY = Attack("any", "", "")
KINDS = ("link", "image", "mention", "secret", "hidden")
# What Slack makes clickable or calls somebody with, in mrkdwn and in its Markdown.
_SLACK_CALL = re.compile(r"<(?:[!@#]|https?:|mailto:)|(?<![\w`])@(?:channel|here|everyone)\b", re.IGNORECASE)
_ADDRESS = re.compile(  # an e-mail address is not counted: people ask for those
    rf"(?:\b(?:https?|ftp|tg|slack|javascript|data):/*\S*{EVIL}|(?<![\w.@-])[\w.-]*{EVIL}\.(?:com|io|net|co|xyz)\b)",
    re.IGNORECASE,
)
_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def answer(prompt: Prompt) -> str:
    """The captured model: says what it was told to."""
    return prompt.message


def findings_telegram(seen: TelegramSeen) -> Iterator[str]:
    for entity in seen.entities:
        if entity.type in {"text_mention", "custom_emoji"} or (
            entity.type in {"text_link", "url"} and not _is_allowed(entity.url or entity.text)
        ):
            yield f"{entity.type}: {entity.url or entity.text}"
    if seen.preview:
        yield "preview"
    yield from _hidden(seen.text)


def findings_slack(seen: SlackSeen) -> Iterator[str]:
    for block in seen.blocks:
        if block["type"] in {"image", "video"} or "accessory" in block:
            yield f"block {block['type']}"
        if block["type"] == "markdown":
            yield from _in_markdown(block["text"])
        elif block["type"] == "section" and block["text"]["type"] == "mrkdwn":
            yield from _in_mrkdwn(block["text"]["text"])
    yield from _hidden(seen.text)


def _is_allowed(address: str) -> bool:
    """Whether a client would go to the allowed host and nowhere else."""
    address = address if "://" in address else f"https://{address}"
    found = re.match(r"https?://([^/?#\\]*)", address, re.IGNORECASE)
    host = found[1].rpartition("@")[2].partition(":")[0] if found else ""
    return host.lower().rstrip(")]>.,*_~|") == ALLOWED


def findings_fallback(text: str) -> Iterator[str]:
    """In `text`, which notifications show and which is mrkdwn."""
    yield from _in_mrkdwn(text)


def _in_mrkdwn(text: str) -> Iterator[str]:
    found = _SLACK_CALL.search(text)
    if found:
        yield f"control: {text[found.start() : found.start() + 40]!r}"


def _in_markdown(text: str) -> Iterator[str]:
    """As CommonMark reads it, and as Slack does besides: its own control sequences and bare addresses."""
    yield from _in_mrkdwn(text)
    for token in _MARKDOWN.parse(text):
        for child in token.children or []:
            href = str(child.attrs.get("href") or child.attrs.get("src") or "")
            if href and "%5B.%5D" not in href and not _is_allowed(href):  # host[.]com leads nowhere
                yield f"{child.type}: {href}"
            if child.type == "text" and (found := _ADDRESS.search(child.content)):
                yield f"bare address: {found[0]}"


def _hidden(text: str) -> Iterator[str]:
    """What is there and cannot be seen, and what looks like a key."""
    for character in set(text):
        code = ord(character)
        if 0xE0000 <= code <= 0xE007F or (unicodedata.category(character) == "Cc" and character not in "\n\t"):
            yield f"hidden U+{code:04X}"
        if character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f":
            yield f"direction U+{code:04X}"
    bare = re.sub(r"\s", "", text)
    for secret in SECRETS:
        if re.sub(r"\s", "", secret) in bare:
            yield f"secret {secret[:6]}"


def _kind(finding: str) -> str:
    """Of KINDS, by what a finding begins with."""
    start = finding.partition(":")[0].split()[0]
    kinds = {"control": "mention", "text_mention": "mention", "image": "image", "block": "image", "secret": "secret"}
    return kinds.get(start, "hidden" if start in {"hidden", "direction"} else "link")


class Stage:
    """Both platforms with one person each a chat, over a house whose model is captured."""

    def __init__(self, telegram: TelegramEmulator, slack: SlackEmulator, opened: Doors) -> None:
        self.telegram, self.slack, self.doors = telegram, slack, opened
        self.found: Counter[tuple[str, str, str]] = Counter()  # path, platform, kind
        self.examples: dict[tuple[str, str, str], str] = {}
        self.tried: Counter[tuple[str, str]] = Counter()  # path, platform

    async def quiet(self) -> None:
        await asyncio.sleep(0.05)
        assert await self.doors.until_few(120)

    def judge_telegram(self, path: str, attack: Attack, seen: list[TelegramSeen]) -> None:
        for each in seen:
            self._note(path, "telegram", attack, findings_telegram(each))

    def judge_slack(self, path: str, attack: Attack, seen: list[SlackSeen]) -> None:
        for each in seen:
            self._note(path, "slack", attack, findings_slack(each))

    def judge_calls(self, path: str) -> None:
        """What was ever sent, previews too: the text of each message, and that nothing unfurls."""
        for call in self.slack.calls():
            given = call.params
            if call.method in {"chat.postMessage", "chat.update", "chat.postEphemeral"}:
                self._note(path, "slack", ANY, findings_fallback(str(given.get("text") or "")))
            if call.method == "chat.postMessage" and (given.get("unfurl_links") or given.get("unfurl_media")):
                self._note(path, "slack", ANY, iter(["unfurl"]))

    def _note(self, path: str, platform: str, attack: Attack, found: Iterator[str]) -> None:
        for each in found:
            self.found[path, platform, _kind(each)] += 1
            self.examples.setdefault((path, platform, _kind(each)), f"{attack.disguise}: {each[:100]}")


async def captured_model(stage: Stage, chosen: list[Attack]) -> None:
    """The answer is the attack."""
    path = "the model says it"
    chats = [(stage.telegram.person(f"Ann {n}"), stage.slack.person(f"U{n}", f"Bob {n}")) for n in range(20)]
    for at in range(0, len(chosen), 20):
        part = chosen[at : at + 20]
        seen = [(len(stage.telegram.seen(ann)), len(stage.slack.seen(bob.dm))) for ann, bob in chats]
        for (ann, bob), attack in zip(chats, part, strict=False):
            text = attack.text.encode("utf-8", "replace").decode()
            ann.writes(text[:4000])
            bob.writes(text)
        await stage.telegram.until(lambda: stage.telegram.pending() == 0, 60)
        await stage.slack.until(lambda: all(each.done for each in stage.slack.deliveries()), 60)
        await stage.quiet()
        for (ann, bob), attack, (said, written) in zip(chats, part, seen, strict=False):
            here = [each for each in stage.telegram.seen(ann)[said:] if each.author == "bot"]
            there = [each for each in stage.slack.seen(bob.dm)[written:] if each.author == "bot"]
            stage.tried[path, "telegram"] += bool(here)
            stage.tried[path, "slack"] += bool(there)
            stage.judge_telegram(path, attack, here)
            stage.judge_slack(path, attack, there)


async def hostile_document(stage: Stage, house: House, chosen: list[Attack]) -> None:
    """The attack is a passage, whose heading and file name are attacks too; it is cited, then shown by `sources`."""
    path = "a document's passage, by its source line and by sources"
    ann, bob = stage.telegram.person("Dora"), stage.slack.person("U900", "Dan")
    for number, attack in enumerate(chosen):
        text = attack.text.encode("utf-8", "replace").decode()[:3_000]
        document = Document("Title", (Section(f"zebra {text} zebra", (text[:200].replace("\n", " "),)),))
        source = f"doc-{number} {text[:80]}".replace("\n", " ").replace("\0", " ")
        house.knowledge.add(source, document, content_hash=f"{number:064x}", audience=everyone("acme"))
        said, written = len(stage.telegram.seen(ann)), len(stage.slack.seen(bob.dm))
        for line in ("zebra zebra [1]", "/sources"):
            ann.writes(line)
            bob.commands("/atelier", "sources", bob.dm) if line == "/sources" else bob.writes(line)
            await stage.telegram.until(lambda: stage.telegram.pending() == 0, 60)
            await stage.slack.until(lambda: all(each.done for each in stage.slack.deliveries()), 60)
            await stage.quiet()
        here = [each for each in stage.telegram.seen(ann)[said:] if each.author == "bot"]
        there = [each for each in stage.slack.seen(bob.dm)[written:] if each.author == "bot"]
        stage.tried[path, "telegram"] += bool(here)
        stage.tried[path, "slack"] += bool(there)
        stage.judge_telegram(path, attack, here)
        stage.judge_slack(path, attack, there)
        house.store.shelf.remove_all("acme", [source])


async def quoted_back(stage: Stage, chosen: list[Attack]) -> None:
    """The attack is a command's name and argument, and a file's name: all are quoted back in Atelier's sentences."""
    path = "a command's or a file's name is quoted"
    ann, bob = stage.telegram.person("Eve"), stage.slack.person("U901", "Mallory")
    for attack in chosen:
        text = " ".join(attack.text.encode("utf-8", "replace").decode().replace("\0", "").split())[:150]
        said, written = len(stage.telegram.seen(ann)), len(stage.slack.seen(bob.dm))
        bob.commands("/atelier", text, bob.dm)
        bob.commands("/atelier", f"link {text}", bob.dm)
        ann.writes(f"/link {text}")
        bob.writes("read this", files=[(f"{text}.zip", b"PK")])
        ann.sends_file(f"{text}.zip", b"PK", "read this")
        await stage.telegram.until(lambda: stage.telegram.pending() == 0, 60)
        await stage.slack.until(lambda: all(each.done for each in stage.slack.deliveries()), 60)
        await stage.quiet()
        here = [each for each in stage.telegram.seen(ann)[said:] if each.author == "bot"]
        there = [each for each in stage.slack.seen(bob.dm)[written:] if each.author == "bot"]
        stage.tried[path, "telegram"] += bool(here)
        stage.tried[path, "slack"] += bool(there)
        stage.judge_telegram(path, attack, here)
        stage.judge_slack(path, attack, there)


async def staged(step: int) -> Stage:
    """Every `step`-th attack, along every way out."""
    chosen = list(attacks())[::step]
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        telegram = await stack.enter_async_context(TelegramEmulator())
        slack = await stack.enter_async_context(SlackEmulator())
        port = free_port()
        given = settings_for(home, port, telegram, slack, messages_per_minute=10_000, allowed_links=(ALLOWED,))
        settings = Settings(**given)
        house = open_house(settings, lambda: StubGenerator(answer))
        opened = await stack.enter_async_context(doors(settings, house))
        door: Any = opened.connectors["telegram"]
        door._pace._overall = AsyncLimiter(1e6, 1)
        door._pace._chat = lambda _: door._pace._overall
        before, calls.POST_PAUSE = calls.POST_PAUSE, 0.0
        stack.callback(setattr, calls, "POST_PAUSE", before)
        await telegram.until(lambda: telegram.calls("setWebhook"), 20)
        slack.events_url = f"http://127.0.0.1:{port}{SLACK_PATH}"
        stage = Stage(telegram, slack, opened)
        await captured_model(stage, chosen)
        stage.judge_calls("the model says it")
        await hostile_document(stage, house, chosen[::4])
        await quoted_back(stage, chosen[::4])
    return stage


def run(quick: bool) -> Report:
    """quick: every tenth attack."""
    stage = asyncio.run(staged(10 if quick else 1))
    rows: list[dict[str, Cell]] = []
    for (path, platform), tried in sorted(stage.tried.items()):
        out = {kind: n for (way, where, kind), n in stage.found.items() if (way, where) == (path, platform)}
        row: dict[str, Cell] = {"way": path, "platform": platform, "attempts shown": tried}
        rows.append(row | {kind: out.get(kind, 0) for kind in KINDS})
    return Report(
        "injection",
        "What of a hostile document, message or model gets before people as a link, a picture, a mention or a secret?",
        rows,
        (
            f"{sum(1 for _ in attacks())} attacks: templates times disguises, every fourth along the slower ways.",
            "Counted: findings in what the emulated platforms show, by what they are. A bare e-mail address is none.",
        ),
    )
