"""Ideation sessions: their acts, and where they are held."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "ideation_sessions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("opened", MOMENT, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("ideas", sa.Integer(), nullable=False),
        sa.Column("erased", sa.Integer(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ideation_sessions")),
    )
    op.create_index("uq_ideation_sessions_code", "ideation_sessions", ["code"], unique=True)
    op.create_index(op.f("ix_ideation_sessions_is_open"), "ideation_sessions", ["is_open"])
    op.create_table(
        "ideation_places",
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("session", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["session"], ["ideation_sessions.id"], name=op.f("fk_ideation_places_session"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_ideation_places")),
    )
    op.create_index(op.f("ix_ideation_places_session"), "ideation_places", ["session"])
    op.create_table(
        "ideation_events",
        sa.Column("session", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("person", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session"], ["ideation_sessions.id"], name=op.f("fk_ideation_events_session"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session", "number", name=op.f("pk_ideation_events")),
    )
    op.create_index("uq_ideation_events_session_key", "ideation_events", ["session", "key"], unique=True)
    op.create_index(op.f("ix_ideation_events_person"), "ideation_events", ["person"])
    op.create_index(op.f("ix_ideation_events_subject"), "ideation_events", ["subject"])
