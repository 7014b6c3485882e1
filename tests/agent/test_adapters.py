"""Adapters speak beside each other over one base, each in its own words, and a folder that is not sound is refused."""

import asyncio
import json
import shutil
import warnings
from functools import cache

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from agent.generation.adapters import base_fingerprint, read_adapter, template_fingerprint
from agent.generation.generator import Limits
from agent.generation.local import LocalGenerator
from agent.generation.rendering import ChatMessage, render_training
from finetune.methods import adapt
from finetune.recipe import Method, Recipe
from retrieval.errors import ModelFailed, ModelFolderError
from retrieval.files import write_folder_atomically
from tests.agent.models import TEMPLATE, build_adapter, build_model
from tests.agent.test_local import GREEDY, own_words, prompt, reply

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft 0.21 on this torch


@pytest.fixture(scope="module")
def folders(tiny_model, tmp_path_factory):
    root = tmp_path_factory.mktemp("adapters")
    return {
        "first": build_adapter(root / "first", tiny_model, seed=1),
        "second": build_adapter(root / "second", tiny_model, seed=2, r=8, target_modules=["o_proj", "gate_proj"]),
        "rs": build_adapter(root / "rs", tiny_model, seed=3, use_rslora=True, rank_pattern={"q_proj": 2}),
    }


@pytest.fixture(scope="module")
def generator(tiny_model):
    built = LocalGenerator(tiny_model, device="cpu", dtype="float32", cache_bytes=1 << 21)
    yield built
    asyncio.run(built.close())


@pytest.fixture(autouse=True)
def empty(generator):
    yield
    for name in generator.adapters:
        generator.remove_adapter(name)


def token_losses(base, messages, model=None):
    """The loss of each learned token by a model of its own."""
    ids, mask = render_training(messages, AutoTokenizer.from_pretrained(base))
    model = (model or AutoModelForCausalLM.from_pretrained(base)).eval()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
    return [float(loss) for loss, learned in zip(losses, mask[1:], strict=True) if learned]


@cache
def alone(base, folder, asked):
    """What peft's own model of the adapter says."""
    if (folder / "config.json").exists():
        return own_words(base, asked, model=AutoModelForCausalLM.from_pretrained(folder).eval())
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder).eval()
    return own_words(base, asked, model=model)


async def test_base_and_adapters_interleaved_say_what_each_says_alone(generator, tiny_model, folders):
    asked = [prompt(f"Question {i}: " + "leave " * (7 * i)) for i in range(3)]
    expected = {(None, i): own_words(tiny_model, one) for i, one in enumerate(asked)}
    for name, folder in folders.items():
        expected |= {(name, i): alone(tiny_model, folder, one) for i, one in enumerate(asked)}
        await asyncio.to_thread(generator.add_adapter, name, folder)
    said = await asyncio.gather(*(reply(generator, asked[i], GREEDY, name) for name, i in expected))
    assert dict(zip(expected, said, strict=True)) == expected
    assert len({tuple(said[i : i + 3]) for i in range(0, len(said), 3)}) == 4


async def test_the_same_conversation_under_a_new_adapter_is_read_anew(generator, tiny_model, folders):
    asked = prompt("A message longer than a page of the cache. " * 5)
    assert await reply(generator, asked) == own_words(tiny_model, asked)
    await asyncio.to_thread(generator.add_adapter, "first", folders["first"])
    assert await reply(generator, asked, GREEDY, "first") == alone(tiny_model, folders["first"], asked)
    assert await reply(generator, asked) == own_words(tiny_model, asked)


async def test_adapters_come_and_go_while_others_speak(generator, tiny_model, folders):
    asked = prompt("And while they change?")
    base, first = own_words(tiny_model, asked), alone(tiny_model, folders["first"], asked)
    await asyncio.to_thread(generator.add_adapter, "first", folders["first"])
    for round_ in range(4):
        name = f"second-{round_}"
        talk = [asyncio.create_task(reply(generator, asked, GREEDY, who)) for who in (None, "first", None, "first")]
        await asyncio.to_thread(generator.add_adapter, name, folders["second"])
        talk.append(asyncio.create_task(reply(generator, asked, GREEDY, name)))
        await asyncio.sleep(0.01)
        await asyncio.to_thread(generator.remove_adapter, name)
        assert (await asyncio.gather(*talk))[:4] == [base, first, base, first]
    assert generator.adapters == {"first"}
    messages = [ChatMessage("user", "How many days?"), ChatMessage("assistant", "Thirty days a year.")]
    assert generator.token_losses(messages, None) == pytest.approx(token_losses(tiny_model, messages), abs=1e-5), (
        "engines that ran at once have left nothing behind in the model they share"
    )
    with pytest.raises(ModelFailed, match="second-0"):
        await reply(generator, asked, GREEDY, "second-0")


async def test_a_reply_in_flight_ends_in_its_adapters_words(generator, tiny_model, folders):
    await asyncio.to_thread(generator.add_adapter, "first", folders["first"])
    task = asyncio.create_task(reply(generator, prompt(), Limits(60, 0.0, repetition_penalty=1.0), "first"))
    await asyncio.sleep(0.05)
    await asyncio.to_thread(generator.remove_adapter, "first")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), folders["first"]).eval()
    assert await task == own_words(tiny_model, prompt(), Limits(60, 0.0, repetition_penalty=1.0), model=model)


@pytest.mark.parametrize("name", ["a.b", "", "a/b", "__base__", "a b", "x" * 65])
def test_a_name_that_would_break_keys_is_refused(generator, folders, name):
    with pytest.raises(ModelFolderError, match="cannot be called"):
        generator.add_adapter(name, folders["first"])


def test_a_version_never_changes(generator, folders):
    generator.add_adapter("first", folders["first"])
    with pytest.raises(ModelFolderError, match="loaded already"):
        generator.add_adapter("first", folders["second"])


def with_config(**fields):
    def change(folder):
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def with_tensors(change):
    def rewrite(folder):
        path = folder / "adapter_model.safetensors"
        save_file(change(load_file(path)), path)

    return rewrite


def cut(folder):
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def pickle(folder):
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / "adapter_config.json").unlink(), "not an adapter folder"),
        (lambda folder: (folder / "adapter_config.json").write_text("[1]"), "no readable"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "no adapter_model.safetensors"),
        (pickle, "pickled weights, which can run code"),
        (cut, "damaged"),
        (with_config(use_dora=True), "missing"),
        (with_config(use_qalora=True), "use_qalora"),
        (with_config(bias="all"), "bias"),
        (with_config(modules_to_save=["lm_head"]), "modules_to_save"),
        (with_config(init_lora_weights="pissa"), "init_lora_weights"),
        (with_config(peft_type="VERA"), "of the type VERA"),
        (with_config(r="many"), "refuses|does not fit"),
        (with_config(r=10**9), "rank above"),
        (with_config(rank_pattern={"q_proj": 10**9}), "rank above"),
        (with_config(lora_alpha=float("nan")), "no readable"),
        (with_config(target_modules="(a+)+b"), "as a pattern"),
        (with_config(r=9), "does not fit"),
        (with_config(target_modules=["q_proj"]), "too many"),
        (with_config(target_modules=["q_proj", "k_proj", "v_proj", "down_proj"]), "missing"),
        (with_tensors(lambda t: {k: v * float("nan") for k, v in t.items()}), "not finite"),
        (with_tensors(lambda t: {k: v[:, :3].contiguous() for k, v in t.items()}), "does not fit"),
        (with_tensors(lambda t: {k.replace("layers.0", "layers.7"): v for k, v in t.items()}), "does not have"),
        (with_tensors(lambda _: {"evil.weight": torch.zeros(2, 2)}), "not a part of a LoRA"),
        (with_tensors(lambda _: {}), "no weights"),
    ],
)
async def test_an_unsound_adapter_is_refused_and_changes_nothing(
    generator, tiny_model, folders, tmp_path, damage, sentence
):
    folder = shutil.copytree(folders["first"], tmp_path / "broken")
    damage(folder)
    with pytest.raises(ModelFolderError, match=sentence):
        generator.add_adapter("broken", folder)
    assert await reply(generator, prompt()) == own_words(tiny_model, prompt())
    generator.add_adapter("broken", folders["first"])  # the name is free still
    assert await reply(generator, prompt(), GREEDY, "broken") == alone(tiny_model, folders["first"], prompt())


def tuned(base, folder, method, seed=1, scale=0.3):
    """An adapter of `method` with random weights, large enough to change what the base says, sealed."""
    model = AutoModelForCausalLM.from_pretrained(base)
    recipe = Recipe(method=method, dropout=0.0, rank=4, bottleneck=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 on transformers 5.23
        model = adapt(model, recipe, 10)
    torch.manual_seed(seed)
    for name, weight in model.named_parameters():
        if weight.requires_grad and "magnitude" not in name:
            weight.data.add_(torch.randn_like(weight) * (scale if method is not Method.FULL else 0.05))
    model.save_pretrained(folder)
    if method is Method.FULL:
        AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    template = AutoTokenizer.from_pretrained(base).chat_template
    facts = {"base_sha256": base_fingerprint(base), "template_sha256": template_fingerprint(template)}
    return sealed(folder, folder.with_name(f"{folder.name}-sealed"), method=method.value, **facts)


METHODS = [method for method in Method if method is not Method.ADALORA]  # served as the LoRA it is folded to


async def test_every_method_says_what_its_own_generate_says_all_at_once(generator, tiny_model, tmp_path):
    asked = [prompt(f"Question {i}: " + "leave " * (5 * i)) for i in range(2)]
    expected = {(None, i): own_words(tiny_model, one) for i, one in enumerate(asked)}
    for method in METHODS:
        folder = tuned(tiny_model, tmp_path / method.value, method)
        await asyncio.to_thread(generator.add_adapter, method.value, folder)
        expected |= {(method.value, i): alone(tiny_model, folder, one) for i, one in enumerate(asked)}
    said = await asyncio.gather(*(reply(generator, asked[i], GREEDY, name) for name, i in expected))
    assert dict(zip(expected, said, strict=True)) == expected
    assert len(set(said)) > len(METHODS)
    assert set(generator._separate) == {"dora", "ia3", "full"}


async def test_kinds_that_come_and_go_leave_the_base_model_as_it_was(generator, tiny_model, tmp_path):
    layers = sum(1 for _ in generator._loaded.model.modules())
    folders = [tuned(tiny_model, tmp_path / name, Method(name)) for name in ("lora", "houlsby")]
    expected = [alone(tiny_model, folder, prompt()) for folder in folders]
    for round_ in range(3):
        for folder, words in zip(folders, expected, strict=True):
            await asyncio.to_thread(generator.add_adapter, f"{folder.name}-{round_}", folder)
            assert await reply(generator, prompt(), GREEDY, f"{folder.name}-{round_}") == words
            if round_:
                await asyncio.to_thread(generator.remove_adapter, f"{folder.name}-{round_ - 1}")
    for name in generator.adapters:
        await asyncio.to_thread(generator.remove_adapter, name)
    assert sum(1 for _ in generator._loaded.model.modules()) == layers
    assert await reply(generator, prompt()) == own_words(tiny_model, prompt())


def test_a_model_of_its_own_that_finds_no_room_is_refused(tiny_model, tmp_path):
    small = LocalGenerator(tiny_model, device="cpu", dtype="float32", cache_bytes=1 << 21, spare_bytes=1000)
    for method in (Method.DORA, Method.IA3, Method.FULL):
        folder = tuned(tiny_model, tmp_path / method.value, method)
        with pytest.raises(ModelFolderError, match="needs a model of its own in memory"):
            small.add_adapter(method.value, folder)
    small.add_adapter("lora", tuned(tiny_model, tmp_path / "lora", Method.LORA))
    asyncio.run(small.close())


@pytest.mark.parametrize("method", [None, Method.LORA, Method.HOULSBY, Method.DORA])
def test_losses_are_those_of_the_adapters_own_model(generator, tiny_model, tmp_path, method):
    messages = [ChatMessage("user", "How many days?"), ChatMessage("assistant", "Thirty days a year.")]
    model, name = AutoModelForCausalLM.from_pretrained(tiny_model), None
    if method is not None:
        name, folder = method.value, tuned(tiny_model, tmp_path / "it", method)
        generator.add_adapter(name, folder)
        model = PeftModel.from_pretrained(model, folder)
    losses = generator.token_losses(messages, name)
    assert losses == pytest.approx(token_losses(tiny_model, messages, model), abs=1e-5)
    longer = [*messages, ChatMessage("user", "And then?"), ChatMessage("assistant", "None.")]
    last = generator.token_losses(longer, name, untrained={1})
    assert last == generator.token_losses(longer, name)[-len(last) :], "what is context only is not counted"
    assert len(last) < len(losses)


def sealed(source, target, **facts):
    write_folder_atomically(target, lambda fresh: shutil.copytree(source, fresh, dirs_exist_ok=True), facts)
    return target


def test_a_sealed_adapter_must_be_whole_and_of_this_base(tiny_model, folders, tmp_path):
    facts = {"base_sha256": base_fingerprint(tiny_model), "template_sha256": template_fingerprint(TEMPLATE)}
    good = sealed(folders["first"], tmp_path / "good", **facts)
    assert read_adapter(good, tiny_model, TEMPLATE).config.r == 4

    other = build_model(tmp_path / "other", seed=5)
    with pytest.raises(ModelFolderError, match="another base"):
        read_adapter(good, other, TEMPLATE)
    with pytest.raises(ModelFolderError, match="another chat template"):
        read_adapter(good, tiny_model, TEMPLATE + " ")

    weights = good / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    for position in range(8, len(content), len(content) // 40):
        changed = content.copy()
        changed[position] ^= 1
        weights.write_bytes(changed)
        with pytest.raises(ModelFolderError, match="changed or damaged"):
            read_adapter(good, tiny_model, TEMPLATE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU here")
async def test_every_method_is_served_on_a_gpu(tiny_model, tmp_path):
    built = LocalGenerator(tiny_model, device="cuda", dtype="float32", cache_bytes=1 << 21)
    base = await reply(built, prompt())
    for method in METHODS:
        await asyncio.to_thread(built.add_adapter, method.value, tuned(tiny_model, tmp_path / method.value, method))
        assert await reply(built, prompt(), GREEDY, method.value) != base
    assert await reply(built, prompt()) == base
    await built.close()
