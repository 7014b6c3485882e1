"""An act as it is kept: who did it and when, and its way into the store and back."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.ideation.acts import Act, Ballot, Criterion, Kind, Phase, RemarkKind, Rules
from agent.message import Place

_ACTS: dict[str, type[Act]] = {each.__name__: each for each in Act.__args__}


@dataclass(frozen=True, slots=True)
class Event:
    """An act as it is kept. number: from 1 within its session. person: who; empty for the machine or a timer.

    key: what makes the same chat event, coming again, the same act. subject: the person it is about, if any.
    """

    number: int
    key: str
    person: str
    subject: str
    at: datetime
    act: Act


def name_of(act: Act) -> str:
    return type(act).__name__


def to_json(act: Act) -> dict[str, object]:
    """The act's fields, for JSON."""
    return {each.name: _plain(getattr(act, each.name)) for each in dataclasses.fields(act)}


def from_json(name: str, body: dict[str, Any]) -> Act | None:
    """The act that `to_json` wrote; None for a kind that this version does not know. Unknown fields are left out."""
    kind = _ACTS.get(name)
    if kind is None:
        return None
    known = {each.name for each in dataclasses.fields(kind)}
    return kind(**{field: _read(field, value) for field, value in body.items() if field in known})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value


def _read(field: str, value: Any) -> Any:
    if value is None:
        return None
    match field:
        case "place" if isinstance(value, dict):
            return Place(**value)
        case "ends":
            return datetime.fromisoformat(value)
        case "phase":
            return Phase(value)
        case "kind":
            return Kind(value) if value in set(Kind) else RemarkKind(value)
        case "ballot":
            return Ballot(value)
        case "criteria":
            return _criteria(value)
        case "rules":
            return _rules(value)
    return tuple(value) if isinstance(value, list) else value


def _rules(value: dict[str, Any]) -> Rules:
    known = {each.name for each in dataclasses.fields(Rules)}
    read: dict[str, Any] = {name: each for name, each in value.items() if name in known}
    if "minutes" in read:
        read["minutes"] = tuple((Phase(phase), minutes) for phase, minutes in read["minutes"])
    if "phases" in read:
        read["phases"] = tuple(map(Phase, read["phases"]))
    if "ballot" in read:
        read["ballot"] = Ballot(read["ballot"])
    if "criteria" in read:
        read["criteria"] = _criteria(read["criteria"])
    return Rules(**read)


def _criteria(value: list[dict[str, Any]]) -> tuple[Criterion, ...]:
    return tuple(Criterion(**each) for each in value)
