"""Statements that are ready for the driver do what SQLAlchemy's own do, on both databases."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from agent.memory_tables import labels, persons, places, put, wrong_codes
from retrieval.database import reading, writing
from retrieval.errors import StoreError
from retrieval.prepared import Prepared

NOW = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)


def test_values_are_stored_as_sqlalchemy_stores_them(engine: Engine) -> None:
    columns = ("id", "consent", "administrator", "met", "consent_asked")
    insert = Prepared(persons.insert(), columns)
    row = {"id": "p-1", "consent": True, "administrator": False, "met": NOW, "consent_asked": None}
    with writing(engine) as connection:
        assert insert.change(connection, row) == 1
        connection.execute(persons.insert().values(row | {"id": "p-2"}))
    with reading(engine) as connection:
        ours, theirs = connection.exec_driver_sql("SELECT * FROM persons ORDER BY id").all()
        assert tuple(ours)[1:] == tuple(theirs)[1:]
        assert connection.execute(sa.select(persons).order_by(persons.c.id)).first()._asdict() == row


def test_rows_come_inside_a_transaction_and_by_themselves(engine: Engine) -> None:
    asked = Prepared(sa.select(places.c.key, places.c.channel).where(places.c.tenant == sa.bindparam("whose")).limit(1))
    with writing(engine) as connection:
        for key in ("a", "b"):
            row = {"key": key, "platform": "paper", "tenant": f"team-{key}", "channel": f"\ud83d{key}", "thread": ""}
            connection.execute(places.insert().values(row))
        assert asked.run(connection, {"whose": "team-b"}) == [("b", "\ufffdb")], "half a character is none"
    assert [tuple(row) for row in asked.ask(engine, {"whose": "team-a"})] == [("a", "\ufffda")]
    assert asked.ask(engine, {"whose": "nobody"}) == []


def test_what_a_database_refuses_is_an_error_of_ours(engine: Engine) -> None:
    insert = Prepared(labels.insert(), ("turn", "label", "at"))
    with pytest.raises(StoreError), writing(engine) as connection:
        insert.change(connection, {"turn": "there is no such turn", "label": "x", "at": NOW})
    with pytest.raises(StoreError):
        Prepared(sa.select(sa.column("x")).select_from(sa.table("nowhere"))).ask(engine)
    with pytest.raises(ValueError, match="cannot be prepared"):
        Prepared(sa.select(places.c.key).where(places.c.key.in_(["a", "b"]))).ask(engine)


def test_a_row_with_the_same_key_takes_the_new_values(engine: Engine) -> None:
    with writing(engine) as connection:
        for tries in (1, 2):
            put(connection, wrong_codes, {"account": "paper:team:ann", "tries": tries, "last": NOW})
    with reading(engine) as connection:
        assert [row.tries for row in connection.execute(sa.select(wrong_codes))] == [2]
