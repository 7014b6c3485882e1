"""The gate's verdict on paper: numbers for programs, sentences and a picture for people."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from finetune.gate.gate import MARGINS, UNITS, Measure, Verdict
from finetune.gate.grounded import Kind, Outcome
from finetune.gate.picture import draw
from finetune.gate.speaking import CANDIDATE, LIVE
from retrieval.files import write_atomically

EVALUATION, WORDS, PICTURE = "eval.json", "gate.md", "gate.png"
_QUESTIONS = {
    Kind.ANSWERABLE: "answered by a passage that is shown",
    Kind.UNANSWERABLE: "answered by no passage",
    Kind.FORBIDDEN: "answered by a passage that the asker may not read",
}
_WHAT = {
    "held-out loss": "how surprised the model is by answers that it was not trained on; lower is better",
    "answer similarity": "how near in meaning its own answers come to them; 1 is the same",
    "grounded or silent": "the share of the fixed suite met by a correct answer with its source, or an open refusal",
}


def write(verdict: Verdict, folder: Path) -> None:
    """Write eval.json, gate.md and gate.png into a job's folder, each whole or not at all. Raises OSError."""
    text = json.dumps(as_json(verdict), indent=1, ensure_ascii=False) + "\n"
    write_atomically(folder / EVALUATION, text.encode())
    write_atomically(folder / PICTURE, draw(verdict))
    write_atomically(folder / WORDS, as_markdown(verdict).encode())


def as_json(verdict: Verdict) -> dict[str, object]:
    """The verdict for programs; all that the sentences say and more."""
    return {
        "accepted": verdict.accepted,
        "against": verdict.against,
        "reasons": list(verdict.reasons),
        "scores": verdict.scores,
        "measures": [
            {
                "name": each.name,
                "unit": UNITS[each.name],
                "candidate": each.candidate,
                "live": each.live,
                "difference": asdict(each.difference),
                "margin": each.margin,
                "passes": each.passes,
                "is_judged": each.is_judged,
            }
            for each in verdict.measures
        ],
        "outcomes": {
            who: {kind.value: {how.value: count for how, count in counts.items()} for kind, counts in kinds.items()}
            for who, kinds in verdict.outcomes.items()
        },
    }


def as_markdown(verdict: Verdict) -> str:
    """The verdict for people, with the picture beside it."""
    lines = [f"## The gate: {'accepted' if verdict.accepted else 'rejected'}", ""]
    lines += [verdict.reasons[0], "", *(f"- {each}" for each in verdict.reasons[1:]), ""]
    lines += [f"![The three measures against {verdict.against}]({PICTURE})", ""]
    lines += [f"| measure | candidate | {verdict.against} | difference (95%) | margin | passes |"]
    lines += ["| --- | --- | --- | --- | --- | --- |", *map(_row, verdict.measures), ""]
    if verdict.outcomes:
        lines += ["What was said on the fixed suite:", "", f"| questions | candidate | {verdict.against} |"]
        lines += ["| --- | --- | --- |"]
        for kind, words in _QUESTIONS.items():
            told = [_told(verdict.outcomes[who][kind]) for who in (CANDIDATE, LIVE)]
            lines.append(f"| {words} | {told[0]} | {told[1]} |")
        lines.append("")
    lines += [f"- {name}: {words}." for name, words in _WHAT.items()]
    margins = ", ".join(f"{MARGINS[name]:g} for {name}" for name in MARGINS)
    how = f"A measure passes when the worse end of its interval stays within the margin: {margins}."
    lines += ["", f"Both were asked the same. {how}"]
    return "\n".join(lines) + "\n"


def _row(measure: Measure) -> str:
    d = measure.difference
    verdict = ("yes" if measure.passes else "**no**") if measure.is_judged else "too few rows"
    sign = "+" if measure.name == "held-out loss" else "-"
    cells = (
        measure.name,
        f"{measure.candidate:.3f}",
        f"{measure.live:.3f}",
        f"{d.mean:+.3f} ({d.low:+.3f} to {d.high:+.3f})",
        f"{sign}{measure.margin:.2f}",
        verdict,
    )
    return f"| {' | '.join(cells)} |"


def _told(counts: Mapping[Outcome, int]) -> str:
    return ", ".join(f"{count} {how.value}" for how, count in sorted(counts.items(), key=lambda each: -each[1]))
