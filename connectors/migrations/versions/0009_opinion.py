"""Watched channels, what was heard in them, and the alarms."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "opinion_watches",
        sa.Column("channel", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("platform", "tenant", "name")),
        sa.Column("since", MOMENT, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("account", "told_channel", "told_thread")),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_opinion_watches")),
    )
    op.create_table(
        "opinions",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=40), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("negative", sa.Float(precision=53), nullable=False),
        sa.Column("positive", sa.Float(precision=53), nullable=False),
        sa.Column("topics", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["author"], ["persons.id"], name=op.f("fk_opinions_author"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opinions")),
        sa.UniqueConstraint("key", name=op.f("uq_opinions_key")),
    )
    op.create_index(op.f("ix_opinions_author"), "opinions", ["author"], unique=False)
    op.create_index("ix_opinions_channel", "opinions", ["channel", "at"], unique=False)
    op.create_table(
        "opinion_alarms",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_opinion_alarms")),
    )
