"""Can an answer be trusted: questions matched or refused, unsupported sentences let through, contradictions named.

Everything is measured on data that nothing here was fitted on: covid_faq, and SQuAD's dev articles.
"""

import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from agent.generation import support
from agent.generation.answer import answer, refuses, sentences_around
from agent.generation.evidence import Reader
from agent.generation.phrases import phrase
from agent.reading.reader import shipped
from agent.support import matching
from agent.support.conflicts import conflict
from agent.support.versions import apart, is_even
from connectors.migrations import migrate
from retrieval.database import open_database
from retrieval.document import Document, Section
from retrieval.encoder import TransformerEncoder
from retrieval.knowledge import KnowledgeBase
from retrieval.passage import Passage
from tests.benchmarks import Cell, Report
from tests.benchmarks.claims import ALTERED, DENIED, KINDS, TRUE, UNRELATED, made
from tests.benchmarks.faq import faq_entries, reworded
from tests.benchmarks.risk_picture import draw
from tests.benchmarks.squad import DATA, Article, Asked, Cached, articles

PICTURE = Path(__file__).parent / "results" / "trust.png"
EVERYONE = frozenset({"t/everyone"})
WRONG, ENOUGH = 0.05, 0.6  # of all questions
KNOWN = "FAQ, all known"
Row = dict[str, Cell]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How sure a question was answered, whether rightly, and whether anything there answers it."""

    certainty: float
    is_right: bool
    is_answerable: bool


def at(outcomes: Sequence[Outcome], threshold: float) -> Row:
    """Shares of all questions, and of those that can be answered."""
    said = [each for each in outcomes if each.certainty >= threshold]
    can = sum(each.is_answerable for each in outcomes) or 1
    right = sum(each.is_right for each in said)
    return {
        "answered right": right / len(outcomes),
        "answered wrong": (len(said) - right) / len(outcomes),
        "refused": 1 - len(said) / len(outcomes),
        "answerable answered": sum(each.is_answerable for each in said) / can,
        "answerable right": right / can,
        "unanswerable answered": sum(not each.is_answerable for each in said) / max(len(outcomes) - can, 1),
    }


def best_within(outcomes: Sequence[Outcome], wrong: float) -> float:
    """The lowest threshold at which at most `wrong` of all questions are answered wrongly."""
    ordered = sorted(outcomes, key=lambda each: -each.certainty)
    bad, threshold = 0, 1.01
    for each in ordered:
        bad += not each.is_right
        if bad > wrong * len(outcomes):
            break
        threshold = each.certainty
    return threshold


def answering(outcomes: Sequence[Outcome], share: float) -> float:
    """The threshold at which at least `share` of all questions are answered."""
    ordered = sorted((each.certainty for each in outcomes), reverse=True)
    return ordered[min(math.ceil(share * len(ordered)), len(ordered)) - 1]


def curve(outcomes: Sequence[Outcome]) -> list[tuple[float, float]]:
    """Of all questions the share answered, and of those the share that is wrong."""
    ordered = sorted(outcomes, key=lambda each: -each.certainty)
    wrong = np.cumsum([not each.is_right for each in ordered])
    n = len(ordered)
    return [((i + 1) / n, float(wrong[i]) / (i + 1)) for i in range(max(0, n // 100), n, max(1, n // 200))]


def told(what: str, done: int = 0, of: int = 0) -> None:
    """Say on the error stream how far the run is: it takes half an hour of processor time."""
    if done % 50 == 0:
        print(f"{time.process_time():6.0f} s  {what}{f' {done}/{of}' if of else ''}", file=sys.stderr, flush=True)


# FAQ


def faq(encoder: TransformerEncoder) -> dict[str, list[Outcome]]:
    """By the shipped matching, and by the plain cosine: each reworded question once with its answer there, once not."""
    entries = faq_entries()
    questions = list(entries)
    vectors, known = encoder(questions), [matching.read(each) for each in questions]
    matcher = matching.Matcher(encoder)
    ours: list[Outcome] = []
    plain: list[Outcome] = []
    asked = [each for each in reworded() if each.is_test]
    for done, (each, vector) in enumerate(zip(asked, encoder([each.text for each in asked]), strict=True)):
        told("FAQ, question", done, len(asked))
        for is_there in (True, False):
            kept = [i for i, question in enumerate(questions) if is_there or question not in each.right]
            answers = [entries[questions[i]] for i in kept]
            here = [known[i] for i in kept]
            sure = matcher.probabilities(matching.read(each.text), vector, here, vectors[kept], answers)
            for scores, into in ((sure, ours), (vectors[kept] @ vector, plain)):
                best = int(np.argmax(scores))
                into.append(Outcome(float(scores[best]), questions[kept[best]] in each.right, is_there))
    return {"ours": ours, "similarity": plain}


# SQuAD


@contextmanager
def searched(encoder: TransformerEncoder, chosen: Sequence[Article]) -> Iterator[KnowledgeBase]:
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(f"sqlite:///{folder}/store.db")
        migrate(engine)
        base = KnowledgeBase(engine, Path(folder) / "index", encoder)
        entries = []
        for article in chosen:
            title = article.title.replace("_", " ")
            sections = tuple(Section(text, (title,)) for text in article.texts.values())
            document = Document(title, sections)
            entries.append(
                base.entry(f"{article.title}.txt", document, content_hash=article.title, audience="t/everyone")
            )
        for done, _ in enumerate(base.add_all(entries)):
            told("SQuAD 2.0, article", done, len(entries))
        yield base
        base.close()
        engine.dispose()


def squad(encoder: TransformerEncoder, per_article: int) -> dict[str, list[Outcome]]:
    """As a user meets it: the question alone, the search over all articles, what is quoted of what it finds.

    shipped: certainty 1 where quoted as the answer, .5 where as the nearest find, 0 where refused. ours: by the
    certainty of the best sentence. similarity: the cosine of the best passage, of which the nearest sentence is quoted.
    """
    chosen = articles("dev_v2.0")
    cached = Cached(encoder)
    reader = Reader(encoder, shipped())
    found: dict[str, list[Outcome]] = {"shipped": [], "ours": [], "similarity": []}
    with searched(encoder, chosen) as base:
        questions = [each for article in chosen for each in _some(article, per_article)]
        for done, asked in enumerate(questions):
            told("SQuAD 2.0, question", done, len(questions))
            passages = base.search(asked.text, EVERYONE, 5)
            reading = reader.read(asked.text, passages)
            reply = answer(asked.text, reading, passages)
            shown = 0.0 if refuses(reply) else 0.5 if reply.startswith(phrase("answer", "unsure")) else 1.0
            best = max(reading.units, key=lambda scored: scored.probability)
            quoted = sentences_around(asked.text, reading, best)
            nearest = max(passages, key=lambda passage: passage.similarity or 0.0)
            texts = [unit.unit.text for unit in reading.of(passages.index(nearest))]
            vectors = cached([asked.text, *texts])
            plain = texts[int(np.argmax(vectors[1:] @ vectors[0]))]
            for name, sure, text in (
                ("shipped", shown, reply),
                ("ours", best.probability, quoted),
                ("similarity", nearest.similarity or 0.0, plain),
            ):
                found[name].append(Outcome(sure, _holds(text, asked.answers), bool(asked.answers)))
    return found


def _some(article: Article, count: int) -> list[Asked]:
    found: list[Asked] = []
    for wanted in (True, False):
        here = [each for each in article.questions if bool(each.answers) == wanted]
        found += here[:: max(1, len(here) // count)][:count]
    return found


def _holds(reply: str, answers: Sequence[str]) -> bool:
    plain = " ".join(reply.split()).casefold()
    return any(" ".join(answer.split()).casefold() in plain for answer in answers)


# Sentences


def sentences(encoder: TransformerEncoder, per_article: int) -> list[Row]:
    chosen = articles("dev_v2.0")[::3]
    scores: list[float] = []
    kinds: list[str] = []
    read: dict[str, support.Evidence] = {}
    for done, each in enumerate(made(chosen, per_article, 7)):
        told("sentences", done)
        if each.passage not in read:
            passage = Passage(1, each.passage, "", "", None, None, "t/everyone", 1.0)
            read[each.passage] = support.read(passage, encoder)
        scores.append(support.supported(each.text, [read[each.passage]], (0,), encoder).support)
        kinds.append(each.kind)
    score, kind = np.array(scores), np.array(kinds)
    is_true = np.isin(kind, TRUE)
    rows: list[Row] = [_sentence_row("all", score, is_true, np.ones(len(kind), bool))]
    rows += [_sentence_row(name, score, is_true, is_true | (kind == name), kind == name) for name in KINDS]
    rows.append(
        _sentence_row(
            "altered number or name", score, is_true, is_true | np.isin(kind, ALTERED), np.isin(kind, ALTERED)
        )
    )
    wanted = is_true | np.isin(kind, (*ALTERED, DENIED, UNRELATED))
    rows.append(_sentence_row("all but those of the passage itself", score, is_true, wanted, wanted & ~is_true))
    return rows


def _sentence_row(
    name: str,
    score: NDArray[np.float64],
    is_true: NDArray[np.bool_],
    among: NDArray[np.bool_],
    shown: NDArray[np.bool_] | None = None,
) -> Row:
    row: Row = {"what": f"sentences, {name}", "questions": int((shown if shown is not None else among).sum())}
    if 0 < is_true[among].sum() < among.sum():
        row["AUROC"] = float(roc_auc_score(is_true[among], score[among]))
    if shown is not None:
        row["shown"] = float((score[shown] >= support.HOLDS).mean())
    return row


# Contradictions


def contradictions(per_article: int) -> list[Row]:
    """False alarms where each passage is a document of its own; found, where one was copied and a number changed."""
    chance = random.Random(3)
    chosen = articles("dev_v2.0")
    found = alarms = older = open_ = asked_of = copies = 0
    for article in chosen:
        for asked in _some(article, per_article):
            passages = [
                Passage(each.id, each.text, f"{each.id}.txt", each.heading, None, 1, "t/everyone", 0.9, 0.6)
                for each in article.passages_for(asked, 3)
            ]
            asked_of += 1
            alarms += conflict(asked.text, passages) is not None
            differ = list(apart(asked.text, passages))
            older += bool(differ)
            open_ += any(is_even(asked.text, each, passages) for each in differ)
            answer = next((each for each in asked.answers if each.isdigit()), "")
            if answer and passages[0].id == asked.passage:
                other = passages[0].text.replace(answer, str(int(answer) + chance.randint(1, 9)), 1)
                copy = Passage(-1, other, "copy.txt", passages[0].heading, None, 1, "t/everyone", 0.9, 0.6)
                copies += 1
                found += conflict(asked.text, [passages[0], copy, *passages[1:]]) is not None
    return [
        {"what": "contradictions, false alarms", "questions": asked_of, "shown": alarms / asked_of},
        {"what": "contradictions, said to be perhaps ones", "questions": asked_of, "shown": open_ / asked_of},
        {
            "what": "contradictions, false alarms if all were older versions",
            "questions": asked_of,
            "shown": older / asked_of,
        },
        {"what": "contradictions, found in an altered copy", "questions": copies, "shown": found / max(copies, 1)},
    ]


def run(quick: bool) -> Report:
    if not (DATA / "squad").exists():
        return Report("trust", "the shared data is not here", ())
    encoder = TransformerEncoder()
    rows: list[Row] = []
    sets = {"FAQ": faq(encoder), KNOWN: {}, "SQuAD 2.0": squad(encoder, 3 if quick else 10)}
    sets[KNOWN] = {who: [each for each in found if each.is_answerable] for who, found in sets["FAQ"].items()}
    shown = sets["SQuAD 2.0"].pop("shipped")
    shipped = {
        "FAQ": {"shipped": (sets["FAQ"]["ours"], matching.THRESHOLD)},
        KNOWN: {
            "shipped": (sets[KNOWN]["ours"], matching.THRESHOLD),
            **{f"{who}, 60% answered": (each, answering(each, ENOUGH)) for who, each in sets[KNOWN].items()},
        },
        "SQuAD 2.0": {
            "shipped, as the answer": (shown, 1.0),
            "shipped, or as the nearest find": (shown, 0.5),
        },
    }
    for name, by in sets.items():
        for label, (outcomes, threshold) in shipped[name].items():
            rows.append({"what": f"{name}: {label}", "questions": len(outcomes), **at(outcomes, threshold)})
        for label, outcomes in by.items():
            limit = best_within(outcomes, WRONG)
            rows.append({"what": f"{name}: {label}, 5% wrong", "questions": len(outcomes), **at(outcomes, limit)})
        for label, outcomes in by.items():
            row = at(outcomes, -1.0)
            rows.append({"what": f"{name}: {label}, always answering", "questions": len(outcomes), **row})
    rows += sentences(encoder, 2 if quick else 40)
    rows += contradictions(3 if quick else 15)
    if not quick:
        curves = {f"{name}, {who}": curve(each) for name, by in sets.items() for who, each in by.items()}
        PICTURE.write_bytes(draw(curves))
    return Report(
        "trust",
        "are answers right or refused, and what is said that the passages do not say?",
        rows,
        (
            f"Half of the questions but of `{KNOWN}` have no answer there: no more than half can be answered rightly.",
            "FAQ: covid_faq's reworded questions for half of its entries, on which nothing was fitted; each with the",
            "entries that answer it, and with all of those gone (`faq_judged.json` says which do).",
            f"{KNOWN}: as the set stands, nothing gone.",
            "SQuAD 2.0: dev, all articles searched; right: what is shown holds a gold answer.",
            "5% wrong: at the threshold, chosen on these very questions, where 5% of all are answered wrongly.",
            "shown: of the sentences of this kind, the share that would be shown.",
        ),
    )
