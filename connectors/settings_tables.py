"""Tables among the settings, part by part: what TOML or the environment gives, checked, or what is wrong with it.

Each raises ValueError, also for a wrong type: pydantic collects no other.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def table(value: object, what: str, keys: Sequence[str], example: str = "") -> Mapping[str, Any]:
    """A table that holds none but these keys; `example` is its JSON, where the environment may give that."""
    if isinstance(value, str) and example:
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(f"It is no JSON. Write it like {example}.") from None
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} is a table.")  # noqa: TRY004 - see above
    if unknown := [key for key in value if key not in keys]:
        raise ValueError(f"There is no {unknown[0]!r} in {what}; there are {', '.join(keys)}.")
    return value


def text(given: Mapping[str, Any], name: str, default: str = "") -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise ValueError(f"`{name}` is a text.")  # noqa: TRY004 - see above
    return value.strip()


def texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = given.get(name, ())
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"`{name}` is a list of texts.")
    return tuple(each.strip() for each in value if each.strip())


def flag(given: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` is true or false.")  # noqa: TRY004 - see above
    return value


def whole(given: Mapping[str, Any], name: str, default: int, most: int, unit: str = "") -> int:
    """unit: what is counted, as `minutes`."""
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"`{name}` is a whole number {f'of {unit} ' if unit else ''}from 0 (never) up to {most}.")
    return value
