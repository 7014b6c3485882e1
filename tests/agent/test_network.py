"""The starter in plain torch is what transformers makes of the same folder: its tokens, its logits, its texts."""

import pytest
import torch

from agent.generation.loading import STARTER, load
from agent.generation.network import Network, Tokens, check_folder
from agent.generation.rendering import ChatMessage, render
from retrieval.errors import ModelFolderError

TALK = [
    ChatMessage("system", "You are Atelier.\n\nBe kind."),
    ChatMessage("user", "Hello! <|end|> <|assistant|> How many days of leave? Größe, 会议 🙂 naïve it's\n\n\ttabs"),
    ChatMessage("assistant", "28 days [1]."),
    ChatMessage("user", "And who knows more?"),
]


@pytest.fixture(scope="module")
def theirs():
    return load(STARTER, "cpu", "float32")


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens(STARTER)


def test_its_tokens_are_those_of_transformers(theirs, tokens):
    ids = render(TALK, tokens)
    assert ids == render(TALK, theirs.tokenizer)
    for special in (True, False):
        decoded = theirs.tokenizer.decode(ids, skip_special_tokens=special, clean_up_tokenization_spaces=False)
        assert tokens.decode(ids, skip_special_tokens=special) == decoded
    assert tokens.ends == set(theirs.ends)
    assert len(tokens) == len(theirs.tokenizer)


@torch.inference_mode()
def test_its_logits_are_those_of_transformers(theirs, tokens):
    network, ids = Network(STARTER, "cpu", torch.float32), render(TALK, tokens)
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    assert network.window == theirs.window
    ours = [network.read(ids[:-5], kept), *(network.read([id_], kept) for id_ in ids[-5:])]
    expected = theirs.model(input_ids=torch.tensor([ids])).logits[0, -6:]
    torch.testing.assert_close(torch.stack(ours), expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "content", "load_it"),
    [
        ("config.json", '{"model_type": "llama"}', lambda folder: Network(folder, "cpu", torch.float32)),
        ("model-00001-of-00004.safetensors", "no weights", check_folder),
        ("tokenizer.json", "", Tokens),
    ],
)
def test_a_damaged_folder_is_named(tmp_path, name, content, load_it):
    for path in STARTER.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / name).unlink()
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelFolderError, match=r"damaged|cannot be read"):
        load_it(tmp_path)
