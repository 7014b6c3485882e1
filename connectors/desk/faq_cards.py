"""What is proposed of a case: its question and answer, for whom at first, and the card on which people decide."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from agent.buttons import Buttons, Meaning
from agent.events import Button, Outgoing
from agent.guard import clean
from agent.memory import Memory
from agent.message import Move, Place
from agent.support.cases import Case, Cases, Kind, State
from agent.support.curated import LONGEST, Curated, Entry
from agent.support.proposals import KIND, OF_CASE, Thread
from agent.surface import looks_like_question
from connectors.connector import Connector
from connectors.desk.access import own_audience
from connectors.desk.support_words import relayed
from connectors.desk.texts import prefix, say
from retrieval.audience import everyone
from retrieval.errors import MessageRefused

MINUTES = 30 * 24 * 60  # that buttons work
EARLIER = 12  # turns before a case in which its question is looked for
_OWN = "chat-"  # begins the names of audiences that are one conversation's


@dataclass(frozen=True, slots=True)
class Settled:
    """A case that ended with an answer. question: in its asker's words; empty unless they agreed to that."""

    case: Case
    question: str
    answer: str
    by: str


@dataclass(frozen=True, slots=True)
class Cards:
    """tenant: whose answers these are. language: of the desks. tidy: takes personal data out of a text."""

    tenant: str
    language: str
    memory: Memory
    cases: Cases
    curated: Curated
    buttons: Buttons
    connectors: Mapping[str, Connector]
    tidy: Callable[[str], str]

    def settled(self, number: int) -> Settled | None:
        """What a case ended with; None where it did not, or holds no answer."""
        case = self.cases.get(number)
        if case is None or case.state is not State.RESOLVED or not case.asker or case.desk.tenant != self.tenant:
            return None
        spoken = [line for line in self.cases.lines(number) if line.kind in (Kind.ANSWERED, Kind.RESOLVED)]
        said = [(words, line.author) for line in spoken if (words := _without_files(line.text, case.language))]
        if not said:
            return None
        answered = "\n".join(relayed(self.tidy(words)) for words, _ in said)
        return Settled(case, self._question(case), answered, said[-1][1])

    def propose(self, settled: Settled, words: str = "", *, is_open: bool) -> Entry | None:
        """The entry that waits; None where it may not be, or is too long. words: the question, put by an agent."""
        case = settled.case
        try:
            return self.curated.propose(
                f"{OF_CASE}{case.number}",
                self.tenant,
                clean(words) or settled.question,
                settled.answer,
                say(case.language, "faq_source", n=case.number),
                self._readers(case, is_open=is_open),
                settled.by,
                asked_by="" if words else case.asker,
                language=case.language,
            )
        except MessageRefused:  # longer than an answer may be, or the asker took their consent back just now
            return None

    async def is_open(self, case: Case) -> bool:
        """Whether it was asked where everybody of the team reads."""
        connector = self.connectors.get(case.place.platform)
        return not case.direct and connector is not None and await connector.is_open(case.place)

    def card(self, entry: Entry, place: Place) -> Outgoing:
        """A proposed answer, to be decided on by buttons."""
        thread = Thread.of(entry.origin, self.tenant)
        if thread is None:
            head = say(self.language, "faq_card", n=entry.id, case=entry.origin.removeprefix(OF_CASE))
        else:
            head = say(self.language, "faq_card_thread", n=entry.id, channel=entry.source)
        asked = [f"> {line}" for line in entry.question.split("\n")]
        text = "\n".join([head, *asked, relayed(entry.answer), self.readers(entry.audience, self.language)])
        is_one_place = is_of_one_place(entry.audience)
        verbs = ["everyone" if is_one_place else "approve", "reword", "dismiss"]
        if is_one_place and thread is not None:
            verbs[:1] = ["approve", "everyone"] if thread.is_open else ["approve"]
        return Outgoing(place, text, buttons=self._buttons(entry.id, verbs, place))

    def unworded(self, settled: Settled, place: Place) -> Outgoing:
        """What is asked of a desk where the asker's words may not be used; or said where the answer is too long."""
        number = settled.case.number
        if len(settled.answer) > LONGEST:
            return Outgoing(place, self.too_long(settled, self.language))
        text = f"{say(self.language, 'faq_unworded', case=number)}\n{settled.answer}"
        return Outgoing(place, text, buttons=self._buttons(number, ("word",), place))

    def too_long(self, settled: Settled, language: str) -> str:
        """Why an answer cannot be proposed, whatever the question is."""
        platform = settled.case.desk.platform
        count, number = len(settled.answer), settled.case.number
        return say(language, "faq_too_long", case=number, count=f"{count:,}", limit=f"{LONGEST:,}", p=prefix(platform))

    def readers(self, audience: str, language: str) -> str:
        """For whom an answer is, in a sentence."""
        if is_of_one_place(audience):
            return say(language, "faq_readers_here")
        return say(language, "faq_readers", audience=audience.partition("/")[2])

    def _buttons(self, number: int, verbs: Collection[str], place: Place) -> tuple[Button, ...]:
        meanings = {f"{KIND}/{verb}/{number}": Meaning(KIND, f"{verb} {number}", place) for verb in verbs}
        made = self.buttons.make_keyed(meanings, MINUTES)
        forms = {verb: say(self.language, f"faq_{verb}_ask") for verb in verbs if verb in ("reword", "word")}
        return tuple(
            Button(button, say(self.language, f"faq_{verb}"), forms.get(verb, ""))
            for button, verb in zip(made, verbs, strict=True)
        )

    def _question(self, case: Case) -> str:
        """What the asker wanted to know, where they agreed: their last question, else one of the case."""
        if not self.memory.person(case.asker_account).consent:
            return ""
        known = self.memory.turns(case.place, EARLIER) if case.turn else ()
        theirs = [each for each in known if each.message.author.id == case.asker and each.id <= case.turn]
        searched = [each.message.text for each in theirs if each.decision.move is Move.ANSWER]
        written = [
            line.text
            for line in self.cases.lines(case.number)
            if line.author == case.asker and looks_like_question(line.text)
        ]
        found = searched[-1:] or written[:1]
        return " ".join(clean(self.tidy(found[0])).split()) if found else ""

    def _readers(self, case: Case, *, is_open: bool) -> str:
        """Whom it is for at first: no more people than it was asked among, until an agent says otherwise.

        In a channel where something is read that is not for everyone: those. Of several the first by name: an entry
        has one audience. In one that all of the team can read: everyone. Else the desk alone.
        """
        turn = self.memory.turn(case.turn) if case.turn and not case.direct else None
        held = {each for each in turn.message.readers if not is_of_one_place(each)} if turn else set()
        team = everyone(self.tenant)
        if named := held - {team}:
            return min(named)
        return team if team in held and is_open else own_audience(case.desk)


def _without_files(text: str, language: str) -> str:
    """What was said without the lines that name a file: the next who asks does not get it."""
    before, after = say(language, "case_file", name="\n").split("\n")
    kept = (line for line in text.splitlines() if not (line.startswith(before) and line.endswith(after)))
    return "\n".join(kept).strip()


def is_of_one_place(audience: str) -> bool:
    """Whether it is the audience of a single conversation or channel."""
    return audience.partition("/")[2].startswith(_OWN)
