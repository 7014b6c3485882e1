"""The setting `sources`: the folders and web addresses that are read again and again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, InstanceOf
from pydantic_settings import NoDecode

from connectors.settings_tables import table, texts, whole

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
        given = table(value, "sources", _KEYS, '{"read": ["https://example.com/faq"]}')
        return cls(
            read=tuple(map(_listed, texts(given, "read"))),
            every=whole(given, "every", EVERY, 525_600),
            private_hosts=tuple(each.lower() for each in texts(given, "private_hosts")),
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
