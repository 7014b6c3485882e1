"""What chats need: linking a person's accounts, consent asked once, rules of channels, threads, buttons."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("persons", sa.Column("consent_asked", sa.DateTime(timezone=True), nullable=True))
    # The first of two turns for one message keeps its id, as `append` has it from now on.
    op.execute(
        "UPDATE turns SET message = message || '#' || id "
        "WHERE EXISTS (SELECT 1 FROM turns AS earlier WHERE earlier.message = turns.message AND earlier.id < turns.id)"
    )
    op.create_index(op.f("ix_turns_message"), "turns", ["message"], unique=True)
    op.create_table(
        "link_codes",
        sa.Column("person", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["person"], ["persons.id"], name=op.f("fk_link_codes_person"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_link_codes")),
        sa.UniqueConstraint("digest", name=op.f("uq_link_codes_digest")),
    )
    op.create_table(
        "wrong_codes",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_wrong_codes")),
    )
    op.create_index(op.f("ix_wrong_codes_last"), "wrong_codes", ["last"], unique=False)
    op.create_table(
        "channel_rules",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_channel_rules")),
    )
    op.create_table(
        "followed_threads",
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_followed_threads")),
    )
    op.create_table(
        "buttons",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_buttons")),
    )
    op.create_index(op.f("ix_buttons_expires"), "buttons", ["expires"], unique=False)
