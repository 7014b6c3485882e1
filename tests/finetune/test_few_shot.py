"""A team's own intents: learned from a few rows, told with their overlaps, and heard in messages at once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.head import Inputs, probabilities
from agent.understanding import SHIPPED, Understander
from connectors.intents import told
from finetune import few_shot
from finetune.branch import BranchRecipe
from finetune.few_shot import Judged, Learned, floor_of, folds_of, in_words, is_better, learn
from finetune.few_shot_advice import overlaps, worth_labelling
from finetune.few_shot_folder import write_intents
from finetune.few_shot_labels import CHAT
from finetune.heads_data import OWN, Row, noise
from retrieval.encoder import TransformerEncoder
from retrieval.errors import DataRefused, StoreError
from retrieval.files import MANIFEST

INTENTS = {
    "billing": (
        "the invoice is wrong", "I was charged twice", "where is my receipt", "refund the payment", "pay by card",
        "the amount on the bill is too high",
    ),
    "travel": (
        "book a train to Rome", "the flight was late", "which hotel is near", "my passport expired", "rent a car there",
        "when does the plane leave",
    ),
    "printer": (
        "the printer jams", "out of toner again", "print in colour", "scanner does not start", "paper tray is empty",
        "print on both sides",
    ),
}  # fmt: skip
ROWS = tuple(Row(text, label, OWN) for label, texts in INTENTS.items() for text in texts)
MESSAGES = (
    "the invoice shows the wrong amount", "a flight to Rome please", "toner is empty", "what a lovely day",
    "is the train paid by card", "print the invoice", "print the bill", "how are you",
)  # fmt: skip
QUICK = BranchRecipe(layers=1, epochs=4, rows=18, contrast=0.5)


@pytest.fixture(scope="module")
def learned(encoder: TransformerEncoder) -> Learned:
    """With two folds and a fifth of the noise: all of it takes three times as long, and shows no more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_shot, "FOLDS", 2)
        patch.setattr(few_shot, "noise", lambda: noise()[::5])
        patch.setattr(few_shot, "OUTSIDE", 6)
        return learn(encoder, ROWS, MESSAGES, propose=3, recipe=QUICK)


def test_a_few_rows_are_enough_and_are_heard_in_messages(
    learned: Learned, encoder: TransformerEncoder, tmp_path: Path
) -> None:
    write_intents(tmp_path / "heads", learned, encoder, SHIPPED)
    understander = Understander(encoder)
    understander.take(tmp_path / "heads")
    assert understander.understand("there is an error on the invoice").reasons[2].startswith("is about billing")
    assert "like none of your examples" in understander.understand("zebras eat grass in the savanna").reasons[2]
    write_intents(tmp_path / "both", learned, encoder, tmp_path / "heads", "emotion")
    understander.take(tmp_path / "both")  # a further head, of labels that say what a message feels like
    reasons = understander.understand("there is an error on the invoice").reasons[2:]
    assert [each.partition(" billing")[0] for each in reasons] == ["is about", "feels like"]
    assert set(understander.scores(["a train"])) == {"intent", "sentiment", "topic", "emotion"}
    understander.take(tmp_path / "heads")
    before = Understander(encoder).understand("where do we keep contracts?")
    now = understander.understand("where do we keep contracts?")
    assert (now.intent, now.sentiment) == (before.intent, before.sentiment)  # those heads are the same ones
    np.testing.assert_allclose(now.embedding, before.embedding, atol=1e-5)


def test_a_branch_is_written_read_and_asked_in_the_same_pass(
    learned: Learned, encoder: TransformerEncoder, tmp_path: Path
) -> None:
    from agent.branches import Branch
    from agent.head import Head
    from finetune.branch import Trained

    with_branch = learned
    if learned.branch is None:  # the folds chose; here it is the writing that is looked at
        own = Branch.copied(encoder, 1)
        for matrix in own.layers.parameters():
            matrix.data[0] += 0.1
        trained = Trained(own, learned.linear.weights[: encoder.dim], learned.linear.bias)
        with_branch = replace(learned, branch=trained, judged=replace(learned.judged, believed=(0.5, 0.5)))
    write_intents(tmp_path / "heads", with_branch, encoder, SHIPPED)
    head = Head.load(tmp_path / "heads", "topic", encoder)
    assert learned.scope is not None
    assert head.scope is not None
    asked = [*(row.text for row in ROWS), "is the moon made of cheese", "zebras eat grass in the savanna"]
    read = encoder.states(asked, head.reads)
    assert with_branch.branch is not None
    assert head.branched is not None
    made = with_branch.branch.branch(read)
    assert (np.sum(made * read.embeddings, axis=1) < 0.999).all()  # it is a branch of its own
    assert (np.sum(made * head.branched.branch(read), axis=1) > 0.999).all()  # and the same one when it is read again
    _, is_inside = head.read(Inputs.of(read.embeddings, asked), read)
    assert is_inside[:-2].mean() > 0.8
    assert not is_inside[-2:].any()
    states = encoder.states(["the invoice is wrong"], head.reads)
    chances = head.probabilities(Inputs.of(states.embeddings, ["the invoice is wrong"]), states)
    assert head.labels[int(chances.argmax())] == "billing"
    understander = Understander(encoder, tmp_path / "heads")
    _, query = understander.understand_for_search("and the bill?", "where is the bill?")
    assert query @ encoder(["where is the bill?"])[0] > 0.999


def test_the_names_of_intents_teach_as_examples_do(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(few_shot, "FOLDS", 2)
    monkeypatch.setattr(few_shot, "noise", lambda: noise()[::5])
    monkeypatch.setattr(few_shot, "OUTSIDE", 6)
    asked = ["orange marmalade"]
    inputs, chance = Inputs.of(encoder(asked), asked), {}
    for name in ("orange_marmalade", "7"):
        rows = [replace(row, label=name) if row.label == "printer" else row for row in ROWS]
        learned = learn(encoder, rows, recipe=QUICK)
        chance[name] = probabilities(learned.linear.logits(inputs), 1.0)[0, learned.labels.index(name)]
        assert [row.text for row in learned.rows] == [row.text for row in ROWS]  # names are no examples to show
        assert learned.judged.logits.shape == (len(ROWS), 3)  # nor judge
    assert chance["orange_marmalade"] > 0.5 > chance["7"]
    said = {"card_not-working?": "card not working", "Störung.Aufzug 2": "Störung Aufzug 2", "发票": "发票"}
    assert {name: in_words(name) for name in said} == said
    assert not any(map(in_words, ("q17", "7", "b", "??", "")))


def test_what_is_said_names_the_figures_and_what_to_label_next(learned: Learned) -> None:
    said = "\n".join(told(learned, has_messages=True))
    assert "3 intents learned" in said
    assert "held back are read right" in said
    assert len(learned.proposed) == 3
    assert set(learned.proposed) <= set(MESSAGES)
    assert learned.judged.accuracy >= learned.plain.accuracy  # what folds read worse is not kept
    assert set(learned.taught) <= set(MESSAGES)


def test_overlapping_intents_are_shown_by_the_examples_that_confuse() -> None:
    rows = [Row(text, label, OWN) for text, label in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c"))]
    chances = np.array([[0.4, 0.6, 0], [0.9, 0.1, 0], [0.7, 0.3, 0], [0.1, 0.9, 0], [0, 0, 1]], dtype=np.float32)
    vectors = np.eye(5, dtype=np.float32)
    vectors[2] = (0.9, 0.1, 0.4, 0, 0)
    (found,) = overlaps(rows, ("a", "b", "c"), chances, vectors)
    assert (found.one, found.other, found.share) == ("a", "b", 0.5)
    assert found.pairs[0] == ("a1", "b1")
    rows[0] = Row("a1", "a", CHAT)  # people's words count, and are shown to nobody
    (hidden,) = overlaps(rows, ("a", "b", "c"), chances, vectors)
    assert (hidden.share, {one for one, _ in hidden.pairs}) == (0.5, {"a2"})
    rows[1] = Row("a2", "a", CHAT)
    assert overlaps(rows, ("a", "b", "c"), chances, vectors)[0].pairs == ()


def test_what_to_label_next_is_unsure_and_unlike() -> None:
    chances = np.array([[0.99, 0.01], [0.51, 0.49], [0.52, 0.48], [0.6, 0.4]], dtype=np.float32)
    vectors = np.array([[1, 0, 0], [0, 1, 0], [0, 0.999, 0.04], [0, 0, 1]], dtype=np.float32)
    first, second = worth_labelling(chances, vectors, 2)
    assert first in {1, 2}
    assert second == 3  # the other of the two alike would teach nothing new
    assert worth_labelling(chances[:0], vectors[:0], 5) == []


def test_folds_hold_some_of_every_label() -> None:
    right = np.repeat([0, 1, 2], 6)
    folds = folds_of(right, 3, seed=0)
    assert all(np.bincount(folds[right == label]).tolist() == [2, 2, 2] for label in range(3))
    assert floor_of(np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], dtype=np.float32)) == pytest.approx(0.8, abs=0.02)


def test_of_many_intents_the_head_reads_the_embedding_alone(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, said = [row.text for row in ROWS], [row.label for row in ROWS]
    inputs = Inputs.of(encoder(texts), texts)
    worded = few_shot.head(inputs, said, sorted(INTENTS))
    monkeypatch.setattr(few_shot, "WORDED", 2)
    alone = few_shot.head(inputs.chosen(range(len(texts))), said, sorted(INTENTS))
    assert worded.gram_weights.any()
    assert not alone.gram_weights.any()
    for linear in (worded, alone):
        assert [sorted(INTENTS)[i] for i in linear.logits(inputs).argmax(axis=1)] == said


def test_folds_of_many_intents_are_judged_by_likelihood() -> None:
    nothing = np.zeros((0, 2), dtype=np.float32)
    plain, judged = Judged(0.8, 0.02, (1.0, 0.0), nothing, -0.6), Judged(0.79, 0.02, (0.3, 0.7), nothing, -0.5)
    assert is_better(judged, plain, few_shot.WORDED + 1)
    assert not is_better(plain, judged, few_shot.WORDED + 1)
    assert not is_better(judged, plain, few_shot.WORDED)  # of few there are rows enough to count


def test_rows_without_end_are_refused_and_many_are_compared_in_blocks(
    encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rows in ([Row("a", "b", OWN)] * (few_shot.MOST + 1), [Row("a" * 1_000, "b", OWN)] * 6_000):
        with pytest.raises(DataRefused, match="more than are learned from at once"):
            learn(encoder, rows)
    vectors = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    whole = floor_of(vectors)
    monkeypatch.setattr(few_shot, "BLOCK", 4)
    assert floor_of(vectors) == pytest.approx(whole)


def test_damaged_heads_beside_are_said_so(learned: Learned, encoder: TransformerEncoder, tmp_path: Path) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / MANIFEST).write_text("{}")
    with pytest.raises(StoreError, match="cannot be written"):
        write_intents(tmp_path / "heads", learned, encoder, tmp_path / "beside")
