"""Question-answer pairs from the knowledge base: answers quoted and cited, and open refusals where nothing answers.

The prompt is what a person would cause: their question with the passages that a search for it finds, the right one
among them. A refusal is the same question where the passage that answers is withheld, as it is from who may not read
it: so an adapter learns to be grounded or silent, and not the documents by heart.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Engine

from agent.generation.answer import HOLDS, answer, quote
from agent.generation.evidence import Reader
from agent.generation.rendering import ChatMessage, messages_of
from agent.message import History, Intent, Move
from agent.policy import is_ours
from agent.prompt import PERSONA, compose
from finetune.example import Example, Origin
from finetune.examples.languages import UNKNOWN, language_of
from finetune.examples.problems import Read, Source
from finetune.examples.questions import Asked, questions_of, refusal
from retrieval.audience import audience_of, check_tenant, everyone
from retrieval.database import reading
from retrieval.encoder import Encoder
from retrieval.passage import Passage, PassageSet
from retrieval.tables import documents, passages
from retrieval.tokens import words
from retrieval.words import WordIndex

MOST_PASSAGES = 50_000  # read of one knowledge base; of a larger one a sample
HELD = 0.5  # share of an answer's words from which another passage may hold the answer too
_EACH = 3  # pairs of one passage at most
_BARE = 4  # of so many refusals one has no passage at all


@dataclass(frozen=True, slots=True)
class Shelved:
    """A passage as it stands in the store. content, ordinal: its place among the passages of its text."""

    passage: Passage
    content: int
    ordinal: int


def library(engine: Engine, tenant: str, audiences: Sequence[str] = (), *, seed: int = 0) -> tuple[Shelved, ...]:
    """The passages of a tenant's documents that who holds `audiences` may read (none named: everyone's), in order.

    Atelier's own guide is left out. Of more than MOST_PASSAGES a sample is drawn. Raises SettingsError or StoreError.
    """
    tenant = check_tenant(tenant)
    readable = {audience_of(tenant, name) for name in audiences} or {everyone(tenant)}
    columns = [passages.c[name] for name in ("id", "text", "heading", "page", "line", "content", "ordinal")]
    query = (
        sa.select(*columns, documents.c.source, documents.c.audience)
        .join(documents, documents.c.content == passages.c.content)
        .where(documents.c.tenant == tenant)
        .order_by(passages.c.id, documents.c.audience != everyone(tenant), documents.c.id)
    )
    found: dict[int, Shelved] = {}
    with reading(engine) as connection:
        for row in connection.execute(query):
            one = Passage(row.id, row.text, row.source, row.heading, row.page, row.line, row.audience, 0.0)
            if row.audience in readable and not is_ours(one):
                found.setdefault(row.id, Shelved(one, row.content, row.ordinal))
    if len(found) > MOST_PASSAGES:
        chosen = sorted(found, key=lambda each: _draw(seed, str(each)))[:MOST_PASSAGES]
        return tuple(found[each] for each in sorted(chosen))
    return tuple(found.values())


def from_passages(
    shelved: Sequence[Shelved],
    *,
    persona: str = PERSONA,
    shown: int = 4,
    most: int = 2_000,
    refusals: float = 0.25,
    questions: Mapping[int, Sequence[str]] | None = None,
    encoder: Encoder | None = None,
    seed: int = 0,
) -> Read:
    """Up to `most` pairs from the passages of `library`, about `refusals` of them with the answer withheld.

    persona, shown: the settings `persona` and `passages`, so that the prompts are as they are served. questions: by
    passage id, as a language model made them (`asking.ask_model`); kept are those that the passage answers, which
    needs the `encoder`. The same store and seed give the same pairs.
    """
    maker = _Maker(shelved, persona, shown, seed)
    asked: list[tuple[Shelved, Asked | str]] = [(each, one) for each in shelved for one in maker.asked(each)]
    reader = None
    if questions and encoder is not None:
        reader = Reader(encoder)
        known = {each.passage.id: each for each in shelved}
        asked += [(known[id_], text) for id_, texts in questions.items() if id_ in known for text in texts]
    drawn = sorted(asked, key=lambda pair: _draw(seed, f"{pair[0].passage.id} {_question(pair[1])}"))
    examples: list[Example] = []
    for each, one in drawn:
        if len(examples) >= most:
            break
        withheld = _draw(seed + 1, _question(one)) % 1_000 < 1_000 * refusals
        example = maker.refused(each, one) if withheld else maker.answered(each, one, reader)
        if example is not None:
            examples.append(example)
    digest = hashlib.sha256()
    for each in shelved:
        digest.update(
            f"{each.passage.source}\0{each.passage.heading}\0{each.passage.text}\0".encode("utf-8", "replace")
        )
    source = Source("passages", "the team's documents", digest.hexdigest(), len(examples), "the team's own documents")
    return Read(tuple(examples), (), (), source)


def _draw(seed: int, text: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {text}".encode("utf-8", "replace")).digest()[:6])


def _question(one: Asked | str) -> str:
    return one if isinstance(one, str) else one.question


class _Maker:
    def __init__(self, shelved: Sequence[Shelved], persona: str, shown: int, seed: int) -> None:
        self._persona = persona
        self._shown = shown
        self._seed = seed
        self._by_id = {each.passage.id: each for each in shelved}
        self._first = _firsts(shelved)
        self._index = WordIndex()
        ids = np.fromiter(self._by_id, np.int64, len(self._by_id))
        self._index.add(ids, [f"{each.passage.heading}\n{each.passage.text}" for each in shelved])
        self._readable = {
            audience: PassageSet.of(np.array(sorted(chosen), np.int64))
            for audience, chosen in _readable(shelved).items()
        }

    def asked(self, each: Shelved) -> list[Asked]:
        found = questions_of(each.passage, is_first=each.passage.id in self._first, seed=self._seed)
        return sorted(found, key=lambda one: _draw(self._seed, one.question))[:_EACH]

    def answered(self, each: Shelved, one: Asked | str, reader: Reader | None) -> Example | None:
        """The question among the passages that a search finds, answered from the right one."""
        question = _question(one)
        found = self._found(each, question, self._shown)
        place = next((i for i, other in enumerate(found) if other.passage.id == each.passage.id), None)
        if place is None:
            place = _draw(self._seed, question) % self._shown
            found = [*found[: self._shown - 1][:place], each, *found[: self._shown - 1][place:]]
            place = found.index(each)
        shown = [other.passage for other in found]
        if isinstance(one, Asked):
            return self._example(each, question, found, quote(one.units, place + 1))
        assert reader is not None, "questions of a model come with a reader"
        read = reader.read(question, shown)
        sure = max([read.sections[place], *(unit.probability for unit in read.of(place))])
        reply = answer(question, read, shown)
        cited = {number for number in range(1, len(shown) + 1) if f"[{number}]" in reply}
        return self._example(each, question, found, reply) if sure >= HOLDS and cited == {place + 1} else None

    def refused(self, each: Shelved, one: Asked | str) -> Example | None:
        """The same question where what answers it is withheld, as is everything that may hold the answer too."""
        question = _question(one)
        said = " ".join(unit.text for unit in one.units) if isinstance(one, Asked) else each.passage.text
        told = set(words(said)) - set(words(question))
        found = [
            other
            for other in self._found(each, question, 3 * self._shown)
            if other.content != each.content
            and other.passage.source != each.passage.source
            and len(told & set(words(other.passage.text))) < HELD * max(len(told), 1)
        ][: self._shown]
        if _draw(self._seed + 2, question) % _BARE == 0:
            found = []
        language = one.language if isinstance(one, Asked) else language_of(question)
        return self._example(
            each, question, found, refusal(question, "en" if language == UNKNOWN else language, self._seed)
        )

    def _found(self, each: Shelved, question: str, count: int) -> list[Shelved]:
        """What a search by words finds among what everybody who may read the passage may read."""
        _, ids = self._index.search(question, count, self._readable[each.passage.audience])
        return [self._by_id[int(id_)] for id_ in ids]

    def _example(self, each: Shelved, question: str, found: Sequence[Shelved], reply: str) -> Example:
        shown = [other.passage for other in found]
        prompt = compose(self._persona, History(), question, Intent.ASK, Move.ANSWER, shown)
        sources = dict.fromkeys([each.passage.source, *(passage.source for passage in shown)])
        origin = Origin(
            f"passage {each.passage.id}",
            documents=tuple(sources),
            audiences=frozenset({each.passage.audience, *(passage.audience for passage in shown)}),
        )
        return Example((*messages_of(prompt), ChatMessage("assistant", reply)), origin)


def _firsts(shelved: Sequence[Shelved]) -> frozenset[int]:
    """The passages that open the section of their heading."""
    first: dict[tuple[int, str], Shelved] = {}
    for each in shelved:
        key = (each.content, each.passage.heading)
        if key not in first or each.ordinal < first[key].ordinal:
            first[key] = each
    return frozenset(each.passage.id for each in first.values())


def _readable(shelved: Sequence[Shelved]) -> dict[str, set[int]]:
    """For each audience the passages that all who hold it may read: its own and everyone's."""
    by_audience: dict[str, set[int]] = {}
    for each in shelved:
        by_audience.setdefault(each.passage.audience, set()).add(each.passage.id)
    common = set().union(*(ids for audience, ids in by_audience.items() if audience.endswith("/everyone")))
    return {audience: ids | common for audience, ids in by_audience.items()}
