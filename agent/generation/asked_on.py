"""What the passages behind the last answer say on the words of a follow-up: "and in Graz?", "und Teilzeit?". Pure.

A colleague who has just quoted a page looks there first. The sentences that have the words are quoted,
and nothing else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.generation.answer import completed, runs, unmarked
from agent.generation.forms import has_all
from agent.generation.sentences import Kind, cut
from agent.german import language_of
from agent.message import Turn
from agent.rewrite import content_words, fragment
from agent.rows import rows_of
from retrieval.passage import Passage

PLACES = 2  # sentences of a passage that are quoted
PASSAGES = 3  # quoted: rows of one table, as a rule
_ASKING = frozenset("lange lang hoch teuer groß genau kostet".split())  # which ask, and name nothing
COLUMNS = 3  # words of a question that names columns alone
_CASE = 3  # words of a condition
_LONGEST = 80  # characters of what goes on from an answer
_ROW = re.compile(r"[^\n:;]{1,60}: [^\n;]+; [^\n:;]{1,60}: [^\n;]")  # as rows are kept, and said
_MEASURE = re.compile(
    r"^\W*(?:(?:and|but|ok(?:ay)?|so|und|aber|also)\b[\s,]*)*(?:(?:for|until|till|by|from|since|bis|ab|seit|für)\s+)?(?P<how>how\s+(?:long|often|many|much)|what\s+time|when"
    r"|wie\s+(?:lange|oft|viele?|häufig)|wann)(?:\s+(?:exactly|genau|denn|then))?[\s?!.]*$",
    re.IGNORECASE,
)
_SPAN = (
    r"(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|ein\w*|zwei|drei|vier|fünf|sechs|zwölf)\s+(?:\w+\s+)?"
    r"(?:minutes?|hours?|days?|weeks?|months?|years?|minuten?|stunden?|tage?n?|wochen?|monate?n?|jahre?n?)"
)
_MEASURES = tuple(
    (re.compile(asked, re.IGNORECASE), re.compile(shape, re.IGNORECASE))
    for asked, shape in (
        (
            r"how\s+often|wie\s+(?:oft|häufig)",
            (
                r"\b(?:once|twice|\w+\s+times|daily|weekly|monthly|yearly|every|each|(?:a|per|pro|in\s+der|im)\s+(?:day|week|month|year|tag|woche|monat|jahr)"
                r"|täglich|wöchentlich|monatlich|jährlich|\w*mal|jede[nrs]?)\b"
            ),
        ),
        (r"how\s+long|wie\s+lange", rf"\b{_SPAN}\b"),
        (r"how\s+m|wie\s+viel", r"\d|\b(?:one|two|three|four|five|ten|twelve|zwei|drei|vier|fünf|zehn)\b"),
        (
            r"",
            (
                r"\d|\b(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|noon|midnight|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
                rf"|first|erste\w*)\b|\b{_SPAN}\b"
            ),
        ),
    )
)
_CONDITION = re.compile(
    r"^\W*(?:(?:and|but|ok(?:ay)?|so|und|aber|also)\b[\s,]*)*(?:even\s+(?:if|when|for|on|in)|what\s+(?:happens\s+)?(?:if|when)|only\s+(?:if|when|for)"
    r"|unless|if|auch\s+(?:wenn|falls|bei|für|in|im|am)|und\s+wenn|was\s+(?:ist|passiert)[\s,]+(?:wenn|falls)|wenn|falls|nur\s+(?:wenn|für|bei))\s+"
    r"(?P<rest>[^?!.;]+)[\s?!.]*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class AskedOn:
    """passages: those quoted, [n] counted from 1."""

    passages: tuple[Passage, ...]
    said: str


def asked_on(message: str, last: Turn, passages: Sequence[Passage], found: Sequence[Passage]) -> AskedOn | None:
    """What `passages`, those of the last answer that may still be read, say on a follow-up; mostly None.

    found: by the search for the follow-up made whole. A page that is headed by its words comes before a mention.
    """
    cited = {source.passage for source in last.reply.sources}
    shown = [each for each in passages if each.id in cited]
    is_german = language_of(message) == "de"
    if (rows := _columns(message, shown, is_german=is_german)) is not None:
        return rows
    if (known := _measure(message)) is not None:
        return _measured(known, last, shown)
    rest = fragment(message) or _condition(message)
    words = content_words(rest) if rest else []
    if not words or not shown:
        return None
    is_table = all(rows_of(each) for each in shown)  # whose other rows are asked for by what stands in them
    headed = (each for each in found if each.id not in cited and not is_table)
    if any(has_all(each.heading.rpartition(" > ")[2], words, is_german=is_german) for each in headed):
        return None
    pages = {each.source for each in shown}
    others = {each.id: each for each in (*passages, *found) if each.source in pages and each.id not in cited}
    quoted: list[Passage] = []
    said: list[str] = []
    for passage in (*shown, *others.values()):
        if quoted and passage.id not in cited and quoted[0].id in cited:
            break
        units = cut(passage.text)
        places = [i for i, unit in enumerate(units) if has_all(unit.text, words, is_german=is_german)][:PLACES]
        if places:
            quoted.append(passage)
            is_list = any(units[place].kind is Kind.ITEM for place in places)  # its other entries are about others
            whole = places if is_list else completed(set(places), units, steps=False)
            said.append(runs([units[place] for place in whole], whole, len(quoted)))
    return AskedOn(tuple(quoted[:PASSAGES]), "\n\n".join(said[:PASSAGES])) if quoted else None


def asks_on(message: str, last_reply: str) -> bool:
    """Whether a message may go on from an answer, so that looking is worth the while."""
    if fragment(message) is not None or _measure(message) is not None:
        return True
    return len(message) <= _LONGEST and (_condition(message) != "" or _ROW.search(last_reply) is not None)


def _measure(message: str) -> re.Pattern[str] | None:
    """What an answer to "until when?" or "how often?" has to hold, where nothing else is asked; mostly None."""
    if len(message) > _LONGEST:
        return None
    found = _MEASURE.match(message)
    return None if found is None else next(shape for asked, shape in _MEASURES if asked.match(found["how"]))


def _measured(shape: re.Pattern[str], last: Turn, cited: Sequence[Passage]) -> AskedOn | None:
    """The sentence of the page just quoted that says how long, until when: one that was said, else any."""
    for passage in cited:
        units = [unit for unit in cut(passage.text) if shape.search(unit.text)]
        said = [unit for unit in units if unmarked(unit.text) in last.reply.text.replace("**", "")]
        if chosen := (said or units)[:1]:
            return AskedOn((passage,), runs(chosen, [0], 1))
    return None


def _condition(message: str) -> str:
    """What is asked of a case: "it was on sale" of "even if it was on sale?"; mostly empty."""
    found = _CONDITION.match(message) if len(message) <= _LONGEST else None
    return found["rest"] if found is not None and len(content_words(found["rest"])) <= _CASE else ""


def _columns(message: str, cited: Sequence[Passage], *, is_german: bool) -> AskedOn | None:
    """The row of a table that was quoted last, where a question names only columns of it: "and the warranty?"."""
    words = [word for word in content_words(message) if word.casefold() not in _ASKING]
    if not 0 < len(words) <= COLUMNS or len(message) > _LONGEST or not cited:
        return None
    rows = [each for each in cited if rows_of(each)]
    if len(rows) != len(cited):
        return None
    names = " ".join(label for passage in rows for row in rows_of(passage) for label in row.cells)
    if not has_all(names, words, is_german=is_german):
        return None
    quoted = "\n\n".join(runs(cut(row.text), range(len(cut(row.text))), i) for i, row in enumerate(rows, 1))
    return AskedOn(tuple(rows), quoted)
