"""Text between Slack's markup and Markdown: what people wrote becomes plain, what Atelier says calls nobody.

Markup: https://docs.slack.dev/messaging/formatting-message-text
"""

import re

BREAK = "\u200b"  # a zero-width space: what is broken by it still reads the same

_TAG = re.compile(r"<([^<>\n]{1,4000})>")
_MARKUP = re.compile(r"<(?=\\?[@#!])")
_CALL = re.compile(r"@(?=(?:channel|here|everyone)\b)", re.IGNORECASE)
_ALL_CALLS = re.compile(r"<!(channel|here|everyone)(?:\|[^<>\n]*)?>", re.IGNORECASE)
_USER = re.compile(r"<@([A-Z0-9]+)(?:\|([^<>\n]+))?>")
_CHANNEL = re.compile(r"<#([A-Z0-9]+)(?:\|([^<>\n]+))?>")


def plain(text: str, bot: str = "") -> str:
    """What a person wrote: links written out, marks undone, without mentions of the user id `bot`.

    Mentions of others stay as they are, `<@U2>`: their names are not known here.
    """
    if bot:
        text = re.sub(rf"[ \t]*<@{re.escape(bot)}(?:\|[^<>]*)?>[ \t]*", " ", text)
    text = _TAG.sub(_written_out, text)
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    # No database takes NUL or half a surrogate pair, and JSON can carry both.
    return text.replace("\0", "").encode("utf-8", "replace").decode().strip()


def _written_out(tag: re.Match[str]) -> str:
    target, _, label = tag[1].partition("|")
    if target.startswith("@"):
        return f"<{target}>"
    if target.startswith("#"):
        return f"#{label or target[1:]}"
    if target.startswith("!"):
        if target.startswith("!subteam^"):
            return label or "@group"
        return label or "@" + target[1:].partition("^")[0]
    target = target.removeprefix("mailto:") if label else target
    bare = re.sub(r"^https?://|^tel:|/$", "", target)
    return target if label in {"", target, bare} else f"{label} ({target})"


def calm(text: str) -> str:
    """Markdown of ours in which nothing calls anybody: no mention, no @channel, no group."""
    text = _ALL_CALLS.sub(r"@\1", text)
    text = _USER.sub(lambda user: "@" + (user[2] or user[1]).lstrip("@"), text)
    text = _CHANNEL.sub(lambda channel: "#" + (channel[2] or channel[1]).lstrip("#"), text)
    # What the lines above left or made (<<!here>!here>) is broken, so that no second look is needed.
    return _CALL.sub("@" + BREAK, _MARKUP.sub("<" + BREAK, text))


def escaped(text: str, limit: int) -> str:
    """For a field that Slack reads as mrkdwn: at most `limit` characters."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text if len(text) <= limit else re.sub(r"&[a-z]*$", "", text[: limit - 1]) + "…"
