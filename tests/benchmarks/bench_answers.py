"""Whole answers without a language model: a handbook asked in other words, and SQuAD 2.0, each through the search.

Unlike `bench_extractive`, which gives the reader its passages, everything takes part here: the search, its probability
that a passage answers, Atelier's own guide among the documents, and the move the policy decides on.
"""

import asyncio
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from agent.colleague import Colleague, Manner
from agent.generation.answer import refuses
from agent.generation.extractive import ExtractiveGenerator
from agent.generation.generator import Generator, Limits
from agent.generation.phrases import phrase
from agent.memory import Memory
from agent.message import Message, Move, Person, Place, Turn
from agent.prompt import PERSONA
from agent.understanding import Understander
from connectors.migrations import migrate
from retrieval.database import open_database
from retrieval.document import Document, Section
from retrieval.encoder import TransformerEncoder
from retrieval.knowledge import KnowledgeBase
from retrieval.loading import load
from tests.benchmarks import Report
from tests.benchmarks.handbook import ABOUT, FOLDER, HELD, TUNED, Asked
from tests.benchmarks.squad import DATA, articles

GUIDE = Path(__file__).parents[2] / "connectors" / "guide"
EVERYONE = frozenset({"acme/everyone"})
PASSAGES = 5  # as the settings have it
Talk = tuple[Colleague, Person]


@contextmanager
def opened(
    encoder: TransformerEncoder, documents: Sequence[tuple[str, Document]], generator: Generator | None = None
) -> Iterator[Talk]:
    """A colleague who knows `documents` (source and content), and somebody to talk to."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(f"sqlite:///{folder}/store.db")
        migrate(engine)
        base = KnowledgeBase(engine, Path(folder) / "index", encoder)
        entries = [
            base.entry(name, content, content_hash=name, audience="acme/everyone") for name, content in documents
        ]
        for _ in base.add_all(entries):
            pass
        manner = Manner(PERSONA, Limits(), PASSAGES, history_tokens=500, allowed_links=(), adapter=None)
        memory, understander = Memory(engine), Understander(encoder)
        generator = generator or ExtractiveGenerator(encoder)
        try:
            colleague = Colleague(base, understander, generator, memory, encoder.count_tokens, manner)
            yield colleague, memory.person("terminal:acme:ann", EVERYONE)
        finally:
            base.close()
            engine.dispose()


def handbook() -> list[tuple[str, Document]]:
    """The made-up handbook, and the guide that every team has."""
    own = [(f"handbook/{path.name}", load(path)) for path in sorted(FOLDER.glob("*.md"))]
    return own + [(f"guide/{path.name}", load(path)) for path in sorted(GUIDE.glob("*.md"))]


def ask(talk: Talk, question: str, number: int, wanted: Move | None = None) -> Turn:
    """The turn of a question asked in a conversation of its own, the `number`th."""
    colleague, person = talk
    place = Place("terminal", "acme", "ann", str(number))
    message = Message(f"m{number}", place, person, question, datetime.now(UTC), EVERYONE)

    async def turn() -> Turn:
        return [event async for event in colleague.reply(message, wanted) if isinstance(event, Turn)][-1]

    return asyncio.run(turn())


def kind_of(turn: Turn) -> str:
    """How a question was met: "sure", "hedged", "refused", or "other" when it was not searched for."""
    if turn.decision.move is not Move.ANSWER:
        return "other"
    text = turn.reply.text
    if refuses(text):
        return "refused"
    return "hedged" if text.startswith(phrase("answer", "unsure")) else "sure"


def outcomes(asked: Sequence[Asked], turns: Sequence[Turn]) -> dict[str, str | float]:
    """Shares of `asked` by how they were met, and by whether what was quoted holds the answer."""
    met = [
        (kind_of(turn), gold is not None and _holds(turn, gold)) for (_, gold), turn in zip(asked, turns, strict=True)
    ]
    row: dict[str, str | float] = {"questions": float(len(met))}
    for kind in ("sure", "hedged"):
        if any(gold is not None for _, gold in asked):
            row[f"{kind}, right"] = sum(m == (kind, True) for m in met) / len(met)
            row[f"{kind}, wrong"] = sum(m == (kind, False) for m in met) / len(met)
        else:
            row[f"{kind}, wrong"] = sum(m[0] == kind for m in met) / len(met)
    for kind in ("refused", "other"):
        row[kind] = sum(m[0] == kind for m in met) / len(met)
    return row


def _holds(turn: Turn, gold: str) -> bool:
    return " ".join(gold.split()).casefold() in " ".join(turn.reply.text.split()).casefold()


def squad(per_article: int) -> tuple[list[tuple[str, Document]], list[Asked]]:
    """SQuAD 2.0 dev as documents, and as many answerable and unanswerable questions of each article."""
    documents: list[tuple[str, Document]] = []
    asked: list[Asked] = []
    for article in articles("dev_v2.0"):
        title = article.title.replace("_", " ")
        sections = tuple(Section(text, (title,)) for text in article.texts.values())
        documents.append((f"{article.title}.txt", Document(title, sections)))
        for wanted in (True, False):
            chosen = [question for question in article.questions if bool(question.answers) == wanted]
            some = chosen[:: max(1, len(chosen) // per_article)][:per_article]
            asked += [(each.text, min(each.answers, key=len) if each.answers else None) for each in some]
    return documents, asked


def run(quick: bool) -> Report:
    encoder = TransformerEncoder()
    rows: list[dict[str, str | float]] = []
    numbers = itertools.count()

    def measure(name: str, talk: Talk, asked: Sequence[Asked], wanted: Move | None = None) -> None:
        for label, is_answerable in (("answerable", True), ("unanswerable", False)):
            part = [each for each in asked if (each[1] is not None) == is_answerable]
            if part:
                turns = [ask(talk, question, next(numbers), wanted) for question, _ in part]
                rows.append({"questions of": f"{name}, {label}", **outcomes(part, turns)})

    with opened(encoder, handbook()) as talk:
        measure("handbook, tuned on", talk, TUNED)
        measure("handbook, held out", talk, HELD)
        measure("about Atelier", talk, ABOUT)
    if (DATA / "squad").exists():
        documents, asked = squad(2 if quick else 12)
        with opened(encoder, documents) as talk:
            measure("SQuAD 2.0", talk, asked, Move.ANSWER)
    return Report(
        "answers",
        "is a question in other words answered, and is one that nothing answers refused?",
        rows,
        (
            "sure: quoted as the answer; hedged: quoted as the nearest find; other: not taken for a question.",
            "The unanswerable questions of SQuAD 2.0 were written to deceive: the passage is there and comes close.",
        ),
    )
