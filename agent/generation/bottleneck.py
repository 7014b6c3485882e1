"""Bottleneck adapters (Houlsby et al. 2019, Pfeiffer et al. 2020) as a tuner of peft, which has none.

Importing this module makes the type BOTTLENECK known to peft. The layer takes `adapter_names` as peft's LoRA does, so
several adapters can speak in one batch.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftConfig, PeftType
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import register_peft_method
from torch import nn
from torch.nn import functional

NAME = "BOTTLENECK"
NO_ADAPTER = "__base__"  # peft's name for it


def _make_known() -> Any:
    """Peft asks a closed enum says which types peft knows, and there is no public way into it."""
    if NAME not in PeftType.__members__:
        member = str.__new__(PeftType, NAME)
        member._name_, member._value_ = NAME, NAME
        type.__setattr__(PeftType, NAME, member)
        PeftType._member_map_[NAME] = member
        PeftType._value2member_map_[NAME] = member
        PeftType._member_names_.append(NAME)
    return PeftType[NAME]


_TYPE = _make_known()


@dataclass
class BottleneckConfig(PeftConfig):  # type: ignore[misc] # peft ships no types
    """target_modules: linear layers behind whose output an adapter stands. bottleneck: its width."""

    target_modules: list[str] | str | None = field(default=None)
    exclude_modules: list[str] | str | None = field(default=None)
    bottleneck: int = field(default=32)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = _TYPE


class BottleneckLayer(nn.Module, BaseTunerLayer):  # type: ignore[misc] # peft ships no types
    """h + up(gelu(down(h))) for h, the output of the base layer. `up` begins as zero, so that nothing changes."""

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")
    # Of peft's base class, which has no types: a module's unknown attributes would else be taken for tensors.
    get_base_layer: Any
    set_adapter: Any
    active_adapters: Any
    _cast_input_dtype: Any
    _move_adapter_to_device_of_base_layer: Any

    def __init__(self, base_layer: nn.Module, adapter_name: str, config: BottleneckConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.bottleneck_down, self.bottleneck_up = nn.ModuleDict(), nn.ModuleDict()
        self.merged_adapters: list[str] = []
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def update_layer(self, adapter_name: str, config: BottleneckConfig) -> None:
        width = int(getattr(self.get_base_layer(), "out_features", 0) or self.get_base_layer().nf)  # GPT-2's Conv1D
        down, up = nn.Linear(width, config.bottleneck), nn.Linear(config.bottleneck, width)
        nn.init.normal_(down.weight, std=0.01)
        for zero in (down.bias, up.weight, up.bias):
            nn.init.zeros_(zero)
        self.bottleneck_down[adapter_name], self.bottleneck_up[adapter_name] = down, up
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def forward(
        self, x: torch.Tensor, *args: Any, adapter_names: Sequence[str] | None = None, **kwargs: Any
    ) -> torch.Tensor:
        """adapter_names: whose words each row of `x` is, in place of the active adapter."""
        hidden: torch.Tensor = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters:
            return hidden
        if adapter_names is None:
            for name in self.active_adapters:
                hidden = self._through(name, hidden)
            return hidden
        speakers = set(adapter_names)
        if len(speakers) == 1:
            return self._through(speakers.pop(), hidden)
        mixed = torch.empty_like(hidden)
        for name in sorted(speakers):
            rows = [row for row, speaker in enumerate(adapter_names) if speaker == name]
            mixed[rows] = self._through(name, hidden[rows])
        return mixed

    def _through(self, name: str, hidden: torch.Tensor) -> torch.Tensor:
        if name == NO_ADAPTER or name not in self.bottleneck_down:
            return hidden
        down: Any = self.bottleneck_down[name]
        up: Any = self.bottleneck_up[name]
        inside = down(self._cast_input_dtype(hidden, down.weight.dtype))
        change: torch.Tensor = up(functional.gelu(inside))
        return hidden + change.to(hidden.dtype)

    def merge(self, *, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        del safe_merge, adapter_names
        raise NotImplementedError("A bottleneck adapter is not linear: no weight of the base model could hold it.")

    def __repr__(self) -> str:
        return "bottleneck." + super().__repr__()


class BottleneckModel(BaseTuner):  # type: ignore[misc] # peft ships no types
    """Puts a BottleneckLayer in the place of each target."""

    prefix = "bottleneck_"
    tuner_layer_cls = BottleneckLayer
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 - peft reads it from the class

    def _create_and_replace(
        self,
        peft_config: BottleneckConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        **_: Any,
    ) -> None:
        if isinstance(target, BottleneckLayer):
            target.update_layer(adapter_name, peft_config)
            return
        layer = BottleneckLayer(target, adapter_name, peft_config)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(requires_grad=False)
        self._replace_module(parent, target_name, layer, target)

    @contextmanager
    def _enable_peft_forward_hooks(self, *_: Any, **kwargs: Any) -> Iterator[None]:
        """Inside, each layer is told the `adapter_names` that the model was called with."""
        told = {name: kwargs[name] for name in ("adapter_names",) if kwargs.get(name) is not None}
        hooks = [
            layer.register_forward_pre_hook(lambda _, args, kwargs: (args, kwargs | told), with_kwargs=True)
            for layer in (self.modules() if told else ())
            if isinstance(layer, BottleneckLayer)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


register_peft_method(name=NAME.lower(), config_cls=BottleneckConfig, model_cls=BottleneckModel)
