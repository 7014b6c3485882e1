"""16 chats at once against one at a time and an ideal batch; and the first word late in a long conversation."""

import asyncio
import gc
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from agent.generation.generator import Limits
from agent.generation.local import CACHE_BYTES, CACHE_TOKENS, LocalGenerator
from agent.generation.rendering import messages_of, render
from agent.message import History, Intent, Line, Move, Prompt
from retrieval.passage import Passage
from tests.agent.models import TEMPLATE, build_model
from tests.benchmarks import Cell, Report

CHATS = 16
THREADS = 2
BFLOAT16 = torch.bfloat16
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"family": "llama"},
    "42M": {
        "family": "llama",
        "hidden": 512,
        "layers": 8,
        "heads": 8,
        "kv_heads": 8,
        "ffn": 1376,
        "head_dim": 64,
        "vocabulary": 32_000,
    },
    "0.6B": {
        "family": "qwen3",
        "hidden": 1024,
        "layers": 28,
        "heads": 16,
        "kv_heads": 8,
        "ffn": 3072,
        "head_dim": 128,
        "vocabulary": 151_936,
    },
}
TARGETS = {"42M": 4.0, "0.6B": 2.0}
# With tied random weights a model repeats its last token, so that must be a visible one; and what it says must be read
# back as it was said, as a trained model's words are.
TALKATIVE = TEMPLATE.replace("}}\n{{", "}}: {{").replace("assistant\n", "assistant:")
MESSAGE = "We want to plan the next offsite and need ideas that fit the budget, the season and the people. "


def run(quick: bool) -> Report:
    rows: list[dict[str, Cell]] = []
    notes = [
        f"Models with random weights in bfloat16 and no end token, greedy, torch on {THREADS} threads, medians.",
        "one at a time: transformers' generate for each chat in turn. 16 at once: LocalGenerator, from Prompt to text.",
        "static batch: one generate for all chats, which is ideal, since all begin and end together.",
        f"Keys and values of a model take at most {CACHE_BYTES >> 20} MiB and {CACHE_TOKENS:,} tokens.",
        "turns: time to the first piece, nothing known at turn 1, new passages at each.",
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        for size in ("tiny",) if quick else ("42M", "0.6B"):
            with tempfile.TemporaryDirectory() as folder:
                path = build_model(
                    Path(folder) / size, window=8192, tied=True, dtype=BFLOAT16, template=TALKATIVE, **SIZES[size]
                )
                gc.collect()
                rows += asyncio.run(_measure(size, path))
    finally:
        torch.set_num_threads(threads)
    return Report("generation", "How fast are 16 chats at once, and is a long conversation read again?", rows, notes)


async def _measure(size: str, folder: Path) -> list[dict[str, Cell]]:
    generator = LocalGenerator(folder, device="cpu", dtype="bfloat16")
    generator._loaded = replace(generator._loaded, ends=())
    tokens, repeats = {"tiny": (8, 1), "42M": (128, 5), "0.6B": (64, 3)}[size]
    limits = Limits(tokens, 0.0, repetition_penalty=1.0, deadline=600.0)
    rows = await _throughput(size, generator, limits, repeats)
    rows += await _first_words(size, generator, replace(limits, max_tokens=min(tokens, 32)), repeats)
    await generator.close()
    return rows


async def _throughput(size: str, generator: LocalGenerator, limits: Limits, repeats: int) -> list[dict[str, Cell]]:
    model, tokenizer = generator._loaded.model, generator._loaded.tokenizer
    together, single, static = [], [], []
    some = 4 if size != "0.6B" else 1  # a chat alone takes as long as any other
    for repeat in range(repeats + 1):  # the first warms up
        prompts = [_prompt("You are Atelier.", f"Chat {repeat}.{i}: {MESSAGE * 3}") for i in range(CHATS)]
        ids = [render(messages_of(prompt), tokenizer) for prompt in prompts]
        together.append(await _rate_together(generator, prompts, limits))
        single.append(some * limits.max_tokens / _generate(model, [[row] for row in ids[:some]], limits.max_tokens))
        static.append(CHATS * limits.max_tokens / _generate(model, [ids], limits.max_tokens))
    rates = {"one at a time": single, "16 at once": together, "static batch": static}
    base = median(single[1:])
    return [
        {
            "model": size,
            "what": what,
            "prompt": len(ids[0]),
            "tokens/s": median(rate[1:]),
            "ratio": median(rate[1:]) / base,
            "target": f">= {TARGETS[size]:g}" if what == "16 at once" and size in TARGETS else "",
        }
        for what, rate in rates.items()
    ]


async def _rate_together(generator: LocalGenerator, prompts: list[Prompt], limits: Limits) -> float:
    start = time.perf_counter()
    await asyncio.gather(*(_reply(generator, prompt, limits) for prompt in prompts))
    return len(prompts) * limits.max_tokens / (time.perf_counter() - start)


def _generate(model: Any, batches: list[list[list[int]]], tokens: int) -> float:
    """Seconds that `generate` takes for the batches, one after another."""
    start = time.perf_counter()
    for rows in batches:
        width = max(map(len, rows))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        with torch.inference_mode():
            model.generate(
                ids, attention_mask=mask, do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens, pad_token_id=0
            )
    return time.perf_counter() - start


async def _first_words(size: str, generator: LocalGenerator, limits: Limits, repeats: int) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = []
    for kind, passages in (("chat", 0), ("with passages", 5)):
        seconds: dict[int, list[float]] = {1: [], 10: []}
        lengths = {}
        for repeat in range(repeats):
            lines: tuple[Line, ...] = ()
            for turn in range(1, 11):
                asked = _prompt(f"You remember {kind} {repeat}.", f"Turn {turn}: {MESSAGE}", lines)
                prompt = replace(asked, passages=tuple(_passage(turn, n) for n in range(passages)))
                first, said = await _reply(generator, prompt, limits)
                lines += (Line("user", prompt.message), Line("assistant", said))
                if turn in seconds:
                    seconds[turn].append(first)
                    lengths[turn] = len(render(messages_of(prompt), generator._loaded.tokenizer))
        rows += [
            {
                "model": size,
                "what": f"turn {turn}, {kind}",
                "prompt": lengths[turn],
                "ms": 1e3 * median(seconds[turn]),
                "ratio": median(seconds[turn]) / median(seconds[1]),
                "target": "<= 1.5" if turn == 10 else "",
            }
            for turn in seconds
        ]
    return rows


def _passage(turn: int, number: int) -> Passage:
    text = f"Section {turn}.{number}. {MESSAGE * 3}"
    return Passage(number, text, "handbook.md", "Offsites", None, number, "team/all", 0.9)


def _prompt(persona: str, message: str, lines: tuple[Line, ...] = ()) -> Prompt:
    return Prompt(persona, History("", lines), message, Intent.ASK, Move.CHAT)


async def _reply(generator: LocalGenerator, prompt: Prompt, limits: Limits) -> tuple[float, str]:
    """Seconds to the first piece, and the whole reply."""
    start = time.perf_counter()
    seconds, said = 0.0, ""
    async for piece in generator.stream(prompt, None, limits):
        seconds = seconds or time.perf_counter() - start
        said += piece.text
    return seconds, said
