import gzip
import json
import random
from itertools import pairwise

import numpy as np
import pytest

from finetune.fusion import train_fusion
from finetune.fusion_data import cuttings, load_pools
from retrieval.errors import UnreadableFile
from retrieval.fusion import learned
from retrieval.tokens import words

TOPICS = [
    f"{a}{b}" for a in ("bank", "card", "trip", "food", "book", "song") for b in ("er", "ing", "let", "ly", "o", "y")
]


class Letters:
    """An encoder that counts letter pairs: near in spelling, near in vector."""

    id, dim = "letters", 64

    def __call__(self, texts):
        table = np.full((len(texts), self.dim), 1e-3, dtype=np.float32)
        for i, text in enumerate(texts):
            for word in words(text):
                for a, b in pairwise(word):
                    table[i, (ord(a) * 31 + ord(b)) % self.dim] += 1
        return table / np.linalg.norm(table, axis=1, keepdims=True)

    def count_tokens(self, text):
        return len(text)


@pytest.fixture
def data(tmp_path):
    """Every set the training reads, a few rows each, in the form of the real ones."""
    chance = random.Random(0)

    def text(topic, n):
        return " ".join(chance.choice([topic, topic[:-1], "the", "a", "of", "what", "how", *TOPICS]) for _ in range(n))

    def write(name, rows):
        path = tmp_path / f"{name}.jsonl.gz"
        path.parent.mkdir(exist_ok=True)
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    passages = [(f"Title_{i}", f"p{i}-{j}", text(TOPICS[i % 36], 25)) for i in range(150) for j in range(2)]
    write("squad/train_v1.1.passages", [{"pid": p, "title": t, "text": x} for t, p, x in passages])
    write(
        "squad/train_v1.1.questions",
        [{"pid": p, "question": " ".join(chance.sample(x.split(), 6)), "answers": []} for _, p, x in passages],
    )
    for name in ("clinc150", "banking77"):
        write(f"{name}/train", [{"text": text(topic, 6), "intent": topic} for topic in TOPICS for _ in range(4)])
    write(
        "bitext_support/train",
        [
            {"instruction": text(topic, 6), "response": text(topic, 20), "intent": topic}
            for topic in TOPICS[:8]
            for _ in range(6)
        ],
    )
    write(
        "dolly15k/train",
        [
            {"instruction": text(topic, 6), "context": text(topic, 20), "response": text(topic, 12), "category": kind}
            for topic in TOPICS
            for kind in ("closed_qa", "open_qa", "open_qa")
        ],
    )
    return tmp_path


def test_training_gives_weights_that_load_and_the_same_ones_again(data, tmp_path):
    said = []
    figures = train_fusion(data, tmp_path / "a.json", Letters(), seed=3, size=100, progress=said.append)
    train_fusion(data, tmp_path / "b.json", Letters(), seed=3, size=100)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert learned("letters", tmp_path / "a.json") is not None
    assert figures.first["squad-0"] > 0.5
    assert any("epoch" in line for line in said)


def test_answers_point_at_passages(data):
    for pool in load_pools(data, 0, size=50):
        assert len(pool.questions) == len(pool.answers) > 0
        assert all(0 <= place < len(pool.passages) for places in pool.answers for place in places)
        for small, kept, asked in cuttings(pool, 1, count=5):
            assert [pool.passages[i] for i in kept] == list(small.passages)
            assert [pool.questions[i] for i in asked] == list(small.questions)
            for question, places in zip(asked, small.answers, strict=True):
                assert {int(kept[place]) for place in places} <= pool.answers[question]


def test_a_missing_set_says_where_to_look(tmp_path):
    with pytest.raises(UnreadableFile, match="ATELIER_DATA"):
        train_fusion(tmp_path, tmp_path / "out.json", Letters())
