"""A message is understood in one encoder pass; doubt shows as low confidence; foreign heads never speak."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import surface
from agent.head import Head
from agent.message import Intent, Sentiment
from agent.understanding import SHIPPED, SURE, Understander
from retrieval.encoder import Encoder, TransformerEncoder
from retrieval.errors import HeadError, HeadMismatch
from retrieval.files import MANIFEST, sha256_of
from retrieval.passage import Vectors


class Counting:
    """An encoder that counts its passes."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self.passes = encoder, 0
        self.dim, self.id = encoder.dim, encoder.id

    def __call__(self, texts: Sequence[str]) -> Vectors:
        self.passes += 1
        return self._encoder(texts)

    def count_tokens(self, text: str) -> int:
        return self._encoder.count_tokens(text)


class Stranger:
    """Another encoder: other vectors, another id."""

    dim, id = 8, "stranger"

    def __call__(self, texts: Sequence[str]) -> Vectors:
        rows = np.array([[len(text) + 1, *range(1, self.dim)] for text in texts], dtype=np.float32)
        unit: Vectors = rows.reshape(-1, self.dim) / np.linalg.norm(rows.reshape(-1, self.dim), axis=1, keepdims=True)
        return unit

    def count_tokens(self, text: str) -> int:
        return len(text.split())


@pytest.fixture(scope="module")
def understander(encoder: TransformerEncoder) -> Understander:
    return Understander(encoder)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("hi", Intent.SMALL_TALK),
        ("thanks!", Intent.SMALL_TALK),
        ("how are you?", Intent.SMALL_TALK),
        ("Hey, how's it going today?", Intent.SMALL_TALK),
        ("what can you do?", Intent.HELP),
        ("help", Intent.HELP),
        ("who are you", Intent.HELP),
        ("how do I install it?", Intent.ASK),
        ("and for Germany?", Intent.ASK),
        ("where do we keep the signed contracts", Intent.ASK),
        ("how do i complain about a colleague?", Intent.ASK),
        ("brainstorm names for a coffee shop", Intent.IDEATE),
        ("how might we make onboarding less lonely", Intent.IDEATE),
        ("let me talk to a human", Intent.HUMAN),
        ("this is terrible, you keep getting it wrong", Intent.COMPLAINT),
        ("the second source is outdated, it moved in may", Intent.FEEDBACK),
        ("book me a flight", Intent.OUT_OF_SCOPE),
        ("<@U123> remind me at 5 to call Ben", Intent.OUT_OF_SCOPE),
    ],
)
def test_what_people_type_is_understood(understander: Understander, text: str, intent: Intent) -> None:
    understood = understander.understand(text)
    assert understood.intent is intent
    assert understood.confidence >= SURE


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [
        ("this is terrible, you keep getting it wrong", Sentiment.NEGATIVE),
        ("not good at all", Sentiment.NEGATIVE),
        ("😡😡", Sentiment.NEGATIVE),
        ("the workshop was wonderful, thank you!", Sentiment.POSITIVE),
        ("not bad at all", Sentiment.POSITIVE),
        ("👍", Sentiment.POSITIVE),
        ("how do i reset my password?", Sentiment.NEUTRAL),
        ("the train leaves from platform 2", Sentiment.NEUTRAL),
    ],
)
def test_mood_is_heard(understander: Understander, text: str, sentiment: Sentiment) -> None:
    assert understander.understand(text).sentiment is sentiment


@pytest.mark.parametrize(
    "text", ["asdf", "", "??", "qwe rtz uio", "年假有几天", "hur många semesterdagar har jag", "17"]
)
def test_what_cannot_be_understood_comes_out_in_doubt(understander: Understander, text: str) -> None:
    assert understander.understand(text).confidence < SURE


def test_one_pass_serves_search_intent_and_sentiment(encoder: TransformerEncoder) -> None:
    counting = Counting(encoder)
    understander = Understander(counting)
    understood = understander.understand("how do i install it?")
    assert counting.passes == 1
    np.testing.assert_allclose(understood.embedding, encoder(["how do i install it?"])[0], atol=1e-6)
    _, query = understander.understand_for_search("and for Germany?", "vacation days for Germany?")
    assert counting.passes == 2
    assert query @ encoder(["vacation days for Germany?"])[0] > 0.999


def test_a_batch_says_what_single_messages_say(understander: Understander) -> None:
    texts = ["hi", "how long is the warranty on the big oven, and who pays for the repair?", "👍"]
    for alone, together in zip(map(understander.understand, texts), understander.understand_all(texts), strict=True):
        assert alone.intent is together.intent
        assert alone.confidence == pytest.approx(together.confidence, abs=0.02)
    assert understander.understand_all([]) == []


def test_reasons_are_for_people(understander: Understander) -> None:
    asked, felt = understander.understand("how do i reset my password").reasons
    assert asked.startswith("reads as a question for facts (")
    assert "closest to “how do i reset my password?”" in asked
    assert felt.startswith("sounds neutral (")
    assert "“terrible”" in understander.understand("this is terrible").reasons[1]
    assert "a guess" in understander.understand("qwe rtz uio").reasons[0]


@given(st.text(max_size=200))
@settings(max_examples=40, deadline=None)
def test_any_text_is_understood_somehow(text: str) -> None:
    understood = Understander(Stranger()).understand(text)
    assert 0 <= understood.confidence <= 1
    values = surface.features(text)
    assert np.isfinite(values).all()
    assert np.abs(values).max() <= surface.SCALE + 1e-6


def test_a_megabyte_of_text_takes_no_time() -> None:
    surface.features("hey, " * 200_000 + "why is this so terrible?")


def test_with_another_encoder_rules_stand_in_and_say_so() -> None:
    understander = Understander(Stranger())
    assert "finetune heads" in understander.notice
    human = understander.understand("let me talk to a human")
    assert human.intent is Intent.HUMAN
    assert "rule of thumb" in human.reasons[0]
    unknown = understander.understand("the quarterly report")
    assert (unknown.intent, unknown.confidence < SURE) == (Intent.ASK, True)
    with pytest.raises(HeadMismatch, match="stranger"):
        Head.load(SHIPPED, "intent", Stranger())


def reseal(folder: Path) -> None:
    """Make the manifest fit changed files, as someone who edits a head by hand might."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for name in manifest["files"]:
        manifest["files"][name] = {"size": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("damage", ["cut", "shape", "json", "label", "gone"])
def test_a_damaged_head_is_refused_clearly(
    encoder: TransformerEncoder, tmp_path: Path, damage: str, sealed: bool
) -> None:
    folder = tmp_path / "heads"
    shutil.copytree(SHIPPED, folder)
    card = folder / "intent.json"
    match damage:
        case "cut":
            (folder / "intent.safetensors").write_bytes((folder / "intent.safetensors").read_bytes()[:-100])
        case "shape":
            shutil.copy(folder / "sentiment.safetensors", folder / "intent.safetensors")
        case "json":
            card.write_text("[]")
        case "label":
            card.write_text(card.read_text().replace('"small_talk"', '"gossip"'))
        case "gone":
            shutil.rmtree(folder)
    if sealed and damage != "gone":
        reseal(folder)
    with pytest.raises(HeadError, match="Train the heads again"):
        Understander(encoder, folder)
