"""What the default encoder knows of Chinese: segmentation and parts of speech by linear heads on its states.

UD Chinese GSDSimp comes here without its train split, so heads learn from dev (500 sentences) and are asked on test. A
head on states that tell nothing comes out as the baseline beside it does, which knows the words of dev alone.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.syntax.words import covered
from finetune.branch import probe, targets_of
from finetune.syntax_data import Tree
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import Cell

LAYER = 4  # of six: above it MiniLM's states serve its sentence embedding
L2 = 1e-5
LONGEST = 6  # characters of a word that the baseline finds
AT_ONCE = 64
BEGINS, GOES_ON = "begins", "goes on"


def chinese_rows(encoder: TransformerEncoder, taught: Sequence[Tree], asked: Sequence[Tree]) -> list[dict[str, Cell]]:
    """Word pieces that it knows, words cut (F1), and parts of speech of gold words, with baselines."""
    pieces = [piece for tree in asked for piece in encoder.pieces(tree.text)]
    rows: list[dict[str, Cell]] = [
        {
            "of": "UD Chinese GSDSimp test: characters that the encoder does not know, %",
            "sentences": len(asked),
            "unknown": round(100 * sum(piece == "[UNK]" for piece in pieces) / len(pieces), 1),
        }
    ]
    before, after = _states(encoder, taught), _states(encoder, asked)
    cut = _learned(before[0], [each for tree in taught for each in _cuts(tree)], after[0])
    tags = _learned(before[1], [tag for tree in taught for tag in tree.tags], after[1])
    gold = [tag for tree in asked for tag in tree.tags]
    known: dict[str, Counter[str]] = defaultdict(Counter)
    for tree in taught:
        for word, tag in zip(tree.words, tree.tags, strict=True):
            known[word.text][tag] += 1
    usual = Counter(tag for tree in taught for tag in tree.tags).most_common(1)[0][0]
    guessed = [
        known[word.text].most_common(1)[0][0] if word.text in known else usual for tree in asked for word in tree.words
    ]
    right = {"a linear head on the frozen encoder": tags, "the usual tag of dev's words": guessed}
    for name, said in right.items():
        hit = sum(a == b for a, b in zip(said, gold, strict=True))
        rows.append({"of": f"UD Chinese GSDSimp test, gold words: {name}", "upos": round(100 * hit / len(gold), 2)})
    at = 0
    by_head = []
    for tree in asked:
        size = len(_cuts(tree))
        by_head.append(_spans(cut[at : at + size]))
        at += size
    longest = [_spans(_matched(_plain(tree), known)) for tree in asked]
    for name, spans in (("a linear head on the frozen encoder", by_head), ("longest words of dev", longest)):
        rows.append({"of": f"UD Chinese GSDSimp test, words cut: {name}", "f1": round(100 * _f1(spans, asked), 2)})
    return rows


def _plain(tree: Tree) -> str:
    return "".join(word.text for word in tree.words)


def _cuts(tree: Tree) -> list[str]:
    """For each character of its words whether a word begins there."""
    return [BEGINS if i == 0 else GOES_ON for word in tree.words for i in range(len(word.text))]


def _states(encoder: TransformerEncoder, trees: Sequence[Tree]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the layer makes of each character, (characters, dim), and of each word, (words, dim): means of pieces."""
    characters, words = [], []
    for begin in range(0, len(trees), AT_ONCE):
        part = trees[begin : begin + AT_ONCE]
        given = encoder.states([tree.text for tree in part], {LAYER})
        for row, tree in enumerate(part):
            states, offsets = given.layers[LAYER][row], given.offsets[row]
            piece_of = np.zeros(len(tree.text) + 1, dtype=np.intp)
            for i, (start, end) in enumerate(offsets):
                piece_of[start:end] = i
            for word, (first, last) in zip(tree.words, covered(tree.words, offsets), strict=True):
                words.append(states[first:last].mean(0) if last > first else np.zeros(states.shape[1], np.float32))
                characters += [states[piece_of[at]] for at in range(word.start, word.start + len(word.text))]
    return np.array(characters, dtype=np.float32), np.array(words, dtype=np.float32)


def _learned(before: NDArray[np.float32], said: Sequence[str], after: NDArray[np.float32]) -> list[str]:
    labels = sorted(set(said))
    middle, spread = before.mean(axis=0), before.std(axis=0) + 1e-6
    share = np.full(len(said), 1 / len(said), dtype=np.float32)
    weights, bias = probe(((before - middle) / spread).astype(np.float32), targets_of(said, labels), share, L2)
    return [labels[i] for i in ((after - middle) / spread @ weights + bias).argmax(axis=1)]


def _matched(text: str, known: dict[str, Counter[str]]) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(text):
        size = next((n for n in range(LONGEST, 1, -1) if text[at : at + n] in known), 1)
        found += [BEGINS, *[GOES_ON] * (min(size, len(text) - at) - 1)]
        at += size
    return found


def _spans(cuts: Sequence[str]) -> set[tuple[int, int]]:
    begins = [i for i, each in enumerate(cuts) if each == BEGINS or i == 0]
    return set(zip(begins, [*begins[1:], len(cuts)], strict=True))


def _f1(found: Sequence[set[tuple[int, int]]], trees: Sequence[Tree]) -> float:
    gold = [_spans(_cuts(tree)) for tree in trees]
    right = sum(len(a & b) for a, b in zip(found, gold, strict=True))
    return 2 * right / (sum(map(len, found)) + sum(map(len, gold)))
