"""`python -m finetune.base`: build the token arrays and train, where there is torch and tokenizers and little else."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from finetune.base.build import build


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m finetune.base", description=__doc__)
    steps = top.add_subparsers(dest="step", required=True)
    building = steps.add_parser("build", help="data sets to token arrays")
    building.add_argument("--data", type=Path, required=True)
    building.add_argument("--processes", type=int, default=1)
    building.add_argument("--share", type=float, default=1.0)
    building.add_argument("--seed", type=int, default=0)
    training = steps.add_parser("train", help="token arrays to a model")
    training.add_argument("--out", type=Path, required=True)
    examining = steps.add_parser("examine", help="a trained model reads prompts; figures to a JSON file")
    examining.add_argument("--model", type=Path, required=True)
    examining.add_argument("--preset", default="full")
    examining.add_argument("--prompts", type=Path, required=True)
    examining.add_argument("--to", type=Path, required=True)
    for step in (building, training, examining):
        step.add_argument("--work", type=Path, required=True, help="the folder of the token arrays")
        step.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json")
    training.add_argument("--preset", default="full")
    for name in ("minutes", "muon", "adam", "decay", "since"):
        training.add_argument(f"--{name}", type=float)
    for name in ("steps", "rows", "micro", "seed", "every"):
        training.add_argument(f"--{name}", type=int)
    for name in ("dense", "eager-chats"):
        training.add_argument(f"--{name}", action="store_true", default=None)
    training.add_argument("--uncompiled", dest="compiled", action="store_false", default=None)
    return top


def main() -> int:
    chosen = parser().parse_args()
    if chosen.step == "build":
        build(
            chosen.data, chosen.tokenizer, chosen.work, processes=chosen.processes, seed=chosen.seed, share=chosen.share
        )
        return 0
    from tokenizers import Tokenizer

    if chosen.step == "examine":
        from finetune.base.examine import examine, load

        tokenizer = Tokenizer.from_file(str(chosen.tokenizer))
        model = load(chosen.model, chosen.preset, tokenizer.get_vocab_size())
        examine(model, tokenizer, chosen.prompts, chosen.work, chosen.to)
        return 0
    from finetune.base.export import export
    from finetune.base.train import Plan, train

    given = {f.name: getattr(chosen, f.name, None) for f in fields(Plan)}
    plan = Plan(**{name: value for name, value in given.items() if value is not None})
    vocabulary = Tokenizer.from_file(str(chosen.tokenizer)).get_vocab_size()
    model = train(chosen.work, chosen.out, vocabulary, plan, say=lambda line: print(line, flush=True), export=export)
    export(model, chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
