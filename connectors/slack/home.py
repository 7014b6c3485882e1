"""The Home tab: what Atelier is, how to use it, what it keeps (https://docs.slack.dev/surfaces/app-home)."""

from typing import Any

_ABOUT = (
    "A creative colleague for your team. It answers questions from your team's own documents, with numbered sources, "
    "and says so when something is not in there. And it helps you think: questions and techniques first, your ideas "
    "before any of its own."
)
_USE = (
    "• *Write to it* in the Messages tab: ask a question, or tell it what you want ideas for.\n"
    "• *Mention it* in a channel it was invited to. It answers in a thread and goes on listening there.\n"
    "• */atelier help* lists what else it can do.\n"
    "• *Rate its answers* with the thumbs below them: that is how it gets better."
)
_PRIVACY = (
    "Atelier runs in your own team's process. It shows you only what you and everyone else in the conversation may "
    "read. */atelier forget* deletes what it keeps about you, and */atelier consent* says whether it may learn from it."
)


def view() -> dict[str, Any]:
    blocks: list[dict[str, Any]] = []
    for title, text in (("What Atelier is", _ABOUT), ("How to use it", _USE), ("Privacy", _PRIVACY)):
        blocks.append({"type": "header", "text": {"type": "plain_text", "text": title}})
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text}})
    return {"type": "home", "blocks": blocks}
