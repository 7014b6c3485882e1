"""A version leaves the registry: merged into its base as a model of its own, or loaded into a vLLM server.

Merging is done and checked in float32: the merged model must say the same as the adapter before it is written.
"""

import shutil
from pathlib import Path
from typing import Any

from agent.generation.adapters import AdapterFiles, inject, read_adapter
from agent.generation.loading import LoadedModel, load
from agent.generation.remote_adapters import RemoteAdapters, name_on_server
from agent.generation.rendering import ChatMessage, render
from finetune.registry import AdapterRegistry
from retrieval.errors import RegistryError
from retrieval.files import MANIFEST, write_folder_atomically

EQUAL = 1e-4  # of the largest logit: more than float32 rounds, far less than an adapter changes
_PROBES = (
    "Until when can I take leave left over from last year?",
    "Let us think of names for the new lamp. 你好 🙂",
)
_BESIDE = ("*.json", "*.jinja", "*.txt", "*.model")  # files of a base model that a merged one keeps


def export_merged(registry: AdapterRegistry, name: str, base: str | Path, out: Path) -> Path:
    """Write version `name` merged into the model `base` as a model folder `out`, which any program can load.

    Its weights are of the base's type: in bfloat16 they are rounded once more, so that replies may differ in a word.
    Raises RegistryError for a method that does not merge, an `out` that is not empty, or a result that is not the
    adapter's; ModelFolderError for another base model.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RegistryError(f"{out} is not empty. Name a new folder.")
    version = registry.get(name)
    folder = registry.fetch(version)
    loaded = load(base, "cpu", "float32")
    files = read_adapter(folder, loaded.folder, loaded.tokenizer.chat_template)
    facts: dict[str, object] = {"merged": name, "base_sha256": version.base_fingerprint}
    if files.config is None:
        write_folder_atomically(out, lambda fresh: _copied(folder, fresh), facts)
        return out
    stored = _stored_dtype(loaded)
    _merge(loaded, files, name)

    def fill(fresh: Path) -> None:
        loaded.model.to(stored).save_pretrained(fresh)
        for pattern in _BESIDE:
            for path in loaded.folder.glob(pattern):
                if not (fresh / path.name).exists() and not path.name.endswith(".index.json") and path.name != MANIFEST:
                    shutil.copyfile(path, fresh / path.name)

    write_folder_atomically(out, fill, facts)
    return out


def push_vllm(
    registry: AdapterRegistry, name: str, url: str, key: str | None = None, *, seen_as: str | Path | None = None
) -> str:
    """Load version `name` into the vLLM server at `url`; what the model is called there, after its SHA-256 too.

    seen_as: the path under which the server sees the version's folder, where that is another than here. Raises
    RegistryError and GeneratorError. See `RemoteAdapters` for what the server needs, and for what was never tried.
    """
    folder = registry.fetch(name)
    RemoteAdapters(url, key).add_adapter(name, folder, seen_as=seen_as)
    return name_on_server(name, folder)


def _copied(source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.name != MANIFEST:
            shutil.copyfile(path, target / path.name)


def _stored_dtype(loaded: LoadedModel) -> Any:
    """The precision of the base's own files."""
    from safetensors import safe_open

    with safe_open(min(loaded.folder.glob("*.safetensors")), "pt") as file:
        return file.get_tensor(next(iter(file.keys()))).dtype


def _merge(loaded: LoadedModel, files: AdapterFiles, name: str) -> None:
    """Add the adapter to the weights themselves, in place."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    model = loaded.model
    inject(model, "merged", files)
    wanted = _logits(loaded)
    try:
        for parent in list(model.modules()):
            for child_name, child in list(parent.named_children()):
                if isinstance(child, BaseTunerLayer):
                    child.merge(safe_merge=True, adapter_names=["merged"])
                    setattr(parent, child_name, child.get_base_layer())
    except NotImplementedError as error:
        raise RegistryError(
            f"{name} cannot be merged: a bottleneck adapter is not linear. Serve it as it is, or train a LoRA."
        ) from error
    except ValueError as error:
        raise RegistryError(f"{name} cannot be merged: its weights are broken.") from error
    for before, after in zip(wanted, _logits(loaded), strict=True):
        if float((before - after).abs().max()) > EQUAL * float(before.abs().max()):
            raise RegistryError(
                f"{name} cannot be merged: the merged model would say something else. Its base may share one matrix "
                "between input and output; leave those layers out of `targets`."
            )


def _logits(loaded: LoadedModel) -> list[Any]:
    import torch

    with torch.inference_mode():
        asked = [render([ChatMessage("user", probe)], loaded.tokenizer) for probe in _PROBES]
        return [loaded.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0] for ids in asked]
