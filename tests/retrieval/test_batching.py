"""Calls that wait share a pass; each gets its own results, or the error of its own pass."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from retrieval.batching import Batcher


class Doubler:
    """Doubles numbers; the first pass waits until `go` is set. A pass with a negative number fails."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.callers: list[int] = []
        self.batcher: Batcher[int, int] | None = None
        self.began, self.go = threading.Event(), threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.passes.append(list(items))
        self.callers.append(self.batcher.callers if self.batcher else 0)
        self.began.set()
        assert self.go.wait(10)
        if min(items) < 0:
            raise ValueError(f"{len(items)} items")
        return [2 * item for item in items]


def behind_a_first(run: Doubler, calls: Sequence[Sequence[int]], most: int) -> list[Future[Sequence[int]]]:
    """The outcomes of `calls` made, in order, while a first pass is running."""
    batcher = run.batcher = Batcher(run, most)
    with ThreadPoolExecutor(len(calls) + 1) as threads:
        first = threads.submit(batcher, [0])
        assert run.began.wait(10)
        outcomes = []
        for number, call in enumerate(calls):
            outcomes.append(threads.submit(batcher, call))
            while len(batcher._waiting) <= number:
                pass
        run.go.set()
        assert first.result(10) == [0]
    return outcomes


def test_those_who_wait_share_a_pass_and_get_their_own() -> None:
    run = Doubler()
    outcomes = behind_a_first(run, [[1], [2, 3], [4]], most=8)
    assert [each.result() for each in outcomes] == [[2], [4, 6], [8]]
    assert run.passes == [[0], [1, 2, 3, 4]]
    assert run.callers == [1, 3]


def test_a_pass_takes_no_more_than_it_should() -> None:
    run = Doubler()
    outcomes = behind_a_first(run, [[1, 2], [3], [4, 5, 6, 7]], most=3)
    assert [each.result() for each in outcomes] == [[2, 4], [6], [8, 10, 12, 14]]
    assert run.passes == [[0], [1, 2, 3], [4, 5, 6, 7]]


def test_an_error_goes_to_those_of_its_pass_only() -> None:
    run = Doubler()
    outcomes = behind_a_first(run, [[-1], [1], [2]], most=2)
    assert [str(each.exception()) for each in outcomes] == ["2 items", "2 items", "None"]
    assert outcomes[2].result() == [4]
