"""Words cut as treebanks do, the best tree, and phrases that say what a text is about."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from agent.syntax.parser import SHIPPED, Parser, _batch
from agent.syntax.phrases import key_phrases, singular
from agent.syntax.short import Short
from agent.syntax.tree import best_tree
from agent.syntax.words import covered, is_english, words_of
from finetune.heads_data import own_rows
from retrieval.encoder import TransformerEncoder
from retrieval.errors import HeadError
from retrieval.files import write_folder_atomically


@pytest.fixture(scope="module")
def parser(encoder: TransformerEncoder) -> Parser:
    return Parser(encoder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't like it.", "I do n't like it ."),
        ("It's well-known, can't and shouldn't've", "It 's well - known , ca n't and should n't 've"),
        ("U.S. prices are $5.50 :) see http://a.b/c, ok?", "U.S. prices are $ 5.50 :) see http://a.b/c , ok ?"),
        ("", ""),
    ],
)
def test_words_are_cut_as_treebanks_do(text: str, words: str) -> None:
    assert [each.text for each in words_of(text)] == words.split()
    assert all(text[each.start : each.end] == each.text for each in words_of(text))


def test_pieces_lie_over_the_words_that_they_are_part_of() -> None:
    pieces = [(0, 0), (0, 1), (2, 5), (5, 6), (6, 7), (8, 12), (0, 0)]  # [CLS] i don ' t like [SEP]
    assert covered(words_of("I don't like"), pieces) == [(1, 2), (2, 3), (2, 5), (5, 6)]


def test_the_best_tree_is_the_best_of_all_trees() -> None:
    chance = np.random.default_rng(0)
    for size in (1, 2, 3, 4, 4, 4, 4):
        scores = chance.normal(size=(size, size + 1)).astype(np.float32) * 2
        scores[np.arange(size), np.arange(size) + 1] = -1e4
        trees = [each for each in itertools.product(range(size + 1), repeat=size) if is_tree(each)]
        best = max(sum(float(scores[i, head]) for i, head in enumerate(each)) for each in trees)
        found = best_tree(scores)
        assert is_tree(found)
        assert sum(float(scores[i, head]) for i, head in enumerate(found)) == pytest.approx(best, abs=1e-4)


def is_tree(heads: tuple[int, ...] | list[int]) -> bool:
    """Whether all reach the root, by one word alone."""

    def reaches(word: int) -> bool:
        for _ in heads:
            word = heads[word - 1]
            if word == 0:
                return True
        return False

    return list(heads).count(0) == 1 and all(reaches(word) for word in range(1, len(heads) + 1))


def test_a_message_is_read(parser: Parser) -> None:
    first, second = parser.read("The coffee machine on the second floor is broken again. I hate it!")
    read = zip(first.words, first.tags, first.heads, first.relations, strict=True)
    of = {word.text: (tag, head, relation) for word, tag, head, relation in read}
    assert of["coffee"] == ("NOUN", 3, "compound")
    assert of["broken"][1] == 0
    assert of["machine"][:2] == ("NOUN", 9)
    assert second.relations == ("nsubj", "root", "obj", "punct")
    assert key_phrases([first, second]) == ["coffee machine", "second floor"]
    assert key_phrases(parser.read("The new expense rules are terrible")) == ["new expense rule"]


def test_a_message_is_read_as_the_network_reads_it(parser: Parser) -> None:
    """In one row without padding, by its own LSTM: what is said is the same, of one sentence as of several."""
    texts = [row.text for row in own_rows("intent")][::5]
    texts = [" ".join(texts[i : i + 1 + i % 4]) for i in range(0, len(texts), 4)] + ["it", "I can't. 👍 !!!\n- ok"]
    sentences = 0
    for text in texts:
        parts = parser.parts(text)
        states = parser.states([part.written for part in parts], ())
        batch = _batch(states, parser._below, [part.words for part in parts])
        assert Short.fits(batch)
        with torch.inference_mode():
            quick, plain = parser._short(batch), parser._network.said(batch)
        for one, other in zip(quick, plain, strict=True):
            sentences += 1
            for name in ("tags", "heads", "relations"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name), text)
    assert sentences > 50


@pytest.mark.parametrize("text", ["", "…", "👍👍", "x" * 3000, "a b " * 400, "你好 谢谢", "\n\n\n", "!!! ???"])
def test_any_text_can_be_read(parser: Parser, text: str) -> None:
    for sentence in parser.read(text):
        assert len(sentence.words) == len(sentence.tags) == len(sentence.heads)
        assert is_tree(sentence.heads)


def test_other_languages_are_told_apart() -> None:
    assert is_english("The printer is broken")
    assert not is_english("Der Drucker ist schon wieder kaputt und niemand kümmert sich")
    assert not is_english("打印机又坏了")
    assert not is_english("123")


def test_damaged_heads_are_refused(encoder: TransformerEncoder, tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "weights")
    file = tmp_path / "weights" / "syntax.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(HeadError, match="cannot be used"):
        Parser(encoder, tmp_path / "weights")


def test_heads_with_numbers_that_are_none_or_labels_too_few_are_refused(
    encoder: TransformerEncoder, tmp_path: Path
) -> None:
    def written(name: str, tags: list[str], broken: str) -> Path:
        tensors = load((SHIPPED / "syntax.safetensors").read_bytes())
        if broken:
            tensors[broken] = tensors[broken] * float("nan")
        card = json.loads((SHIPPED / "syntax.json").read_bytes()) | {"tags": tags}

        def fill(folder: Path) -> None:
            (folder / "syntax.safetensors").write_bytes(save(tensors))
            (folder / "syntax.json").write_text(json.dumps(card))

        write_folder_atomically(tmp_path / name, fill, {})
        return tmp_path / name

    tags = json.loads((SHIPPED / "syntax.json").read_bytes())["tags"]
    with pytest.raises(HeadError, match="not finite"):
        Parser(encoder, written("nan", tags, "tagger.weight"))
    with pytest.raises(HeadError, match="other labels"):
        Parser(encoder, written("few", tags[:-1], ""))


def test_singular() -> None:
    assert [singular(each) for each in ("machines", "policies", "bus", "glass", "boxes", "news")] == [
        "machine",
        "policy",
        "bus",
        "glass",
        "box",
        "news",
    ]
