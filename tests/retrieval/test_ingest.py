"""Folders in: what changed is read again, what vanished goes, whatever is interrupted can be repeated."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from retrieval.database import metadata, open_database, reading
from retrieval.errors import SettingsError, StoreError
from retrieval.folders import Scan, scan
from retrieval.ingest import Progress, ingest
from retrieval.tables import contents, documents, passages, roots, vectors
from tests.retrieval.knowing import EVERYONE, HashingEncoder, opened, put, sources


@pytest.fixture
def base(engine, tmp_path):
    with opened(engine, tmp_path / "index") as base:
        yield base


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "handbook"
    write(made / "leave.md", "# Leave\n\nEveryone has thirty days of leave.\n")
    write(made / "pay" / "bonus.txt", "The bonus is paid in March.\n")
    return made


def write(path: Path, text: str, age: float = 60) -> None:
    """A file as it was `age` seconds ago: fresher ones are not skipped by their times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    then = time.time_ns() - int(age * 1e9)
    os.utime(path, ns=(then, then))


def test_a_folder_becomes_documents_that_people_recognise(base, folder):
    steps: list[Progress] = []
    report = ingest([folder], base, tenant="acme", progress=steps.append)
    assert report.added == ("handbook/leave.md", "handbook/pay/bonus.txt")
    assert sources(base, "thirty days leave", k=1) == ["handbook/leave.md"]
    assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2)]


def test_a_repetition_reads_nothing_and_an_edit_reads_one_file(base, folder):
    ingest([folder], base, tenant="acme")
    again = ingest([folder], base, tenant="acme")
    assert (again.added, again.updated) == ((), ())
    assert again.unchanged == ("handbook/leave.md", "handbook/pay/bonus.txt")
    write(folder / "pay" / "bonus.txt", "The bonus is paid in April.\n")
    assert ingest([folder], base, tenant="acme").updated == ("handbook/pay/bonus.txt",)
    assert [p.text for p in base.search("bonus paid", EVERYONE, 1)] == ["The bonus is paid in April."]


def test_a_touched_file_is_unchanged_and_looked_at_once(base, folder, monkeypatch):
    ingest([folder], base, tenant="acme")
    os.utime(folder / "leave.md", (1_000_000_000, 1_000_000_000))
    assert ingest([folder], base, tenant="acme").unchanged[0] == "handbook/leave.md"
    monkeypatch.setattr("retrieval.ingest.sha256_of", lambda path: pytest.fail(f"{path} was read again"))
    ingest([folder], base, tenant="acme")


def test_an_edit_of_the_same_size_within_the_clock_s_tick_is_noticed(base, folder):
    now = time.time_ns() + 60 * 10**9  # however slow the machine, it is looked at within the tick
    for text in ("The office is in Oslo.", "The office is in Rome."):
        (folder / "office.txt").write_text(text)
        os.utime(folder / "office.txt", ns=(now, now))
        ingest([folder], base, tenant="acme")
    assert [p.text for p in base.search("the office is in", EVERYONE, 1)] == ["The office is in Rome."]


def test_files_that_left_the_folder_leave_the_base(base, folder, tmp_path):
    write(tmp_path / "other" / "menu.md", "Lunch is at noon.")
    put(base, "chat note", "A note from the chat.")
    ingest([folder, tmp_path / "other"], base, tenant="acme")
    (folder / "leave.md").unlink()
    shutil.rmtree(folder / "pay")
    report = ingest([folder], base, tenant="acme")
    assert report.removed == ("handbook/leave.md", "handbook/pay/bonus.txt")
    assert [each.source for each in base.shelf.documents("acme")] == ["chat note", "other/menu.md"]


def test_a_part_of_a_folder_may_be_ingested_alone(base, folder):
    ingest([folder], base, tenant="acme")
    write(folder / "pay" / "bonus.txt", "No bonus any more.")
    write(folder / "pay" / "new.txt", "A new rule.")
    report = ingest([folder / "pay"], base, tenant="acme")
    assert (report.added, report.updated) == (("handbook/pay/new.txt",), ("handbook/pay/bonus.txt",))
    (folder / "pay" / "new.txt").unlink()
    assert ingest([folder / "leave.md"], base, tenant="acme").unchanged == ("handbook/leave.md",)
    assert ingest([folder / "pay"], base, tenant="acme").removed == ("handbook/pay/new.txt",)


def test_the_folder_around_a_folder_keeps_its_names(base, folder, tmp_path):
    ingest([folder], base, tenant="acme")
    write(tmp_path / "company" / "about.md", "About us.")
    shutil.move(folder, tmp_path / "company" / "handbook")
    ingest([tmp_path / "company" / "handbook"], base, tenant="acme")
    report = ingest([tmp_path / "company"], base, tenant="acme")
    assert report.added == ("company/about.md",)


def test_two_folders_of_one_name_keep_their_documents_apart(base, folder, tmp_path):
    write(tmp_path / "team b" / "handbook" / "leave.md", "Team B has forty days.")
    ingest([folder], base, tenant="acme")
    report = ingest([tmp_path / "team b" / "handbook"], base, tenant="acme")
    assert report.added == ("team b/handbook/leave.md",)
    assert report.removed == ()
    assert len(base.shelf.documents("acme")) == 3
    assert ingest([folder], base, tenant="acme").removed == ()


def test_tenants_ingest_the_same_folder_each_for_itself(base, folder):
    ingest([folder], base, tenant="acme")
    ingest([folder], base, tenant="rival")
    (folder / "leave.md").unlink()
    ingest([folder], base, tenant="acme")
    assert [each.source for each in base.shelf.documents("rival")] == ["handbook/leave.md", "handbook/pay/bonus.txt"]


def test_a_plain_repetition_never_widens_who_may_read(base, folder):
    ingest([folder], base, tenant="acme", audience="hr")
    write(folder / "secret.md", "The new secret.")
    ingest([folder], base, tenant="acme")
    assert {each.audience for each in base.shelf.documents("acme")} == {"acme/hr"}
    ingest([folder / "pay"], base, tenant="acme", audience="board")
    write(folder / "pay" / "raise.txt", "The raise.")
    ingest([folder], base, tenant="acme")
    readers = {each.source: each.audience for each in base.shelf.documents("acme")}
    assert readers["handbook/pay/raise.txt"] == readers["handbook/pay/bonus.txt"] == "acme/board"
    assert readers["handbook/leave.md"] == "acme/hr"
    report = ingest([folder], base, tenant="acme", audience="everyone")
    assert "handbook/leave.md" in report.updated
    assert sources(base, "thirty days leave", k=1) == ["handbook/leave.md"]


def test_unreadable_files_are_reported_and_keep_their_last_readable_version(base, folder):
    ingest([folder], base, tenant="acme")
    (folder / "leave.md").write_bytes(b"\x00\x01\x02\x03" * 100)
    write(folder / "empty.txt", "")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    write(folder / "zebra.md", "Zebras are fine.")
    report = ingest([folder], base, tenant="acme")
    assert report.added == ("handbook/zebra.md",)
    assert {(each.source, each.kept) for each in report.unreadable} == {
        ("handbook/leave.md", True),
        ("handbook/empty.txt", False),
        ("handbook/broken.pdf", False),
    }
    assert all(each.reason.endswith(".") for each in report.unreadable)
    assert sources(base, "thirty days leave", k=1) == ["handbook/leave.md"]


def test_a_folder_that_cannot_be_looked_into_costs_nothing_else(base, folder):
    """As one without rights, which root may open all the same: a path within this one is longer than any may be."""
    deep = folder
    while (left := 4_090 - len(os.fsencode(deep))) > 0:
        deep = deep / ("d" * (left - 1 if left < 200 else min(200, left - 3)))
        deep.mkdir()
    before = len(scan(folder).files)
    assert before
    report = ingest([folder], base, tenant="acme")
    assert len(report.added) == before


def test_what_nobody_means_to_ingest_is_left_out(base, folder):
    for name in (".git/config.md", ".venv/readme.md", "env/lib/notes.txt", "node_modules/x/readme.md", ".hidden.md"):
        write(folder / name, "not a document")
    write(folder / "env" / "pyvenv.cfg", "home = /usr")
    write(folder / "~$leave.docx", "lock")
    write(folder / "photo.jpg", "picture")
    (folder / "loop").symlink_to(folder)
    (folder / "outside.md").symlink_to("/etc/hostname")
    report = ingest([folder], base, tenant="acme")
    assert report.added == ("handbook/leave.md", "handbook/pay/bonus.txt")
    assert (report.unreadable, report.ignored, report.ignored_kinds) == ((), 1, (".jpg",))


def test_the_kinds_of_files_that_are_not_read_are_named_most_frequent_first(base, folder):
    for name in ("a.PNG", "b.png", "c.mp4", "LICENSE"):
        write(folder / name, "no document")
    other = folder.parent / "other"
    write(other / "d.mp4", "no document")
    write(other / "e.mp4", "no document")
    report = ingest([folder, other], base, tenant="acme")
    assert (report.ignored, report.ignored_kinds) == (6, (".mp4", ".png", "no suffix"))


def test_a_named_file_of_an_unknown_kind_is_refused_with_a_sentence(base, folder):
    write(folder / "photo.jpg", "picture")
    report = ingest([folder / "photo.jpg"], base, tenant="acme")
    assert "does not read" in report.unreadable[0].reason


def test_a_path_that_is_not_there_changes_nothing(base, folder):
    with pytest.raises(SettingsError, match="no file or folder"):
        ingest([folder, folder / "missing"], base, tenant="acme")
    with pytest.raises(SettingsError, match="audience"):
        ingest([folder], base, tenant="acme", audience="h r")
    assert base.shelf.documents("acme") == ()


def test_identical_files_share_their_passages(base, folder, engine):
    write(folder / "copy of leave.md", (folder / "leave.md").read_text())
    report = ingest([folder], base, tenant="acme")
    assert (len(report.added), len(report.duplicates)) == (2, 1)
    with reading(engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(contents)).scalar_one() == 2


def test_a_file_name_that_is_no_text_is_no_obstacle(base, folder):
    strange = os.fsencode(folder) + b"/caf\xe9 \n.md"
    Path(os.fsdecode(strange)).write_text("The strange one.")
    report = ingest([folder], base, tenant="acme")
    assert any("caf" in source and "\n" not in source for source in report.added)
    assert ingest([folder], base, tenant="acme").removed == ()


def test_a_small_encoder_call_is_not_made_for_every_small_file(base, tmp_path):
    class Counting(HashingEncoder):
        calls = 0

        def __call__(self, texts):
            Counting.calls += 1
            return super().__call__(texts)

    for i in range(300):
        write(tmp_path / "notes" / f"{i}.txt", f"note number {i} about {i * 7}")
    base._encoder = Counting()
    ingest([tmp_path / "notes"], base, tenant="acme")
    assert Counting.calls == 4  # 32, 64, 128 and the rest: the first ones early, so that the encoder is not idle


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half(folder, tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'store.db'}")
    metadata.create_all(engine)
    with opened(engine, tmp_path / "index") as base:
        ingest([folder], base, tenant="acme")
        write(folder / "long.md", "\n\n".join(f"# Part {i}\n\n{'word ' * 50}{i}" for i in range(200)))
        with engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 5
        sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages}"))
        with pytest.raises(StoreError, match="disk is full"):
            ingest([folder], base, tenant="acme")
        assert len(base.shelf.documents("acme")) == 2
        assert sources(base, "thirty days leave", k=1) == ["handbook/leave.md"]
    engine.dispose()


FORKS = """
import json, os, sys, traceback
from pathlib import Path
from retrieval.database import open_database
from retrieval.ingest import ingest
from tests.retrieval.knowing import HashingEncoder, opened
import retrieval.knowledge
retrieval.knowledge.BATCH = 4
for line in sys.stdin:
    url, notes, index = json.loads(line)
    child = os.fork()  # before any thread runs here
    if not child:
        try:
            with opened(open_database(url), Path(index), HashingEncoder()) as base:
                print(os.getpid(), flush=True)
                ingest([Path(notes)], base, tenant="acme")
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def content_of(url: str) -> list[tuple[object, ...]]:
    engine = open_database(url)
    joined = documents.join(contents).join(passages).join(vectors)
    columns = (documents.c.source, documents.c.sha256, documents.c.audience, passages.c.ordinal, passages.c.text)
    with reading(engine) as connection:
        rows = connection.execute(sa.select(*columns, vectors.c.vector).select_from(joined)).all()
        orphans = (
            sa.select(sa.func.count())
            .select_from(contents)
            .where(~sa.exists().where(documents.c.content == contents.c.id))
        )
        assert connection.execute(orphans).scalar_one() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(roots)).scalar_one() == 1
    engine.dispose()
    return sorted(tuple(row) for row in rows)


def test_kill_9_at_any_moment_and_a_repetition_give_the_same_store(tmp_path):
    for i in range(60):
        write(tmp_path / "notes" / f"{i:02d}.md", f"# Note {i}\n\nAbout {i * 7}.\n\n# More\n\nText {i}.\n")

    def url(name: str) -> str:
        return f"sqlite:///{tmp_path / name}.db"

    for name in ("whole", "killed"):
        engine = open_database(url(name))
        metadata.create_all(engine)
        engine.dispose()
    command, pipe = [sys.executable, "-c", FORKS], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=Path(__file__).parents[2]) as forks:

        def run(name: str, seconds: float | None = None) -> tuple[int, float]:
            """Ingest in a process that is killed after so long, if it is; its exit status, and how long it took."""
            forks.stdin.write(json.dumps([url(name), str(tmp_path / "notes"), str(tmp_path / name)]) + "\n")
            forks.stdin.flush()
            child, began = int(forks.stdout.readline()), time.monotonic()
            if seconds is not None:
                time.sleep(seconds)
                with suppress(ProcessLookupError):  # it was faster
                    os.kill(child, signal.SIGKILL)
            return int(forks.stdout.readline()), time.monotonic() - began

        status, lasts = run("whole")
        assert status == 0
        # each run has less left to do than the one before
        killed = [run("killed", share * lasts)[0] for share in (0.1, 0.2, 0.4, 0.7)]
        assert -signal.SIGKILL in killed, f"nothing was killed, though a run lasts {lasts:.1f} s"
        assert run("killed")[0] == 0
        forks.stdin.close()
    assert content_of(url("killed")) == content_of(url("whole"))
    assert len(content_of(url("whole"))) == 120
    engine = open_database(url("killed"))
    with opened(engine, tmp_path / "killed") as base:
        assert sources(base, "Note 33 About 231", k=1) == ["notes/33.md"]
    engine.dispose()


def test_a_file_that_another_ingest_brings_after_the_scan_has_not_vanished(base, folder, monkeypatch):
    def scan_early(path: Path) -> Scan:
        found = scan(path)
        monkeypatch.undo()
        write(folder / "late.md", "A rule about lateness.\n")
        assert ingest([folder], base, tenant="acme").added == tuple(
            f"handbook/{name}" for name in ("late.md", "leave.md", "pay/bonus.txt")
        )
        return found

    monkeypatch.setattr("retrieval.ingest.scan", scan_early)
    assert ingest([folder], base, tenant="acme").removed == ()
    assert sources(base, "lateness", k=1) == ["handbook/late.md"]
