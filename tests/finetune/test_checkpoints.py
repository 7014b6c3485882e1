"""A run that dies anywhere goes on where its newest whole checkpoint stands, and ends with the very same weights."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from finetune.recipe import Method
from finetune.training import checkpoints
from finetune.training.loop import train
from finetune.training.metrics import read_metrics
from retrieval.errors import FinetuneError
from retrieval.files import read_manifest
from tests.agent.models import build_model
from tests.finetune.learning import RECIPE, examples, unlike, weights_of

LEARNED, MEASURED = examples(40), examples(8, seed=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory):
    """A run that nothing stopped."""
    return train(base, LEARNED, MEASURED, RECIPE, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def parted(base, tmp_path_factory):
    """The folder of a run that was stopped at its fourth step: to be copied."""
    folder = tmp_path_factory.mktemp("parted")
    train(base, LEARNED, MEASURED, RECIPE, folder, stop=stopped_at(4))
    return folder


def stopped_at(step):
    """A `stop` that says yes at the end of a step."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) == step


@pytest.mark.parametrize("method", Method)
def test_a_run_that_is_stopped_and_resumed_is_the_run_that_was_not(base, tmp_path, method):
    recipe = replace(RECIPE, method=method, rank=4, save_seconds=1000, learning_rate=0.01)
    whole = train(base, LEARNED, MEASURED, recipe, tmp_path / "whole")
    outcome = train(base, LEARNED, MEASURED, recipe, tmp_path / "parted", stop=stopped_at(5))
    assert (outcome.ended, outcome.adapter) == ("cancelled", None)
    again = train(base, LEARNED, MEASURED, recipe, tmp_path / "parted")
    assert again == replace(whole, adapter=tmp_path / "parted" / "adapter")
    for path in sorted(whole.adapter.glob("*.safetensors")):
        assert path.read_bytes() == (again.adapter / path.name).read_bytes()
    steady = [
        {name: line.get(name) for name in ("step", "loss", "held_out")} for line in read_metrics(tmp_path / "whole")
    ]
    assert steady == [
        {name: line.get(name) for name in ("step", "loss", "held_out")} for line in read_metrics(tmp_path / "parted")
    ]


@pytest.mark.timeout(300)  # a child starts and dies a dozen times
def test_killed_at_many_points_training_ends_with_the_same_weights(tmp_path):
    """Real SIGKILLs, also in the middle of writing; the whole battery is `python -m tests.battery kills_training`."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.finetune.killing", str(tmp_path), "4", "adalora"]
    build_model(tmp_path / "model", hidden=32, layers=1)
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=290).stdout
    came = json.loads(said.splitlines()[-1])
    assert came["kills"] == 4
    assert came["equal"] == came["jobs"]


def test_only_the_newest_two_are_kept_and_each_is_sealed(base, tmp_path):
    train(base, LEARNED, MEASURED, replace(RECIPE, max_steps=5), tmp_path)
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert left == ["step-4", "step-5"]
    assert read_manifest(tmp_path / "checkpoints" / "step-5")["step"] == 5
    shutil.copytree(tmp_path / "checkpoints" / "step-4", tmp_path / "checkpoints" / "step-3")  # killed before it went
    train(base, LEARNED, MEASURED, replace(RECIPE, max_steps=5), tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == left


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "missing"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(base, whole, parted, tmp_path, damage):
    shutil.copytree(parted, tmp_path / "hurt")
    state = tmp_path / "hurt" / "checkpoints" / "step-4" / checkpoints.STATE
    content = bytearray(state.read_bytes())
    if damage == "missing":
        state.unlink()
    else:
        content[len(content) // 2] ^= 1
        state.write_bytes({"cut": content[:-100], "changed": content, "empty": b""}[damage])
    (tmp_path / "hurt" / "checkpoints" / ".step-5.abcdefgh").mkdir()  # what a kill while writing leaves
    told = []
    train(base, LEARNED, MEASURED, RECIPE, tmp_path / "hurt", progress=told.append)
    assert told[0].step == 4  # it went on from 3
    assert weights_of(tmp_path / "hurt" / "adapter") == weights_of(whole.adapter)
    assert not list((tmp_path / "hurt" / "checkpoints").glob(".step-*"))


def test_a_checkpoint_of_other_data_is_not_gone_on_from(base, parted, tmp_path):
    """A person's words that were deleted from the job's data must not live on in its weights."""
    shutil.copytree(parted, tmp_path / "other")
    told = []
    train(base, LEARNED[1:], MEASURED, RECIPE, tmp_path / "other", progress=told.append)
    assert told[0].step == 0
    fresh = train(base, LEARNED[1:], MEASURED, RECIPE, tmp_path / "fresh")
    assert weights_of(tmp_path / "other" / "adapter") == weights_of(fresh.adapter)


def test_a_full_disk_leaves_the_older_checkpoint(base, whole, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        seen = []
        save = checkpoints.save_file
        patch.setattr(checkpoints, "save_file", lambda *a: save(*a) if seen.append(1) or len(seen) < 4 else full())
        with pytest.raises(OSError, match="No space"):
            train(base, LEARNED, MEASURED, RECIPE, tmp_path / "full")
    assert sorted(p.name for p in (tmp_path / "full" / "checkpoints").iterdir()) == ["step-2", "step-3"]
    train(base, LEARNED, MEASURED, RECIPE, tmp_path / "full")
    assert weights_of(tmp_path / "full" / "adapter") == weights_of(whole.adapter)


def test_patience_counts_on_after_a_resumption(base, tmp_path):
    others = [unlike(one) for one in MEASURED]
    recipe = replace(RECIPE, learning_rate=0.05, evaluations=12, max_steps=12, patience=2, warmup=0.0)
    whole = train(base, LEARNED, others, recipe, tmp_path / "whole")
    assert whole.ended == "early"
    assert whole.steps == whole.best_step + 2 < 12
    train(base, LEARNED, others, recipe, tmp_path / "parted", stop=stopped_at(whole.best_step))  # its best is the last
    train(base, LEARNED, others, recipe, tmp_path / "parted", stop=stopped_at(1))
    assert train(base, LEARNED, others, recipe, tmp_path / "parted").steps == whole.steps
    assert weights_of(tmp_path / "parted" / "adapter") == weights_of(whole.adapter)


def test_a_loss_that_is_no_number_ends_the_run_with_advice(base, tmp_path, monkeypatch):
    from finetune.training import loop

    losses = loop.Learner.forward
    monkeypatch.setattr(loop.Learner, "forward", lambda *arguments: losses(*arguments) * torch.nan)
    with pytest.raises(FinetuneError, match=r"step 1\. Lower the learning_rate"):
        train(base, LEARNED, MEASURED, RECIPE, tmp_path)
    assert not (tmp_path / "adapter").exists()
