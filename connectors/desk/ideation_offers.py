"""What the machine gives when it is asked: sharper questions, sparks, ways wider and deeper, things that may help.

Everything works without a language model: questions, and sentences of the team's own documents. With one, "wider" also
puts an idea on the board, marked as the machine's, and never one that repeats what is there.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from agent.events import Command, Outgoing, Post, Press
from agent.generation.generator import Generator, Limits
from agent.guard import clean
from agent.ideation.aim import first_new
from agent.ideation.board import Board
from agent.ideation.persons import IDEAS
from agent.ideation.recommend import items_of, related
from agent.ideation.reframe import reframings
from agent.ideation.refusals import SessionRefused
from agent.ideation.stimuli import Stimuli, Stimulus, deeper
from agent.ideation.technique import Technique
from agent.ideation.techniques import named
from agent.ideation.turns import empty_cells, named_cell
from agent.message import History, Intent, Move, Person, Place, Prompt
from agent.policy import is_ours
from agent.prompt import PERSONA
from connectors.delivery.stage import Stage
from connectors.desk import ideation_board as boards
from connectors.desk.access import own_audience
from connectors.desk.ideation_stand import Stand
from connectors.desk.ideation_words import Wish
from connectors.desk.texts import prefix, say
from finetune.recommender import recommended
from retrieval.audience import everyone
from retrieval.errors import GeneratorError
from retrieval.passage import Passage, Vectors

FOUND = 6  # passages that are looked at
NEWEST = 40  # ideas that are compared with the documents
RECOMMENDED = 3  # earlier ideas; passages come besides
SECONDS = 20.0  # that a model has to offer something
THINKS = frozenset({"local", "remote"})  # generators that word something of their own
_ASK = (
    "Give one new idea for: {topic}\nIt must have to do with this: {spark}\nOne sentence, concrete, no explanation. "
    "Not like any of these:\n{ideas}"
)


@dataclass(frozen=True, slots=True)
class Offers:
    stand: Stand

    @property
    def generator(self) -> Generator | None:
        """The language model, where there is one that can word ideas."""
        settings = self.stand.house.store.settings
        return self.stand.house.generator if settings.generator in THINKS else None

    async def questions(self, board: Board) -> tuple[str, ...]:
        """Three sharper versions of a session's question, in its language."""
        topic, language = board.session.topic, board.session.rules.language
        found = await reframings(topic, self.generator, language=language, seconds=SECONDS)
        return tuple(clean(each) for each in found)

    def technique(self, name: str) -> Technique | None:
        """The technique that somebody names, however it is written."""
        known = self.stand.sessions.techniques
        return named(name, known) or next((each for each in known if each.id == name.strip().casefold()), None)

    def search(self, board: Board, query: str) -> Sequence[Passage]:
        """What everybody in all of the session's places may read."""
        held = [self._readable(board, place) for place in board.session.places]
        audiences = frozenset.intersection(*held) if held else frozenset()
        if not audiences:
            return ()
        found = self.stand.house.knowledge.search(query, audiences, FOUND)
        return [each for each in found if not is_ours(each)]

    def _readable(self, board: Board, place: Place) -> frozenset[str]:
        """Not the team's documents, where other companies read along."""
        own = frozenset({own_audience(place)})
        return own if self.stand.is_noted(board, "shared") else own | {everyone(place.tenant)}

    def stimuli(self) -> Stimuli:
        return Stimuli(self.stand.vectors.encoder, self.search)

    async def __call__(
        self, board: Board, wish: Wish, event: Command | Press | Post, stage: Stage, person: Person
    ) -> Sequence[Outgoing]:
        """Raises AtelierError, and SessionRefused."""
        language = board.session.rules.language
        if wish.verb == "deeper":
            ideas = [each for each in board.open if not board.is_hidden(each)]
            idea = board.idea(wish.numbers[0]) if wish.numbers else ideas[-1] if ideas else None
            if idea is None or idea not in ideas:
                return [Outgoing(event.place, self._say(event, "ideation_no_deeper"), to=event.account)]
            press = self.stand.sessions.press  # what somebody looks closer at is what they may like more of
            await asyncio.to_thread(press, board.session.id, person, idea.id, key=stage.key)
            question = await asyncio.to_thread(deeper, board, replace(idea, text=boards.line(idea.text, 120)))
            text = say(language, "ideation_deeper", idea=idea.id, question=question)
            return [Outgoing(event.place, text, to=event.account)]
        vectors = await asyncio.to_thread(self.stand.vectors, board.open)
        drawn = await asyncio.to_thread(self.stimuli().wider, board, vectors)
        name = "wider" if wish.verb == "wider" else "spark"
        done = await asyncio.to_thread(
            self.stand.sessions.course.spark, board.session.id, drawn.text, drawn.source, key=stage.key
        )
        await self.stand.changed(done.board, stage.delivery)
        if wish.verb == "wider" and (said := await self._idea(done.board, drawn, stage)) is not None:
            return [Outgoing(event.place, said, to=event.account)]
        text = say(language, f"ideation_{name}", text=self.asked(board, drawn.text))
        if drawn.source:
            text += "\n" + say(language, "ideation_from", source=boards.line(drawn.source))
        return [Outgoing(event.place, text, to=event.account)]

    def pushed(self, board: Board) -> Stimulus:
        """Something to push against, where nobody has been yet."""
        return self.stimuli().wider(board, self.stand.vectors(board.open))

    def asked(self, board: Board, stimulus: str) -> str:
        """What is asked with a stimulus."""
        cells = {named_cell(board, each) for each in empty_cells(board)}
        name = "cell" if stimulus in cells else "far"
        return say(board.session.rules.language, f"ideation_{name}", text=boards.line(stimulus, 220))

    async def _idea(self, board: Board, drawn: Stimulus, stage: Stage) -> str | None:
        """An idea of the machine's own on the board, and what is said of it; None where it has no new one."""
        generator = self.generator
        if generator is None:
            return None
        ideas = "\n".join(f"- {each.text}" for each in board.open[-12:]) or "-"
        words = _ASK.format(topic=board.session.topic, spark=drawn.text, ideas=ideas)
        prompt = Prompt(PERSONA, History(), words, Intent.IDEATE, Move.IDEATE)
        said = ""
        try:
            async for piece in generator.stream(prompt, None, Limits(max_tokens=80, deadline=SECONDS)):
                said = piece.text if piece.replaces else said + piece.text
        except GeneratorError:
            return None
        text = " ".join(clean(said).split())[:300].strip(" -*•\"'")
        if len(text.split()) < 3:
            return None
        known = await asyncio.to_thread(self.stand.vectors, board.open)
        made = await asyncio.to_thread(self.stand.vectors.texts, [text])
        if first_new(made, known) is None:
            return None
        sources = (drawn.source,) if drawn.source else ()
        try:
            done = await asyncio.to_thread(
                self.stand.sessions.add, board.session.id, None, text, key=f"{stage.key}/machine", sources=sources
            )
        except SessionRefused:
            return None
        await self.stand.changed(done.board, stage.delivery)
        number = done.idea.id if done.idea else ""
        language = board.session.rules.language
        return say(language, "ideation_wider_idea", idea=number, text=boards.line(text, 300))

    def recommended(self, board: Board, person: Person, event: Command | Press | Post) -> str:
        """Earlier ideas and passages for what somebody wrote, chose and looked at, each with its reason.

        Of whom nothing is known yet: what is near to the question.
        """
        mine = [each for each in board.open if person.id in each.authors]
        chosen = {each.idea for each in board.votes if each.person == person.id}
        chosen |= {idea for who, idea in board.presses if who == person.id}
        mine += [each for each in board.open if each.id in chosen and each not in mine]
        earlier = self._earlier(board)
        unseen, running = self._withheld(earlier, person), {board.session.id}
        liked = recommended(
            [*earlier, board], person.id, self._texts, leave_out=running, count=RECOMMENDED + len(unseen)
        )
        lines = [
            f"• {boards.line(each.item.text, 140)}\n  "
            + self._say(event, f"ideation_as_{each.how}", text=boards.line(each.because.text, 60))
            for each in [each for each in liked if each.item.id not in unseen][:RECOMMENDED]
        ]
        for idea in mine[-3:]:
            for passage in self.search(board, idea.text)[:2]:
                told = f"• {boards.line(passage.text, 140)} ({boards.line(passage.source, 60)})"
                why = self._say(event, "ideation_near", idea=idea.id, text=boards.line(idea.text, 60))
                if told not in "\n".join(lines):
                    lines.append(f"{told}\n  {why}")
        if not lines:
            lines = self._near_topic(board, earlier, unseen, event)
        if not lines:
            return self._say(event, "ideation_no_recommendation")
        head = self._say(event, "ideation_recommended", topic=boards.line(board.session.topic))
        return "\n".join([head, *lines[:5]])

    def _withheld(self, boards: Sequence[Board], person: Person) -> set[str]:
        """The ideas that later sessions do not find: of those who have not agreed, but for somebody's own."""
        accounts = {each.person: each.account for board in boards for each in board.session.members if each.account}
        known = ((each, self.stand.memory.people.known(account)) for each, account in accounts.items())
        agreed = {person.id, *(each for each, found in known if found is not None and found.consent)}
        joining = [each for each in boards if each.session.rules.joins]
        found = {each.id for each in items_of(joining) if each.authors <= agreed}
        return {each.id for each in items_of(boards)} - found

    def _near_topic(
        self, board: Board, earlier: Sequence[Board], unseen: Collection[str], event: Command | Press | Post
    ) -> list[str]:
        items, topic = [each for each in items_of(earlier) if each.id not in unseen], board.session.topic
        near = related(self._texts([topic])[0], [each.id for each in items], self._texts([i.text for i in items]), 2)
        told = [boards.line(each.text, 140) for each in items if each.id in near]
        told += [f"{boards.line(p.text, 140)} ({boards.line(p.source, 60)})" for p in self.search(board, topic)[:2]]
        return [f"• {each}\n  {self._say(event, 'ideation_near_topic')}" for each in dict.fromkeys(told)]

    def known(self, board: Board) -> Vectors:
        """What its ideas could repeat: the nearest documents, and the ideas of earlier sessions here; (m, dim)."""
        code = board.session.code.lower()
        shown = [each for each in board.open if not board.is_hidden(each)][-NEWEST:]
        passages = [each for idea in shown for each in self.search(board, idea.text)[:2]]
        texts = [each.text for each in passages if not each.source.startswith(f"{IDEAS}{code}-")]
        earlier = (each for each in self._earlier(board) if each.session.id != board.session.id)
        texts += [idea.text for past in earlier for idea in past.open]
        return self.stand.vectors.texts(list(dict.fromkeys(texts)))

    def _earlier(self, board: Board) -> list[Board]:
        """The sessions that were held in this one's channels, where everybody could read them."""
        here = {replace(each, thread="") for each in board.session.places}
        past = self.stand.sessions.past(board.session.tenant)
        return [each for each in past if any(replace(place, thread="") in here for place in each.session.places)]

    def _texts(self, texts: Sequence[str]) -> Vectors:
        return self.stand.vectors.texts(texts)

    def _say(self, event: Command | Press | Post, name: str, /, **values: object) -> str:
        return say(event.language, name, p=prefix(event.place.platform), **values)
