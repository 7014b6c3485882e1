"""How fast the starter writes: tokens a second against bare `generate` and against what memory could give at best.

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
from agent.message import History, Intent, Move, Prompt
from agent.prompt import PERSONA

if TYPE_CHECKING:
    from collections.abc import Callable

TOKENS = 64
COPIED = 1 << 28  # bytes, far more than any cache holds
PROMPT = Prompt(PERSONA, History(), "tell me about your day", Intent.SMALL_TALK, Move.CHAT, ())


def speed(rounds: int) -> list[dict[str, str | float]]:
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
