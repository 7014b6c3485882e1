"""Intents learned from a few examples as a sealed folder: a `topic` head, beside the heads that serve already."""

import datetime as dt
import json
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent import surface
from finetune.branch import Trained
from finetune.few_shot import Learned
from finetune.few_shot_labels import CHAT
from finetune.heads import as_file
from finetune.heads_data import LICENCES, OWN
from retrieval.encoder import LayeredEncoder
from retrieval.errors import StoreError
from retrieval.files import MANIFEST, read_manifest, write_folder_atomically

KIND = "topic"
PRIVACY = (
    "The texts of messages from the chat are left out; their vectors are kept in this folder, and the words can be "
    "guessed from them. Guard the folder as the messages themselves. The registry flags this version when one of the "
    "authors takes consent back or is forgotten; copies outside it are out of its reach."
)


def write_intents(folder: Path, learned: Learned, encoder: LayeredEncoder, beside: Path, kind: str = KIND) -> None:
    """Put the head in `folder`, with the other heads of the sealed folder `beside`, which stays as it is.

    kind: one of `agent.understanding.OWN_KINDS`.

    Raises StoreError when it cannot be written or `beside` is damaged.
    """

    def fill(fresh: Path) -> None:
        for path in sorted(beside.iterdir()):
            if path.name != MANIFEST and path.name.partition(".")[0] != kind:
                shutil.copyfile(path, fresh / path.name)
        (fresh / f"{kind}.safetensors").write_bytes(as_file(_tensors(learned)))
        if learned.branch is not None:
            (fresh / f"{kind}.branch.safetensors").write_bytes(branch_file(learned.branch, encoder))
        card = json.dumps(_card(learned, encoder.id, kind), indent=1, ensure_ascii=False)
        (fresh / f"{kind}.json").write_text(card + "\n", "utf-8")

    facts: dict[str, object] = {"encoder": encoder.id, "date": dt.datetime.now(tz=dt.UTC).date().isoformat()}
    try:
        read_manifest(beside)
        write_folder_atomically(folder, fill, facts)
    except (OSError, ValueError) as error:
        raise StoreError(f"The intents cannot be written to {folder} ({error}). Free some space.") from error


def branch_file(trained: Trained, encoder: LayeredEncoder) -> bytes:
    """A branch and what reads it, as safetensors: seven megabytes for two layers.

    Nothing is cut: held-out rows of 77 intents by ten lose .6 points where each matrix keeps 32 directions, and
    likelihood still with 96, for four megabytes saved.
    """
    head = {"head.weights": trained.weights.astype(np.float16), "head.bias": trained.bias.astype(np.float16)}
    return as_file({**trained.branch.tensors(encoder), **head})


def _tensors(learned: Learned) -> dict[str, NDArray[np.generic]]:
    return {
        "weights": learned.linear.weights,
        "gram_weights": learned.linear.gram_weights.astype(np.float16),
        "bias": learned.linear.bias,
        "examples": learned.vectors.astype(np.float16),
    }


def _card(learned: Learned, encoder: str, kind: str) -> dict[str, object]:
    linear, branch = learned.judged.believed
    has_chat = any(row.source == CHAT for row in learned.rows)
    card: dict[str, object] = {
        "kind": kind,
        "labels": list(learned.labels),
        "temperature": 1.0 if learned.branch is not None else 1 / linear,
        "encoder": encoder,
        "features": list(surface.NAMES),
        "floor": learned.floor,
        "sources": [
            {"name": name, "licence": licence, "rows": count}
            for name, licence in ((OWN, LICENCES[OWN]), (CHAT, "words of people in the chat"))
            if (count := sum(row.source == name for row in learned.rows))
        ],
        "figures": [{"how": "folds", "accuracy": learned.judged.accuracy, "ece": learned.judged.ece}],
        "examples": [{"text": "" if row.source == CHAT else row.text, "label": row.label} for row in learned.rows],
    }
    card |= {"privacy": PRIVACY} if has_chat else {}
    card |= {"scope": learned.scope.card()} if learned.scope is not None else {}
    return card | ({"branch": {"believed": [linear, branch]}} if learned.branch is not None else {})
