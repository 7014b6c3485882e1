"""Answers without a language model on SQuAD 2.0 dev: do the quotes hold the answer, and is silence kept when none does?

The evidence of a question are the three passages of its article whose words fit best (BM25), each read as the
generator reads it. Three kinds of question: answerable ones; the same with the passage that answers taken away, as when
a team's documents do not hold the answer; and SQuAD 2.0's unanswerable ones, which people wrote to deceive: the passage
is there and speaks of nearly the same.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median

import numpy as np

from agent.generation.answer import answer, refuses, sentences_around
from agent.generation.evidence import Reader
from agent.generation.phrases import phrase
from agent.generation.sentences import cut
from agent.reading.reader import shipped
from retrieval.encoder import TransformerEncoder
from retrieval.passage import Passage
from tests.benchmarks import Report
from tests.benchmarks.squad import Article, Asked, articles

KINDS = ("answerable", "passage absent", "unanswerable")
Answerer = Callable[[str, tuple[Passage, ...]], str | None]  # None: it says that there is no answer


@dataclass(frozen=True)
class Case:
    kind: str
    question: Asked
    passages: tuple[Passage, ...]


def cases(chosen: Sequence[Article], per_article: int) -> list[Case]:
    found = []
    for article in chosen:
        for wanted in (True, False):
            asked = [question for question in article.questions if bool(question.answers) == wanted]
            for question in asked[:: max(1, len(asked) // per_article)][:per_article]:
                passages = article.passages_for(question, 3)
                found.append(Case("answerable" if wanted else "unanswerable", question, passages))
                if wanted:
                    hidden = article.passages_for(question, 3, hide_gold=True)
                    found.append(Case("passage absent", question, hidden))
    return found


class Answerers:
    """What is compared, over one encoder."""

    def __init__(self, encoder: TransformerEncoder) -> None:
        self._encoder = encoder
        self._reader = Reader(encoder, shipped())

    def atelier(self, question: str, passages: tuple[Passage, ...]) -> str | None:
        text = answer(question, self._reader.read(question, passages), passages)
        return None if refuses(text) else text

    def always(self, question: str, passages: tuple[Passage, ...]) -> str:
        reading = self._reader.read(question, passages)
        best = max(reading.units, key=lambda scored: scored.probability)
        return sentences_around(question, reading, best)

    def first_sentence(self, question: str, passages: tuple[Passage, ...]) -> str:
        return cut(passages[0].text)[0].text

    def closest_sentence(self, question: str, passages: tuple[Passage, ...]) -> str:
        texts = [unit.text for passage in passages for unit in cut(passage.text)]
        vectors = self._encoder([question, *texts])
        return texts[int(np.argmax(vectors[1:] @ vectors[0]))]


def run(quick: bool) -> Report:
    chosen = articles("dev_v2.0")
    asked = cases(chosen, per_article=max(1, (105 if quick else 1500) // len(chosen)))
    answerers = Answerers(TransformerEncoder())
    named: dict[str, Answerer] = {
        "first sentence of the best passage": answerers.first_sentence,
        "closest sentence by cosine": answerers.closest_sentence,
        "Atelier, always answering": answerers.always,
        "Atelier": answerers.atelier,
    }
    rows = [_measured(name, answerer, asked) for name, answerer in named.items()]
    found = mean(_holds(case, " ".join(p.text for p in case.passages)) for case in asked if case.kind == "answerable")
    counts = ", ".join(f"{sum(case.kind == kind for case in asked):,} {kind}" for kind in KINDS)
    return Report(
        "extractive",
        "do quotes hold the answer, and is silence kept where there is none?",
        rows,
        (
            f"{counts}. In {found:.3f} of the answerable ones the passages hold the answer: the ceiling.",
            "The unanswerable ones were written to deceive; to tell them apart takes reading, not quoting.",
            "Times are with the encoder's pass (about 20 short texts a question).",
        ),
    )


def _measured(name: str, answerer: Answerer, asked: Sequence[Case]) -> dict[str, str | float]:
    started = time.perf_counter()
    said = [(case, answerer(case.question.text, case.passages)) for case in asked]
    seconds = time.perf_counter() - started
    refused = {kind: mean(text is None for case, text in said if case.kind == kind) for kind in KINDS}
    holding = [text is not None and _holds(case, text) for case, text in said if case.kind == "answerable"]
    return {
        "answerer": name,
        "answer quoted": mean(holding),
        "of those it answers": sum(holding) / max(1, sum(t is not None for c, t in said if c.kind == KINDS[0])),
        **{f"silent: {kind}": share for kind, share in refused.items()},
        "sure: passage absent": mean(_is_sure(text) for case, text in said if case.kind == KINDS[1]),
        "characters": float(median(len(text) for _, text in said if text is not None)),
        "ms a question": 1000 * seconds / len(said),
    }


def _is_sure(text: str | None) -> bool:
    """Whether an answer is given as one, without the word that it may not be."""
    return text is not None and not text.startswith(phrase("answer", "unsure"))


def _holds(case: Case, text: str) -> bool:
    plain = re.sub(r"\s+", " ", text)
    return any(re.sub(r"\s+", " ", gold) in plain for gold in case.question.answers)
