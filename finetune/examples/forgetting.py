"""Deletions reach what was learned: rows leave the data of every job, and versions that learned from them are flagged.

A person is reached by their id (as author, and as somebody whose words stand in the context), by the names that files
gave them, and by stretches of what they wrote. What an adapter learned cannot be taken out of it: it is named and
flagged, so that an administrator trains anew or removes it.
"""

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.memory_tables import persons
from agent.policy import GUIDE
from finetune.examples.agreement import NOBODY, Withheld, is_of_file, withheld
from finetune.examples.card import DataCard, Learned, read_card
from finetune.examples.chats import author_key
from finetune.examples.stored import CARD, CARD_TEXT, HELD_OUT, QUARANTINE, TRAIN, read_rows, rewriting, write_rows
from finetune.registry_tables import versions
from retrieval.audience import check_tenant, tenant_of
from retrieval.database import reading, writing
from retrieval.errors import DataRefused, StoreError
from retrieval.files import read_manifest, recover_folder, write_folder_atomically
from retrieval.tables import documents

_FILES = (TRAIN, HELD_OUT, QUARANTINE)


@dataclass(frozen=True, slots=True)
class Gone:
    """What must not be learned from any more.

    person: an id. names: how files may have named that person, and their accounts. phrases: stretches of their words.
    documents: sources, of `tenant`. turns: ids. withheld: words that no file may teach either.
    """

    person: str = ""
    names: frozenset[str] = frozenset()
    phrases: tuple[str, ...] = ()
    tenant: str = ""
    documents: frozenset[str] = frozenset()
    turns: frozenset[str] = frozenset()
    withheld: Withheld = NOBODY

    def reaches(self, row: dict[str, Any]) -> bool:
        """Whether a row of a job's data holds any of it."""
        origin = row.get("origin", {})
        people = {origin.get("person"), *origin.get("others", ())} - {"", None}
        if people & self._ids() or str(row.get("place") or origin.get("place")).removeprefix("turn ") in self.turns:
            return True
        if self.documents & set(origin.get("documents", ())) and self._is_of_tenant(origin.get("audiences", ())):
            return True
        if self.withheld.reaches_row(row):
            return True
        if not self.phrases:
            return False
        text = row.get("excerpt", "") + "\n".join(message["content"] for message in row.get("messages", ()))
        return any(phrase in text for phrase in self.phrases)

    def reaches_version(self, people: Sequence[str], sources: Sequence[str], audiences: Sequence[str]) -> bool:
        """Whether a version learned from any of it, by what the registry says of it."""
        if self._ids() & set(people):
            return True
        return bool(self.documents & set(sources)) and self._is_of_tenant(audiences)

    def _ids(self) -> set[str]:
        parts = {part for name in self.names for part in (name, name.rsplit(":", 1)[-1])}
        return ({self.person} if self.person else set()) | {author_key(part) for part in parts}

    def _is_of_tenant(self, audiences: Sequence[str]) -> bool:
        return not audiences or not self.tenant or any(tenant_of(each) == self.tenant for each in audiences)


@dataclass(frozen=True, slots=True)
class Affected:
    """A job with `rows` that hold what is gone. damaged: its data was not whole, and could not be searched."""

    job: str
    rows: int
    damaged: bool = False


def affected(home: Path, gone: Gone) -> tuple[Affected, ...]:
    """Which jobs' data holds any of it; nothing is changed. Raises StoreError when a file cannot be read."""
    return tuple(found for folder in _data_folders(home) if (found := _look(folder, gone)) is not None)


def erase(home: Path, gone: Gone) -> tuple[Affected, ...]:
    """Delete the rows that hold any of it from every job's data, and seal that anew; which jobs that were.

    Damaged data, in which a row might be missed, is deleted as a whole. Raises StoreError.
    """
    found: list[Affected] = []
    for folder in _data_folders(home):
        with rewriting(folder):
            _drop_drafts(folder)
            reached = _look(folder, gone)
            if reached is None:
                continue
            try:
                if reached.damaged:
                    shutil.rmtree(folder)
                else:
                    _rewrite(folder, _without(gone))
            except OSError as error:
                raise StoreError(
                    f"{folder} cannot be rewritten ({error.strerror}). Free some space and forget again."
                ) from error
            found.append(reached)
    return tuple(found)


def rename(engine: Engine, home: Path, old: str, new: str) -> None:
    """Two accounts became one person: what jobs and versions know of the person `old` is `new`'s from now on.

    Else `new`, who is to be forgotten or takes consent back later, would not be found there. Raises StoreError.
    """
    for folder in _data_folders(home):
        with rewriting(folder):
            reached = _look(folder, Gone(old))
            if reached is None or reached.damaged:
                continue
            try:
                _rewrite(folder, lambda row: _renamed(row, old, new))
            except OSError as error:
                raise StoreError(f"{folder} cannot be rewritten ({error.strerror}). Free some space.") from error
    with writing(engine) as connection:
        if not sa.inspect(connection).has_table(versions.name):
            return
        for row in connection.execute(sa.select(versions.c.name, versions.c.persons).with_for_update()).all():
            if old in row.persons:
                persons_now = sorted({new if each == old else each for each in row.persons})
                connection.execute(versions.update().where(versions.c.name == row.name).values(persons=persons_now))


def flag_versions(engine: Engine, gone: Gone, why: str, jobs: Collection[str] = ()) -> tuple[str, ...]:
    """Flag every version that learned from any of it, or was made by one of `jobs`; their names, oldest first.

    The person's id is taken out of what a version is known to have learned from. Raises StoreError.
    """
    named: list[str] = []
    with writing(engine) as connection:
        if not sa.inspect(connection).has_table(versions.name):
            return ()
        query = sa.select(versions).order_by(versions.c.made, versions.c.name).with_for_update()
        for row in connection.execute(query).all():
            if not (gone.reaches_version(row.persons, row.documents, row.audiences) or row.job in jobs):
                continue
            changes: dict[str, object] = {"persons": [each for each in row.persons if each != gone.person]}
            if row.removed is None:
                named.append(row.name)
                changes["flagged"] = row.flagged or why
            connection.execute(versions.update().where(versions.c.name == row.name).values(changes))
    return tuple(named)


def purge(engine: Engine, folder: Path, tenant: str) -> int:
    """Delete from fresh data what was deleted from the store while it was prepared; how many rows went.

    Data is read before it is sealed, and whoever forgets in between finds nothing sealed yet; and on another machine
    nobody finds it. Raises StoreError, and DataRefused where there is no data.
    """
    with rewriting(folder):
        before = read_card(folder).erased
        origins = [row["origin"] for name in _FILES for row in read_rows(folder / name) if "origin" in row]
        people = {each for origin in origins for each in (origin["person"], *origin["others"]) if each.startswith("p-")}
        sources = {each for origin in origins for each in origin["documents"] if not each.startswith(GUIDE)}
        with reading(engine) as connection:
            agreed = connection.execute(sa.select(persons.c.id).where(persons.c.consent)).scalars()
            people -= set(agreed)
            there = sa.select(documents.c.source).where(documents.c.tenant == check_tenant(tenant))
            sources -= set(connection.execute(there).scalars())
        left = [*map(Gone, sorted(people)), *([Gone(tenant=tenant, documents=frozenset(sources))] if sources else ())]
        if any(is_of_file(origin["person"], origin["documents"]) for origin in origins):
            files = Gone(withheld=withheld(engine, tenant))
            left += [files] if any(files.reaches(row) for name in _FILES for row in read_rows(folder / name)) else []
        for gone in left:
            _rewrite(folder, _without(gone))
        return read_card(folder).erased - before


def _data_folders(home: Path) -> list[Path]:
    jobs = home / "jobs"
    return sorted(folder / "data" for folder in jobs.iterdir() if folder.is_dir()) if jobs.is_dir() else []


def _drop_drafts(folder: Path) -> None:
    """What a crash left of a rewriting holds rows too; who writes holds the lock."""
    recover_folder(folder)
    for draft in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(draft, ignore_errors=True)


def _look(folder: Path, gone: Gone) -> Affected | None:
    if not folder.exists():
        return None
    job = folder.parent.name
    try:
        read_manifest(folder)
        rows = sum(gone.reaches(row) for name in _FILES for row in read_rows(folder / name))
        card = read_card(folder)
    except (ValueError, KeyError, TypeError, AttributeError, DataRefused):
        return Affected(job, 0, damaged=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be read ({error.strerror}). Check its owner and rights.") from error
    learned = card.learned_from
    named = gone.reaches_version(learned.persons, learned.documents, learned.audiences)
    return Affected(job, rows) if rows or named else None


def _without(gone: Gone) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    return lambda row: None if gone.reaches(row) else row


def _renamed(row: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    if "origin" not in row:
        return row
    origin = row["origin"]
    person = new if origin["person"] == old else origin["person"]
    others = {new if each == old else each for each in origin["others"]} - {person}
    return row | {"origin": origin | {"person": person, "others": sorted(others)}}


def _rewrite(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    """change: what becomes of a row; None: it goes."""
    facts = read_manifest(folder)
    changed = {name: [change(row) for row in read_rows(folder / name)] for name in _FILES}
    kept = {name: [row for row in rows if row is not None] for name, rows in changed.items()}
    card = _card_of(read_card(folder), kept[TRAIN], len(kept[HELD_OUT]), len(kept[QUARANTINE]))

    def fill(fresh: Path) -> None:
        for name, rows in kept.items():
            write_rows(fresh / name, rows)
        (fresh / CARD).write_bytes(card.json())
        (fresh / CARD_TEXT).write_text(card.text(), encoding="utf-8")

    write_folder_atomically(folder, fill, facts | {"train": card.train, "held_out": card.held_out})


def _card_of(card: DataCard, train: Sequence[dict[str, Any]], held_out: int, quarantined: int) -> DataCard:
    origins = [row["origin"] for row in train]
    learned = Learned(
        tuple(sorted({each for origin in origins for each in (origin["person"], *origin["others"]) if each})),
        tuple(sorted({each for origin in origins for each in origin["documents"]})),
        tuple(sorted({each for origin in origins for each in origin["audiences"]})),
    )
    went = card.train + card.held_out + card.quarantined - len(train) - held_out - quarantined
    return replace(
        card,
        train=len(train),
        held_out=held_out,
        quarantined=quarantined,
        learned_from=learned,
        erased=card.erased + went,
    )


@dataclass(frozen=True, slots=True)
class Unlearned:
    """What a deletion reached. rows: gone from job data. versions: that learned it, and are flagged now."""

    rows: int = 0
    versions: tuple[str, ...] = ()

    def __add__(self, other: "Unlearned") -> "Unlearned":
        return Unlearned(self.rows + other.rows, tuple(dict.fromkeys(self.versions + other.versions)))


def unlearn(engine: Engine, home: Path, gone: Gone, why: str) -> Unlearned:
    """Erase it from the data of every job and flag the versions that learned it. Raises StoreError."""
    reached = erase(home, gone)
    flagged = flag_versions(engine, gone, why, [each.job for each in reached])
    return Unlearned(sum(each.rows for each in reached), flagged)


def unlearn_documents(engine: Engine, home: Path, tenant: str, sources: Collection[str]) -> Unlearned:
    """The same for documents that are deleted or given to fewer readers; Atelier's own guide is no secret."""
    named = frozenset(source for source in sources if not source.startswith(GUIDE))
    if not named:
        return Unlearned()
    gone = Gone(tenant=tenant, documents=named)
    return unlearn(engine, home, gone, "A document that it learned from was deleted or given to fewer readers.")
