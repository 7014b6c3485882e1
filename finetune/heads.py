"""Train the intent and sentiment heads: labelled rows in, a sealed folder of safetensors and JSON out.

Each head is an L2-regularised multinomial logistic regression on the frozen embedding, surface features and n-grams: it
is convex, so a seed gives the same head; a small network in its place won on some sources and lost on others. The
temperature and the figures come from rows the measured head had not seen: sources left out whole, and the project's own
rows in folds.
"""

import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch.nn.functional import embedding_bag

from agent import surface
from agent.head import Inputs, Linear, probabilities
from agent.message import Intent, Sentiment
from finetune.heads_data import LICENCES, OWN, Kind, Row, noise, own_rows, shared_rows
from finetune.heads_rows import NONE, TeamRows
from retrieval.encoder import Encoder
from retrieval.errors import StoreError
from retrieval.files import write_folder_atomically
from retrieval.passage import Vectors

LABELS: dict[Kind, tuple[str, ...]] = {"intent": tuple(Intent), "sentiment": tuple(Sentiment)}  # topic: the rows'
CAPS: dict[Kind, int] = {"intent": 300, "sentiment": 150}  # rows a source and label: more gains nothing
L2: dict[Kind, float] = {"intent": 1e-5, "sentiment": 2e-4, "topic": 1e-4}
OWN_WEIGHT: dict[Kind, float] = {
    "intent": 3.0,
    "sentiment": 8.0,
    "topic": 1.0,
}  # own rows are few, and in the register that counts
DOUBT_WEIGHT = 2.0  # of the rows without a label, against any one label: at 1, keyboard noise still sounds sure
FOLDS = 5
BATCH = 512  # texts between two words of progress
HISTORY = 20  # steps that L-BFGS remembers: with 100 most of its time goes into remembering, for the same weights
Logits = NDArray[np.float32]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Figures:
    """How a head did on rows it was not trained on. ece: expected calibration error, 10 bins (Guo et al. 2017)."""

    source: str
    how: str  # "source left out of training" or "folds"
    rows: int
    accuracy: float
    macro_f1: float
    ece: float


@dataclass(frozen=True, slots=True)
class HeadReport:
    kind: Kind
    rows: int
    temperature: float
    figures: tuple[Figures, ...]


@dataclass(frozen=True, slots=True)
class HeadsReport:
    """What `train_heads` made: the sealed folder, seconds of wall time, one report a head."""

    folder: Path
    seconds: float
    heads: tuple[HeadReport, ...]


def train_heads(
    encoder: Encoder,
    data: Path | None,
    out: Path,
    seed: int = 0,
    progress: Progress = lambda _: None,
    team: TeamRows = NONE,
) -> HeadsReport:
    """Train both heads for `encoder` and put them in the folder `out`, which is the old one or the new one, never half.

    data: the folder of public sets; without it the project's own rows alone are trained on. team: rows of a team's own;
    where they have labels of the team's own, a third head (`topic`) is trained on those. Raises UnreadableFile for a
    damaged set, StoreError when `out` cannot be written.
    """
    start = time.perf_counter()
    no_room = f"The heads cannot be written to {out}. Free some space or name another folder."
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(no_room) from error
    kinds: tuple[Kind, ...] = (*LABELS, "topic") if team.topic else tuple(LABELS)
    made = [_train(kind, encoder, data, seed, progress, getattr(team, kind)) for kind in kinds]

    def fill(folder: Path) -> None:
        for report, tensors, card in made:
            (folder / f"{report.kind}.safetensors").write_bytes(tensors)
            (folder / f"{report.kind}.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")

    facts: dict[str, object] = {"encoder": encoder.id, "date": dt.datetime.now(tz=dt.UTC).date().isoformat()}
    try:
        write_folder_atomically(out, fill, facts)
    except OSError as error:
        raise StoreError(no_room) from error
    report = HeadsReport(out, time.perf_counter() - start, tuple(report for report, _, _ in made))
    progress(f"the heads are in {out}, after {report.seconds:.0f} s")
    return report


def _train(
    kind: Kind, encoder: Encoder, data: Path | None, seed: int, progress: Progress, team: Sequence[Row]
) -> tuple[HeadReport, bytes, dict[str, object]]:
    if kind == "topic":
        own, rows = [], [*team, *noise()]
    else:
        theirs = {row.text for row in team}  # where a team says otherwise, it is right
        own = [row for row in own_rows(kind) if row.text not in theirs]
        rows = [*own, *team, *(shared_rows(kind, data, cap=CAPS[kind], seed=seed) if data else [])]
    labels = labels_of(kind, rows)
    vectors = embed(
        encoder, [row.text for row in rows], lambda done: progress(f"{kind}: {done:,} of {len(rows):,} rows read")
    )
    inputs = Inputs.of(vectors, [row.text for row in rows])
    progress(f"{kind}: measuring on rows and sources left out")
    unseen = left_out(kind, inputs, rows, seed)
    temperature = fit_temperature(unseen, labels)
    figures = tuple(figures_of(part, labels, temperature) for part in unseen)
    fitted = fit(kind, inputs, rows, labels)
    for one in figures:
        progress(
            f"{kind}, {one.source} ({one.how}): accuracy {one.accuracy:.3f}, macro-F1 {one.macro_f1:.3f}, "
            f"calibration error {one.ece:.3f}, {one.rows:,} rows"
        )
    shown = [i for i, row in enumerate(own) if row.label is not None] if kind == "intent" else []  # named in reasons
    tensors: dict[str, NDArray[np.generic]] = {
        "weights": fitted.weights,
        "gram_weights": fitted.gram_weights.astype(np.float16),
        "bias": fitted.bias,
        "examples": vectors[shown].astype(np.float16),
    }
    counts = Counter(row.source for row in rows)
    card: dict[str, object] = {
        "kind": kind,
        "labels": list(labels),
        "temperature": temperature,
        "encoder": encoder.id,
        "features": list(surface.NAMES),
        "seed": seed,
        "sources": [{"name": name, "licence": LICENCES[name], "rows": count} for name, count in sorted(counts.items())],
        "figures": [asdict(one) for one in figures],
        "examples": [{"text": own[i].text, "label": own[i].label} for i in shown],
    }
    return HeadReport(kind, len(rows), temperature, figures), as_file(tensors), card


def as_file(tensors: Mapping[str, NDArray[np.generic]]) -> bytes:
    """As safetensors, which writes memory as it lies: an array that lies by columns would come back scrambled."""
    return safetensors.numpy.save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})


def labels_of(kind: Kind, rows: Sequence[Row]) -> tuple[str, ...]:
    return LABELS.get(kind) or tuple(sorted({row.label for row in rows if row.label is not None}))


def embed(encoder: Encoder, texts: Sequence[str], progress: Callable[[int], None]) -> Vectors:
    """Embeddings of `texts`, (n, dim), telling `progress` how many are done."""
    parts = []
    for start in range(0, len(texts), BATCH):
        parts.append(encoder(texts[start : start + BATCH]))
        progress(min(start + BATCH, len(texts)))
    return np.vstack(parts)


def fit(kind: Kind, inputs: Inputs, rows: Sequence[Row], labels: Sequence[str] = ()) -> Linear:
    """Logistic regression by L-BFGS. Every label weighs the same; a row without a label pulls to "any of them"."""
    labels = labels or LABELS[kind]
    doubt = 1 / len(labels)
    wanted = [[doubt if row.label is None else float(row.label == label) for label in labels] for row in rows]
    targets, dense = torch.tensor(wanted, dtype=torch.float64), torch.from_numpy(inputs.dense).double()
    counts = [len(grams) for grams in inputs.grams]
    used, places = np.unique(np.concatenate(inputs.grams), return_inverse=True)  # the others' weights stay 0
    each = np.repeat([max(1, count) ** -0.5 for count in counts], counts)
    of_rows = _bags(places, each, counts)
    order = np.argsort(places, kind="stable")  # the same entries, by n-gram and not by row
    of_grams = _bags(np.repeat(np.arange(len(counts)), counts)[order], each[order], np.bincount(places))
    share = torch.from_numpy(_weights(rows, OWN_WEIGHT[kind]))[:, None]
    weights, gram_weights, bias = (
        torch.zeros(*shape, len(labels), dtype=torch.float64) for shape in ((dense.shape[1],), (len(used),), ())
    )
    learned = [weights, gram_weights, bias]
    optimizer = torch.optim.LBFGS(learned, max_iter=400, history_size=HISTORY, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        """Its gradient by hand: torch's own, through an embedding bag, takes three times as long."""
        logs = torch.log_softmax(dense @ weights + of_rows(gram_weights) + bias, dim=1)
        excess = share * (logs.exp() - targets)  # each row's targets add up to 1
        weights.grad = dense.T @ excess + 2 * L2[kind] * weights
        gram_weights.grad = of_grams(excess) + 2 * L2[kind] * gram_weights
        bias.grad = excess.sum(dim=0)
        return L2[kind] * ((weights**2).sum() + (gram_weights**2).sum()) - (share * targets * logs).sum()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on matrices this small more threads only wait for each other: 3 to 8 times as long
    try:
        optimizer.step(loss)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    finally:
        torch.set_num_threads(threads)
    of_all = np.zeros((surface.BUCKETS, len(labels)), dtype=np.float32)
    of_all[used] = gram_weights.float().numpy()
    return Linear(weights.float().numpy(), of_all, bias.float().numpy())


def _bags(
    entries: NDArray[np.intp], each: NDArray[np.float64], counts: Sequence[int] | NDArray[np.intp]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Weighted sums of a table's rows: `counts[i]` of the `entries`, in order, make the i-th sum."""
    chosen, weighted = torch.from_numpy(entries), torch.from_numpy(each)
    starts = torch.from_numpy(np.cumsum([0, *counts[:-1]]))
    return lambda table: embedding_bag(chosen, table, starts, mode="sum", per_sample_weights=weighted)


def _weights(rows: Sequence[Row], own: float) -> NDArray[np.float64]:
    weights = np.array([own if row.source == OWN else 1.0 for row in rows])
    totals: Counter[str | None] = Counter()
    for row, weight in zip(rows, weights, strict=True):
        totals[row.label] += weight
    shares = np.array([weight / totals[row.label] for row, weight in zip(rows, weights, strict=True)])
    shares[[row.label is None for row in rows]] *= DOUBT_WEIGHT
    result: NDArray[np.float64] = shares / shares.sum()
    return result


@dataclass(frozen=True, slots=True)
class Unseen:
    """Logits, (n, labels), for rows that the head which gave them was not trained on."""

    source: str
    how: str
    rows: tuple[Row, ...]
    logits: Logits


def left_out(kind: Kind, inputs: Inputs, rows: Sequence[Row], seed: int) -> list[Unseen]:
    """Each public source by a head trained without it, and the project's and the team's own rows by folds."""
    labels = labels_of(kind, rows)
    everything = range(len(rows))
    found = []
    for source in sorted({row.source for row in rows if row.label is not None and row.source != OWN}):
        away = [i for i in everything if rows[i].source == source]
        asked = [i for i in away if rows[i].label is not None]
        logits = without(kind, inputs, rows, away, asked, labels)
        found.append(Unseen(source, "source left out of training", tuple(rows[i] for i in asked), logits))
    folds = np.random.default_rng(seed).permutation(len(rows)) % FOLDS
    asked_rows: list[Row] = []
    parts = []
    for fold in range(FOLDS):
        away = [i for i in everything if rows[i].source == OWN and folds[i] == fold]
        asked = [i for i in away if rows[i].label is not None]
        parts.append(without(kind, inputs, rows, away, asked, labels))
        asked_rows += [rows[i] for i in asked]
    found.append(Unseen(OWN, f"{FOLDS} folds", tuple(asked_rows), np.vstack(parts)))
    return found


def without(
    kind: Kind,
    inputs: Inputs,
    rows: Sequence[Row],
    away: Sequence[int],
    asked: Sequence[int],
    labels: Sequence[str] = (),
) -> Logits:
    """What a head trained without the rows `away` says of the rows `asked`: logits, (asked, labels)."""
    hidden = set(away)
    rest = [i for i in range(len(rows)) if i not in hidden]
    return fit(kind, inputs.chosen(rest), [rows[i] for i in rest], labels).logits(inputs.chosen(asked))


def fit_temperature(unseen: Sequence[Unseen], labels: Sequence[str]) -> float:
    """The temperature of best likelihood on unseen rows: own rows count half, left-out sources the rest."""

    def loss(temperature: float) -> float:
        misfit: dict[bool, list[float]] = {True: [], False: []}
        for part in unseen:
            logs = np.log(probabilities(part.logits, temperature) + 1e-12)
            right = [labels.index(row.label or "") for row in part.rows]
            misfit[part.source == OWN].append(-float(logs[np.arange(len(right)), right].mean()))
        return sum(float(np.mean(parts)) for parts in misfit.values() if parts)

    return float(min(np.geomspace(0.3, 10.0, 141), key=loss))


def figures_of(part: Unseen, labels: Sequence[str], temperature: float) -> Figures:
    """Accuracy, macro-F1 over the labels the rows hold, and calibration error."""
    chances = probabilities(part.logits, temperature)
    right = np.array([labels.index(row.label or "") for row in part.rows])
    said = chances.argmax(axis=1)
    hit = said == right
    scores = [2 * float(((said == k) & hit).sum()) / float((said == k).sum() + (right == k).sum()) for k in set(right)]
    return Figures(
        part.source, part.how, len(right), float(hit.mean()), float(np.mean(scores)), calibration_error(chances, hit)
    )


def calibration_error(chances: Logits, hit: NDArray[np.bool_], bins: int = 10) -> float:
    """Mean distance of confidence from accuracy over equal-width bins, each weighted by its rows."""
    confidence = chances.max(axis=1)
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    taken = [bin_of == one for one in range(bins)]
    gaps = (
        float(which.mean()) * abs(float(confidence[which].mean() - hit[which].mean())) for which in taken if which.any()
    )
    return sum(gaps)
