"""Where documents came from, and the names people recognise them by: `handbook/leave.md` for a file of `handbook`.

A root is a folder or file that was ingested. Its absolute path is remembered, so two folders of one name keep their
documents apart, and what is under a root keeps its audience until another is named.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from retrieval.tables import documents, roots


@dataclass(frozen=True, slots=True)
class Root:
    """A folder or file that was ingested: its absolute path, and the label that leads its documents' sources."""

    id: int
    path: str
    label: str
    audience: str


def shown(path: Path) -> str:
    """A path as the store can keep it and a terminal can show it; different paths stay different."""
    text = str(path)
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        each if each.isprintable() and each != "\\" else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )


def is_under(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def enclosing(path: str, roots: Iterable[Root]) -> Root | None:
    """The deepest root that holds `path`."""
    return max((root for root in roots if is_under(path, root.path)), key=lambda root: len(root.path), default=None)


def source_of(path: str, root: Root) -> str:
    """What a file of `root` is called."""
    return root.label + path[len(root.path) :]


def path_of(source: str, root: Root) -> str:
    """The file that is called `source` in `root`."""
    return root.path + source[len(root.label) :]


def label_for(path: str, roots: Sequence[Root], taken: Iterable[str]) -> str:
    """A name for a new root at `path`: its own, led by as many of its parents' as it takes to be told from others.

    taken: sources of documents that lie in no root.
    """
    outer = enclosing(path, roots)
    if outer is not None:
        return source_of(path, outer)
    for label in _labels(path):
        fits = {source_of(root.path, Root(0, path, label, "")) for root in roots if is_under(root.path, path)}
        others = {*(root.label for root in roots), *taken} - fits  # a folder inside this one may be called what it is
        if not any(is_under(label, each) or is_under(each, label) for each in others):
            return label
    raise AssertionError("labels never end")


def _labels(path: str) -> Iterator[str]:
    parts = [part for part in path.split("/") if part] or ["files"]
    for start in range(len(parts) - 1, -1, -1):
        yield "/".join(parts[start:])
    number = 2
    while True:
        yield f"{parts[-1]} ({number})"
        number += 1


def list_roots(connection: Connection, tenant: str) -> list[Root]:
    query = sa.select(roots.c.id, roots.c.path, roots.c.label, roots.c.audience).where(roots.c.tenant == tenant)
    return [Root(*row) for row in connection.execute(query)]


def rootless_sources(connection: Connection, tenant: str) -> list[str]:
    """Names of documents that came from no file."""
    query = sa.select(documents.c.source).where(documents.c.tenant == tenant, documents.c.root.is_(None))
    return list(connection.execute(query).scalars())


def put_root(connection: Connection, tenant: str, path: str, label: str, audience: str) -> Root:
    """Remember a folder or file; one that is known keeps its label and takes the audience."""
    here = (roots.c.tenant == tenant) & (roots.c.path == path)
    known = roots.update().where(here).values(audience=audience).returning(roots.c.id, roots.c.label)
    row = connection.execute(known).one_or_none()
    if row is None:
        new = roots.insert().values(tenant=tenant, path=path, label=label, audience=audience)
        row = connection.execute(new.returning(roots.c.id, roots.c.label)).one()
    return Root(row.id, path, row.label, audience)
