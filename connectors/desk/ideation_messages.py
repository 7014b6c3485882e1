"""What people write where a session runs: which messages are ideas, and what comes of reactions, changes and deletions.

What was said is kept while the session runs (`acts.Spoken`): a 💡 can make an idea of it where the platform cannot be
asked, and the facilitator watches it. Whoever changes or deletes a message changes or deletes that too.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.events import Deleted, Edited, Outgoing, Post, Reaction
from agent.generation.steering import asks_us, handles, lists, shows, steers, wishes
from agent.ideation.acts import Kind, Phase, Spoken
from agent.ideation.board import Board, Idea
from agent.ideation.ground import Done
from agent.ideation.refusals import SessionRefused
from agent.message import Place, Sentiment
from agent.surface import looks_like_question
from connectors.delivery.queue import name_of
from connectors.delivery.stage import Stage
from connectors.desk.ideation_answers import answer, refused_said
from connectors.desk.ideation_board import phase_name
from connectors.desk.ideation_due import owed_said
from connectors.desk.ideation_stand import Stand
from connectors.desk.ideation_wishes import Wishes
from connectors.desk.ideation_words import Wish, ideas_in, ordered
from connectors.desk.texts import prefix, say

BULB = "💡"
MOST = 60  # ideas in one message
_LEAVES = re.compile(
    r"^\W*(?:stop|stopp|done|fertig|schluss|that['’]?s\s+all|das\s+war['’]?s|leave|genug|enough)\W*$", re.IGNORECASE
)
_NUMBER = re.compile(r"\W*([1-9])\W*")
_ABOUT_QUESTION = re.compile(
    r"\b(?:first|second|third|last|one|question|version|wording|prefer|better|take|pick|choose|number"
    r"|erste[nrs]?|zweite[nrs]?|dritte[nrs]?|letzte[nrs]?|frage|fassung|version|lieber|besser|nehmen|nehme|nummer)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Messages:
    stand: Stand
    wishes: Wishes

    async def __call__(self, post: Post, stage: Stage) -> Sequence[Outgoing] | None:
        """What is said of a message in a session; None where it is for Atelier itself, or there is no session."""
        board, is_private = await asyncio.to_thread(self._board, post)
        if board is None or not self.stand.access.is_allowed(post.account, post.place):
            return None
        if is_private and await self.stand.has_left(post.account, board):
            await asyncio.to_thread(self.stand.unbind, post.account, board)
            return None if wishes(post.text) else [answer(post, self._say(post, "ideation_has_left"))]
        if is_private and (wishes(post.text) or _LEAVES.match(post.text)):  # from now on they think about their own
            await asyncio.to_thread(self.stand.unbind, post.account, board)
            told = answer(post, self._say(post, "ideation_write_stop"))
            return None if wishes(post.text) else [told]
        if (post.direct or post.called) and not is_private and wishes(post.text):
            topic = board.session.topic
            return [answer(post, self._say(post, "ideation_open_here", topic=topic))]
        wish = self._steered(board, post, is_private=is_private)
        if wish is None and not is_private and (post.direct or post.called) and handles(post.text) == "undo":
            wish = await asyncio.to_thread(self._undone, board, post)
        if wish is not None:
            return await self.wishes(board, wish, post, stage)
        is_asked = post.called and looks_like_question(post.text) and not post.direct
        found = () if is_asked else ideas_in(post.text, questions=self._wants_questions(board))
        if board.session.phase is Phase.REFRAME:
            if (wish := await asyncio.to_thread(self._chosen, board, post)) is not None:
                return await self.wishes(board, wish, post, stage)
            found = () if _ABOUT_QUESTION.search(post.text) else found  # who is ahead of the others loses nothing
        if board.session.phase not in (Phase.REFRAME, Phase.COLLECT) or not found:
            await asyncio.to_thread(self._hear, board, post)
            if found and post.direct and not is_private:
                phase = phase_name(post.language, board.session.phase)
                return [answer(post, self._say(post, "ideation_not_collecting", phase=phase))]
            return None if post.called or post.direct else ()
        return await self._add(board, post, found, stage)

    def _board(self, post: Post) -> tuple[Board | None, bool]:
        """The session that a message may be for, and whether that is held elsewhere than where they write."""
        board = self.stand.at(post.place)
        if board is None and post.direct:
            return self.stand.bound(post.account), True
        return board, False

    def _steered(self, board: Board, post: Post, *, is_private: bool) -> Wish | None:
        """What is wanted of the session in plain words to Atelier: "next", "what do we have?", "no idea"."""
        if not is_private and (wish := ordered(post.text)) is not None:
            return wish  # also where nobody calls us: it is no idea
        if not (post.direct or post.called):
            return None
        if lists(post.text) or shows(post.text) or handles(post.text) in ("merge", "vote"):
            return Wish("board")  # which says what can be done with them at this step
        if handles(post.text) == "group":
            return Wish("groups")
        if handles(post.text) == "save" and not is_private:
            return Wish("export", text="export")
        if asks_us(post.text):  # where nothing is collected, the board says what is to be done
            is_open_to_us = board.session.phase is Phase.COLLECT and board.session.rules.machine != "never"
            return Wish("spark" if is_open_to_us else "board")
        if not steers(post.text) or is_private:
            return None
        is_empty = board.session.phase is Phase.COLLECT and not (board.ideas or board.session.technique)
        return Wish("spark" if is_empty else "next")  # who has nothing yet wants something to think from

    def _undone(self, board: Board, post: Post) -> Wish:
        """What "undo" and "the last one" take back: the newest idea of who wrote it, and of a merged one nothing."""
        if number := re.search(r"\d+", post.text):
            return Wish("withdraw", (number[0],))
        person = self.stand.person(post.account, board).id
        mine = [each for each in board.open if person in each.authors]
        return Wish("withdraw", (mine[-1].id,)) if mine and not mine[-1].parents else Wish("board")

    def _chosen(self, board: Board, post: Post) -> Wish | None:
        """A bare number by who leads, where versions of the question stand to be chosen from."""
        number = _NUMBER.fullmatch(post.text)
        if number is None or int(number[1]) > len(board.reframings):
            return None
        person = self.stand.person(post.account, board)
        leads = person.administrator or person.id == board.session.facilitator
        return Wish("choose", (number[1],)) if leads else None

    def _wants_questions(self, board: Board) -> bool:
        stage = self.stand.stage(board)
        return stage is not None and stage.takes is Kind.QUESTION

    async def _add(self, board: Board, post: Post, found: Sequence[str], stage: Stage) -> Sequence[Outgoing]:
        begun = (board.session.run, board.session.stage)
        made: list[str] = []
        refusals: list[str] = []
        for number, text in enumerate(found[:MOST]):
            if made and (board.session.run, board.session.stage) != begun:  # the round went on: the next one is another
                refusals.append(self._say(post, "ideation_refused_quota"))
                break
            words = await self.stand.names.written(text, post.place)
            try:
                done = await asyncio.to_thread(self._added, board, post, words, number)
            except SessionRefused as refused:
                refusals.append(refused_said(post, refused))
                continue
            board = done.board
            if done.idea is not None:
                made.append(done.idea.id)
        await asyncio.to_thread(self._hear, board, post)
        await self.stand.changed(board, stage.delivery)
        said = list(dict.fromkeys(refusals))
        if post.direct:
            person = await asyncio.to_thread(self.stand.memory.person, post.account)
            task = self.stand.sessions.task(board, person.id)
            said = [*self._noted(board, post, made), *said]
            if task is not None and task.left is not None and (board.session.run, board.session.stage) == begun:
                said.append(owed_said(post.language, task.left))
        return [answer(post, "\n".join(said))] if said else ()

    def _added(self, board: Board, post: Post, text: str, number: int) -> Done:
        """Raises SessionRefused; what reads like something else than is wanted is taken when it is sent again."""
        sessions, session = self.stand.sessions, board.session.id
        person = self.stand.memory.person(post.account)
        key = idea_key(post.place, post.id, number)
        given = {"key": key, "place": post.place, "account": post.account}
        try:
            return sessions.add(session, person, text, **given)  # type: ignore[arg-type]  # by name
        except SessionRefused as refused:
            if not refused.reason.startswith("wants") or not self._said_before(session, person.id, post, text):
                raise
            return sessions.add(session, person, text, insists=True, **given)  # type: ignore[arg-type]  # by name

    def _said_before(self, session: str, person: str, post: Post, text: str) -> bool:
        said = ((each.person, each.act) for each in self.stand.sessions.events(session) if isinstance(each.act, Spoken))
        return any(who == person and act.message != post.id and text in act.text for who, act in said)

    def _noted(self, board: Board, post: Post, made: Sequence[str]) -> list[str]:
        if not made:
            return []
        if len(made) > 1:
            return [self._say(post, "ideation_noted_many", ideas=", ".join(made))]
        idea = board.idea(made[0])
        hidden = "_private" if idea is not None and board.is_hidden(idea) else ""
        return [self._say(post, f"ideation_noted{hidden}", idea=made[0])]

    def _hear(self, board: Board, post: Post) -> None:
        """What the facilitator watches: who speaks, when, in what tone, about what."""
        if not post.text.strip():
            return
        heard = self.stand.house.colleague.understand(post.text)
        negative = heard.sentiment_confidence if heard.sentiment is Sentiment.NEGATIVE else 0.0
        person = self.stand.memory.person(post.account)
        said = Spoken(post.id, post.place, post.account, post.text, negative)
        self.stand.sessions.hear(board.session.id, person, said, key=said_key(post.place, post.id))

    async def reaction(self, reaction: Reaction, stage: Stage) -> bool:
        """A 💡 makes an idea of anybody's message in a channel with a session; whether this one was for that."""
        if reaction.emoji.rstrip("\ufe0f") != BULB or not reaction.is_added:
            return False
        if await asyncio.to_thread(stage.delivery.answered, reaction.place, reaction.message):
            return False  # on a message of Atelier's it is praise
        near = await asyncio.to_thread(self.stand.near, reaction.place)
        if not near:
            return False
        said = await self._said(near, reaction)
        allowed = self.stand.access.is_allowed
        if (
            said is None
            or not said.text.strip()
            or not (allowed(said.account, said.place) and allowed(reaction.account, said.place))
        ):
            return False
        exact = await asyncio.to_thread(self.stand.at, said.place)
        session = (exact or near[0]).session.id
        author = await asyncio.to_thread(self.stand.memory.person, said.account)
        key = idea_key(said.place, said.message, 0)
        text = await self.stand.names.written(" ".join(said.text.split()), said.place)
        try:
            done = await asyncio.to_thread(
                self.stand.sessions.add, session, author, text, key=key, place=said.place, account=said.account
            )
        except SessionRefused:
            return True  # it is on the board already, or nothing can be added now
        await self.stand.changed(done.board, stage.delivery)
        return True

    async def _said(self, near: Sequence[Board], reaction: Reaction) -> Spoken | None:
        """The message that somebody reacted to: as it was heard here, or as the platform has it."""
        key, ledger = said_key(reaction.place, reaction.message), self.stand.sessions.ledger
        for board in near:
            if (said := await asyncio.to_thread(ledger.spoken, board.session.id, key)) is not None:
                return said
        post = await self.stand.connectors[reaction.place.platform].said(reaction.place, reaction.message)
        return None if post is None else Spoken(post.id, post.place, post.account, post.text)

    async def edited(self, event: Edited, stage: Stage) -> bool:
        """Whoever changes a message changes the ideas that it became, one or a list of them; whether there were any."""
        ledger, place = self.stand.sessions.ledger, event.place
        key = said_key(place, event.message)
        await asyncio.to_thread(ledger.retell, place.tenant, key, event.text.strip())
        words = ideas_in(event.text, questions=True) or (event.text.strip(),)
        texts = [await self.stand.names.written(each, place) for each in words]
        found = await asyncio.to_thread(self._made_of, place, event.message)
        for board, ideas in found:
            await asyncio.to_thread(self._follow, board, ideas, texts, event, stage.key)
            changed = await asyncio.to_thread(self.stand.sessions.board, board.session.id)
            await self.stand.changed(changed, stage.delivery)
        return bool(found)

    def _follow(self, board: Board, ideas: dict[int, Idea], texts: Sequence[str], event: Edited, key: str) -> None:
        """The ideas of one message as its lines say them now: changed, given besides, or taken back."""
        sessions, session = self.stand.sessions, board.session.id
        person = self.stand.memory.person(event.account)
        wanted = [each for each in texts if each]
        kept = {idea.text for idea in ideas.values()} & set(wanted)
        old = {number: idea for number, idea in ideas.items() if idea.text not in kept}
        new = [each for each in wanted if each not in kept]
        for number, idea in old.items():
            try:
                if new:
                    sessions.edit(session, person, idea.id, new.pop(0), key=f"{key}/{number}")
                else:
                    sessions.withdraw(session, person, idea.id, key=f"{key}/{number}")
            except SessionRefused:
                continue  # it is voted on already, or merged
        if board.session.phase is not Phase.COLLECT:
            return
        for number, text in enumerate(new, max(ideas) + 1):
            try:
                given = idea_key(event.place, event.message, number)
                sessions.add(session, person, text, key=given, place=event.place, account=event.account)
            except SessionRefused:
                continue

    async def deleted(self, event: Deleted, stage: Stage) -> None:
        """Whoever takes a message back takes its ideas back, words and all, and what they were split into.

        One that was merged says what others said. Those that are voted on, or of a session that is closed, are what
        all decided by, and stay.
        """
        key, place = said_key(event.place, event.message), event.place
        await asyncio.to_thread(self.stand.sessions.ledger.retell, place.tenant, key, "")
        for board, ideas in await asyncio.to_thread(self._known_of, place, event.message):
            standing = [(number, each) for number, idea in ideas.items() for each in _standing(board, idea)]
            for number, each in standing:
                name = f"{stage.key}/{number}" if each is ideas[number] else f"{stage.key}/{number}/{each.id}"
                try:
                    await asyncio.to_thread(self.stand.sessions.withdraw, board.session.id, None, each.id, key=name)
                except SessionRefused:
                    continue
            if not standing:
                continue
            changed = await asyncio.to_thread(self.stand.sessions.board, board.session.id)
            await self.stand.changed(changed, stage.delivery)
        ledger, keys = self.stand.sessions.ledger, _keys(place, event.message)
        for session in await asyncio.to_thread(ledger.empty, place.tenant, keys):
            changed = await asyncio.to_thread(self.stand.sessions.board, session)
            await self.stand.changed(changed, stage.delivery)

    def _made_of(self, place: Place, message: str) -> list[tuple[Board, dict[int, Idea]]]:
        """What of it stands as it was given."""
        known = self._known_of(place, message)
        standing = [(board, {n: idea for n, idea in made.items() if idea.is_open}) for board, made in known]
        return [(board, made) for board, made in standing if made]

    def _known_of(self, place: Place, message: str) -> list[tuple[Board, dict[int, Idea]]]:
        """What a message became, by the number of its line, in each open session."""
        keys = _keys(place, message)
        found: dict[str, dict[int, str]] = {}
        for session, idea, number in self.stand.sessions.ledger.made_of(place.tenant, keys):
            found.setdefault(session, {})[number] = idea
        boards = [(self.stand.sessions.board(session), made) for session, made in found.items()]
        known = [(board, {n: board.idea(idea) for n, idea in sorted(made.items())}) for board, made in boards]
        return [(board, {n: idea for n, idea in made.items() if idea is not None}) for board, made in known]

    def _say(self, post: Post, name: str, /, **values: object) -> str:
        return say(post.language, name, p=prefix(post.place.platform), **values)


def _standing(board: Board, idea: Idea | None) -> Iterator[Idea]:
    """An idea, or what it was split into, as far as that stands."""
    if idea is not None and idea.state == "split":
        for part in idea.into:
            yield from _standing(board, board.idea(part))
    elif idea is not None and idea.is_open:
        yield idea


def idea_key(place: Place, message: str, number: int) -> str:
    """The same for a message however it becomes an idea, so that it becomes one only once."""
    name = f"idea/{name_of(place, message)}"
    return f"{name}#{number}" if number else name  # what follows an act of its key is named with a slash


def _keys(place: Place, message: str) -> list[str]:
    """Of all ideas that a message can have become."""
    return [idea_key(place, message, number) for number in range(MOST)]


def said_key(place: Place, message: str) -> str:
    return f"said/{name_of(place, message)}"
