"""A sentence laid beside a passage word by word: whether each name and number stands among the same words. Pure.

A sentence may have all its words in a passage and still say something else, where a name or a number of another
sentence was put in. So each of them is looked for in its place: how alike it and the same word in the passage are in
their contexts (an encoder's states), whether another name fits that place better, and how many of the words around it
stand around it there too.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.rewrite import content_words
from retrieval.encoder import Encoder, LayeredEncoder, States
from retrieval.passage import Vectors
from retrieval.tokens import words

NAMES = ("met", "name_moved", "rival", "number_rival", "context")
MOVED = 0.2  # how unlike a word in its place is to itself, on average: where there is none to compare
NEAR, AROUND = 4, 8  # words to either side of a name: of the sentence, and among which these are looked for
_WORD = re.compile(r"\w+")
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Said:
    """A text's words in order. vectors: of each in its context, unit rows, (n, dim).

    is_name: written large within a sentence. is_number: holds a digit. is_topic: carries what it is about.
    """

    words: tuple[str, ...]
    vectors: Vectors
    is_name: NDArray[np.bool_]
    is_number: NDArray[np.bool_]
    is_topic: NDArray[np.bool_]


def said(texts: Sequence[str], encoder: Encoder) -> tuple[Said | None, Vectors]:
    """Texts as one row of words, and the vector of each text; None where the encoder shows no words in context."""
    if not isinstance(encoder, LayeredEncoder):
        return None, encoder(texts)
    states = encoder.states(texts, [encoder.depth])
    return _row(texts, states, states.layers[encoder.depth]), states.embeddings


def _row(texts: Sequence[str], states: States, layer: NDArray[np.float32]) -> Said | None:
    found: list[str] = []
    rows: list[NDArray[np.float32]] = []
    large: list[bool] = []
    topics: list[bool] = []
    for text, spans, pieces in zip(texts, states.offsets, layer, strict=True):
        starts = np.array([start if end > start else -1 for start, end in spans])
        topic = set(content_words(text))
        for number, word in enumerate(_WORD.finditer(text)):
            own = np.flatnonzero((starts >= word.start()) & (starts < word.end()))
            if not len(own):  # beyond what the encoder reads
                continue
            row = pieces[own].mean(0)
            found.append((words(word[0]) or [word[0]])[0])
            rows.append(row / max(float(np.linalg.norm(row)), 1e-6))
            large.append(number > 0 and word[0][0].isupper() and word[0] in topic)
            topics.append(word[0] in topic or any(map(str.isdigit, word[0])))
    if not found:
        return None
    numbers = np.array([any(map(str.isdigit, word)) for word in found])
    return Said(tuple(found), np.array(rows), np.array(large) & ~numbers, numbers, np.array(topics))


def features(sentence: Said | None, passage: Said | None) -> Floats:
    """What laying them beside each other shows, (len(NAMES),)."""
    if sentence is None or passage is None:
        return np.array([0.7, MOVED, -0.3, -0.3, 1.0])
    alike = (sentence.vectors @ passage.vectors.T).astype(np.float64)
    best = alike.max(1)
    weight = np.where(sentence.is_topic, 1.0, 0.15)
    place: dict[str, list[int]] = {}
    for at, word in enumerate(passage.words):
        place.setdefault(word, []).append(at)
    moved, rival, context = _moved(sentence, passage, alike, place, sentence.is_name, passage.is_name)
    _, number_rival, _ = _moved(sentence, passage, alike, place, sentence.is_number, passage.is_number)
    return np.array([float(weight @ best / weight.sum()), moved, rival, number_rival, context])


def _moved(
    sentence: Said, passage: Said, alike: Floats, place: dict[str, list[int]],
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_],
) -> tuple[float, float, float]:  # fmt: skip
    """Of the names (or numbers) the worst: how unlike itself, how much liker another one, how few words around."""
    moved, rival, context = [], [], []
    own = set(sentence.words)
    others = np.array([bool(theirs[at]) and word not in own for at, word in enumerate(passage.words)])
    for at in np.flatnonzero(ours):
        same = place.get(sentence.words[at])
        if not same:
            continue
        itself = float(alike[at, same].max())
        moved.append(1 - itself)
        rival.append(float(alike[at, others].max()) - itself if others.any() else -0.5)
        context.append(_shared(_around(sentence, int(at), NEAR, ours), passage, same))
    return max(moved, default=MOVED), max(rival, default=-0.3), min(context, default=1.0)


def _around(text: Said, at: int, reach: int, left_out: NDArray[np.bool_]) -> list[str]:
    """The topic words beside a place, without the names (or numbers) themselves."""
    near = range(max(0, at - reach), min(len(text.words), at + reach + 1))
    return [text.words[i] for i in near if i != at and text.is_topic[i] and not left_out[i]]


def _shared(wanted: Collection[str], passage: Said, places: Sequence[int]) -> float:
    """Of the words wanted, the share that stands around one of the places."""
    if not wanted:
        return 1.0
    stems = [word[: max(4, len(word) - 3)] for word in wanted]
    found = 0.0
    for at in places:
        here = passage.words[max(0, at - AROUND) : at + AROUND + 1]
        held = sum(any(word.startswith(stem) for word in here) for stem in stems)
        found = max(found, held / len(stems))
    return found
