"""One message to one reply: understand, decide, search, compose, generate, clean, remember.

This is the whole turn on one page. Each step is a pure function or one object of a lower shelf; the blocking ones run
in threads, of a few messages at once, so that one slow search delays nobody else.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from agent.catalogue import asks_for_documents, listed
from agent.draft import Draft
from agent.generation.answer import is_open, tells_language
from agent.generation.asked_on import AskedOn, asked_on, asks_on
from agent.generation.facilitate import card, contributes, running, steers
from agent.generation.generator import Generator, Limits, Piece
from agent.generation.looked_back import LATELY, TOLD, Looked, answered_last, told
from agent.generation.phrases import phrase
from agent.generation.versions import Versions
from agent.guard import check_message
from agent.ideation.techniques import about
from agent.looking_back import Back, looks_back
from agent.memory import Memory, new_turn_id
from agent.message import (
    Decision,
    History,
    Intent,
    Line,
    Message,
    Move,
    Place,
    Reply,
    Turn,
    Understanding,
)
from agent.ourselves import Asked, asked_of_us, may_mean_answer, told_of_us
from agent.outline import at_a_glance
from agent.policy import GUIDE, concerns_us, decide, is_ours, ours_back, reconsider
from agent.prompt import compose
from agent.rewrite import content_words, standalone
from agent.rows import spoken_rows, told_apart
from agent.settled import APPROVED, CURATED, DIFFERING, approved, cited, differing, hosts, written_of
from agent.support.curated import Curated
from agent.tongues import LOOKED_AT, elsewhere, spoken_in
from agent.under_way import UnderWay
from agent.understanding import Understander
from agent.whole_tables import WORKED_OUT, of_table
from retrieval.errors import StoreError
from retrieval.knowledge import KnowledgeBase
from retrieval.passage import Passage

SEARCHING = frozenset({Move.ANSWER, Move.IDEATE})
SESSION = 200  # lines back in which a session of thinking together is looked for
AT_ONCE = 4  # messages prepared side by side: they share encoder passes; more only take the interpreter in turns
SURE_FIND = 0.8  # the probability from which a rewritten question is taken to be what was meant
LEFT = timedelta(hours=2)  # after which a brainstorm that nobody ended is taken to be left
MEANT = 0.6  # how sure it must be that words which do not name Atelier ask for something
_TO_ANOTHER = re.compile(r"\s*(<@|@\w)")  # begins by naming somebody else
ASKED_FOR = "You asked for it."
KNOWN = "This asks about a technique that I know, so I tell."
CATALOGUE = "This asks which documents there are, so I list them."
LOOKED_BACK = "This asks about my last answer, so I look at where it came from."
OURSELVES = "This asks something of me that no document has to say, so I just tell."
ASIDE = "This is an order to the thinking together, and none is under way, so I just reply."
OUTLINE = "This asks for the gist of a document, so I show how its sections begin."
ON = "This asks on about my last answer, and the page it came from says it."
NOTHING_BEFORE = "This asks about an answer, and there was none yet, so I ask what is meant."
STOPPED = "Stopped before the end."
DESK = "desk"  # worded what no generator did
QUOTING = frozenset({"extractive", "starter"})  # generators that cannot put a quote into other words


@dataclass(frozen=True, slots=True)
class Manner:
    """How the colleague speaks: settings, no state. passages: how many are shown to the generator."""

    persona: str
    limits: Limits
    passages: int
    history_tokens: int
    allowed_links: Collection[str]
    adapter: str | None


@dataclass(frozen=True, slots=True)
class Background:
    """What is known before a word is generated."""

    history: History
    understanding: Understanding
    decision: Decision
    passages: tuple[Passage, ...]
    said: str = ""  # what is said without a generator
    question: str = ""  # the message made whole
    by: str = DESK


class Colleague:
    """The dialogue core. Safe to call for many conversations at once; within one, call for one message at a time."""

    def __init__(
        self,
        knowledge: KnowledgeBase,
        understander: Understander,
        generator: Generator,
        memory: Memory,
        count_tokens: Callable[[str], int],
        manner: Manner,
        versions: Versions | None = None,
        curated: Curated | None = None,
    ) -> None:
        """versions: which adapter answers where; None: the manner's, everywhere. curated: the team's own answers."""
        self._knowledge = knowledge
        self._understander = understander
        self._generator = generator
        self._memory = memory
        self._count_tokens = count_tokens
        self._manner = manner
        self._versions = versions or Versions(manner.adapter)
        self._curated = curated
        self._preparing = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="prepare")

    async def reply(
        self,
        message: Message,
        wanted: Move | None = None,
        *,
        earlier: Sequence[Line] = (),
        is_resumed: bool = False,
        escalated: Callable[[Understanding], str] | None = None,
        keep: Callable[[Turn], object] | None = None,
    ) -> AsyncGenerator[Piece | Turn, None]:
        """Stream the reply to `message` as clean pieces, then its Turn, which is in memory by then.

        A piece that `replaces` starts the reply over. wanted: the person's explicit wish (`/ideate`), which the policy
        does not overrule. earlier: what was written in the place before Atelier came to it. Closing the iterator early
        stops the generator and keeps what was said; so does cancelling the task, unless the message will be answered
        anew (`is_resumed`). escalated: what is said where a person is wanted; without it the generator words that.
        keep: takes the finished turn over, to commit it with what else comes of it (`Memory.keeping`).
        Raises MessageRefused, StoreError or GeneratorError; then nothing is remembered.
        """
        text = check_message(message.text)
        turn_id, manner = new_turn_id(), self._manner
        known = await asyncio.get_running_loop().run_in_executor(
            self._preparing, self._prepare, message, text, wanted, earlier
        )
        prompt = compose(
            manner.persona,
            known.history,
            text,
            known.understanding.intent,
            known.decision.move,
            known.passages,
            spoken_in(message, text, known.history, known.passages),
            known.question,
        )
        draft = Draft(known.passages, [*manner.allowed_links, *(hosts(known.said) if known.by == CURATED else ())])
        version = self._versions.take(message.place, message.audiences)  # one for the whole reply

        def turn(notice: str) -> Turn:
            reply = Reply(draft.text, draft.sources, draft.by or self._generator.name, notice, tuple(draft.claims))
            adapter = version if not draft.by else None  # the fallback speaks without one
            understanding, decision = known.understanding, known.decision
            history = History() if earlier else known.history  # what others wrote before is not ours to keep
            return Turn(
                turn_id, manner.persona, history, message, understanding, decision, known.passages, reply, adapter
            )

        try:
            # closed at once when the reply is: an abandoned stream would keep the model busy
            said = escalated(known.understanding) if escalated and known.decision.move is Move.ESCALATE else known.said
            stream = _spoken(said, known.by) if said else self._generator.stream(prompt, version, manner.limits)
            async with aclosing(stream) as pieces:
                async for piece in pieces:
                    for shown in draft.take(piece):
                        yield shown
            if rest := draft.finish():
                yield rest
            if known.decision.move is Move.ANSWER and is_open(draft.text) and not tells_language(draft.text):
                near = draft.named
                yield draft.add(await asyncio.to_thread(self._elsewhere, message, text, known.history, near))
        except (GeneratorExit, asyncio.CancelledError) as ended:
            if isinstance(ended, GeneratorExit) or not is_resumed:
                with suppress(StoreError):  # being stopped goes before being remembered
                    self._memory.append(turn(STOPPED))  # in this thread: a cancelled task cannot wait for another
            raise
        finally:
            self._versions.release(version)
        done = turn(" ".join(filter(None, (draft.notice, draft.unlinked))))
        if keep is None:
            await asyncio.to_thread(self._memory.append, done)
        else:
            keep(done)
        yield done

    @property
    def understander(self) -> Understander:
        """What it understands messages with."""
        return self._understander

    def understand(self, text: str) -> Understanding:
        """What one message says by itself. Blocks: an encoder pass."""
        return self._understander.understand(text)

    async def wants_ideas(self, text: str, place: Place) -> bool:
        """Whether words that call Atelier plainly ask to think up ideas, where no thinking together is under way."""
        return await asyncio.to_thread(self._wants_ideas, text, place)

    def _wants_ideas(self, text: str, place: Place) -> bool:
        if not text.strip() or running(self._memory.lines(place, SESSION)) is not None:
            return False
        understanding = self.understand(text)
        return understanding.intent is Intent.IDEATE and understanding.confidence >= MEANT

    async def is_meant(self, text: str, place: Place) -> bool:
        """Whether words in a conversation that Atelier follows, and that do not name it, are for it.

        A question or a topic is, and what adds to a session of thinking together; talk between people is not.
        """
        return await asyncio.to_thread(self._is_meant, text, place)

    def _is_meant(self, text: str, place: Place) -> bool:
        if _TO_ANOTHER.match(text) or not text.strip():
            return False
        session = running(self._memory.lines(place, SESSION))
        if session is not None and (not session.is_exhausted or steers(text)):
            return contributes(text) or steers(text)
        understanding = self._understander.understand(text)
        return understanding.intent in (Intent.ASK, Intent.IDEATE) and understanding.confidence >= MEANT

    def _prepare(self, message: Message, text: str, wanted: Move | None, earlier: Sequence[Line]) -> Background:
        manner = self._manner
        history = self._memory.history(message.place, manner.history_tokens, self._count_tokens)
        if not history.lines:
            history = replace(history, lines=within(earlier, manner.history_tokens, self._count_tokens))
        language = spoken_in(message, text, history)
        query = standalone(text, history, self._understander.alike)
        # the words of a follow-up say what is wanted, the rewritten ones what to look for: one encoder pass for both
        understanding, embedding = self._understander.understand_for_search(text, query)
        session = self._memory.lines(message.place, SESSION)
        way = UnderWay.of(session, None)
        if way.thinking:
            way = replace(way, last=self._last_move(message))
        thinking = way.thinking
        if wanted is None and (not thinking or way.is_away) and (kind := looks_back(text)) is not None:
            unclear = phrase("clarify", "unclear", history, language)
            if not history.lines:
                return Background(history, understanding, Decision(Move.CLARIFY, NOTHING_BEFORE), (), unclear)
            back = self._looked_back(message, kind, language)
            if back is not None:
                decision = Decision(Move.ANSWER, LOOKED_BACK)
                return Background(history, understanding, decision, back.passages, back.said)
            if self._generator.name in QUOTING and understanding.intent is not Intent.SMALL_TALK and not steers(text):
                return Background(history, understanding, Decision(Move.CLARIFY, NOTHING_BEFORE), (), unclear)
        if wanted is None and (aside := way.aside(text, history, language)):
            return Background(history, understanding, Decision(Move.CHAT, ASIDE), (), aside)
        wanted = way.wanted(text) if wanted is None else wanted
        replied = any(line.role == "assistant" for line in history.lines)
        decision = (
            Decision(wanted, ASKED_FOR)
            if wanted
            else decide(understanding, text=text, thinking=way.adds(text, understanding), replied=replied)
        )
        if decision.move is Move.IDEATE:  # ideas are kept word for word, however long ago the session began
            history = replace(history, lines=session)
        if self._curated is not None:
            asked = {text: understanding.embedding, query: embedding}
            match = approved(self._curated, message, decision.move, wanted, list(asked.items()))
            if match is not None:
                settled = Decision(Move.ANSWER, APPROVED)
                return Background(history, understanding, settled, (match.passage,), cited(match.answer), by=CURATED)
        if wanted is None and (told_us := self._of_us(message, text, language)):
            return Background(history, understanding, Decision(Move.CHAT, OURSELVES), (), told_us)
        if wanted is None and (technique := about(text)) is not None:
            shown = card(technique, language)
            return Background(history, understanding, Decision(Move.CHAT, KNOWN), (), shown)
        if wanted is None and not thinking and asks_for_documents(text):
            sources = self._knowledge.shelf.sources(message.place.tenant, message.audiences)
            shown = listed(sources, language)
            return Background(history, understanding, Decision(Move.CHAT, CATALOGUE), (), shown)
        if wanted is None and not thinking and self._generator.name in QUOTING:
            passages, shown = at_a_glance(text, self._knowledge, message, language)
            if shown:
                return Background(history, understanding, Decision(Move.ANSWER, OUTLINE), passages, shown)
        if decision.move not in SEARCHING:
            return Background(history, understanding, decision, ())
        about_us = concerns_us(understanding.intent, text)
        found = self._search(message, query, embedding, about_us=about_us)
        if (
            query != text and content_words(text) and _best(found) < SURE_FIND
        ):  # it may have been no follow-up: its own words may find more
            own = self._search(message, text, understanding.embedding, about_us=about_us)
            if _best(own) > _best(found):
                found, query = own, text
        if decision.move is Move.IDEATE and not about_us:  # our own guide sparks nothing
            found = [passage for passage in found if not is_ours(passage)]
        decision, said = reconsider(decision, understanding, _best(found), text), ""
        if decision.move is Move.ANSWER:
            worked = of_table(query, text, found, message, self._knowledge, self._memory, language)
            on = worked or self._asked_on(message, text, history, found)
            if on is not None:
                passages = tuple({each.id: each for each in (*on.passages, *found)}.values())
                decision = Decision(Move.ANSWER, WORKED_OUT if worked else ON)
                said = on.said if worked else spoken_rows(on.said, text)
                return Background(history, understanding, decision, passages, said, query)
            tenant = message.place.tenant
            said = differing(query, found, language, partial(written_of, self._knowledge.shelf, tenant))
        decision = Decision(decision.move, DIFFERING) if said else decision
        return Background(history, understanding, decision, tuple(found), said, query)

    def _last_move(self, message: Message) -> Move | None:
        """What was decided last in a place; None where that is long ago."""
        before = self._memory.turns(message.place, 1)
        return before[-1].decision.move if before and message.sent - before[-1].message.sent < LEFT else None

    def _looked_back(self, message: Message, kind: Back, language: str) -> Looked | None:
        """What is said of the answer that a message asks about, or what a model is shown; None where there is none."""
        last = answered_last(self._memory.turns(message.place, LATELY))
        if last is None:
            return None
        tenant, curated = message.place.tenant, self._curated
        passages = self._still(last, message)
        if curated is not None:
            passages += [each for each in last.passages if each.id < 0 and curated.stands(each, message.audiences)]
        if passages and kind not in TOLD and self._generator.name not in QUOTING:
            return Looked(kind, tuple(passages), "")
        sources = {each.source for each in passages}
        return told(kind, last, passages, language, lambda: written_of(self._knowledge.shelf, tenant, sources).files)

    def _of_us(self, message: Message, text: str, language: str) -> str:
        """What is said to the time, a sum, or who reads this; mostly empty."""
        asked = asked_of_us(text)
        if asked is None or (asked is Asked.OUTSIDE and self._generator.name not in QUOTING):
            return ""
        if may_mean_answer(asked, text) and self._last_move(message) is Move.ANSWER:
            return ""
        return told_of_us(asked, text, language, message.sent.astimezone())

    def _asked_on(self, message: Message, text: str, history: History, found: Sequence[Passage]) -> AskedOn | None:
        """What the passages behind the last answer say on a follow-up; None where they do not have its words."""
        if self._generator.name not in QUOTING or not asks_on(text, _said(history)):
            return None
        last = answered_last(self._memory.turns(message.place, LATELY))
        return None if last is None else asked_on(text, last, self._still(last, message), found)

    def _still(self, last: Turn, message: Message) -> list[Passage]:
        """The documents' passages behind an answer that may still be read."""
        return self._knowledge.still([each for each in last.passages if each.id >= 0], message.audiences)

    def _elsewhere(self, message: Message, text: str, history: History, near: Collection[str]) -> str:
        """Why a question may have found nothing: the documents are in another language; mostly empty."""
        shelf, tenant = self._knowledge.shelf, message.place.tenant
        language, fluency = spoken_in(message, text, history), self._understander.fluency
        readable = shelf.sources(tenant, message.audiences, LOOKED_AT, GUIDE)
        return elsewhere(text, readable, near, partial(shelf.openings, tenant), fluency, language)

    def _search(self, message: Message, query: str, embedding: NDArray[np.float32], *, about_us: bool) -> list[Passage]:
        """The passages that the prompt gets; Atelier's own guide stands back unless the message is `about_us`."""
        count = self._manner.passages

        def deeper(found: Sequence[Passage]) -> int:
            return count if about_us or not any(map(is_ours, found)) else 3 * count

        found = self._knowledge.search(query, message.audiences, count, embedding=embedding, deeper=deeper)
        found = told_apart(query, found)
        return found if about_us or not any(map(is_ours, found)) else ours_back(found)[:count]


def within(lines: Sequence[Line], budget: int, count_tokens: Callable[[str], int]) -> tuple[Line, ...]:
    """The latest of `lines` that fit into `budget` tokens."""
    kept: list[Line] = []
    for line in reversed(lines):
        budget -= count_tokens(line.text)
        if budget < 0:
            break
        kept.insert(0, line)
    return tuple(kept)


def _said(history: History) -> str:
    """What we said last."""
    return next((line.text for line in reversed(history.lines) if line.role == "assistant"), "")


async def _spoken(text: str, by: str) -> AsyncGenerator[Piece, None]:
    """Words that no generator was asked for."""
    yield Piece(text, by=by)


def _best(passages: Sequence[Passage]) -> float:
    return max((passage.score for passage in passages), default=0.0)
