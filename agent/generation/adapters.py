"""Adapters over shared base weights: the LoRA family (Hu et al. 2021) and bottlenecks (Houlsby et al. 2019).

What is checked at loading one, how it joins a model that serves, and how a thread says which one it speaks as. Adapters
of other kinds are read here too, and served by models of their own (`separate.py`).
"""

import hashlib
import json
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.errors import ModelFolderError
from retrieval.files import MANIFEST, read_manifest, sha256_of

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
LARGEST_RANK = 4096  # more than any model's layers have use for
BASE_FACT, TEMPLATE_FACT, METHOD_FACT = "base_sha256", "template_sha256", "method"  # facts in an adapter's manifest
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # peft splits keys at dots
# What else of a model folder decides what is read and said; sampling settings and the template are not of it.
_SHAPING = frozenset(
    {"config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt"}
    | {"merges.txt", "special_tokens_map.json", "added_tokens.json"}
)
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
# Settings of a LoRA that change the base model, or that cannot be chosen for each pass: value that is allowed.
_PLAIN: dict[str, tuple[object, ...]] = {
    "use_qalora": (False,),
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian", "orthogonal"),  # the others rewrite the base weights
    **dict.fromkeys(
        (
            "alora_invocation_tokens",
            "arrow_config",
            "kasa_config",
            "layer_replication",
            "megatron_config",
            "modules_to_save",
            "monteclora_config",
            "target_parameters",
            "trainable_token_indices",
            "use_bdlora",
            "velora_config",
        ),
        (None,),
    ),
}
_BASE = "__base__"  # peft's name for no adapter
_speaker = threading.local()


@dataclass(frozen=True, slots=True)
class AdapterFiles:
    """What an adapter folder holds, read and checked. tensors: by peft's key, without the adapter's name.

    config: peft's own; None for a whole model, whose tensors are read when it is loaded.
    """

    config: Any
    tensors: dict[str, Any]

    @property
    def is_shared(self) -> bool:
        """Whether it can stand beside others over the same base weights.

        peft raises on a DoRA that is chosen for each row, and ignores the choice for (IA)³ without a word.
        """
        kind = "" if self.config is None else str(getattr(self.config.peft_type, "value", self.config.peft_type))
        return kind == "BOTTLENECK" or (kind == "LORA" and not self.config.use_dora)


@contextmanager
def speaking_as(adapter: str | None) -> Iterator[None]:
    """Forward passes of this thread use `adapter`, or the bare base model for None."""
    before = getattr(_speaker, "name", _BASE)
    _speaker.name = adapter or _BASE
    try:
        yield
    finally:
        _speaker.name = before


def base_fingerprint(folder: Path) -> str:
    """SHA-256 over the names and contents of a model folder's weights, config and tokenizer.

    It is how an adapter's manifest knows its base. Reads all of it: seconds for a large model. Raises ModelFolderError.
    """
    digest = hashlib.sha256()
    try:
        for path in sorted(folder.iterdir()):
            if path.suffix == ".safetensors" or path.name in _SHAPING:
                digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    except OSError as error:
        raise ModelFolderError(f"The model folder {folder} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


def template_fingerprint(template: str) -> str:
    """SHA-256 of a chat template: an adapter that learned one answers badly under another."""
    return hashlib.sha256(template.encode()).hexdigest()


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name == _BASE:
        raise ModelFolderError(
            f"An adapter cannot be called {name!r}. Use letters, digits, '-' and '_', at most 64, and no dot."
        )


def taken(name: str) -> ModelFolderError:
    return ModelFolderError(f"An adapter called {name!r} is loaded already. Versions never change: take a new name.")


def read_adapter(folder: Path, base: Path, template: str, fingerprint: str = "") -> AdapterFiles:
    """Read an adapter folder and check all that can be checked without the model. Raises ModelFolderError.

    fingerprint: of `base`, where it is known already.
    """
    is_whole_model = (folder / "config.json").is_file() and not (folder / CONFIG).exists()
    if not is_whole_model and not (folder / CONFIG).is_file():
        raise ModelFolderError(f"{folder} is not an adapter folder: it has no {CONFIG}.")
    if not is_whole_model and not (folder / WEIGHTS).is_file():
        pickled = any(any(folder.glob(pattern)) for pattern in _PICKLES)
        why = "only pickled weights, which can run code; save it as safetensors" if pickled else f"no {WEIGHTS}"
        raise ModelFolderError(f"The adapter {folder} has {why}.")
    if (folder / MANIFEST).exists():
        _check_manifest(folder, base, template, fingerprint)
    if is_whole_model:
        if not (folder / MANIFEST).exists():
            raise ModelFolderError(f"{folder} is a model of its own, not an adapter. Name it in the setting `model`.")
        return AdapterFiles(None, {})
    return AdapterFiles(_read_config(folder), _read_tensors(folder))


def _check_manifest(folder: Path, base: Path, template: str, fingerprint: str) -> None:
    try:
        facts = read_manifest(folder)
    except (ValueError, OSError) as error:
        raise ModelFolderError(f"The adapter {folder} was changed or damaged: {error}. Train it again.") from error
    if facts.get(TEMPLATE_FACT, "") and facts[TEMPLATE_FACT] != template_fingerprint(template):
        raise ModelFolderError(
            f"The adapter {folder} was trained with another chat template than {base} has now. Train it again."
        )
    if facts.get(BASE_FACT, "") and facts[BASE_FACT] != (fingerprint or base_fingerprint(base)):
        raise ModelFolderError(
            f"The adapter {folder} was trained on another base model than {base}, or its tokenizer or config was "
            "changed since. Restore the base model's files, or train it again."
        )


def _read_config(folder: Path) -> Any:
    try:
        fields = json.loads((folder / CONFIG).read_text(), parse_constant=_refuse_constant)
        kind = str(fields["peft_type"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFolderError(f"The adapter {folder} has no readable {CONFIG}.") from error
    for name, allowed in _PLAIN.items() if kind == "LORA" else ():
        if name in fields and fields[name] not in allowed and fields[name] not in ([], {}):
            raise ModelFolderError(
                f"The adapter {folder} sets {name} to {fields[name]!r}, which cannot be served beside other adapters. "
                "Train it without, or merge it into its base model and serve the merged folder."
            )
    config = _config_class(kind)
    if config is None:
        raise ModelFolderError(
            f"The adapter {folder} is of the type {kind}, which is not served. Take LoRA (also rsLoRA, DoRA, and "
            "AdaLoRA folded into LoRA), (IA)³, Houlsby or Pfeiffer, or merge it into its base model."
        )
    known = {name: value for name, value in fields.items() if name in config.__dataclass_fields__}
    _check_sizes(folder, known)
    try:
        return config(**known | {"inference_mode": True})
    except Exception as error:  # peft checks its settings with exceptions of many kinds
        raise ModelFolderError(f"The adapter {folder} has settings that peft refuses: {error}") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")  # json would take NaN and Infinity, and every reply would be none


def _check_sizes(folder: Path, fields: dict[str, Any]) -> None:
    """Refuse what would cost memory or time before a tensor is looked at."""
    pattern = fields.get("rank_pattern")
    ranks = [fields.get("r"), fields.get("bottleneck"), *(pattern.values() if isinstance(pattern, dict) else ())]
    if any(isinstance(rank, int) and rank > LARGEST_RANK for rank in ranks):
        raise ModelFolderError(f"The adapter {folder} has a rank above {LARGEST_RANK:,}, which is not served.")
    for name in ("target_modules", "exclude_modules"):
        if isinstance(fields.get(name), str) and fields[name] != "all-linear":  # a pattern can take forever to match
            raise ModelFolderError(
                f"The adapter {folder} gives {name} as a pattern, which is not served. List the modules in {CONFIG}."
            )


def _config_class(kind: str) -> Any:
    from peft import IA3Config, LoraConfig

    from agent.generation.bottleneck import NAME, BottleneckConfig

    return {"LORA": LoraConfig, "IA3": IA3Config, NAME: BottleneckConfig}.get(kind)


def _read_tensors(folder: Path) -> dict[str, Any]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Any] = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise ModelFolderError(f"The weights of the adapter {folder} are damaged: {error}") from error
    if not tensors:
        raise ModelFolderError(f"The adapter {folder} has no weights.")
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ModelFolderError(f"The adapter {folder} holds numbers that are not finite, in {name}.")
    return tensors


def attach(model: Any, name: str, files: AdapterFiles) -> None:
    """Give `model` one more adapter, in place, used only by threads inside `speaking_as(name)`.

    No forward pass may run meanwhile. Raises ModelFolderError, with the model as it was, if the adapter does not fit.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    inject(model, name, files)
    for module in model.modules():
        if isinstance(module, BaseTunerLayer) and not hasattr(module, "atelier_hook"):
            module.atelier_hook = module.register_forward_pre_hook(_choose, with_kwargs=True)


def inject(model: Any, name: str, files: AdapterFiles) -> None:
    """Add an adapter's layers and weights, in place, as peft does. Raises ModelFolderError, the model as it was."""
    from peft import inject_adapter_in_model, set_peft_model_state_dict
    from peft.tuners.tuners_utils import cast_adapter_dtype

    _check_shapes(model, files)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several adapters are what we want
            warnings.filterwarnings("ignore", "Adapter .* was active")  # as are those of another kind beside it
            warnings.filterwarnings("ignore", "Model has `tie_word_embeddings=True`")  # of merging, which checks it
            # not with low_cpu_mem_usage: for a moment it makes the weights of all threads' new layers empty
            inject_adapter_in_model(files.config, model, name)
        cast_adapter_dtype(model, name)  # float32 beside a bfloat16 base, as in a PeftModel
        result = set_peft_model_state_dict(model, files.tensors, name)
        missing = [key for key in result.missing_keys if re.search(rf"\.{name}(\.|$)", key)]
        if missing or result.unexpected_keys:
            raise ModelFolderError(  # noqa: TRY301 - the handler below takes half an adapter off again, as for what peft raises
                f"The adapter does not cover the layers its {CONFIG} names: {len(missing)} are missing "
                f"and {len(result.unexpected_keys)} are too many."
            )
    except Exception as error:
        detach(model, name)
        if isinstance(error, ModelFolderError):
            raise
        raise ModelFolderError(f"The adapter does not fit the model: {error}") from error


def _choose(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Name the adapter for each row: a packed batch is one row, and a thread without a name means the base."""
    name = getattr(_speaker, "name", _BASE)
    if not any(name in getattr(module, part, ()) for part in module.adapter_layer_names):
        name = _BASE  # this layer is other adapters'
    return args, kwargs | {"adapter_names": [name] * len(args[0])}


_PART = re.compile(
    r"base_model\.model\.(?P<layer>.+)\.(?:lora_(?:embedding_)?(?P<factor>[AB])|(?P<other>lora_magnitude_vector|ia3_l)"
    r"|bottleneck_(?P<side>down|up))(?:\.(?P<kind>weight|bias))?"
)


def _check_shapes(model: Any, files: AdapterFiles) -> None:
    """Every tensor must fit its layer and have a width that the settings name. Raises ModelFolderError."""
    config = files.config
    widths = {config.r, *config.rank_pattern.values()} if hasattr(config, "rank_pattern") else set()
    widths |= {config.bottleneck} if hasattr(config, "bottleneck") else set()
    for key, tensor in files.tensors.items():
        part = _PART.fullmatch(key)
        if part is None:
            raise ModelFolderError(f"The adapter holds {key}, which is not a part of a LoRA or another known kind.")
        try:
            weight = model.get_submodule(part["layer"]).weight
        except AttributeError as error:
            raise ModelFolderError(f"The adapter changes {part['layer']}, which the model does not have.") from error
        if part["other"] or part["kind"] == "bias":
            fits = max(tensor.shape, default=0) in {*weight.shape, *widths}
        else:
            is_inner_first = part["factor"] == "A" or part["side"] == "down"
            inner, outer = tuple(tensor.shape) if is_inner_first else tuple(tensor.shape)[::-1]
            fits = inner in widths and outer in tuple(weight.shape)
        if not fits:
            raise ModelFolderError(
                f"The adapter's {key} is {tuple(tensor.shape)}, which does not fit the model's {tuple(weight.shape)}."
            )


def detach(model: Any, name: str) -> None:
    """Take an adapter away again; no forward pass may run meanwhile. Unknown names are ignored."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.set_adapter([other for other in module.active_adapters if other != name])
            module.delete_adapter(name)
    getattr(model, "peft_config", {}).pop(name, None)
    _unwrap(model)


def _unwrap(model: Any) -> None:
    """Put base layers back where no adapter is left: kinds that come and go in turns would wrap ever deeper."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for parent in list(model.modules()):
        for child_name, child in list(parent.named_children()):
            bare = child
            while isinstance(bare, BaseTunerLayer) and not any(
                len(getattr(bare, part, ())) for part in bare.adapter_layer_names
            ):
                bare = bare.base_layer
            if bare is not child:
                setattr(parent, child_name, bare)
