"""What a facilitator without a language model has to offer: starting points to argue with, and sparks from documents.

Pure. Points suit the kind of topic, where the phrases have some for it; one always comes from a thing that has nothing
to do with it.
"""

import re
import zlib
from collections.abc import Sequence

from agent.generation.answer import unmarked
from agent.generation.phrases import LANGUAGES, phrase, phrases
from agent.generation.sentences import Kind, cut
from agent.ideation.stimuli import is_row, things
from agent.message import Prompt
from retrieval.passage import Passage

POINTS = 3  # starting points at a time
SPARK = 0.25  # a passage less likely to have to do with the topic is noise, not a spark
# Kinds of topics that there are starting points for, `points_…` of the phrases; the first that fits.
_KINDS = {
    kind: re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    for kind, words in {
        "points_name": r"names?|slogans?|taglines?|mottos?|titles?|claims?|\w*namen?|motto|titel",
        "points_gift": r"gifts?|presents?|giveaways?|rewards?|geschenke?n?|präsente?|belohnung\w*",
        "points_event": (
            r"event|party|offsite|retreat|celebrat\w+|festival|workshop|trip|outing|christmas|farewell|anniversary"
            r"|birthday|\w*fest|\w*feier"
            r"|ausflug|\w*event|weihnacht\w*|jubiläum|geburtstag\w*|abschied\w*"
        ),
        "points_people": (
            r"welcom\w*|onboard\w*|colleagues?|newcomers?|hires?|team\w*|morale|motivat\w*|recruit\w*|employees|interns?|apprentices?|trainees?|volunteers?|staff|retention|azubis?|praktikant\w*"
            r"|kolleg\w*|mitarbeit\w*|einarbeit\w*|begrüß\w*"
        ),
        "points_less": (
            r"reduc\w*|fewer|less|sav(?:e|ing)\w*|cheap\w*|waste|costs?|meetings?|faster|weniger|spar\w*|günstig\w*"
            r"|kosten\w*|abfall|besprechung\w*|schneller"
        ),
        "points_thing": (
            r"products?|packag\w*|websites?|apps?|services?|shop|store|office|customers?|sales|verpackung\w*"
            r"|produkt\w*|webseite|laden|büro|kunden?|dienst\w*"
        ),
    }.items()
}


def starting_points(prompt: Prompt, topic: str, language: str) -> str:
    """Three questions to argue with: those that suit such a topic, and one from a thing far from it."""
    turn = len(prompt.history.lines) // 2
    shapes, given = phrases("ideate", "points", language), things(language)
    own = phrases("ideate", kind, language) if (kind := _kind_of(topic)) else []
    offered = sum(1 for line in prompt.history.lines if line.role == "assistant" and _offers(line.text))
    chosen = own[offered * (POINTS - 1) : (offered + 1) * (POINTS - 1)]
    if chosen:
        afar = phrases("ideate", "afar_name" if kind == "points_name" else "afar", language)
        chosen.append(afar[offered % len(afar)])
    chosen += [shapes[(POINTS * offered + i) % len(shapes)] for i in range(POINTS - len(chosen))]
    thing = given[zlib.crc32(f"{topic}/{turn}".encode()) % len(given)]
    listed = "\n".join(f"- {shape.format(topic=topic, thing=thing)}" for shape in chosen)
    first, more = phrases("ideate", "offered", language)
    said = more if any(first in line.text for line in prompt.history.lines) else first
    return f"{said}\n\n{listed}"


def _offers(text: str) -> bool:
    return any(said in text for language in LANGUAGES for said in phrases("ideate", "offered", language))


def _kind_of(topic: str) -> str:
    """What kind of topic it is, where there are questions for such; else empty."""
    return next((kind for kind, words in _KINDS.items() if words.search(topic)), "")


def spark_of(passages: Sequence[Passage], asked: int, language: str) -> str:
    """A sentence of the documents that nobody has been shown in this session: another one for each question."""
    found = [
        (unit.text, number)
        for number, passage in enumerate(passages, 1)
        if passage.score >= SPARK
        for unit in cut(passage.text)
        if unit.kind is Kind.SENTENCE and not is_row(unit.text) and 40 <= len(unit.text) <= 220 and not unit.announces
    ]
    if not found:
        return ""
    text, number = found[(asked - 1) % len(found)]
    quote = unmarked(text).replace('"', "'")
    return phrase("ideate", "spark", language=language).format(quote=quote, citation=f"[{number}]")
