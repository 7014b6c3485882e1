"""Cases that people take up, what was said and done in them, and what administrators did."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

MOMENT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "cases",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("origin", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=10), nullable=False),
        sa.Column("asker", sa.String(length=40), nullable=True),
        sa.Column("asker_account", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("direct", sa.Boolean(), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("turn", sa.String(length=40), nullable=False),
        sa.Column("desk_platform", sa.Text(), nullable=False),
        sa.Column("desk_tenant", sa.Text(), nullable=False),
        sa.Column("desk_channel", sa.Text(), nullable=False),
        sa.Column("desk_thread", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=40), nullable=True),
        sa.Column("owner_account", sa.Text(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("opened", MOMENT, nullable=False),
        sa.Column("closed", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["asker"], ["persons.id"], name=op.f("fk_cases_asker"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["owner"], ["persons.id"], name=op.f("fk_cases_owner"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_cases")),
        sa.UniqueConstraint("origin", name=op.f("uq_cases_origin")),
    )
    op.create_index(op.f("ix_cases_asker"), "cases", ["asker"], unique=False)
    op.create_index(op.f("ix_cases_owner"), "cases", ["owner"], unique=False)
    op.create_index("ix_cases_channel", "cases", ["channel", "state"], unique=False)
    op.create_index("ix_cases_desk_channel", "cases", ["desk_channel", "state"], unique=False)
    op.create_table(
        "case_lines",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("author", sa.String(length=40), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("shown", sa.String(length=200), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["number"], ["cases.number"], name=op.f("fk_case_lines_number"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["author"], ["persons.id"], name=op.f("fk_case_lines_author"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_lines")),
        sa.UniqueConstraint("key", name=op.f("uq_case_lines_key")),
    )
    for column in ("author", "number", "shown"):
        op.create_index(op.f(f"ix_case_lines_{column}"), "case_lines", [column], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(length=40), nullable=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=15), nullable=False),
        sa.Column("verb", sa.String(length=40), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["actor"], ["persons.id"], name=op.f("fk_audit_actor"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint("key", name=op.f("uq_audit_key")),
    )
    op.create_index(op.f("ix_audit_actor"), "audit", ["actor"], unique=False)
    op.create_index(op.f("ix_audit_at"), "audit", ["at"], unique=False)
