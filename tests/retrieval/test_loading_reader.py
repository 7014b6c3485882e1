"""The reading process: bounded in time and memory, replaced when it fails, and gone when its parent is."""

import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from retrieval.errors import UnreadableFile
from retrieval.loading import Reader, load
from retrieval.loading.worker import MEGABYTES


@pytest.fixture
def reader() -> Iterator[Reader]:
    with Reader() as opened:
        yield opened


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.md"
    path.write_text("# Title\n\nText, שלום, 中文, 🙂.\n\nQ: One?\nA: Two.\n", encoding="utf-8")
    return path


def pdf_with(content: bytes) -> bytes:
    """A PDF whose only page draws `content`, packed."""
    packed = zlib.compress(content, 9)
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<<>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(packed), packed),
    ]
    made = b"%PDF-1.4\n"
    places = []
    for number, part in enumerate(parts, start=1):
        places.append(b"%010d 00000 n \n" % len(made))
        made += b"%d 0 obj%sendobj\n" % (number, part)
    table = b"xref\n0 5\n0000000000 65535 f \n" + b"".join(places)
    return made + table + b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(made)


def peak_megabytes(reader: Reader) -> float:
    assert reader._worker is not None
    status = Path(f"/proc/{reader._worker._process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def test_reads_what_load_reads(reader: Reader, good: Path) -> None:
    assert reader.read(good) == load(good)


def test_passes_on_the_sentence(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "a.md").touch()
    with pytest.raises(UnreadableFile, match=r"^a\.md is empty\.$"):
        reader.read(tmp_path / "a.md")


def test_a_relative_path_and_any_bytes_in_a_name(reader: Reader, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Path(os.fsdecode(b"n\xff\n.md"))
    monkeypatch.chdir(good.parent)
    odd.write_bytes(good.read_bytes())
    assert reader.read(odd) == load(good)


def test_too_slow_a_file_is_given_up_and_the_next_is_read(reader: Reader, good: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.md").write_text("- a\n" * 2_000_000)
    began = time.monotonic()
    with pytest.raises(UnreadableFile, match=r"slow\.md took longer than 0\.5 seconds"):
        reader.read(tmp_path / "slow.md", seconds=0.5)
    assert time.monotonic() - began < 10  # with the start of the process
    assert reader.read(good).title == "Title"


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not bound a process's memory")
@pytest.mark.parametrize("name", ["bomb.pdf", "bomb.json"])
def test_too_much_memory_is_given_up_and_the_next_is_read(
    reader: Reader, good: Path, tmp_path: Path, name: str
) -> None:
    bomb = pdf_with(b"0 0 m 1 1 l S\n" * 20_000_000) if name == "bomb.pdf" else b"[" + b'{"":0},' * 6_000_000 + b"0]"
    (tmp_path / name).write_bytes(bomb)
    with pytest.raises(UnreadableFile, match=rf"{name} .*needed more than 512 MB"):
        reader.read(tmp_path / name)
    assert reader.read(good).title == "Title"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's peak memory")
def test_memory_stays_within_the_bound(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n" * 5_000_000)
    with suppress(UnreadableFile):
        reader.read(tmp_path / "a.csv", seconds=3)
    assert reader._worker is None or peak_megabytes(reader) <= MEGABYTES


def test_a_killed_worker_is_replaced(reader: Reader, good: Path) -> None:
    reader.read(good)
    assert reader._worker is not None
    reader._worker._process.send_signal(signal.SIGKILL)
    reader._worker._process.wait()
    assert reader.read(good).title == "Title"


def test_many_files_and_threads_share_one_reader(reader: Reader, good: Path) -> None:
    titles: list[str] = []
    threads = [
        threading.Thread(target=lambda: titles.extend(reader.read(good).title for _ in range(300))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert titles == ["Title"] * 1200


def test_the_worker_inherits_no_secrets_and_no_code(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-secret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lxml.py").write_text("raise SystemExit")
    (tmp_path / "markdown_it.py").write_text("raise SystemExit")
    with Reader() as reader:
        assert reader.read(good).title == "Title"
        assert reader._worker is not None
        environment = Path(f"/proc/{reader._worker._process.pid}/environ")
        if environment.exists():
            assert b"xoxb" not in environment.read_bytes()


def test_the_end_of_the_reader_is_the_end_of_its_process(good: Path) -> None:
    with Reader() as reader:
        reader.read(good)
        assert reader._worker is not None
        process = reader._worker._process
    assert process.poll() is not None


PARENT = """
import signal, sys, time
from pathlib import Path
from retrieval.loading import Reader
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
reader = Reader()
reader.read(Path(sys.argv[1]))
print(reader._worker._process.pid, flush=True)
reader.read(Path(sys.argv[2]), seconds=float(sys.argv[3]))
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_or_death_of_the_parent_leaves_no_orphan(good: Path, tmp_path: Path, end: signal.Signals) -> None:
    (tmp_path / "slow.md").write_text("- a\n" * 1_000_000)
    root = Path(__file__).parents[2]
    seconds = "60" if end == signal.SIGINT else "2"  # nobody ends the reading but the signal; or it by itself
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(good), str(tmp_path / "slow.md"), seconds],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    time.sleep(0.3)
    parent.send_signal(end)
    _, complaints = parent.communicate(timeout=20)
    assert complaints.count("Traceback") == (1 if end == signal.SIGINT else 0)  # the parent's own
    deadline = time.monotonic() + 60
    while _runs(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text() if Path("/proc").exists() else True
