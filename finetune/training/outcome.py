"""What a training run says of itself: before it begins, while it goes on, and when it ends. Imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. loss: mean per learned token of the last step, nan before the first.

    held_out: the held-out loss, where it was measured just now. seconds_left: of the whole run, by its pace so far;
    nan while there is none.
    """

    step: int
    steps: int
    loss: float
    held_out: float | None
    tokens_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. adapter: its sealed folder, none if it was cancelled.

    first_loss, best_loss: held-out loss before training and of the adapter, nan without held-out examples.
    """

    adapter: Path | None
    ended: Literal["finished", "early", "cancelled"]
    steps: int
    best_step: int
    first_loss: float
    best_loss: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would take. tokens: of all examples once, trained_tokens: those of them that are learned.

    seconds: of the whole run with its evaluations. memory_bytes: at its peak, of the device that trains.
    """

    rows: int
    tokens: int
    trained_tokens: int
    steps: int
    seconds: float
    memory_bytes: int
    how: str
