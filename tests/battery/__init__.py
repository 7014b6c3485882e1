"""The reliability battery at full count: what the delivery contract promises, counted from outside.

A check is a module of `CHECKS` with `run(quick) -> Report`. `make battery` runs them all, prints a table each and
writes `tests/benchmarks/results/battery_<name>.json`. Only the emulators' record judges: what people see in the end.
"""

CHECKS = (
    "kills", "kills_real", "copies", "late", "trouble", "models", "stops", "workers", "fuzz", "load", "injection",
    "swap", "swap_mutations", "kills_training",
)  # fmt: skip
