"""One file a revision; each says how to get there from the one before. There is no way back but a backup.

A new one: number it, write what `alembic.autogenerate.produce_migrations` proposes, and raise HEAD one folder up.
"""
