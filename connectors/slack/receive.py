"""A payload as it arrived to what is committed of it: whose it is, its key, its conversation."""

import hashlib
import json
from typing import Any

from agent.events import Arrived, Command, Edited, Event, Left, Opened, Post, Press, Reaction
from connectors.connector import Received
from connectors.slack import events
from connectors.slack.workspaces import Workspace

# What no event needs: secrets, and copies of the text in other shapes.
DROPPED = frozenset(
    {
        "token",
        "response_url",
        "response_urls",
        "event_context",
        "blocks",
        "attachments",
        "authorizations",
        "client_msg_id",
    }
)


def workspace_of(body: dict[str, Any]) -> str:
    """The id of the installation a payload belongs to: an organisation's where it was installed for all of it.

    Raises ValueError where it names none.
    """
    source = body
    if isinstance(body.get("authorizations"), list) and body["authorizations"]:
        source = body["authorizations"][0]  # in shared channels only this one is certainly ours
    enterprise = source.get("enterprise_id") or (source.get("enterprise") or {}).get("id")
    if source.get("is_enterprise_install") in {True, "true"} and enterprise:
        return events.identity(enterprise)
    team = source.get("team")
    return events.identity(source.get("team_id") or (team.get("id") if isinstance(team, dict) else team))


def received(body: dict[str, Any], workspace: Workspace, *, is_shared: bool = False) -> Received | None:
    """What to commit; None where the payload says nothing to us. A broken one is kept too: somebody should know.

    is_shared: people of other companies read along, where the payload does not say so itself.
    """
    payload = json.dumps({"bot": _bot(workspace) | {"is_shared": is_shared}, "body": _lean(body)})
    try:
        event = events.read(payload)
    except ValueError:
        key = "broken:" + hashlib.sha256(payload.encode()).hexdigest()
        return Received(workspace.tenant, key, f"slack/{workspace.tenant}/{key}", payload)
    if event is None:
        return None
    by = event.account if isinstance(event, Post | Press | Reaction | Edited | Opened) else ""
    return Received(workspace.tenant, _key(event), _conversation(event, workspace.tenant), payload, by=by)


def _bot(workspace: Workspace) -> dict[str, object]:
    return {"user": workspace.bot, "team": workspace.id, "tenant": workspace.tenant}


def _key(event: Event) -> str:
    """One mention arrives as two events with two ids, but it is one message in one channel."""
    if isinstance(event, Post):
        return f"message:{event.place.channel}:{event.id}"
    return f"{'action' if isinstance(event, Press | Command) else 'event'}:{event.id}"


def _conversation(event: Event, tenant: str) -> str:
    """Presses and looks wait for nobody; a reaction waits only for others on the same message."""
    if isinstance(event, Left | Arrived):
        return f"change:{event.place.key}{event.id}"  # what waits for a channel that was left would only be refused
    if isinstance(event, Press):
        return f"press:slack/{tenant}/{event.id}"
    if isinstance(event, Opened):
        return f"opened:slack/{tenant}/{event.account}"
    if isinstance(event, Reaction):
        return f"reaction:{event.place.key}/{event.message}"
    if isinstance(event, Command) and event.name == "stop":
        return f"stop:slack/{tenant}/{event.id}"  # behind the answer it would come too late
    return event.place.key


def _lean(value: Any) -> Any:
    if isinstance(value, dict):
        lean = {key: _lean(each) for key, each in value.items() if key not in DROPPED}
        if value.get("type") == "block_actions" and isinstance(lean.get("message"), dict):
            lean["message"] = {key: lean["message"].get(key) for key in ("ts", "thread_ts")}  # our own words
        return lean
    return [_lean(each) for each in value] if isinstance(value, list) else value
