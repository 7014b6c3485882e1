"""The text the starter learns from: only sets whose licence lets trained weights be shipped, deduplicated.

A set that is absent is skipped, so that a team may add folders of its own; what is held out is never read here.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

# What each set is named by, and its licence: the model card lists the same.
LICENCES = {
    "text_enwiki": "CC BY-SA 3.0 (English Wikipedia)",
    "text_eltec_novels": "public domain (ELTeC, mark-up CC BY 4.0)",
    "text_openstax_entrepreneurship": 'CC BY 4.0 ("Entrepreneurship", OpenStax, Rice University)',
    "squad": "CC BY-SA 4.0 (SQuAD v1.1, train)",
    "dolly15k": "CC BY-SA 3.0 (databricks-dolly-15k)",
    "sgd": "CC BY-SA 4.0 (Schema-Guided Dialogue, train)",
    "taskmaster4": "CC BY 4.0 (Taskmaster-4)",
    "topical_chat": "CDLA-Sharing-1.0 (Topical-Chat, valid_*)",
    "bitext_support": "CDLA-Sharing-1.0 (Bitext customer support, train)",
    "self_instruct_seed": "Apache-2.0 (Self-Instruct seed tasks)",
    "clinc150": "CC BY 3.0 (clinc/oos-eval, train)",
}


def rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The JSON lines of `name` ("squad/train_v1.1.passages") under `folder`; nothing where the file is absent."""
    path = folder / f"{name}.jsonl.gz"
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def documents(folder: Path) -> Iterator[tuple[str, str]]:
    """(set, text) of everything that is plain language, each text once."""
    seen: set[int] = set()
    for name in ("text_enwiki", "text_openstax_entrepreneurship", "text_eltec_novels"):
        for row in rows(folder, f"{name}/train"):
            title = row.get("chapter", "") if name == "text_eltec_novels" else row["title"]
            yield from _new(seen, name, f"{title}\n\n{row['text']}" if title else row["text"])
    articles: dict[str, list[str]] = {}
    for row in rows(folder, "squad/train_v1.1.passages"):
        articles.setdefault(row["title"], []).append(row["text"])
    for title, texts in articles.items():
        yield from _new(seen, "squad", "\n".join([title.replace("_", " "), "", *texts]))


def held_out(folder: Path) -> Iterator[tuple[str, str]]:
    """(set, text) of the parts that are measured on, never trained on."""
    for row in rows(folder, "text_enwiki/valid"):
        yield "text_enwiki", f"{row['title']}\n\n{row['text']}"
    for row in rows(folder, "text_eltec_novels/valid"):
        yield "text_eltec_novels", row["text"]


def _new(seen: set[int], name: str, text: str) -> Iterable[tuple[str, str]]:
    text = text.replace("<|", "< |").replace("\r\n", "\n").strip()
    mark = hash_of(text)
    if mark not in seen and len(text) >= 200:
        seen.add(mark)
        yield name, text


def hash_of(text: str) -> int:
    """A hash that is the same in every process."""
    return zlib.crc32(" ".join(text.split()).casefold().encode())
