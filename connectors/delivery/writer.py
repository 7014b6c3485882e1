"""Group commit: what many conversations want to write goes into the store in one transaction after the other.

A commit costs milliseconds (the disk), and SQLite takes one writer at a time. So the jobs that have come in while one
transaction was committed share the next.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from retrieval.database import writing

T = TypeVar("T")
Job = Callable[[Connection], T]
Step = Job[object]


@dataclass(frozen=True, slots=True)
class _Waiting:
    job: Job[Any]
    done: "Future[Any]"


class Writer:
    """Runs write jobs of one process. A job may run twice, so it does nothing but read and write the connection."""

    def __init__(self, engine: Engine, first: Step | None = None) -> None:
        """first: begins each transaction, as a lock that its jobs take must be taken before they write anything."""
        self._engine = engine
        self._first = first
        self._lock = Lock()
        self._waiting: list[_Waiting] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="delivery")

    async def __call__(self, job: Job[T]) -> T:
        """The result of `job`, committed. Raises what it raised, with nothing of it written, or StoreError."""
        waiting = _Waiting(job, Future())
        with self._lock:
            self._waiting.append(waiting)
        self._thread.submit(self._commit)
        result: T = await asyncio.wrap_future(waiting.done)
        return result

    def close(self) -> None:
        self._thread.shutdown()

    def _commit(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            self._run(batch)
        except Exception:  # noqa: BLE001 - one of them failed: each again by itself, so that it fails alone
            for each in batch:
                try:
                    self._run([each])
                except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for it
                    _settle(each.done, error)

    def _run(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        with writing(self._engine) as connection:
            if self._first is not None:
                self._first(connection)
            results = [each.job(connection) for each in batch]
        for each, result in zip(batch, results, strict=True):
            _settle(each.done, result)


def _settle(future: "Future[Any]", result: object) -> None:
    if not future.set_running_or_notify_cancel():  # whoever waited is gone; what was written stays written
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
