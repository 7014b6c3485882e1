"""Sealed adapter folders as training leaves them, without training: made in milliseconds from numbers."""

from functools import partial
from pathlib import Path

from agent.generation.adapters import BASE_FACT, METHOD_FACT, TEMPLATE_FACT
from retrieval.files import write_folder_atomically


def sealed(
    folder: Path, content: bytes = b"weights", *, base: str = "b" * 64, template: str = "t" * 64, method: str = "lora"
) -> Path:
    """A folder that is an adapter's in all but that no model could take it."""
    fill = partial(_fill, content=content)
    write_folder_atomically(folder, fill, {BASE_FACT: base, TEMPLATE_FACT: template, METHOD_FACT: method})
    return folder


def _fill(fresh: Path, *, content: bytes) -> None:
    (fresh / "adapter_model.safetensors").write_bytes(content)
    (fresh / "adapter_config.json").write_text("{}")
