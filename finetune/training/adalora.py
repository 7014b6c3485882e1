"""AdaLoRA (Zhang et al. 2023) in a loop of one's own: its ranks, its penalty, what a checkpoint must keep, its LoRA.

peft leaves all of that to its caller or to the loss that it computes itself.
"""

import dataclasses
from typing import Any

import torch

NAME = "default"  # of the one adapter of a model in training
_AVERAGES = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # peft's names for a weight's sensitivity


def penalty(model: Any) -> torch.Tensor:
    """How far the singular vectors are from orthogonal, weighted as peft does."""
    terms = []
    for name, vectors in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            product = vectors @ vectors.T if "lora_A" in name else vectors.T @ vectors
            terms.append(torch.linalg.norm(product - torch.eye(len(product), device=vectors.device)))
    weight: float = model.peft_config[NAME].orth_reg_weight
    return torch.stack(terms).mean() * weight


def kept_tensors(model: Any) -> dict[str, torch.Tensor]:
    """The sensitivities that decide where ranks go."""
    allocator = model.base_model.rankallocator
    return {
        f"{average} {name}": tensor for average in _AVERAGES for name, tensor in getattr(allocator, average).items()
    }


def kept_ranks(model: Any) -> dict[str, list[bool]] | None:
    """Which singular values are left, once that is decided."""
    ranks: dict[str, list[bool]] | None = model.peft_config[NAME].rank_pattern
    return ranks or None


def put_back(model: Any, tensors: dict[str, torch.Tensor], ranks: dict[str, list[bool]] | None) -> None:
    allocator, weights = model.base_model.rankallocator, dict(model.base_model.model.named_parameters())
    allocator.reset_ipt()
    for key, tensor in tensors.items():
        average, _, name = key.partition(" ")
        getattr(allocator, average)[name] = tensor.to(weights[name].device)
    model.peft_config[NAME].rank_pattern = ranks


def folded(model: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """The settings and tensors of the LoRA that says exactly what this AdaLoRA says.

    Singular values go into A, and those that were cut leave a smaller rank. A layer that lost all keeps one of zeros.
    """
    from peft import LoraConfig
    from peft.tuners.adalora.layer import AdaLoraLayer

    tensors, ranks = {}, {}
    for name, layer in model.base_model.model.named_modules():
        if isinstance(layer, AdaLoraLayer):
            values = layer.lora_E[NAME].detach()
            kept = (values[:, 0] != 0).nonzero().flatten()
            kept = kept if len(kept) else torch.zeros(1, dtype=torch.long, device=values.device)
            scale = layer.scaling[NAME] / (layer.ranknum[NAME].detach() + 1e-5)  # as peft's forward pass has it
            ranks[name] = len(kept)
            tensors[f"base_model.model.{name}.lora_A.weight"] = (layer.lora_A[NAME].detach() * values * scale)[kept]
            tensors[f"base_model.model.{name}.lora_B.weight"] = layer.lora_B[NAME].detach()[:, kept]
    config = model.peft_config[NAME]
    most = max(ranks.values())
    lora = LoraConfig(
        task_type=config.task_type,
        target_modules=config.target_modules,
        fan_in_fan_out=config.fan_in_fan_out,
        base_model_name_or_path=config.base_model_name_or_path,
        r=most,
        lora_alpha=most,
        rank_pattern={name: rank for name, rank in ranks.items() if rank != most},
        alpha_pattern={name: rank for name, rank in ranks.items() if rank != most},  # alpha / rank is 1 everywhere
    )
    return dataclasses.replace(lora, inference_mode=True), {name: t.contiguous() for name, t in tensors.items()}
