"""Whether a trained adapter may serve: not worse than what serves now, in three ways, each with its interval.

A measure passes when the worse end of its 95% interval stays within a margin (a test of non-inferiority): a difference
that chance explains does not fail it, and neither does doubt hide a loss. Margins and why they are what they are:

- held-out loss: 0.02 nats a token, which is 2% of perplexity: less than a reader notices, and about what the interval
  of a few hundred paired rows can tell from nothing.
- answer similarity: 0.05 of cosine, a twentieth of the scale. It is coarse: a reply that says the same in other words
  loses more than that.
- grounded or silent: 0.10 of the suite's 72 questions, seven. Where chance decides a twentieth of the answers, one in a
  hundred versions that are as good is refused (`bench_gate`, measured); a smaller margin would refuse many.

A model that fell silent is refused besides: on a base that is right about nothing yet, no measure above would see it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from agent.generation.rendering import ChatMessage
from finetune.example import Example
from finetune.gate.grounded import RIGHT, Case, Kind, Outcome, outcome, suite
from finetune.gate.intervals import FEW, Interval, difference
from finetune.gate.speaking import CANDIDATE, LIVE, Speakers
from retrieval.encoder import Encoder
from retrieval.errors import FinetuneError

LOSS, SIMILARITY, GROUNDED = "held-out loss", "answer similarity", "grounded or silent"
MARGINS: Mapping[str, float] = {LOSS: 0.02, SIMILARITY: 0.05, GROUNDED: 0.10}
UNITS: Mapping[str, str] = {LOSS: "nats a token", SIMILARITY: "cosine", GROUNDED: "share of questions"}
MOST_LOSSES, MOST_REPLIES = 400, 60  # held-out examples that are measured
REPLY = 96  # tokens of a reply at most: both are cut alike
Progress = Callable[[str, int, int], None]  # what is done, how much of how much; may raise to end the gate


@dataclass(frozen=True, slots=True)
class Measure:
    """One comparison. candidate, live: means. difference: candidate minus live. is_judged: whether it decides.

    flatters: the candidate's best step was chosen on these rows, so they cannot show that it is better.
    """

    name: str
    candidate: float
    live: float
    difference: Interval
    margin: float
    is_judged: bool = True
    flatters: bool = False

    @property
    def passes(self) -> bool:
        """Whether the worse end of the interval stays within the margin."""
        d = self.difference
        return d.high <= self.margin if self.name == LOSS else d.low >= -self.margin

    @property
    def is_better(self) -> bool:
        d = self.difference
        return not self.flatters and (d.high < 0 if self.name == LOSS else d.low > 0)

    @property
    def sentence(self) -> str:
        """What was seen, for a person."""
        d = self.difference
        seen = (
            f"{self.name}: {self.candidate:.3f} against {self.live:.3f} {UNITS[self.name]} "
            f"({d.mean:+.3f}, 95% between {d.low:+.3f} and {d.high:+.3f}, {d.rows} rows)"
        )
        if not self.is_judged:
            return f"{seen}: too few rows to decide by."
        if self.passes and self.flatters:
            return f"{seen}: not worse; its best step was chosen on these same rows, which flatter it."
        if self.passes:
            return f"{seen}: {'better' if self.is_better else 'not worse'}."
        limit = f"{'+' if self.name == LOSS else '-'}{self.margin:.2f}"
        worse = d.low > 0 if self.name == LOSS else d.high < 0
        return f"{seen}: {'worse' if worse else 'it may be worse'}, beyond the margin of {limit}."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says. against: who served when it was measured. outcomes: of the suite, by kind and by speaker."""

    accepted: bool
    reasons: tuple[str, ...]
    measures: tuple[Measure, ...]
    against: str
    outcomes: Mapping[str, Mapping[Kind, Mapping[Outcome, int]]] = field(default_factory=dict)

    @property
    def scores(self) -> dict[str, float]:
        """What the registry keeps with the version."""
        return {each.name.replace(" ", "_").replace("-", "_"): each.candidate for each in self.measures}


def gate(
    base: str | Path,
    candidate: Path,
    held_out: Sequence[Example],
    *,
    live: Path | None,
    against: str,
    encoder: Encoder,
    cases: Sequence[Case] | None = None,
    device: str | None = None,
    reply: int = REPLY,
    seed: int = 0,
    flatters: bool = False,
    progress: Progress = lambda *_: None,
) -> Verdict:
    """Measure the adapter in `candidate` against the one in `live` (None: the bare base model) on the same rows.

    against: how the live one is called in the report. cases: of the grounded-or-silent suite; None: the whole fixed
    one. reply: the most tokens of one. flatters: the best step was chosen on `held_out` itself. Takes minutes on a
    small model without a GPU. Raises ModelFolderError when an adapter does not fit its base, FinetuneError when there
    is nothing to measure on.
    """
    rng = np.random.default_rng(seed)
    cases = suite() if cases is None else cases
    speakers = Speakers(base, candidate, live, device=device)
    try:
        fitting = [example for example in held_out if speakers.fits(example.messages)]
        chosen = [fitting[i] for i in sorted(rng.permutation(len(fitting))[:MOST_LOSSES])]
        if len(chosen) < 2:
            raise FinetuneError(
                f"There are {len(chosen)} held-out examples to judge by, and at least 2 are needed. Give more data, or "
                "set a larger `held_out` in the recipe."
            )
        measures = [replace(_losses(speakers, chosen, seed, progress), flatters=flatters)]
        asked = [chosen[i].messages for i in sorted(rng.permutation(len(chosen))[:MOST_REPLIES])]
        measures.append(_similarity(speakers, asked, reply, encoder, seed, progress))
        grounded, outcomes = _grounded(speakers, cases, reply, seed, progress)
        measures.append(grounded)
    finally:
        speakers.close()
    return verdict_of(measures, against, outcomes)


def verdict_of(
    measures: Sequence[Measure],
    against: str,
    outcomes: Mapping[str, Mapping[Kind, Mapping[Outcome, int]]],
) -> Verdict:
    """Accepted when every measure that decides passes; the reasons begin with what failed."""
    failed = [each for each in measures if each.is_judged and not each.passes]
    silent = _fallen_silent(outcomes, against)
    better = [each.name for each in measures if each.is_judged and each.is_better]
    if failed or silent:
        first = f"Refused: it would be a step back from {against}."
    elif better:
        first = f"Accepted: better than {against} by {' and '.join(better)}, and worse in nothing."
    else:
        first = f"Accepted: not worse than {against}, and not measurably better either."
    rest = [each for each in measures if each not in failed]
    reasons = (
        first,
        *(each.sentence for each in failed),
        *silent,
        *(each.sentence for each in rest),
    )
    return Verdict(not (failed or silent), reasons, tuple(measures), against, outcomes)


def _fallen_silent(outcomes: Mapping[str, Mapping[Kind, Mapping[Outcome, int]]], against: str) -> list[str]:
    """Why a candidate that says nothing where the other speaks is refused; empty where it speaks."""
    if not outcomes:
        return []
    total = sum(sum(counts.values()) for counts in outcomes[CANDIDATE].values())
    mute, before = (
        sum(counts.get(Outcome.NOTHING, 0) for counts in outcomes[who].values()) for who in (CANDIDATE, LIVE)
    )
    if mute - before <= MARGINS[GROUNDED] * total:
        return []
    return [f"It says nothing at all to {mute} of the suite's {total} questions; {against} to {before}."]


def _losses(speakers: Speakers, examples: Sequence[Example], seed: int, progress: Progress) -> Measure:
    told = _counter("held-out loss", 2 * len(examples), progress)
    candidate = speakers.losses(CANDIDATE, examples, told)
    live = speakers.losses(LIVE, examples, told)
    return _measure(LOSS, [_bounded(each) for each in candidate], [_bounded(each) for each in live], seed)


def _bounded(loss: float) -> float:
    """A model whose numbers broke is as surprised as can be said."""
    return min(loss, 100.0) if math.isfinite(loss) else 100.0


def _similarity(
    speakers: Speakers,
    conversations: Sequence[Sequence[ChatMessage]],
    reply: int,
    encoder: Encoder,
    seed: int,
    progress: Progress,
) -> Measure:
    """How near in meaning each reply is to the one that was held out."""
    asked = [messages[:-1] for messages in conversations]
    wanted = encoder([messages[-1].content for messages in conversations])
    told = _counter("answers", 2 * len(asked), progress)
    scores: dict[str, list[float]] = {}
    for who in (CANDIDATE, LIVE):
        replies = speakers.replies(who, asked, reply, told)
        near = np.einsum("nd,nd->n", encoder([said or " " for said in replies]), wanted)
        scores[who] = [float(score) if said.strip() else 0.0 for score, said in zip(near, replies, strict=True)]
    return _measure(SIMILARITY, scores[CANDIDATE], scores[LIVE], seed, is_judged=len(asked) >= FEW)


def _grounded(
    speakers: Speakers, cases: Sequence[Case], reply: int, seed: int, progress: Progress
) -> tuple[Measure, dict[str, dict[Kind, dict[Outcome, int]]]]:
    told = _counter("grounded or silent", 2 * len(cases), progress)
    asked = [case.messages() for case in cases]
    scores: dict[str, list[float]] = {}
    outcomes: dict[str, dict[Kind, dict[Outcome, int]]] = {}
    for who in (CANDIDATE, LIVE):
        replies = speakers.replies(who, asked, reply, told)
        met = [outcome(case, said) for case, said in zip(cases, replies, strict=True)]
        scores[who] = [float(each in RIGHT) for each in met]
        outcomes[who] = {kind: _counted(kind, cases, met) for kind in Kind}
    return _measure(GROUNDED, scores[CANDIDATE], scores[LIVE], seed), outcomes


def _counted(kind: Kind, cases: Sequence[Case], met: Sequence[Outcome]) -> dict[Outcome, int]:
    own = [how for case, how in zip(cases, met, strict=True) if case.kind is kind]
    return {how: own.count(how) for how in Outcome if how in own}


def _measure(
    name: str, candidate: Sequence[float], live: Sequence[float], seed: int, *, is_judged: bool = True
) -> Measure:
    found = difference(candidate, live, seed)
    return Measure(name, float(np.mean(candidate)), float(np.mean(live)), found, MARGINS[name], is_judged)


def _counter(what: str, total: int, progress: Progress) -> Callable[[int], None]:
    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        progress(what, done, total)

    return told
