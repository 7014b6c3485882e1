"""How fast the starter reads and writes: seconds an answer, and tokens a second against bare `generate` and the memory.

Each token reads every weight once, so bandwidth over the weights' bytes bounds it from above. All are measured in turn
in one process, the best of a few rounds each: other work on the machine then slows them alike.
"""

import time
from functools import partial
from typing import TYPE_CHECKING

import torch
from transformers import AutoModelForCausalLM

from agent.generation.loading import STARTER
from agent.generation.network import Network, Tokens
from agent.generation.rendering import messages_of, render
from agent.generation.span import SpanReader
from agent.generation.starter import SHOWN
from agent.message import History, Intent, Move, Prompt
from agent.prompt import PERSONA
from tests.benchmarks import Report
from tests.benchmarks.squad import articles

if TYPE_CHECKING:
    from collections.abc import Callable

TOKENS = 64
COPIED = 1 << 28  # bytes, far more than any cache holds
PROMPT = Prompt(PERSONA, History(), "tell me about your day", Intent.SMALL_TALK, Move.CHAT, ())


def run(quick: bool) -> Report:
    rounds = 2 if quick else 8
    return Report(
        "starter_speed",
        f"how fast does the small model read and write on {torch.get_num_threads()} threads?",
        [*_answers(rounds), *_tokens(rounds)],
        ("bound: each token reads all weights once, at the bandwidth of a sum over 268 MB on as many threads.",),
    )


def _answers(rounds: int) -> list[dict[str, str | float]]:
    """Seconds by the clock, the best of the rounds."""
    reader = SpanReader()
    article = articles("dev_v2.0")[0]
    passages = article.passages_for(article.questions[0], SHOWN)
    asked = Prompt(PERSONA, History(), "Who ruled Normandy?", Intent.ASK, Move.ANSWER, passages)
    greeted = Prompt(PERSONA, History(), "hello", Intent.SMALL_TALK, Move.CHAT, ())
    rows: list[dict[str, str | float]] = []
    for name, call in (
        (f"one answer from {SHOWN} passages", partial(reader.read, asked)),
        ("one greeting", partial(reader.speak, greeted)),
    ):
        took = []
        for _ in range(rounds):
            began = time.perf_counter()
            call()
            took.append(time.perf_counter() - began)
        rows.append({"measured": name, "seconds": round(min(took), 3)})
    return rows


def _tokens(rounds: int) -> list[dict[str, str | float]]:
    network, tokenizer = Network(STARTER, "cpu", torch.float32), Tokens(STARTER)
    ids = render(messages_of(PROMPT), tokenizer)
    models = {
        name: AutoModelForCausalLM.from_pretrained(STARTER, dtype=dtype).eval()
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
    }
    sizes = {name: sum(each.nbytes for each in model.parameters()) for name, model in models.items()}
    written: dict[str, Callable[[], None]] = {"the starter": partial(_by_network, network, ids)}
    reads = {"the starter": sizes["float32"]}  # bytes of weights
    for name, model in models.items():
        written[f"generate, {name}"] = partial(_by_generate, model, ids)
        reads[f"generate, {name}"] = sizes[name]
    took = {name: float("inf") for name in written}
    bandwidth = 0.0
    for _ in range(rounds):
        for name, write in written.items():
            began = time.perf_counter()
            write()
            took[name] = min(took[name], time.perf_counter() - began)
        bandwidth = max(bandwidth, _bandwidth())
    rows: list[dict[str, str | float]] = [
        {
            "measured": f"tokens a second: {name}",
            "tokens a second": round(TOKENS / each, 1),
            "of the bound": round(TOKENS / each * reads[name] / bandwidth, 3),
        }
        for name, each in took.items()
    ]
    for size in sizes.values():
        bound = f"tokens a second: bound of {size / 1e6:.0f} MB of weights at {bandwidth / 1e9:.1f} GB/s"
        rows.append({"measured": bound, "tokens a second": round(bandwidth / size, 1), "of the bound": 1.0})
    return rows


def _by_network(network: Network, ids: list[int]) -> None:
    with torch.inference_mode():
        kept: list[tuple[torch.Tensor, torch.Tensor]] = []
        token = int(network.read(ids, kept).argmax())
        for _ in range(TOKENS - 1):
            token = int(network.read([token], kept).argmax())


def _by_generate(model: torch.nn.Module, ids: list[int]) -> None:
    prompt = torch.tensor([ids])
    with torch.inference_mode():
        model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=TOKENS,
            min_new_tokens=TOKENS,
            do_sample=False,
        )


def _bandwidth() -> float:
    """Bytes a second that are read, by a sum over more memory than caches hold."""
    block = torch.ones(COPIED // 4)
    block.sum()
    began = time.perf_counter()
    block.sum()
    return COPIED / (time.perf_counter() - began)
