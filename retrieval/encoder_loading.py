"""An encoder's tokenizer and network in memory: the default on a network of our own, any other on transformers'.

transformers' import takes longer than all else at a start, so it comes only for those that need it.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

MOST_TOKENS = 256  # all-MiniLM was trained on at most so many
MOST_WORDS, LONGEST_WORD = 50_000, 40  # words, and characters of one, whose word pieces are remembered: a few megabytes
Spans = Sequence[tuple[int, int]]  # characters [start, end) of each word piece of a text; special ones have (0, 0)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an encoder is made of; its functions may be called by several threads at once.

    fingerprint: of weights and vocabulary; empty for the default, whose files are checked. depth: layers. most:
    tokens at which a text is cut. pad: the id that fills rows up. cut: texts to rows of ids, with the special
    tokens around each, and to spans. pieces, count: the word pieces of a text of any length, and how many. states:
    ids, and which of them are no padding, (n, width) both, to (n, width, dim), and the states of the layers asked
    for (0: what the first layer reads); the last argument: layers from which on nothing need be made. blocks: its
    layers, lowest first; none where it is no BERT. above: the same as `states` from a layer's states on, whose number
    comes last, and without a mask where nothing is padding; None where a pass is always whole.
    """

    fingerprint: str
    dim: int
    depth: int
    most: int
    vocabulary: int
    pad: int
    cut: Callable[[Sequence[str]], tuple[list[list[int]], list[Spans]]]
    pieces: Callable[[str], list[str]]
    count: Callable[[str], int]
    states: Callable[["Tensor", "Tensor", Collection[int], int | None], tuple["Tensor", dict[int, "Tensor"]]]
    blocks: Sequence[Any]
    above: Callable[["Tensor", "Tensor | None", Collection[int], int], tuple["Tensor", dict[int, "Tensor"]]] | None = (
        None
    )


def load_default(folder: Path, device: str, dtype: Any) -> Loaded:
    """The folder of all-MiniLM-L6-v2. Raises OSError, ValueError, KeyError or SafetensorError."""
    from tokenizers import Tokenizer

    from retrieval.bert import Bert

    bert = Bert.load(folder, device, dtype)
    most = min(len(bert.places), MOST_TOKENS)
    core = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pieces, count = _cutter(core)
    core.no_padding()
    core.enable_truncation(most)  # for good: setting it while another thread reads it raises

    def cut(texts: Sequence[str]) -> tuple[list[list[int]], list[Spans]]:
        found = core.encode_batch(list(texts))
        return [each.ids for each in found], [each.offsets for each in found]

    pad, layers = core.token_to_id("[PAD]") or 0, list(bert.layers)
    return Loaded(
        "", bert.dim, len(layers), most, core.get_vocab_size(), pad, cut, pieces, count, bert, layers, bert.above
    )


def load_by_transformers(name: str, device: str, dtype: Any) -> Loaded:
    """Any encoder by folder or hub name. Raises whatever a broken folder makes the libraries raise."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # it would be drawn over the prompt
    tokenizer: Any = AutoTokenizer.from_pretrained(name)
    model: Any = AutoModel.from_pretrained(name, dtype=dtype, use_safetensors=True)
    model = model.to(device).eval()
    most = min(int(getattr(model.config, "max_position_embeddings", 512)), MOST_TOKENS)
    is_fast = bool(getattr(tokenizer, "is_fast", False))
    lock = Lock()  # setting the tokenizer's truncation while another thread reads it raises "Already borrowed"

    def cut(texts: Sequence[str]) -> tuple[list[list[int]], list[Spans]]:
        limits = {"truncation": True, "max_length": most, "return_attention_mask": False}
        with lock:
            made = tokenizer(list(texts), return_offsets_mapping=is_fast, **limits)
        rows: list[list[int]] = made["input_ids"]
        return rows, made.get("offset_mapping") or [[(0, 0)] * len(row) for row in rows]

    def slowly(text: str) -> list[str]:  # by a tokenizer that is written in Python
        with lock:
            found: list[str] = tokenizer.tokenize(text, verbose=False)
        return found

    def states(
        tokens: "Tensor",
        present: "Tensor",
        kept: Collection[int],
        _depth: int | None,  # it always runs all
    ) -> tuple["Tensor", dict[int, "Tensor"]]:
        made = model(input_ids=tokens, attention_mask=present.long(), output_hidden_states=bool(kept))
        return made[0], {layer: made.hidden_states[layer] for layer in kept}

    pieces, count = _cutter(tokenizer.backend_tokenizer) if is_fast else (slowly, lambda text: len(slowly(text)))
    return Loaded(
        _fingerprint(model, tokenizer),
        int(model.config.hidden_size),
        int(model.config.num_hidden_layers),
        most,
        tokenizer.vocab_size,
        tokenizer.pad_token_id or 0,
        cut,
        pieces,
        count,
        states,
        list(getattr(getattr(model, "encoder", None), "layer", ())),
    )


def _cutter(core: Any) -> tuple[Callable[[str], list[str]], Callable[[str], int]]:
    """`pieces` and `count` by a copy of the tokenizer's own core, which never truncates and needs no lock.

    Counting through transformers takes four times as long, and is done for each paragraph that is ingested.
    """
    from tokenizers import Tokenizer

    whole = Tokenizer.from_str(core.to_str())
    whole.no_truncation()
    whole.no_padding()

    def pieces(text: str) -> list[str]:
        found: list[str] = whole.encode(text, add_special_tokens=False).tokens
        return found

    def count(text: str) -> int:
        return len(whole.encode_batch_fast([text], add_special_tokens=False)[0])  # a third faster: no offsets

    parts = (whole.normalizer, whole.pre_tokenizer, whole.model)
    is_bert = [type(each).__name__ for each in parts] == ["BertNormalizer", "BertPreTokenizer", "WordPiece"]
    if not is_bert or any(" " in each.content for each in whole.get_added_tokens_decoder().values()):
        return pieces, count
    words = _Words(whole)
    return lambda text: list(chain.from_iterable(words.cut(text))), lambda text: sum(map(len, words.cut(text)))


class _Words:
    """A text's word pieces from those of its words: a tokenizer of BERT's kind looks no further than a space.

    Most words are known from texts before, and to look them up takes a tenth of the time. Any thread may do so.
    """

    def __init__(self, whole: Any) -> None:
        self._whole = whole
        self._known: dict[str, Sequence[str]] = {}

    def cut(self, text: str) -> list[Sequence[str]]:
        """The pieces of each word."""
        # Other white space stays in the words: some of it the tokenizer drops, and so joins what it stood between.
        words = text.replace("\n", " ").replace("\t", " ").replace("\r", " ").split(" ")
        found = list(map(self._known.get, words))
        fresh: dict[str, Sequence[str]] = {}
        if None in found:
            missing = list({word for word, pieces in zip(words, found, strict=True) if pieces is None})
            fresh = dict(zip(missing, self._cut_anew(missing), strict=True))
            if len(self._known) + len(fresh) > MOST_WORDS:
                self._known.clear()
            self._known.update({word: pieces for word, pieces in fresh.items() if len(word) <= LONGEST_WORD})
        return [fresh[word] if pieces is None else pieces for word, pieces in zip(words, found, strict=True)]

    def _cut_anew(self, words: Sequence[str]) -> list[Sequence[str]]:
        made = self._whole.encode(" ".join(words), add_special_tokens=False)  # one by one takes twice the time
        begins = np.cumsum([0, *(len(word) + 1 for word in words)])
        bounds, pieces = np.searchsorted([start for start, _ in made.offsets], begins).tolist(), made.tokens
        return [pieces[start:end] for start, end in pairwise(bounds)]


def _fingerprint(model: Any, tokenizer: Any) -> str:
    digest = hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode())
    for name, tensor in model.named_parameters():
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]
