"""The Home tab: what Atelier is, how to use it, what it keeps (https://docs.slack.dev/surfaces/app-home)."""

from typing import Any

from connectors.desk.texts import say


def view(language: str = "") -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    for part in ("about", "use", "privacy"):
        title, text = say(language, f"home_{part}_title"), say(language, f"home_{part}")
        blocks.append({"type": "header", "text": {"type": "plain_text", "text": title}})
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text}})
    return {"type": "home", "blocks": blocks}
