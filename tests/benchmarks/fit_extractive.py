"""Fits the weights of `agent/generation/evidence.py` on SQuAD 1.1 train: `python -m tests.benchmarks.fit_extractive`.

Each question meets passages of its own article, found by their words. For half of the questions the passage that
answers is left out, as when a team's documents do not hold an answer. Prints the constants to paste.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

from agent.generation.evidence import NAMES, Reader, read_question
from agent.generation.sentences import cut
from retrieval.encoder import TransformerEncoder
from tests.benchmarks.squad import Article, Cached, articles

EVERY = 2  # of an article's questions


def samples(chosen: list[Article], reader: Reader) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, f), whether the unit holds a gold answer (n,), and the question it belongs to (n,)."""
    rows, labels, owners = [], [], []
    number = 0
    for article in chosen:
        for question in article.questions[::EVERY]:
            number += 1
            passages = article.passages_for(question, 3, hide_gold=number % 2 == 0)
            units = [cut(passage.text) for passage in passages]
            rows.append(reader.features(read_question(question.text, passages), units, passages))
            for passage, here in zip(passages, units, strict=True):
                gold = passage.id == question.passage
                labels += [gold and any(answer in unit.text for answer in question.answers) for unit in here]
            owners += [number] * len(rows[-1])
    return np.vstack(rows), np.array(labels), np.array(owners)


def main() -> None:
    chosen = articles("train_v1.1")[::18]
    texts = [unit.text for article in chosen for text in article.texts.values() for unit in cut(text)]
    texts += [question.text for article in chosen for question in article.questions[::EVERY]]
    table, labels, owners = samples(chosen, Reader(Cached(TransformerEncoder(), texts)))
    model = LogisticRegression(C=1.0, max_iter=2000).fit(table, labels)
    print(f"{len(np.unique(owners)):,} questions, {len(labels):,} sentences, {labels.mean():.3f} hold the answer")
    print("WEIGHTS = np.array([", ", ".join(f"{weight:.3f}" for weight in model.coef_[0]), "])")
    print(f"BIAS = {model.intercept_[0]:.3f}")
    for name, weight in zip(NAMES, model.coef_[0], strict=True):
        print(f"  {name:18} {weight:+.3f}")


if __name__ == "__main__":
    main()
