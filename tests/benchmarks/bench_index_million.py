"""The vector index against bare FAISS at 200,000 and a million rows: `index` goes on here, for as long as it takes."""

from tests.benchmarks import Report
from tests.benchmarks.bench_index import measured


def run(quick: bool) -> Report:
    """quick: 20,000 rows."""
    return measured("index_million", 2_000 if quick else 20_000, (20_000,) if quick else (200_000, 1_000_000))
