"""The starter: plain language in bits, reading as conversation on SQuAD 2.0 dev, and small talk.

Reading: every question comes with the three passages of its article whose words fit best (BM25), rendered as chat does;
answerable ones, the same with the passage that answers taken away, and SQuAD 2.0's unanswerable ones. Exact match and
F1 are SQuAD's own, of the words that an answerer offers as the answer: the starter its span, the extractive generator
its quotes. Small talk: messages of clinc150 test, whose intents the starter's own replies were written for. Intervals
are 95 % bootstraps. What the model read and said stays in the folder that ATELIER_WORK names, so that a run that was
stopped goes on.
"""

import copy
import hashlib
import json
import os
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from math import log
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from agent.generation.answer import answer, refuses
from agent.generation.evidence import Reader
from agent.generation.loading import STARTER
from agent.generation.phrases import kind_of_small_talk, phrase, phrases, small_talk
from agent.generation.sentences import cut
from agent.generation.span import Found, SpanReader
from agent.generation.starter import SHOWN, SURE, fitting, marked, taught
from agent.message import History, Intent, Move, Prompt
from agent.prompt import PERSONA
from agent.reading.reader import shipped
from finetune.base.sources import documents, held_out
from finetune.base.sources import rows as lines
from finetune.base.talk import words
from retrieval.encoder import TransformerEncoder
from retrieval.passage import Passage
from tests.benchmarks import Report
from tests.benchmarks.bench_extractive import KINDS, Case, cases
from tests.benchmarks.ngram import NGrams
from tests.benchmarks.squad import DATA, articles

PIECE = 2048  # tokens of text that are read together
Answer = tuple[str | None, str]  # what is offered as the answer (None: there is none), and the whole reply


@dataclass(frozen=True)
class Outcome:
    case: Case
    offered: str | None
    reply: str


def run(quick: bool) -> Report:
    reader, kept = SpanReader(), Kept()
    rows = [*_language(quick), *_reading(quick, reader, kept), *_talk(quick, reader, kept)]
    return Report(
        "starter",
        "is the small model worth its place: language, reading, small talk?",
        rows,
        (
            "bits a byte: of held-out text, each document alone; the n-grams are counted on half the starter's text.",
            "to the point: the reply is one written for the message's intent; the model learned from clinc150 train.",
            "The quoting generator's phrases were written without that set and cover 8 of the 19 intents.",
            f"marked: the starter's words at a probability of {SURE} or more, in bold in the extractive reply.",
        ),
    )


def _language(quick: bool) -> list[dict[str, str | float]]:
    """Bits a byte on the held-out articles and chapters."""
    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    texts: dict[str, list[str]] = {}
    for name, text in held_out(DATA):
        texts.setdefault(name, []).append(text)
    texts = {name: some[: 4 if quick else 40] for name, some in texts.items()}
    trained = AutoModelForCausalLM.from_pretrained(STARTER, dtype=torch.float32).eval()
    torch.manual_seed(0)
    untrained = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(STARTER)).float().eval()
    grams = NGrams(_stream(tokenizer, 40 if quick else 9_000), len(tokenizer))
    rows: list[dict[str, str | float]] = []
    rounded = eight_bit(trained)
    for name, measure in (
        (f"starter, {megabytes(trained, 2)} MB in bfloat16", lambda ids: _bits(trained, ids)),
        (f"starter in 8 bits, {megabytes(trained, 1)} MB", lambda ids: _bits(rounded, ids)),
        ("the same shape, untrained", lambda ids: _bits(untrained, ids)),
        ("n-grams of 3 pieces", grams.bits),
    ):
        found = {}
        for source, some in texts.items():
            bits = sum(measure(tokenizer(text)["input_ids"]) for text in some)
            found[f"bits a byte: {source}"] = bits / sum(len(text.encode()) for text in some)
        rows.append({"measured": name, **found})
    return rows


def eight_bit(model):
    """A copy whose matrices are rounded to 255 steps of each row's largest weight, as a file of 8 bits holds them."""
    rounded = copy.deepcopy(model)
    for weight in rounded.parameters():
        if weight.ndim > 1:
            step = weight.data.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
            weight.data = (weight.data / step).round() * step
    return rounded


def megabytes(model, size: int) -> str:
    """Of the file; in 8 bits each row has a step of 16."""
    held = sum(
        each.numel() * size + (2 * len(each) if size == 1 else 0) if each.ndim > 1 else 2 * each.numel()
        for each in model.parameters()
    )
    return f"{held / 1e6:.1f}"


def _stream(tokenizer, count: int) -> np.ndarray:
    """Every second document's pieces until there are `count` documents."""
    found: list[int] = []
    for number, (_, text) in enumerate(documents(DATA)):
        if number // 2 >= count:
            break
        if number % 2 == 0:
            found += [*tokenizer(text)["input_ids"], 0]
    return np.array(found, dtype=np.int64)


@torch.inference_mode()
def _bits(model, ids: Sequence[int]) -> float:
    total = 0.0
    for start in range(0, len(ids), PIECE - 1):
        piece = torch.tensor([[0, *ids[start : start + PIECE - 1]]])  # after the mark between documents
        logits = model(piece).logits[0, :-1].float()
        total += float(torch.nn.functional.cross_entropy(logits, piece[0, 1:], reduction="sum"))
    return total / log(2)


class Kept:
    """What the model said before, by what it was asked: JSON lines in ATELIER_WORK/starter.jsonl, if that is set."""

    def __init__(self) -> None:
        folder = os.environ.get("ATELIER_WORK")
        self._path = Path(folder) / "starter.jsonl" if folder else None
        written = self._path.read_text("utf-8").splitlines() if self._path and self._path.exists() else []
        self._said = {each["asked"]: each["said"] for each in map(json.loads, written)}

    def said(self, asked: Sequence[str], say: Callable[[], object]) -> object:
        """The earlier reply, or what `say` gives, as JSON holds it."""
        key = hashlib.sha256("\n\0".join(asked).encode()).hexdigest()[:16]
        if key not in self._said:
            self._said[key] = say()
            if self._path:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"asked": key, "said": self._said[key]}) + "\n")
        return self._said[key]


class Answerers:
    """What is compared on the same prompts."""

    def __init__(self, reader: SpanReader, encoder: TransformerEncoder, kept: Kept) -> None:
        self._reader, self._quoting, self._kept = reader, Reader(encoder, shipped()), kept
        self._quotes: dict[int, str] = {}

    def found(self, case: Case) -> Found | None:
        shown = case.passages[:SHOWN]

        def read() -> dict[str, object] | None:
            found = self._reader.read(_prompt(case.question.text, shown))
            return found and asdict(found)

        said = self._kept.said([case.question.text, *(passage.text for passage in shown)], read)
        return Found(**said) if isinstance(said, dict) else None

    def quotes(self, case: Case) -> str:
        if id(case) not in self._quotes:
            reading = self._quoting.read(case.question.text, case.passages)
            self._quotes[id(case)] = answer(case.question.text, reading, case.passages)
        return self._quotes[id(case)]

    def extractive(self, case: Case) -> Answer:
        text = self.quotes(case)
        return None if refuses(text) else text.removeprefix(phrase("answer", "unsure")).strip(), text

    def extractive_sentence(self, case: Case) -> Answer:
        """Of its quotes the first sentence."""
        offered, text = self.extractive(case)
        return None if offered is None else (cut(offered) or cut(text))[0].text, text

    def starter(self, case: Case) -> Answer:
        found = self.found(case)
        return (None, "") if found is None else (found.text, f"{found.text} [{found.passage + 1}]")

    def starter_sure(self, case: Case) -> Answer:
        found = self.found(case)
        return (None, "") if found is None or found.probability < SURE else (found.text, found.text)

    def both(self, case: Case) -> Answer:
        """What the default shows: the quotes, with the starter's words marked in them where both are sure."""
        found, text = self.found(case), self.quotes(case)
        offered, _ = self.extractive(case)
        if found is None or found.probability < SURE or text.startswith(phrase("answer", "unsure")):
            return offered, text
        shown = marked(text, found)
        return (found.text if shown != text else offered), shown


def _prompt(question: str, passages: tuple[Passage, ...]) -> Prompt:
    return Prompt(PERSONA, History(), question, Intent.ASK, Move.ANSWER, passages)


def _reading(quick: bool, reader: SpanReader, kept: Kept) -> list[dict[str, str | float]]:
    chosen = articles("dev_v2.0")
    asked = cases(chosen, per_article=max(1, (35 if quick else 350) // len(chosen)))
    answerers = Answerers(reader, TransformerEncoder(), kept)
    named: dict[str, Callable[[Case], Answer]] = {
        "extractive": answerers.extractive,
        "extractive, first sentence": answerers.extractive_sentence,
        "starter": answerers.starter,
        f"starter, sure ({SURE})": answerers.starter_sure,
        "extractive with the starter's mark (the default)": answerers.both,
    }
    rows = [measured(name, [Outcome(case, *answerer(case)) for case in asked]) for name, answerer in named.items()]
    return [*rows, _marks([Outcome(case, *answerers.both(case)) for case in asked])]


def _marks(outcomes: Sequence[Outcome]) -> dict[str, str | float]:
    """How often the default marks something, by kind of question, and how often that is right."""
    row: dict[str, str | float] = {"measured": "the marks"}
    for kind in KINDS:
        some = [each for each in outcomes if each.case.kind == kind]
        row[f"marked: {kind}"] = round(mean("**" in each.reply for each in some), 4)
    given = [each for each in outcomes if each.case.kind == KINDS[0] and "**" in each.reply]
    right = [float(max(f1(each.offered, gold) for gold in each.case.question.answers) >= 0.5) for each in given]
    low, high = interval(right)
    return {**row, "marks right": round(mean(right or [0.0]), 4), "marks right, 95 %": f"{low:.3f}-{high:.3f}"}


# The quoting generator's phrases by the intent that they answer.
QUOTING = {
    "greeting": ("greeting", "how_are_you"), "goodbye": ("goodbye",), "thank_you": ("thanks",), "tell_joke": ("joke",),
    "what_is_your_name": ("who",), "are_you_a_bot": ("who",), "who_made_you": ("who",), "yes": ("agreement",),
}  # fmt: skip


def _talk(quick: bool, reader: SpanReader, kept: Kept) -> list[dict[str, str | float]]:
    """Small talk as the default answers it, and as the quoting generator alone does."""
    by_intent = {intent: name for intent, name in words()["clinc"].items() if name != "help"}
    to_the_point: dict[str, list[float]] = {"extractive": [], "starter": []}
    for intent, name in by_intent.items():
        some = islice(
            (row["text"] for row in lines(DATA, "clinc150/test") if row["intent"] == intent), 2 if quick else 8
        )
        for text in some:
            asked = Prompt(PERSONA, History(), text, Intent.SMALL_TALK, Move.CHAT, ())
            said, quoted = kept.said([text], lambda asked=asked: reader.speak(asked)), small_talk(text, History())
            own = [each for kind in QUOTING.get(intent, ()) for each in phrases("chat", kind)]
            shown = said if said in fitting(kind_of_small_talk(text)) else quoted
            to_the_point["extractive"].append(float(quoted in own))
            to_the_point["starter"].append(float(shown in taught(name) or shown in own))
    return [
        {
            "measured": f"small talk to the point, {name}",
            "messages": len(values),
            "to the point": round(mean(values), 4),
            "to the point, 95 %": "{:.3f}-{:.3f}".format(*interval(values)),
        }
        for name, values in to_the_point.items()
    ]


def measured(name: str, outcomes: Sequence[Outcome]) -> dict[str, str | float]:
    row: dict[str, str | float] = {"measured": name}
    answerable = [each for each in outcomes if each.case.kind == KINDS[0]]
    offered = [each for each in answerable if each.offered is not None]
    figures = {
        "exact match": [max(_exact(each.offered, gold) for gold in each.case.question.answers) for each in answerable],
        "F1": [max(f1(each.offered, gold) for gold in each.case.question.answers) for each in answerable],
        "F1 where offered": [max(f1(each.offered, gold) for gold in each.case.question.answers) for each in offered],
        "answer shown": [float(_holds(each)) for each in answerable],
        "silent: passage absent": [float(each.offered is None) for each in outcomes if each.case.kind == KINDS[1]],
        "silent: unanswerable": [float(each.offered is None) for each in outcomes if each.case.kind == KINDS[2]],
    }
    for what, values in figures.items():
        low, high = interval(values)
        row[what] = round(mean(values or [0.0]), 4)
        row[f"{what}, 95 %"] = f"{low:.3f}-{high:.3f}"
    grounded = [_grounded(each) for each in outcomes if each.offered is not None]
    row["grounded share"] = round(mean(grounded or [1.0]), 4)
    return row


def interval(values: Sequence[float], draws: int = 1000) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean."""
    if not values:
        return 0.0, 0.0
    rng, array = np.random.default_rng(0), np.array(values)
    means = array[rng.integers(len(array), size=(draws, len(array)))].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def normalised(text: str) -> list[str]:
    """SQuAD's: lower case, no punctuation, no articles (Rajpurkar et al. 2016)."""
    plain = "".join(char for char in text.lower() if char not in string.punctuation)
    return re.sub(r"\b(?:a|an|the)\b", " ", plain).split()


def _exact(offered: str | None, gold: str) -> float:
    return float(offered is not None and normalised(offered) == normalised(gold))


def f1(offered: str | None, gold: str) -> float:
    said, wanted = normalised(re.sub(r"\[\d+\]", "", offered or "")), normalised(gold)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if common else 0.0


def _holds(outcome: Outcome) -> bool:
    plain = re.sub(r"\s+", " ", outcome.reply.replace("**", ""))
    return any(re.sub(r"\s+", " ", gold) in plain for gold in outcome.case.question.answers)


def _grounded(outcome: Outcome) -> float:
    """The share of the offered sentences that stand word for word in a passage."""
    texts = " ".join(re.sub(r"\W+", " ", passage.text).casefold() for passage in outcome.case.passages)
    said = [unit.text for unit in cut(re.sub(r"\s*\[\d+\]", "", outcome.offered or "").replace("**", ""))]
    return mean(re.sub(r"\W+", " ", sentence).strip().casefold() in texts for sentence in said) if said else 1.0
