"""A tiny model folder, built once for all tests that load one."""

import gc
from pathlib import Path

import pytest

from tests.agent.models import build_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build_model(tmp_path_factory.mktemp("models") / "tiny")
    gc.freeze()  # what transformers has imported meanwhile: each engine that ends collects garbage
    return folder
