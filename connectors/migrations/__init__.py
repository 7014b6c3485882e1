"""The store's schema by Alembic, run from the program itself: no alembic.ini, no command to remember."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from retrieval.database import reading, writing
from retrieval.errors import StoreError

HEAD = "0013"  # the newest revision; a test compares it with the folder, so that a start need not import Alembic
FOLDER = Path(__file__).parent
_LOCK = 0xA7E11E12  # PostgreSQL's advisory lock that orders migrations, any number of our own


def migrate(engine: Engine, revision: str = HEAD) -> None:
    """Bring the store's tables up to date, or create them. Safe when several processes do it at once.

    Raises StoreError when the store was made by a newer Atelier.
    """
    with reading(engine) as connection:
        if current_revision(connection) == revision:
            return
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        upgrade(connection, revision)


def current_revision(connection: Connection) -> str | None:
    """The revision the store is at; None for an empty one."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def upgrade(connection: Connection, revision: str = HEAD) -> None:
    """As `migrate`, inside a write transaction of the caller's."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    for each in (current_revision(connection) or revision, revision):
        if each not in known:
            raise StoreError(
                f"This store was made by a newer Atelier (revision {each}, this one knows up to {HEAD}). "
                "Update Atelier, or use a backup made before the update."
            )
    command.upgrade(config, revision)
