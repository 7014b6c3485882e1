"""Blocks that tests send with the unmodified slack_sdk, and what it says of a refusal."""

import pytest
from slack_sdk.errors import SlackApiError

from tests.emulators.slack_blocks import JSON

FEEDBACK = {
    "type": "context_actions",
    "elements": [
        {
            "type": "feedback_buttons",
            "action_id": "rate",
            "positive_button": {"text": {"type": "plain_text", "text": "👍"}, "value": "good"},
            "negative_button": {"text": {"type": "plain_text", "text": "👎"}, "value": "bad"},
        }
    ],
}
SOURCES = {"type": "context", "elements": [{"type": "mrkdwn", "text": "[1] handbook.md"}]}


def button(label: str, action_id: str, **more: str) -> JSON:
    text = {"type": "plain_text", "text": label}
    return {"type": "actions", "elements": [{"type": "button", "text": text, "action_id": action_id} | more]}


def section(text: str) -> JSON:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def refusal(error: pytest.ExceptionInfo[SlackApiError]) -> str:
    return str(error.value.response["error"])
