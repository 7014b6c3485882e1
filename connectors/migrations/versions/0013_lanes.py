"""The queue is looked through in order, lane by lane, without looking at what is done or what still has to wait."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    is_open = sa.text("state IN ('new', 'claimed')")
    op.create_index(
        "ix_inbox_lane", "inbox", ["is_excess", "id", "due"], sqlite_where=is_open, postgresql_where=is_open
    )
