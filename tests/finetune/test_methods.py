"""Each cell of the table of methods, tried out on a small model."""

import subprocess
import sys
import warnings
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

import agent.generation.bottleneck  # noqa: F401 - makes the type known to peft
from agent.generation.loading import load
from finetune.methods import LIMITS, adapt
from finetune.recipe import Method, Recipe
from finetune.training import adalora
from finetune.training.adapter import write_adapter
from finetune.training.base import load_base
from finetune.training.batches import encode, padded_batch
from finetune.training.checkpoints import trained_weights
from finetune.training.losses import token_losses
from retrieval.errors import FinetuneError
from tests.agent.models import build_model, build_tokenizer
from tests.finetune.learning import RECIPE, examples

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft on transformers 5.23
IDS = torch.arange(30).reshape(1, 30) * 7 % 300
STEPS = 20
ADAPTERS = [method for method in Method if method is not Method.FULL]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_model(tmp_path_factory.mktemp("base") / "model", "qwen3")


def recipe_for(method: Method, **changes) -> Recipe:
    return replace(RECIPE, method=method, rank=4, dropout=0.0, **changes)


def adapted(base, method: Method, seed: int = 0):
    """A model whose adapter has changed enough to be seen, and the loaded base below it."""
    loaded = load(base, "cpu", "float32")
    model = adapt(loaded.model, recipe_for(method), STEPS)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in trained_weights(model).items():
            scale = 0.02 if method is Method.FULL else 0.3
            weight.add_(torch.randn(weight.shape, generator=draw) * scale)
            if "lora_E" in name:
                weight[weight.abs() < 0.1] = 0  # cut ranks
    return model.eval(), loaded


def logits(model, ids=IDS, **kwargs):
    with torch.no_grad():
        return model(ids, **kwargs).logits


def test_every_method_has_its_row():
    assert set(LIMITS) == set(Method)


@pytest.mark.parametrize("method", Method)
def test_merged_is_the_adapter(base, tmp_path, method):
    model, loaded = adapted(base, method)
    said, bare = logits(model), logits(load(base, "cpu", "float32").model)
    assert (said - bare).abs().max() > 0.05
    if method is Method.FULL:
        write_adapter(tmp_path / "adapter", model, loaded, method, {})
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter")
    elif not LIMITS[method].merges:
        with pytest.raises(NotImplementedError, match="not linear"):
            model.merge_and_unload()
        return
    else:
        merged = model.merge_and_unload()
    assert LIMITS[method].merges
    torch.testing.assert_close(logits(merged), said, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ADAPTERS)
def test_what_is_saved_says_what_was_trained(base, tmp_path, method):
    model, loaded = adapted(base, method)
    write_adapter(tmp_path / "one", model, loaded, method, {})
    write_adapter(tmp_path / "two", model, loaded, method, {})
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    again = PeftModel.from_pretrained(load(base, "cpu", "float32").model, tmp_path / "one")
    torch.testing.assert_close(logits(again.eval()), logits(model), atol=1e-5, rtol=0)
    assert str(base.parent) not in (tmp_path / "one" / "adapter_config.json").read_text()


def test_adalora_is_saved_as_the_lora_of_its_ranks(base, tmp_path):
    model, loaded = adapted(base, Method.ADALORA)
    write_adapter(tmp_path / "adapter", model, loaded, Method.ADALORA, {})
    again = PeftModel.from_pretrained(load(base, "cpu", "float32").model, tmp_path / "adapter")
    config = again.peft_config["default"]
    assert config.peft_type.value == "LORA"
    assert len({layer.shape[0] for name, layer in again.named_parameters() if "lora_A" in name}) > 1
    torch.testing.assert_close(logits(again.merge_and_unload()), logits(model), atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ADAPTERS)
def test_several_speak_in_one_batch(base, tmp_path, method):
    expected = []
    for seed, name in enumerate(("one", "two")):
        model, loaded = adapted(base, method, seed)
        write_adapter(tmp_path / name, model, loaded, method, {})
        expected.append(logits(model))
    expected.append(logits(load(base, "cpu", "float32").model))
    both = PeftModel.from_pretrained(load(base, "cpu", "float32").model, tmp_path / "one", adapter_name="one")
    both.load_adapter(tmp_path / "two", "two")
    both.eval()
    names = ["one", "two", "__base__"]
    if method is Method.DORA:
        with pytest.raises(ValueError, match="DoRA"):
            logits(both, IDS.expand(3, -1), adapter_names=names)
        mixed = False
    else:
        said = logits(both, IDS.expand(3, -1), adapter_names=names)
        # processors round otherwise, by some 1e-5; another's adapter would be seen in the first digit
        mixed = all((row - alone[0]).abs().max() < 1e-4 for row, alone in zip(said, expected, strict=True))
    assert mixed == LIMITS[method].mixes


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # the first layers' inputs need no gradient
@pytest.mark.parametrize("method", Method)
def test_each_examples_gradient_can_be_had_by_hooks(base, method):
    """As Opacus does it for differential privacy: from what goes into a linear layer and what comes back."""
    model, _ = adapted(base, method)
    encoded = encode(examples(4), build_tokenizer(), Recipe())
    weights = trained_weights(model)
    into, back, hooks = {}, {}, []
    for name, layer in model.named_modules():
        if type(layer) is torch.nn.Linear and layer.weight.requires_grad:
            hooks.append(layer.register_forward_pre_hook(lambda _, x, n=name: into.__setitem__(n, x[0].detach())))
            hooks.append(layer.register_full_backward_hook(lambda _, __, y, n=name: back.__setitem__(n, y[0].detach())))
    token_losses(model, padded_batch(encoded, 0)).sum().backward()
    for hook in hooks:
        hook.remove()
    own = {f"{n}.weight": torch.einsum("bto,bti->boi", back[n], into[n]) for n in back}
    own |= {f"{n}.bias": back[n].sum(1) for n in back if f"{n}.bias" in weights}
    right = own.keys() >= weights.keys()
    for number, one in enumerate(encoded):
        model.zero_grad()
        token_losses(model, padded_batch([one], 0)).sum().backward()
        right = right and all(
            torch.allclose(own[name][number], weight.grad, atol=1e-4, rtol=1e-3) for name, weight in weights.items()
        )
    assert right == LIMITS[method].private


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("method", Method)
def test_small_base_weights_are_trained_on_or_refused_in_words(base, monkeypatch, method, bits):
    recipe = recipe_for(method, bits=bits)
    if bits not in LIMITS[method].bits:
        with pytest.raises(FinetuneError, match="bits = 16"):
            adapt(load(base, "cpu", "float32").model, recipe, STEPS)
        return
    if find_spec("bitsandbytes") is None:
        with pytest.raises(FinetuneError, match=r"atelier\[quantised\]"):
            load_base(base, recipe, "cpu")
        return
    loaded = load_base(base, recipe, "cpu")
    small = [weight for weight in loaded.model.parameters() if not weight.dtype.is_floating_point]
    assert len(small) == 14
    model = adapt(loaded.model, recipe, STEPS)
    batch = padded_batch(encode(examples(2), build_tokenizer(), Recipe()), 0)
    token_losses(model, batch).sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in trained_weights(model).values())


def test_the_ranks_of_adalora_reach_what_was_asked(base):
    loaded = load(base, "cpu", "float32")
    model = adapt(loaded.model, recipe_for(Method.ADALORA), STEPS)
    optimizer = torch.optim.AdamW(trained_weights(model).values(), lr=0.01)
    batch = padded_batch(encode(examples(8), build_tokenizer(), Recipe()), 0)
    for step in range(1, STEPS + 1):
        (token_losses(model, batch).mean() + adalora.penalty(model)).backward()
        optimizer.step()
        model.base_model.update_and_allocate(step)
        optimizer.zero_grad()
    config, _ = adalora.folded(model)
    layers = [name for name, _ in model.named_parameters() if "lora_E" in name]
    left = sum(config.rank_pattern.get(name.partition(".lora_E")[0][17:], config.r) for name in layers)
    assert 0.9 * 4 * len(layers) <= left <= 4 * len(layers) + sum(rank == 1 for rank in config.rank_pattern.values())


def test_a_model_with_other_names_is_told_what_to_set(base):
    model = load(base, "cpu", "float32").model
    for layer in model.model.layers:
        layer.mlp.unusual = layer.mlp._modules.pop("down_proj")
    for method in (Method.PFEIFFER, Method.IA3):
        with pytest.raises(FinetuneError, match="`targets`"):
            adapt(model, recipe_for(method), STEPS)
    with pytest.raises(FinetuneError, match="`targets`"):
        adapt(model, recipe_for(Method.LORA, targets=("nowhere",)), STEPS)


def test_the_table_imports_neither_torch_nor_peft():
    code = "import sys, finetune.methods, finetune.training.outcome; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_training_leaves_no_warning_filter_behind(base):
    before = list(warnings.filters)
    adapt(load(base, "cpu", "float32").model, recipe_for(Method.LORA), STEPS)
    assert warnings.filters == before
