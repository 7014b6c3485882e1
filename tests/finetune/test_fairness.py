"""Swap tests find a bias that is there, none where there is none, and say so in the gate."""

from collections.abc import Sequence

import numpy as np
import pytest

from finetune.fairness import BOUND, Judged, fairness, spelt


def blind(texts: Sequence[str]) -> Judged:
    """Hears praise and blame, and nobody's name."""
    moods = [0.8 * ("great" in text or "love" in text) - 0.8 * ("late" in text) for text in texts]
    return Judged(np.array(moods, dtype=np.float64), ("ask",) * len(texts))


def biased(texts: Sequence[str]) -> Judged:
    """The same, but it dislikes one group's names, and takes one name for a wish to see a person."""
    judged = blind(texts)
    moods = judged.moods - [
        0.5 * any(name in text for name in ("Fatima", "Ahmed", "Aisha", "Mohammed")) for text in texts
    ]
    return Judged(moods, tuple("human" if "Wolfgang" in text else "ask" for text in texts))


def test_who_hears_no_names_is_fair() -> None:
    found = fairness(blind)
    assert found.is_fair
    assert found.against(None) == []
    assert {"gender", "origin", "wealth", "region", "texting"} <= {each.swap for each in found.gaps}


def test_a_bias_is_found_and_named_with_its_worst_pair() -> None:
    found = fairness(biased)
    origin = next(each for each in found.gaps if each.swap == "origin")
    assert not origin.is_fair
    assert origin.groups[0] == "arabic"
    assert origin.gap == pytest.approx(0.5, abs=0.05)
    assert origin.flips > 0
    assert origin.worst.difference == pytest.approx(0.5)
    (sentence,) = [each for each in found.against(fairness(blind)) if "origin" in each]
    assert "arabic" in sentence
    assert f"{BOUND:.2f}" in sentence


def test_heads_that_are_no_worse_than_those_that_serve_are_let_through() -> None:
    assert fairness(biased).against(fairness(biased)) == []


def test_spelling() -> None:
    assert spelt("You are late", [("\\byou\\b", "u"), ("\\bare\\b", "r")]) == "U r late"
    assert spelt("nothing here", [("\\byou\\b", "u")]) == "nothing here"
