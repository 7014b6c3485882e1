"""The form that a button opens: one question in a modal (https://docs.slack.dev/surfaces/modals)."""

import json
from typing import Any

from connectors.desk.texts import say

CALLBACK = "atelier_form"
FIELD = "answer"  # of the block and of the input in it
ANSWER = 3_000  # characters a person may write: what an input takes


def asked(body: dict[str, Any]) -> dict[str, str] | None:
    """The `id` and `form` of the button whose press this payload tells of, if it asks for a text first."""
    if body.get("type") != "block_actions" or not body.get("trigger_id"):
        return None
    value = pressed(body["actions"][0])
    return value if value["form"] else None


def pressed(action: dict[str, Any]) -> dict[str, str]:
    """The `id` of the button behind an action, and its `form`, empty where it has none."""
    value = action.get("value") or action["action_id"]
    if not isinstance(value, str):
        raise TypeError("A button's value is text.")
    if value.startswith("{"):
        packed = json.loads(value)
        return {"id": str(packed["id"]), "form": str(packed["form"])}
    return {"id": value, "form": ""}


def view(body: dict[str, Any], button: dict[str, str], language: str = "") -> dict[str, Any]:
    """The modal for a pressed button; where it was pressed comes back with the submission."""
    container = body.get("container") or {}
    message = body.get("message") or {}
    where = {
        "id": button["id"],
        "channel": (body.get("channel") or {}).get("id") or container.get("channel_id") or "",
        "thread": message.get("thread_ts") or container.get("thread_ts") or "",
        "message": container.get("message_ts") or message.get("ts") or "",
    }
    element = {"type": "plain_text_input", "action_id": FIELD, "multiline": True, "max_length": ANSWER}
    question = {
        "type": "input",
        "block_id": FIELD,
        "label": {"type": "plain_text", "text": button["form"][:2_000]},
        "element": element,
    }
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": json.dumps(where),
        "title": {"type": "plain_text", "text": "Atelier"},
        "submit": {"type": "plain_text", "text": say(language, "send")},
        "close": {"type": "plain_text", "text": say(language, "cancel")},
        "blocks": [question],
    }
