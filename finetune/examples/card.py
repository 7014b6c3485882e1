"""The data card: what a job learns from, what was left out and why, for a program and for a person."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from finetune.examples.problems import EXPLAINED, Code, Source
from finetune.examples.stored import CARD
from retrieval.errors import DataRefused

BAR = 40  # characters of the longest bar
_SHADES = "█▏▎▍▌▋▊▉"


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of the training rows. histogram: (upper end, rows) of bins that double, the first one up to 16 tokens."""

    total: int = 0
    trained: int = 0  # that a loss is taken on
    longest: int = 0
    median: int = 0
    histogram: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """Whom and what the training rows hold: what a deletion must reach. audiences: only who holds all may be served."""

    persons: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataCard:
    """Counts are of rows. removed, noted: by code. authors: each author's share of the training rows, largest first."""

    made: str
    sources: tuple[Source, ...]
    read: int
    train: int
    held_out: int
    quarantined: int
    removed: Mapping[str, int]
    noted: Mapping[str, int]
    redacted: Mapping[str, int]
    tokens: Tokens
    languages: Mapping[str, int]
    ratings: Mapping[str, int]
    authors: tuple[float, ...]
    split: str
    seed: int
    learned_from: Learned
    warnings: tuple[str, ...] = ()
    erased: int = 0  # rows deleted since, for a person or a document

    def json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode()

    def text(self) -> str:
        """The card as Markdown."""
        return "\n\n".join(part for part in _parts(self) if part) + "\n"


def read_card(folder: Path) -> DataCard:
    """The card of a job's data folder. Raises DataRefused."""
    try:
        return TypeAdapter(DataCard).validate_json((folder / CARD).read_bytes())
    except (OSError, ValidationError) as error:
        raise DataRefused("The job has no readable data card. Start a new job.") from error


def histogram(lengths: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """How many lengths are up to 16, 32, 64, …; no empty bins before the first or after the last."""
    bins: dict[int, int] = {}
    for length in lengths:
        end = max(16, 1 << (length - 1).bit_length())
        bins[end] = bins.get(end, 0) + 1
    if not bins:
        return ()
    ends = [min(bins)]
    while ends[-1] < max(bins):
        ends.append(ends[-1] * 2)
    return tuple((end, bins.get(end, 0)) for end in ends)


def bars(counts: Sequence[tuple[str, int]]) -> list[str]:
    """A line for each count: its name, a bar, the number."""
    most = max((count for _, count in counts), default=0)
    width = max((len(name) for name, _ in counts), default=0)
    lines = []
    for name, count in counts:
        eighths = round(count * BAR * 8 / most) if most else 0
        bar = _SHADES[0] * (eighths // 8) + (_SHADES[eighths % 8] if eighths % 8 else "")
        lines.append(f"{name:>{width}} {bar or ('▏' if count else '')} {count:,}")
    return lines


def _parts(card: DataCard) -> list[str]:
    kept = card.train + card.held_out
    tokens = card.tokens
    share = f" ({tokens.trained / tokens.total:.0%})" if tokens.total else ""
    counts = (
        f"Made {card.made}. {card.read:,} rows were read: {card.train:,} to train on, {card.held_out:,} held out, "
        f"{card.quarantined:,} in quarantine."
    )
    parts = [
        "# Data card",
        counts,
        *(f"**{warning}**" for warning in card.warnings),
        "## Where it comes from",
        _table(
            ("kind", "name", "rows", "licence", "SHA-256"),
            [
                (each.kind, f"`{each.name}`", f"{each.rows:,}", each.licence or "not stated", f"`{each.sha256[:16]}…`")
                for each in card.sources
            ],
        ),
    ]
    if card.erased:
        parts.append(f"{card.erased:,} rows were deleted since, for a person or a document.")
    if card.removed:
        rows = [(f"`{code}`", f"{count:,}", _explained(code)) for code, count in _ranked(card.removed)]
        parts += ["## What was left out", _table(("code", "rows", "why"), rows)]
        parts.append("A row may have several reasons. `quarantine.jsonl` names each row with all of them.")
    if card.noted:
        rows = [(f"`{code}`", f"{count:,}", _explained(code)) for code, count in _ranked(card.noted)]
        parts += ["## What was changed or is worth a look", _table(("code", "rows", "what"), rows)]
    if card.redacted:
        listed = ", ".join(f"{count:,} × {kind}" for kind, count in _ranked(card.redacted))
        parts.append(f"Replaced by placeholders: {listed}.")
    if tokens.total:
        picture = bars([(f"≤ {end:,}", count) for end, count in tokens.histogram])
        lengths = (
            f"{tokens.total:,} tokens in the training rows, {tokens.trained:,} of them learned{share}; the median row "
            f"has {tokens.median:,}, the longest {tokens.longest:,}."
        )
        parts += ["## Length", lengths, "```\n" + "\n".join(picture) + "\n```"]
    if kept:
        languages = ", ".join(f"{name} {count / kept:.0%}" for name, count in _ranked(card.languages))
        ratings = ", ".join(f"{count:,} {name}" for name, count in _ranked(card.ratings))
        parts += ["## Languages and ratings", f"{languages}.", f"Rated: {ratings}."]
    parts += ["## Authors", _authors(card), "## Split", f"{card.split} Drawn with seed {card.seed}."]
    if card.learned_from.audiences:
        listed = ", ".join(f"`{each}`" for each in card.learned_from.audiences)
        parts += ["## Who may be served", f"Only who may read all of this: {listed}."]
    return parts


def _authors(card: DataCard) -> str:
    if not card.authors:
        return "No training row names an author."
    shares = ", ".join(f"{share:.0%}" for share in card.authors[:10])
    more = f", and {len(card.authors) - 10:,} more" if len(card.authors) > 10 else ""
    return f"{len(card.authors):,} authors wrote, as shares of the training rows: {shares}{more}."


def _explained(code: str) -> str:
    return EXPLAINED[Code(code)]


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(each.replace("|", "\\|") for each in line) + " |" for line in lines)
