"""A conversation as the starter learns it: a beginning that is shared, and branches that go on from it.

The passages of a prompt are long and its question short, so many questions share one reading of the same passages. A
branch sees the beginning and itself, never another branch: each is exactly the conversation that chat will show.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.generation.rendering import ChatMessage, messages_of
from agent.message import History, Intent, Line, Move, Prompt
from agent.prompt import PERSONA
from finetune.base.tokenizer import ASSISTANT, END, USER
from retrieval.passage import Passage

# What a token counts for when it is to be guessed; `finetune.base.train` gives each a weight. PLAIN is language outside
# of trees, READ an answer from passages.
SILENT, HEARD, SAID, COPIED, PLAIN, READ = range(6)
MOST_BRANCHES = 64  # a tree's number and its branch's share one integer
_MARK = "\ue000"
Part = tuple[str, int]  # text and one of these


@dataclass(frozen=True, slots=True)
class Tree:
    """beginning: what every branch shares. branches: each a run of parts."""

    beginning: str
    branches: tuple[tuple[Part, ...], ...]


@dataclass(frozen=True, slots=True)
class Said:
    """One turn to learn: what a person wrote, and the reply. quote: a copied end of the reply, of less weight."""

    message: str
    reply: str
    quote: str = ""


def asked_of(
    passages: Sequence[Passage], turns: Iterable[Said], persona: str = PERSONA, lines: Sequence[Line] = ()
) -> Tree:
    """Questions about the same passages, each a branch. lines: what was said before, its passages gone."""
    history = History("", tuple(lines))
    *earlier, user = messages_of(Prompt(persona, history, _MARK, Intent.ASK, Move.ANSWER, tuple(passages)))
    before, _, after = user.content.partition(_MARK)
    beginning = f"{rendered(earlier)}{USER}{before}"
    return Tree(beginning, tuple(_branch(f"{said.message.strip()}{after}", said, READ) for said in turns))


def told(turns: Iterable[tuple[Intent, Move, Said]], history: Sequence[Line] = (), persona: str = PERSONA) -> Tree:
    """Turns without passages that share the system message and `history`; each a branch."""
    beginning, branches = "", []
    for intent, move, said in turns:
        messages = messages_of(Prompt(persona, History("", tuple(history)), said.message, intent, move, ()))
        beginning = rendered(messages[:-1])
        branches.append(_branch(f"{USER}{messages[-1].content}", said))
    return Tree(beginning, tuple(branches))


def spoken(system: str, conversations: Iterable[Sequence[Line]]) -> Tree:
    """Whole conversations under a system message of their own; every reply in them is learned."""
    branches = []
    for lines in conversations:
        parts: list[Part] = []
        for line in lines:
            text = line.text.strip()
            parts += (
                [(f"{USER}{text}{END}", HEARD)] if line.role == "user" else [(ASSISTANT, HEARD), (f"{text}{END}", SAID)]
            )
        branches.append(tuple(parts))
    return Tree(rendered([ChatMessage("system", system)]), tuple(branches))


def rendered(messages: Sequence[ChatMessage]) -> str:
    """The chat template's text."""
    return "".join(f"<|{message.role}|>{message.content.strip()}{END}" for message in messages)


def _branch(user: str, said: Said, kind: int = SAID) -> tuple[Part, ...]:
    parts = [(f"{user}{END}{ASSISTANT}", HEARD), (said.reply + ("" if said.quote else END), kind)]
    return (*parts, (said.quote + END, COPIED)) if said.quote else tuple(parts)


Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tree as tokens. All (n,): ids, positions, branch (0 the beginning), kind."""

    ids: Ints
    positions: Ints
    branch: Ints
    kind: Ints


def encoded(trees: Sequence[Tree], tokenizer: Any, window: int) -> Iterator[Encoded]:
    """Each tree with as many of its branches as fit into `window` tokens; one whose beginning is too long is left out.

    tokenizer: a `tokenizers.Tokenizer`. Parts end where the tokenizer cuts anyway, so a branch is the tokens of its
    text.
    """
    texts = [text for tree in trees for text in (tree.beginning, *(t for branch in tree.branches for t, _ in branch))]
    tokens = iter(tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    for tree in trees:
        start = next(tokens).ids
        branches = [[(next(tokens).ids, kind) for _, kind in branch] for branch in tree.branches]
        ids, positions, numbers, kinds = list(start), list(range(len(start))), [0] * len(start), [SILENT] * len(start)
        number = 0
        for branch in branches:
            length = sum(len(part) for part, _ in branch)
            if len(ids) + length > window or number + 1 >= MOST_BRANCHES:
                continue
            number += 1
            positions += range(len(start), len(start) + length)
            numbers += [number] * length
            for part, kind in branch:
                ids += part
                kinds += [kind] * len(part)
            kinds[len(ids) - length] = SILENT  # the token before it in the row is another branch's
        if number:
            yield Encoded(*(np.array(each, dtype=np.int64) for each in (ids, positions, numbers, kinds)))


@dataclass(frozen=True, slots=True)
class Rows:
    """Packed trees, each (rows, window + 1): tokens, positions, seen (tree * 64 + branch), kinds. uint16 and uint8."""

    ids: NDArray[np.uint16]
    positions: NDArray[np.uint16]
    seen: NDArray[np.uint16]
    kinds: NDArray[np.uint8]


def packed(trees: Iterable[Encoded], window: int) -> Rows:
    """Trees into rows, each into the first of the open rows that has room (first fit)."""
    open_rows: list[list[Encoded]] = []
    closed: list[list[Encoded]] = []
    room: list[int] = []
    for tree in trees:
        size = len(tree.ids)
        place = next((i for i, left in enumerate(room) if left >= size), None)
        if place is None:
            open_rows.append([])
            room.append(window + 1)
            place = len(room) - 1
        open_rows[place].append(tree)
        room[place] -= size
        if room[place] < 40 or len(room) > 64:
            full = min(range(len(room)), key=room.__getitem__)
            closed.append(open_rows.pop(full))
            room.pop(full)
    closed += open_rows
    shape = (len(closed), window + 1)
    rows = Rows(
        np.zeros(shape, np.uint16), np.zeros(shape, np.uint16), np.zeros(shape, np.uint16), np.zeros(shape, np.uint8)
    )
    for number, row in enumerate(closed):
        at = 0
        for place, tree in enumerate(row, 1):
            span = slice(at, at + len(tree.ids))
            rows.ids[number, span] = tree.ids
            rows.positions[number, span] = tree.positions
            rows.seen[number, span] = place * MOST_BRANCHES + tree.branch
            rows.kinds[number, span] = tree.kind
            at += len(tree.ids)
    return rows
