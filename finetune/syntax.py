"""Train the syntax heads on a treebank: tags and dependencies over the encoder's top layers, as a sealed folder.

First what is new learns over the encoder's own layers, whose states are kept: an epoch costs little. Then the changes
to the layers learn with it, and the rates fall to nothing (the idea of Kumar et al. 2022: probe, then tune).
"""

import datetime as dt
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch.nn.functional import cross_entropy

from agent.syntax.network import Network, Sizes
from agent.syntax.tree import best_tree
from finetune.syntax_batches import Prepared, hear, prepare
from finetune.syntax_data import TRAINED_ON, Tree, read_trees
from retrieval.encoder import TransformerEncoder
from retrieval.errors import StoreError
from retrieval.files import write_atomically, write_folder_atomically

TREEBANK = "ud_english_ewt"
CHECKPOINT = "checkpoint.safetensors"
SECONDS = 120  # between two checkpoints
WARM = 0.15  # epochs in which a rate rises
FALLING = 0.7  # part of the first rate that the new parts go on with beside the branch
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. frozen: epochs of what is new alone, over the encoder's own layers; epochs: of all together, after.

    rate: of what is new; branch_rate: of the changes to the encoder's layers. With all together both fall to nothing.
    """

    layers: int = 3
    rank: int = 32
    frozen: int = 6
    epochs: int = 2
    rate: float = 2e-3
    branch_rate: float = 8e-4
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Score:
    """Parts of 1 of all words, punctuation counted, on gold words.

    las: relations without their subtypes, as CoNLL 2018 counts; strict: with them.
    """

    upos: float
    uas: float
    las: float
    strict: float
    words: int

    def __str__(self) -> str:
        return f"UPOS {self.upos:.2%}, UAS {self.uas:.2%}, LAS {self.las:.2%} on {self.words:,} words"


def train_syntax(encoder: TransformerEncoder, data: Path, work: Path, plan: Plan, progress: Progress) -> Network:
    """Train for the encoder on the treebank in `data`, or go on with what `work` holds of it.

    work: a folder for checkpoints, which may end at any moment; those of another plan or encoder are not gone on with.
    Raises UnreadableFile, StoreError.
    """
    train, dev = (read_trees(data / TREEBANK / f"{split}.conllu.gz") for split in ("train", "dev"))
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{work} cannot be written. Name another folder.") from error
    taught = prepare(train, encoder, plan.layers, work / f"train-{plan.layers}", progress)
    asked = prepare(dev, encoder, plan.layers, work / f"dev-{plan.layers}", progress)
    tags, relations = labels_of(train)
    torch.manual_seed(plan.seed)
    network = Network(encoder.blocks, Sizes(len(tags), len(relations), plan.layers, plan.rank))
    taught, asked = (
        hear(each, network.eval(), work / f"{name}-{plan.layers}", progress)
        for each, name in ((taught, "train"), (asked, "dev"))
    )
    _fit(network, taught, asked, tags, relations, work, plan, run_of(encoder.id, plan), progress)
    return network


def labels_of(trees: Sequence[Tree]) -> tuple[list[str], list[str]]:
    """The tags and the relations that trees hold, in order."""
    return (
        sorted({tag for tree in trees for tag in tree.tags}),
        sorted({relation for tree in trees for relation in tree.relations}),
    )


def run_of(encoder: str, plan: Plan) -> str:
    """What a checkpoint is of: one with another of these cannot be gone on with."""
    return json.dumps({"encoder": encoder, **asdict(plan)}, sort_keys=True)


def keep(
    file: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer, run: str, epoch: int, place: int
) -> None:
    """Write where the training `run` stands, whole or not at all: tensors only, nothing that runs when it is read."""
    tensors = {f"network.{name}": value.clone() for name, value in network.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value.clone() for name, value in state.items()}
    tensors["random"] = torch.get_rng_state()
    fresh = file.with_suffix(".new")
    safetensors.torch.save_file(tensors, fresh, {"run": run, "epoch": str(epoch), "place": str(place)})
    fresh.replace(file)


def resumed(file: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer, run: str) -> tuple[int, int] | None:
    """Put network and optimizer back to what `keep` wrote: the epoch and the batch in it to go on with.

    None, and nothing is changed, where that was another run's.
    """
    with safetensors.safe_open(file, "pt") as read:
        stands = read.metadata() or {}
        if stands.get("run") != run:
            return None
        tensors = {name: read.get_tensor(name) for name in read.keys()}  # noqa: SIM118 - it is no dict
    torch.set_rng_state(tensors.pop("random"))
    of_network = {
        name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")
    }
    network.load_state_dict(of_network)
    state: defaultdict[int, dict[str, torch.Tensor]] = defaultdict(dict)
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, what = name.split(".", 2)
            state[int(number)][what] = value
    optimizer.load_state_dict({"state": dict(state), "param_groups": optimizer.state_dict()["param_groups"]})
    return int(stands["epoch"]), int(stands["place"])


def _fit(
    network: Network,
    taught: Prepared,
    asked: Prepared,
    tags: list[str],
    relations: list[str],
    work: Path,
    plan: Plan,
    run: str,
    progress: Progress,
) -> None:
    branch = [value for name, value in network.named_parameters() if name.startswith("layers.") and value.requires_grad]
    branch_ids = set(map(id, branch))
    new = [value for value in network.parameters() if value.requires_grad and id(value) not in branch_ids]
    groups: list[dict[str, Any]] = [{"params": new, "top": plan.rate}]
    groups += [{"params": branch, "top": plan.branch_rate}] if branch else []
    optimizer = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.95), weight_decay=0.01)
    of_tag, of_relation = ({each: i for i, each in enumerate(names)} for names in (tags, relations))
    file, log = work / CHECKPOINT, work / "log.jsonl"
    epoch, place = 0, 0
    if file.exists():
        if (stands := resumed(file, network, optimizer, run)) is None:
            progress("what was begun here is of another plan or encoder: training begins anew")
        else:
            epoch, place = stands
            progress(f"taken up again in epoch {epoch + 1}, batch {place}")
    began = saved = time.monotonic()

    while epoch < plan.frozen + plan.epochs:
        groups_now = list(taught.batches(np.random.default_rng((plan.seed, epoch))))
        heard: defaultdict[str, float] = defaultdict(float)
        network.train()
        for number in range(place, len(groups_now)):
            rates = rates_at(epoch + number / len(groups_now), plan)
            for group, rate in zip(optimizer.param_groups, rates, strict=False):
                group["lr"] = group["top"] * rate
            chosen = groups_now[number]
            losses = _losses(network, taught, chosen, epoch < plan.frozen, of_tag, of_relation)
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it so
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            for name, loss in losses.items():
                heard[name] += float(loss.detach())
            heard["count"] += 1
            if time.monotonic() - saved > SECONDS:
                place = number + 1
                keep(file, network, optimizer, run, epoch, place)
                saved = time.monotonic()
                parts = ", ".join(f"{name} {heard[name] / heard['count']:.3f}" for name in losses)
                progress(f"epoch {epoch + 1}, batch {place} of {len(groups_now)}: {parts}; {saved - began:.0f} s")
        epoch, place = epoch + 1, 0
        keep(file, network, optimizer, run, epoch, place)
        score = measure(network, asked, tags, relations, is_frozen=epoch <= plan.frozen)
        progress(f"epoch {epoch} of {plan.frozen} + {plan.epochs}: {score}; {time.monotonic() - began:.0f} s")
        with log.open("a") as lines:
            lines.write(json.dumps({"epoch": epoch, "plan": asdict(plan), **asdict(score)}) + "\n")


def _losses(
    network: Network,
    taught: Prepared,
    chosen: Sequence[int],
    is_frozen: bool,  # noqa: FBT001 - private, one caller
    of_tag: dict[str, int],
    of_relation: dict[str, int],
) -> dict[str, torch.Tensor]:
    batch, labels = taught.batch(chosen), taught.labels(chosen, of_tag, of_relation)
    words = network.hear(taught.before(chosen), batch) if is_frozen else network.read(batch)
    heads = labels.heads.clamp(min=0)
    return {
        "tags": cross_entropy(network.tags(words).flatten(0, 1), labels.tags.flatten()),
        "heads": cross_entropy(network.arcs(words, batch.words).flatten(0, 1), labels.heads.flatten()),
        "relations": cross_entropy(network.relations(words, heads).flatten(0, 1), labels.relations.flatten()),
    }


def rates_at(epochs: float, plan: Plan) -> tuple[float, float]:
    """The parts of both rates that are used after so many epochs: of what is new, and of the branch."""
    if epochs < plan.frozen:
        return min(1.0, max(epochs, 1e-3) / WARM), 0.0
    done = (epochs - plan.frozen) / max(1, plan.epochs)
    warm = min(1.0, max(epochs - plan.frozen, 1e-3) / WARM)
    return FALLING * (1 - done), warm * (1 - done)


def measure(
    network: Network, asked: Prepared, tags: list[str], relations: list[str], *, is_frozen: bool = False
) -> Score:
    """How well the network reads trees that it was not trained on. is_frozen: its layers are untrained yet."""
    was_training = network.training
    network.eval()
    right: Counter[str] = Counter()
    with torch.inference_mode():
        for chosen in asked.batches(words=1200):
            batch = asked.batch(chosen)
            words = network.hear(asked.before(chosen), batch) if is_frozen else network.read(batch)
            said = network.tags(words).argmax(-1).numpy()
            arcs = network.arcs(words, batch.words).log_softmax(-1).numpy()
            trees = [asked.trees[i] for i in chosen]
            heads = np.zeros(said.shape, np.int64)
            for row, tree in enumerate(trees):
                size = len(tree.words)
                heads[row, :size] = best_tree(arcs[row, :size, : size + 1])
            named = network.relations(words, torch.from_numpy(heads)).argmax(-1).numpy()
            for row, tree in enumerate(trees):
                for k in range(len(tree.words)):
                    relation, gold = relations[named[row, k]], tree.relations[k]
                    is_head = heads[row, k] == tree.heads[k]
                    right["words"] += 1
                    right["upos"] += tags[said[row, k]] == tree.tags[k]
                    right["uas"] += is_head
                    right["las"] += is_head and relation.partition(":")[0] == gold.partition(":")[0]
                    right["strict"] += is_head and relation == gold
    network.train(was_training)
    count = right["words"]
    return Score(right["upos"] / count, right["uas"] / count, right["las"] / count, right["strict"] / count, count)


def write_syntax(
    network: Network, tags: list[str], relations: list[str], encoder: str, out: Path, score: Score
) -> None:
    """Put what was learned into the sealed folder `out`. Raises StoreError."""
    card = {
        "encoder": encoder,
        "sizes": network.sizes.as_dict(),
        "tags": tags,
        "relations": relations,
        "trained_on": TRAINED_ON,
        "dev": {name: round(value, 4) for name, value in asdict(score).items()},
    }

    def fill(folder: Path) -> None:
        safetensors.torch.save_file(network.learned(), folder / "syntax.safetensors")
        write_atomically(folder / "syntax.json", (json.dumps(card, indent=1) + "\n").encode())

    facts: dict[str, object] = {"encoder": encoder, "date": dt.datetime.now(tz=dt.UTC).date().isoformat()}
    try:
        write_folder_atomically(out, fill, facts)
    except OSError as error:
        raise StoreError(f"The syntax heads cannot be written to {out}. Free some space or name another.") from error
