"""Which examples go together, and that together they are learned exactly as they would be alone."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AutoModelForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from agent.generation.rendering import ChatMessage
from finetune.example import Example, Origin
from finetune.recipe import Recipe
from finetune.training import head
from finetune.training.attention import part_packed, parts
from finetune.training.batches import Encoded, count_steps, encode, in_order, packed_batch, padded_batch, plan
from finetune.training.losses import example_losses, held_out_loss, token_losses
from retrieval.errors import DataRefused, FinetuneError
from tests.agent.models import build_model, build_tokenizer
from tests.finetune.learning import examples

SIZES = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
}
KINDS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES)),
    "qwen3-sliding": lambda: Qwen3ForCausalLM(
        Qwen3Config(**SIZES, use_sliding_window=True, sliding_window=16, max_window_layers=1)
    ),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=16)),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, sliding_window=16)),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**SIZES)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=300, n_embd=32, n_layer=2, n_head=4, n_positions=256, pad_token_id=0)
    ),
}
AUTO = torch.autocast("cpu", enabled=False)


def documents(*lengths: int) -> list[Encoded]:
    draw = torch.Generator().manual_seed(1)
    made = []
    for length in lengths:
        ids = torch.randint(1, 300, (length,), generator=draw).tolist()
        made.append(Encoded(ids, [i > length // 3 for i in range(length)]))
    return made


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    torch.manual_seed(0)
    return KINDS[request.param]().eval()


LENGTHS = (30, 7, 2, 41, 12, 3, 25)


@pytest.mark.parametrize("own", [True, False], ids=["own attention", "transformers' mask"])
def test_packed_is_unpacked(model, own):
    before = model.config._attn_implementation
    chosen = documents(*LENGTHS)
    recipe = Recipe(batch_tokens=150)
    alone = [float(token_losses(model, packed_batch([one])).sum().detach()) for one in chosen]
    try:
        if own:
            part_packed(model, AUTO)
            assert parts(model)
        together = example_losses(model, chosen, recipe, "fp32")
    finally:
        model.set_attn_implementation(before)
    assert len(in_order(chosen, recipe)) == 1
    for one, packed, lone in zip(chosen, together, alone, strict=True):
        assert packed / one.trained == pytest.approx(lone / one.trained, abs=1e-5)


def test_padded_is_unpadded(model):
    chosen = documents(*LENGTHS)
    alone = [float(token_losses(model, packed_batch([one])).sum().detach()) for one in chosen]
    batch = padded_batch(chosen, 0)
    for losses, lone, one in zip(token_losses(model, batch).detach(), alone, chosen, strict=True):
        assert float(losses.sum()) / one.trained == pytest.approx(lone / one.trained, abs=1e-5)


def test_gradients_of_a_packed_row_are_those_of_its_examples(model):
    chosen = documents(*LENGTHS)
    before = model.config._attn_implementation
    weight = next(weight for name, weight in model.named_parameters() if "attn" in name and weight.dim() == 2)

    def gradient(*batches):
        model.zero_grad()
        for batch in batches:
            token_losses(model, batch).sum().backward()
        return weight.grad.clone()

    alone = gradient(*(packed_batch([one]) for one in chosen))
    try:
        part_packed(model, AUTO)
        together = gradient(packed_batch(chosen, width=160))  # and the padding at its end learns nothing
    finally:
        model.set_attn_implementation(before)
        model.zero_grad()
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_a_model_that_mixes_what_is_packed_is_refused():
    torch.manual_seed(0)
    state_space = MambaForCausalLM(MambaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, state_size=4))

    class Positioned(torch.nn.Module):  # Mamba knows no positions at all
        def __init__(self):
            super().__init__()
            self.inner, self.config = state_space, state_space.config

        def forward(self, input_ids, position_ids, use_cache):
            return self.inner(input_ids=input_ids, use_cache=use_cache)

    with pytest.raises(FinetuneError, match="packing = false"):
        part_packed(Positioned(), AUTO)


def test_a_models_own_attention_is_kept_where_ours_says_something_else(monkeypatch):
    torch.manual_seed(0)
    model = KINDS["llama"]()
    monkeypatch.setattr("finetune.training.attention.attend_each", lambda *_, **__: (_ for _ in ()).throw(ValueError()))
    part_packed(model, AUTO)
    assert not parts(model)


@settings(max_examples=50)
@given(
    lengths=st.lists(st.integers(1, 80), min_size=1, max_size=60),
    packing=st.booleans(),
    room=st.integers(16, 200),
    epochs=st.sampled_from([0.5, 1.0, 2.0, 2.5]),
    processes=st.integers(1, 3),
)
def test_every_epoch_holds_every_example_once_and_no_batch_is_too_long(lengths, packing, room, epochs, processes):
    made = [Encoded([1] * length, [False] + [True] * (length - 1)) for length in lengths]
    recipe = Recipe(packing=packing, batch_tokens=room, epochs=epochs, processes=processes)
    batches = plan(made, recipe)
    assert len(batches) % processes == 0
    assert count_steps(batches, recipe) == len(batches) / processes
    for batch in batches:
        tokens = sum(lengths[i] for i in batch) if packing else len(batch) * max(lengths[i] for i in batch)
        assert tokens <= room or len(batch) == 1
    if epochs >= 1:
        first = [i for batch in batches[: len(plan(made, replace(recipe, epochs=1, processes=1)))] for i in batch]
        assert sorted(first) == list(range(len(lengths)))
    assert batches == plan(made, recipe)


def test_packing_leaves_little_room_and_grouping_pads_little():
    tokenizer = build_tokenizer()
    made = encode(examples(500), tokenizer, Recipe())
    tokens = sum(len(one.ids) for one in made)
    packed = in_order(made, Recipe(batch_tokens=512))
    assert tokens / (len(packed) * 512) > 0.95
    grouped = in_order(made, Recipe(batch_tokens=512, packing=False))
    padded = sum(len(batch) * max(len(made[i].ids) for i in batch) for batch in grouped)
    assert tokens / padded > 0.9


def test_seeds_and_epochs_shuffle():
    made = documents(*range(5, 60))
    recipe = Recipe(batch_tokens=64, epochs=2)
    batches = plan(made, recipe)
    half = len(batches) // 2
    assert batches[:half] != batches[half:]
    assert batches != plan(made, replace(recipe, seed=1))


def test_what_cannot_be_learned_is_left_out_and_nothing_at_all_is_refused():
    tokenizer = build_tokenizer()
    good, long = examples(2)
    bad = replace(good, rating=-1)
    long = replace(long, messages=(ChatMessage("user", "word " * 300), ChatMessage("assistant", "Yes.")))
    silent = replace(good, untrained=frozenset({1}))
    recipe = Recipe(max_tokens=128)
    assert len(encode([good, bad, long, silent], tokenizer, recipe)) == 1
    with pytest.raises(DataRefused, match="max_tokens"):
        encode([bad, long, silent], tokenizer, recipe)


@pytest.mark.parametrize("packing", [True, False])
def test_the_held_out_loss_is_that_of_the_model_alone(tmp_path, packing):
    folder = build_model(tmp_path / "model")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), build_tokenizer()
    conversation = (ChatMessage("user", "Who?"), ChatMessage("assistant", "Ada, of course."))
    asked = [*examples(5), Example(conversation, Origin("x")), replace(examples(1)[0], rating=-1)]
    model.train()
    losses = held_out_loss(model, tokenizer, asked, Recipe(packing=packing))
    assert model.training
    assert losses[-1] != losses[-1]  # nan: it is badly rated
    for example, loss in zip(asked[:-1], losses, strict=False):
        plain = [{"role": m.role, "content": m.content} for m in example.messages]
        ids = tokenizer.apply_chat_template(plain, return_dict=False)
        start = len(tokenizer.apply_chat_template(plain[:-1], add_generation_prompt=True, return_dict=False))
        labels = torch.tensor([[-100] * start + ids[start:-1] + [-100]])  # the line break after the end is not learned
        with torch.no_grad():
            expected = float(model.eval()(input_ids=torch.tensor([ids]), labels=labels).loss)
        assert loss == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("piece", [300 * 7, 1 << 24], ids=["in pieces", "at once"])
@pytest.mark.parametrize("trained", [False, True], ids=["frozen head", "trained head"])
def test_losses_without_all_logits_are_the_losses_and_so_are_gradients(model, monkeypatch, piece, trained):
    monkeypatch.setattr(head, "PIECE", piece)
    body = next(weight for name, weight in model.named_parameters() if "attn" in name and weight.dim() == 2)
    output = model.get_output_embeddings().weight
    output.requires_grad_(trained)
    batch = padded_batch(documents(*LENGTHS), 0)
    weights = torch.rand(batch.targets.shape, generator=torch.Generator().manual_seed(2))

    def taken():
        model.zero_grad()
        losses = token_losses(model, batch)
        (losses * weights).sum().backward()
        return losses.detach(), body.grad.clone(), output.grad.clone() if trained else torch.zeros(1)

    try:
        plain = taken()
        head.choose_head(model, AUTO)
        assert model.atelier_head
        for pieced, whole in zip(taken(), plain, strict=True):
            torch.testing.assert_close(pieced, whole, atol=1e-5, rtol=1e-4)
    finally:
        model.atelier_head = False
        model.requires_grad_(True)
        model.zero_grad()


def test_a_model_that_caps_its_logits_keeps_its_own_way():
    torch.manual_seed(0)
    capped = Gemma3ForCausalLM(Gemma3TextConfig(**SIZES, final_logit_softcapping=0.01))
    head.choose_head(capped, AUTO)
    assert not capped.atelier_head
