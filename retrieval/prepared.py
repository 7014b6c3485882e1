"""Statements that are asked with every message, ready for the driver.

SQLAlchemy's own way from a statement to rows costs several times what SQLite takes to answer it. So a statement of its
Core is compiled once for each database, and from then on handed to the driver with its values as they are stored. Rows
come as the driver gives them: a Boolean of SQLite's is 0 or 1, and a time is text.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Dialect, Engine

from retrieval.database import explained, mapped

NONE: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class _Ready:
    """text: for the driver. values: each parameter's name, what it is where it is not given, and what stores it."""

    text: str
    values: tuple[tuple[str, object, Any], ...]
    is_positional: bool

    def given(self, values: Mapping[str, object]) -> Any:
        made = [
            (name, store(value) if store is not None else value)
            for name, default, store in self.values
            for value in (values.get(name, default),)
        ]
        return tuple(value for _, value in made) if self.is_positional else dict(made)


class Prepared:
    """One statement. columns: those that an insert without values of its own is given."""

    def __init__(self, statement: sa.Executable, columns: tuple[str, ...] | None = None) -> None:
        self._statement: Any = statement
        self._columns = columns
        self._ready: dict[str, _Ready] = {}

    def run(self, connection: Connection, values: Mapping[str, object] = NONE) -> list[Any]:
        """Its rows, as tuples, inside a transaction that was begun; none where it gives none. Raises StoreError."""
        ready, driver = self._for(connection.dialect), connection.connection
        cursor = driver.cursor()
        try:
            cursor.execute(ready.text, ready.given(values))
            return list(cursor.fetchall()) if cursor.description else []
        except connection.dialect.loaded_dbapi.Error as error:
            raise explained(error) from error
        finally:
            cursor.close()

    def change(self, connection: Connection, values: Mapping[str, object] = NONE) -> int:
        """How many rows it changed, inside a write transaction that was begun. Raises StoreError."""
        ready, driver = self._for(connection.dialect), connection.connection
        cursor = driver.cursor()
        try:
            cursor.execute(ready.text, ready.given(values))
            return int(cursor.rowcount)
        except connection.dialect.loaded_dbapi.Error as error:
            raise explained(error) from error
        finally:
            cursor.close()

    def ask(self, engine: Engine, values: Mapping[str, object] = NONE) -> list[Any]:
        """Its rows by a read of its own: one statement is a consistent view without a transaction around it.

        Raises StoreError.
        """
        ready = self._for(engine.dialect)
        with mapped():
            try:
                driver = engine.raw_connection()
                try:
                    with closing(driver.cursor()) as cursor:
                        cursor.execute(ready.text, ready.given(values))
                        rows = list(cursor.fetchall())
                finally:
                    driver.close()  # back to the pool, which ends what transaction the driver began
            except engine.dialect.loaded_dbapi.Error as error:
                raise explained(error) from error
        return rows

    def _for(self, dialect: Dialect) -> _Ready:
        ready = self._ready.get(dialect.name)
        if ready is None:
            ready = self._ready[dialect.name] = self._made(dialect)
        return ready

    def _made(self, dialect: Dialect) -> _Ready:
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._columns)
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        if any(bind.expanding for bind in binds.values()):
            raise ValueError("a list of values is as long as it is, so its statement cannot be prepared")
        names = compiled.positiontup if compiled.positional else list(binds)
        values = tuple((name, binds[name].effective_value, _stores(binds[name], dialect)) for name in names)
        return _Ready(str(compiled), values, bool(compiled.positional))


def _stores(bind: Any, dialect: Dialect) -> Any:
    """What makes a value of the parameter's type one that the driver stores; None where it is one already."""
    return bind.type.dialect_impl(dialect).bind_processor(dialect)
