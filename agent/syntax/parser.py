"""Sentences read: each word's part of speech and what it hangs on, by heads trained on English (UD EWT).

The lower layers are the encoder's own pass. The encoder knows English: other languages come out as noise, so callers
ask `is_english` first.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import load

from agent.syntax.network import Batch, Network, Sizes
from agent.syntax.short import Short
from agent.syntax.words import GRAMS, Sentence, Word, covered, grams_of, sentences_of, shape_of, words_of
from retrieval.encoder import States, TransformerEncoder, few_threads
from retrieval.errors import HeadError, HeadMismatch
from retrieval.files import read_manifest

SHIPPED = Path(__file__).parent / "weights"
LONGEST = 120  # words of a sentence; a longer one is cut
MOST = 40  # sentences of a text


@dataclass(frozen=True, slots=True)
class Part:
    """A sentence to be read. text: what it stands in; words: its own, one at least."""

    text: str
    words: tuple[Word, ...]

    @property
    def written(self) -> str:
        """Its characters: what the encoder reads."""
        return self.text[self.words[0].start : max(each.end for each in self.words)]


class Parser:
    """Reads syntax with the encoder that its heads were trained on. Thread-safe when the encoder is."""

    def __init__(self, encoder: TransformerEncoder, folder: Path = SHIPPED) -> None:
        """Raises HeadMismatch where the heads belong to another encoder, HeadError where they are damaged."""
        try:
            read_manifest(folder)
            card = json.loads((folder / "syntax.json").read_bytes())
            if card["encoder"] != encoder.id:
                raise HeadMismatch(f"The syntax heads were trained on {card['encoder']!r}, not on {encoder.id!r}.")
            sizes = Sizes(**card["sizes"])
            network = Network(encoder.blocks, sizes)
            self._network = network.take(load((folder / "syntax.safetensors").read_bytes()))
            self._short = Short(self._network)
            self._tags, self._relations = tuple(map(str, card["tags"])), tuple(map(str, card["relations"]))
            if (len(self._tags), len(self._relations)) != (sizes.tags, sizes.relations):
                raise ValueError("its card names other labels than its weights have")  # noqa: TRY301 - said below
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
            raise HeadError(f"The syntax heads in {folder} cannot be used: {error}. Reinstall Atelier.") from error
        self._encoder = encoder
        self._below = encoder.depth - sizes.layers

    def parts(self, text: str) -> list[Part]:
        """The sentences of `text`, as far as they are read."""
        return _parts([(text, part) for part in sentences_of(text, words_of(text))[:MOST]])

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text`, read in one batch. Blocks: about one encoder pass."""
        return self._read(self.parts(text))

    def read_words(self, given: Sequence[tuple[str, Sequence[Word]]]) -> list[Sentence]:
        """The same of words that are known: each text with the words of one sentence in it."""
        return self._read(_parts(given))

    def states(self, texts: Sequence[str], layers: Collection[int]) -> States:
        """One pass over `texts`: the states that `read_parts` wants and those of `layers`."""
        return self._encoder.states(texts, {self._below, *layers})

    def lower(self, texts: Sequence[str], layers: Collection[int]) -> States:
        """The same, without the encoder's layers above those that `read_parts` wants: `upper` makes what these give."""
        return self._encoder.lower(texts, self._below, layers)

    def upper(self, given: States, layers: Collection[int]) -> States:
        """The embeddings and the states of `layers`, from what `lower` gave."""
        return self._encoder.upper(given, layers)

    def _read(self, parts: Sequence[Part]) -> list[Sentence]:
        return self.read_parts(parts, self.states([each.written for each in parts], ()))

    def read_within(self, parts: Sequence[Part], states: States) -> list[Sentence]:
        """The sentences of one text, whose `states` were made: its pass is theirs too, where it saw all of them.

        A pass of their own would read texts of several sentences better, as the heads were trained on single ones (UD
        EWT dev in pairs: LAS 88.0 for 87.4; key phrases F1 .958 for .947), and cost as much as the message's own pass.
        Key phrases are all that is made of them, for each message of watched channels: not worth a pass. A message of
        one sentence loses nothing.
        """
        inside = within(states, parts)
        return self._read(parts) if inside is None else self.read_parts(parts, inside)

    def read_parts(self, parts: Sequence[Part], states: States) -> list[Sentence]:
        """The sentences of what each of `parts` has written, whose `states` were made."""
        if not parts:
            return []
        batch = _batch(states, self._below, [part.words for part in parts])
        with torch.inference_mode(), few_threads(states.mask.size):
            said = self._short(batch) if self._short.fits(batch) else self._network.said(batch)
        return [
            Sentence(
                part.text,
                part.words,
                tuple(self._tags[each] for each in one.tags),
                tuple(map(int, one.heads)),
                tuple(self._relations[each] for each in one.relations),
            )
            for part, one in zip(parts, said, strict=True)
        ]


def within(states: States, parts: Sequence[Part]) -> States | None:
    """The states of `parts` out of those of the one text that they stand in, so they need no pass of their own.

    Each has the text's first and last piece, which stand for no characters, around its own pieces. None where the
    encoder cut the text before they ended.
    """
    offsets = states.offsets[0]
    spans = [(part.words[0].start, max(word.end for word in part.words)) for part in parts]
    if not spans or max(end for _, end in offsets) < max(end for _, end in spans):
        return None
    rows = [[i for i, (a, b) in enumerate(offsets) if a < end and b > begin and a < b] for begin, end in spans]
    rows = [[0, *row, len(offsets) - 1] for row in rows]
    mask = np.arange(max(map(len, rows))) < np.array([len(row) for row in rows])[:, None]
    layers = {}
    for layer, given in states.layers.items():
        layers[layer] = np.zeros((*mask.shape, given.shape[-1]), dtype=np.float32)
        layers[layer][mask] = given[0, [i for row in rows for i in row]]
    moved = tuple(
        tuple((offsets[i][0] - begin, offsets[i][1] - begin) if offsets[i][1] else (0, 0) for i in row)
        for row, (begin, _) in zip(rows, spans, strict=True)
    )
    return States(np.repeat(states.embeddings[:1], len(rows), axis=0), layers, mask, moved)


def _parts(given: Sequence[tuple[str, Sequence[Word]]]) -> list[Part]:
    return [Part(text, tuple(words[:LONGEST])) for text, words in given if words]


def _batch(states: States, below: int, sentences: Sequence[Sequence[Word]]) -> Batch:
    n, long = len(sentences), max(map(len, sentences))
    first, last, shapes = (np.zeros((n, long), np.int64) for _ in range(3))
    grams, words = np.zeros((n, long, GRAMS), np.int64), np.zeros((n, long), bool)
    for row, sentence in enumerate(sentences):
        begin = sentence[0].start
        moved = [Word(each.text, each.start - begin, each.end - begin) for each in sentence]
        for k, (word, span) in enumerate(zip(moved, covered(moved, states.offsets[row]), strict=True)):
            first[row, k], last[row, k] = span
            shapes[row, k] = shape_of(word.text, is_first=k == 0)
            grams[row, k] = grams_of(word.text)
            words[row, k] = True
    tensors = (states.layers[below], states.mask, first, last, words, shapes, grams)
    return Batch(*map(torch.from_numpy, tensors))
