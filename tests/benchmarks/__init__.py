"""Benchmarks: each measures Atelier against its limit and against what a user would pick instead, in one run.

A benchmark is a module `bench_<name>.py` with `run(quick) -> Report`. `make bench` runs them all, prints a table each
and writes `results/<name>.json`. They are measurements, never timed tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Report:
    """A benchmark's result. rows share their keys, which become the table's columns. notes: what a reader must know."""

    name: str
    question: str
    rows: Sequence[Mapping[str, Cell]]
    notes: Sequence[str] = field(default_factory=tuple)
