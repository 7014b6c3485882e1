"""A model folder, or a name on the hub, as a model and tokenizer that are ready to speak.

Nothing in it may run code: safetensors only, and no code of the model's own.
"""

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.generation.rendering import PLAIN_STOP, PLAIN_TEMPLATE
from retrieval.errors import ModelFolderError

STARTER = Path(__file__).parent / "weights"  # the model that comes with Atelier
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_WANTED = ["*.json", "*.jinja", "*.safetensors", "*.txt", "*.model"]
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.h5", "*.msgpack")
# Tokens that end a turn in the common chat formats: some models' settings forget theirs, and would never stop.
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "</s>")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A causal model in memory.

    window: the most tokens of prompt and reply together, as its config states. ends: token ids that end a reply.
    stop: text that ends one, for a model without a chat template of its own.
    """

    folder: Path
    model: Any
    tokenizer: Any
    window: int
    ends: tuple[int, ...]
    stop: str | None


def load(name_or_folder: str | Path, device: str | None, dtype: str | None) -> LoadedModel:
    """Load a causal model. device: cuda where there is a GPU, else cpu. dtype: bfloat16 where the device multiplies it.

    Raises ModelFolderError with what is wrong with the folder.
    """
    import torch

    folder = _folder_of(name_or_folder)
    config = check_files(folder)
    tokenizer = _load_tokenizer(folder)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = _load_model(folder, config, device, getattr(torch, dtype) if dtype else _fastest(device))
    stop = None
    if not tokenizer.chat_template:
        tokenizer.chat_template, stop = PLAIN_TEMPLATE, PLAIN_STOP
    window = int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 4096)
    return LoadedModel(folder, model, tokenizer, window, _ends(model, tokenizer), stop)


def check(name_or_folder: str | Path) -> str:
    """A model's name and size in a line, after every check that needs no weights in memory; nothing is downloaded.

    Raises ModelFolderError.
    """
    from safetensors import SafetensorError, safe_open

    folder = _folder_of(name_or_folder, download=False)
    config = check_files(folder)
    _check_kind(folder, config)
    _load_tokenizer(folder)
    size = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "pt"):
                size += path.stat().st_size
        except (SafetensorError, OSError) as error:
            raise ModelFolderError(f"{path} is damaged: {error}. Download the model again.") from error
    return f"{name_or_folder} ({config['model_type']}, {size / 1e9:.1f} GB of weights)"


def weights(name_or_folder: str | Path) -> int:
    """How many numbers a checked model's weights are, however wide they are stored. Raises ModelFolderError."""
    from safetensors import safe_open

    count = 0
    for path in _folder_of(name_or_folder, download=False).glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            count += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - no dict
    return count


def model_folder(name_or_folder: str | Path) -> Path:
    """The folder of a model, fetched from the hub where it is not here yet. Raises ModelFolderError."""
    return _folder_of(name_or_folder)


def load_tokenizer(name_or_folder: str | Path) -> Any:
    """A model's tokenizer alone, with the chat template that it is served with. Raises ModelFolderError."""
    tokenizer = _load_tokenizer(_folder_of(name_or_folder))
    tokenizer.chat_template = tokenizer.chat_template or PLAIN_TEMPLATE
    return tokenizer


def _folder_of(name_or_folder: str | Path, *, download: bool = True) -> Path:
    folder = STARTER if str(name_or_folder) == "starter" else Path(name_or_folder).expanduser()
    if folder.is_dir():
        return folder
    name = str(name_or_folder)
    if folder.exists():
        raise ModelFolderError(f"{name} is a file. Name the folder that holds config.json and the weights.")
    if not _HUB_NAME.fullmatch(name) or os.sep * 2 in name:
        raise ModelFolderError(f"There is no model folder {name}. Name a folder, or a model on the hub as owner/name.")
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(name, allow_patterns=_WANTED, ignore_patterns="*/*", local_files_only=not download)
        )
    except Exception as error:  # the hub's client raises errors of many libraries
        fetched = "could not be fetched from the hub" if download else "has not been downloaded yet"
        raise ModelFolderError(
            f"There is no folder {name}, and the model of that name {fetched}. Check the name and the connection, or "
            "download the model and name its folder."
        ) from error


def check_files(folder: Path) -> dict[str, Any]:
    """The folder's config, after the checks that need no torch. Raises ModelFolderError."""
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise ModelFolderError(f"{folder} is an adapter. Name its base model, and add the adapter to it.")
        raise ModelFolderError(f"{folder} is not a model folder: it has no config.json.")
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        kind = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFolderError(f"{folder}/config.json is not a model's config. Download the model again.") from error
    if not any(folder.glob("*.safetensors")):
        if any(any(folder.glob(pattern)) for pattern in _PICKLES):
            raise ModelFolderError(
                f"{folder} has pickled weights, which can run code. Take a model saved as safetensors, or convert it."
            )
        raise ModelFolderError(f"{folder} has no weights (*.safetensors). Download the model again.")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ModelFolderError(f"{folder} has no tokenizer (tokenizer.json). Download the model again.")
    if config.get("auto_map") and not _is_known(kind):
        raise ModelFolderError(f"{folder} needs code of its own, which Atelier does not run. Take another model.")
    return config


def _is_known(kind: str) -> bool:
    from transformers import CONFIG_MAPPING

    return kind in CONFIG_MAPPING


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        fast = tokenizer.is_fast
    except Exception as error:  # files from outside may raise anything
        raise ModelFolderError(f"The tokenizer in {folder} cannot be read: {_first_line(error)}") from error
    if not fast:
        raise ModelFolderError(f"The tokenizer in {folder} has no fast form (tokenizer.json). Take another model.")
    return tokenizer


def _check_kind(folder: Path, config: dict[str, Any]) -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    expected = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config["model_type"])
    expected = (expected,) if isinstance(expected, str) else tuple(expected or ())
    stated = config.get("architectures") or ()
    if not expected or not any(name in expected or str(name).endswith("ForCausalLM") for name in stated):
        raise ModelFolderError(
            f"{folder} is not a model that writes text (its config says {', '.join(map(str, stated)) or 'nothing'}). "
            "Take a causal language model, best one trained for chat."
        )


def _load_model(folder: Path, config: dict[str, Any], device: str, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    _check_kind(folder, config)
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    options = {
        "dtype": dtype,
        "use_safetensors": True,
        "trust_remote_code": False,
        "local_files_only": True,
        "output_loading_info": True,
    }
    try:
        try:
            model, info = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa", **options)
        except ValueError:  # a few models (Gemma 2, gpt-oss) have attention of their own kind: slower, and as right
            model, info = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="paged|eager", **options)
        wrong = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
        if not wrong:
            _check_layers(model.config.get_text_config())
            return model.to(device).eval()
    except Exception as error:  # files from outside may raise anything
        raise ModelFolderError(
            f"The model in {folder} cannot be loaded; if it is incomplete or damaged, download it again. "
            f"({_first_line(error)})"
        ) from error
    finally:
        if shown:
            logging.enable_progress_bar()
    raise ModelFolderError(f"The weights in {folder} do not fit its config: {wrong[0]} is missing or misshapen.")


def _check_layers(config: Any) -> None:
    """Continuous batching knows full and sliding attention only. Raises ValueError."""
    unknown = set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    if unknown or not hasattr(config, "num_attention_heads"):
        raise ValueError(f"its layers ({', '.join(sorted(unknown)) or 'no attention'}) cannot be batched")


def _fastest(device: str) -> Any:
    import torch

    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    native = torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - torch offers no public test
    return torch.bfloat16 if native else torch.float32


def _ends(model: Any, tokenizer: Any) -> tuple[int, ...]:
    stated = [tokenizer.eos_token_id]
    for config in (model.generation_config, model.config):
        value = getattr(config, "eos_token_id", None)
        stated += value if isinstance(value, list) else [value]
    known = {token.content: id_ for id_, token in tokenizer.added_tokens_decoder.items()}
    ends = {*stated, *(known.get(text) for text in _TURN_ENDS)}
    return tuple(sorted(id_ for id_ in ends if id_ is not None))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
