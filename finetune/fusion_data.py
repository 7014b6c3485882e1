"""Questions and the passages that answer them, from licensed sets, for training the fusion of words and vectors."""

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import UnreadableFile

LICENCES = {
    "squad/train_v1.1": "CC BY-SA 4.0",
    "clinc150/train": "CC BY 3.0",
    "banking77/train": "CC BY 4.0",
    "bitext_support/train": "CDLA-Sharing 1.0",
    "dolly15k/train": "CC BY-SA 3.0",
}


@dataclass(frozen=True, slots=True)
class Pool:
    """A knowledge base in small. answers[i]: the places in `passages` that answer `questions[i]`; none where empty."""

    name: str
    passages: tuple[str, ...]
    questions: tuple[str, ...]
    answers: tuple[frozenset[int], ...]


def load_pools(data: Path, seed: int, *, size: int) -> list[Pool]:
    """Encyclopedia questions (where words win), paraphrases and questions to answers (where vectors win).

    size: questions of the largest pools. Raises UnreadableFile when a set is missing.
    """
    chance = random.Random(seed)
    return [
        *_squad(data, chance, size),
        _intents(data, "clinc150", "text", chance, size),
        _intents(data, "banking77", "text", chance, size // 2),
        _support(data, chance, size // 3),
        *_dolly(data, chance, size),
    ]


def cuttings(pool: Pool, seed: int, *, count: int) -> Iterator[tuple[Pool, NDArray[np.int64], NDArray[np.int64]]]:
    """Knowledge bases of 1 to 40 of the pool's passages, as a team's first documents make, with up to four questions.

    Yields each with the places of its passages and of its questions in `pool`. Some questions lose their passages.
    """
    chance = np.random.default_rng(seed)
    for _ in range(count):
        asked = chance.choice(len(pool.questions), size=min(4, len(pool.questions)), replace=False)
        size = min(round(40 ** chance.random()), len(pool.passages))
        begin = int(chance.integers(len(pool.passages) - size + 1))
        near = np.arange(begin, begin + size)  # neighbours are of one article: hard to tell apart
        golds = np.array([min(pool.answers[i]) for i in asked if pool.answers[i]], dtype=np.int64)
        kept = np.union1d(near[len(golds) :], golds[: max(1, size)])
        place = {int(old): new for new, old in enumerate(kept)}
        answers = tuple(frozenset(place[j] for j in pool.answers[i] if j in place) for i in asked)
        texts, questions = tuple(pool.passages[i] for i in kept), tuple(pool.questions[i] for i in asked)
        yield Pool("small", texts, questions, answers), kept, asked


def rows(data: Path, name: str) -> list[dict[str, Any]]:
    """The rows of one gzip'd JSONL file. Raises UnreadableFile."""
    path = data / f"{name}.jsonl.gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path} cannot be read. Point ATELIER_DATA at the folder of data sets.") from error


def _squad(data: Path, chance: random.Random, size: int) -> list[Pool]:
    """Three pools of 48 articles, as many as the development set has; one shows its titles as headings."""
    passages, questions = rows(data, "squad/train_v1.1.passages"), rows(data, "squad/train_v1.1.questions")
    titles = sorted({row["title"] for row in passages})
    chance.shuffle(titles)
    pools = []
    for number, headed in enumerate((False, False, True)):
        chosen = set(titles[number * 48 : number * 48 + 48])
        kept = [row for row in passages if row["title"] in chosen]
        place = {row["pid"]: i for i, row in enumerate(kept)}
        asked = [row for row in questions if row["pid"] in place]
        asked = chance.sample(asked, min(size, len(asked)))
        texts = [f"{row['title'].replace('_', ' ')}\n{row['text']}" if headed else row["text"] for row in kept]
        answers = [frozenset({place[row["pid"]]}) for row in asked]
        pools.append(_pool(f"squad-{number}", texts, [row["question"] for row in asked], answers))
    return pools


def _intents(data: Path, name: str, text: str, chance: random.Random, size: int) -> Pool:
    """Two utterances of each intent are indexed; the others are asked. Out-of-scope ones have no answer."""
    utterances = defaultdict(list)
    for row in rows(data, f"{name}/train"):
        utterances[row["intent"]].append(row[text])
    nowhere = utterances.pop("oos", [])
    passages: list[str] = []
    asked: list[tuple[str, frozenset[int]]] = [(question, frozenset()) for question in nowhere]
    for intent in sorted(utterances):
        chance.shuffle(utterances[intent])
        answers = frozenset(range(len(passages), len(passages) + 2))
        passages.extend(utterances[intent][:2])
        asked.extend((question, answers) for question in utterances[intent][2:])
    asked = chance.sample(asked, min(size, len(asked)))
    return _pool(name, passages, *zip(*asked, strict=True))


def _support(data: Path, chance: random.Random, size: int) -> Pool:
    """An FAQ: question and answer are indexed together, other wordings of the question are asked."""
    by_intent = defaultdict(list)
    for row in rows(data, "bitext_support/train"):
        by_intent[row["intent"]].append(row)
    passages: list[str] = []
    asked: list[tuple[str, frozenset[int]]] = []
    for intent in sorted(by_intent):
        chance.shuffle(by_intent[intent])
        answers = frozenset(range(len(passages), len(passages) + 3))
        passages.extend(f"{row['instruction']}\n{row['response']}" for row in by_intent[intent][:3])
        asked.extend((row["instruction"], answers) for row in by_intent[intent][3:])
    asked = chance.sample(asked, min(size, len(asked)))
    return _pool("bitext_support", passages, *zip(*asked, strict=True))


def _dolly(data: Path, chance: random.Random, size: int) -> list[Pool]:
    """Questions to the text they were written on, to their answers, and a few of their words to question and answer."""
    by_kind = defaultdict(list)
    for row in rows(data, "dolly15k/train"):
        by_kind[row["category"]].append(row)
    reading = [row for row in by_kind["closed_qa"] + by_kind["information_extraction"] if row["context"].strip()]
    reading = chance.sample(reading, min(size * 2 // 3, len(reading)))
    knowing = [row for row in by_kind["open_qa"] + by_kind["general_qa"] if len(row["response"].split()) > 5]
    knowing = chance.sample(knowing, min(size * 2, len(knowing)))
    told, kept = knowing[: len(knowing) // 2], knowing[len(knowing) // 2 :]
    contexts = sorted({row["context"] for row in reading})
    place = {text: i for i, text in enumerate(contexts)}
    return [
        _pool(
            "dolly-contexts",
            contexts,
            [row["instruction"] for row in reading],
            [frozenset({place[row["context"]]}) for row in reading],
        ),
        _pool(
            "dolly-answers",
            [row["response"] for row in told],
            [row["instruction"] for row in told],
            [frozenset({i}) for i in range(len(told))],
        ),
        _pool(
            "dolly-faq",
            [f"{row['instruction']}\n{row['response']}" for row in kept],
            [_keywords(row["instruction"], chance) for row in kept],
            [frozenset({i}) for i in range(len(kept))],
        ),
    ]


def _keywords(question: str, chance: random.Random) -> str:
    """About half of the question's words, in order: people type keywords too."""
    words = question.split()
    kept = sorted(chance.sample(range(len(words)), max(2, len(words) // 2))) if len(words) > 2 else range(len(words))
    return " ".join(words[i] for i in kept)


def _pool(name: str, passages: Sequence[str], questions: Iterable[str], answers: Iterable[frozenset[int]]) -> Pool:
    return Pool(name, tuple(passages), tuple(questions), tuple(answers))
