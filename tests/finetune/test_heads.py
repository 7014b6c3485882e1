"""Heads train from the project's own rows alone, the same way each time, and are written whole or not at all."""

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from agent.message import Intent, Sentiment
from agent.understanding import SHIPPED, Understander
from finetune import heads
from finetune.heads import LABELS, HeadsReport, Unseen, calibration_error, fit_temperature, probabilities, train_heads
from finetune.heads_data import LICENCES, OWN, Row, held_out_rows, own_rows, shared_rows
from retrieval.errors import StoreError, UnreadableFile
from retrieval.files import read_manifest
from retrieval.passage import Vectors


@cache
def direction(word: str, dim: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4])
    return np.random.default_rng(seed).standard_normal(dim)


class WordHash:
    """A small real encoder: each word adds a fixed random direction."""

    dim, id = 128, "word-hash"

    def __call__(self, texts: Sequence[str]) -> Vectors:
        rows = np.array([self._row(text) for text in texts], dtype=np.float32).reshape(-1, self.dim)
        unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def _row(self, text: str) -> np.ndarray:
        row: np.ndarray = sum(direction(word, self.dim) for word in ("", *text.lower().split()))
        return row

    def count_tokens(self, text: str) -> int:
        return len(text.split())


@pytest.fixture(scope="module")
def fewer() -> Iterator[None]:
    """Every fifth row and two folds: all of them take twenty times as long, and show no more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "own_rows", lambda kind: own_rows(kind)[::5])
        patch.setattr(heads, "FOLDS", 2)
        yield


@pytest.fixture(scope="module")
def trained(fewer: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, HeadsReport, list[str]]:
    folder, said = tmp_path_factory.mktemp("trained") / "heads", []
    report = train_heads(WordHash(), None, folder, seed=1, progress=said.append)
    return folder, report, said


def test_own_rows_are_enough(trained: tuple[Path, HeadsReport, list[str]]) -> None:
    folder, report, said = trained
    understander = Understander(WordHash(), folder)
    assert understander.notice == ""
    assert understander.understand("i want to talk to a human").intent is Intent.HUMAN
    assert understander.understand("this is terrible").sentiment is Sentiment.NEGATIVE
    assert [head.kind for head in report.heads] == ["intent", "sentiment"]
    assert report.heads[0].figures[0].accuracy > 0.4  # eight labels, words alone, few rows, others than these
    assert any("calibration error" in sentence for sentence in said)


def test_the_card_says_where_a_head_comes_from(trained: tuple[Path, HeadsReport, list[str]]) -> None:
    folder, report, _ = trained
    assert read_manifest(folder)["encoder"] == "word-hash"
    card = json.loads((folder / "intent.json").read_text())
    assert card["sources"] == [{"name": OWN, "licence": "Apache-2.0", "rows": report.heads[0].rows}]
    assert card["labels"] == list(Intent)
    assert card["temperature"] == report.heads[0].temperature


def test_the_same_seed_gives_the_same_heads(trained: tuple[Path, HeadsReport, list[str]], tmp_path: Path) -> None:
    train_heads(WordHash(), tmp_path / "no sets here", tmp_path / "again", seed=1)
    for name in ("intent.safetensors", "sentiment.safetensors", "intent.json", "sentiment.json"):
        assert (tmp_path / "again" / name).read_bytes() == (trained[0] / name).read_bytes()


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        train_heads(WordHash(), None, tmp_path / "file" / "heads")


def test_shipped_heads_come_only_from_sets_whose_licence_allows_it() -> None:
    for kind in LABELS:
        card = json.loads((SHIPPED / f"{kind}.json").read_text())
        for source in card["sources"]:
            assert LICENCES[source["name"]] == source["licence"]
            assert source["licence"].startswith(("Apache", "CC BY", "CDLA-Sharing"))
            assert "NC" not in source["licence"]


def test_shipped_heads_were_trained_on_the_rows_as_they_are() -> None:
    """Fails when rows were edited and `atelier finetune heads` was not run again."""
    for kind in LABELS:
        sources = json.loads((SHIPPED / f"{kind}.json").read_text())["sources"]
        assert {source["name"]: source["rows"] for source in sources}[OWN] == len(own_rows(kind))


@pytest.mark.parametrize("kind", LABELS)
def test_own_rows_are_clean(kind: str) -> None:
    rows = own_rows(kind)
    assert len({row.text for row in rows}) == len(rows)
    assert {row.label for row in rows} - {None} == set(LABELS[kind])
    assert all(row.text == row.text.strip() for row in rows)


def write_set(folder: Path, name: str, rows: Sequence[object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))


def test_public_sets_are_mapped_capped_and_may_be_absent(tmp_path: Path) -> None:
    assert shared_rows("intent", tmp_path, cap=5, seed=0) == []
    alarms = [{"text": f"set alarm {i}", "intent": "alarm"} for i in range(20)]
    unclear = [{"text": "is that a yes or a no", "intent": "calculator"}]
    write_set(tmp_path / "clinc150", "train.jsonl.gz", [*alarms, *unclear, {"text": "hello", "intent": "greeting"}])
    rows = shared_rows("intent", tmp_path, cap=5, seed=0)
    assert [row.label for row in rows] == [Intent.OUT_OF_SCOPE] * 5 + [Intent.SMALL_TALK]
    assert rows == shared_rows("intent", tmp_path, cap=5, seed=0)
    write_set(tmp_path / "sst", "train.jsonl.gz", [{"text": "superb", "label": "positive"}])
    assert shared_rows("sentiment", tmp_path, cap=5, seed=0) == []  # no licence stated: it may only measure
    assert held_out_rows("sentiment", tmp_path, cap=5, seed=0) == [Row("superb", "positive", "sst")]


@pytest.mark.parametrize(
    "content",
    [b"not gzip", gzip.compress(b"{broken"), gzip.compress(b'{"text": 1}')[:-4]],
    ids=["not gzip", "broken JSON", "cut short"],
)
def test_a_damaged_set_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clinc150").mkdir()
    (tmp_path / "clinc150" / "train.jsonl.gz").write_bytes(content)
    with pytest.raises(UnreadableFile, match="clinc150"):
        shared_rows("intent", tmp_path, cap=5, seed=0)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    chances = np.array([[0.9, 0.1]] * 10)
    assert calibration_error(chances, np.array([True] * 9 + [False])) == pytest.approx(0.0)
    assert calibration_error(chances, np.array([False] * 10)) == pytest.approx(0.9)


def test_a_head_that_is_too_sure_of_itself_is_cooled() -> None:
    rng = np.random.default_rng(0)
    rows = tuple(Row("", LABELS["sentiment"][rng.integers(3)], OWN) for _ in range(300))
    right = np.array([LABELS["sentiment"].index(row.label or "") for row in rows])
    said = np.where(rng.random(300) < 0.7, right, (right + 1) % 3)
    logits = np.eye(3)[said] * 9.0  # says 99.9%, is right in 70%
    temperature = fit_temperature([Unseen(OWN, "folds", rows, logits)], LABELS["sentiment"])
    assert temperature > 3
    assert probabilities(logits, temperature).max(axis=1).mean() == pytest.approx((said == right).mean(), abs=0.02)
