"""Folders into the knowledge base: what changed is read, what vanished is removed, the rest costs a glance.

Safe to interrupt and to repeat: each document is committed whole, and one that cannot be read now keeps its last
readable version.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.audience import audience_of, check_tenant
from retrieval.errors import UnreadableFile
from retrieval.files import sha256_of
from retrieval.folders import Scan, scan
from retrieval.knowledge import READING, KnowledgeBase
from retrieval.loading import Reader
from retrieval.roots import Root, enclosing, is_under, path_of, shown, source_of
from retrieval.store import Entry, File, Outcome, StoredDocument

FRESH = 2 * 10**9  # ns: a file this young may change again without its time changing
LARGEST_HASHED = 100_000_000  # bytes: larger files are refused by the reader anyway


@dataclass(frozen=True, slots=True)
class Progress:
    """Files finished, files in all, and the one just finished."""

    done: int
    total: int
    source: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that was left out. reason: a sentence. kept: whether an older version stays in use."""

    source: str
    reason: str
    kept: bool


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Sources by what became of them.

    ignored: how many files are of kinds that are not read; ignored_kinds: their suffixes, most frequent first.
    """

    added: tuple[str, ...]
    updated: tuple[str, ...]
    duplicates: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    ignored: int
    ignored_kinds: tuple[str, ...]


def ingest(
    paths: Sequence[Path],
    knowledge: KnowledgeBase,
    *,
    tenant: str,
    audience: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Bring the tenant's documents under `paths` (files or folders) to what the files now say.

    audience: who may read them; None keeps what a path was ingested with before, and gives new paths to everyone in
    the tenant, so a plain repetition never widens who may read. Documents whose files left an ingested folder are
    removed. Raises SettingsError (before anything is changed) for a path that is not there or an impossible audience,
    StoreError when the store fails; documents committed until then stay.
    """
    tenant = check_tenant(tenant)
    named = audience_of(tenant, audience) if audience is not None else None
    known = knowledge.shelf.documents(tenant)  # before the scan: what others add meanwhile must not count as vanished
    scans = [scan(path) for path in paths]
    for each in scans:
        knowledge.shelf.put_root(tenant, shown(each.path), named)
    run = _Run(knowledge, tenant, named, known, scans, progress)
    with Reader() as reader:
        for entry, outcome in knowledge.add_all(run.entries(reader)):
            run.finish(entry.source, outcome)
    knowledge.shelf.remember_files(tenant, run.touched)
    removed = knowledge.shelf.remove_all(tenant, run.vanished())
    knowledge.save()
    return run.report(removed)


class _Run:
    """One ingest under way."""

    def __init__(
        self,
        knowledge: KnowledgeBase,
        tenant: str,
        named: str | None,
        known: Sequence[StoredDocument],
        scans: Sequence[Scan],
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._knowledge = knowledge
        self._tenant = tenant
        self._named = named
        self._scans = scans
        self._progress = progress
        self._files = tuple(dict.fromkeys(file for each in scans for file in each.files))
        self._roots = knowledge.shelf.roots(tenant)
        self._known = {each.source: each for each in known}
        self._sources: dict[Outcome, list[str]] = {"added": [], "updated": [], "duplicate": [], "unchanged": []}
        self._unreadable: list[Unreadable] = []
        self._done = 0
        self.touched: dict[str, File] = {}  # unchanged documents whose files have other times now

    def entries(self, reader: Reader) -> Iterator[Entry]:
        """What has to be stored; what has not is finished on the way."""
        for path in self._files:
            root = enclosing(shown(path), self._roots)
            assert root is not None, "every path that is ingested lies in a root"
            source = source_of(shown(path), root)
            try:
                entry = self._entry(path, source, root, reader)
            except UnreadableFile as error:
                self._unreadable.append(Unreadable(source, str(error), kept=source in self._known))
                self._tell(source)
                continue
            if entry is not None:
                yield entry

    def _entry(self, path: Path, source: str, root: Root, reader: Reader) -> Entry | None:
        """The document in `path`, or None when it is as it was stored. Raises UnreadableFile."""
        file, is_fresh = _looked_at(path, root)
        old = self._known.get(source)
        audience = root.audience if old is None or root.audience == self._named else old.audience
        if old is not None and old.reading == READING and old.file is not None:
            is_same = old.file.mtime is not None and (old.file.size, old.file.mtime) == (file.size, file.mtime)
            if is_same or (old.file.size == file.size and _hash(path, file) == old.sha256):
                if not is_same:
                    self.touched[source] = replace(file, mtime=None) if is_fresh else file
                is_moved = old.audience != audience and self._knowledge.shelf.set_audience(
                    self._tenant, source, audience
                )
                self.finish(source, "updated" if is_moved else "unchanged")
                return None
        digest = _hash(path, file)
        return self._knowledge.entry(
            source,
            reader.read(path),
            content_hash=digest,
            audience=audience,
            author=old.author if old is not None else None,
            file=replace(file, mtime=None) if is_fresh else file,
        )

    def finish(self, source: str, outcome: Outcome) -> None:
        self._sources[outcome].append(source)
        self._tell(source)

    def _tell(self, source: str) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(Progress(self._done, len(self._files), source))

    def vanished(self) -> list[str]:
        """Documents of the scanned folders that have no file any more (what could not be listed is believed there)."""
        roots = {root.id: root for root in self._roots}
        present = {shown(file) for file in self._files}
        folders = [shown(each.path) for each in self._scans]
        closed = [shown(folder) for each in self._scans for folder, _ in each.closed]
        gone: list[str] = []
        for document in self._known.values():
            if document.file is None or document.file.root not in roots:
                continue
            path = path_of(document.source, roots[document.file.root])
            if path not in present and _is_in(path, folders) and not _is_in(path, closed):
                gone.append(document.source)
        return gone

    def report(self, removed: tuple[str, ...]) -> IngestReport:
        closed = [
            Unreadable(shown(folder), f"The folder could not be listed ({reason}).", kept=True)
            for each in self._scans
            for folder, reason in each.closed
        ]
        ignored = sum((Counter(each.ignored) for each in self._scans), Counter[str]())
        return IngestReport(
            added=tuple(self._sources["added"]),
            updated=tuple(self._sources["updated"]),
            duplicates=tuple(self._sources["duplicate"]),
            unchanged=tuple(self._sources["unchanged"]),
            removed=removed,
            unreadable=(*self._unreadable, *closed),
            ignored=ignored.total(),
            ignored_kinds=tuple(suffix or "no suffix" for suffix, _ in ignored.most_common()),
        )


def _looked_at(path: Path, root: Root) -> tuple[File, bool]:
    """The file's size and time, and whether that time is too recent to tell one version from the next."""
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return File(root.id, status.st_size, status.st_mtime_ns), time.time_ns() - status.st_mtime_ns < FRESH


def _hash(path: Path, file: File) -> str:
    if file.size > LARGEST_HASHED or not path.is_file():
        return ""  # the reader refuses it and says why
    try:
        return sha256_of(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> UnreadableFile:
    return UnreadableFile(f"{shown(Path(path.name))} cannot be opened: {error.strerror or 'it is not there any more'}.")


def _is_in(path: str, folders: Sequence[str]) -> bool:
    return any(is_under(path, folder) for folder in folders)
