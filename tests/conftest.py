"""Shared by all tests: nothing reaches a hub, the default encoder is loaded once, stores are real and empty."""

import gc
import importlib
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Threads that wait for work burn the cores that other tests need: 40 times the processor time on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Doors, stores and commands are tested with replies that take no model; the starter has tests of its own.
os.environ.setdefault("ATELIER_GENERATOR", "extractive")

import pytest
from sqlalchemy import Engine

from agent.memory import Memory
from retrieval import database
from retrieval.database import metadata, open_database
from retrieval.encoder import TransformerEncoder
from tests.postgres import PostgresServer, PostgresStores, find_binaries, postgres_server
from tests.shared import made_once

for room in (
    "retrieval.tables",
    "agent.memory",
    "agent.ideation.tables",
    "connectors.delivery.tables",
    "connectors.slack.tables",
    "finetune.registry_tables",
):  # each registers its tables
    importlib.import_module(room)


# Files whose tests take longest begin, so that no worker has a long one left when the others are done.
LONGEST = """
    tests/test_loop.py tests/battery/test_battery.py tests/finetune/test_worker.py tests/finetune/test_training.py
    tests/connectors/delivery/test_contract.py tests/battery/test_load.py tests/agent/test_adapters.py
    tests/finetune/test_checkpoints.py tests/connectors/test_terminal.py tests/agent/test_local.py
    tests/connectors/test_backup.py tests/connectors/desk/test_people.py tests/battery/test_fuzz.py
    tests/connectors/desk/test_finetune_loop.py tests/connectors/desk/test_growth.py
    tests/finetune/test_registry_house.py tests/retrieval/test_loading_reader.py
    tests/connectors/telegram/test_cut.py tests/retrieval/test_knowledge.py tests/finetune/test_gate.py
    tests/finetune/test_heads.py tests/battery/test_injection.py tests/connectors/test_cli.py
    tests/agent/test_remote.py tests/connectors/desk/test_support.py tests/connectors/desk/test_ideation_rooms.py
    tests/connectors/desk/test_reading.py tests/retrieval/test_access.py tests/connectors/desk/test_ideation.py
    tests/connectors/desk/test_orders.py tests/connectors/desk/test_support_desk.py
    tests/connectors/desk/test_languages.py tests/finetune/test_training_estimate.py tests/foreign/test_emulate.py
    tests/foreign/test_telemelya.py tests/retrieval/test_ingest.py tests/connectors/test_terminal_session.py
    tests/battery/test_swap.py
""".split()
_prepare = database._prepare_sqlite


def _prepare_quickly(connection: Any, record: object) -> None:
    _prepare(connection, record)
    connection.execute("PRAGMA synchronous = OFF")


# Here nobody pulls the plug, and what a killed process has written is the kernel's to keep: nothing waits for the disk.
database._prepare_sqlite = _prepare_quickly
os.fsync = lambda _: None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


def pytest_collection_finish() -> None:
    """What is imported by now is not looked through: some libraries collect garbage at each end, a second a time."""
    gc.freeze()


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
def furnished(tmp_path_factory: pytest.TempPathFactory, encoder: TransformerEncoder) -> Path:
    """A home of the tenant acme with Atelier's guide in it: reading that would take longer than most tests."""
    from tests.connectors.desk.doors import Doors  # it brings the doors' libraries

    return made_once(tmp_path_factory, "furnished", lambda home: Doors.furnish(home, encoder))


@pytest.fixture(scope="session")
def first_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder as the first question at a terminal leaves it."""
    from connectors.cli import main

    def ask(home: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ATELIER_HOME", str(home))
            patch.chdir(home.parent)
            assert main(["ask", "How do I install Atelier?"]) == 0

    return made_once(tmp_path_factory, "first-home", ask)


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
def postgres_stores(postgres: PostgresServer) -> PostgresStores:
    """Databases with all tables, which tests borrow one after another."""
    return PostgresStores(postgres, _furnish)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows, to be copied: that is ten times quicker than creating them."""
    file = tmp_path_factory.mktemp("empty") / "store.db"
    _furnish(f"sqlite:///{file}")
    return file


def _furnish(url: str) -> None:
    engine = open_database(url)
    metadata.create_all(engine)
    engine.dispose()


@pytest.fixture
def sqlite_store(empty_store: Path, tmp_path: Path) -> Iterator[Engine]:
    """An empty store with all its tables, on SQLite."""
    opened = open_database(f"sqlite:///{shutil.copy(empty_store, tmp_path / 'store.db')}")
    yield opened
    opened.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An empty store with all its tables: each test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_store")
    else:
        with request.getfixturevalue("postgres_stores").lent() as url:
            opened = open_database(url)
            yield opened
            opened.dispose()


@pytest.fixture
def memory(engine: Engine) -> Memory:
    """What is remembered in that store: nothing yet."""
    return Memory(engine)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with no tables, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        opened = open_database(f"sqlite:///{tmp_path / 'store.db'}")
        yield opened
        opened.dispose()
    else:
        server = request.getfixturevalue("postgres")
        name = server.new_database()
        opened = open_database(server.url(name))
        yield opened
        opened.dispose()
        server.drop_database(name)
