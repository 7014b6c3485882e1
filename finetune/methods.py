"""What each method can and cannot do, in one table, and how a model is made trainable by it.

torch and peft are imported when a model is adapted, not with this module.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from finetune.recipe import Method, Recipe
from retrieval.errors import FinetuneError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What holds for a method; tests/finetune/test_methods.py proves each cell.

    merges: its weights can be added to the base model's without changing what the model says. mixes: several adapters
    can speak in one batch over the same base weights (peft's `adapter_names`), which is how they are served together;
    a method that does not is served by a model of its own. private: each example's own gradient can be had by hooks on
    linear layers, as differentially private training (Opacus) needs it. bits: base weights it trains on.
    """

    name: str
    paper: str
    trains: str
    merges: bool
    mixes: bool
    private: bool
    bits: tuple[Literal[4, 8, 16], ...]
    note: str


LIMITS: Mapping[Method, Limits] = MappingProxyType(
    {
        Method.LORA: Limits(
            name="LoRA",
            paper="arxiv.org/abs/2106.09685",
            trains="a low-rank change of each linear layer",
            merges=True,
            mixes=True,
            private=True,
            bits=(4, 8, 16),
            note="the default",
        ),
        Method.RSLORA: Limits(
            name="rsLoRA",
            paper="arxiv.org/abs/2312.03732",
            trains="LoRA, scaled by the root of the rank",
            merges=True,
            mixes=True,
            private=True,
            bits=(4, 8, 16),
            note="for ranks of 32 and more",
        ),
        Method.DORA: Limits(
            name="DoRA",
            paper="arxiv.org/abs/2402.09353",
            trains="LoRA, and the length of each row",
            merges=True,
            mixes=False,
            private=False,
            bits=(4, 8, 16),
            note="becomes a LoRA only approximately, so it is never converted; peft raises on adapter_names",
        ),
        Method.ADALORA: Limits(
            name="AdaLoRA",
            paper="arxiv.org/abs/2303.10512",
            trains="LoRA whose ranks go where they help most",
            merges=True,
            mixes=True,
            private=False,
            bits=(4, 8, 16),
            note="saved as the LoRA that it equals exactly, and served as one",
        ),
        Method.IA3: Limits(
            name="(IA)³",
            paper="arxiv.org/abs/2205.05638",
            trains="a factor for each key, value and inner activation",
            merges=True,
            mixes=False,
            private=False,
            bits=(4, 8, 16),
            note="few weights, so take a learning rate of about 0.01; peft ignores adapter_names without a word",
        ),
        Method.HOULSBY: Limits(
            name="Houlsby",
            paper="arxiv.org/abs/1902.00751",
            trains="a small layer after attention and one after the MLP",
            merges=False,
            mixes=True,
            private=True,
            bits=(4, 8, 16),
            note="not linear, so it never merges",
        ),
        Method.PFEIFFER: Limits(
            name="Pfeiffer",
            paper="arxiv.org/abs/2005.00247",
            trains="a small layer after the MLP",
            merges=False,
            mixes=True,
            private=True,
            bits=(4, 8, 16),
            note="not linear, so it never merges",
        ),
        Method.FULL: Limits(
            name="full",
            paper="",
            trains="every weight of the model",
            merges=True,
            mixes=False,
            private=False,
            bits=(16,),
            note="the result is a whole model; for small ones, with a learning rate of about 1e-5",
        ),
    }
)
ATTENTION_OUTPUTS = ("o_proj", "out_proj", "dense", "c_proj", "wo")
MLP_OUTPUTS = ("down_proj", "fc2", "dense_4h_to_h", "fc_out", "c_proj", "w2")
KEYS_AND_VALUES = ("k_proj", "v_proj", "key", "value", "wk", "wv")


def adapt(model: Any, recipe: Recipe, steps: int) -> Any:
    """The model with what `recipe.method` trains added and everything else frozen; in place.

    steps: of the whole run; AdaLoRA plans its ranks by it. Raises FinetuneError where the method does not fit.
    """
    import torch

    limits = LIMITS[recipe.method]
    if recipe.bits not in limits.bits:
        raise FinetuneError(f"{limits.name} cannot train on {recipe.bits}-bit weights. Set bits = 16, or take LoRA.")
    torch.manual_seed(recipe.seed)  # the new weights are the same in every process
    if recipe.method is Method.FULL:
        return model.requires_grad_(requires_grad=True)
    from peft import get_peft_model

    config = peft_config(model, recipe, steps)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft on transformers 5.23
            adapted = get_peft_model(model, config)
    except ValueError as error:
        raise FinetuneError(
            f"{limits.name} does not fit this model: {error}. Correct `targets` in the recipe."
        ) from error
    return adapted


def peft_config(model: Any, recipe: Recipe, steps: int) -> Any:
    """The recipe in peft's own form."""
    from peft import AdaLoraConfig, IA3Config, LoraConfig

    method, conv1d = recipe.method, _has_conv1d(model)
    if method in (Method.HOULSBY, Method.PFEIFFER):
        from agent.generation.bottleneck import BottleneckConfig

        places = MLP_OUTPUTS if method is Method.PFEIFFER else ATTENTION_OUTPUTS + MLP_OUTPUTS
        targets = recipe.targets or _outputs(model, places)
        return BottleneckConfig(task_type="CAUSAL_LM", target_modules=list(targets), bottleneck=recipe.bottleneck)
    if method is Method.IA3:
        inner = _outputs(model, MLP_OUTPUTS)
        targets = recipe.targets or (*_named(model, KEYS_AND_VALUES), *inner)
        return IA3Config(
            task_type="CAUSAL_LM",
            target_modules=list(targets),
            feedforward_modules=[name for name in targets if name in inner],
            fan_in_fan_out=conv1d,
        )
    linear = {
        "task_type": "CAUSAL_LM",
        "target_modules": list(recipe.targets) or "all-linear",
        "lora_dropout": recipe.dropout,
        "fan_in_fan_out": conv1d,
    }
    if method is Method.ADALORA:
        first, warm, settled = math.ceil(1.5 * recipe.rank), steps // 10, steps // 4
        return AdaLoraConfig(
            **linear,
            target_r=recipe.rank,
            init_r=first,
            lora_alpha=recipe.alpha * first / recipe.rank,  # peft divides by the first rank
            total_step=steps,
            tinit=warm,
            tfinal=settled,
            deltaT=max(1, (steps - warm - settled) // 20),
        )
    return LoraConfig(
        **linear,
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        use_rslora=method is Method.RSLORA,
        use_dora=method is Method.DORA,
    )


def _has_conv1d(model: Any) -> bool:
    from transformers.pytorch_utils import Conv1D

    return any(isinstance(module, Conv1D) for module in model.modules())


def _named(model: Any, names: tuple[str, ...]) -> list[str]:
    """Those of `names` that layers of the model have."""
    present = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    return [name for name in names if name in present]


def _outputs(model: Any, names: tuple[str, ...]) -> list[str]:
    """As _named. Raises FinetuneError if there is none: the model calls its layers otherwise."""
    found = _named(model, names)
    if not found:
        raise FinetuneError(
            f"The model's layers have other names than {', '.join(names)}. Name those to train in the recipe's "
            "`targets`, or take the method lora."
        )
    return found
