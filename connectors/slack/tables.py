"""Where Atelier was installed by OAuth, and the states of installations under way. Times are seconds since 1970."""

from sqlalchemy import Column, Float, String, Table, Text

from retrieval.database import metadata

installations = Table(
    "slack_installations",
    metadata,
    Column("workspace", String(80), primary_key=True),  # a team's id, or an organisation's where it is for all of it
    Column("bot", String(80), nullable=False),  # the bot's user id there
    Column("token", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # comma-separated
    Column("installed", Float, nullable=False),
)

states = Table(
    "slack_states",
    metadata,
    Column("state", String(80), primary_key=True),
    Column("expires", Float, nullable=False),
)
