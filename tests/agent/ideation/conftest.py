"""Rooms to hold sessions in: on both stores, and on SQLite alone where the store is not what is asked about."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from retrieval.database import metadata, open_database
from tests.agent.ideation.rooms import Room


@pytest.fixture
def room(engine: Engine) -> Room:
    return Room(engine)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Room]:
    opened = open_database(f"sqlite:///{tmp_path / 'desk.db'}")
    metadata.create_all(opened)
    yield Room(opened)
    opened.dispose()
