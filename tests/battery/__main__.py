"""`python -m tests.battery [--quick] [NAME ...]`: run, print, and write the results."""

import argparse
import importlib
from typing import TYPE_CHECKING

from rich.console import Console

from tests.battery import CHECKS
from tests.benchmarks.__main__ import HERE, as_json, machine, print_report

if TYPE_CHECKING:
    from tests.benchmarks import Report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(CHECKS)} (all)")
    parser.add_argument("--quick", action="store_true", help="small counts; nothing is written")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(CHECKS)
    if unknown:
        parser.error(f"no check called {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    console, facts = Console(), machine()
    for name in chosen.names or CHECKS:
        report: Report = importlib.import_module(f"tests.battery.{name}").run(chosen.quick)
        print_report(report, console)
        if not chosen.quick:
            path = HERE / "results" / f"battery_{name}.json"
            path.write_text(as_json(report, facts, quick=False))


if __name__ == "__main__":
    main()
