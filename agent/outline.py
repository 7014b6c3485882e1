"""What stands in a document, by the beginnings of its sections: "summarise the leave policy".

Without a language model nothing can be put in fewer words of our own, but a page can be shown at a glance.
"""

import re
from collections.abc import Sequence

from agent.generation.answer import has_words, is_dated, unmarked
from agent.generation.forms import has_all
from agent.generation.phrases import phrase
from agent.generation.sentences import Kind, cut
from agent.german import language_of
from agent.message import Message
from agent.policy import GUIDE
from agent.rewrite import content_words
from retrieval.knowledge import KnowledgeBase
from retrieval.passage import Passage

SECTIONS = 10  # shown at most
FEW = {1: 4, 2: 2}  # sentences of each, where there are so few of them
MOST = 40  # passages of a document that are looked at
_LONGEST = 100  # characters of a message that asks for it
_LEAST = 3  # letters that every form of a word has
_ASKS = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|so|and|please|hi|hey|hello|bitte|und|also)\b[\s,]*)*(?:(?:can|could|would)\s+you\s+(?:please\s+)?|(?:kannst|könntest)\s+du\s+(?:mir\s+)?(?:bitte\s+)?)?"
    r"(?:(?:summari[sz]e|sum\s+up|outline|recap)\s+|(?:(?:give|show)\s+(?:me|us)\s+)?(?:an?\s+|the\s+)?(?:(?:short|quick|brief)\s+)?(?:summary|overview|outline|gist)\s+(?:of|on)\s+"
    r"|what\s+(?:is|does)\s+(?=.*\b(?:about|say|contain|cover)\W*$)|what(?:['’]s|\s+is|\s+stands)\s+in\s+|fass(?:e)?\s+(?=.*\bzusammen\W*$)|(?:gib\s+(?:mir|uns)\s+)?(?:eine?n?\s+)?(?:zusammenfassung|überblick)\s+(?:von|über|zu[mr]?|de[rs])\s+"
    r"|worum\s+geht\s+es\s+in\s+|was\s+steht\s+in\s+)(?P<name>(?:[^?!.]|\.(?=\w)){3,60}?)(?:\s+(?:about|say|contain|cover|zusammen|zusammenfassen|for\s+me|please|bitte))*[\s?!.]*$",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[.!?:;…。！？][\"'”’»)*_]*$")
_KINDS = frozenset("document documents doc file page handbook text guide pdf dokument datei seite text".split())
# What a page is called although its name does not say so: "the travel policy" of `travel.md`.
_CALLED = frozenset(
    "policy policies rule rules guideline guidelines regulation regulations instructions manual overview list table "
    "richtlinie richtlinien regel regeln regelung ordnung anleitung übersicht liste tabelle".split()
)


def at_a_glance(
    text: str, knowledge: KnowledgeBase, message: Message, language: str
) -> tuple[tuple[Passage, ...], str]:
    """The passages of the document that a message wants summed up, and what is shown of it; mostly empty both.

    Blocks where one is named. Raises StoreError.
    """
    name = asked_outline(text)
    if not name:
        return (), ""
    tenant, audiences = message.place.tenant, message.audiences
    source = named_so(name, knowledge.shelf.sources(tenant, audiences, but=GUIDE))
    found = tuple(knowledge.opening(tenant, source, audiences, MOST)) if source else ()
    return found, outlined(found, language)


def asked_outline(text: str) -> str:
    """What a message wants to have summed up: "the leave policy"; mostly empty."""
    found = _ASKS.match(text) if len(text) <= _LONGEST else None
    return found["name"].strip() if found is not None else ""


def named_so(name: str, sources: Sequence[str]) -> str:
    """The document that a name means: the one called so, or whose own name has all of its words; else empty.

    Of several the one whose name says least beside them, and of versions by year the latest.
    """
    called = name.casefold()
    exact = [each for each in sources if called in (low := each.casefold()) and called in (low, low.rpartition("/")[2])]
    if exact:
        return exact[0] if len(exact) == 1 else ""
    said = content_words(_parted(name))
    is_german = language_of(name) == "de"
    for left_out in (frozenset[str](), _CALLED):
        wanted = [word for word in said if word.casefold() not in _KINDS | left_out]
        begins = [word.casefold()[:_LEAST] for word in wanted]  # no form of a word is without: most have none of it
        near = [each for each in sources if all(map(each.casefold().__contains__, begins))] if wanted else []
        if found := [each for each in near if has_all(_stem(each), wanted, is_german=is_german)]:
            return _nearest(found)
    return ""


def _nearest(sources: Sequence[str]) -> str:
    """The one with the fewest words in its name, of versions the undated or the latest; empty where two may be."""
    words_of = {each: [part for part in _stem(each).casefold().split() if not part.isdigit()] for each in sources}
    least = min(words_of.values(), key=len)
    if not all(set(least) <= set(each) for each in words_of.values()):
        return ""
    found = [each for each in sources if words_of[each] == least]
    dated = {each: [int(part) for part in _stem(each).split() if part.isdigit()] for each in found}
    best = min(found, key=lambda each: (bool(dated[each]), [-part for part in dated[each]]))
    return best if sum(dated[each] == dated[best] for each in found) == 1 else ""


def _stem(source: str) -> str:
    """A document's name as words: "handbook/leave-policy.md" is "leave policy"."""
    return _parted(source.rpartition("/")[2].rpartition(".")[0] or source)


def _parted(name: str) -> str:
    return re.sub(r"[-_+.]+", " ", name)


def outlined(passages: Sequence[Passage], language: str) -> str:
    """Its sections, each with how it begins, cited as [n] of `passages` counted from 1; empty where there are none.

    Of one section or two more is shown: a page that is not parted has its gist in no heading.
    """
    count = len({passage.heading for passage in passages})
    shown: dict[str, str] = {}
    for number, passage in enumerate(passages, 1):
        heading = unmarked(passage.heading.rpartition(" > ")[2])
        opening = _opening(passage, FEW.get(count, 1))
        if not opening or heading in shown or len(shown) == SECTIONS:
            continue
        shown[heading] = f"- **{heading}**: {opening} [{number}]" if heading else f"- {opening} [{number}]"
    return "\n\n".join([phrase("documents", "outline", language=language), "\n".join(shown.values())]) if shown else ""


def _opening(passage: Passage, most: int) -> str:
    """How a section begins: its first unit that says something, and of prose up to `most` sentences from there on."""
    units = [unit for unit in cut(passage.text) if unit.kind is not Kind.CODE and not is_dated(unit.text)]
    worded = [unit for unit in units if has_words(unit.text)]
    if len(worded) > 1 and worded[0].kind is Kind.SENTENCE and not _ENDS.search(worded[0].text):
        worded = worded[1:]  # a title
    taken = worded[:1]
    for unit in worded[1:most]:
        if {unit.kind, taken[0].kind} != {Kind.SENTENCE}:
            break
        taken.append(unit)
    return " ".join(unmarked(unit.text).lstrip("-*• ").replace("\n", " ") for unit in taken)
