"""The syntax heads from a treebank in one call: `python -m finetune.syntax_train --data FOLDER --out FOLDER`.

A run that was stopped goes on where its last checkpoint was when it is called again with the same plan. The shipped
heads took 37 minutes on two busy cores.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from finetune.syntax import TREEBANK, Plan, labels_of, measure, train_syntax, write_syntax
from finetune.syntax_batches import prepare
from finetune.syntax_data import read_trees
from retrieval.encoder import TransformerEncoder
from retrieval.errors import AtelierError


def train(data: Path, out: Path, work: Path, plan: Plan) -> None:
    """Train, measure on dev, and put the heads into the sealed folder `out`. Raises UnreadableFile, StoreError."""
    encoder = TransformerEncoder(device="cpu")  # where its batches lie
    network = train_syntax(encoder, data, work, plan, print)
    train_trees, dev = (read_trees(data / TREEBANK / f"{split}.conllu.gz") for split in ("train", "dev"))
    tags, relations = labels_of(train_trees)
    score = measure(network, prepare(dev, encoder, plan.layers, work / f"dev-{plan.layers}"), tags, relations)
    write_syntax(network, tags, relations, encoder.id, out, score)
    print(f"dev: {score}. The heads are in {out}; {work} may be deleted.")


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("ATELIER_DATA"), help=f"holds {TREEBANK}")
    parser.add_argument("--out", type=Path, required=True, help="a folder that is written whole")
    parser.add_argument("--layers", type=int, default=Plan().layers, help="of the encoder's that are changed")
    parser.add_argument("--frozen", type=int, default=Plan().frozen, help="epochs of what is new alone")
    parser.add_argument("--epochs", type=int, default=Plan().epochs, help="epochs of all together, after")
    parser.add_argument("--seed", type=int, default=Plan().seed)
    chosen = parser.parse_args(given)
    if chosen.data is None:
        parser.error("name the folder of data sets with --data, or set ATELIER_DATA")
    plan = Plan(layers=chosen.layers, frozen=chosen.frozen, epochs=chosen.epochs, seed=chosen.seed)
    try:
        train(chosen.data, chosen.out, chosen.out.with_name(f"{chosen.out.name}.work"), plan)
    except AtelierError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
