"""What is answered without a generator: by the team's own approved answers, and where two documents differ. Blocks."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from agent.conversation import recalls
from agent.generation.asked_kind import HOUR, has_hours, lacks_kind, lacks_thing
from agent.generation.phrases import phrase
from agent.message import Message, Move
from agent.policy import is_ours
from agent.support.conflicts import Conflict, conflict, worded
from agent.support.curated import Curated, Match
from agent.support.dates import stated
from agent.support.versions import apart, is_even, is_nearest, says_old, succeeds
from retrieval.passage import Passage, Vectors
from retrieval.shelf import Shelf
from retrieval.store import StoredDocument

APPROVED = "The team has approved an answer to this question, so I give it word for word."
DIFFERING = "Two documents differ on this, so I show both."
CURATED = "approved answer"  # worded by the team, not by a generator
# An errand that cannot be run, or words that say little, may be just what the team has an answer to.
SETTLED = frozenset({Move.ANSWER, Move.CHAT, Move.CLARIFY})
_HOST = re.compile(r"https?://([^\s/?#)\]>\"']+)", re.IGNORECASE)


def approved(
    curated: Curated, message: Message, move: Move, wanted: Move | None, asked: Sequence[tuple[str, Vectors]]
) -> Match | None:
    """The team's answer to a message, if there is one that everybody in the place may read. Raises StoreError.

    asked: the message in its own words and made whole, each with its vector.
    """
    if move not in SETTLED or wanted not in (None, Move.ANSWER) or recalls(message.text) is not None:
        return None
    found = [curated.match(text, vector, message.place.tenant, message.audiences) for text, vector in asked]
    return max((each for each in found if each is not None), key=lambda match: match.probability, default=None)


@dataclass(frozen=True, slots=True)
class Written:
    """When documents were written or came, by source: by their files, and how they begin, where a day may stand."""

    files: Mapping[str, datetime]
    openings: Mapping[str, str]


def differing(
    question: str, passages: Sequence[Passage], language: str, written: Callable[[Collection[str]], Written]
) -> str:
    """The words for two documents that contradict each other on what is asked, the newer first; mostly none.

    Where they only may, for they say it in other words and neither is known to be the older version, it is called that.
    written: of these sources; asked for only where two differ.
    """
    places = [place for place, passage in enumerate(passages) if not is_ours(passage)]
    compared = [passages[place] for place in places]
    look = cache(written)  # the same two may differ in many sentences
    hours, perhaps = has_hours(question, compared), ""
    for found, is_sure in _found(question, compared):
        both = compared[found.one.passage], compared[found.other.passage]
        texts = found.one.text, found.other.text
        if any(lacks_kind(question, text) or (hours and not HOUR.search(text)) for text in texts):
            continue
        if any(lacks_thing(question, passage) for passage in both):
            continue
        known = look((both[0].source, both[1].source))
        files = [known.files.get(each.source) for each in both]
        days = [stated(each.source, each.heading, (each.text, known.openings.get(each.source, ""))) for each in both]
        old = [says_old(each) for each in both]
        is_version = succeeds((days[0], days[1]), (files[0], files[1]), (old[0], old[1]))
        if not (is_sure or is_version) and (perhaps or not is_even(question, found, compared)):
            continue
        dates = [day or file for day, file in zip(days, files, strict=True)]

        def say(name: str, *, is_told: bool = is_sure or is_version) -> str:
            return phrase("answer", name if is_told else "differ_perhaps", language=language)

        numbers = [place + 1 for place in places]
        said = worded(found, compared, dates, say, numbers)
        if is_sure or is_version:
            return said
        perhaps = said
    return perhaps


def _found(question: str, passages: Sequence[Passage]) -> Iterator[tuple[Conflict, bool]]:
    """What may be a contradiction, and whether it surely is one: else only where one document is the older version."""
    sure = conflict(question, passages)
    if sure is not None and is_nearest(question, sure, passages):
        yield sure, True
        return
    for each in apart(question, passages):
        if is_nearest(question, each, passages):
            yield each, False


def written_of(shelf: Shelf, tenant: str, sources: Collection[str]) -> Written:
    """Of these documents of a tenant. Raises StoreError."""
    found = {source: shelf.document(tenant, source) for source in sources}
    files = {source: _day_of(each) for source, each in found.items() if each is not None}
    return Written(files, shelf.openings(tenant, sources))


def dates_of(shelf: Shelf, tenant: str) -> dict[str, datetime]:
    """When each document's file was last changed, or where that is not known, when it was read."""
    return {each.source: _day_of(each) for each in shelf.documents(tenant)}


def _day_of(document: StoredDocument) -> datetime:
    file = document.file
    return datetime.fromtimestamp(file.mtime / 1e9 if file and file.mtime else document.added, UTC)


def cited(answer: str) -> str:
    """An approved answer with its citation, which must not stand within a block of code."""
    is_code = answer.rstrip().endswith(("```", "~~~"))
    return answer + ("\n\n[1]" if is_code else " [1]")


def hosts(text: str) -> list[str]:
    """The hosts that a text links to."""
    return _HOST.findall(text)
