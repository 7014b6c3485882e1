"""What training leaves behind: a sealed folder that the bot can serve."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from agent.generation.adapters import CONFIG, WEIGHTS
from agent.generation.loading import LoadedModel
from finetune.recipe import Method
from finetune.training import adalora
from retrieval.files import write_folder_atomically

_WEIGHT_FILES = ("*.safetensors", "*.safetensors.index.json")
_BASE_FILES = ("*.json", "*.jinja", "*.txt", "*.model")


def write_adapter(folder: Path, model: Any, loaded: LoadedModel, method: Method, facts: Mapping[str, object]) -> None:
    """Write what `model` has learned as `folder`, whole or not at all: an adapter, or a whole model for `full`.

    facts: go into its manifest. Raises OSError with the old folder untouched.
    """

    def fill(fresh: Path) -> None:
        if method is Method.FULL:
            _write_model(fresh, model, loaded)
        else:
            _write_peft(fresh, model, method, loaded.folder.name)

    write_folder_atomically(folder, fill, dict(facts))


def _write_peft(fresh: Path, model: Any, method: Method, base: str) -> None:
    from peft import get_peft_model_state_dict

    if method is Method.ADALORA:
        config, tensors = adalora.folded(model)
    else:
        config = model.peft_config[adalora.NAME]
        tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    settings = config.to_dict() | {"inference_mode": True, "base_model_name_or_path": base}
    text = json.dumps(settings, indent=2, sort_keys=True, default=sorted)  # of sets: the order must not be chance
    (fresh / CONFIG).write_text(text + "\n")
    save_file({name: _whole(tensor) for name, tensor in tensors.items()}, fresh / WEIGHTS, {"format": "pt"})


def _write_model(fresh: Path, model: Any, loaded: LoadedModel) -> None:
    """The model in the precision of its base, with the base's own tokenizer and template."""
    dtype = _stored_dtype(loaded)
    state = {name: tensor.detach().to("cpu", dtype) for name, tensor in model.state_dict().items()}
    model.save_pretrained(fresh, state_dict=state)
    settings = json.loads((fresh / "config.json").read_text()) | {"dtype": str(dtype).removeprefix("torch.")}
    (fresh / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    weights = {path.name for pattern in _WEIGHT_FILES for path in loaded.folder.glob(pattern)}
    for path in sorted(file for pattern in _BASE_FILES for file in loaded.folder.glob(pattern)):
        if path.name not in weights and not (fresh / path.name).exists() and path.name != "manifest.json":
            shutil.copyfile(path, fresh / path.name)


def _stored_dtype(loaded: LoadedModel) -> torch.dtype:
    settings = json.loads((loaded.folder / "config.json").read_text())
    name = settings.get("dtype") or settings.get("torch_dtype") or "float32"
    found = getattr(torch, str(name), torch.float32)
    return found if isinstance(found, torch.dtype) else torch.float32


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous().clone()
