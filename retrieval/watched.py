"""Sources that live: folders and web pages that are looked at again and again, and what is known of each.

What a look finds new is in the next answer, and what is gone is in none. A source that cannot be read now (a server
that is down, a disk that is not mounted) keeps its last readable version; one that says of itself that it is gone loses
its documents. One that is taken off the list keeps them until somebody orders them away: a slip in the settings deletes
nothing. What a look finds is kept until whoever ordered it has told it (`told`), so a crash in between loses no news.
"""

import asyncio
import json
import re
import tempfile
import time
from collections.abc import Callable, Sequence
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
from retrieval.rounds import alone, alone_beside_others
from retrieval.store import StoredDocument
from retrieval.tables import watched
from retrieval.web import UNKNOWN, Gone, Page, Unchanged, Version, Web, check_url, without_login

_PAGE = re.compile(r"https?://", re.IGNORECASE)
OFF = "It is not on the list any more."  # the problem of a source whose documents are still there


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

    @property
    def name(self) -> str:
        """The key; where that is no web address, what may be shown of it, so that it is said what is wrong with it."""
        try:
            return self.key
        except UnreadableFile:
            return without_login(self.address)


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a source. looked, changed: seconds since 1970, 0 never. problem: why it could not be read.

    is_ours: its documents came with it; what had been ingested before stays when it is taken off the list. before: what
    it held, and its problem, before the looks that nobody was told of yet, as JSON; empty where there were none.
    """

    address: str
    version: Version = UNKNOWN
    looked: int = 0
    changed: int = 0
    problem: str = ""
    is_ours: bool = True
    before: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What the looks at a source found that nobody was told of yet. problem: why it cannot be read now; is_new: it was.

    is_well_again: it can be read again. is_off: it is not on the list any more. left: its documents, which are still
    there then.
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
    left: tuple[str, ...] = ()

    @property
    def is_news(self) -> bool:
        """Whether somebody should hear of it."""
        is_other = self.is_new or self.is_well_again or (self.is_off and not self.left)
        return bool(self.added or self.updated or self.removed or is_other)


def known_sources(engine: Engine, tenant: str) -> dict[str, Known]:
    """What is remembered of a tenant's sources, by address. Raises StoreError."""
    query = sa.select(watched).where(watched.c.tenant == check_tenant(tenant)).order_by(watched.c.address)
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return {
        row.address: Known(
            row.address,
            Version(row.url, row.etag, row.modified),
            row.looked,
            row.changed,
            row.problem,
            row.is_ours,
            row.before,
        )
        for row in rows
    }


class Watcher:
    """Looks at the sources of one tenant; one at a time, of all processes.

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
        """One round: each source is looked at. Found is all since `told` was called last.

        Raises StoreError, and SourcesBusy while another process looks.
        """
        async with alone_beside_others(self._engine, self._tenant):
            known = await asyncio.to_thread(known_sources, self._engine, self._tenant)
            found: list[Look] = []
            named: set[str] = set()
            async with self._web() as web:
                for each in wanted:
                    key = each.name
                    if key in named:
                        continue
                    named.add(key)
                    before = known.get(key) or Known(key, is_ours=not await asyncio.to_thread(self._is_there, key))
                    found.append(await self._looked(replace(each, address=key), before, web))
            for key, before in known.items():
                if key not in named:
                    found.append(await asyncio.to_thread(self._taken_off, before))
            await asyncio.to_thread(self._knowledge.save)
        return found

    def told(self, looks: Sequence[Look]) -> None:
        """Somebody was told what these looks found: it is no news any more. Raises StoreError."""
        here = (watched.c.tenant == self._tenant) & watched.c.address.in_([look.address for look in looks])
        with writing(self._engine) as connection:
            connection.execute(watched.update().where(here).values(before=""))

    def off(self, wanted: Sequence[Wanted]) -> dict[str, tuple[str, ...]]:
        """Sources that are not on the list any more, with the documents that came with them. Raises StoreError."""
        named = {each.name for each in wanted}
        known = known_sources(self._engine, self._tenant)
        return {address: tuple(self._held(each)) for address, each in known.items() if address not in named}

    def let_go(self, address: str, wanted: Sequence[Wanted]) -> Look | None:
        """Remove the documents of a source that is not on the list any more; None where it is, or is not known.

        Those that were there before it was listed stay. Raises StoreError, and SourcesBusy while another process looks.
        """
        with alone(self._engine, self._tenant):
            before = known_sources(self._engine, self._tenant).get(address)
            if before is None or address in {each.name for each in wanted}:
                return None
            removed = self._knowledge.shelf.remove_all(self._tenant, self._held(before))
            self._drop(before)
            self._knowledge.save()
        return Look(address, removed=removed, is_off=True)

    async def _looked(self, wanted: Wanted, before: Known, web: Web) -> Look:
        known = before
        held = await asyncio.to_thread(self._stamps, known.address)
        if not known.before:  # committed before anything changes
            before = replace(known, before=json.dumps({"held": held, "problem": known.problem}))
            await asyncio.to_thread(self._keep, before)
        try:
            if wanted.is_page:
                look, version = await self._look_at_page(wanted, before, web)
            else:
                look, version = await asyncio.to_thread(self._look_at_folder, wanted), UNKNOWN
        except (UnreadableFile, SettingsError) as error:
            look, version = Look(wanted.address, problem=str(error)), before.version
        except OSError as error:  # a folder behind others that are closed, a name that is too long
            problem = f"{wanted.address} cannot be read: {error.strerror or type(error).__name__}."
            look, version = Look(wanted.address, problem=problem), before.version
        now = int(time.time())
        is_changed = bool(look.added or look.updated or look.removed)
        if known.before:
            look = await asyncio.to_thread(self._since, known, look)
        was = str(json.loads(before.before)["problem"])
        look = replace(look, is_new=bool(look.problem) and not was, is_well_again=bool(was) and not look.problem)
        is_quiet = not look.is_news
        after = replace(
            before,
            version=version,
            looked=now,
            changed=now if is_changed else before.changed,
            problem=look.problem,
            before="" if is_quiet else before.before,
        )
        await asyncio.to_thread(self._keep, after)
        return look

    def _since(self, known: Known, look: Look) -> Look:
        """A look with all that changed since somebody was told: those before it were cut off by a crash."""
        held, now = json.loads(known.before)["held"], self._stamps(known.address)
        return replace(
            look,
            added=tuple(each for each in now if each not in held),
            updated=tuple(each for each in now if each in held and now[each] != held[each]),
            removed=tuple(each for each in held if each not in now),
        )

    def _stamps(self, address: str) -> dict[str, str]:
        """The documents of a source, and by what it is seen that one has changed."""
        if Wanted(address).is_page:
            document = self._document(address)
            held = [document] if document is not None else []
        else:
            held = self._under(address)
        return {each.source: sha256(f"{each.sha256} {each.audience}".encode()).hexdigest()[:16] for each in held}

    def _taken_off(self, before: Known) -> Look:
        """A source that is not on the list any more: nothing of it goes, but it is said what would."""
        left = tuple(self._held(before))
        if not left:
            self._drop(before)
            return Look(before.address, is_off=True)
        is_new = before.problem != OFF or bool(before.before)
        if is_new:
            untold = json.dumps({"held": self._stamps(before.address), "problem": OFF})
            self._keep(replace(before, problem=OFF, before=before.before or untold))
        return Look(before.address, problem=OFF, is_new=is_new, is_off=True, left=left)

    async def _look_at_page(self, wanted: Wanted, before: Known, web: Web) -> tuple[Look, Version]:
        document = await asyncio.to_thread(self._document, wanted.address)
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
                return Look(wanted.address, removed=gone, problem=problem), UNKNOWN

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
            sources = [each.source for each in gone]
            return Look(wanted.address, removed=self._knowledge.shelf.remove_all(self._tenant, sources))
        report = ingest([path], self._knowledge, tenant=self._tenant, audience=wanted.audience)
        return Look(
            wanted.address,
            added=(*report.added, *report.duplicates),
            updated=report.updated,
            removed=report.removed,
            unreadable=tuple(each.source for each in report.unreadable),
        )

    def _held(self, known: Known) -> Sequence[str]:
        """The documents that came with a source."""
        return list(self._stamps(known.address)) if known.is_ours else ()

    def _drop(self, known: Known) -> None:
        with writing(self._engine) as connection:
            here = (watched.c.tenant == self._tenant) & (watched.c.address == known.address)
            connection.execute(watched.delete().where(here))

    def _under(self, path: str, *, is_file: bool = False) -> list[StoredDocument]:
        """The documents that were ingested as a folder or file of this path. is_file: only as a file."""
        roots = {root.id: root for root in self._knowledge.shelf.roots(self._tenant) if root.path == path}
        documents = self._knowledge.shelf.documents(self._tenant) if roots else ()
        found = [each for each in documents if each.file is not None and each.file.root in roots]
        labels = {root.label for root in roots.values()}
        return [] if is_file and not all(each.source in labels for each in found) else found

    def _is_there(self, key: str) -> bool:
        """Whether somebody brought it in before it was on the list."""
        roots = self._knowledge.shelf.roots(self._tenant)
        return self._document(key) is not None or any(root.path == key for root in roots)

    def _document(self, source: str) -> StoredDocument | None:
        return self._knowledge.shelf.document(self._tenant, source)

    def _keep(self, after: Known) -> None:
        values: dict[str, object] = {"url": after.version.url, "etag": after.version.etag}
        values |= {
            "modified": after.version.modified,
            "looked": after.looked,
            "changed": after.changed,
            "problem": after.problem,
            "before": after.before,
        }
        here = (watched.c.tenant == self._tenant) & (watched.c.address == after.address)
        with writing(self._engine) as connection:
            if not connection.execute(watched.update().where(here).values(values)).rowcount:
                names = {"tenant": self._tenant, "address": after.address, "is_ours": after.is_ours}
                connection.execute(watched.insert().values(names | values))
