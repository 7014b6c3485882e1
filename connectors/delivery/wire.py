"""How the queue writes down what it keeps of Atelier's own: messages on their way out, and events of its own."""

import base64
import json
from dataclasses import asdict
from typing import Any

from agent.events import Button, Due, Outgoing, Picture
from agent.message import Place, Source

DUE = '{"due": '  # begins the payload of an event of Atelier's own; no connector writes such a one


def write_outgoing(outgoing: Outgoing) -> str:
    """JSON in ASCII: a NUL or half a character in a text is escaped and survives every database."""
    return json.dumps(asdict(outgoing), default=lambda content: base64.b64encode(content).decode())


def read_outgoing(text: str) -> Outgoing:
    return _outgoing(json.loads(text))


def _outgoing(fields: dict[str, Any]) -> Outgoing:
    fields["place"] = Place(**fields["place"])
    fields["sources"] = tuple(Source(**each) for each in fields["sources"])
    fields["buttons"] = tuple(Button(**each) for each in fields["buttons"])
    fields["suggestions"] = tuple(fields["suggestions"])
    fields["pictures"] = tuple(
        Picture(base64.b64decode(each["content"]), each["text"], each.get("name", ""))
        for each in fields.get("pictures", ())
    )
    if fields.get("instead"):
        fields["instead"] = _outgoing(fields["instead"])
    return Outgoing(**fields)


def write_due(due: Due) -> str:
    return json.dumps({"due": asdict(due)})


def read_due(payload: str) -> Due:
    fields: dict[str, Any] = json.loads(payload)["due"]
    return Due(**{**fields, "place": Place(**fields["place"])})
