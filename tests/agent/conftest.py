"""A tiny model folder, built once for all tests that load one."""

import os
from pathlib import Path

# Threads that wait for work burn the cores that other tests need: 40 times the processor time on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest

from tests.agent.models import build_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("models") / "tiny")
