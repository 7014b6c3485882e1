"""A branch begins as the encoder itself, is written small, and never touches the plain embedding."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import safetensors.numpy
import torch

from agent.branches import Branch
from retrieval.encoder import DEFAULT, LayeredEncoder, TransformerEncoder
from retrieval.errors import EncoderError

TEXTS = ["Where is my invoice?", "The canteen closes at two, and nobody told us.", "", "年假有几天？"]


@pytest.mark.parametrize("count", [1, 2, 6])
def test_an_untrained_branch_is_the_encoder_itself(encoder: TransformerEncoder, count: int) -> None:
    branch = Branch.copied(encoder, count)
    states = encoder.states(TEXTS, {branch.start})
    assert branch.start == 6 - count
    assert (np.sum(branch(states) * encoder(TEXTS), axis=1) > 0.999).all()  # bfloat16 rounds more


def test_states_come_with_the_embedding_and_say_which_characters_they_are_of(encoder: TransformerEncoder) -> None:
    given = encoder.states(TEXTS, {0, 4})
    np.testing.assert_allclose(given.embeddings, encoder(TEXTS), atol=0.02)
    assert set(given.layers) == {0, 4}
    assert given.layers[4].shape == (4, given.mask.shape[1], 384)
    assert not given.layers[4][~given.mask].any()
    words = [TEXTS[0][start:end] for start, end in given.offsets[0]]
    assert "".join(words) == TEXTS[0].replace(" ", "")
    assert [len(each) for each in given.offsets] == given.mask.sum(axis=1).tolist()
    some = given.of([1])
    assert some.offsets == given.offsets[1:2]
    assert isinstance(encoder, LayeredEncoder)
    with pytest.raises(ValueError, match="layers"):
        encoder.states(TEXTS, {7})
    assert encoder.states([], {3}).layers[3].shape == (0, 0, 384)


def test_threads_share_passes_and_get_their_own_states(encoder: TransformerEncoder) -> None:
    alone = {text: encoder.states([text], {3}) for text in TEXTS}

    def asked(i: int) -> bool:
        text = TEXTS[i % 4]
        if i % 3 == 0:
            return bool(encoder([text])[0] @ alone[text].embeddings[0] > 0.999)
        own = encoder.states([text], {3, 5})
        return own.layers[3].shape == alone[text].layers[3].shape and np.allclose(
            own.layers[3], alone[text].layers[3], atol=0.05
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(asked, range(40)))


def test_long_texts_have_states_too(encoder: TransformerEncoder) -> None:
    given = encoder.states(["word " * 400, "short"], {5})
    assert given.mask.sum(axis=1).tolist() == [encoder.max_tokens, 3]


def changed(encoder: TransformerEncoder, rank: int) -> Branch:
    """A branch moved off the encoder, each matrix in a few directions as training does."""
    branch, rng = Branch.copied(encoder, 2), torch.Generator().manual_seed(1)
    for parameter in branch.layers.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.01
            continue
        left = torch.randn(len(parameter), rank, generator=rng)
        parameter.data += (left @ torch.randn(rank, parameter.shape[1], generator=rng) * 0.01).to(parameter.dtype)
    return branch


def test_a_branch_is_written_as_its_difference_and_read_again(encoder: TransformerEncoder) -> None:
    branch = changed(encoder, rank=8)
    tensors = branch.tensors(encoder, rank=8)
    assert sum(each.nbytes for each in tensors.values()) < 400_000  # seven megabytes where nothing is cut
    states = encoder.states(TEXTS, {4})
    for written in (tensors, branch.tensors(encoder)):
        again = Branch.load(safetensors.numpy.load(safetensors.numpy.save(written)), encoder)
        assert (np.sum(branch(states) * again(states), axis=1) > 0.999).all()
    assert (np.sum(branch(states) * states.embeddings, axis=1) < 0.99).all()
    np.testing.assert_allclose(encoder(TEXTS), states.embeddings, atol=0.02)  # what search reads has not moved


def test_damaged_tensors_are_refused(encoder: TransformerEncoder) -> None:
    tensors = changed(encoder, rank=2).tensors(encoder, rank=2)
    for name, broken in (
        ("0.qkv.bias", None),
        ("1.out.weight:left", np.zeros((3, 2), np.float16)),
        ("0.norm.weight", np.full(384, np.nan, np.float16)),
    ):
        damaged = {key: value for key, value in tensors.items() if key != name}
        if broken is not None:
            damaged[name] = broken
        with pytest.raises(ValueError, match="branch"):
            Branch.load(damaged, encoder)
    with pytest.raises(ValueError, match="0 layers"):
        Branch.load({}, encoder)


def test_no_more_layers_are_copied_than_there_are(encoder: TransformerEncoder) -> None:
    assert encoder.id == DEFAULT
    with pytest.raises(EncoderError, match="has 6"):
        Branch.copied(encoder, 7)
