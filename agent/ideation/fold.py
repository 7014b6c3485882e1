"""From acts to the board: a pure fold.

It never fails: acts about an idea that is no more (its author was forgotten) change nothing. So a restart, a second
place, or an act that came twice all end in the same board.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from agent.ideation import acts
from agent.ideation.acts import Ballot, Phase
from agent.ideation.board import Action, Board, Idea, Member, Remark, Said, Session, Spark, Vote
from agent.ideation.event import Event

_WORD = re.compile(r"\w+")


def fold(start: Session, events: Sequence[Event]) -> Board:
    """The board after `events`, in their order. start: the session's id, tenant and code."""
    folding = _Folding(start)
    for event in events:
        folding.take(event)
    return folding.board()


class _Folding:
    """The board while it is being folded."""

    def __init__(self, start: Session) -> None:
        self.session = start
        self.ideas: dict[str, Idea] = {}
        self.remarks: list[Remark] = []
        self.reframings: tuple[str, ...] = ()
        self.sparks: list[Spark] = []
        self.nudges: list[Said] = []
        self.decided: tuple[str, ...] = ()
        self.reason = ""
        self.actions: dict[str, Action] = {}
        self.presses: dict[tuple[str, str], None] = {}
        self.votes: dict[tuple[str, str, str, str], Vote] = {}
        self.events = 0

    def take(self, event: Event) -> None:
        self.events += 1
        match event.act:
            case acts.Added() | acts.Merged() | acts.Divided():
                self._make(event)
            case acts.Reworded() | acts.Withdrawn() | acts.Tagged() | acts.Celled():
                self._change(event)
            case acts.Dotted() | acts.Preferred() | acts.Scored():
                self._vote(event)
            case acts.Remarked(idea, kind, text):
                self.remarks.append(Remark(idea, kind, text, event.person, event.at))
            case acts.Reframed(versions):
                self.reframings = versions
            case acts.Sparked(text, source):
                self.sparks.append(Spark(text, source, event.at))
            case acts.Nudged(rule, reason):
                self.nudges.append(Said(rule, reason, event.at))
            case acts.Pressed(idea):
                self.presses[event.person, idea] = None
            case acts.Decided(ideas, reason):
                self.decided, self.reason = ideas, reason
            case acts.ActionTaken(action, text, owner, due, idea):
                self.actions[action] = Action(action, text, event.subject, owner, due, idea)
            case acts.ActionDone(action):
                if action in self.actions:
                    self.actions[action] = replace(self.actions[action], is_done=True)
            case _:
                self.session = _moved(self.session, event)

    def _make(self, event: Event) -> None:
        now = self.session
        given = Idea("", "", event.at, (event.person,) if event.person else (), run=now.run, stage=now.stage)
        match event.act:
            case acts.Added() as act:
                self.ideas[act.idea] = replace(
                    given,
                    id=act.idea,
                    text=act.text,
                    share=act.share,
                    kind=act.kind,
                    parents=act.parents,
                    sources=act.sources,
                    tags=act.tags,
                    place=act.place,
                    sheet=act.sheet,
                    private=act.private,
                )
            case acts.Merged(idea, text, parents):
                known = [self.ideas[each] for each in parents if each in self.ideas]
                words = text or (known[0].text if known else "")
                joined = _joined(replace(given, id=idea, text=words, parents=parents), known)
                self.ideas |= {each.id: replace(each, state="merged", into=(idea,)) for each in known}
                self.ideas[idea] = joined
            case acts.Divided(idea, ids, texts):
                whole = self.ideas.get(idea)
                for new, text in zip(ids, texts, strict=True):
                    part = replace(whole or given, id=new, text=text, parents=(idea,), made=event.at, earlier=())
                    self.ideas[new] = replace(part, share=share_kept(part.share, whole.text if whole else "", text))
                if whole is not None:
                    self.ideas[idea] = replace(whole, state="split", into=ids)

    def _change(self, event: Event) -> None:
        idea = self.ideas.get(event.act.idea)  # type: ignore[union-attr]  # each of these acts names its idea
        if idea is None:
            return
        match event.act:
            case acts.Reworded(_, text):
                share = share_kept(idea.share, idea.text, text)
                changed = replace(idea, text=text, earlier=(*idea.earlier, idea.text), share=share)
                if idea.by == "machine" and event.person and event.person not in idea.authors:
                    changed = replace(changed, authors=(*idea.authors, event.person))
            case acts.Withdrawn():
                changed = replace(idea, state="withdrawn")
            case acts.Tagged(_, tag, on):
                rest = tuple(each for each in idea.tags if each != tag)
                changed = replace(idea, tags=(*rest, tag) if on else rest)
            case acts.Celled(_, values):
                changed = replace(idea, values=values)
            case _:
                return
        self.ideas[idea.id] = changed

    def _vote(self, event: Event) -> None:
        who = event.person
        match event.act:
            case acts.Dotted(idea, dots):
                key, vote = (who, "dots", idea, ""), Vote(who, Ballot.DOTS, idea, dots)
            case acts.Preferred(winner, loser):
                key = (who, "pair", min(winner, loser), max(winner, loser))
                vote = Vote(who, Ballot.PAIRS, winner, other=loser)
            case acts.Scored(idea, criterion, score):
                key = (who, "score", idea, criterion)
                vote = Vote(who, Ballot.CRITERIA, idea, score, criterion=criterion)
            case _:
                return
        self.votes.pop(key, None)  # the latest stands, and stands last
        self.votes[key] = vote

    def board(self) -> Board:
        remarks = [each for each in self.remarks if each.idea in self.ideas]
        return Board(
            self.session,
            tuple(self.ideas.values()),
            tuple(remarks),
            tuple(self._standing()),
            self.reframings,
            tuple(self.sparks),
            tuple(self.nudges),
            tuple(each for each in self.decided if each in self.ideas),
            self.reason,
            tuple(self.actions.values()),
            tuple(each for each in self.presses if each[1] in self.ideas),
            self.events,
        )

    def _standing(self) -> list[Vote]:
        """The votes that count: on open ideas, of the session's ballot, and no person's dots above their number.

        Votes for ideas that were merged since are for what became of them. Somebody who voted under two accounts and
        then linked them has one ballot: the first dots count.
        """
        rules = self.session.rules
        left: dict[str, int] = {}
        standing: dict[tuple[str, str, str, str], Vote] = {}
        for cast in self.votes.values():
            vote = replace(cast, idea=self._became(cast.idea), other=self._became(cast.other))
            rated = [self.ideas.get(each) for each in (vote.idea, vote.other) if each]
            is_open = all(each is not None and each.is_open for each in rated)
            if vote.ballot is not rules.ballot or not is_open or vote.idea == vote.other:
                continue
            key = (vote.person, vote.idea, vote.other, vote.criterion)
            if vote.ballot is Ballot.DOTS:
                dots = min(vote.value, left.setdefault(vote.person, rules.dots))
                left[vote.person] -= dots
                vote = replace(vote, value=dots + (standing[key].value if key in standing else 0))
            if vote.value:
                standing[key] = vote
        return list(standing.values())

    def _became(self, idea: str) -> str:
        """What stands in the place of an idea that was merged, perhaps again and again."""
        found = self.ideas.get(idea)
        while found is not None and found.state == "merged" and found.into:
            idea = found.into[0]
            found = self.ideas.get(idea)
        return idea


def _joined(idea: Idea, parents: Sequence[Idea]) -> Idea:
    """An idea made of several: everyone's who had a part in one, with all their tags and sources."""
    if not parents:
        return idea
    share = sum(each.share for each in parents) / len(parents)
    return replace(
        idea,
        authors=_united(each.authors for each in parents),
        share=share,
        sources=_united(each.sources for each in parents),
        tags=_united(each.tags for each in parents),
        private=False,
        kind=parents[0].kind,
    )


def _united(several: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for one in several for each in one))


def _moved(session: Session, event: Event) -> Session:
    """The session after an act that concerns itself."""
    match event.act:
        case acts.Opened(topic, place, rules):
            return replace(
                session,
                topic=topic,
                asked=topic,
                rules=rules,
                facilitator=event.person,
                opened=event.at,
                phase_began=event.at,
                places=(place,) if place.channel else (),  # none: the private chat of somebody who was forgotten
                phase=rules.phases[0] if rules.phases else Phase.COLLECT,
            )
        case acts.PlaceJoined(place) if place not in session.places:
            return replace(session, places=(*session.places, place))
        case acts.PlaceLeft(place):
            return replace(session, places=tuple(each for each in session.places if each != place))
        case acts.Entered(account):
            if not event.person:
                return session
            others = [each for each in session.members if each.person != event.person]
            if len(others) == len(session.members):
                return replace(session, members=(*session.members, Member(event.person, account)))
            known = (
                replace(each, account=account or each.account) if each.person == event.person else each
                for each in session.members
            )
            return replace(session, members=tuple(known))
        case acts.Chosen(topic):
            return replace(session, topic=topic)
        case acts.Moved(phase, ends):
            moved = replace(session, phase=phase, ends=ends, phase_began=event.at)
            return moved if phase is Phase.COLLECT else replace(moved, technique="", stage_ends=None)
        case acts.Prolonged(ends):
            return replace(session, stage_ends=ends) if session.technique else replace(session, ends=ends)
        case acts.Handed():
            return replace(session, facilitator=event.subject)
        case acts.TechniqueBegun(technique, ends):
            return replace(
                session,
                technique=technique,
                stage=0,
                run=session.run + 1,
                roster=tuple(each.person for each in session.members),
                ends=None,
                stage_ends=ends,
                stage_began=event.at,
                used=(*session.used, technique),
            )
        case acts.StageReached(stage, ends):
            return replace(session, stage=stage, stage_ends=ends, stage_began=event.at)
        case acts.TechniqueEnded(ends):
            return replace(session, technique="", stage_ends=None, ends=ends)
        case acts.Balloted(ballot, criteria):
            return replace(session, rules=replace(session.rules, ballot=ballot, criteria=criteria))
    return session


def share_kept(share: float, before: str, now: str) -> float:
    """The machine's share of a text after somebody reworded it: by how many of its words were there before."""
    words = _WORD.findall(now.casefold())
    known = set(_WORD.findall(before.casefold()))
    return share * sum(word in known for word in words) / len(words) if words else 0.0
