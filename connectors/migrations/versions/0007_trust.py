"""Answers that the team has approved, and how far each sentence of a generated reply was supported."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PERSONS = ("proposed_by", "asked_by", "decided_by")


def upgrade() -> None:
    op.create_table(
        "curated",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("audience", sa.String(length=401), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        *(sa.Column(name, sa.String(length=40), nullable=True) for name in PERSONS),
        sa.Column("proposed", MOMENT, nullable=False),
        sa.Column("decided", MOMENT, nullable=True),
        sa.Column("changed", MOMENT, nullable=False),
        *(
            sa.ForeignKeyConstraint([name], ["persons.id"], name=op.f(f"fk_curated_{name}"), ondelete="SET NULL")
            for name in PERSONS
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_curated")),
        sa.UniqueConstraint("origin", name=op.f("uq_curated_origin")),
        sqlite_autoincrement=True,
    )
    for column in ("tenant", *PERSONS):
        op.create_index(op.f(f"ix_curated_{column}"), "curated", [column], unique=False)
    op.add_column("turns", sa.Column("claims", sa.Text(), nullable=False, server_default="[]"))
