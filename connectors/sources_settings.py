"""The setting `sources`: the folders and web addresses that are read again and again."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, InstanceOf
from pydantic_settings import NoDecode

_KEYS = ("read", "every", "private_hosts")
_ENTRY = re.compile(r"(?:(?P<audience>[^\s=:/\\~.]+)=)?(?P<address>.+)", re.DOTALL)
_PAGE = re.compile(r"https?://", re.IGNORECASE)
EVERY = 60  # minutes


@dataclass(frozen=True, slots=True)
class Listed:
    """A folder, file or web address, with the audience that it is for; None: everyone."""

    address: str
    audience: str | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """read: what is read again. every: minutes between two rounds, 0: only when told to.

    private_hosts: servers of the team's own network that may be read.
    """

    read: tuple[Listed, ...] = ()
    every: int = EVERY
    private_hosts: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The default as a settings file writes it."""
        return "{}"

    @classmethod
    def of(cls, value: object) -> "Sources":
        """From a settings file's table, or from its JSON in the environment. Raises ValueError with what is wrong."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise ValueError('It is no JSON. Write it like {"read": ["https://example.com/faq"]}.') from None
        if not isinstance(value, Mapping):
            raise ValueError("`sources` is a table.")  # noqa: TRY004 - pydantic collects ValueErrors
        if unknown := [key for key in value if key not in _KEYS]:
            raise ValueError(f"There is no {unknown[0]!r} in sources; there are {', '.join(_KEYS)}.")
        return cls(
            read=tuple(map(_listed, _texts(value, "read"))),
            every=_whole(value, "every", EVERY, 525_600),
            private_hosts=tuple(each.lower() for each in _texts(value, "private_hosts")),
        )


SourcesSetting = Annotated[InstanceOf[Sources], NoDecode, BeforeValidator(Sources.of)]


def placed(value: object, folder: Path) -> object:
    """The setting as a file in `folder` writes it, with its relative paths made whole."""
    if not isinstance(value, Mapping) or not isinstance(value.get("read"), list):
        return value
    made = []
    for entry in value["read"]:
        found = _ENTRY.fullmatch(entry) if isinstance(entry, str) else None
        if found is None or _PAGE.match(found["address"]):
            made.append(entry)
            continue
        whole = str(folder / Path(found["address"].strip()).expanduser())
        made.append(f"{found['audience']}={whole}" if found["audience"] else whole)
    return {**value, "read": made}


def _listed(entry: str) -> Listed:
    found = _ENTRY.fullmatch(entry)
    assert found is not None, "any text fits"
    listed = Listed(found["address"].strip(), found["audience"])
    if not _PAGE.match(listed.address):
        return replace(listed, address=str(Path(listed.address).expanduser().absolute()))
    return listed


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = given.get(name, ())
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"`{name}` is a list of texts.")
    return tuple(each.strip() for each in value if each.strip())


def _whole(given: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"`{name}` is a whole number from 0 (never) up to {most}.")
    return value
