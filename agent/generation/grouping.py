"""The ideas of a brainstorm in groups, and those that may say the same, by their numbers on the list. Pure."""

from collections.abc import Sequence

from agent.generation.phrases import phrase
from agent.ideation.groups import duplicates, grouped
from retrieval.encoder import Encoder

SHOWN = 3  # pairs that may be merged, the likest


def grouped_said(ideas: Sequence[str], encoder: Encoder, counted: str, language: str) -> str:
    """Groups with a label each, and what may be merged. counted: how many ideas there are, in words."""
    numbers = [str(number) for number in range(1, len(ideas) + 1)]
    vectors = encoder(ideas)
    groups = grouped(numbers, ideas, vectors)
    lines = [f"**{group.label}**\n{_lines(group.ideas, ideas)}" for group in groups]
    said = [
        phrase("ideate", "grouped", language=language).format(groups="\n\n".join(lines))
        if lines
        else phrase("ideate", "grouped_none", language=language).format(count=counted)
    ]
    alike = phrase("ideate", "alike", language=language)
    pairs = duplicates(numbers, ideas, vectors)[:SHOWN]
    return "\n\n".join([*said, *(alike.format(one=each.first, other=each.second) for each in pairs)])


def _lines(group: Sequence[str], ideas: Sequence[str]) -> str:
    return "\n".join(f"{number}. {ideas[int(number) - 1]}" for number in sorted(group, key=int))
