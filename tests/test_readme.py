"""The README says what the code says."""

import re

import pytest

from connectors.cli import parser
from tests.readme import README, ROOT, written


def test_the_written_parts_are_up_to_date() -> None:
    text = README.read_text("utf-8")
    assert written(text) == text, "run `python -m tests.readme`"


@pytest.mark.parametrize("path", [README, *sorted((ROOT / "connectors" / "guide").glob("*.md"))], ids=lambda p: p.name)
def test_every_command_shown_exists(path) -> None:
    """Each `atelier …` line parses as it stands."""
    shown = re.findall(r"(?m)^(?:echo .*\| )?atelier ([a-z][^#\n|]*)", path.read_text("utf-8"))
    for line in shown:
        arguments = re.findall(r'"[^"]*"|\S+', line)
        parser().parse_args(arguments)
