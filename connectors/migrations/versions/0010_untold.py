"""What a source held before the looks that nobody was told of yet."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("watched", sa.Column("before", sa.Text(), nullable=False, server_default=""))
