"""One pass for all who wait: calls that come in while another is running share the next.

A pass over eight short texts costs little more than one over a single text, so many conversations at once are served
by fewer passes, and one alone waits for nobody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class _Call(Generic[T, R]):
    items: Sequence[T]
    results: Sequence[R] = ()
    error: BaseException | None = None
    is_done: bool = False


class Batcher(Generic[T, R]):
    """Thread-safe. run: items to their results, in order. most: items in one pass, unless one call has more."""

    def __init__(self, run: Callable[[Sequence[T]], Sequence[R]], most: int) -> None:
        self._run = run
        self._most = most
        self.callers = 0  # of the pass that `run` makes: more than one where many ask at once
        self._waiting: list[_Call[T, R]] = []
        self._queueing = Lock()
        self._running = Lock()

    def __call__(self, items: Sequence[T]) -> Sequence[R]:
        """The results of `items`. Raises what `run` raised of a pass that they were in."""
        call = _Call[T, R](items)
        with self._queueing:
            self._waiting.append(call)
        with self._running:  # whoever comes in runs for those that wait behind
            while not call.is_done:
                self._pass()
        if call.error is not None:
            raise call.error
        return call.results

    def _pass(self) -> None:
        with self._queueing:
            count = size = 0
            for each in self._waiting:
                size += len(each.items)
                if count and size > self._most:
                    break
                count += 1
            calls, self._waiting = self._waiting[:count], self._waiting[count:]
        self.callers = len(calls)
        try:
            results = self._run([item for each in calls for item in each.items])
        except BaseException as error:  # noqa: BLE001 - it is raised to each who waits for it
            for each in calls:
                each.error, each.is_done = error, True
            return
        start = 0
        for each in calls:
            each.results = results[start : start + len(each.items)]
            each.is_done = True
            start += len(each.items)
