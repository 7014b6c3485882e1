"""Sources that live: folders and web pages that are looked at again and again, and what is known of each.

What a look finds new is in the next answer, and what is gone is in none. A source that cannot be read now (a server
that is down, a disk that is not mounted) keeps its last readable version; one that says of itself that it is gone, or
that is taken off the list, loses its documents.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Engine

from retrieval.audience import audience_of, check_tenant, everyone
from retrieval.database import reading, writing
from retrieval.errors import SettingsError, UnreadableFile
from retrieval.ingest import ingest
from retrieval.knowledge import READING, KnowledgeBase
from retrieval.loading import Reader
from retrieval.roots import shown
from retrieval.store import StoredDocument
from retrieval.tables import watched
from retrieval.web import UNKNOWN, Gone, Page, Unchanged, Version, Web, check_url

_PAGE = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source that a team wants read again and again: a folder, a file or a web address. audience: None: everyone."""

    address: str
    audience: str | None = None

    @property
    def is_page(self) -> bool:
        return _PAGE.match(self.address) is not None

    @property
    def key(self) -> str:
        """The one spelling by which it is known. Raises UnreadableFile for what is no web address."""
        return check_url(self.address) if self.is_page else shown(Path(self.address).expanduser().absolute())


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a source. looked, changed: seconds since 1970, 0 never. problem: why it could not be read.

    is_ours: its documents came with it; what had been ingested before stays when it is taken off the list.
    """

    address: str
    version: Version = UNKNOWN
    looked: int = 0
    changed: int = 0
    problem: str = ""
    is_ours: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a source found. problem: why it could not be read now; is_new: it could before.

    is_well_again: it can be read again. is_off: it is not on the list any more.
    """

    address: str
    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    problem: str = ""
    is_new: bool = False
    is_well_again: bool = False
    is_off: bool = False

    @property
    def is_news(self) -> bool:
        """Whether somebody should hear of it."""
        return bool(self.added or self.updated or self.removed or self.is_new or self.is_well_again or self.is_off)


def known_sources(engine: Engine, tenant: str) -> dict[str, Known]:
    """What is remembered of a tenant's sources, by address. Raises StoreError."""
    query = sa.select(watched).where(watched.c.tenant == check_tenant(tenant)).order_by(watched.c.address)
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return {
        row.address: Known(
            row.address, Version(row.url, row.etag, row.modified), row.looked, row.changed, row.problem, row.is_ours
        )
        for row in rows
    }


class Watcher:
    """Looks at the sources of one tenant. One at a time: who runs it sees to that.

    web: opens what reads pages, for one round.
    """

    def __init__(
        self,
        engine: Engine,
        knowledge: KnowledgeBase,
        tenant: str,
        web: Callable[[], Web] = Web,
    ) -> None:
        self._engine = engine
        self._knowledge = knowledge
        self._tenant = check_tenant(tenant)
        self._web = web

    async def look(self, wanted: Sequence[Wanted]) -> list[Look]:
        """One round: each source is looked at, and what is on the list no more is let go. Raises StoreError."""
        known = await asyncio.to_thread(known_sources, self._engine, self._tenant)
        found: list[Look] = []
        named: set[str] = set()
        async with self._web() as web:
            for each in wanted:
                key = _key(each)
                if key in named:
                    continue
                named.add(key)
                before = known.get(key) or Known(key, is_ours=not await asyncio.to_thread(self._is_there, key))
                found.append(await self._looked(replace(each, address=key), before, web))
        for key, before in known.items():
            if key not in named:
                found.append(await asyncio.to_thread(self._let_go, before))
        await asyncio.to_thread(self._knowledge.save)
        return found

    async def _looked(self, wanted: Wanted, before: Known, web: Web) -> Look:
        try:
            if wanted.is_page:
                look, version = await self._look_at_page(wanted, before, web)
            else:
                look, version = await asyncio.to_thread(self._look_at_folder, wanted), UNKNOWN
        except (UnreadableFile, SettingsError) as error:
            look, version = (
                Look(wanted.address, problem=str(error), is_new=not before.problem),
                before.version,
            )
        except OSError as error:  # a folder behind others that are closed, a name that is too long
            problem = f"{wanted.address} cannot be read: {error.strerror or type(error).__name__}."
            look, version = Look(wanted.address, problem=problem, is_new=not before.problem), before.version
        look = replace(look, is_well_again=bool(before.problem) and not look.problem)
        now = int(time.time())
        is_changed = bool(look.added or look.updated or look.removed)
        after = replace(
            before, version=version, looked=now, changed=now if is_changed else before.changed, problem=look.problem
        )
        await asyncio.to_thread(self._keep, after)
        return look

    async def _look_at_page(self, wanted: Wanted, before: Known, web: Web) -> tuple[Look, Version]:
        document = (await asyncio.to_thread(self._documents)).get(wanted.address)
        is_whole = document is not None and document.reading == READING
        answer = await web.read(wanted.address, before.version if is_whole else UNKNOWN)
        match answer:
            case Page():
                return await asyncio.to_thread(self._take_in, wanted, answer, document), answer.version
            case Unchanged():
                moved = await asyncio.to_thread(self._give_to, wanted, document)
                return Look(wanted.address, updated=moved), before.version
            case Gone():
                gone = await asyncio.to_thread(self._knowledge.shelf.remove_all, self._tenant, [wanted.address])
                problem = "" if gone else f"{wanted.address} is not there (the site answered that it is gone)."
                return Look(
                    wanted.address, removed=gone, problem=problem, is_new=bool(problem) and not before.problem
                ), UNKNOWN

    def _take_in(self, wanted: Wanted, page: Page, before: StoredDocument | None) -> Look:
        """A page's content into the knowledge base, read as any file of a stranger. Raises UnreadableFile."""
        digest = sha256(page.content).hexdigest()
        if before is not None and before.sha256 == digest and before.reading == READING:
            return Look(wanted.address, updated=self._give_to(wanted, before))
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder, Reader() as reader:
            path = Path(folder) / f"page{page.suffix}"
            path.write_bytes(page.content)
            try:
                document = reader.read(path)
            except UnreadableFile as error:
                raise UnreadableFile(str(error).replace(path.name, wanted.address)) from None
        if document.title == path.stem:
            document = replace(document, title=wanted.address)
        audience = self._audience(wanted, before)
        outcome = self._knowledge.add(wanted.address, document, content_hash=digest, audience=audience)
        if before is None:
            return Look(wanted.address, added=(wanted.address,))
        return Look(wanted.address, updated=(wanted.address,) if outcome != "unchanged" else ())

    def _give_to(self, wanted: Wanted, document: StoredDocument | None) -> tuple[str, ...]:
        """The source itself, where other people may read it from now on."""
        if document is None or document.audience == self._audience(wanted, document):
            return ()
        self._knowledge.shelf.set_audience(self._tenant, wanted.address, self._audience(wanted, document))
        return (wanted.address,)

    def _audience(self, wanted: Wanted, document: StoredDocument | None) -> str:
        """Without a name it stays with those who have it: nothing is given to more people by leaving a word out."""
        if wanted.audience is not None:
            return audience_of(self._tenant, wanted.audience)
        return document.audience if document is not None else everyone(self._tenant)

    def _look_at_folder(self, wanted: Wanted) -> Look:
        path = Path(wanted.address)
        if not path.exists() and path.parent.is_dir() and (gone := self._under(wanted.address, is_file=True)):
            return Look(wanted.address, removed=self._knowledge.shelf.remove_all(self._tenant, gone))
        report = ingest([path], self._knowledge, tenant=self._tenant, audience=wanted.audience)
        return Look(
            wanted.address,
            added=(*report.added, *report.duplicates),
            updated=report.updated,
            removed=report.removed,
            unreadable=tuple(each.source for each in report.unreadable),
        )

    def _let_go(self, before: Known) -> Look:
        """A source that nobody wants read any more: its documents go, unless they were there before it was listed."""
        sources: Sequence[str] = ()
        if before.is_ours:
            is_page = Wanted(before.address).is_page
            sources = [before.address] if is_page else self._under(before.address)
        removed = self._knowledge.shelf.remove_all(self._tenant, sources)
        with writing(self._engine) as connection:
            here = (watched.c.tenant == self._tenant) & (watched.c.address == before.address)
            connection.execute(watched.delete().where(here))
        return Look(before.address, removed=removed, is_off=True)

    def _under(self, path: str, *, is_file: bool = False) -> list[str]:
        """The documents of a folder or file that was ingested under this path. is_file: only where it was a file."""
        roots = {root.id: root for root in self._knowledge.shelf.roots(self._tenant) if root.path == path}
        found = [each for each in self._documents().values() if each.file is not None and each.file.root in roots]
        labels = {root.label for root in roots.values()}
        if is_file and not all(each.source in labels for each in found):
            return []
        return [each.source for each in found]

    def _is_there(self, key: str) -> bool:
        """Whether somebody brought it in before it was on the list."""
        return key in self._documents() or any(root.path == key for root in self._knowledge.shelf.roots(self._tenant))

    def _documents(self) -> Mapping[str, StoredDocument]:
        return {each.source: each for each in self._knowledge.shelf.documents(self._tenant)}

    def _keep(self, after: Known) -> None:
        values: dict[str, object] = {"url": after.version.url, "etag": after.version.etag}
        values |= {
            "modified": after.version.modified,
            "looked": after.looked,
            "changed": after.changed,
            "problem": after.problem,
        }
        here = (watched.c.tenant == self._tenant) & (watched.c.address == after.address)
        with writing(self._engine) as connection:
            if not connection.execute(watched.update().where(here).values(values)).rowcount:
                names = {"tenant": self._tenant, "address": after.address, "is_ours": after.is_ours}
                connection.execute(watched.insert().values(names | values))


def _key(wanted: Wanted) -> str:
    """By what it is known; as it is written where that is no web address, so that it is said what is wrong with it."""
    try:
        return wanted.key
    except UnreadableFile:
        return wanted.address
