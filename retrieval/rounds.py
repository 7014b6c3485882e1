"""One round of reading sources at a time, of all processes over one store.

The lock is the kernel's (a file beside SQLite's) or the server's (PostgreSQL, for as long as the connection lives), so
a process that was killed holds up nobody, and nothing is guessed from clocks.
"""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from retrieval.database import is_in_memory, mapped
from retrieval.errors import SourcesBusy, StoreError

LOCK = "-sources"  # after the store's name
_LOCK = 0x7E11E150  # the first of the two numbers of PostgreSQL's advisory lock, any of our own below 2 ** 31
_BUSY = "Another process is reading the sources just now. Try again when it is done."


@contextmanager
def alone(engine: Engine, tenant: str) -> Iterator[None]:
    """While no other process, and no other thread, reads the sources of a tenant. Raises SourcesBusy while one does."""
    if engine.dialect.name == "postgresql":
        with _on_server(engine, tenant):
            yield
    elif is_in_memory(engine.url):  # nobody else has it
        yield
    else:
        with _beside(Path(f"{engine.url.database}{LOCK}")):
            yield


@asynccontextmanager
async def alone_beside_others(engine: Engine, tenant: str) -> AsyncIterator[None]:
    """As `alone`, for an event loop, which goes on while the lock is taken and given back. Raises SourcesBusy."""
    held = ExitStack()
    taking = asyncio.ensure_future(asyncio.to_thread(held.enter_context, alone(engine, tenant)))
    try:
        await asyncio.shield(taking)
    except asyncio.CancelledError:
        taking.add_done_callback(lambda _: held.close())  # the thread takes it all the same
        raise
    try:
        yield
    finally:
        await asyncio.to_thread(held.close)


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    try:
        file = path.open("ab")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SourcesBusy(_BUSY) from None
        except OSError:  # a file system that knows no locks: then there is none
            pass
        yield


@contextmanager
def _on_server(engine: Engine, tenant: str) -> Iterator[None]:
    """By a connection of its own, without a transaction: a round may take minutes."""
    key = sa.func.hashtext(tenant)
    with mapped():
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with connection:
        with mapped():
            is_free = connection.execute(sa.select(sa.func.pg_try_advisory_lock(_LOCK, key))).scalar()
        if not is_free:
            raise SourcesBusy(_BUSY)
        try:
            yield
        finally:
            try:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(_LOCK, key)))
            except SQLAlchemyError:  # it broke off, and the lock went with it
                connection.invalidate()
