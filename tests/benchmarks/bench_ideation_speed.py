"""How long a board of 2,000 ideas takes to be looked at, how long one new idea and one act take."""

import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import agent.memory_tables  # noqa: F401 - the store has these tables
from agent.ideation.board import Board, Idea, Session
from agent.ideation.groups import clusters, nearest_group
from agent.ideation.layout import beside, layout
from agent.ideation.sessions import Sessions
from agent.ideation.vectors import IdeaVectors
from agent.ideation.view import view
from agent.memory import Memory
from agent.message import Place
from retrieval.database import metadata, open_database
from retrieval.encoder import Encoder, TransformerEncoder
from tests.benchmarks import Cell, Report


def speed(encoder: Encoder, count: int, repeats: int) -> list[dict[str, Cell]]:
    """Vectors are there already, as a board's are made when ideas come; a new idea is embedded, placed and grouped.

    The map that people ask for is laid out anew each time, so the last row is what they wait for.
    """
    chance = np.random.default_rng(0)
    middles = chance.normal(size=(40, encoder.dim))
    rows = middles[chance.integers(40, size=count)] + 0.9 * chance.normal(size=(count, encoder.dim))
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    ideas = tuple(Idea(str(i), f"idea {i}", datetime.now(UTC), ("p",)) for i in range(count))
    board = Board(Session("s", "t", "C", topic="speed"), ideas)

    class Kept(IdeaVectors):
        def texts(self, texts: Sequence[str]) -> Any:
            return vectors[: len(texts)]

    whole, drawn, placed, anew = [], [], [], []
    for i in range(repeats):
        start = time.perf_counter()
        seen = view(board, Kept(encoder))
        middle = time.perf_counter()
        seen.picture()
        whole.append(time.perf_counter() - start)
        drawn.append(time.perf_counter() - middle)
        labels = clusters(vectors[:200])
        points = layout(vectors[:200], labels)
        points, labels = np.resize(points, (count, 2)), np.resize(labels, count)
        start = time.perf_counter()
        vector = encoder([f"A new idea, number {i}, for a shorter queue at the counter"])[0]
        nearest_group(vector, vectors, labels)
        beside(points, vectors, vector)
        placed.append(time.perf_counter() - start)
        start = time.perf_counter()
        encoder([f"Another new idea, number {i}, for a shorter queue at the counter"])
        view(board, Kept(encoder))
        anew.append(time.perf_counter() - start)
    name = f"{count} ideas"
    return [
        row(name, "groups, duplicates, figures, map", ms=1e3 * float(np.median(whole))),
        row(name, "of that, the picture", ms=1e3 * float(np.median(drawn))),
        row(name, "one new idea: embedded, placed, grouped", ms=1e3 * float(np.median(placed))),
        row(name, "one new idea: embedded, the whole board grouped and laid out anew", ms=1e3 * float(np.median(anew))),
    ]


def acts(count: int, repeats: int) -> list[dict[str, Cell]]:
    """One more idea in a session that has `count`, kept for good, and the board after it; on a SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(f"sqlite:///{Path(folder) / 'store.db'}")
        metadata.create_all(engine)
        person = Memory(engine).person("slack:acme:ann")
        sessions = Sessions(engine)
        session = sessions.open(Place("slack", "acme", "C"), person, "speed", key="open").board.session.id
        for i in range(count):
            sessions.add(session, person, f"Idea {i}", key=f"{i}")
        taken = []
        for i in range(repeats):
            start = time.perf_counter()
            sessions.add(session, person, f"One more idea {i}", key=f"more/{i}")
            taken.append(time.perf_counter() - start)
        engine.dispose()
    return [row(f"{count} ideas", "an idea kept in the store, and the board", ms=1e3 * float(np.median(taken)))]


def row(board: str, what: str, *, ms: float) -> dict[str, Cell]:
    return {"board": board, "what": what, "ms": round(ms, 2)}


def run(quick: bool) -> Report:
    """quick: a small board."""
    encoder = TransformerEncoder()
    rows = speed(encoder, 100 if quick else 2000, 1 if quick else 5)
    rows += acts(20 if quick else 300, 5 if quick else 30)
    notes = ["The vectors are there, as they are made when ideas come. Medians; one process, on the processor."]
    return Report(
        "ideation_speed",
        "Is a large board looked at in under 2 seconds, and an idea placed in under 50 ms?",
        rows,
        notes,
    )
