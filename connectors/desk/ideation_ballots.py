"""Votes in a session: dots, pairs and criteria, each told to nobody but who gave it; and by what it is voted."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agent.events import Outgoing
from agent.ideation.acts import Ballot, Criterion, Phase
from agent.ideation.board import Board
from agent.ideation.ground import Done
from agent.ideation.tally import next_pair
from agent.message import Person
from connectors.connector import Refused
from connectors.delivery.stage import Stage
from connectors.desk import ideation_board as boards
from connectors.desk.ideation_answers import Asking, answer, secretly
from connectors.desk.ideation_stand import Stand
from connectors.desk.ideation_words import Wish
from connectors.desk.texts import prefix, say

_WEIGHED = re.compile(r"(?P<name>.*?)(?<![\s:=])[\s:=]*+(?:[x×*]\s*)?(?P<weight>\d+(?:[.,]\d+)?)?\s*%?")
_OFF = frozenset({"off", "none", "dots", "aus", "keine"})
HIGHEST = 5


@dataclass(frozen=True, slots=True)
class Ballots:
    stand: Stand

    async def __call__(
        self, board: Board, wish: Wish, event: Asking, stage: Stage, person: Person
    ) -> Sequence[Outgoing] | None:
        """What is said of a vote; None for other wishes. Raises AtelierError, SessionRefused too."""
        outcome, session, key = self.stand.sessions.outcome, board.session.id, stage.key
        me = await asyncio.to_thread(self.stand.memory.person, event.account)
        match wish.verb:
            case "vote" if wish.numbers:
                told: list[str] = []
                for each in wish.numbers:
                    said, board = await self._vote(board, each, event, stage, me)
                    told.append(said)
                return [secretly(event, "\n".join(dict.fromkeys(told)))]
            case "prefer":
                better, worse = wish.numbers
                done = await self._done(stage, lambda: outcome.prefer(session, me, better, worse, key=key))
                noted = secretly(event, self._say(event, "ideation_preferred", idea=better))
                return [noted, *self._next_pair(done.board, me, event)]
            case "score":
                found = re.fullmatch(r"(?P<name>.*?) ?(?P<score>\d)", " ".join(wish.text.split()))
                if found is None or not board.session.rules.criteria:
                    return [answer(event, self._say(event, "ideation_usage"))]
                name = found["name"] or board.session.rules.criteria[0].name
                idea, score = wish.numbers[0], int(found["score"])
                await self._done(stage, lambda: outcome.score(session, me, idea, name, score, key=key))
                return [secretly(event, self._say(event, "ideation_scored", idea=idea, score=score, criterion=name))]
            case "rate":
                return await self._rated(board, wish, event, stage, me)
            case "criteria":
                return await self._criteria(board, wish.text.removeprefix("criteria"), event, stage, person)
            case _:
                return None

    async def _done(self, stage: Stage, act: Callable[[], Done]) -> Done:
        done = await asyncio.to_thread(act)
        await self.stand.changed(done.board, stage.delivery)
        return done

    async def _vote(self, board: Board, idea: str, event: Asking, stage: Stage, me: Person) -> tuple[str, Board]:
        """One vote given; or taken back, where it was given before. What is said of it, and the board after it."""
        outcome, session = self.stand.sessions.outcome, board.session.id
        given = sum(each.value for each in board.votes if (each.person, each.idea) == (me.id, idea))
        is_counted = board.session.rules.ballot is Ballot.DOTS and board.session.phase is Phase.VOTE
        if is_counted and not given and board.dots_left(me.id) < 1:
            return self._say(event, "ideation_vote_none_left"), board
        done = await self._done(
            stage, lambda: outcome.dot(session, me, idea, 0 if given else 1, key=f"{stage.key}/{idea}")
        )
        now = sum(each.value for each in done.board.votes if (each.person, each.idea) == (me.id, idea))
        left = done.board.dots_left(me.id)
        return self._say(event, f"ideation_vote_{'given' if now else 'taken'}", idea=idea, left=left), done.board

    def _next_pair(self, board: Board, me: Person, event: Asking) -> list[Outgoing]:
        """The next two to choose between, for who has just chosen: in Slack for them alone, or in private."""
        pair = next_pair(board, me.id)
        if pair is None or not (event.place.platform == "slack" or getattr(event, "direct", False)):
            return []
        ideas = [board.idea(each) for each in pair]
        lines = "\n".join(boards.idea_line(board, each) for each in ideas if each is not None)
        given = (
            boards.Control(f"prefer {pair[0]} {pair[1]}", pair[0]),
            boards.Control(f"prefer {pair[1]} {pair[0]}", pair[1]),
        )
        said = Outgoing(event.place, f"{self._say(event, 'ideation_do_vote_pairs')}\n{lines}", to=event.account)
        return [replace(said, buttons=self.stand.pressable(board, event.place, given), audience="one")]

    # Criteria

    async def _rated(self, board: Board, wish: Wish, event: Asking, stage: Stage, me: Person) -> Sequence[Outgoing]:
        """A score of one idea on one criterion (`rate 3 0 4`), and then the next that this person has not given."""
        criteria = board.session.rules.criteria
        if board.session.phase is not Phase.VOTE or board.session.rules.ballot is not Ballot.CRITERIA:
            return [answer(event, self._say(event, "ideation_gone_on"))]
        if len(wish.numbers) == 3 and int(wish.numbers[1]) < len(criteria):
            idea, name, score = wish.numbers[0], criteria[int(wish.numbers[1])].name, int(wish.numbers[2])
            act = self.stand.sessions.outcome.score
            done = await self._done(stage, lambda: act(board.session.id, me, idea, name, score, key=stage.key))
            board = done.board
        given = {(each.idea, each.criterion) for each in board.votes if each.person == me.id}
        left = [(i.id, n) for i in board.open for n, c in enumerate(criteria) if (i.id, c.name) not in given]
        if not left:
            return [secretly(event, self._say(event, "ideation_rated_all"))]
        turn = sum(map(ord, me.id)) % len(board.open)  # people begin at different ideas
        order = {each.id: (i - turn) % len(board.open) for i, each in enumerate(board.open)}
        idea, number = min(left, key=lambda each: (order[each[0]], each[1]))
        return await self._asked(board, idea, number, event)

    async def _asked(self, board: Board, idea: str, number: int, event: Asking) -> Sequence[Outgoing]:
        """One idea and one criterion, with a button for each score, where nobody else sees it."""
        place, connector = event.place, self.stand.connectors[event.place.platform]
        is_open = place.platform != "slack" and not getattr(event, "direct", False) and place.channel != ""
        if is_open:
            try:
                place = await connector.aside(event.account, event.place)
            except Refused:
                is_open = False
        found = board.idea(idea)
        text = boards.line(found.text) if found is not None else ""
        criterion = boards.line(board.session.rules.criteria[number].name, 60)
        asked = self._say(event, "ideation_rate", idea=idea, text=text, criterion=criterion)
        scores = tuple(boards.Control(f"rate {idea} {number} {n}", str(n)) for n in range(1, HIGHEST + 1))
        said = Outgoing(place, asked, buttons=self.stand.pressable(board, place, scores), to=event.account)
        if not is_open:
            return [replace(said, audience="one") if place.platform == "slack" else said]
        link = connector.address(f"ideation-{board.session.code}")
        fallback = Outgoing(event.place, self._say(event, "ideation_write_open", link=link), to=event.account)
        return [answer(event, self._say(event, "ideation_write_asks")), replace(said, instead=fallback)]

    async def _criteria(
        self, board: Board, words: str, event: Asking, stage: Stage, person: Person
    ) -> Sequence[Outgoing]:
        """By which criteria it is voted: `cost 2, fun, effort`; `off` goes back to votes; alone it says them."""
        if words.strip():
            is_off = words.strip().casefold() in _OFF
            wanted = () if is_off else criteria_of(words)
            ballot = Ballot.CRITERIA if wanted else Ballot.DOTS
            act, key = self.stand.sessions.course.vote_by, stage.key
            board = (await self._done(stage, lambda: act(board.session.id, person, ballot, wanted, key=key))).board
        if not board.session.rules.criteria:
            return [answer(event, self._say(event, "ideation_criteria_none"))]
        named = boards.criteria_said(board.session.rules.criteria)
        return [Outgoing(event.place, self._say(event, "ideation_criteria", criteria=named), to=event.account)]

    def _say(self, event: Asking, name: str, /, **values: object) -> str:
        return say(event.language, name, p=prefix(event.place.platform), **values)


def criteria_of(words: str) -> tuple[Criterion, ...]:
    """`cost 2, fun, effort x0.5`: each with the number that says how much it weighs, 1 where it has none."""
    found: list[Criterion] = []
    for part in re.split(r"[,;\n]", words):
        weighed = _WEIGHED.fullmatch(" ".join(part.split()))
        if weighed is not None and weighed["name"].strip():
            weight = float((weighed["weight"] or "1").replace(",", "."))
            found.append(Criterion(weighed["name"].strip()[:60], weight))
    return tuple(found)
