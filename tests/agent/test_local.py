"""The local generator: the model's own words, many chats at once, and no request that hangs, leaks or stays unheard."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
from contextlib import aclosing
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessorList, RepetitionPenaltyLogitsProcessor

from agent.generation.generator import Limits
from agent.generation.local import LocalGenerator, check_model
from agent.generation.rendering import messages_of, render
from agent.generation.sampling import choose
from agent.message import History, Intent, Line, Move, Prompt
from retrieval.errors import ModelFailed, ModelFolderError, Overloaded
from tests.agent.models import build_model

GREEDY = Limits(max_tokens=12, temperature=0.0, repetition_penalty=1.0)


@pytest.fixture(scope="module")
def generator(tiny_model):
    built = LocalGenerator(tiny_model, device="cpu", dtype="float32", cache_bytes=1 << 22)
    yield built
    asyncio.run(built.close())


def prompt(message="Hello, how are you?", *lines: str) -> Prompt:
    history = tuple(Line("assistant" if i % 2 else "user", text) for i, text in enumerate(lines))
    return Prompt("You are Atelier.", History("", history), message, Intent.SMALL_TALK, Move.CHAT)


async def reply(generator, asked: Prompt, limits: Limits = GREEDY, adapter: str | None = None) -> str:
    return "".join([piece.text async for piece in generator.stream(asked, adapter, limits)])


@cache  # what a model says is asked for again and again
def own_words(folder: Path, asked: Prompt, limits: Limits = GREEDY, model=None) -> str:
    """What transformers' `generate` says, one request at a time."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return tokenizer.decode(own_ids(folder, asked, limits, model), skip_special_tokens=True).lstrip()


@cache
def bare(folder: Path):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def own_ids(folder: Path, asked: Prompt, limits: Limits = GREEDY, model=None) -> list[int]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = render(messages_of(asked), tokenizer)
    penalty = RepetitionPenaltyLogitsProcessor(limits.repetition_penalty, prompt_ignore_length=len(ids))
    made = (model or bare(folder)).generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=limits.max_tokens,
        do_sample=False,
        logits_processor=LogitsProcessorList([penalty]),
    )
    return made[0, len(ids) :].tolist()


def engine_of(generator, adapter=None):
    return generator._engines[adapter]


async def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.01)


async def test_many_at_once_say_what_each_would_say_alone(generator, tiny_model):
    asked = [prompt(f"Question {i} " + "about leave " * (i * 5)) for i in range(12)]
    replies = await asyncio.gather(*(reply(generator, one) for one in asked))
    assert replies == [own_words(tiny_model, one) for one in asked]
    assert len(set(replies)) > 1


@pytest.mark.parametrize("sliding", [None, 48])
async def test_grouped_heads_and_sliding_windows_too(tmp_path, sliding):
    folder = build_model(tmp_path / "qwen", "qwen3", heads=4, kv_heads=1, layers=3, sliding=sliding)
    built = LocalGenerator(folder, device="cpu", dtype="float32")
    asked = [prompt("word " * n) for n in (3, 200, 40)]
    replies = await asyncio.gather(*(reply(built, one) for one in asked))
    await built.close()
    assert replies == [own_words(folder, one) for one in asked]


async def test_pieces_come_one_by_one(generator):
    pieces = [piece.text async for piece in generator.stream(prompt(), None, GREEDY)]
    assert len(pieces) > 3


async def test_the_penalty_weighs_the_reply_only(generator, tiny_model):
    limits = replace(GREEDY, repetition_penalty=1.5)
    assert await reply(generator, prompt(), limits) == own_words(tiny_model, prompt(), limits)
    assert await reply(generator, prompt(), limits) != await reply(generator, prompt())


async def test_a_seed_repeats_its_reply_in_any_company(generator):
    limits = replace(GREEDY, temperature=1.0, seed=7)
    alone = await reply(generator, prompt(), limits)
    crowd = await asyncio.gather(*(reply(generator, prompt(), replace(limits, seed=seed)) for seed in (1, 7, 2, 7)))
    assert crowd[1] == crowd[3] == alone
    assert len(set(crowd)) == 3
    unseeded = [await reply(generator, prompt(), replace(limits, seed=None)) for _ in range(3)]
    assert len(set(unseeded)) == 3


def test_a_nucleus_is_drawn_from_in_proportion():
    scores = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    drawn = [
        choose(scores.clone(), [], temperature=1.0, top_p=0.75, repetition_penalty=1.0, seed=seed)
        for seed in range(2000)
    ]
    assert set(drawn) == {0, 1}
    assert drawn.count(0) / len(drawn) == pytest.approx(0.5 / 0.8, abs=0.04)


def test_a_wide_nucleus_is_not_cut_off():
    scores = torch.zeros(5000)
    drawn = {choose(scores.clone(), [], temperature=1.0, top_p=1.0, repetition_penalty=1.0, seed=s) for s in range(300)}
    assert len(drawn) > 280


async def test_a_long_conversation_is_read_once(generator):
    read = []
    hook = generator._loaded.model.register_forward_pre_hook(
        lambda _module, _args, inputs: read.append(inputs["input_ids"].shape[1]), with_kwargs=True
    )
    lines, cost = [], []
    for turn in range(10):
        read.clear()
        message = f"Turn {turn}: " + "what about the plan and the budget? " * 2
        said = await reply(generator, replace(prompt(message, *lines), persona="You remember what was said."))
        cost.append(sum(read) - GREEDY.max_tokens + 1)  # what is read beside the reply's own tokens
        lines += [message, said]
    hook.remove()
    assert cost[9] <= 1.5 * cost[0]


async def test_an_engine_that_begins_while_texts_are_encoded_has_all_threads(tiny_model):
    """What torch is told by then, threads that are born keep for good."""
    before, used = torch.get_num_threads(), set()
    torch.set_num_threads(2)
    try:
        built = LocalGenerator(tiny_model, device="cpu", dtype="float32", cache_bytes=1 << 22)
        built._loaded.model.register_forward_pre_hook(lambda *_: used.add(torch.get_num_threads()))
        torch.set_num_threads(1)  # as a lane of the encoder does
        assert await reply(built, prompt())
        await built.close()
    finally:
        torch.set_num_threads(before)
    assert used == {2}


async def test_a_hundred_cancels_leak_nothing(generator):
    await reply(generator, prompt())
    manager = engine_of(generator)._manager
    scheduler = manager.batch_processor.scheduler

    async def listen_briefly(i):
        async with aclosing(generator.stream(prompt(f"Number {i}"), None, replace(GREEDY, max_tokens=300))) as pieces:
            async for _ in pieces:
                return

    for start in range(0, 100, 20):
        await asyncio.gather(*(listen_briefly(i) for i in range(start, start + 20)))
    for _ in range(20):  # and some before they ever began
        task = asyncio.create_task(reply(generator, prompt(), replace(GREEDY, max_tokens=300)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await until(lambda: not scheduler.active_requests and not scheduler.waiting_requests)
    assert not manager.output_router.receivers
    assert generator._open._value == 64
    cache = manager.batch_processor.cache
    cache.evict_cached_blocks()
    cache.pool.try_to_free_sectors()
    assert cache.compute_free_capacity() == 1.0
    assert await reply(generator, prompt())


async def test_a_full_queue_refuses_at_once(tiny_model):
    small = LocalGenerator(tiny_model, device="cpu", dtype="float32", queue=2)
    long = replace(GREEDY, max_tokens=200)
    running = [asyncio.create_task(reply(small, prompt(), long)) for _ in range(2)]
    await asyncio.sleep(0.05)
    before = time.perf_counter()
    with pytest.raises(Overloaded, match="busy with 2 messages"):
        await reply(small, prompt())
    assert time.perf_counter() - before < 0.1
    await asyncio.gather(*running)
    assert await reply(small, prompt())
    await small.close()


async def test_a_reply_ends_at_its_deadline(generator):
    before = time.monotonic()
    with pytest.raises(ModelFailed, match=r"longer than 0\.3 seconds"):
        await reply(generator, prompt(), replace(GREEDY, max_tokens=500, deadline=0.3))
    assert time.monotonic() - before < 1.5


async def test_a_failing_model_fails_those_who_wait_and_serves_the_next(generator):
    broken = generator._loaded.model.register_forward_pre_hook(lambda *_: 1 / 0)
    outcomes = await asyncio.gather(*(reply(generator, prompt()) for _ in range(3)), return_exceptions=True)
    broken.remove()
    assert all(isinstance(outcome, ModelFailed) for outcome in outcomes), outcomes
    assert await reply(generator, prompt())


async def test_a_device_without_room_for_an_engine_is_a_failed_model(generator, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(generator, "_engines", {})
    monkeypatch.setattr("agent.generation.engine.Engine", full)
    with pytest.raises(ModelFailed, match="could not start"):
        await reply(generator, prompt())


async def test_a_long_history_is_cut_and_a_long_message_refused(generator):
    lines = ["what we said " * 10] * 100
    assert await reply(generator, prompt("And now?", *lines))
    with pytest.raises(ModelFailed, match="too long"):
        await reply(generator, prompt("word " * 3000))


async def test_a_small_cache_serves_many_in_turn(tiny_model):
    small = LocalGenerator(tiny_model, device="cpu", dtype="float32", cache_bytes=600_000)
    limits = replace(GREEDY, max_tokens=40)
    asked = [prompt(f"Number {i} " + "word " * 100) for i in range(8)]
    replies = await asyncio.gather(*(reply(small, one, limits) for one in asked))
    await small.close()
    assert replies == [own_words(tiny_model, one, limits) for one in asked]


async def test_an_abandoned_loop_harms_nobody(generator):
    def in_a_loop_that_closes():
        async def begin():
            await anext(generator.stream(prompt(), None, replace(GREEDY, max_tokens=300)))

        asyncio.run(begin())

    await asyncio.to_thread(in_a_loop_that_closes)
    assert await reply(generator, prompt())


async def test_the_end_token_ends_the_reply_and_is_not_shown(tiny_model, tmp_path):
    ids = own_ids(tiny_model, prompt())
    at = next(i for i in range(2, len(ids)) if ids[i] not in ids[:i])
    folder = shutil.copytree(tiny_model, tmp_path / "ending")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [ids[at]]}))
    built = LocalGenerator(folder, device="cpu", dtype="float32")
    said = await reply(built, prompt(), replace(GREEDY, max_tokens=200))
    await built.close()
    assert said == AutoTokenizer.from_pretrained(folder).decode(ids[:at]).lstrip()


async def test_a_model_without_a_chat_template_speaks(tmp_path):
    built = LocalGenerator(build_model(tmp_path / "base", template=None), device="cpu", dtype="float32")
    assert await reply(built, prompt())
    await built.close()


async def test_close_ends_replies_in_flight(tiny_model):
    built = LocalGenerator(tiny_model, device="cpu", dtype="float32")
    task = asyncio.create_task(reply(built, prompt(), replace(GREEDY, max_tokens=500)))
    await asyncio.sleep(0.2)
    await built.close()
    with pytest.raises(ModelFailed):
        await task


def remove(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def write(name, text):
    return lambda folder: (folder / name).write_text(text)


def change_config(**fields):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | fields))

    return change


def cut_weights(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def pickle_weights(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def turn_into_adapter(folder):
    (folder / "config.json").rename(folder / "adapter_config.json")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (remove("config.json"), "it has no config.json"),
        (turn_into_adapter, "is an adapter"),
        (write("config.json", "{"), "not a model's config"),
        (write("config.json", "[]"), "not a model's config"),
        (remove("model.safetensors"), "no weights"),
        (pickle_weights, "pickled weights, which can run code"),
        (cut_weights, "damaged"),
        (remove("tokenizer.json", "tokenizer_config.json"), "no tokenizer"),
        (write("tokenizer.json", "{}"), "tokenizer .* cannot be read"),
        (change_config(architectures=["LlamaModel"]), "not a model that writes text"),
        (change_config(model_type="bert", architectures=["BertModel"]), "not a model that writes text"),
        (change_config(model_type="new-thing", auto_map={"AutoConfig": "code.Config"}), "code of its own"),
        (change_config(hidden_size=128), "cannot be loaded|do not fit"),
        (change_config(num_hidden_layers=3), "do not fit"),
    ],
)
def test_a_folder_that_is_no_model_is_named(tiny_model, tmp_path, damage, sentence):
    folder = shutil.copytree(tiny_model, tmp_path / "broken")
    damage(folder)
    with pytest.raises(ModelFolderError, match=sentence):
        LocalGenerator(folder, device="cpu")


@pytest.mark.parametrize("name", ["/no/such/folder", "no-such-model", "nobody/nothing-9", "", "a/b/c", "../x"])
def test_a_name_that_is_nowhere_is_named(name):
    with pytest.raises(ModelFolderError, match=r"There is no|not a model folder"):
        LocalGenerator(name)


def test_a_model_is_checked_without_loading_it(tiny_model, tmp_path):
    assert "llama" in check_model(tiny_model)
    folder = shutil.copytree(tiny_model, tmp_path / "broken")
    cut_weights(folder)
    with pytest.raises(ModelFolderError, match="damaged"):
        check_model(folder)


def test_a_forgotten_close_keeps_no_process_alive(tiny_model):
    before = set(threading.enumerate())
    built = LocalGenerator(tiny_model, device="cpu", dtype="float32")
    asyncio.run(reply(built, prompt()))
    left = set(threading.enumerate()) - before
    assert left
    assert all(thread.daemon for thread in left)  # a process waits for the others only
    asyncio.run(built.close())


def test_the_import_is_light():
    script = """
import sys
from agent.generation.local import LocalGenerator
assert not {"torch", "transformers"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
