"""A branch learns what the frozen embedding cannot tell apart, and the evidence of scope is weighed as it deserves."""

import json

import numpy as np
import pytest
import torch

from agent.branches import Branch
from agent.head import probabilities
from agent.scope import Scope
from finetune.branch import BranchRecipe, Cached, contrastive, embed, even, mix, probe, read, targets_of, train_branch
from finetune.branch_scope import evidence_in, weigh, weighed
from finetune.measures import auroc
from retrieval.encoder import TransformerEncoder

PEOPLE = ("Ana", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ida", "Jon")
THINGS = ("the report", "a train ticket", "my laptop", "lunch", "the contract", "a desk")


def gave(count: int) -> tuple[list[str], list[str]]:
    """Who gave and who got: the same words in another order, which a mean of words hardly tells apart."""
    texts, labels = [], []
    for i in range(count):
        other, thing = PEOPLE[i % 10], THINGS[i % 6]
        texts += [f"I gave {other} {thing}", f"{other} gave me {thing}"]
        labels += ["gave", "got"]
    return texts, labels


def test_a_branch_learns_from_cached_states_and_the_encoder_stays_as_it_was(encoder: TransformerEncoder) -> None:
    texts, labels = gave(24)
    before = encoder(texts[:4])
    branch = Branch.copied(encoder, 1)
    cached = read(encoder, texts, {branch.start}, lambda _: None)[branch.start]
    targets = targets_of(labels, ("gave", "got"))
    losses: list[float] = []
    recipe = BranchRecipe(layers=1, epochs=4, rows=16, contrast=0.5)
    trained = train_branch(
        branch, cached.chosen(range(36)), targets[:36], recipe, progress=lambda _s, _n, loss: losses.append(loss)
    )
    assert losses[-1] < losses[0]
    said = trained.logits(embed(trained.branch, cached.chosen(range(36, 48)))).argmax(axis=1)
    assert (said == targets[36:].argmax(axis=1)).all()
    np.testing.assert_array_equal(encoder(texts[:4]), before)
    untouched = Branch.copied(encoder, 1).layers.state_dict()
    assert all(torch.equal(value, untouched[name]) for name, value in branch.layers.state_dict().items())
    with pytest.raises(ValueError, match="layer 5"):
        train_branch(Branch.copied(encoder, 2), cached, targets, recipe)
    nothing = Cached(branch.start, cached.states[:0], cached.ends[:1], cached.embeddings[:0])
    with pytest.raises(ValueError, match="no rows"):
        train_branch(branch, nothing, targets[:0], recipe)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU here")
def test_a_branch_learns_where_its_encoder_runs_on_a_gpu() -> None:
    encoder = TransformerEncoder(device="cuda")
    texts, labels = gave(24)
    branch = Branch.copied(encoder, 1)
    cached = read(encoder, texts, {branch.start}, lambda _: None)[branch.start]
    targets = targets_of(labels, ("gave", "got"))
    trained = train_branch(branch, cached.chosen(range(36)), targets[:36], BranchRecipe(layers=1, epochs=4, rows=16))
    said = trained.logits(embed(trained.branch, cached.chosen(range(36, 48)))).argmax(axis=1)
    assert (said == targets[36:].argmax(axis=1)).all()


def test_what_is_cached_is_what_the_encoder_says(encoder: TransformerEncoder) -> None:
    texts = [f"{'word ' * (i % 5)}number {i}" for i in range(20)]
    cached = read(encoder, texts, {4, 6}, lambda _: None)
    np.testing.assert_allclose(cached[4].embeddings, encoder(texts), atol=0.02)
    branch = Branch.copied(encoder, 2).trainable()  # in single precision, as those that learn
    assert (np.sum(embed(branch, cached[4], rows=7) * encoder(texts), axis=1) > 0.999).all()
    assert cached[6].chosen([3, 1]).lengths.tolist() == [cached[6].lengths[3], cached[6].lengths[1]]


def test_a_branch_that_lies_in_bfloat16_embeds_what_is_cached(encoder: TransformerEncoder) -> None:
    cached = read(encoder, ["Anna wrote.", "It rains."], [4], lambda _: None)[4]
    branch = Branch.copied(encoder, 2).trainable()
    whole = embed(branch, cached)
    half = embed(Branch(branch.start, branch.layers.bfloat16()), cached)
    assert half.dtype == np.float32
    assert (whole * half).sum(1) == pytest.approx(1, abs=1e-3)


def test_rows_of_rare_labels_weigh_more_and_doubt_weighs_as_one_label() -> None:
    targets = targets_of(["a"] * 6 + ["b"] * 2 + [None] * 2, ("a", "b"))
    share = even(targets)
    assert share[:6].sum() == pytest.approx(share[6:8].sum()) == pytest.approx(share[8:].sum())
    assert targets[-1].tolist() == [0.5, 0.5]


def test_the_better_of_two_heads_is_believed_and_both_are_calmed() -> None:
    rng = np.random.default_rng(0)
    right = rng.integers(3, size=400)
    knows = np.eye(3, dtype=np.float32)[np.where(rng.random(400) < 0.9, right, (right + 1) % 3)] * 20
    guesses = rng.normal(size=(400, 3)).astype(np.float32)
    of_guesses, of_knows = mix(guesses, knows, right)
    assert of_knows > 0
    assert of_guesses < 0.1
    sure = probabilities(of_guesses * guesses + of_knows * knows, 1.0).max(axis=1).mean()
    assert sure == pytest.approx(0.9, abs=0.03)


def test_contrast_falls_as_rows_of_a_label_come_together() -> None:
    targets = torch.eye(2)[[0, 0, 1, 1]]
    apart = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [0, 1], [1, 0.1], [0.1, 1]]), dim=1)
    together = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), dim=1)
    assert contrastive(together, targets, 0.1) < contrastive(apart, targets, 0.1)
    assert contrastive(together, torch.full((4, 2), 0.5), 0.1) == 0  # no row has a label


def test_evidence_of_scope_is_weighed_together() -> None:
    rng = np.random.default_rng(1)
    inside = np.arange(600) < 300
    logits = rng.normal(size=(600, 4)).astype(np.float32)
    logits[np.flatnonzero(inside), rng.integers(4, size=300)] += 2.5
    vectors = rng.normal(size=(600, 8)).astype(np.float32)
    vectors[inside] += 1.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    known = vectors[inside][:50]
    seen = evidence_in(logits, [(vectors, known)])[50:]
    scope = weigh(seen, inside[50:])
    together = auroc(scope.chance(seen), inside[50:])
    assert together > max(auroc(column, inside[50:]) for column in seen.T)
    assert Scope.of(json.loads(json.dumps(scope.card())), 4).chance(seen) == pytest.approx(scope.chance(seen), abs=1e-5)
    with pytest.raises(ValueError, match="damaged"):
        Scope.of({**scope.card(), "spread": [0.0] * 4}, 4)
    assert weighed(seen[:300], seen[:300][:10]) is None  # of no label, and too few to weigh anything by
    assert auroc(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    assert auroc(np.array([1.0, 2.0]), np.array([True, True])) == 0


def test_a_probe_separates_what_a_line_can() -> None:
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]], dtype=np.float32)
    targets = targets_of(["x", "x", "y", "y"], ("x", "y"))
    weights, bias = probe(vectors, targets, even(targets))
    assert ((vectors @ weights + bias).argmax(axis=1) == [0, 0, 1, 1]).all()
