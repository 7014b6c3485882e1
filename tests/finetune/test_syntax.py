"""Training of the syntax heads goes on where it stood."""

from pathlib import Path

import torch

from finetune.syntax import keep, resumed


def step(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    network(torch.randn(4, 3)).square().mean().backward()
    optimizer.step()


def made() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    network = torch.nn.Linear(3, 2)
    return network, torch.optim.AdamW(network.parameters(), lr=0.1)


def test_training_taken_up_again_ends_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    network, optimizer = made()
    step(network, optimizer)
    keep(tmp_path / "kept.safetensors", network, optimizer, 3, 17)
    step(network, optimizer)
    other, its_optimizer = made()
    assert resumed(tmp_path / "kept.safetensors", other, its_optimizer) == (3, 17)
    step(other, its_optimizer)
    assert torch.equal(other.weight, network.weight)  # type: ignore[arg-type]  # a Linear's weight is a tensor
