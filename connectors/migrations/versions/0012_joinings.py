"""Accounts that were joined, until what was learned from either is known to be one person's."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "joinings",
        sa.Column("gone", sa.String(40), primary_key=True),
        sa.Column("kept", sa.String(40), sa.ForeignKey("persons.id", ondelete="CASCADE"), nullable=False),
    )
    op.create_index("ix_joinings_kept", "joinings", ["kept"])
