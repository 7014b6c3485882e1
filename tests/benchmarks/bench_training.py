"""Training against TRL's SFTTrainer and transformers' Trainer; packing against padding; whether each method learns."""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from agent.generation.rendering import ChatMessage
from finetune.example import Example, Origin
from finetune.recipe import Method, Recipe
from finetune.training.batches import encode, in_order
from finetune.training.estimate import estimate
from finetune.training.loop import train
from tests.agent.models import build_model, build_tokenizer
from tests.benchmarks import Cell, Report
from tests.benchmarks.training_contenders import CONTENDERS, THREADS

DATA = Path(os.environ.get("ATELIER_DATA", "../shared/data"))
RATES = {Method.IA3: 0.05, Method.FULL: 0.003}
CONTESTS = (("tiny", 60, 2, 1), ("tiny", 60, 2, 2), ("100M", 5, 1, THREADS))  # size, steps, rounds, threads
QUICK = (("tiny", 10, 1, 1),)
SMALL = {"hidden": 128, "layers": 3, "heads": 4, "kv_heads": 4, "ffn": 256, "head_dim": 32}


def run(quick: bool) -> Report:
    rows: list[dict[str, Cell]] = []
    torch.set_num_threads(THREADS)
    for size, steps, rounds, threads in QUICK if quick else CONTESTS:
        rows += contest(size, steps, rounds, threads)
    if DATA.is_dir():
        rows += packing(40 if quick else 300)
        rows += learning(20 if quick else 60)
    notes = [
        "speed: the same model, rows and settings for all (training_contenders.py), float32, threads as given.",
        "On a tiny model a second thread costs more than it gives: waking it takes longer than most of its products.",
        "Each in a process of its own; tokens/s from the median step, the best of the rounds, which take turns.",
        "tokens/CPU s counts processor time: on one thread it is what an idle machine gives, however busy this one is.",
        "packing: rows of dolly15k through the same small model, in batches of 1,024 tokens with padding or without.",
        "learning: bitext_support, a model of random weights, 60 steps; held-out loss before and after.",
    ]
    if not DATA.is_dir():
        notes.append("The folder of the data sets is not here, so packing and learning were left out.")
    question = "How fast is training against the usual trainers, and does every method learn?"
    return Report("training", question, rows, notes)


def contest(size: str, steps: int, rounds: int, threads: int) -> list[dict[str, Cell]]:
    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for who in CONTENDERS:
            command = [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "tests.benchmarks.training_contenders",
                who,
                size,
                str(steps),
                str(threads),
            ]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            figures = json.loads(said.splitlines()[-1])
            known = best.setdefault(who, figures)
            for name in ("tokens/s", "tokens/CPU s"):
                known[name] = max(known[name], figures[name])
    usual = best["TRL SFTTrainer"]
    return [
        {
            "part": f"speed, {size}, {threads} thread{'s' * (threads > 1)}",
            "what": who,
            "tokens/s": round(figures["tokens/s"]),
            "times SFTTrainer": round(figures["tokens/s"] / usual["tokens/s"], 2),
            "tokens/CPU s": round(figures["tokens/CPU s"]),
            "times its CPU": round(figures["tokens/CPU s"] / usual["tokens/CPU s"], 2),
            "peak MiB": round(figures["peak MiB"]),
        }
        for who, figures in best.items()
    ]


def examples(name: str, ask: str, say: str, count: int) -> list[Example]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line, _ in zip(file, range(count), strict=False)]
    return [
        Example((ChatMessage("user", row[ask]), ChatMessage("assistant", row[say])), Origin(f"{name}:{n}"))
        for n, row in enumerate(rows, 1)
        if row[ask].strip() and row[say].strip()
    ]


def packing(count: int) -> list[dict[str, Cell]]:
    tokenizer = build_tokenizer()
    chosen = examples("dolly15k/train", "instruction", "response", count)
    rows: list[dict[str, Cell]] = []
    with tempfile.TemporaryDirectory() as folder:
        base = build_model(Path(folder) / "base", **SMALL)
        for packed in (True, False):
            recipe = Recipe(
                packing=packed,
                batch_tokens=1024,
                max_tokens=1024,
                epochs=1,
                dropout=0.0,
                precision="fp32",
                save_seconds=1e9,
            )
            foreseen = estimate(base, chosen, recipe)
            learned = encode(chosen, tokenizer, recipe)
            batches = in_order(learned, recipe)
            room = sum(
                sum(len(learned[i].ids) for i in batch)
                if packed
                else len(batch) * max(len(learned[i].ids) for i in batch)
                for batch in batches
            )
            began = time.perf_counter()
            train(base, chosen, [], recipe, Path(folder) / f"job-{packed}")
            seconds = time.perf_counter() - began
            rows.append(
                {
                    "part": "packing, dolly15k",
                    "what": "packed" if packed else "padded, by length",
                    "tokens/s": round(foreseen.tokens / seconds),
                    "padding": f"{1 - foreseen.tokens / room:.1%}",
                    "batches": len(batches),
                    "seconds": round(seconds, 1),
                    "foreseen s": round(foreseen.seconds, 1),
                }
            )
    return rows


def learning(steps: int) -> list[dict[str, Cell]]:
    rows: list[dict[str, Cell]] = []
    chosen = examples("bitext_support/train", "instruction", "response", 600)
    held_out = examples("bitext_support/dev", "instruction", "response", 40)
    with tempfile.TemporaryDirectory() as folder:
        base = build_model(Path(folder) / "base", **SMALL)
        for method in Method:
            recipe = Recipe(
                method=method,
                batch_tokens=1024,
                max_tokens=512,
                max_steps=steps,
                learning_rate=RATES.get(method, 0.01),
                evaluations=1,
                precision="fp32",
                save_seconds=1e9,
            )
            began = time.perf_counter()
            outcome = train(base, chosen, held_out, replace(recipe, epochs=10), Path(folder) / method)
            rows.append(
                {
                    "part": "learning, bitext_support",
                    "what": method.value,
                    "loss before": round(outcome.first_loss, 3),
                    "loss after": round(outcome.best_loss, 3),
                    "seconds": round(time.perf_counter() - began, 1),
                }
            )
    return rows
