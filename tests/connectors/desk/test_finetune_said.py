"""What jobs, versions and the gate say, in the reader's language: each whole, or left as it is."""

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.desk.finetune_said import said_in
from connectors.tuning import figures_said, outcome_said, progress_said
from finetune.gate.gate import LOSS, MARGINS, Measure, verdict_of
from finetune.gate.intervals import Interval
from finetune.job import Figures, Job, Order, Progress, State
from finetune.recipe import Recipe

ENGLISH = (" the ", " of ", " is ", " and ", " rows", " left", " step ", " about ")
JOB = Job("20261127-1", Path("job"), Order(name="team", base="b", recipe=Recipe()), State.VALIDATING, "now", True)


def states() -> list[Job]:
    running = replace(JOB, state=State.RUNNING)
    ends = [replace(JOB, state=each, version="team-1") for each in (State.SUCCEEDED, State.CANCELLED)]
    going = replace(running, progress=Progress(10, 40, 1.5, 1.75, 100.0, 90.0))
    return [JOB, replace(JOB, cancel_requested=True), replace(JOB, state=State.QUEUED), running, going, *ends]


@pytest.mark.parametrize("job", states(), ids=lambda job: job.state)
def test_how_far_a_job_is(job: Job) -> None:
    said = said_in("de-AT", progress_said(job))
    assert said != progress_said(job)
    assert not any(word in said for word in ENGLISH)
    assert said_in("fr", progress_said(job)) == progress_said(job)


def test_what_a_job_takes_keeps_its_figures() -> None:
    said = said_in("de", figures_said(Figures(90, 10, 3, 9_000, 3_000, 40, 130.0, 700_000_000)))
    assert said == (
        "90 Zeilen zum Lernen, 10 zum Messen zurückgelegt, 3 weggelassen. 9,000 Tokens, davon 3,000 gelernt. "
        "In 40 Schritten: etwa 2 Minuten und 0.7 GB Speicher."
    )
    least = figures_said(Figures(90, 10, 3, 9_000, 3_000, 1, 0.2, 700_000_000))
    assert "In 1 step: about 1 second and" in least
    assert "In 1 Schritt: etwa 1 Sekunde und" in said_in("de", least)


@pytest.mark.parametrize("mean", [0.0, 0.3])
def test_every_sentence_of_the_gate(mean: float) -> None:
    measures = [
        Measure(name, 1.0, 1.0, Interval(mean if name == LOSS else -mean, -0.001 - mean, 0.001 + mean, 40), margin)
        for name, margin in MARGINS.items()
    ]
    for one in (measures[0], replace(measures[0], is_judged=False), replace(measures[0], flatters=True)):
        verdict = verdict_of([one, *measures[1:]], "the model without an adapter", {})
        lines = verdict.reasons[1:] if verdict.accepted else verdict.reasons
        said = said_in("de", "\n".join(f"- {each}" for each in lines))
        assert said.count("Zeilen)") == len(MARGINS)
        assert not any(word in said for word in (*ENGLISH, " worse", "against", "between"))
    rejected = replace(JOB, state=State.REJECTED, reason="Refused: it would be a step back from team-1.")
    assert said_in("de", outcome_said(rejected)).endswith(
        "lässt es nicht durch: Abgelehnt: Es wäre schlechter als team-1."
    )
