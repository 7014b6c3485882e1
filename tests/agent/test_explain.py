"""The words that decided are the ones that decide: left out, the label really changes, and nothing else is claimed."""

from collections.abc import Sequence

import pytest

from agent.explain import Explanation, explain, parts_of, without
from agent.understanding import Scores, Understander
from retrieval.encoder import TransformerEncoder

BROKEN = "The printer is broken again and nobody answers"


@pytest.fixture(scope="module")
def understander(encoder: TransformerEncoder) -> Understander:
    return Understander(encoder)


@pytest.fixture(scope="module")
def broken(understander: Understander) -> Explanation:
    return explain(understander, BROKEN)


def test_what_is_said_of_a_word_is_what_leaving_it_out_does(understander: Understander, broken: Explanation) -> None:
    for reading in broken.readings:
        assert reading.words
        assert [each.delta for each in reading.words] == sorted((each.delta for each in reading.words), reverse=True)
        scores = understander.scores([without(BROKEN, [reading.words[0].span])])[reading.kind]
        left = float(scores.probabilities[0, scores.labels.index(reading.label)])
        assert left == pytest.approx(reading.words[0].left, abs=0.01)
        assert left < reading.confidence


def test_without_the_decisive_words_it_reads_as_was_said(understander: Understander, broken: Explanation) -> None:
    mood = broken.of("sentiment")
    assert mood is not None
    assert (mood.label, mood.is_turned) == ("negative", True)
    assert "broken" in [each.word for each in mood.decisive]
    rest = without(BROKEN, [each.span for each in mood.decisive])
    assert understander.understand(rest).sentiment == mood.turned != "negative"


def test_the_nearest_examples_are_named_with_their_labels(broken: Explanation) -> None:
    wish = broken.of("intent")
    assert wish is not None
    assert wish.label == "complaint" == wish.examples[0].label
    assert 0.6 < wish.examples[0].likeness <= 1.001
    assert len({each.text for each in wish.examples}) == 3


@pytest.mark.parametrize("text", ["", "?", "hello", "👍", "谢谢 你", "a " * 100, "x" * 5000])
def test_any_text_can_be_explained(understander: Understander, text: str) -> None:
    explanation = explain(understander, text)
    assert [each.kind for each in explanation.readings] == ["intent", "sentiment"]
    assert all(len(each.decisive) <= 3 for each in explanation.readings)


def test_parts_of_a_long_text_are_runs_of_words_that_make_it_up() -> None:
    text = " ".join(f"word{i}" for i in range(95))
    parts = parts_of(text)
    assert len(parts) <= 40
    assert " ".join(text[start:end] for start, end in parts) == text
    assert without(text, parts[1:]) == text[: parts[0][1]]
    assert without(text, parts) == ""


def test_heads_that_are_swapped_in_meanwhile_change_nothing_of_it(
    understander: Understander, broken: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = Understander.scores

    def swaps(self: Understander, texts: Sequence[str]) -> dict[str, Scores]:
        found = scores(self, texts)
        understander._in_use = None  # as `take` does it, with heads of which nothing here knows
        return found

    in_use = understander._in_use
    with monkeypatch.context() as patch:
        patch.setattr(Understander, "scores", swaps)
        patch.setattr(understander, "_in_use", in_use)
        assert explain(understander, BROKEN).readings == broken.readings
