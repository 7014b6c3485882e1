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
_KINDS = frozenset("document documents doc file page handbook text guide pdf dokument datei seite text".split())


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
    """The document that a name means: the one called so, or whose own name has all of its words; else empty."""
    called = name.casefold()
    exact = [each for each in sources if called in (low := each.casefold()) and called in (low, low.rpartition("/")[2])]
    wanted = [word for word in content_words(_parted(name)) if word.casefold() not in _KINDS]
    begins = [word.casefold()[:_LEAST] for word in wanted]  # which no form of a word is without: most have none of it
    near = [each for each in sources if all(map(each.casefold().__contains__, begins))] if wanted else []
    is_german = language_of(name) == "de"
    found = exact or [each for each in near if has_all(_stem(each), wanted, is_german=is_german)]
    return found[0] if len(found) == 1 else ""


def _stem(source: str) -> str:
    """A document's name as words: "handbook/leave-policy.md" is "leave policy"."""
    return _parted(source.rpartition("/")[2].rpartition(".")[0] or source)


def _parted(name: str) -> str:
    return re.sub(r"[-_+.]+", " ", name)


def outlined(passages: Sequence[Passage], language: str) -> str:
    """Its sections, each with how it begins, cited as [n] of `passages` counted from 1; empty where there are none."""
    shown: dict[str, str] = {}
    for number, passage in enumerate(passages, 1):
        units = (unit for unit in cut(passage.text) if unit.kind is not Kind.CODE and not is_dated(unit.text))
        first = next((unit for unit in units if has_words(unit.text)), None)
        heading = unmarked(passage.heading.rpartition(" > ")[2])
        if first is None or heading in shown or len(shown) == SECTIONS:
            continue
        opening = unmarked(first.text).lstrip("-*• ").replace("\n", " ")
        shown[heading] = f"- **{heading}**: {opening} [{number}]" if heading else f"- {opening} [{number}]"
    return "\n\n".join([phrase("documents", "outline", language=language), "\n".join(shown.values())]) if shown else ""
