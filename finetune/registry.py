"""What was trained and passed: immutable versions in the store, and the movable aliases that say which of them serves.

A version's files are kept under their SHA-256 in the store itself, so that workers on other machines need nothing but
the database. Heads live here too (kind `heads`). Nothing in this file loads a model.
"""

import difflib
import platform
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.generation.adapters import BASE_FACT, METHOD_FACT, TEMPLATE_FACT
from agent.memory_tables import put
from finetune import registry_files as content
from finetune.registry_files import Files
from finetune.registry_tables import aliases, versions
from retrieval.audience import check_audiences
from retrieval.database import reading, writing
from retrieval.errors import RegistryError
from retrieval.files import read_manifest

Kind = Literal["adapter", "heads"]
MOST_STORED = 512 << 20  # bytes of a version that the store holds; a larger one stays on its machine
FETCHED, KEPT = "fetched", "kept"  # folders in the cache: copies from the store, and what the store cannot hold
ENCODER_FACT = "encoder"  # in the manifest of heads: the id of the encoder whose vectors they read
_LOCK = 0xA7E11E15  # PostgreSQL's advisory lock that orders changes of aliases, any number of our own
_FAMILY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}")  # as adapters may be called, with room for a number


@dataclass(frozen=True, slots=True)
class Learned:
    """What a version learned from. persons: ids. documents: sources. audiences: as in `Origin`, of all together."""

    persons: frozenset[str] = frozenset()
    documents: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable version. base_fingerprint: of heads, the encoder's id. files: name to SHA-256 and size.

    flagged: why it should be trained anew, or empty. machine: where its files lie when the store does not hold them.
    """

    name: str
    kind: Kind
    method: str
    base_fingerprint: str
    template_fingerprint: str
    files: Files = field(repr=False)
    scores: Mapping[str, float]
    learned_from: Learned
    flagged: str
    machine: str
    job: str
    made: datetime

    @property
    def size(self) -> int:
        return sum(facts["size"] for facts in self.files.values())

    @property
    def sha256(self) -> str:
        """One digest over all its files."""
        return content.digest_of(self.files)


@dataclass(frozen=True, slots=True)
class Aliases:
    """Which versions serve. None as `live`: the bare model. share: of conversations that the candidate answers, 0..1.

    channels: where the candidate answers everything, as a platform's ids (`C0123ABCD`).
    """

    live: Version | None = None
    previous: Version | None = None
    candidate: Version | None = None
    share: float = 0.0
    channels: frozenset[str] = frozenset()


class AdapterRegistry:
    """Versions and aliases in the store. Thread-safe, and safe beside other processes and machines.

    cache: a folder of this machine for files; it may be deleted at any time, except for what lies in `kept`. Every
    method raises StoreError, and RegistryError for a version that is unknown.
    """

    def __init__(self, engine: Engine, cache: Path, *, most_stored: int = MOST_STORED) -> None:
        self._engine = engine
        self._cache = cache
        self._most_stored = most_stored

    def add(
        self,
        family: str,
        folder: Path,
        *,
        scores: Mapping[str, float] | None = None,
        learned_from: Learned = Learned(),
        job: str = "",
        kind: Kind = "adapter",
    ) -> Version:
        """Register the sealed `folder` as the next version of `family`; it serves nobody until it is promoted.

        The same job's same files are the same version: whoever was killed in between may add again. Raises
        RegistryError when the folder is not sealed or damaged, or the family's name cannot be one.
        """
        if not _FAMILY.fullmatch(family):
            raise RegistryError(f"A version cannot be called {family!r}. Use letters, digits, '-' and '_', at most 48.")
        files = content.files_of(folder)
        facts = {key: str(value) for key, value in read_manifest(folder).items()}
        needed = (ENCODER_FACT,) if kind == "heads" else (BASE_FACT, TEMPLATE_FACT, METHOD_FACT)
        if missing := [fact for fact in needed if not facts.get(fact)]:
            raise RegistryError(f"{folder} does not say what it was trained on ({', '.join(missing)}). Train it again.")
        audiences = sorted(check_audiences(frozenset(learned_from.audiences)))
        size = sum(each["size"] for each in files.values())
        row: dict[str, Any] = {
            "family": family,
            "kind": kind,
            "method": facts[METHOD_FACT] if kind == "adapter" else "heads",
            "base": facts[BASE_FACT] if kind == "adapter" else facts[ENCODER_FACT],
            "template": facts[TEMPLATE_FACT] if kind == "adapter" else "",
            "files": files,
            "scores": {name: float(score) for name, score in (scores or {}).items()},
            "persons": sorted(learned_from.persons),
            "documents": sorted(learned_from.documents),
            "audiences": audiences,
            "flagged": "",
            "machine": platform.node() or "this machine" if size > self._most_stored else "",
            "job": job,
            "made": datetime.now(UTC),
        }
        if row["machine"]:
            content.copy_in(folder, self._folder(content.digest_of(files), kept=True), files)
        else:
            content.keep(self._engine, folder, files)
        with writing(self._engine) as connection:
            _in_order(connection)
            if job and (same := _added_before(connection, row)) is not None:
                return same
            if not row["machine"] and not content.are_kept(connection, files):
                raise RegistryError(f"Another process removed the files of {family} meanwhile. Add it again.")
            highest = sa.select(sa.func.max(versions.c.number)).where(versions.c.family == family)
            number = (connection.execute(highest).scalar_one() or 0) + 1
            name = f"{family}-{number}"
            connection.execute(versions.insert().values(row | {"name": name, "number": number}))
            content.sweep(connection)
            return _get(connection, name)

    def versions(self, kind: Kind | None = None) -> tuple[Version, ...]:
        """All that were not removed, oldest first."""
        query = sa.select(versions).where(versions.c.removed.is_(None)).order_by(versions.c.made, versions.c.number)
        with reading(self._engine) as connection:
            return tuple(map(_version, connection.execute(query if kind is None else query.where(_is(kind)))))

    def get(self, name: str) -> Version:
        with reading(self._engine) as connection:
            return _get(connection, name)

    def aliases(self, kind: Kind = "adapter") -> Aliases:
        with reading(self._engine) as connection:
            return _aliases(connection, kind)

    def set_candidate(self, name: str, *, share: float = 0.1, channels: Collection[str] = ()) -> Aliases:
        """Let `name` answer a share of conversations, and all in some channels, beside the live version.

        Raises RegistryError for a share outside 0..1, one that would answer nobody, or heads (they serve all or none).
        """
        if not 0 <= share <= 1 or not (share or channels):
            raise RegistryError("A candidate answers a share of conversations between 0 and 1, or names channels.")
        with self._changing() as connection:
            version = _get(connection, name)
            if version.kind != "adapter":
                raise RegistryError(f"{name} is no adapter: heads are promoted as a whole.")
            _refuse_flagged(version, despite=False)
            now = _aliases(connection, version.kind)
            if now.live is not None and now.live.name == name:
                raise RegistryError(f"{name} is live already.")
            _put(connection, version.kind, "candidate", version, share, sorted(channels))
            return _aliases(connection, version.kind)

    def withdraw(self, kind: Kind = "adapter") -> Aliases:
        """End the candidate's trial: the live version answers everybody again."""
        with self._changing() as connection:
            _put(connection, kind, "candidate", None)
            return _aliases(connection, kind)

    def promote(self, name: str, *, despite_flag: bool = False) -> Aliases:
        """Make `name` the live version; the one before it becomes `previous`. The running bots follow in seconds.

        Raises RegistryError when it is flagged, unless told to go on.
        """
        with self._changing() as connection:
            version = _get(connection, name)
            _refuse_flagged(version, despite=despite_flag)
            now = _aliases(connection, version.kind)
            if now.live is None or now.live.name != name:
                _put(connection, version.kind, "previous", now.live)
                _put(connection, version.kind, "live", version)
            if now.candidate is not None and now.candidate.name == name:
                _put(connection, version.kind, "candidate", None)
            return _aliases(connection, version.kind)

    def rollback(self, kind: Kind = "adapter") -> Aliases:
        """Back to the version before the live one, and to no version where there is none; a candidate's trial ends too.

        A flagged version is not gone back to. A second rollback goes to no version, never forward again. Raises
        RegistryError when none is live and none on trial.
        """
        with self._changing() as connection:
            now = _aliases(connection, kind)
            if now.live is None and now.candidate is None:
                raise RegistryError("There is nothing to roll back: no version is live.")
            back = now.previous if now.previous is not None and not now.previous.flagged else None
            _put(connection, kind, "live", back)
            _put(connection, kind, "previous", None)
            _put(connection, kind, "candidate", None)
            return _aliases(connection, kind)

    def flag(self, name: str, why: str) -> Version:
        """Say why a version should be trained anew (somebody it learned from was forgotten). Empty: it need not.

        It goes on serving where it serves, but is not promoted again without being told to.
        """
        with self._changing() as connection:
            _get(connection, name)
            connection.execute(versions.update().where(versions.c.name == name).values(flagged=why))
            return _get(connection, name)

    def remove(self, name: str) -> None:
        """Delete a version's files for good; its name stays taken. Raises RegistryError while it serves."""
        with self._changing() as connection:
            version = _get(connection, name)
            now = _aliases(connection, version.kind)
            for alias, each in (("live", now.live), ("on trial as candidate", now.candidate)):
                if each is not None and each.name == name:
                    raise RegistryError(f"{name} is {alias}. Promote another or roll back first.")
            if now.previous is not None and now.previous.name == name:
                _put(connection, version.kind, "previous", None)
            gone = versions.update().where(versions.c.name == name).values(removed=datetime.now(UTC))
            connection.execute(gone)
            content.drop(connection, version.files)
        for kept in (True, False):
            if not any(each.sha256 == version.sha256 for each in self.versions()):
                shutil.rmtree(self._folder(version.sha256, kept=kept), ignore_errors=True)

    def fetch(self, version: Version | str) -> Path:
        """A folder of this machine with the version's files, every byte checked now; copied from the store if need be.

        Raises RegistryError when the store's copy is damaged, or the store does not hold it and it lies elsewhere.
        """
        found = self.get(version) if isinstance(version, str) else version
        folder = self._folder(found.sha256, kept=bool(found.machine))
        if content.is_whole(folder, found.files):
            return folder
        if found.machine:
            raise RegistryError(
                f"{found.name} ({found.size / 1e9:.1f} GB) is too large for the store and lies on {found.machine}. "
                f"Copy the folder {folder.name} from there to {folder}."
            )
        content.fetch(self._engine, found.name, found.files, folder)
        return folder

    def _folder(self, sha256: str, *, kept: bool) -> Path:
        return self._cache / (KEPT if kept else FETCHED) / sha256[:32]

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """A write transaction in which no other process moves an alias."""
        with writing(self._engine) as connection:
            _in_order(connection)
            yield connection


def _in_order(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def _is(kind: Kind) -> sa.ColumnElement[bool]:
    return versions.c.kind == kind


def _version(row: sa.Row[*tuple[Any, ...]]) -> Version:
    learned = Learned(frozenset(row.persons), frozenset(row.documents), frozenset(row.audiences))
    return Version(
        name=row.name,
        kind="heads" if row.kind == "heads" else "adapter",
        method=row.method,
        base_fingerprint=row.base,
        template_fingerprint=row.template,
        files=row.files,
        scores=row.scores,
        learned_from=learned,
        flagged=row.flagged,
        machine=row.machine,
        job=row.job,
        made=row.made,
    )


def _get(connection: Connection, name: str) -> Version:
    row = connection.execute(sa.select(versions).where(versions.c.name == name)).one_or_none()
    if row is not None and row.removed is None:
        return _version(row)
    if row is not None:
        raise RegistryError(f"{name} was removed on {row.removed:%Y-%m-%d}; its files are gone.")
    known = list(connection.execute(sa.select(versions.c.name).where(versions.c.removed.is_(None))).scalars())
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
    told = f"The nearest name{'s are' if len(near) > 1 else ' is'} {', '.join(near)}."
    raise RegistryError(f"There is no version {name}. {told if near else 'There is none yet.'}")


def _added_before(connection: Connection, row: Mapping[str, Any]) -> Version | None:
    same = (versions.c.job == row["job"]) & (versions.c.family == row["family"]) & versions.c.removed.is_(None)
    for each in connection.execute(sa.select(versions).where(same)):
        if each.files == row["files"]:
            return _version(each)
    return None


def _aliases(connection: Connection, kind: Kind) -> Aliases:
    joined = sa.select(versions, aliases.c.alias, aliases.c.share, aliases.c.channels)
    query = joined.join(aliases, aliases.c.version == versions.c.name).where(aliases.c.kind == kind)
    rows = {row.alias: row for row in connection.execute(query)}
    named = {alias: _version(row) for alias, row in rows.items()}
    trial = rows.get("candidate")
    return Aliases(
        live=named.get("live"),
        previous=named.get("previous"),
        candidate=named.get("candidate"),
        share=trial.share if trial is not None else 0.0,
        channels=frozenset(trial.channels) if trial is not None else frozenset(),
    )


def _put(
    connection: Connection,
    kind: Kind,
    alias: Literal["live", "previous", "candidate"],
    version: Version | None,
    share: float = 0.0,
    channels: Collection[str] = (),
) -> None:
    if version is None:
        connection.execute(aliases.delete().where((aliases.c.kind == kind) & (aliases.c.alias == alias)))
        return
    row = {"kind": kind, "alias": alias, "version": version.name, "share": share, "channels": list(channels)}
    put(connection, aliases, row | {"since": datetime.now(UTC)})


def _refuse_flagged(version: Version, *, despite: bool) -> None:
    if version.flagged and not despite:
        raise RegistryError(f"{version.name} is flagged: {version.flagged} Train anew without it, then promote that.")
