"""Rooms to hold sessions in: on both stores, and on SQLite alone where the store is not what is asked about."""

import pytest
from sqlalchemy import Engine

from tests.agent.ideation.rooms import Room


@pytest.fixture
def room(engine: Engine) -> Room:
    return Room(engine)


@pytest.fixture
def desk(sqlite_store: Engine) -> Room:
    return Room(sqlite_store)
