"""Models of their own, for what cannot stand beside other adapters over shared weights: DoRA, (IA)³, whole models.

Each is a second copy of the base in memory, so it is bounded, and refused with a sentence where there is no room.
"""

from pathlib import Path
from typing import Any

from agent.generation.adapters import AdapterFiles, inject
from agent.generation.loading import LoadedModel, load
from retrieval.errors import ModelFolderError

NAME = "own"  # of the one adapter that such a model has
_CGROUP = Path("/sys/fs/cgroup")


def build(folder: Path, files: AdapterFiles, base: LoadedModel, spare_bytes: int | None) -> Any:
    """A model that speaks as the adapter in `folder` and as nothing else, on the base's device and in its precision.

    spare_bytes: the most it may take; None: half of what is free. Raises ModelFolderError when that is too little or
    the adapter does not fit.
    """
    size = sum(each.numel() * each.element_size() for each in base.model.parameters())
    room = free_bytes(str(base.model.device)) // 2 if spare_bytes is None else spare_bytes
    if size > room:
        raise ModelFolderError(
            f"The adapter {folder} needs a model of its own in memory ({size / 1e9:.1f} GB), and there is room for "
            f"{max(room, 0) / 1e9:.1f} GB. Train with LoRA, which shares the base model's memory, or merge the adapter "
            "into its base model and serve the merged folder."
        )
    device, dtype = str(base.model.device), str(base.model.dtype).removeprefix("torch.")
    if files.config is not None:
        model = load(base.folder, device, dtype).model
        inject(model, NAME, files)
        return model.eval()
    loaded = load(folder, device, dtype)
    if loaded.tokenizer.get_vocab() != base.tokenizer.get_vocab():
        raise ModelFolderError(f"The model in {folder} has another tokenizer than its base model. Train it again.")
    return loaded.model


def free_bytes(device: str) -> int:
    """Memory that is free on a device now; on the processor within the container's limit."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    free = int(psutil.virtual_memory().available)
    try:  # Linux control groups, version 2
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, int(limit) - used)
