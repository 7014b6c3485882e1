"""Trains `agent/reading/weights`: `python -m tests.benchmarks.train_crossed OUT`. Some 50 minutes on one core.

On questions of SQuAD 1.1's training articles but one in EVERY, which `fit_reading` takes: each with the passage that
answers it, and most a second time where nothing does: altered (`altered.py`), or with another passage of the article
that has near words. A run that was stopped goes on where its last checkpoint in OUT was.
"""

import argparse
import datetime as dt
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest.mock import patch

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from agent.branches import Branch
from agent.reading.crossed import BETWEEN, SHIPPED
from retrieval import encoder as encoders
from retrieval.encoder import TransformerEncoder
from retrieval.files import write_folder_atomically
from tests.benchmarks.altered import altered
from tests.benchmarks.fit_reading import EVERY
from tests.benchmarks.squad import Article, Asked, articles

PAIRS, ROWS, CALM = 36_000, 32, 50  # of question and passage; a step; steps whose rows are sorted by length together
LAYERS, RATE, DECAY, HEAD_RATE, WARMUP = 4, 2e-4, 0.9, 1e-3, 0.06
UNMARKED, HEADED = 0.15, 0.5  # shares without a question mark, and with the article's title over the passage
ALTERED, ELSEWHERE = 0.42, 0.38  # shares that are asked again where nothing answers
BARRED = -1e4
KEEP = 100  # steps between two checkpoints


@dataclass(frozen=True, slots=True)
class Pair:
    """A question beside a passage. answers: none where the passage has none."""

    question: str
    heading: str
    passage: str
    answers: Sequence[str]


@dataclass(frozen=True, slots=True)
class Row:
    """A pair as the encoder reads it. first: the passage's first piece; starts, ends: right ones; 0 where none is."""

    pieces: list[int]
    first: int
    starts: list[int]
    ends: list[int]


def pairs(count: int) -> list[Pair]:
    chance = Random(7)
    asked = [(article, each) for article in _taught() for each in article.questions]
    chance.shuffle(asked)
    made: list[Pair] = []
    for article, each in asked:
        if len(made) >= count:
            break
        made += _pairs(article, each, chance)
    return made


def _taught() -> list[Article]:
    return [article for number, article in enumerate(articles("train_v1.1")) if number % EVERY]


def _pairs(article: Article, asked: Asked, chance: Random) -> Iterator[Pair]:
    text = asked.text.rstrip("? ") if chance.random() < UNMARKED else asked.text
    heading = article.title.replace("_", " ") if chance.random() < HEADED else ""
    own = article.texts[asked.passage]
    yield Pair(text, heading, own, asked.answers)
    kind = chance.random()
    if kind < ALTERED:
        others = [other.text for other in chance.sample(article.questions, min(40, len(article.questions)))]
        if other := altered(asked.text, own, others, chance):
            yield Pair(other, heading, own, ())
    elif kind < ALTERED + ELSEWHERE:
        near = [each.text for each in article.passages_for(asked, 6, hide_gold=True)]
        fits = [each for each in near if not any(one.lower() in each.lower() for one in asked.answers)]
        if fits:
            yield Pair(text, heading, chance.choice(fits[:3]), ())


def row_of(pair: Pair, encoder: TransformerEncoder) -> Row:
    before = f"{pair.question}{BETWEEN}{pair.heading}\n" if pair.heading else f"{pair.question}{BETWEEN}"
    (pieces,), (spans,) = encoder._loaded.cut([before + pair.passage])
    real = [i for i, (start, end) in enumerate(spans) if end > start]
    starts, ends = [], []
    for answer in pair.answers:
        for found in re.finditer(re.escape(answer), pair.passage):
            begin, end = (len(before) + place for place in found.span())
            inside = [i for i in real if spans[i][1] > begin and spans[i][0] < end]
            if inside:
                starts.append(inside[0])
                ends.append(inside[-1])
    first = next((i for i in real if spans[i][0] >= len(before)), len(pieces) - 1)
    return Row(pieces, first, starts or [0], ends or [0])


class Net(nn.Module):
    """Layers of its own over the encoder's lower ones, and how well each piece begins or ends the answer."""

    def __init__(self, encoder: TransformerEncoder) -> None:
        super().__init__()
        self.branch = Branch.copied(encoder, LAYERS).trainable()
        self.layers = self.branch.layers
        self.head = nn.Linear(encoder.dim, 2)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        scores: Tensor = self.head(self.branch.forward(states, mask).float())
        return scores


def loss_of(net: Net, encoder: TransformerEncoder, rows: Sequence[Row]) -> Tensor:
    """Cross entropy of where the answer begins and ends: any of its places in the passage is right."""
    width = max(len(row.pieces) for row in rows)
    tokens = torch.zeros(len(rows), width, dtype=torch.long)
    mask, possible = torch.zeros_like(tokens, dtype=torch.bool), torch.zeros_like(tokens, dtype=torch.bool)
    right = torch.zeros(len(rows), width, 2, dtype=torch.bool)
    for number, row in enumerate(rows):
        size = len(row.pieces)
        tokens[number, :size] = torch.tensor(row.pieces)
        mask[number, :size] = True
        possible[number, 0] = possible[number, row.first : size - 1] = True
        right[number, row.starts, 0] = right[number, row.ends, 1] = True
    start = net.branch.start
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=encoders._has_bf16()):
        with torch.no_grad():
            lower = encoder._loaded.states(tokens, mask, [start])[1][start]
        scores = net(lower, mask)
    logs = scores.masked_fill(~possible[..., None], BARRED).log_softmax(1)
    return -logs.masked_fill(~right, BARRED).logsumexp(1).mean()


def train(encoder: TransformerEncoder, out: Path, count: int) -> Net:
    torch.manual_seed(0)
    net, chance = Net(encoder), Random(1)
    rows = [row_of(pair, encoder) for pair in pairs(count)]
    steps = list(_steps(rows, chance))
    groups = [{"params": each.parameters(), "lr": RATE * DECAY**up} for up, each in enumerate(reversed(net.layers))]
    groups.append({"params": net.head.parameters(), "lr": HEAD_RATE})
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    planned = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda at: min(1.0, (at + 1) / (WARMUP * len(steps))) * (1 - at / len(steps))
    )
    kept, done, began = out / "checkpoint.pt", 0, time.perf_counter()
    parts = {"net": net, "optimizer": optimizer, "planned": planned}
    if kept.exists():
        held = torch.load(kept, weights_only=True)
        done = held.pop("done")
        for name, part in parts.items():
            part.load_state_dict(held[name])
    for step, chosen in list(enumerate(steps, 1))[done:]:
        loss = loss_of(net, encoder, [rows[i] for i in chosen])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        planned.step()
        if step % 20 == 0:
            each = (time.perf_counter() - began) / (step - done)
            print(f"step {step} of {len(steps)}: loss {float(loss):.3f}, {each:.2f} s a step", flush=True)
        if step % KEEP == 0:
            torch.save({name: part.state_dict() for name, part in parts.items()} | {"done": step}, kept)
    return net.eval()


def _steps(rows: Sequence[Row], chance: Random) -> Iterator[list[int]]:
    """Rows of like length share a step."""
    order = list(range(len(rows)))
    chance.shuffle(order)
    for at in range(0, len(order), ROWS * CALM):
        part = sorted(order[at : at + ROWS * CALM], key=lambda i: len(rows[i].pieces))
        made = [part[i : i + ROWS] for i in range(0, len(part), ROWS)]
        chance.shuffle(made)
        yield from made


def write(net: Net, encoder: TransformerEncoder, folder: Path) -> None:
    card = {
        "encoder": encoder.id,
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "trained_on": "SQuAD 1.1 train (Rajpurkar et al. 2016, CC BY-SA 4.0), and questions altered from it",
        "trained_by": "python -m tests.benchmarks.train_crossed",
    }
    tensors = net.branch.tensors(encoder)
    tensors["head.weight"] = net.head.weight.detach().numpy().astype(np.float16)

    def fill(draft: Path) -> None:
        (draft / "crossed.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        save_file(tensors, draft / "crossed.safetensors")

    write_folder_atomically(folder, fill, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="a folder for checkpoints")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with patch.object(
        encoders, "_has_bf16", lambda: False
    ):  # differences from published weights, not from rounded ones
        encoder = TransformerEncoder()
    write(train(encoder, chosen.out, chosen.pairs), encoder, SHIPPED)


if __name__ == "__main__":
    main()
