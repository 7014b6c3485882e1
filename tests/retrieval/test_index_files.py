"""What is on the disk is the old index or the new one, and any change to it is noticed."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from retrieval.cutoffs import Cutoffs
from retrieval.errors import IndexCorrupt, StoreError
from retrieval.files import MANIFEST
from retrieval.index import VectorIndex
from retrieval.passage import Vectors
from tests.retrieval.damage import MUTATORS

DIM = 24
NEVER = 10**9
MUTATIONS = 500
CUTOFFS = {
    "flat": Cutoffs(NEVER, NEVER, NEVER),
    "scan": Cutoffs(0, NEVER, NEVER),
    "inverted": Cutoffs(0, 1, NEVER),
}


def unit(rows: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((rows, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def filled(rows: int = 300, cutoffs: Cutoffs = CUTOFFS["scan"]) -> VectorIndex:
    index = VectorIndex(DIM, cutoffs=cutoffs)
    index.add(np.arange(rows), unit(rows))
    index.compact()
    return index


def assert_same_answers(index: VectorIndex, other: VectorIndex) -> None:
    np.testing.assert_array_equal(index.ids, other.ids)
    for found, expected in zip(index.search(unit(5, 1), 20), other.search(unit(5, 1), 20), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", CUTOFFS)
def test_a_saved_index_answers_as_before_and_can_change_again(tmp_path: Path, kind: str) -> None:
    index = filled(cutoffs=CUTOFFS[kind])
    index.remove(np.arange(0, 300, 7))
    index.save(tmp_path / "index", {"encoder": "e", "generation": 3})
    loaded = VectorIndex.load(tmp_path / "index", cutoffs=CUTOFFS[kind])
    assert loaded.facts == {"encoder": "e", "generation": 3}
    assert_same_answers(loaded, index)
    for each in (loaded, index):  # the mapped vectors are read-only, the index on top is not
        assert each.remove(np.arange(50)) == 42
        each.add(np.arange(20, 60) * 7, unit(40, 2))
    assert_same_answers(loaded, index)
    loaded.save(tmp_path / "index", {"generation": 4})
    assert_same_answers(VectorIndex.load(tmp_path / "index", cutoffs=CUTOFFS[kind]), index)


def test_an_empty_index_can_be_saved_and_loaded(tmp_path: Path) -> None:
    VectorIndex(DIM).save(tmp_path / "index", {})
    assert len(VectorIndex.load(tmp_path / "index")) == 0


def test_loading_maps_the_vectors_read_only(tmp_path: Path) -> None:
    filled().save(tmp_path / "index", {})
    vectors = VectorIndex.load(tmp_path / "index")._segments.snapshot().base
    assert not vectors.flags.writeable
    assert not vectors.flags.owndata


def test_every_mutation_of_the_saved_files_is_detected(tmp_path: Path) -> None:
    """RELIABILITY.md battery 19."""
    folder = tmp_path / "index"
    filled().save(folder, {"generation": 1})
    sound = {path.name: path.read_bytes() for path in folder.iterdir()}
    undetected = []
    for seed in range(MUTATIONS):
        random = np.random.default_rng(seed)
        mutate = MUTATORS[seed % len(MUTATORS)]
        victim = sorted(sound)[int(random.integers(len(sound)))]
        mutate(folder / victim, random)
        try:
            VectorIndex.load(folder)
        except IndexCorrupt:
            pass
        else:
            undetected.append((mutate.__name__, victim, seed))
        for path in folder.iterdir():
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
        for name, content in sound.items():
            (folder / name).write_bytes(content)
    assert undetected == []
    assert len(VectorIndex.load(folder)) == 300


def test_every_byte_of_the_manifest_counts(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    filled(3).save(folder, {"generation": 1})
    content = (folder / MANIFEST).read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] = ord(" ") if changed[place] != ord(" ") else ord("\t")
        (folder / MANIFEST).write_bytes(changed)
        with pytest.raises(IndexCorrupt):
            VectorIndex.load(folder)


def test_a_missing_folder_and_a_file_in_its_place_are_corrupt_indexes(tmp_path: Path) -> None:
    with pytest.raises(IndexCorrupt, match="Fill it again"):
        VectorIndex.load(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(IndexCorrupt):
        VectorIndex.load(tmp_path / "file")


CRASH = """
import os, signal, sys
from pathlib import Path
import numpy as np
from tests.retrieval.test_index_files import filled
folder = Path(sys.argv[1])
index = filled()
index.save(folder, {"generation": 0})
index.remove(np.arange(100))
point = 0
while True:
    child = os.fork()
    if not child:
        seen = 0
        def count(event, arguments):
            global seen
            if event.split(".")[0] in {"open", "os", "shutil", "tempfile"} and event != "os.kill":
                seen += 1
                if seen > point:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        index.save(folder, {"generation": point + 1})
        os._exit(0)
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    print(point, killed, flush=True)
    if not killed or sys.stdin.readline() == "":
        break
    point += 1
"""


def test_a_save_killed_at_any_point_leaves_the_old_index_or_the_new_one(tmp_path: Path) -> None:
    """Python reports each file operation of a save to an audit hook, and there a child process kills itself."""
    folder = tmp_path / "index"
    with subprocess.Popen(
        [sys.executable, "-c", CRASH, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        generations = []
        for line in process.stdout:
            point, killed = line.split()
            loaded = VectorIndex.load(folder)
            generations.append(int(str(loaded.facts["generation"])))
            assert len(loaded) == (200 if generations[-1] else 300)
            assert generations[-1] in {0, *generations[:-1], int(point) + 1}
            if killed == "False":
                break
            process.stdin.write("on\n")
            process.stdin.flush()
    assert len(generations) > 20, "the hook saw no file operations"
    assert generations[0] == 0
    assert generations[-1] == len(generations)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".old"] == []


def test_a_crash_between_the_two_renames_is_undone_by_loading_and_by_saving(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    filled().save(folder, {"generation": 1})
    folder.rename(tmp_path / ".index.old")
    assert VectorIndex.load(folder).facts == {"generation": 1}
    folder.rename(tmp_path / ".index.old")
    filled(5).save(folder, {"generation": 2})
    assert VectorIndex.load(folder).facts == {"generation": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_drafts_of_crashed_saves_are_dropped_after_a_day_and_neighbours_never(tmp_path: Path) -> None:
    for name in (".index.abcd1234", ".index.efgh5678", ".index.words.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("x")
    for name in (".index.abcd1234", ".index.words.old"):
        os.utime(tmp_path / name, (0, 0))
    filled(3).save(tmp_path / "index", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [".index.efgh5678", ".index.words.old", "index"]


@pytest.mark.parametrize("kilobytes", [1, 20, 31, 40])
def test_a_full_disk_leaves_the_old_index_and_says_so(tmp_path: Path, kilobytes: int) -> None:
    """A limit on the size of a file stands for a full disk: both fail in the middle of a write."""
    folder = tmp_path / "index"
    filled(3).save(folder, {"generation": 1})
    large = filled(2000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, hard))
    try:
        with pytest.raises(StoreError, match=r"could not be saved.*still there"):
            large.save(folder, {"generation": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    assert VectorIndex.load(folder).facts == {"generation": 1}
    assert len(large.search(unit(1), 5)[1]) == 1
    large.save(folder, {"generation": 2})
    assert len(VectorIndex.load(folder)) == 2000
