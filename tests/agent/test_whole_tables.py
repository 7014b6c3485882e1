"""Whole tables in conversation: the one that was just quoted is compared, and nobody's rows but those one may read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from agent.generation.extractive import ExtractiveGenerator
from retrieval.document import Document
from retrieval.encoder import TransformerEncoder
from retrieval.knowledge import KnowledgeBase
from retrieval.loading.table import sections_of
from tests.agent.test_colleague import colleague, message, only_sqlite, turn_of

TENTS = [["Tent", "Price"], ["T1", "€199"], ["T2", "€249"]]
STOVES = [["Stove", "Price"], ["Fir", "€90"], ["Elm", "€35"]]
HIDDEN = [["Tent", "Price"], ["Prototype", "€5"], ["Draft", "€7"]]


@pytest.fixture
def knowledge(engine: Engine, encoder: TransformerEncoder, tmp_path: Path) -> Iterator[KnowledgeBase]:
    base = KnowledgeBase(engine, tmp_path / "index", encoder)
    for source, audience, table in (
        ("tents.csv", "acme/everyone", TENTS),
        ("stoves.csv", "acme/everyone", STOVES),
        ("secret.csv", "acme/board", HIDDEN),
    ):
        document = Document("", tuple(sections_of(list(enumerate(table, 1)))))
        base.add(source, document, content_hash=source, audience=audience)
    yield base
    base.close()


@only_sqlite
async def test_the_cheapest_is_that_of_the_table_just_quoted(engine: Engine, knowledge: KnowledgeBase, encoder) -> None:
    talk = colleague(engine, knowledge, encoder, ExtractiveGenerator(encoder))
    shown, _ = await turn_of(talk, message(engine, "which is the cheapest?"))
    assert "compared" not in shown  # of what, nobody said
    shown, _ = await turn_of(talk, message(engine, "how much is the stove Fir?"))
    assert "€90" in shown
    shown, _ = await turn_of(talk, message(engine, "and which is the cheapest?"))
    assert shown.startswith("**Elm** – Price: €35 [1]\n")


@only_sqlite
async def test_only_rows_that_one_may_read_are_compared(engine: Engine, knowledge: KnowledgeBase, encoder) -> None:
    talk = colleague(engine, knowledge, encoder, ExtractiveGenerator(encoder))
    shown, turn = await turn_of(talk, message(engine, "which tent is the cheapest?"))
    assert shown.startswith("**T1** – Price: €199 [1]\n")
    assert "Prototype" not in shown + "".join(each.text for each in turn.passages)
    board = frozenset({"acme/everyone", "acme/board"})
    shown, turn = await turn_of(talk, message(engine, "which tent is the cheapest?", board, board))
    assert "compared" not in shown  # two tables of tents: which is meant is not sure
    assert "secret.csv" in {each.source for each in turn.passages}
