"""Sentences read: each word's part of speech and what it hangs on, by heads trained on English (UD EWT).

The lower layers are the encoder's own pass. The encoder knows English: other languages come out as noise, so callers
ask `is_english` first.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import load

from agent.syntax.network import Batch, Network, Sizes
from agent.syntax.tree import best_tree
from agent.syntax.words import GRAMS, Sentence, Word, covered, grams_of, sentences_of, shape_of, words_of
from retrieval.encoder import LayeredEncoder, States, TransformerEncoder
from retrieval.errors import HeadError, HeadMismatch
from retrieval.files import read_manifest

SHIPPED = Path(__file__).parent / "weights"
LONGEST = 120  # words of a sentence; a longer one is cut
MOST = 40  # sentences of a text


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
            self._tags, self._relations = tuple(map(str, card["tags"])), tuple(map(str, card["relations"]))
            if (len(self._tags), len(self._relations)) != (sizes.tags, sizes.relations):
                raise ValueError("its card names other labels than its weights have")  # noqa: TRY301 - said below
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
            raise HeadError(f"The syntax heads in {folder} cannot be used: {error}. Reinstall Atelier.") from error
        self._encoder: LayeredEncoder = encoder
        self._below = encoder.depth - sizes.layers

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text`, read in one batch. Blocks: about one encoder pass."""
        return self.read_words([(text, part) for part in sentences_of(text, words_of(text))[:MOST]])

    def read_words(self, given: Sequence[tuple[str, Sequence[Word]]]) -> list[Sentence]:
        """The same of words that are known: each text with the words of one sentence in it."""
        kept = [(text, list(words)[:LONGEST]) for text, words in given if words]
        if not kept:
            return []
        begins = [words[0].start for _, words in kept]
        parts = [text[words[0].start : max(each.end for each in words)] for text, words in kept]
        states = self._encoder.states(parts, {self._below})
        batch = _batch(states, self._below, [words for _, words in kept], begins)
        with torch.inference_mode():
            read = self._network.read(batch)
            tags = self._network.tags(read).argmax(-1).numpy()
            arcs = self._network.arcs(read, batch.words).log_softmax(-1).numpy()
            heads = np.zeros(tags.shape, np.int64)
            for row, (_, words) in enumerate(kept):
                heads[row, : len(words)] = best_tree(arcs[row, : len(words), : len(words) + 1])
            relations = self._network.relations(read, torch.from_numpy(heads)).argmax(-1).numpy()
        return [
            Sentence(
                text,
                tuple(words),
                tuple(self._tags[each] for each in tags[row, : len(words)]),
                tuple(int(each) for each in heads[row, : len(words)]),
                tuple(self._relations[each] for each in relations[row, : len(words)]),
            )
            for row, (text, words) in enumerate(kept)
        ]


def _batch(states: States, below: int, sentences: Sequence[Sequence[Word]], begins: Sequence[int]) -> Batch:
    n, long = len(sentences), max(map(len, sentences))
    first, last, shapes = (np.zeros((n, long), np.int64) for _ in range(3))
    grams, words = np.zeros((n, long, GRAMS), np.int64), np.zeros((n, long), bool)
    for row, (sentence, begin) in enumerate(zip(sentences, begins, strict=True)):
        moved = [Word(each.text, each.start - begin, each.end - begin) for each in sentence]
        for k, (word, span) in enumerate(zip(moved, covered(moved, states.offsets[row]), strict=True)):
            first[row, k], last[row, k] = span
            shapes[row, k] = shape_of(word.text, is_first=k == 0)
            grams[row, k] = grams_of(word.text)
            words[row, k] = True
    tensors = (states.layers[below], states.mask, first, last, words, shapes, grams)
    return Batch(*map(torch.from_numpy, tensors))
