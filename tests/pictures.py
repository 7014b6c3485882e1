"""The pictures in the README, drawn from what the made-up Slack and Telegram show: `python -m tests.pictures`.

A real `atelier serve` answers over the handbook of the benchmarks; people write to it as in the tests. What they see is
laid out as a page, and Chromium (`chromium` on the PATH) makes a PNG of it.
"""

import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from tests.emulators import slack, telegram
from tests.emulators.slack_world import Seen as SlackSeen
from tests.emulators.telegram_values import Seen as TelegramSeen

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "pictures"
HANDBOOK = ROOT / "tests" / "benchmarks" / "handbook"
PATIENCE = 90.0  # seconds for one answer; the first waits for the encoder
COLOURS = {"Atelier": "#3b2f63", "Mia": "#c2592b", "Bob": "#2a7d6b"}
TAGS = {"bold": "b", "italic": "i", "code": "code", "pre": "pre", "text_link": "u", "strikethrough": "s"}


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message. body, footer: HTML. buttons: labels."""

    author: str
    body: str
    footer: str = ""
    buttons: Sequence[str] = ()


@contextmanager
def serving(**settings: str) -> Iterator[None]:
    """`atelier serve` over the handbook, in a home folder that goes away."""
    atelier = str(Path(sys.executable).with_name("atelier"))
    with tempfile.TemporaryDirectory() as home:
        own = {f"ATELIER_{name.upper()}": value for name, value in settings.items()}
        kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        environment = {**kept, "ATELIER_HOME": home, "ATELIER_LISTEN": "127.0.0.1:0", "HF_HUB_OFFLINE": "1", **own}
        subprocess.run([atelier, "ingest", str(HANDBOOK)], env=environment, cwd=home, check=True, capture_output=True)
        process = subprocess.Popen([atelier, "serve"], env=environment, cwd=home, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def slack_chat() -> list[Bubble]:
    """A question in a channel, a follow-up without a mention, and one that the handbook does not answer."""
    with slack.SlackEmulator.threaded() as team:
        mia, bob = team.person("U1", "Mia"), team.person("U2", "Bob")
        team.channel("C1", "people", members=[mia, bob])
        names = {mia.id: "Mia", bob.id: "Bob", "bot": "Atelier"}
        with serving(slack_bot_token=team.bot_token, slack_app_token=team.app_token, slack_api=team.api_url):
            root = mia.writes(f"<@{team.bot_user}> how many days of annual leave do I have?", "C1")
            _answered(team.wait_until, lambda: _slack_answers(team.seen("C1", root)), 1)
            bob.writes("and can unused days be carried over?", "C1", root)
            _answered(team.wait_until, lambda: _slack_answers(team.seen("C1", root)), 2)
            mia.writes("do we have a gym?", "C1", root)
            _answered(team.wait_until, lambda: _slack_answers(team.seen("C1", root)), 3)
            return [_slack_bubble(each, names) for each in team.seen("C1", root)]


def telegram_chat() -> list[Bubble]:
    """A question, and thinking along."""
    with telegram.TelegramEmulator.threaded() as bot:
        bob = bot.person("Bob", language="en")
        with serving(telegram_token=bot.token, telegram_api=bot.base_url.removesuffix("/bot")):
            bob.writes("can I bring my puppy to work?")
            _answered(bot.wait_until, lambda: _telegram_answers(bot.seen(bob)), 2)  # and the question about consent
            bob.presses(bot.seen(bob)[-1], "Yes")
            _answered(bot.wait_until, lambda: _telegram_answers(bot.seen(bob)), 3)
            bob.writes("brainstorm ways to welcome new colleagues")
            _answered(bot.wait_until, lambda: _telegram_answers(bot.seen(bob)), 4)
            return [_telegram_bubble(each) for each in bot.seen(bob)]


def _answered(wait: Callable[[Callable[[], object], float], object], count: Callable[[], int], number: int) -> None:
    wait(lambda: count() >= number, PATIENCE)


def _slack_answers(seen: Sequence[SlackSeen]) -> int:
    return sum(each.author == "bot" and bool(each.buttons) and "Stop" not in each.buttons for each in seen)


def _telegram_answers(seen: Sequence[TelegramSeen]) -> int:
    return sum(each.author == "bot" and each.text != "…" and ("Stop",) not in each.buttons for each in seen)


def _slack_bubble(seen: SlackSeen, names: dict[str, str]) -> Bubble:
    context = [
        " ".join(part["text"] for part in block["elements"]) for block in seen.blocks if block["type"] == "context"
    ]
    text = seen.text
    for line in reversed(context):
        text = text.removesuffix(line).rstrip("\n")
    body = MarkdownIt().render(text)
    body = re.sub(r"&lt;@\w+&gt;", '<span class="mention">@Atelier</span>', body)
    footer = "<br>".join(html.escape(line) for line in context)
    return Bubble(names[seen.author], body, footer, seen.buttons)


def _telegram_bubble(seen: TelegramSeen) -> Bubble:
    units = seen.text.encode("utf-16-le")  # entities count in these
    marks: list[tuple[int, int, str]] = []
    for each in seen.entities:
        if each.type in TAGS:
            marks.append((each.offset, 1, f"<{TAGS[each.type]}>"))
            marks.append((each.offset + each.length, 0, f"</{TAGS[each.type]}>"))
    body, at = "", 0
    for place, _, mark in sorted(marks, key=lambda found: found[:2]):
        body += html.escape(units[2 * at : 2 * place].decode("utf-16-le")) + mark
        at = place
    body += html.escape(units[2 * at :].decode("utf-16-le"))
    author = "Atelier" if seen.author == "bot" else seen.author
    return Bubble(author, body, "", tuple(label for row in seen.buttons for label in row))


SLACK_STYLE = """
body { width: 760px; background: #fff; color: #1d1c1d; font-size: 15px; line-height: 1.46 }
header { border-bottom: 1px solid #e3e1e4; padding: 14px 22px; font-weight: 700; font-size: 17px }
header small { color: #7a777c; font-weight: 400; margin-left: 10px }
.line { display: flex; gap: 12px; padding: 9px 22px }
.face { width: 38px; height: 38px; border-radius: 8px; color: #fff; flex: none; font-weight: 700; display: flex;
  align-items: center; justify-content: center; font-size: 17px }
.name { font-weight: 700 } .app { background: #e8e6ea; color: #6b686d; border-radius: 3px; font-size: 10px;
  padding: 1px 4px; margin-left: 6px; vertical-align: 2px }
p { margin: 1px 0 6px } ul { margin: 2px 0 6px; padding-left: 22px }
blockquote { margin: 2px 0 6px; padding-left: 12px; border-left: 4px solid #dddbde }
.mention { background: #fdf2cf; color: #1264a3; border-radius: 3px; padding: 0 3px }
.footer { color: #6b686d; font-size: 12.5px; margin: 2px 0 6px }
.button { display: inline-block; border: 1px solid #c9c6cb; border-radius: 6px; padding: 2px 10px;
  margin: 2px 6px 2px 0 }
main { padding: 8px 0 14px }
"""
TELEGRAM_STYLE = """
body { width: 440px; background: #dfe7ee; color: #111; font-size: 15px; line-height: 1.4 }
header { background: #fff; padding: 12px 18px; font-weight: 700; font-size: 16px; display: flex; gap: 12px;
  align-items: center }
header small { color: #80868c; font-weight: 400; display: block; font-size: 12.5px }
.face { width: 38px; height: 38px; border-radius: 50%; color: #fff; display: flex; align-items: center;
  justify-content: center; font-size: 17px }
main { padding: 12px 12px 16px }
.line { display: flex; flex-direction: column; align-items: flex-start; margin: 5px 0 }
.line.own { align-items: flex-end }
.body { background: #fff; border-radius: 14px 14px 14px 4px; padding: 8px 12px; max-width: 350px; white-space: pre-wrap;
  overflow-wrap: anywhere; box-shadow: 0 1px 1px #0001 }
.own .body { background: #e3fbd0; border-radius: 14px 14px 4px 14px }
.keys { display: flex; gap: 5px; width: 350px; margin-top: 4px }
.button { flex: 1; background: #7f97a9; color: #fff; text-align: center; border-radius: 8px; padding: 5px }
"""
STYLE = """
* { box-sizing: border-box } html { font-family: Inter, "Noto Color Emoji", sans-serif } body { margin: 0 }
code { background: #f2f0f3; border-radius: 4px; padding: 0 4px; font: 13px "DejaVu Sans Mono", monospace }
"""


def slack_page(chat: Sequence[Bubble]) -> str:
    lines = []
    for each in chat:
        app = '<span class="app">APP</span>' if each.author == "Atelier" else ""
        footer = f'<div class="footer">{each.footer}</div>' if each.footer else ""
        lines.append(
            f'<div class="line">{_face(each.author)}<div><span class="name">{each.author}</span>{app}'
            f"{each.body}{footer}{_buttons(each)}</div></div>"
        )
    return _page(SLACK_STYLE, "<header># people<small>Thread</small></header>", lines)


def telegram_page(chat: Sequence[Bubble]) -> str:
    lines = []
    for each in chat:
        own = "" if each.author == "Atelier" else " own"
        keys = f'<div class="keys">{_buttons(each)}</div>' if each.buttons else ""
        lines.append(f'<div class="line{own}"><div class="body">{each.body}</div>{keys}</div>')
    return _page(TELEGRAM_STYLE, f"<header>{_face('Atelier')}<div>Atelier<small>bot</small></div></header>", lines)


def _face(name: str) -> str:
    return f'<div class="face" style="background:{COLOURS[name]}">{name[0]}</div>'


def _buttons(bubble: Bubble) -> str:
    return "".join(f'<span class="button">{html.escape(label)}</span>' for label in bubble.buttons)


def _page(style: str, header: str, lines: Sequence[str]) -> str:
    tell = "document.body.dataset.size = document.body.scrollWidth + 'x' + document.body.scrollHeight"
    head = f'<!doctype html><meta charset="utf-8"><style>{STYLE}{style}</style>'
    return f"{head}<body>{header}<main>{''.join(lines)}</main><script>{tell}</script></body>"


def draw(page: str, to: Path) -> None:
    """Make a PNG of a page, as large as its content, at two pixels a point."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("The pictures need Chromium: install the package `chromium`.")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "page.html"
        source.write_text(page, "utf-8")
        base = [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}",
        ]
        dom = subprocess.run([*base, "--dump-dom", source.as_uri()], check=True, capture_output=True, text=True).stdout
        size = re.search(r'data-size="(\d+)x(\d+)"', dom)
        assert size is not None, "the page tells its size"
        shot = [f"--screenshot={to}", f"--window-size={size[1]},{size[2]}", "--force-device-scale-factor=2"]
        subprocess.run([*base, *shot, source.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    draw(slack_page(slack_chat()), FOLDER / "slack.png")
    draw(telegram_page(telegram_chat()), FOLDER / "telegram.png")
