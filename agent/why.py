"""Why an answer is as it is, in words for a person: what was understood, decided, found, and left out. Pure."""

from collections.abc import Iterator

from agent.generation.answer import HOLDS
from agent.message import Move, Turn
from agent.prompt import label

SHORT = 160  # characters of a sentence that was left out
KEPT = "Sentences of the model that the passages support:"
FOREIGN = "Of these {} in another language than the passage: only their numbers and codes could be compared."
LEFT_OUT = "Left out, as no passage supports it:"
TRIED = "Passages, with the search's certainty that they answer:"
READ = "The reader gives this sentence {:.0%} as the answer (from {:.0%} on it is quoted as one):"
UNREAD = "The trained reader was not asked: {}."
LACKING = "; not in the passages:"


def why(turn: Turn) -> str:
    """The decision, what it rests on, the passages with their scores, and what was dropped, as Markdown."""
    reasons = (f"- {reason}" for reason in turn.understanding.reasons)
    return "\n".join([turn.decision.reason, *reasons, *_evidence(turn)])


def _evidence(turn: Turn) -> Iterator[str]:
    if turn.decision.move is not Move.ANSWER or not turn.passages:
        return
    numbers = {source.passage: source.number for source in turn.reply.sources}
    yield TRIED
    for passage in sorted(turn.passages, key=lambda each: numbers.get(each.id, len(numbers) + 1)):
        mark = f"[{numbers[passage.id]}] " if passage.id in numbers else ""
        yield f"- {mark}{label(passage)} ({passage.score:.0%})"
    yield from _read(turn)
    claims = [claim for claim in turn.reply.claims if not claim.is_read]
    kept = [claim for claim in claims if claim.is_shown]
    dropped = [claim for claim in claims if not claim.is_shown]
    if kept:
        yield f"{KEPT} {len(kept)} ({min(claim.support for claim in kept):.0%} to {max(c.support for c in kept):.0%})"
    if foreign := sum(claim.is_foreign for claim in kept):
        yield FOREIGN.format(foreign)
    if dropped:
        yield LEFT_OUT
    for claim in dropped:
        text = _short(claim.text)
        lacks = f"{LACKING} {claim.lacks}" if claim.lacks else ""
        yield f"- “{text}” ({claim.support:.0%}{lacks})"


def _read(turn: Turn) -> Iterator[str]:
    for claim in turn.reply.claims:
        if claim.is_read and claim.text:
            yield f"{READ.format(claim.support, HOLDS)} “{_short(claim.text)}”"
        elif claim.is_read:
            yield UNREAD.format(claim.lacks)


def _short(text: str) -> str:
    return text if len(text) <= SHORT else f"{text[:SHORT].rstrip()} …"
