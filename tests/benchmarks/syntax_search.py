"""Whether syntax makes better search terms: BM25 over the passages of SQuAD 2.0 dev, asked with words chosen by syntax.

Nothing is fitted. Content words: nouns, names, verbs, adjectives, numbers. Phrases twice: the words of a question's
noun phrases count double.
"""

import bm25s
import numpy as np

from agent.syntax.parser import Parser
from agent.syntax.phrases import key_phrases
from agent.syntax.words import Sentence
from retrieval.tokens import words
from tests.benchmarks import Cell
from tests.benchmarks.squad import articles

CONTENT = frozenset({"NOUN", "PROPN", "VERB", "ADJ", "NUM", "X"})
DEEP = 10


def search_rows(parser: Parser, most: int) -> list[dict[str, Cell]]:
    """A row for each way to ask. Raises FileNotFoundError without the shared data."""
    known = articles("dev_v2.0")
    ids = [number for article in known for number in article.texts]
    index = bm25s.BM25()
    index.index([words(text) for article in known for text in article.texts.values()], show_progress=False)
    asked = [each for article in known for each in article.questions if each.answers]
    asked = [asked[i] for i in np.random.default_rng(0).permutation(len(asked))[:most]]
    ranks: dict[str, list[float]] = {}
    for question in asked:
        for name, terms in _ways(question.text, parser.read(question.text)).items():
            scores = index.get_scores(terms or ["?"])
            place = int((scores > scores[ids.index(question.passage)]).sum()) + 1
            ranks.setdefault(name, []).append(float(place))
    plain = 1 / np.array(ranks["all words"])
    return [
        {
            "of": f"SQuAD 2.0 dev by words alone: {name}",
            "questions": len(asked),
            "recall@1": round(float(np.mean(np.array(places) <= 1)), 4),
            f"recall@{DEEP}": round(float(np.mean(np.array(places) <= DEEP)), 4),
            "mrr": round(float(np.mean(1 / np.array(places))), 4),
            "mrr gained, 95 %": _interval(1 / np.array(places) - plain),
        }
        for name, places in ranks.items()
    ]


def _interval(gains: np.ndarray, draws: int = 2_000) -> str:
    """The bootstrap interval of the mean over questions."""
    chosen = np.random.default_rng(0).integers(len(gains), size=(draws, len(gains)))
    low, high = np.quantile(gains[chosen].mean(axis=1), (0.025, 0.975))
    return f"{low:+.4f} to {high:+.4f}"


def _ways(text: str, read: list[Sentence]) -> dict[str, list[str]]:
    every = words(text)
    kept = [
        word.text
        for sentence in read
        for word, tag in zip(sentence.words, sentence.tags, strict=True)
        if tag in CONTENT
    ]
    phrases = " ".join(key_phrases(read))
    return {
        "all words": every,
        "content words": words(" ".join(kept)),
        "phrases twice": [*every, *words(phrases)],
        "phrases alone": words(phrases),
    }
