"""Group commit: threads of one process that want to write at the same time share one transaction of SQLite's.

Each has its turn inside it, in a savepoint of its own, so that one that fails takes back only what it wrote itself.
Whoever finds nobody waiting commits for all; nobody goes on before what it wrote is on the disk.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock

from sqlalchemy import Connection, NestedTransaction, RootTransaction
from sqlalchemy.exc import SQLAlchemyError

from retrieval.errors import StoreBusy

MOST = 64  # turns in one transaction
LONGEST = 0.1  # seconds from which it takes in nobody more: those in it wait for it
_LOOK = 0.2  # seconds after which somebody who waits looks whether the one to commit has given up


@dataclass(slots=True)
class _Group:
    """One transaction. done: it has ended, with `error` unless it was committed."""

    connection: Connection
    transaction: RootTransaction
    began: float = field(default_factory=time.monotonic)
    turns: int = 0
    error: BaseException | None = None
    done: Event = field(default_factory=Event)


class Shared:
    """The writers of one engine. Its lock is held by whoever has its turn; what it guards is changed only then."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._counting = Lock()
        self._waiting = 0
        self._open: _Group | None = None

    @contextmanager
    def writing(self, connect: Callable[[], Connection], patience: float) -> Iterator[Connection]:
        """A turn, committed with others' at the end. patience: seconds to wait for it; then StoreBusy is raised."""
        self._take_turn(patience)
        try:
            group = self._open = self._open or _begun(connect)
            savepoint = group.connection.begin_nested() if group.turns else None  # the first has nobody to spare
        except BaseException:
            self._end_turn()
            raise
        try:
            yield group.connection
            if savepoint is not None:
                savepoint.commit()
        except BaseException as error:
            self._take_back(group, savepoint, error)
            raise
        else:
            group.turns += 1
        finally:
            self._end_turn()
        self._wait(group)

    def _take_turn(self, patience: float) -> None:
        with self._counting:
            self._waiting += 1
        has_it = self._turn.acquire(timeout=patience)
        with self._counting:
            self._waiting -= 1
        if not has_it:
            raise StoreBusy("The store has been written to for too long by another task. Try again.")

    def _end_turn(self) -> None:
        group = self._open
        if group is not None:
            is_full = group.turns >= MOST or time.monotonic() > group.began + LONGEST
            if is_full or not self._waiting:
                self._close(group)
        self._turn.release()

    def _take_back(self, group: _Group, savepoint: NestedTransaction | None, error: BaseException) -> None:
        """Undo one turn. Where SQLite has undone the whole transaction, as on a full disk, all of it has failed."""
        if savepoint is None:
            self._close(group, error)
            return
        try:
            savepoint.rollback()
        except SQLAlchemyError as lost:
            self._close(group, lost)

    def _close(self, group: _Group, error: BaseException | None = None) -> None:
        """End the transaction: by a commit, unless `error` says why not."""
        self._open = None
        try:
            if error is None:
                group.transaction.commit()
        except BaseException as failed:  # noqa: BLE001 - it is raised to each who waits for it
            error = failed
        finally:
            group.error = error
            group.connection.close()  # rolls back what was not committed
            group.done.set()

    def _wait(self, group: _Group) -> None:
        while not group.done.wait(_LOOK):  # who was to take the turn may have lost its patience
            if self._turn.acquire(blocking=False):
                self._end_turn()
        if group.error is not None:
            raise group.error


def _begun(connect: Callable[[], Connection]) -> _Group:
    connection = connect()
    try:
        return _Group(connection, connection.begin())
    except BaseException:
        connection.close()
        raise
