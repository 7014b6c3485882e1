"""`atelier finetune base` in one call: data sets in, a model folder out, on whatever machine it is called."""

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

from finetune.base.build import build
from finetune.base.sources import LICENCES, documents, rows
from finetune.base.tokenizer import save, train
from retrieval.errors import DataRefused

PIECES = 12_288
TOKENIZER_CHARACTERS = 40_000_000  # of plain language that the tokenizer is trained on
Say = Callable[[str], None]


def make(
    data: Path,
    out: Path,
    *,
    preset: str = "full",
    minutes: float = 0.0,
    steps: int = 0,
    rows_a_step: int | None = None,
    processes: int | None = None,
    tokenizer: Path | None = None,
    seed: int = 0,
    say: Say = print,
) -> Path:
    """Train a starter from the sets in `data` and return its folder `out`; run it again after a stop, and it goes on.

    tokenizer: a folder whose tokenizer.json is taken; without one, one is trained. The arrays and the checkpoint lie in
    `<out>.work`, which may be deleted afterwards. Raises DataRefused when `data` holds none of the sets.
    """
    present = [name for name in LICENCES if (data / name).is_dir()]
    if not {"text_enwiki", "squad"} <= set(present):
        raise DataRefused(
            f"{data} does not hold the data sets to learn from (text_enwiki and squad at least). Name their folder "
            "with --data, or set ATELIER_DATA."
        )
    work = out.with_name(f"{out.name}.work")
    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "tokenizer.json").exists():
        _give_tokenizer(data, out, tokenizer, say)
    say(f"learns from {', '.join(present)}")
    building = None
    if not (work / "chats.done").exists():
        count = processes or max(1, (os.cpu_count() or 2) - 1)
        options = {"processes": count, "seed": seed}
        if count == 1:
            build(data, out / "tokenizer.json", work, **options)
        else:
            building = multiprocessing.get_context("spawn").Process(
                target=build, args=(data, out / "tokenizer.json", work), kwargs=options
            )
            building.start()
    try:
        _train(work, out, preset, minutes, steps, rows_a_step, seed, say)
    finally:
        if building is not None:
            building.join()
    return out


def _train(
    work: Path, out: Path, preset: str, minutes: float, steps: int, rows: int | None, seed: int, say: Say
) -> None:
    import torch
    from tokenizers import Tokenizer

    from finetune.base.export import export
    from finetune.base.train import Plan
    from finetune.base.train import train as train_model

    pieces = Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab_size()
    many = torch.cuda.is_available()
    rows = rows or (32 if many else 8)
    plan = Plan(
        preset=preset,
        minutes=minutes,
        steps=steps,
        rows=rows,
        micro=min(rows, 32) if many else 1,
        seed=seed,
        every=400 if many else 50,
    )
    export(train_model(work, out, pieces, plan, say, export), out)
    card = {"sources": LICENCES, "preset": preset, "seed": seed}
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")


def _give_tokenizer(data: Path, out: Path, given: Path | None, say: Say) -> None:
    if given is not None:
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            (out / name).write_bytes((given / name).read_bytes())
        return
    say("trains the tokenizer")

    def texts() -> list[str]:
        found, length = [], 0
        for _, text in documents(data):
            if length < TOKENIZER_CHARACTERS:
                found.append(text)
                length += len(text)
        for name in ("dolly15k/train", "bitext_support/train"):
            found += [f"{row['instruction']}\n{row['response']}" for row in rows(data, name)]
        return found

    save(train(texts(), PIECES), out)
