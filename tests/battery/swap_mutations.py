"""Battery 18: adapter, tokenizer, template and base are changed by a byte or a value; none of it is ever served."""

import asyncio
import json
import random
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.generation.adapters import base_fingerprint, template_fingerprint
from agent.generation.local import LocalGenerator
from connectors.migrations import migrate
from finetune.registry import AdapterRegistry
from finetune.registry_files import PIECE, keep
from finetune.registry_tables import pieces
from retrieval.database import open_database, writing
from retrieval.errors import ModelFolderError, RegistryError
from retrieval.files import MANIFEST, read_manifest, write_folder_atomically
from tests.agent.models import TEMPLATE, build_adapter, build_model
from tests.agent.test_adapters import sealed
from tests.battery.mutations import mutated
from tests.benchmarks import Report

FULL = {"adapter as it lies": 150, "adapter in cache and store": 150, "tokenizer": 80, "template": 60, "base": 60}


class Ground:
    """A base model with a sealed adapter that is registered and served, and tools to change copies of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = build_model(folder / "base")
        facts = {"base_sha256": base_fingerprint(self.base), "template_sha256": template_fingerprint(TEMPLATE)}
        bare = build_adapter(folder / "bare", self.base)
        for path in bare.iterdir():
            if path.suffix == ".md":
                path.unlink()
        self.adapter = sealed(bare, folder / "adapter", method="lora", **facts)
        self.engine = open_database(f"sqlite:///{folder / 'store.db'}")
        migrate(self.engine)
        self.registry = AdapterRegistry(self.engine, folder / "versions")
        self.version = self.registry.add("team", self.adapter)
        self.generator = LocalGenerator(self.base, device="cpu", dtype="float32", cache_bytes=1 << 21)
        self.generator.add_adapter("good", self.registry.fetch(self.version))
        self.generator.remove_adapter("good")

    def close(self) -> None:
        asyncio.run(self.generator.close())
        self.engine.dispose()

    def copy(self, source: Path, number: int) -> Path:
        return shutil.copytree(source, self.folder / f"copy-{number}")


def change_bytes(dice: random.Random, content: bytes) -> bytes:
    """One to three bytes others, some more or fewer, or a stretch of zeros."""
    changed = bytearray(content)
    kind = dice.randrange(5)
    if kind < 2 or not changed:
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(changed) or 1)
            changed[at : at + 1] = bytes([dice.randrange(256)])
    elif kind == 2:
        del changed[dice.randrange(len(changed)) :]
    elif kind == 3:
        changed += dice.randbytes(dice.randint(1, 64))
    else:
        at = dice.randrange(len(changed))
        changed[at : at + 16] = bytes(len(changed[at : at + 16]))
    return bytes(changed)


def change_file(dice: random.Random, path: Path) -> None:
    """Another content for certain: bytes, or of a JSON file values."""
    before = path.read_bytes()
    while path.read_bytes() == before:
        if path.suffix == ".json" and dice.random() < 0.6:
            path.write_text(json.dumps(mutated(dice, json.loads(before)), ensure_ascii=True))
        else:
            path.write_bytes(change_bytes(dice, before))


def adapter_as_it_lies(ground: Ground, dice: random.Random, number: int) -> None:
    """A file of the folder is changed, missing, too many or another's, and the folder is loaded as it is."""
    folder = ground.copy(ground.adapter, number)
    path = dice.choice(sorted(folder.iterdir()))
    kind = dice.randrange(8)
    if kind == 0:
        path.unlink()
    elif kind == 1:
        (folder / "more.safetensors").write_bytes(dice.randbytes(64))
    elif kind == 2:
        other = dice.choice([each for each in sorted(folder.iterdir()) if each != path])
        path.write_bytes(other.read_bytes())
    else:
        change_file(dice, path)
    if (
        kind == 0 and path.name == MANIFEST
    ):  # without a seal it is an adapter from elsewhere, which the settings may name
        path.write_text("{}")
    ground.generator.add_adapter(f"bad-{number}", folder)


def adapter_in_cache_and_store(ground: Ground, dice: random.Random, number: int) -> None:
    """Whoever can write to the cache and to the files' table changes both alike, half the time with a new seal."""
    folder = ground.registry.fetch(ground.version)
    name = dice.choice(["adapter_config.json", "adapter_model.safetensors", MANIFEST])
    change_file(dice, folder / name)
    if name != MANIFEST and dice.random() < 0.5:
        facts = read_manifest(ground.adapter)
        copy = ground.folder / f"copy-{number}"

        def fill(fresh: Path) -> None:
            for each in ("adapter_config.json", "adapter_model.safetensors"):
                shutil.copyfile(folder / each, fresh / each)

        write_folder_atomically(copy, fill, facts)
        shutil.copyfile(copy / MANIFEST, folder / MANIFEST)
    with writing(ground.engine) as connection:
        for each, known in ground.version.files.items():
            content = (folder / each).read_bytes()
            for part in range(max(1, -(-len(content) // PIECE))):
                where = (pieces.c.sha256 == known["sha256"]) & (pieces.c.part == part)
                piece = content[part * PIECE : (part + 1) * PIECE]
                connection.execute(pieces.update().where(where).values(content=piece))
    try:
        ground.generator.add_adapter(f"bad-{number}", ground.registry.fetch(ground.version))
    finally:  # as it was
        with writing(ground.engine) as connection:
            connection.execute(pieces.delete())
        keep(ground.engine, ground.adapter, ground.version.files)


def beneath(*names: str) -> Callable[[Ground, random.Random, int], None]:
    """The base model's files are changed under a good adapter."""

    def change(ground: Ground, dice: random.Random, number: int) -> None:
        base = ground.copy(ground.base, number)
        present = [base / name for name in names if (base / name).exists()]
        change_file(dice, dice.choice(present))
        generator = LocalGenerator(base, device="cpu", dtype="float32", cache_bytes=1 << 21)
        try:
            generator.add_adapter("team-1", ground.adapter)
        finally:
            asyncio.run(generator.close())

    return change


KINDS: Mapping[str, Callable[[Ground, random.Random, int], None]] = {
    "adapter as it lies": adapter_as_it_lies,
    "adapter in cache and store": adapter_in_cache_and_store,
    "tokenizer": beneath("tokenizer.json", "tokenizer_config.json"),
    "template": beneath("chat_template.jinja"),
    "base": beneath("config.json", "model.safetensors"),
}


def attempt(counts: Mapping[str, int]) -> list[dict[str, str | int | float]]:
    """A row for each kind: how many were changed, how many refused."""
    rows: list[dict[str, str | int | float]] = []
    with tempfile.TemporaryDirectory() as name:
        ground = Ground(Path(name))
        try:
            for kind, change in KINDS.items():
                dice, refused, crashed = random.Random(kind), 0, 0
                for number in range(counts[kind]):
                    try:
                        change(ground, dice, number)
                    except (ModelFolderError, RegistryError):
                        refused += 1
                    except Exception:  # noqa: BLE001 - refused without a sentence for a person is a finding
                        crashed += 1
                    shutil.rmtree(ground.folder / f"copy-{number}", ignore_errors=True)
                row = {"changed": kind, "mutations": counts[kind], "refused": refused, "crashed": crashed}
                rows.append(row | {"served": counts[kind] - refused - crashed})
        finally:
            ground.close()
    return rows


def run(quick: bool) -> Report:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft 0.21 on transformers 5.23
        rows = attempt({kind: max(2, number // 20) if quick else number for kind, number in FULL.items()})
    total: dict[str, str | int | float] = {"changed": "all"}
    for name in ("mutations", "refused", "crashed", "served"):
        total[name] = sum(int(row[name]) for row in rows)
    note = (
        "A mutation changes, cuts, lengthens, removes, adds or swaps a file, or a value in its JSON. The adapter in "
        "cache and store is changed in both alike, half the time with a seal that fits again, so that only the "
        "version's own row tells. Each base is really loaded, and then refuses the adapter, or cannot be loaded. Not "
        "counted: a folder without any manifest, which the settings may name as an adapter from elsewhere."
    )
    return Report("battery swap_mutations", "Is anything that was tampered with served?", [*rows, total], (note,))
