"""Intents of a team's own from a few examples each: trained in under a minute, measured by folds, with what to do next.

The head is the one that `finetune/heads.py` fits; beside it upper layers of its own are trained with a contrastive term
(the idea of SetFit: Tunstall et al. 2022). Both are judged on folds of the rows, and the branch is kept only where it
reads those better. Unlabelled messages may teach too (self-training), behind the same guard.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from agent import surface
from agent.branches import Branch
from agent.head import Inputs, Linear, probabilities
from agent.scope import Scope, evidence, nearness
from finetune.branch import (
    SHARES,
    BranchRecipe,
    Cached,
    Logits,
    Trained,
    embed,
    even,
    mix,
    probe,
    read,
    targets_of,
    train_branch,
)
from finetune.branch_scope import weighed
from finetune.few_shot_advice import Overlap, overlaps, worth_labelling
from finetune.few_shot_messages import LONGEST
from finetune.heads import calibration_error, fit
from finetune.heads_data import Row, noise, own_rows
from retrieval.encoder import LayeredEncoder
from retrieval.errors import DataRefused
from retrieval.passage import Vectors

RECIPE = BranchRecipe(layers=2, epochs=10, rows=32, rate=2e-4, contrast=0.5)
STEPS = 120  # at most: many intents are learned in a minute too
FOLDS = 3
SEVERAL = 400  # rows of more than which two of the folds judge the branch: on held-out rows of 77 intents by ten they
# calibrate as three do (error .019), and one does not (.031)
WORDED = 20  # intents whose head reads n-grams too: of 38 and of 77 they make it worse, and take minutes
SHARE = 0.0  # of the head among more intents: most right, on the mean, of further rows of train in three draws of 77
# intents by ten and two of 60 (.3: .25 points less, and as likely but for .001)
OUTSIDE = 20  # of each kind of the project's own messages, which teach what it looks like to have no label of a team's
LIKE_NONE = 0.02  # of the rows themselves may be less like the others than what is said to have no topic
SURELY = 0.9  # how sure a message must be read to teach
MOST_TAUGHT = 2  # messages a label that teach, for each row that it has
MOST, MOST_CHARACTERS = 20_000, 3_000_000  # rows, and what of them the encoder reads: half a gigabyte of states
BLOCK = 1_024  # rows compared with all others at once
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Judged:
    """What folds say of a head. logits: calibrated, (rows, labels), of each row by a head that had not seen it.

    The other figures are those of the folds that judge the branch; rows of the others have the frozen head's logits.
    likelihood: the mean logarithm of the chance that the right label was given.
    """

    accuracy: float
    ece: float
    believed: tuple[float, float]
    logits: Logits
    likelihood: float = 0.0


@dataclass(frozen=True, slots=True)
class Learned:
    """Intents learned. plain: the head alone by folds; judged: what is kept, by the same folds.

    branch: None where the head alone read the folds as well. floor: likeness to the nearest row under which a text is
    like none of them; scope: what tells that better, where it could be weighed. taught: unlabelled messages that taught
    too. proposed: those worth labelling next.
    """

    labels: tuple[str, ...]
    rows: tuple[Row, ...]
    vectors: Vectors
    linear: Linear
    branch: Trained | None
    plain: Judged
    judged: Judged
    floor: float
    overlaps: tuple[Overlap, ...]
    taught: tuple[str, ...]
    self_taught: str
    proposed: tuple[str, ...]
    seconds: float
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """Rows and unlabelled messages as they are trained on, the rows first; noise next, for the head alone.

    Then come messages of no label, which nothing but the evidence of scope learns from, and last the labels' names.
    count, doubts: of unlabelled messages and of noise. named: where the names are, and the label of each.
    """

    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    inputs: Inputs
    cached: Cached
    count: int
    doubts: int
    named: tuple[tuple[int, str], ...] = ()

    @property
    def right(self) -> NDArray[np.intp]:
        return np.array([self.labels.index(row.label or "") for row in self.rows])

    @property
    def unlabelled(self) -> NDArray[np.intp]:
        return np.arange(len(self.rows), len(self.rows) + self.count)

    def noise(self) -> NDArray[np.intp]:
        begin = len(self.rows) + self.count
        return np.arange(begin, begin + self.doubts)

    def outside(self) -> NDArray[np.intp]:
        return np.arange(len(self.rows) + self.count + self.doubts, len(self.inputs.dense) - len(self.named))


def learn(
    encoder: LayeredEncoder,
    rows: Sequence[Row],
    unlabelled: Sequence[str] = (),
    *,
    seed: int = 0,
    propose: int = 10,
    unshown: Collection[str] = (),
    is_scoped: bool = True,
    recipe: BranchRecipe | None = None,
    progress: Progress = lambda _: None,
) -> Learned:
    """Learn the labels of `rows`, each of which needs a few. unlabelled: messages of the same people, if any.

    unshown: those of them that are never proposed: people's words, which are not for whoever reads the proposals.
    is_scoped: whether the project's own messages are about none of the labels; emotions can be those of any message.

    Raises EncoderError where the encoder has no layers to copy, DataRefused for more rows than fit into memory.
    """
    begun = time.perf_counter()
    _check_size(rows)
    recipe = recipe or RECIPE
    branch = Branch.copied(encoder, recipe.layers)
    told = {row.text for row in rows}
    asked = [text for text in dict.fromkeys(unlabelled) if text.strip() and text not in told]
    doubts = [row.text for row in noise()]
    labels = tuple(sorted({row.label for row in rows if row.label is not None}))
    texts = [*(row.text for row in rows), *asked, *doubts, *(outside(told) if is_scoped else ())]
    called = {label: words for label in labels if (words := in_words(label)) and words not in told}
    named = tuple(enumerate(called, len(texts)))
    texts += called.values()
    cached = read(encoder, texts, {branch.start}, lambda _: None)[branch.start]
    made = _Read(tuple(rows), labels, Inputs.of(cached.embeddings, texts), cached, len(asked), len(doubts), named)
    steps = max(1, min(STEPS, round(recipe.epochs * len(rows) / recipe.rows)))
    recipe = replace(recipe, seed=seed, epochs=steps * recipe.rows / len(rows))
    folds = folds_of(made.right, FOLDS, seed)
    judging = FOLDS if len(rows) <= SEVERAL else FOLDS - 1
    progress(f"{len(rows)} examples of {len(labels)} intents read; measuring, each time with a third held back …")
    firsts = []
    for fold in range(judging):
        progress(f"{fold + 1} of {judging} …")
        firsts.append(_both(made, branch, np.flatnonzero(folds != fold), recipe))
    rest = [_head(made, np.flatnonzero(folds != fold), made.named) for fold in range(judging, FOLDS)]
    plain, judged = _judge(made, folds, firsts, rest)
    with_branch = is_better(judged, plain, len(labels))
    scope = _scope(made, folds, firsts, judged if with_branch else plain)
    everything = np.arange(len(rows))
    progress("learning from all …")
    linear, trained = _both(made, branch, everything, recipe)
    taught: tuple[str, ...] = ()
    kept, self_taught = judged if with_branch else plain, "no unlabelled messages were given"
    if asked:
        progress("learning from messages without labels …")
        seconds = [
            _both(made, branch, np.flatnonzero(folds != fold), recipe, _taught(made, first, kept.believed))
            for fold, first in enumerate(firsts)
        ]
        after = _judge(made, folds, seconds, rest)[with_branch]
        extra = _taught(made, (linear, trained), kept.believed)
        self_taught = (
            f"{len(extra)} messages that were read surely taught too: of what was held back {kept.accuracy:.1%} was "
            f"read right before, {after.accuracy:.1%} after"
        )
        if after.accuracy >= kept.accuracy and len(extra):
            linear, trained = _both(made, branch, everything, recipe, extra)
            kept, taught = after, tuple(texts[i] for i, _ in extra)
        else:
            self_taught += ", so they were left out"
    shown = np.array([i for i in made.unlabelled if texts[i] not in unshown], dtype=np.intp)
    proposed: list[int] = []
    if len(shown):
        said = _logits(made, (linear, trained), shown, kept.believed)
        proposed = worth_labelling(probabilities(said, 1.0), cached.embeddings[shown], propose)
    vectors = cached.embeddings[: len(rows)]
    return Learned(
        labels=labels,
        rows=made.rows,
        vectors=vectors,
        linear=linear,
        branch=trained if with_branch else None,
        plain=plain,
        judged=kept,
        floor=floor_of(vectors),
        overlaps=tuple(overlaps(made.rows, labels, probabilities(kept.logits, 1.0), vectors)),
        taught=taught,
        self_taught=self_taught,
        proposed=tuple(texts[shown[i]] for i in proposed),
        seconds=time.perf_counter() - begun,
        scope=scope,
    )


def in_words(label: str) -> str:
    """A label's name as people would write it, which teaches like an example; nothing where it is no word (“q17”)."""
    words = re.findall(r"[^\W_]+", label)
    return " ".join(words) if any(len(word) > 1 and word.isalpha() for word in words) else ""


def outside(told: Collection[str]) -> list[str]:
    """Messages as people write them that are about none of a team's own labels, as far as one can know."""
    left = Counter[str | None]()
    found = []
    for row in own_rows("intent"):
        if row.label is not None and row.text not in told and left[row.label] < OUTSIDE:
            left[row.label] += 1
            found.append(row.text)
    return found


def _scope(
    made: _Read, folds: NDArray[np.intp], heads: Sequence[tuple[Linear, Trained]], judged: Judged
) -> Scope | None:
    """The evidence of scope, weighed on each row by heads that had not seen it, and on two kinds of no label.

    Near: each row again with its own label taken out of what is known. Far: the project's own messages.
    """
    vectors, others, right = made.cached.embeddings, made.outside(), made.right
    if not len(others):
        return None
    asked_of = np.flatnonzero(folds < len(heads))
    inside, near = (np.empty((len(made.rows), 1), dtype=np.float32) for _ in range(2))
    far = []
    for fold, both in enumerate(heads):
        known, away = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        inside[away, 0] = nearness(vectors[away], vectors[known])
        for label in np.unique(right[away]):
            own = away[right[away] == label]
            near[own, 0] = nearness(vectors[own], vectors[known[right[known] != label]])
        asked = others[fold :: len(heads)]
        said = _logits(made, both, asked, judged.believed)
        far.append(evidence(said, nearness(vectors[asked], vectors[known])[:, None]))
    is_other = np.arange(len(made.labels)) != right[:, None]
    without = judged.logits[is_other].reshape(len(right), -1)
    left_out = [evidence(without[asked_of], near[asked_of])] if without.shape[1] > 1 else []
    return weighed(evidence(judged.logits[asked_of], inside[asked_of]), np.concatenate(far), left_out)


def folds_of(right: NDArray[np.intp], count: int, seed: int) -> NDArray[np.intp]:
    """A fold for each row, each label's rows spread evenly."""
    rng = np.random.default_rng(seed)
    folds = np.empty(len(right), dtype=np.intp)
    for label in np.unique(right):
        own = rng.permutation(np.flatnonzero(right == label))
        folds[own] = (np.arange(len(own)) + rng.integers(count)) % count
    return folds


def _both(
    made: _Read,
    branch: Branch,
    chosen: NDArray[np.intp],
    recipe: BranchRecipe,
    taught: Sequence[tuple[int, str]] = (),
) -> tuple[Linear, Trained]:
    """The head and the branch, trained on some rows, the labels' names and messages with what they are taken to be."""
    taught = [*made.named, *taught]
    extra = np.array([i for i, _ in taught], dtype=np.intp)
    labels = [*(made.rows[i].label for i in chosen), *(label for _, label in taught)]
    trained = train_branch(branch, made.cached.chosen([*chosen, *extra]), targets_of(labels, made.labels), recipe)
    return _head(made, chosen, taught), trained


def _head(made: _Read, chosen: NDArray[np.intp], taught: Sequence[tuple[int, str]]) -> Linear:
    doubt = made.noise()
    rows = [*chosen, *(i for i, _ in taught), *doubt]
    labels = [*(made.rows[i].label for i in chosen), *(label for _, label in taught), *([None] * len(doubt))]
    return head(made.inputs.chosen(rows), labels, made.labels)


def head(inputs: Inputs, said: Sequence[str | None], labels: Sequence[str]) -> Linear:
    """The head on frozen features: all that heads read, or for many labels the embedding alone. said: by row."""
    if len(labels) <= WORDED:
        return fit("topic", inputs, [Row("", label, "rows") for label in said], labels)
    targets, dim = targets_of(said, labels), inputs.dense.shape[1] - len(surface.NAMES)
    weights, bias = probe(np.ascontiguousarray(inputs.dense[:, :dim]), targets, even(targets))
    of_features, of_grams = (
        np.zeros((size, len(labels)), dtype=np.float32) for size in (len(surface.NAMES), surface.BUCKETS)
    )
    return Linear(np.vstack([weights, of_features]), of_grams, bias)


def _logits(
    made: _Read, heads: tuple[Linear, Trained], chosen: NDArray[np.intp], believed: tuple[float, float]
) -> Logits:
    linear, trained = heads
    own = trained.logits(embed(trained.branch, made.cached.chosen(chosen)))
    result: Logits = believed[0] * linear.logits(made.inputs.chosen(chosen)) + believed[1] * own
    return result


def _judge(
    made: _Read, folds: NDArray[np.intp], heads: Sequence[tuple[Linear, Trained]], rest: Sequence[Linear]
) -> tuple[Judged, Judged]:
    """The head alone, and both together, on rows that they had not seen. rest: the heads alone of the further folds."""
    parts = np.zeros((2, len(made.rows), len(made.labels)), dtype=np.float32)
    for fold, linear in enumerate([*(linear for linear, _ in heads), *rest]):
        away = np.flatnonzero(folds == fold)
        parts[0, away] = linear.logits(made.inputs.chosen(away))
    for fold, (_, trained) in enumerate(heads):
        away = np.flatnonzero(folds == fold)
        parts[1, away] = trained.logits(embed(trained.branch, made.cached.chosen(away)))
    alone = sum(mix(parts[0], parts[0], made.right))
    seen, right = folds < len(heads), made.right[folds < len(heads)]
    # a head that reads no n-grams says what the branch began with
    shares = SHARES if len(made.labels) <= WORDED else (SHARE,)
    found = []
    for believed in ((alone, 0.0), mix(parts[0, seen], parts[1, seen], right, shares)):
        logits = np.where(seen[:, None], believed[0] * parts[0] + believed[1] * parts[1], alone * parts[0])
        chances = probabilities(logits[seen], 1.0)
        hit = chances.argmax(axis=1) == right
        sure = float(np.log(chances[np.arange(len(right)), right] + 1e-12).mean())
        found.append(Judged(float(hit.mean()), calibration_error(chances, hit), believed, logits, sure))
    return found[0], found[1]


def is_better(judged: Judged, plain: Judged, labels: int) -> bool:
    """Whether folds speak for the branch: of many labels by likelihood.

    There a fold leaves so few rows of each that accuracy is chance: it would have left out a branch a point better.
    """
    if labels > WORDED:
        return judged.likelihood > plain.likelihood
    return judged.accuracy > plain.accuracy


def _taught(made: _Read, heads: tuple[Linear, Trained], believed: tuple[float, float]) -> list[tuple[int, str]]:
    """Messages that `heads` read surely, and as what: no more of a label than a few for each row of it."""
    chances = probabilities(_logits(made, heads, made.unlabelled, believed), 1.0)
    known = made.cached.embeddings[: len(made.rows)]
    near = _nearest(made.cached.embeddings[made.unlabelled], known)
    sure = (chances.max(axis=1) >= SURELY) & (near >= floor_of(known))
    left = Counter({label: MOST_TAUGHT * count for label, count in Counter(row.label for row in made.rows).items()})
    found = []
    for i in np.argsort(-chances.max(axis=1), kind="stable"):
        label = made.labels[int(chances[i].argmax())]
        if sure[i] and left[label] > 0:
            left[label] -= 1
            found.append((int(made.unlabelled[i]), label))
    return found


def floor_of(vectors: Vectors) -> float:
    """The likeness to the nearest other row that all but a few of the rows reach."""
    return float(np.quantile(_nearest(vectors, vectors, is_among=True), LIKE_NONE))


def _nearest(vectors: Vectors, known: Vectors, *, is_among: bool = False) -> NDArray[np.float32]:
    """The likeness of each to the nearest of `known`. is_among: they are the same ones, and none is its own nearest."""
    best = np.empty(len(vectors), dtype=np.float32)
    for at in range(0, len(vectors), BLOCK):
        likeness = (torch.from_numpy(vectors[at : at + BLOCK]) @ torch.from_numpy(known).T).numpy()
        if is_among:
            own = np.arange(len(likeness))
            likeness[own, at + own] = -1.0
        best[at : at + BLOCK] = likeness.max(axis=1)
    return best


def _check_size(rows: Sequence[Row]) -> None:
    characters = sum(min(len(row.text), LONGEST) for row in rows)
    if len(rows) > MOST or characters > MOST_CHARACTERS:
        raise DataRefused(
            f"{len(rows):,} examples with {characters:,} characters are more than are learned from at once: at most "
            f"{MOST:,} with {MOST_CHARACTERS:,}. A few dozen of each intent teach nearly as much; leave the others out."
        )
