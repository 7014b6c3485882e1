"""A recipe: everything that decides what a training run does, in a small TOML file or a named preset.

Presets stand in `finetune/recipes/`. A recipe holds no paths and no data: the same one works for every team.
"""

import difflib
import tomllib
from dataclasses import dataclass, fields
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from retrieval.errors import SettingsError


class Method(StrEnum):
    """What is trained; `finetune/methods.py` holds the table of what each can and cannot do."""

    LORA = "lora"  # Hu et al. 2021
    RSLORA = "rslora"  # Kalajdzievski 2023
    DORA = "dora"  # Liu et al. 2024
    ADALORA = "adalora"  # Zhang et al. 2023
    IA3 = "ia3"  # Liu et al. 2022
    HOULSBY = "houlsby"  # Houlsby et al. 2019
    PFEIFFER = "pfeiffer"  # Pfeiffer et al. 2020
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Units are in the names. A count of 0 means "as it fits": see each field."""

    method: Method = Method.LORA
    objective: Literal["sft", "dpo", "kto"] = "sft"
    # the adapter
    rank: Annotated[int, Ge(1), Le(1024)] = 8
    alpha: Annotated[float, Gt(0)] = 16.0
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.05
    targets: tuple[str, ...] = ()  # names of linear layers; empty: all but the output layer
    bottleneck: Annotated[int, Ge(1)] = 32  # width of Houlsby and Pfeiffer adapters
    bits: Literal[4, 8, 16] = 16  # of the frozen base weights
    # the data
    max_tokens: Annotated[int, Ge(16)] = 1024  # a longer example is quarantined, never cut
    held_out: Annotated[float, Gt(0), Lt(1)] = 0.1  # share of examples that are never trained on
    author_share: Annotated[float, Gt(0), Le(1)] = 0.2  # the most of the training examples that one person may write
    # the loop
    epochs: Annotated[float, Gt(0)] = 3.0
    max_steps: Annotated[int, Ge(0)] = 0  # 0: as the epochs give
    batch_tokens: Annotated[int, Ge(16)] = 2048  # of one forward and backward pass
    accumulation: Annotated[int, Ge(1)] = 1  # passes for one step of the optimizer
    packing: bool = True  # several examples in a row, none of which sees another
    learning_rate: Annotated[float, Gt(0)] = 2e-4
    warmup: Annotated[float, Ge(0), Lt(1)] = 0.05  # share of the steps
    weight_decay: Annotated[float, Ge(0)] = 0.0
    clip: Annotated[float, Gt(0)] = 1.0  # the largest norm of a step's gradient
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    activation_checkpointing: bool = False
    compile: bool = False
    evaluations: Annotated[int, Ge(1)] = 5  # of the held-out loss, over the run
    patience: Annotated[int, Ge(0)] = 0  # evaluations without gain after which training ends; 0: never early
    save_seconds: Annotated[float, Ge(0)] = 60.0  # between checkpoints
    processes: Annotated[int, Ge(1)] = 1
    seed: int = 0
    tracker: Literal["none", "tensorboard", "wandb", "mlflow"] = "none"


PRESETS = ("small-cpu", "one-gpu", "several-gpus")


def load_recipe(name_or_file: str) -> Recipe:
    """A preset by name or a TOML file by path. Raises SettingsError naming what is wrong and the nearest known key."""
    if name_or_file in PRESETS:
        text = (files("finetune") / "recipes" / f"{name_or_file}.toml").read_text("utf-8")
    else:
        path = Path(name_or_file).expanduser()
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"There is no recipe {name_or_file}. Name a TOML file or one of {', '.join(PRESETS)}."
            ) from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The recipe {name_or_file} is no TOML: {error}.") from error
    return recipe_of(values, name_or_file)


def recipe_of(values: dict[str, object], name: str = "recipe") -> Recipe:
    """A Recipe from plain values, as a TOML file or a job's JSON holds them. Raises SettingsError."""
    from pydantic import TypeAdapter, ValidationError

    known = [field.name for field in fields(Recipe)]
    for key in values:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
            raise SettingsError(f"{name} has the unknown key `{key}`. The nearest known one is `{nearest}`.")
    try:
        return TypeAdapter(Recipe).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{name}: `{where}` is not right: {first['msg']}.") from error
