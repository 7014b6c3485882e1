"""`python -m tests.benchmarks.training_gpu FILE [--tiny]`: training on one GPU as a share of its matrix peak.

It needs torch, transformers, peft, accelerate and annotated_types, no network and no model: the weights are random.
--tiny runs the same on a CPU in seconds, to see that it works.
"""

import argparse
import json
import random
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import accelerate
import peft
import torch
import transformers
from transformers import Qwen3Config, Qwen3ForCausalLM

from agent.generation.loading import LoadedModel
from finetune.recipe import Method, Recipe
from finetune.training.attention import parts
from finetune.training.batches import Encoded
from finetune.training.loop import Run
from finetune.training.losses import example_losses
from finetune.training.processes import accelerator_for

BIG = {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8}
BIG |= {"head_dim": 128, "intermediate_size": 3072, "vocab_size": 151_936, "max_position_embeddings": 4096}
TINY = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
TINY |= {"head_dim": 16, "intermediate_size": 128, "vocab_size": 500, "max_position_embeddings": 4096}
WARM, TIMED = 4, 8  # steps


class Tokenizer:
    pad_token_id = 0
    chat_template = ""


def documents(count: int, vocabulary: int, seed: int = 0) -> list[Encoded]:
    """Of the lengths of instruction data: a median of 220 tokens, a few of 2,000; the last 60% are learned."""
    draw = random.Random(seed)
    lengths = [min(2000, max(16, round(draw.lognormvariate(5.4, 0.8)))) for _ in range(count)]
    return [
        Encoded([draw.randrange(vocabulary) for _ in range(length)], [i >= 0.4 * length for i in range(length)])
        for length in lengths
    ]


def peak_flops(device: str, size: int) -> float:
    """Of a square bf16 matrix product on random data, the best of three."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(3):
        _wait(device)
        began = time.perf_counter()
        for _ in range(10):
            a @ b
        _wait(device)
        best = min(best, (time.perf_counter() - began) / 10)
    return 2 * size**3 / best


def needed_flops(run: Run, batch: list[int]) -> float:
    """What one step has to multiply: nothing that is computed twice or only masked away counts.

    A frozen weight takes part in the forward pass and in the gradient of what came before it: 4 a token, else 6.
    """
    config, method = run.loaded.model.config, run.recipe.method
    inner = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    linear = config.num_hidden_layers * config.hidden_size * (2 * inner + 2 * keys + 3 * config.intermediate_size)
    chosen = [run.learned[i] for i in batch]
    tokens, trained = sum(len(one.ids) for one in chosen), sum(one.trained for one in chosen)
    output = config.hidden_size * config.vocab_size
    attention = sum(len(one.ids) ** 2 for one in chosen) / 2 * 4 * inner * config.num_hidden_layers * 3
    if method is Method.FULL:
        return 6 * linear * tokens + 6 * output * trained + attention
    added = sum(weight.numel() for weight in run.parameters)
    return (4 * linear + 6 * added) * tokens + 4 * output * trained + attention


def measured(
    name: str, model: Any, recipe: Recipe, learned: list[Encoded], peak: float, **change: Any
) -> dict[str, Any]:
    recipe = replace(recipe, **change)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = LoadedModel(Path(), model, Tokenizer(), 4096, (0,), None)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(accelerator_for(recipe, Path(folder)), loaded, learned, [], recipe, Path(folder))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    losses = []
    for step in range(1, WARM + 1):
        run.advance(step)
        losses.append(run.loss)
    _wait(device)
    warm, began = time.perf_counter() - began, time.perf_counter()
    tokens = flops = 0.0
    for step in range(WARM + 1, WARM + TIMED + 1):
        tokens += run.advance(step)
        flops += sum(needed_flops(run, batch) for batch in [run.batches[step - 1]])
    _wait(device)
    seconds = time.perf_counter() - began
    return {
        "what": name,
        "own attention": parts(run.model),
        "tokens/s": round(tokens / seconds),
        "TFLOP/s": round(flops / seconds / 1e12, 1),
        "share of peak": round(flops / seconds / peak, 3),
        "GiB": round(torch.cuda.max_memory_allocated() / 2**30, 1) if device == "cuda" else 0.0,
        "first steps, s": round(warm, 1),
        "ms a step": round(1000 * seconds / TIMED, 1),
        "loss at first": round(losses[0], 3),
        "loss at last": round(run.loss, 3),
    }


def isolation(device: str, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Each packed example's loss against its loss alone, in float32 and bfloat16."""
    from finetune.training.attention import part_packed
    from finetune.training.losses import reduced

    learned = documents(12, sizes["vocab_size"], seed=3)
    result: dict[str, Any] = {"what": "packed against alone"}
    for precision in ("fp32", "bf16"):
        model = fresh(device, {**sizes, "num_hidden_layers": 4}, torch.float32)
        alone = [example_losses(model, [one], Recipe(), precision)[0] / one.trained for one in learned]
        part_packed(model, reduced(torch.device(device), precision))
        recipe = Recipe(batch_tokens=8192)
        packed = [
            total / one.trained
            for total, one in zip(example_losses(model, learned, recipe, precision), learned, strict=True)
        ]
        result[f"largest difference, {precision}"] = max(abs(a - b) for a, b in zip(alone, packed, strict=True))
        result[f"own attention, {precision}"] = parts(model)
    return result


def fresh(device: str, sizes: Mapping[str, int], dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen3ForCausalLM(Qwen3Config(**sizes, tie_word_embeddings=True, pad_token_id=0))
    model.set_attn_implementation("sdpa")
    return model.to(dtype)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--seconds", type=float, default=420, help="no new figure is begun after these (420)")
    chosen = parser.parse_args()
    device, sizes = ("cpu", TINY) if chosen.tiny else ("cuda", BIG)
    began = time.perf_counter()
    versions = {module.__name__: module.__version__ for module in (torch, transformers, peft, accelerate)}
    card = "CPU" if chosen.tiny else torch.cuda.get_device_name()
    peak = peak_flops(device, 256 if chosen.tiny else 8192)
    result: dict[str, Any] = {"card": card, "peak TFLOP/s, measured": round(peak / 1e12, 1), **versions, "rows": []}
    room = 512 if chosen.tiny else 16_384
    learned = documents(40 if chosen.tiny else 1200, sizes["vocab_size"])
    learned = [one for one in learned if len(one.ids) <= room]
    recipe = Recipe(batch_tokens=room, max_tokens=2048, rank=16, dropout=0.0, precision="bf16", epochs=9, warmup=0.0)
    recipe = replace(recipe, learning_rate=1e-4)
    bf16, fp32 = torch.bfloat16, torch.float32
    plans = [  # the most wanted first
        ("LoRA", bf16, {}),
        ("LoRA, compiled", bf16, {"compile": True}),
        ("full", fp32, {"method": Method.FULL}),
        ("full, compiled", fp32, {"method": Method.FULL, "compile": True}),
        ("LoRA, transformers' mask", bf16, {"masked": True}),
        ("LoRA, activations computed again", bf16, {"activation_checkpointing": True}),
    ]
    jobs = [lambda: isolation(device, sizes)]
    for name, dtype, change in plans:
        jobs.append(lambda n=name, d=dtype, c=change: one_plan(n, fresh(device, sizes, d), recipe, learned, peak, c))
    for job in jobs:
        if time.perf_counter() - began > chosen.seconds:
            break
        try:
            row = job()
        except Exception:  # noqa: BLE001 - one figure that fails must not cost the others
            row = {"what": "failed", "error": traceback.format_exc()[-1500:]}
        result["rows"].append({**row, "at": round(time.perf_counter() - began, 1)})
        print(json.dumps(result["rows"][-1]), flush=True)
        chosen.file.write_text(json.dumps(result, indent=1))
        if device == "cuda":
            torch.cuda.empty_cache()
        torch._dynamo.reset()


def one_plan(
    name: str, model: Any, recipe: Recipe, learned: list[Encoded], peak: float, change: dict[str, Any]
) -> dict[str, Any]:
    change = dict(change)
    if change.pop("masked", False):
        model.set_attn_implementation("eager")  # so that the own attention is not tried
        model.set_attn_implementation("sdpa")
        from finetune.training import loop

        kept, loop.part_packed = loop.part_packed, lambda *_: None
        try:
            return measured(name, model, recipe, learned, peak, **change)
        finally:
            loop.part_packed = kept
    return measured(name, model, recipe, learned, peak, **change)


if __name__ == "__main__":
    main()
