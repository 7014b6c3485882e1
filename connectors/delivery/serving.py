"""Whether another process serves the same SQLite store: each holds a lock on a file beside it for as long as it lives.

The kernel lets go of the lock of a process that was killed, so nothing is ever guessed from ids or clocks. Where no
other is alive when one begins, all that was claimed is free at once, and nobody waits for a dead one's lease.
"""

import fcntl
import logging
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from sqlalchemy import Engine

log = logging.getLogger(__name__)

LOCK = "-serving"  # after the store's name


class Serving:
    """A context: from its beginning to its end this process serves. On PostgreSQL it is nothing: others may anyway."""

    def __init__(self, engine: Engine) -> None:
        self._path = engine.url.database if engine.dialect.name == "sqlite" else None
        self._file: IO[bytes] | None = None
        self._open = ExitStack()
        self.is_alone = False  # nobody else serves, and until `share` nobody begins to

    def __enter__(self) -> Self:
        if self._path:
            try:
                self._file = self._open.enter_context(Path(f"{self._path}{LOCK}").open("ab"))
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.is_alone = True
            except OSError:
                log.info("Another process serves this store, so what it has claimed is left to it.")
        return self

    def share(self) -> None:
        """Let others begin beside us. Blocks while one of them is at that point."""
        self.is_alone = False
        if self._file is not None:
            with suppress(OSError):  # a file system that knows no locks: then nobody is ever alone
                fcntl.flock(self._file, fcntl.LOCK_SH)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
