"""Battery 16 on the ground floor: the disk is full, or fails, at each write of an ingest and of its index cache."""

import resource
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from retrieval.database import metadata, open_database
from retrieval.errors import StoreError
from retrieval.ingest import ingest
from tests.benchmarks import Cell, Report
from tests.retrieval.knowing import EVERYONE, opened

STEP = 4096  # bytes: a page of the store
BEFORE, AFTER = 20, 60  # documents
QUERIES = ("note 7 about country 49", "holiday rule of note 30", "custom 91")


def run(quick: bool) -> Report:
    """quick: every 16th point."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "notes", BEFORE)
        before, whole = folder / "before", folder / "whole"
        before.mkdir()
        _ingest(before, folder / "notes")
        _write(folder / "notes", AFTER)
        shutil.copytree(before, whole)
        sizes = _largest(whole, folder / "notes")
        expected = _answers(whole)
        counts = {
            "failed, said so": 0,
            "failed otherwise": 0,
            "went through": 0,
            "damaged": 0,
            "not whole when repeated": 0,
        }
        points = range(0, sizes + STEP, STEP * (16 if quick else 1))
        for limit in points:
            _point(folder, limit, expected, counts)
    row: dict[str, Cell] = {"points": len(points), "largest file, kB": sizes // 1024, **counts}
    return Report(
        name="disk",
        question="Does a disk that fails at any write damage the store or its index? (goal: 0 damaged)",
        rows=[row],
        notes=(
            "A store of 20 documents takes 40 more and saves its index, while no file may grow beyond a limit that",
            f"rises by {STEP} bytes from point to point: the write that would go beyond fails, of the store, of its",
            "journal or of an index file. Damaged: SQLite finds fault, a document is not whole, or a search finds what",
            "no document says. Then the ingest is repeated without a limit, and must give what it gives undisturbed.",
        ),
    )


def _point(folder: Path, limit: int, whole: list[list[str]], counts: dict[str, int]) -> None:
    home = folder / "tried"
    shutil.copytree(folder / "before", home)
    try:
        with _no_larger(limit):
            try:
                _ingest(home, folder / "notes")
                counts["went through"] += 1
            except StoreError:
                counts["failed, said so"] += 1
            except OSError:
                counts["failed otherwise"] += 1
        counts["damaged"] += not _is_sound(home) or not {text for found in _answers(home) for text in found} <= TEXTS
        _ingest(home, folder / "notes")
        counts["not whole when repeated"] += _answers(home) != whole
    finally:
        shutil.rmtree(home)


def _note(i: int) -> tuple[str, str]:
    return f"About country {i * 7}.", f"Holiday rule of note {i}, custom {i * 13}."


TEXTS = {text for i in range(AFTER) for text in _note(i)}


def _write(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for i in range(count):
        about, rule = _note(i)
        (folder / f"{i}.md").write_text(f"# Note {i}\n\n{about}\n\n# Rules\n\n{rule}\n", encoding="utf-8")


def _ingest(home: Path, notes: Path) -> None:
    engine = open_database(f"sqlite:///{home / 'store.db'}")
    try:
        metadata.create_all(engine)
        with opened(engine, home / "index") as base:
            ingest([notes], base, tenant="acme")
    finally:
        engine.dispose()


def _largest(home: Path, notes: Path) -> int:
    _ingest(home, notes)
    return max(path.stat().st_size for path in home.rglob("*") if path.is_file())


def _answers(home: Path) -> list[list[str]]:
    engine = open_database(f"sqlite:///{home / 'store.db'}")
    try:
        with opened(engine, home / "index", notice=lambda _: None) as base:
            found = [base.search(query, EVERYONE, 10) for query in QUERIES]
    finally:
        engine.dispose()
    return [[each.text for each in passages] for passages in found]


def _is_sound(home: Path) -> bool:
    engine = open_database(f"sqlite:///{home / 'store.db'}")
    try:
        with engine.connect() as connection:
            checked = connection.execute(sa.text("PRAGMA integrity_check")).scalar_one()
            dangling = connection.execute(sa.text("PRAGMA foreign_key_check")).all()
            cut = "SELECT count(*) FROM passages WHERE passages.content = documents.content"
            halves = connection.execute(sa.text(f"SELECT count(*) FROM documents WHERE ({cut}) <> 2")).scalar_one()
    finally:
        engine.dispose()
    return bool(checked == "ok" and not dangling and not halves)


@contextmanager
def _no_larger(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: a write beyond it fails as on a disk that fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
