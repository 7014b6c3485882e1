"""Versions of adapters and heads, their files, and which of them serves."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "versions",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("family", sa.String(length=48), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.Column("scores", sa.Text(), nullable=False),
        sa.Column("persons", sa.Text(), nullable=False),
        sa.Column("documents", sa.Text(), nullable=False),
        sa.Column("audiences", sa.Text(), nullable=False),
        sa.Column("flagged", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("made", MOMENT, nullable=False),
        sa.Column("removed", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_versions")),
    )
    op.create_index("uq_versions_family_number", "versions", ["family", "number"], unique=True)
    op.create_table(
        "version_pieces",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("kept", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("sha256", "part", name=op.f("pk_version_pieces")),
    )
    op.create_table(
        "version_aliases",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("alias", sa.String(length=10), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("channels", sa.Text(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["version"], ["versions.name"], name=op.f("fk_version_aliases_version")),
        sa.PrimaryKeyConstraint("kind", "alias", name=op.f("pk_version_aliases")),
    )
