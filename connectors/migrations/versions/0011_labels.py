"""What administrators said in chat that messages are about."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "labels",
        sa.Column("turn", sa.String(40), sa.ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("label", sa.Text()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
