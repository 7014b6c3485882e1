"""Ingest of a folder (walk, hash, read, cut, store, index) against the bare encoder on the same chunks."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from retrieval.database import metadata, open_database, reading
from retrieval.encoder import TransformerEncoder
from retrieval.ingest import ingest
from retrieval.knowledge import KnowledgeBase
from retrieval.store import texts_of, unencoded
from tests.benchmarks import Cell, Report
from tests.benchmarks.bench_index import DATA, lines


def write_folder(folder: Path, files: int) -> int:
    """SQuAD's passages as Markdown, one small file a passage or one larger file an article; how many passages."""
    if (DATA / "squad").is_dir():
        passages = [(row["title"].replace("_", " "), row["text"]) for row in lines("squad/dev_v1.1.passages")]
    else:
        passages = [(f"Title {i}", f"Passage {i} speaks of subject {i * 7}. " * 12) for i in range(2_000)]
    passages = passages[:files]
    for i, (title, text) in enumerate(passages):
        path = folder / title.replace("/", "-") / f"{i}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {title}\n\n{text}\n", encoding="utf-8")
    return len(passages)


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processors: this process's and those of the readers that it ended."""
    clock, processor = time.perf_counter(), sum(os.times()[:4])
    call()
    return time.perf_counter() - clock, sum(os.times()[:4]) - processor


def run(quick: bool) -> Report:
    """quick: 100 files once instead of 750 twice."""
    encoder = TransformerEncoder()
    encoder(["warm up " * 100] * 32)  # the memory of a full pass, too: whoever comes first would pay for it
    files, repeats = (100, 1) if quick else (750, 2)
    bare: list[tuple[float, float]] = []
    whole: list[tuple[float, float]] = []
    again: list[float] = []
    chunks = 0
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "squad"
            write_folder(folder, files)
            engine = open_database(f"sqlite:///{name}/store.db")
            metadata.create_all(engine)
            base = KnowledgeBase(engine, Path(name) / "index", encoder)
            whole.append(timed(lambda: ingest([folder], base, tenant="acme")))  # noqa: B023 - called at once
            again.append(timed(lambda: ingest([folder], base, tenant="acme"))[0])  # noqa: B023 - called at once
            with reading(engine) as connection:
                texts = list(texts_of(connection, unencoded(connection, "nobody's", -1, 10**6)).values())
            chunks = len(texts)
            bare.append(timed(lambda: encoder(texts)))  # noqa: B023 - called at once
            base.close()
            engine.dispose()
    rate = statistics.median(chunks / seconds for seconds, _ in whole)
    limit = statistics.median(chunks / seconds for seconds, _ in bare)
    alone = statistics.median(processor for _, processor in bare)
    row: dict[str, Cell] = {
        "files": files,
        "chunks": chunks,
        "bare encoder, chunks/s": limit,
        "ingest, chunks/s": rate,
        "share": rate / limit,
        "share of processor time": alone / statistics.median(processor for _, processor in whole),
        "nothing changed, s": statistics.median(again),
    }
    return Report(
        name="ingest",
        question="How near does the ingest of many small files come to the bare encoder? (goal: 0.90)",
        rows=[row],
        notes=(
            "Small Markdown files on a SQLite store, the index saved at the end; texts of SQuAD v1.1 dev.",
            "Share of processor time: what the bare encoder takes of what the ingest does, with the process that reads",
            "counted in: beside other work it says more than the clock.",
        ),
    )
