"""`python -m tests.benchmarks [--quick] [NAME ...]`: run, print, and write results/NAME.json."""

import argparse
import datetime as dt
import importlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from tests.benchmarks import Cell, Report

HERE = Path(__file__).parent


def machine() -> dict[str, Cell]:
    """The machine and the libraries a figure was taken with."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    libraries = {name: version(name) for name in ("torch", "transformers", "numpy")}
    cores = {"processor": processor, "cores": os.cpu_count() or 0, **gpus()}
    return {**cores, "python": platform.python_version(), **libraries}


def gpus() -> dict[str, Cell]:
    """The names of the NVIDIA GPUs here, if any."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return {}
    asked = [tool, "--query-gpu=name", "--format=csv,noheader"]
    names = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split("\n")
    return {"gpu": ", ".join(filter(None, names))}


def shown(value: Cell | None) -> str:
    return (
        ""
        if value is None
        else f"{value:,.4g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else value
    )


def print_report(report: Report, console: Console) -> None:
    """A table where the console is wide enough for one, else a paragraph for each row."""
    table = Table(title=f"{report.name}: {report.question}", title_justify="left")
    columns: dict[str, None] = {key: None for row in report.rows for key in row}
    for column in columns:
        numeric = all(not isinstance(row.get(column), str) for row in report.rows)
        table.add_column(column, justify="right" if numeric else "left")
    for row in report.rows:
        table.add_row(*(shown(row.get(column)) for column in columns))
    if console.measure(table, options=console.options.update(max_width=10_000)).minimum <= console.width:
        console.print(table)
    else:
        console.print(table.title, style="italic")
        for row in report.rows:
            cells = [f"{column} {shown(value)}" for column, value in row.items() if value != ""]
            console.print(Padding(" · ".join(cells), (1, 0, 0, 2)), highlight=False)
    for note in report.notes:
        console.print(f"  {note}")


def as_json(report: Report, facts: Mapping[str, Cell], *, quick: bool) -> str:
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    content = {
        "name": report.name,
        "question": report.question,
        "date": today,
        "machine": facts,
        "quick": quick,
        "rows": [dict(row) for row in report.rows],
        "notes": list(report.notes),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def write(report: Report, facts: Mapping[str, Cell]) -> None:
    """Keep a whole run's report as results/NAME.json."""
    path = HERE / "results" / f"{report.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(as_json(report, facts, quick=False))


def main() -> None:
    names = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names)} (all)")
    parser.add_argument("--quick", action="store_true", help="small sizes; nothing is written")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(names)
    if unknown:
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    console, facts = Console(), machine()
    for name in chosen.names or names:
        report: Report = importlib.import_module(f"tests.benchmarks.bench_{name}").run(chosen.quick)
        print_report(report, console)
        if report.rows and not chosen.quick:  # without rows it could not be measured here
            write(report, facts)


if __name__ == "__main__":
    main()
