"""The gate: what was trained is measured against what serves, and a regression does not pass."""
