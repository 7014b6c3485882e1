"""Ratings teach which answer is liked, by DPO from pairs and by KTO from single ratings."""

import math
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from peft import PeftModel

from agent.generation.loading import load
from agent.generation.rendering import ChatMessage, render
from finetune.example import Example, Origin
from finetune.recipe import Method
from finetune.training.batches import Encoded, packed_batch
from finetune.training.loop import train
from finetune.training.losses import token_losses
from finetune.training.metrics import read_metrics
from finetune.training.preference import pair_rows, rated_rows
from retrieval.errors import DataRefused, FinetuneError
from tests.agent.models import build_model, build_tokenizer
from tests.finetune.learning import RECIPE, THINGS, weights_of

TOKENIZER = build_tokenizer()
RECIPE = replace(RECIPE, max_steps=10, batch_tokens=400, learning_rate=0.01, dropout=0.0)


def rated(thing: str, answer: str, rating: int) -> Example:
    return Example(
        (ChatMessage("user", f"Who knows about {thing}?"), ChatMessage("assistant", answer)), Origin(thing), rating
    )


GOOD, BAD = "Ask Ada, she knows.", "No idea. Go away!"
RATED = [example for thing in THINGS for example in (rated(thing, GOOD, 1), rated(thing, BAD, -1))]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_model(tmp_path_factory.mktemp("base") / "model")


def test_pairs_are_of_one_question_and_read_as_served():
    others = [rated("lunch", "Fine.", 1), rated("books", "Good.", 1), rated("keys", "Bad.", -1), rated("x", "Same.", 0)]
    rows = pair_rows([*RATED, *others, rated("lunch", BAD, 1)], TOKENIZER, RECIPE)
    assert len(rows) == len(THINGS) + 1
    for row in rows:
        assert row["prompt_ids"] in [render(example.messages[:-1], TOKENIZER) for example in RATED]
        assert TOKENIZER.decode(row["rejected_ids"]) == f"{BAD}<|im_end|>"
        assert TOKENIZER.decode(row["chosen_ids"]).endswith("<|im_end|>")


def test_single_ratings_are_compared_with_anothers_answer():
    rows = rated_rows(RATED[:4], TOKENIZER, RECIPE)
    assert [row["label"] for row in rows] == [True, False, True, False]
    assert rows[1]["KL_completion_ids"] == rows[0]["completion_ids"]
    assert rated_rows([rated("lunch", "word " * 300, 1)], TOKENIZER, RECIPE) == []


@pytest.mark.filterwarnings("ignore")  # TRL and what it brings warn of their own futures
@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_what_was_liked_becomes_likelier_than_what_was_not(base, tmp_path, objective):
    recipe = replace(RECIPE, objective=objective)
    if find_spec("trl") is None:
        with pytest.raises(FinetuneError, match=r"atelier\[preference\]"):
            train(base, RATED, RATED[:4], recipe, tmp_path)
        return
    told = []
    outcome = train(base, RATED, RATED[:4], recipe, tmp_path, progress=told.append)
    assert outcome.ended == "finished"
    assert outcome.best_loss < outcome.first_loss
    assert told[-1].step == outcome.steps == 10
    assert any("loss" in line for line in read_metrics(tmp_path))

    def margin(model) -> float:
        likely = []
        for answer in (GOOD, BAD):
            row = rated_rows([rated(THINGS[0], answer, 1)], TOKENIZER, recipe)[0]
            ids = row["prompt_ids"] + row["completion_ids"]
            mask = [False] * len(row["prompt_ids"]) + [True] * len(row["completion_ids"])
            with torch.no_grad():
                likely.append(-float(token_losses(model, packed_batch([Encoded(ids, mask)])).sum()))
        return likely[0] - likely[1]

    bare = load(base, "cpu", "float32").model
    before = margin(bare)
    assert margin(PeftModel.from_pretrained(bare, outcome.adapter).eval()) > before + 0.5
    train(base, RATED, RATED[:4], recipe, tmp_path / "again")
    assert weights_of(tmp_path / "again" / "adapter") == weights_of(outcome.adapter)
    stopped = train(base, RATED, [], recipe, tmp_path / "stopped", stop=lambda: True)
    assert (stopped.ended, stopped.steps, math.isnan(stopped.best_loss)) == ("cancelled", 1, True)


def test_what_is_missing_is_said(base, tmp_path, monkeypatch):
    monkeypatch.setattr("finetune.training.preference.find_spec", lambda _: object())
    with pytest.raises(DataRefused, match='objective = "kto"'):
        train(base, RATED[::2], [], replace(RECIPE, objective="dpo"), tmp_path)
    with pytest.raises(DataRefused, match="rated good and others"):
        train(base, RATED[::2], [], replace(RECIPE, objective="kto"), tmp_path)
    with pytest.raises(FinetuneError, match='method = "lora"'):
        train(base, RATED, [], replace(RECIPE, objective="dpo", method=Method.IA3), tmp_path)
    monkeypatch.setattr("finetune.training.preference.find_spec", lambda _: None)
    with pytest.raises(FinetuneError, match=r"atelier\[preference\]"):
        train(base, RATED, [], replace(RECIPE, objective="dpo"), tmp_path)
