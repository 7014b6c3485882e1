"""Batteries 18 and 20 in short."""

import pytest

from tests.battery import swap, swap_mutations

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft 0.21 on this torch


def test_changing_versions_under_load_costs_and_mixes_nothing() -> None:
    row = swap.run(quick=True).rows[0]
    assert int(row["replies"]) > 10
    assert (row["failed"], row["not its version's words"], row["problems"]) == (0, 0, 0)
    assert float(row["slowest rollback s"]) < 5
    assert int(row["versions that answered"]) >= 2


def test_nothing_that_was_tampered_with_is_served() -> None:
    for row in swap_mutations.run(quick=True).rows:
        assert (row["served"], row["crashed"]) == (0, 0), row
        assert row["refused"] == row["mutations"]
