"""Treebanks in CoNLL-U (universaldependencies.org/format.html): sentences with words, tags, heads and relations."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.syntax.words import Word
from retrieval.errors import UnreadableFile

TRAINED_ON = {"name": "Universal Dependencies English EWT", "licence": "CC BY-SA 4.0"}


@dataclass(frozen=True, slots=True)
class Tree:
    """One sentence. heads: for each word the number of its head, from 1; 0 is the root."""

    text: str
    words: tuple[Word, ...]
    tags: tuple[str, ...]
    heads: tuple[int, ...]
    relations: tuple[str, ...]


def read_trees(file: Path) -> list[Tree]:
    """All sentences of a gzip'd CoNLL-U file. Raises UnreadableFile."""
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            return [_tree(block) for block in _blocks(lines)]
    except (OSError, EOFError, zlib.error, ValueError, IndexError) as error:
        raise UnreadableFile(
            f"The treebank {file.parent.name}/{file.name} cannot be read ({error}). Point ATELIER_DATA or --data at "
            "the folder of data sets."
        ) from error


def _blocks(lines: Iterator[str]) -> Iterator[list[list[str]]]:
    block: list[list[str]] = []
    for line in lines:
        if line.strip() and not line.startswith("#"):
            block.append(line.rstrip("\n").split("\t"))
        elif not line.strip() and block:
            yield block
            block = []
    if block:
        yield block


def _tree(rows: list[list[str]]) -> Tree:
    """Where words share one token (don't), each has its part of it, or the whole where the parts do not add up."""
    text, words = "", []
    tags, heads, relations = [], [], []
    joined: list[str] = []  # forms of the words that the token at hand still has
    until, token_start = 0, 0
    space = False
    for row in rows:
        name, form, gap = row[0], row[1], "SpaceAfter=No" not in row[9]
        if "." in name:  # an empty node of the enhanced graph
            continue
        if "-" in name:
            first, _, last = name.partition("-")
            text += " " * space + form
            token_start, until, space = len(text) - len(form), int(last), gap
            parts = [each[1] for each in rows if each[0].isdigit() and int(first) <= int(each[0]) <= until]
            joined = parts if "".join(parts) == form else []
            at = token_start
            continue
        number = int(name)
        if number <= until:
            start = at if joined else token_start
            end = start + len(form) if joined else len(text)
            at = end
        else:
            text += " " * space + form
            start, end, space = len(text) - len(form), len(text), gap
        words.append(Word(form, start, end))
        tags.append(row[3])
        heads.append(int(row[6]))
        relations.append(row[7])
    return Tree(text, tuple(words), tuple(tags), tuple(heads), tuple(relations))
