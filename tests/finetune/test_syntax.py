"""Training of the syntax heads goes on where it stood."""

from pathlib import Path

import torch

from finetune.syntax import Plan, keep, resumed, run_of

RUN = run_of("encoder", Plan())


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
    keep(tmp_path / "kept.safetensors", network, optimizer, RUN, 3, 17)
    step(network, optimizer)
    other, its_optimizer = made()
    assert resumed(tmp_path / "kept.safetensors", other, its_optimizer, RUN) == (3, 17)
    step(other, its_optimizer)
    assert torch.equal(other.weight, network.weight)


def test_another_plan_or_encoder_begins_anew(tmp_path: Path) -> None:
    network, optimizer = made()
    step(network, optimizer)
    keep(tmp_path / "kept.safetensors", network, optimizer, RUN, 3, 17)
    smaller = torch.nn.Linear(3, 1)
    before = smaller.weight.clone()
    for run in (run_of("another encoder", Plan()), run_of("encoder", Plan(layers=1))):
        assert resumed(tmp_path / "kept.safetensors", smaller, torch.optim.AdamW(smaller.parameters()), run) is None
    assert torch.equal(smaller.weight, before)
