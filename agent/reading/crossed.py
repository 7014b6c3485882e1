"""Question and passage read as one text, so that each word of either sees the other's: where in it the answer stands.

The lower layers are the encoder's own. Those above are a branch that was trained on SQuAD 1.1 (Rajpurkar et al. 2016)
to point at the answer's first and last piece or, where the passage does not answer, at the first piece of all, which
stands for no word (Devlin et al. 2019, as for SQuAD 2.0): `python -m tests.benchmarks.train_crossed`.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import load

from retrieval.encoder import TransformerEncoder, threads_of
from retrieval.errors import HeadError, HeadMismatch
from retrieval.files import read_manifest

SHIPPED = Path(__file__).parent / "weights"
BETWEEN = " [SEP] "  # the encoder's own mark
ROOM = 24  # pieces left for marks, and for words that are cut otherwise beside their neighbours
SHORTEST, HEADING = 64, 32  # pieces: a passage has that much room beside the longest question; a heading is cut there
LONG = (
    48  # pieces: of a longer message the sentences that ask are read alone, as those it was trained on were no longer
)
PASSAGES = 2  # that are read, the likeliest ones: of five it knew no more, at twice the time
UNREAD = -12.0  # the log-odds of a sentence that was not read
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")  # roughly: what stands after "e.g." is read as a sentence of its own
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Piece:
    """What is read in one pass with the question. rows: the sentences, by their places; spans: where they stand."""

    text: str
    rows: range
    spans: tuple[tuple[int, int], ...]


class CrossReader:
    """Thread-safe when the encoder is."""

    def __init__(self, encoder: TransformerEncoder, folder: Path = SHIPPED) -> None:
        """Raises HeadMismatch where it was trained with another encoder, HeadError where it is damaged."""
        from agent.branches import Branch  # it takes torch, and who starts `atelier chat` sees the prompt before that

        try:
            read_manifest(folder)
            card = json.loads((folder / "crossed.json").read_bytes())
            if card["encoder"] != encoder.id:
                raise HeadMismatch(f"The reader was trained on {card['encoder']!r}, not on {encoder.id!r}.")
            tensors = load((folder / "crossed.safetensors").read_bytes())
            self._weights = tensors.pop("head.weight").astype(np.float32)
            loaded = Branch.load(tensors, encoder)
            self._branch = Branch(loaded.start, loaded.layers)  # no weights for short passes: it makes none
            if self._weights.shape != (2, encoder.dim):
                raise ValueError("its head is of another size")  # noqa: TRY301 - said below
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            raise HeadError(f"The reader in {folder} cannot be used: {error}. Reinstall Atelier.") from error
        self._encoder = encoder

    def read(self, question: str, headings: Sequence[str], units: Sequence[Sequence[str]], before: Floats) -> Floats:
        """The log-odds that the answer begins and ends in each sentence rather than that its passage has none.

        units: the sentences of each passage, whose `headings` stand over them. before: what was thought of each of them
        all, (sentences,), by which the passages are chosen. Returns (sentences,); of others UNREAD. Blocks: one pass.
        """
        made = np.full(len(before), UNREAD)
        pieces = [
            piece
            for place in _likeliest(units, before)
            for piece in self._pieces(question, headings[place], units[place], sum(map(len, units[:place])))
        ]
        if not pieces:
            return made
        with threads_of(1):  # a second thread saves a third of the time, and waits for ten times that beside other work
            states = self._encoder.lower([piece.text for piece in pieces], self._branch.start)
            scores = self._branch.tokens(states) @ self._weights.T
        for number, piece in enumerate(pieces):
            offsets = states.offsets[number]
            odds = in_spans(scores[number, : len(offsets)], np.array(offsets), piece.spans)
            made[piece.rows.start : piece.rows.stop] = odds
        return made

    def _pieces(self, question: str, heading: str, sentences: Sequence[str], start: int) -> Iterator[Piece]:
        """A passage in pieces that the encoder does not cut. start: the place of its first sentence among all."""
        count, most = self._encoder.count_tokens, self._encoder.max_tokens - ROOM
        question = _asking(question) if count(question) > LONG else question
        after = f"{BETWEEN}{_beginning(heading, HEADING, count)}\n" if heading else BETWEEN
        before = _beginning(question, most - SHORTEST - count(after), count) + after
        room = most - count(before)
        for rows in _fitting([count(text) for text in sentences], room):
            text, spans = before, []
            for row in rows:
                spans.append((len(text), len(text) + len(sentences[row])))
                text += f"{sentences[row]} "
            yield Piece(text, range(start + rows.start, start + rows.stop), tuple(spans))


@cache
def shipped(encoder: TransformerEncoder) -> CrossReader:
    """The one that comes with Atelier. Raises as CrossReader."""
    return CrossReader(encoder)


def in_spans(scores: NDArray[np.float32], offsets: NDArray[np.int64], spans: Sequence[tuple[int, int]]) -> Floats:
    """For each span the log-odds that the answer begins and ends in it rather than nowhere, (spans,).

    scores: (pieces, 2), of each piece as the first and as the last one; the first row stands for nowhere. offsets:
    (pieces, 2), characters of each piece. A span none of whose pieces was read has UNREAD.
    """
    odds = np.full(len(spans), UNREAD)
    real = offsets[:, 1] > offsets[:, 0]
    for place, (start, end) in enumerate(spans):
        inside = real & (offsets[:, 1] > start) & (offsets[:, 0] < end)
        if inside.any():
            odds[place] = (np.logaddexp.reduce(scores[inside], axis=0) - scores[0]).mean()
    return odds


def _asking(message: str) -> str:
    """Those of its sentences that end in a question mark; the whole message where there is none."""
    sentences = (each.strip() for each in _SENTENCE.findall(message))
    return " ".join(each for each in sentences if each.endswith("?")) or message


def _beginning(text: str, most: int, count: Callable[[str], int]) -> str:
    """The text, or as many of its first words as have `most` pieces."""
    if count(text) <= most:
        return text
    words = text.split()
    return " ".join(words[: bisect_right(list(accumulate(map(count, words))), most)])


def _likeliest(units: Sequence[Sequence[str]], before: Floats) -> list[int]:
    """The places of the PASSAGES passages with the likeliest sentences."""
    ends = np.cumsum(list(map(len, units)))
    best = [
        (-before[end - len(here) : end].max(), place)
        for place, (here, end) in enumerate(zip(units, ends, strict=True))
        if here
    ]
    return [place for _, place in sorted(best)[:PASSAGES]]


def _fitting(sizes: Sequence[int], room: int) -> Iterator[range]:
    """Neighbours that fit into `room` together; one that is larger stands alone, and is cut."""
    start = taken = 0
    for row, size in enumerate(sizes):
        if row > start and taken + size > room:
            yield range(start, row)
            start, taken = row, 0
        taken += size
    if start < len(sizes):
        yield range(start, len(sizes))
