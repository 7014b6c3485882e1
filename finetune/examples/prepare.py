"""From what was read to a sealed data folder: every example cleaned and checked, the rest quarantined with reasons."""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.generation.rendering import render_training
from finetune.example import Example
from finetune.examples.card import DataCard, Learned, Tokens, histogram
from finetune.examples.chats import EXCERPT
from finetune.examples.cleaning import clean_example, control_pattern, speaks_control
from finetune.examples.languages import UNKNOWN, language_of
from finetune.examples.problems import Code, Problem, Read, Severity
from finetune.examples.redaction import Redactor
from finetune.examples.repeats import Repeats, asked_and_replied
from finetune.examples.shares import above_share
from finetune.examples.splitting import split
from finetune.examples.stored import (
    CARD,
    CARD_TEXT,
    HELD_OUT,
    QUARANTINE,
    TRAIN,
    origin_row,
    rewriting,
    row_of,
    write_rows,
)
from finetune.recipe import Recipe
from retrieval.errors import DataRefused
from retrieval.files import write_folder_atomically

FEW = 50  # training rows below which the card warns
MOST_LISTED = 20  # problems that a refusal names
_WIDEST_TOKEN = 64  # characters; a text so many times longer than the limit need not be cut into tokens


@dataclass(frozen=True, slots=True)
class Prepared:
    """card: of the folder that was sealed. problems: every one, of reading and of preparing, in order."""

    card: DataCard
    problems: tuple[Problem, ...]


def prepare(
    reads: Sequence[Read],
    recipe: Recipe,
    tokenizer: Any,
    folder: Path,
    *,
    held_out: Sequence[Read] = (),
    names: Collection[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Clean, check, split and seal what was read, into `folder`.

    held_out: rows of the administrator's own to measure on; without them a share of the rows is held out. names: of
    people and accounts, to be replaced by placeholders. progress: called with rows done and rows in all; what it raises
    ends the work with the old folder untouched.

    The folder is sealed with its quarantine and card also when nothing is left to learn from; then DataRefused is
    raised, which names the problems. Raises ModelFolderError when the chat template fails.
    """
    rows = _Rows(recipe, tokenizer, names)
    every = [(example, True) for read in held_out for example in read.examples]
    every += [(example, False) for read in reads for example in read.examples]
    for read in (*reads, *held_out):
        rows.take_read(read)
    for done, (example, is_held_out) in enumerate(every):
        if progress is not None and done % 100 == 0:
            progress(done, len(every))
        rows.take(example, is_held_out=is_held_out)
    parted = _parted(rows, recipe, is_given=bool(held_out))
    card = _card(rows, parted, recipe, (*reads, *held_out))

    def fill(fresh: Path) -> None:
        write_rows(fresh / TRAIN, (row_of(row.example) for row in parted.train))
        write_rows(fresh / HELD_OUT, (row_of(row.example) for row in parted.held_out))
        write_rows(fresh / QUARANTINE, rows.quarantine)
        (fresh / CARD).write_bytes(card.json())
        (fresh / CARD_TEXT).write_text(card.text(), encoding="utf-8")

    try:
        with rewriting(folder):
            write_folder_atomically(folder, fill, {"train": card.train, "held_out": card.held_out})
    except OSError as error:
        raise DataRefused(f"The data cannot be written to {folder} ({error.strerror}). Free some space.") from error
    _refuse_too_little(parted, recipe, rows.problems)
    return Prepared(card, tuple(rows.problems))


@dataclass(frozen=True, slots=True)
class _Row:
    example: Example
    tokens: int
    trained: int
    language: str


@dataclass(frozen=True, slots=True)
class _Parted:
    train: list[_Row]
    held_out: list[_Row]
    sentence: str
    warnings: list[str]


class _Rows:
    """The rows that stay, and the record of those that do not."""

    def __init__(self, recipe: Recipe, tokenizer: Any, names: Collection[str]) -> None:
        self._recipe = recipe
        self._tokenizer = tokenizer
        self._control = control_pattern(tokenizer)
        self._redactor = Redactor(names)
        self._repeats = Repeats()
        self.kept: list[_Row] = []
        self.given_held_out: list[_Row] = []
        self.quarantine: list[dict[str, object]] = []
        self.removed: Counter[str] = Counter()
        self.noted: Counter[str] = Counter()
        self.redacted: Counter[str] = Counter()
        self.problems: list[Problem] = []

    @property
    def links(self) -> list[tuple[int, int]]:
        """Pairs of `kept`, where nothing was given as held out."""
        return self._repeats.links

    def take_read(self, read: Read) -> None:
        """What reading found already."""
        self.problems += read.problems
        for problem in read.problems:
            if problem.severity is not Severity.ROW:
                self.noted[problem.code] += 1
        for each in read.rejected:
            self._quarantine(each.place, each.problems, {"excerpt": self._redactor.text(each.excerpt)})

    def take(self, example: Example, *, is_held_out: bool) -> None:
        """Keep the example as it will be learned, or put it into the quarantine."""
        example, was_changed = clean_example(example)
        spoken = speaks_control(example, self._control)
        example, replaced = self._redactor.redact(example)
        found: list[tuple[Code, str]] = []
        if spoken is not None:
            found.append((Code.CONTROL_TOKENS, f"Message {spoken} holds a control token of a chat template."))
        empty = next((n for n, each in enumerate(example.messages, 1) if not each.content), None)
        if empty is not None:
            found.append((Code.EMPTY_CONTENT, f"Nothing of message {empty} can be seen."))
        tokens, trained = self._measured(example, found)
        if not found and (refusal := self._repeats.refusal(example, is_held_out=is_held_out)):
            found.append(refusal)
        if found:
            self.refuse(example, found)
            return
        if was_changed:
            self._note(
                example,
                Code.CLEANED,
                "Invisible characters were taken out, or letters brought to their usual spelling.",
            )
        if replaced:
            self.redacted.update(replaced)
            listed = ", ".join(f"{count} × {kind}" for kind, count in sorted(replaced.items()))
            self._note(example, Code.REDACTED, f"Replaced by placeholders: {listed}.")
        row = _Row(example, tokens, trained, _language(example))
        (self.given_held_out if is_held_out else self.kept).append(row)

    def refuse(self, example: Example, found: Sequence[tuple[Code, str]]) -> None:
        """Put a row that was read whole into the quarantine; its text is redacted by now."""
        source = _document(example)
        problems = [Problem(example.origin.place, code, message, document=source) for code, message in found]
        self.problems += problems
        row = row_of(example)
        excerpt = json.dumps(row["messages"], ensure_ascii=False)[:EXCERPT]
        more = {"excerpt": excerpt, "origin": origin_row(example.origin), "rating": example.rating}
        self._quarantine(example.origin.place, problems, more)

    def note_languages(self) -> None:
        """Say which rows are in another language than most, once all are known."""
        counts = Counter(row.language for row in self.kept if row.language != UNKNOWN)
        usual = counts.most_common(1)[0][0] if counts else UNKNOWN
        for row in self.kept:
            if row.language != usual:
                what = "The language could not be told" if row.language == UNKNOWN else f"This is {row.language}"
                self._note(row.example, Code.LANGUAGE, f"{what}; most rows are {usual}.")

    def _measured(self, example: Example, found: list[tuple[Code, str]]) -> tuple[int, int]:
        """Tokens of the row, and how many of them are learned."""
        limit = self._recipe.max_tokens
        if sum(len(message.content) for message in example.messages) > limit * _WIDEST_TOKEN:
            found.append((Code.TOO_LONG, f"The row has far more than {limit:,} tokens."))
            return 0, 0
        ids, mask = render_training(example.messages, self._tokenizer, untrained=example.untrained)
        if len(ids) > limit:
            found.append((Code.TOO_LONG, f"The row has {len(ids):,} tokens; the recipe's max_tokens is {limit:,}."))
        if not any(mask):
            found.append((Code.NO_TRAINABLE_TOKEN, "No token of the row would be learned."))
        return len(ids), sum(mask)

    def _quarantine(self, place: str, problems: Sequence[Problem], more: dict[str, object]) -> None:
        reasons = [{"code": problem.code, "message": problem.message} for problem in problems]
        self.quarantine.append({"place": place, "problems": reasons, **more})
        self.removed.update({problem.code for problem in problems})

    def _note(self, example: Example, code: Code, message: str) -> None:
        self.noted[code] += 1
        self.problems.append(Problem(example.origin.place, code, message, Severity.NOTE, _document(example)))


def _document(example: Example) -> str:
    """What a row was made of, where that was a passage; empty for what people wrote."""
    return example.origin.documents[0] if example.origin.place.startswith("passage ") else ""


def _language(example: Example) -> str:
    asked, replied = asked_and_replied(example)
    said = language_of(replied)
    return said if said != UNKNOWN else language_of(f"{asked}\n{replied}")


def _parted(rows: _Rows, recipe: Recipe, *, is_given: bool) -> _Parted:
    rows.note_languages()
    warnings = []
    if is_given:
        train, held_out = list(enumerate(rows.kept)), rows.given_held_out
        sentence = "The held-out rows were given; rows that repeat them were left out of the training rows."
    else:
        train, held_out, sentence = _split(rows, recipe)
    examples = [row.example for _, row in train]
    gone, share = above_share(examples, recipe.author_share, recipe.seed)
    if share > recipe.author_share:
        count = round(1 / share)
        warnings.append(
            f"Only {count} {'person' if count == 1 else 'people'} wrote all of the training rows, so each may have "
            f"{share:.0%} of them instead of the recipe's {recipe.author_share:.0%}."
        )
    for i in sorted(gone):
        reason = f"Its author would have more than {share:.0%} of the rows."
        rows.refuse(examples[i], [(Code.AUTHOR_SHARE, reason)])
    stay = [row for i, (_, row) in enumerate(train) if i not in gone]
    if len(stay) < FEW:
        warnings.append(f"These are few rows: below {FEW} an adapter learns them by heart rather than a manner.")
    return _Parted(stay, held_out, sentence, warnings)


def _split(rows: _Rows, recipe: Recipe) -> tuple[list[tuple[int, _Row]], list[_Row], str]:
    """Rows that supervised training leaves out are drawn with nobody: they follow those they repeat."""
    drawn = [i for i, row in enumerate(rows.kept) if recipe.objective != "sft" or row.example.rating >= 0]
    order = {index: place for place, index in enumerate(drawn)}
    links = [(order[i], order[j]) for i, j in rows.links if i in order and j in order]
    parts = split([rows.kept[i].example for i in drawn], links, recipe.held_out, recipe.seed)
    held = {index for index, is_held in zip(drawn, parts.held_out, strict=True) if is_held}
    held |= {max(pair) if min(pair) in held else min(pair) for pair in rows.links if len(held & set(pair)) == 1}
    train = [(i, row) for i, row in enumerate(rows.kept) if i not in held]
    return train, [rows.kept[i] for i in sorted(held)], parts.sentence


def _card(rows: _Rows, parted: _Parted, recipe: Recipe, reads: Sequence[Read]) -> DataCard:
    train, kept = parted.train, [*parted.train, *parted.held_out]
    lengths = sorted(row.tokens for row in train)
    origins = [row.example.origin for row in train]
    authors = Counter(origin.person for origin in origins if origin.person)
    learned = Learned(
        tuple(sorted({person for origin in origins for person in (origin.person, *origin.others) if person})),
        tuple(sorted({document for origin in origins for document in origin.documents})),
        tuple(sorted({audience for origin in origins for audience in origin.audiences})),
    )
    said = {1: "good", -1: "bad", 0: "not rated"}
    return DataCard(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        sources=tuple(read.source for read in reads),
        read=sum(read.source.rows for read in reads),
        train=len(train),
        held_out=len(parted.held_out),
        quarantined=len(rows.quarantine),
        removed=dict(rows.removed),
        noted=dict(rows.noted),
        redacted=dict(rows.redacted),
        tokens=Tokens(
            sum(lengths),
            sum(row.trained for row in train),
            max(lengths, default=0),
            int(statistics.median(lengths)) if lengths else 0,
            histogram(lengths),
        ),
        languages=dict(Counter(row.language for row in kept)),
        ratings=dict(Counter(said[row.example.rating] for row in kept)),
        authors=tuple(count / len(train) for _, count in authors.most_common()),
        split=parted.sentence,
        seed=recipe.seed,
        learned_from=learned,
        warnings=tuple(parted.warnings),
    )


def _refuse_too_little(parted: _Parted, recipe: Recipe, problems: Sequence[Problem]) -> None:
    good = [[row for row in part if row.example.rating >= 0] for part in (parted.train, parted.held_out)]
    missing = ""
    if recipe.objective == "sft" and not all(good):
        missing = "Supervised training needs at least two different rows that were not rated bad, one of them held out."
    elif recipe.objective == "kto" and {row.example.rating for row in parted.train} < {1, -1}:
        missing = "KTO needs rows rated good and rows rated bad."
    elif recipe.objective == "dpo" and not _has_pair(parted.train):
        missing = "DPO needs a prompt with a reply rated good and another rated bad."
    if missing:
        refused = [str(problem) for problem in problems if problem.severity is not Severity.NOTE]
        listed = "\n".join(refused[:MOST_LISTED])
        more = f"\n… and {len(refused) - MOST_LISTED:,} more, all in the quarantine" if refused[MOST_LISTED:] else ""
        found = f" These were refused:\n{listed}{more}" if refused else ""
        raise DataRefused(f"There is too little left to learn from. {missing}{found}")


def _has_pair(rows: Sequence[_Row]) -> bool:
    prompts = {1: set[object](), -1: set[object](), 0: set[object]()}
    for row in rows:
        prompts[row.example.rating].add(row.example.messages[:-1])
    return bool(prompts[1] & prompts[-1])
