"""A store that was migrated has exactly the tables the program expects, whoever migrated it and however often."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from connectors.migrations import FOLDER, HEAD, current_revision, migrate
from retrieval.database import metadata, reading, writing
from retrieval.errors import StoreError

NOW = "2026-01-01 00:00:00.000000"


def test_a_migrated_store_has_the_schema_of_the_program(bare_engine: Engine) -> None:
    migrate(bare_engine)
    with reading(bare_engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": metadata})
        assert compare_metadata(context, metadata) == []
        assert current_revision(connection) == HEAD


def test_head_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_migrating_again_changes_nothing(bare_engine: Engine) -> None:
    migrate(bare_engine)
    with writing(bare_engine) as connection:
        connection.execute(text("INSERT INTO places VALUES ('k', 'p', 't', 'c', '')"))
    migrate(bare_engine)
    with reading(bare_engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM places")).scalar() == 1


def test_turns_for_one_message_id_are_all_kept_when_ids_become_unique(bare_engine: Engine) -> None:
    migrate(bare_engine, "0001")
    blank = "persona history intent sentiment reasons move move_reason passages reply sources generator notice".split()
    row: dict[str, object] = dict.fromkeys(blank, "")
    row |= {"place": "k", "author": "p-1", "text": "t", "audiences": "[]", "readers": "[]"}
    row |= {"confidence": 1, "sentiment_confidence": 1, "sent": NOW, "kept": NOW}
    with writing(bare_engine) as connection:
        connection.execute(text("INSERT INTO places VALUES ('k', 'p', 't', 'c', '')"))
        connection.execute(text("INSERT INTO persons VALUES ('p-1', :no, :no, :met)"), {"no": False, "met": NOW})
        for turn, message in (("1", "a"), ("2", "m"), ("3", "m"), ("4", "m")):
            values = row | {"id": turn, "message": message}
            names = ", ".join(values)
            connection.execute(text(f"INSERT INTO turns ({names}) VALUES (:{names.replace(', ', ', :')})"), values)
    migrate(bare_engine)
    with reading(bare_engine) as connection:
        kept = [tuple(row) for row in connection.execute(text("SELECT id, message FROM turns ORDER BY id"))]
    assert kept == [("1", "a"), ("2", "m"), ("3", "m#3"), ("4", "m#4")]


def test_a_newer_store_is_refused_and_left_alone(bare_engine: Engine) -> None:
    migrate(bare_engine)
    with writing(bare_engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"made by a newer Atelier \(revision 9999.*Update Atelier"):
        migrate(bare_engine)


def test_a_failing_migration_leaves_nothing_half_done(bare_engine: Engine) -> None:
    with writing(bare_engine) as connection:
        connection.execute(text("CREATE TABLE turns (id INTEGER)"))  # somebody else's table in the way
    with pytest.raises(StoreError, match="already exists"):
        migrate(bare_engine)
    assert inspect(bare_engine).get_table_names() == ["turns"]


def test_several_processes_migrate_at_once(bare_engine: Engine) -> None:
    code = "import sys; from connectors.migrations import migrate; from retrieval.database import open_database; "
    code += "migrate(open_database(sys.argv[1]))"
    url = bare_engine.url.render_as_string(hide_password=False)
    several = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(3)]
    assert [each.wait(60) for each in several] == [0, 0, 0]
    with reading(bare_engine) as connection:
        assert current_revision(connection) == HEAD
