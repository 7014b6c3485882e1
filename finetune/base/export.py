"""A trained starter as a folder that transformers loads: bf16 safetensors in shards, config, tokenizer and template."""

import json
from pathlib import Path

import torch

from finetune.base.model import Starter

SHARD = 16_600_000  # bytes


def export(model: Starter, folder: Path, shard: int = SHARD) -> None:
    """Write the weights' shards, their index and config.json into `folder`; an older export is replaced."""
    from safetensors.torch import save_file

    groups: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, weight in model.named_parameters():
        tensor = weight.detach().to("cpu", torch.bfloat16).contiguous()
        if groups[-1] and size + tensor.nbytes > shard:
            groups.append({})
            size = 0
        groups[-1][name] = tensor
        size += tensor.nbytes
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, str] = {}
    for number, tensors in enumerate(groups, 1):
        name = f"model-{number:05}-of-{len(groups):05}.safetensors"
        partial = folder / f".{name}"
        save_file(tensors, partial, metadata={"format": "pt"})
        partial.chmod(0o644)
        partial.replace(folder / name)
        index |= dict.fromkeys(tensors, name)
    total = sum(tensor.nbytes for tensors in groups for tensor in tensors.values())
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}, indent=1) + "\n"
    )
    (folder / "config.json").write_text(json.dumps(model.config(), indent=1) + "\n")
