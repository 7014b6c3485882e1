"""Alembic runs this file for each command; the connection, inside a transaction, comes from `migrate`."""

from alembic import context

# Every module that has tables.
import retrieval.tables  # noqa: F401 - it registers its tables
from retrieval.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
)
context.run_migrations()
