"""A room to hold sessions in, on both stores."""

import pytest
from sqlalchemy import Engine

from tests.agent.ideation.rooms import Room


@pytest.fixture
def room(engine: Engine) -> Room:
    return Room(engine)
