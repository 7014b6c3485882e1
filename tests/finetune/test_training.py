"""Training learns, weighs every token the same however it is spread, and says where it stands."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise

import pytest
import torch
from peft import PeftModel
from PIL import Image

import agent.generation.bottleneck  # noqa: F401 - makes the type known to peft
from agent.generation.adapters import BASE_FACT, TEMPLATE_FACT, base_fingerprint, template_fingerprint
from agent.generation.loading import load
from finetune.recipe import PRESETS, Method, Recipe, load_recipe
from finetune.training import loop, metrics, processes
from finetune.training.losses import held_out_loss
from finetune.training.picture import FILE, draw_losses, ticks
from retrieval.errors import DataRefused, FinetuneError
from retrieval.files import read_manifest
from tests.agent.models import build_model
from tests.finetune.learning import RECIPE, examples, unlike, weights_of
from tests.finetune.together import recipe_of

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft on transformers 5.23
LEARNED, MEASURED = examples(40), examples(8, seed=1)
RATES = {Method.IA3: 0.1, Method.FULL: 0.005}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_model(tmp_path_factory.mktemp("base") / "model")


@pytest.mark.parametrize("method", Method)
def test_each_method_learns_and_what_it_leaves_behind_says_so(base, tmp_path, method):
    recipe = replace(RECIPE, method=method, max_steps=12, learning_rate=RATES.get(method, 0.03), save_seconds=1000)
    told = []
    outcome = loop.train(base, LEARNED, MEASURED, recipe, tmp_path, progress=told.append)
    assert outcome.ended == "finished"
    assert outcome.best_loss < outcome.first_loss - (0.05 if method is Method.IA3 else 0.1)  # of few weights
    facts = read_manifest(outcome.adapter)
    assert facts[BASE_FACT] == base_fingerprint(base)
    assert facts[TEMPLATE_FACT] == template_fingerprint(load(base, "cpu", "float32").tokenizer.chat_template)
    assert facts["method"] == method
    served = load(outcome.adapter if method is Method.FULL else base, "cpu", "float32")
    if method is not Method.FULL:
        served = replace(served, model=PeftModel.from_pretrained(served.model, outcome.adapter).eval())
    losses = held_out_loss(served.model, served.tokenizer, MEASURED, recipe)
    assert sum(losses) / len(losses) == pytest.approx(outcome.best_loss, abs=0.2)
    assert [report.step for report in told] == list(range(13))
    assert math.isnan(told[0].seconds_left)
    assert told[-1].seconds_left == 0
    assert told[6].seconds_left > told[11].seconds_left > 0
    assert (tmp_path / FILE).exists()


def test_the_best_weights_are_kept_not_the_last(base, tmp_path):
    others = [unlike(one) for one in MEASURED]
    recipe = replace(RECIPE, max_steps=10, evaluations=10, patience=3, learning_rate=0.05, warmup=0.0)
    outcome = loop.train(base, LEARNED, others, recipe, tmp_path)
    assert outcome.ended == "early"
    assert outcome.steps == outcome.best_step + 3
    served = load(base, "cpu", "float32")
    model = PeftModel.from_pretrained(served.model, outcome.adapter).eval()
    losses = held_out_loss(model, served.tokenizer, others, recipe)
    assert sum(losses) / len(losses) == pytest.approx(outcome.best_loss, abs=0.01)


@pytest.mark.parametrize("packing", [True, False])
def test_a_step_in_parts_is_the_step_at_once(base, tmp_path, monkeypatch, packing):
    """Each learned token weighs the same, in however many passes they come."""
    one_step = replace(RECIPE, dropout=0.0, max_steps=1, packing=packing, warmup=0.0, batch_tokens=100_000)
    parts = [[0, 1, 2], [3], [4, 5, 6, 7, 8], [9, 10]]
    weights = []
    for name, batches in (("parts", parts), ("whole", [[i for part in parts for i in part]])):
        monkeypatch.setattr(loop, "plan", lambda *_, batches=batches: batches)
        recipe = replace(one_step, accumulation=len(batches))
        weights.append(trained(base, tmp_path / name, recipe))
    torch.testing.assert_close(weights[0], weights[1], atol=1e-5, rtol=1e-4)


def trained(base, folder, recipe, progress=lambda _: None):
    from safetensors.torch import load_file

    outcome = loop.train(base, LEARNED, MEASURED, recipe, folder, progress=progress)
    return torch.cat(
        [tensor.flatten() for _, tensor in sorted(load_file(outcome.adapter / "adapter_model.safetensors").items())]
    )


@pytest.mark.timeout(300)  # two interpreters start
def test_two_processes_train_as_one_and_resume(base, tmp_path):
    whole = trained(base, tmp_path / "one", recipe_of(1, 2))
    command = processes.command("tests.finetune.together", [str(base), str(tmp_path / "two"), "2"], 2)
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    from safetensors.torch import load_file

    files = load_file(tmp_path / "two" / "adapter" / "adapter_model.safetensors")
    together = torch.cat([tensor.flatten() for _, tensor in sorted(files.items())])
    torch.testing.assert_close(together, whole, atol=1e-4, rtol=1e-3)


def test_fewer_processes_than_asked_for_are_refused(base, tmp_path):
    with pytest.raises(FinetuneError, match="torchrun --nproc_per_node=2"):
        loop.train(base, LEARNED, MEASURED, replace(RECIPE, processes=2), tmp_path)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch's compiler looks
@pytest.mark.parametrize(
    "change", [{"activation_checkpointing": True}, {"packing": False}, {"compile": True}], ids=lambda c: next(iter(c))
)
def test_how_it_is_computed_does_not_change_what_is_learned(base, tmp_path, monkeypatch, change):
    monkeypatch.setattr(loop, "BACKEND", "aot_eager")  # torch.compile without a C++ compiler
    torch._dynamo.utils.counters.clear()
    recipe = replace(RECIPE, dropout=0.0, max_steps=4, batch_tokens=100_000 if "packing" in change else 128)
    plain = trained(base, tmp_path / "plain", recipe)
    graphs = []  # compiled so far, after each step
    count = torch._dynamo.utils.counters["stats"]
    other = trained(
        base, tmp_path / "other", replace(recipe, **change), lambda _: graphs.append(count["unique_graphs"])
    )
    torch.testing.assert_close(other, plain, atol=2e-4, rtol=1e-3)
    if "compile" in change:
        assert 0 < graphs[-1] <= 2 * graphs[1]  # rows are of many lengths, and yet not compiled for each
    torch._dynamo.reset()


def test_bfloat16_learns_too(base, tmp_path):
    recipe = replace(RECIPE, precision="bf16", max_steps=10, learning_rate=0.03)
    outcome = loop.train(base, LEARNED, MEASURED, recipe, tmp_path)
    assert outcome.best_loss < outcome.first_loss - 0.1
    assert all(math.isfinite(line["loss"]) for line in metrics.read_metrics(tmp_path) if "loss" in line)


def test_no_step_is_longer_than_the_clip_allows(base, tmp_path, monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_

    def seen(parameters, most):
        norm = clip(parameters, most)
        norms.append((float(norm), float(torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in parameters])))))
        return norm

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", seen)
    loop.train(base, LEARNED, MEASURED, replace(RECIPE, clip=0.05, max_steps=3), tmp_path)
    assert len(norms) == 3
    assert all(before > 0.05 >= after - 1e-6 for before, after in norms)


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    recipe = Recipe(learning_rate=1.0, warmup=0.1)
    rates = [loop.learning_rate(step, 100, recipe) for step in range(1, 101)]
    assert rates[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert all(a > b > 0 for a, b in pairwise(rates[9:]))
    assert rates[-1] < 0.001
    assert loop.learning_rate(1, 100, Recipe(learning_rate=1.0, warmup=0.0)) == pytest.approx(1.0, abs=0.01)


def test_nothing_to_learn_is_refused(base, tmp_path):
    with pytest.raises(DataRefused):
        loop.train(base, [], MEASURED, RECIPE, tmp_path)
    with pytest.raises(DataRefused, match="badly rated"):
        loop.train(base, [replace(one, rating=-1) for one in LEARNED], MEASURED, RECIPE, tmp_path)


def test_without_held_out_examples_the_last_weights_are_taken(base, tmp_path):
    outcome = loop.train(base, LEARNED, [], replace(RECIPE, max_steps=3), tmp_path)
    assert (outcome.best_step, outcome.steps) == (3, 3)
    assert math.isnan(outcome.best_loss)
    assert weights_of(outcome.adapter)


def test_a_tracker_that_is_not_installed_is_named(base, tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "find_spec", lambda _: None)
    for tracker in ("tensorboard", "wandb", "mlflow"):
        with pytest.raises(FinetuneError, match=f"pip install {tracker}"):
            loop.train(base, LEARNED, MEASURED, replace(RECIPE, tracker=tracker), tmp_path)


def test_metrics_are_written_to_a_file_and_to_tensorboard(base, tmp_path):
    tracker = "tensorboard" if find_spec("tensorboard") else "none"
    loop.train(base, LEARNED, MEASURED, replace(RECIPE, tracker=tracker, max_steps=4), tmp_path)
    lines = metrics.read_metrics(tmp_path)
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4]
    assert {"loss", "learning_rate", "tokens_per_second"} <= lines[1].keys()
    assert [line["step"] for line in lines if "held_out" in line] == [0, 2, 4]
    if tracker == "tensorboard":
        assert list(tmp_path.glob("**/events.out.tfevents.*"))


def test_a_line_that_a_crash_cut_is_left_out(tmp_path):
    (tmp_path / metrics.FILE).write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert metrics.read_metrics(tmp_path) == [{"step": 1, "loss": 2.0}]


def test_the_picture_shows_both_lines(tmp_path):
    lines = [{"step": i, "loss": 3 - i / 50} | ({"held_out": 3.1 - i / 60} if i % 20 == 0 else {}) for i in range(101)]
    (tmp_path / metrics.FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    picture = Image.open(draw_losses(tmp_path))
    assert picture.size == (1200, 900)
    colours = {colour for _, colour in picture.convert("RGB").getcolors(100_000)}
    assert {(31, 111, 181), (209, 73, 12)} <= colours
    (tmp_path / metrics.FILE).write_text("")
    assert draw_losses(tmp_path) is None


@pytest.mark.parametrize("between", [(0, 1), (1.234, 1.235), (5, 5), (0, 0), (-3, 400), (2e-9, 1e-8)])
def test_axes_have_round_numbers_around_the_data(between):
    marks = ticks(*between)
    assert marks[0] <= between[0] <= between[1] <= marks[-1] or between[0] == between[1]
    assert 2 <= len(marks) <= 8
    assert all(a < b for a, b in pairwise(marks))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_recipe(preset):
    recipe = load_recipe(preset)
    assert recipe.max_tokens <= recipe.batch_tokens
    assert (recipe.processes > 1) == (preset == "several-gpus")


def test_several_processes_are_started_by_torchrun():
    command = processes.command("finetune.worker", ["7"], 2)
    assert command[:3] == [sys.executable, "-m", "torch.distributed.run"]
    assert "--nproc_per_node=2" in command
    assert processes.command("finetune.worker", ["7"], 1) == [sys.executable, "-m", "finetune.worker", "7"]
