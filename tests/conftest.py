"""Shared by all tests: nothing reaches a hub, and the default encoder is loaded once."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest

from retrieval.encoder import TransformerEncoder


@pytest.fixture(scope="session")
def encoder() -> TransformerEncoder:
    return TransformerEncoder()
