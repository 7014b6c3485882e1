"""The running summary: what is kept of the lines that no longer fit a prompt. Pure, and needs no model.

Extractive on purpose: a summary that only quotes invents nothing, and a forgotten person's words can be taken out of
it again. It keeps how the conversation began and the sentences whose words matter most: words of middling frequency,
as in Luhn, "The automatic creation of literature abstracts" (1958).
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

from agent.message import Line
from retrieval.tokens import words

CUT = " …"
LONGEST = 240  # characters of one quoted sentence
MISSES = 50  # sentences found too long before the rest of the budget is left unused
_WIDE = "\u3002\uff01\uff1f"  # the full-width . ! ? of Chinese and Japanese, which no space follows
_CLOSING = "\"'\u201d\u2019)\\]\u300d\u300f\uff09"
# Possessive, and never begun inside a run of dots: "....." of any length costs linear time.
SENTENCE = re.compile(
    rf"[^\n{_WIDE}]+?(?:(?<![.!?\u2026])[.!?\u2026]++[{_CLOSING}]*+(?=\s)|[{_WIDE}]++[{_CLOSING}]*+|(?=\n)|$)"
)
_WHO = {"user": "User", "assistant": "Assistant"}

CountTokens = Callable[[str], int]


def sentences(text: str) -> list[str]:
    """The sentences of `text` in order, each on one line."""
    return [" ".join(found.split()) for found in SENTENCE.findall(text) if found.strip()]


def fold(summary: str, lines: Sequence[Line], budget_tokens: int, count_tokens: CountTokens) -> str:
    """`summary` with what matters in `lines` folded in: at most `budget_tokens`, one quoted sentence a line.

    Deterministic. The sentences stand in the order in which they were said.
    """
    items = [item for item in summary.split("\n") if item]
    for line in lines:
        items += [f"{_WHO[line.role]}: {clip(sentence)}" for sentence in sentences(line.text)]
    items = list(dict.fromkeys(items))
    chosen: list[int] = []
    left, misses = budget_tokens, 0
    for index in _by_weight(items):
        cost = count_tokens(items[index]) + 1  # its newline
        if cost <= left:
            chosen.append(index)
            left -= cost
        else:
            misses += 1
            if misses == MISSES:
                break
    return "\n".join(items[index] for index in sorted(chosen))


def quoted(item: str) -> str:
    """The words of one line of a summary, without who said them and without the mark of a cut."""
    return item.partition(": ")[2].removesuffix(CUT)


def shorten(text: str, budget_tokens: int, count_tokens: CountTokens) -> str:
    """`text` if it has at most `budget_tokens`, else as much of its beginning as fits, with " …" after it."""
    if count_tokens(text) <= budget_tokens:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if count_tokens(text[:middle] + CUT) <= budget_tokens:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + CUT


def _by_weight(items: Sequence[str]) -> list[int]:
    """Positions in `items`: the first one, since it says what the conversation is about, then by weight, newest first.

    A sentence's weight is the sum of its words' over the root of their number, so that length alone does not win.
    """
    found = [{word for word in words(quoted(item)) if len(word) > 3 or not word.isascii()} for item in items]
    frequency = Counter(word for each in found for word in each)
    weight_of = {word: math.log1p(n) * math.log((len(items) + 1) / n) for word, n in frequency.items()}
    weights = [
        (1.5 if item.endswith(("?", "\uff1f")) else 1)
        * math.fsum(map(weight_of.__getitem__, each))
        / math.sqrt(len(each) + 1)
        for item, each in zip(items, found, strict=True)
    ]
    order = sorted(range(len(items)), key=lambda i: (weights[i], i), reverse=True)
    return sorted(order, key=lambda i: i != 0)


def clip(sentence: str) -> str:
    """A sentence as a summary quotes it: its first LONGEST characters."""
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - len(CUT)].rstrip() + CUT
