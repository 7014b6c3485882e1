"""The gate lets the better pass and stops the worse, and its report says why in words, numbers and a picture."""

import json
from collections import Counter
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.generation.adapters import base_fingerprint
from finetune.gate.gate import (
    GROUNDED,
    LOSS,
    MARGINS,
    SIMILARITY,
    Measure,
    Verdict,
    gate,
    verdict_of,
)
from finetune.gate.grounded import Case, Kind, Outcome, is_refusal, outcome, suite
from finetune.gate.intervals import Interval, difference
from finetune.gate.report import as_json, as_markdown, write
from retrieval.encoder import TransformerEncoder
from retrieval.errors import FinetuneError, ModelFolderError
from tests.agent.models import build_model
from tests.finetune.school import damaged, lessons, noise, school

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft 0.21 on this torch


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The base model; an adapter that has hardly learned, one that has learned, and that one damaged."""
    root = tmp_path_factory.mktemp("school")
    base = build_model(root / "base")
    found = {"base": base, "novice": school(base, root / "novice", 1, 3), "pupil": school(base, root / "pupil", 1, 30)}
    return found | {"damaged": damaged(found["pupil"], root / "damaged", partial(noise, seed=1, share=1.0))}


def judged(
    folders: dict[str, Path], encoder: TransformerEncoder, candidate: str, live: str | None, rows: int = 12
) -> Verdict:
    """A short gate: a sixth of the suite, short replies."""
    return gate(
        folders["base"],
        folders[candidate],
        lessons(99, rows),
        live=folders[live] if live else None,
        against=live or "the bare model",
        encoder=encoder,
        cases=suite()[:12],
        device="cpu",
        reply=12,
    )


def test_the_better_adapter_passes_and_the_damaged_one_does_not(
    folders: dict[str, Path], encoder: TransformerEncoder
) -> None:
    better = judged(folders, encoder, "pupil", "novice")
    assert better.accepted
    assert better.reasons[0].startswith("Accepted: better than novice by held-out loss")
    worse = judged(folders, encoder, "damaged", "pupil")
    assert not worse.accepted
    assert worse.reasons[0] == "Refused: it would be a step back from pupil."
    assert "held-out loss" in worse.reasons[1]
    assert "worse, beyond the margin of +0.02" in worse.reasons[1]
    assert set(worse.scores) == {"held_out_loss", "answer_similarity", "grounded_or_silent"}


def test_the_same_again_is_not_worse_than_itself(folders: dict[str, Path], encoder: TransformerEncoder) -> None:
    seen: Counter[str] = Counter()
    verdict = gate(
        folders["base"],
        folders["novice"],
        lessons(99, 4),
        live=folders["novice"],
        against="itself",
        encoder=encoder,
        cases=suite()[:3],
        device="cpu",
        reply=4,
        progress=lambda what, _done, _total: seen.update([what]),
    )
    assert verdict.accepted
    assert verdict.reasons[0] == "Accepted: not worse than itself, and not measurably better either."
    assert all(each.difference.mean == 0 for each in verdict.measures)
    assert seen == {"held-out loss": 8, "answers": 8, "grounded or silent": 6}
    similarity = verdict.measures[1]
    assert not similarity.is_judged
    assert "too few rows to decide by" in similarity.sentence


def test_what_cannot_be_judged_is_said(folders: dict[str, Path], encoder: TransformerEncoder, tmp_path: Path) -> None:
    with pytest.raises(FinetuneError, match="at least 2 are needed"):
        judged(folders, encoder, "novice", None, rows=1)
    assert base_fingerprint(build_model(tmp_path / "other", seed=3)) != base_fingerprint(folders["base"])
    with pytest.raises(ModelFolderError, match="another base model"):
        judged(folders | {"base": tmp_path / "other"}, encoder, "novice", None)


def measure(name: str, mean: float, low: float, high: float, *, is_judged: bool = True) -> Measure:
    return Measure(name, 1.0 + mean, 1.0, Interval(mean, low, high, 40), MARGINS[name], is_judged)


@pytest.mark.parametrize(
    ("name", "low", "high", "passes"),
    [
        (LOSS, -0.5, 0.019, True),
        (LOSS, -0.5, 0.021, False),
        (LOSS, 0.03, 0.05, False),
        (SIMILARITY, -0.049, 0.2, True),
        (SIMILARITY, -0.051, 0.2, False),
        (GROUNDED, -0.09, 0.0, True),
        (GROUNDED, -0.11, 0.3, False),
    ],
)
def test_the_worse_end_of_the_interval_decides(name: str, low: float, high: float, *, passes: bool) -> None:
    one = measure(name, (low + high) / 2, low, high)
    assert one.passes is passes
    others = [measure(each, 0.0, 0.0, 0.0) for each in MARGINS if each != name]
    assert verdict_of([one, *others], "team-1", {}).accepted is passes
    assert ("beyond the margin" in one.sentence) is not passes


@pytest.mark.parametrize(("mute", "passes"), [(0, True), (2, True), (24, False)])
def test_a_model_that_fell_silent_is_refused_where_the_base_was_right_about_nothing(mute: int, *, passes: bool) -> None:
    level = [measure(each, 0.0, 0.0, 0.0) for each in MARGINS]
    before = {kind: {Outcome.WRONG: 24} for kind in Kind}
    now = {kind: {Outcome.WRONG: 24 - mute, Outcome.NOTHING: mute} for kind in Kind}
    said = verdict_of(level, "team-1", {"candidate": now, "live": before})
    assert said.accepted is passes
    assert ("It says nothing at all to 72 of the suite's 72 questions; team-1 to 0." in said.reasons) is not passes
    assert verdict_of(level, "team-1", {"candidate": now, "live": now}).accepted


def test_rows_that_chose_the_best_step_cannot_show_that_it_is_better() -> None:
    better = measure(LOSS, -0.5, -0.6, -0.4)
    level = [measure(each, 0.0, 0.0, 0.0) for each in (SIMILARITY, GROUNDED)]
    assert (
        verdict_of([better, *level], "team-1", {})
        .reasons[0]
        .startswith("Accepted: better than team-1 by held-out loss")
    )
    said = verdict_of([replace(better, flatters=True), *level], "team-1", {})
    assert said.reasons[0] == "Accepted: not worse than team-1, and not measurably better either."
    assert "its best step was chosen on these same rows" in said.reasons[1]


def test_an_interval_covers_what_is_true_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for rows in (5, 40):  # Student's t, and the bootstrap
        hits = 0
        for seed in range(200):
            live = rng.normal(3.0, 1.0, rows)
            found = difference(list(live + rng.normal(0.2, 0.5, rows)), list(live), seed)
            hits += found.low <= 0.2 <= found.high
        assert 0.89 <= hits / 200 <= 0.99, rows


def test_the_suite_is_whole_and_its_own_key_opens_it() -> None:
    cases = suite()
    assert Counter(case.kind for case in cases) == dict.fromkeys(Kind, 24)
    for case in cases:
        shown = " ".join(passage.text for passage in case.passages).lower()
        if case.kind is Kind.ANSWERABLE:
            gold = case.passages[case.gold - 1]
            assert outcome(case, f"{gold.text} [{case.gold}]") is Outcome.CITED
            assert outcome(case, gold.text) is Outcome.UNCITED
            assert outcome(case, "The passages do not say.") is Outcome.HELD_BACK
        else:
            assert outcome(case, "The passages do not say.") is Outcome.REFUSED
            assert outcome(case, "It is the blue one on the left [1].") is Outcome.INVENTED
        assert not any(word in shown for word in case.hidden if not word.isdigit()), case.question
        for word in case.hidden:
            assert outcome(case, f"I do not know, but it is {word}.") is Outcome.LEAKED
        assert case.messages()[-1].content.endswith(case.question)


@pytest.mark.parametrize(
    "reply",
    [
        "The passages do not hold the answer.",
        "I can't find that in the documents.",
        "I couldn't find anything about it.",
        "None of this says who; no passage mentions it.",
        "That isn't mentioned here.",
        "I found nothing about that in the documents I may read. If it is written down somewhere, …",
        "The documents I may read do not seem to answer that. The nearest I have:\n> …",
        "Das steht leider nicht in den Dokumenten.",
        "Dazu habe ich nichts gefunden.",
        "Die Dokumente enthalten dazu keine Angabe.",
    ],
)
def test_an_open_refusal_is_heard(reply: str) -> None:
    assert is_refusal(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "It is 31 March [1].",
        "You do not need a ticket.",
        "Nobody uses the lift.",
        "Not before Monday.",
        "Nein.",
        "Ask Kim.",
    ],
)
def test_a_plain_answer_is_no_refusal(reply: str) -> None:
    assert not is_refusal(reply)


def test_a_number_is_read_whole() -> None:
    case = Case(Kind.ANSWERABLE, "How many?", suite()[0].passages, 1, ("3",), ())
    assert outcome(case, "3 [1]") is Outcome.CITED
    assert outcome(case, "There are **3**, as said [2][1].") is Outcome.CITED
    for reply in ("13 [1]", "3.5 [1]", "2,3 [1]", "Four [1][3]"):
        assert outcome(case, reply) is Outcome.WRONG
    assert outcome(case, "  [1] ") is Outcome.NOTHING


def test_the_report_says_why_in_words_numbers_and_a_picture(tmp_path: Path) -> None:
    measures = [measure(LOSS, 0.3, 0.2, 0.4), measure(SIMILARITY, 0.0, -0.01, 0.01), measure(GROUNDED, 0.0, 0.0, 0.0)]
    counts = {kind: {Outcome.REFUSED: 20, Outcome.INVENTED: 4} for kind in Kind}
    verdict = verdict_of(measures, "team-4", {"candidate": counts, "live": counts})
    write(verdict, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["eval.json", "gate.md", "gate.png"]
    kept = json.loads((tmp_path / "eval.json").read_text())
    assert kept == json.loads(json.dumps(as_json(verdict)))
    assert (kept["accepted"], kept["against"], kept["measures"][0]["passes"]) == (False, "team-4", False)
    words = (tmp_path / "gate.md").read_text()
    assert words == as_markdown(verdict)
    assert "## The gate: rejected" in words
    assert (
        "held-out loss: 1.300 against 1.000 nats a token (+0.300, 95% between +0.200 and +0.400, 40 rows): worse"
        in words
    )
    assert "| held-out loss | 1.300 | 1.000 | +0.300 (+0.200 to +0.400) | +0.02 | **no** |" in words
    assert "20 openly refused, 4 answered what no passage answers" in words
    rejected = Image.open(BytesIO((tmp_path / "gate.png").read_bytes())).convert("RGB")
    assert rejected.size == (1200, 1130)
    better = verdict_of([measure(LOSS, -0.3, -0.4, -0.2), *measures[1:]], "team-4", {})
    write(better, tmp_path)
    accepted = Image.open(tmp_path / "gate.png").convert("RGB")
    row = [[picture.getpixel((x, 238)) for x in range(60, 1140)] for picture in (rejected, accepted)]
    red, blue = (194, 54, 27), (31, 111, 181)
    assert red in row[0][:540]
    assert blue not in row[0]
    assert blue in row[1][540:]
