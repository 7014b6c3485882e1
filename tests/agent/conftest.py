"""A tiny model folder, built once for all tests that load one."""

from pathlib import Path

import pytest

from tests.agent.models import build_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("models") / "tiny")
