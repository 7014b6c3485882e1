"""Shared by all tests: nothing reaches a hub, the default encoder is loaded once, stores are real and empty."""

import importlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Threads that wait for work burn the cores that other tests need: 40 times the processor time on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Doors, stores and commands are tested with replies that take no model; the starter has tests of its own.
os.environ.setdefault("ATELIER_GENERATOR", "extractive")

import pytest
from sqlalchemy import Engine

from retrieval.database import metadata, open_database
from retrieval.encoder import TransformerEncoder
from tests.postgres import PostgresServer, find_binaries, postgres_server

for room in (
    "retrieval.tables",
    "agent.memory",
    "agent.ideation.tables",
    "connectors.delivery.tables",
    "connectors.slack.tables",
    "finetune.registry_tables",
):  # each registers its tables
    importlib.import_module(room)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On CI nothing is skipped but for want of a GPU: a skip there is a test that nobody runs."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail") and "gpu" not in item.keywords:
        report.outcome = "failed"
        report.longrepr = f"skipped on CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def encoder() -> TransformerEncoder:
    return TransformerEncoder()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own. On CI it must be there; elsewhere its tests skip without it."""
    binaries = find_binaries()
    if binaries is None:
        reason = "PostgreSQL is not installed (Debian: apt-get install postgresql), so its half of the store tests"
        if os.environ.get("CI"):
            pytest.fail(f"{reason} cannot run.")
        pytest.skip(f"{reason} is skipped.")
    with postgres_server(binaries) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """A database with all tables, to be copied: copying is quicker than creating them for each test."""
    name = postgres.new_database()
    engine = open_database(postgres.url(name))
    metadata.create_all(engine)
    engine.dispose()
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty store with all its tables: each test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        opened = open_database(f"sqlite:///{tmp_path / 'store.db'}")
        metadata.create_all(opened)
        yield opened
        opened.dispose()
    else:
        yield from _database(request.getfixturevalue("postgres"), request.getfixturevalue("postgres_template"))


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with no tables, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        opened = open_database(f"sqlite:///{tmp_path / 'store.db'}")
        yield opened
        opened.dispose()
    else:
        yield from _database(request.getfixturevalue("postgres"), "template0")


def _database(server: PostgresServer, template: str) -> Iterator[Engine]:
    name = server.new_database(template)
    opened = open_database(server.url(name))
    yield opened
    opened.dispose()
    server.drop_database(name)
