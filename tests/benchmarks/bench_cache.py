"""Battery 19 on the store's index cache: is every damage seen, and does the rebuilt cache answer the same?"""

import tempfile
from pathlib import Path

from retrieval.database import metadata, open_database
from tests.benchmarks import Report
from tests.retrieval.damage import MUTATORS, mutate_often


def run(quick: bool) -> Report:
    """quick: 20 damages instead of 500."""
    count = 20 if quick else 500
    with tempfile.TemporaryDirectory() as name:
        engine = open_database(f"sqlite:///{name}/store.db")
        metadata.create_all(engine)
        wrong = mutate_often(engine, Path(name) / "index", count)
        engine.dispose()
    return Report(
        name="cache",
        question="Is every damage of the index cache noticed and mended? (goal: all of 500)",
        rows=[{"damages": count, "not noticed, or answered otherwise": len(wrong)}],
        notes=(
            f"Kinds: {', '.join(dict.fromkeys(each.__name__ for each in MUTATORS))}; of any file of both indexes.",
            "After each, one opening must give one notice and the same passages and scores, the next none.",
            *wrong[:20],
        ),
    )
