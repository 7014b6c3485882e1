"""The base model as training needs it: its precision, and its frozen weights in 8 or 4 bits."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agent.generation.loading import LoadedModel, load
from finetune.recipe import Method, Recipe
from retrieval.errors import FinetuneError


def precision_of(recipe: Recipe) -> str:
    """The precision of matrix products: bf16 on a GPU that multiplies it, else fp32, unless the recipe says."""
    import torch

    if recipe.precision != "auto":
        return recipe.precision
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "fp32"


def load_base(base: str | Path, recipe: Recipe, device: str) -> LoadedModel:
    """Load a base model to be trained on. What is trained is in float32; frozen weights are as small as allowed.

    Raises ModelFolderError, or FinetuneError where this machine cannot hold weights of so few bits.
    """
    narrow = precision_of(recipe) == "bf16" and recipe.method is not Method.FULL
    if recipe.bits == 16:
        return load(base, device, "bfloat16" if narrow else "float32")
    if find_spec("bitsandbytes") is None:
        raise FinetuneError(
            f"Base weights of {recipe.bits} bits need the package bitsandbytes. Install it with "
            "pip install 'atelier[quantised]', or set bits = 16 in the recipe."
        )
    loaded = load(base, "cpu", "bfloat16" if narrow else "float32")
    _quantise(loaded.model, recipe.bits, device)
    return loaded


def _quantise(model: Any, bits: int, device: str) -> None:
    """Put the weights of all linear layers but the output layer into 8 bits (LLM.int8) or 4 (NF4), in place.

    Layer by layer, so that the device never holds more than the small ones.
    """
    import bitsandbytes as bnb
    import torch

    output = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if not isinstance(layer, torch.nn.Linear) or layer is output:
                continue
            has_bias = layer.bias is not None
            if bits == 8:
                small = bnb.nn.Linear8bitLt(layer.in_features, layer.out_features, has_bias, has_fp16_weights=False)
                small.weight = bnb.nn.Int8Params(layer.weight.data, requires_grad=False, has_fp16_weights=False)
            else:
                small = bnb.nn.Linear4bit(
                    layer.in_features, layer.out_features, has_bias, model.dtype, quant_type="nf4"
                )
                small.weight = bnb.nn.Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4")
            small.bias = layer.bias
            setattr(parent, name, small.to(device))
    model.to(device)
    setattr(model, f"is_loaded_in_{bits}bit", True)  # where peft looks
