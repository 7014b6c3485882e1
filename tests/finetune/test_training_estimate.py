"""A dry run says what a run would take, and is about right."""

import time
from dataclasses import replace

import pytest

from finetune.training import estimate as module
from finetune.training.estimate import estimate, peak_memory
from finetune.training.loop import Run, train
from retrieval.errors import DataRefused, FinetuneError
from tests.agent.models import build_model
from tests.finetune.learning import RECIPE, examples

LEARNED, MEASURED = examples(60), examples(8, seed=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_model(tmp_path_factory.mktemp("base") / "model", hidden=128, layers=3, ffn=256)


def test_a_dry_run_is_about_right(base, tmp_path):
    recipe = replace(RECIPE, max_steps=0, epochs=3, save_seconds=1000)
    foreseen = estimate(base, LEARNED, recipe, MEASURED)
    times: list[float] = []
    outcome = train(base, LEARNED, MEASURED, recipe, tmp_path, progress=lambda _: times.append(time.monotonic()))
    assert foreseen.steps == outcome.steps
    assert foreseen.rows == 60
    assert 0 < foreseen.trained_tokens < foreseen.tokens
    took = times[-1] - times[0]
    assert took / 10 < foreseen.seconds < took * 10  # others may use the machine too; the benchmark has it closer
    assert 0.5 * foreseen.memory_bytes < peak_memory() < 2 * foreseen.memory_bytes


@pytest.mark.parametrize(("enough", "steps"), [(0.0, 2), (600.0, 4)])
def test_slow_steps_are_timed_no_longer_than_needed(base, monkeypatch, enough, steps):
    taken: list[int] = []

    class Counting(Run):
        def advance(self, step: int) -> int:
            taken.append(step)
            return super().advance(step)

    monkeypatch.setattr(module, "ENOUGH", enough)
    monkeypatch.setattr(module, "Run", Counting)
    estimate(base, LEARNED, replace(RECIPE, max_steps=0, epochs=3))
    assert len(taken) == steps


def test_several_processes_share_the_steps_and_the_time(base):
    one = estimate(base, LEARNED, replace(RECIPE, max_steps=0))
    two = estimate(base, LEARNED, replace(RECIPE, max_steps=0, processes=2))
    assert two.steps == -(-one.steps // 2)


def test_what_training_would_refuse_a_dry_run_refuses(base):
    with pytest.raises(DataRefused):
        estimate(base, [], RECIPE)
    with pytest.raises(FinetuneError, match="targets"):
        estimate(base, LEARNED, replace(RECIPE, targets=("nowhere",)))
