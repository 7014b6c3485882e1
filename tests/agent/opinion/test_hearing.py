"""What a message is about, by a team's own head: its sure labels, and none for what is like none of its examples."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent.opinion.hearing import Ear
from agent.understanding import Scores


@pytest.mark.parametrize(
    ("chance", "is_near", "labels"), [(0.9, True, ("billing",)), (0.9, False, ()), (0.4, True, ())]
)
def test_only_a_sure_label_of_something_known_is_a_topic(chance: float, is_near: bool, labels: tuple[str, ...]) -> None:
    near, rest = np.array([is_near]), 1 - chance
    heads = {
        "sentiment": Scores(("negative", "positive"), np.array([[0.7, 0.3]], np.float32), np.array([True])),
        "topic": Scores(("billing", "a", "b"), np.array([[chance, rest / 2, rest / 2]], np.float32), near),
    }
    understander: Any = SimpleNamespace(scores=lambda _: heads)
    impression = Ear(understander, lambda: pytest.fail("nothing is parsed")).hear("谢谢")
    assert impression.labels == labels
    assert (round(impression.negative, 2), round(impression.positive, 2)) == (0.7, 0.3)
