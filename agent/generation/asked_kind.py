"""Whether a sentence holds what is asked for at all: a time for "how often?", money for "what does it cost?". Pure.

The readers weigh how near a sentence is to a question, and the nearest may say something else: that a password is reset
by a link answers nothing to how often it must be changed. What lacks the kind of thing that is asked for, or in a
question for yes or no the thing itself, is given as the nearest find at most.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.generation.answer import HOLDS
from agent.generation.asked_row import lacks_asked
from agent.generation.evidence import Reading
from agent.generation.forms import days_of, has_all
from agent.generation.sentences import Unit
from agent.german import language_of
from agent.rewrite import content_words
from retrieval.passage import Passage

DOUBTED = HOLDS - 0.01  # the highest probability of what lacks it
_OPENS = (
    r"^\W*(?:(?:hi|hey|hello|ok(?:ay)?|so|and|but|also|please|hallo|und|aber|bitte|atelier)\b[\s,]*)*"
    r"(?:(?:can|could)\s+you\s+(?:please\s+)?tell\s+me\s+|tell\s+me\s+|do\s+you\s+know\s+|(?:weißt|kannst)\s+du\s+(?:mir\s+sagen)?[\s,]*)?"
)
_NUMBER = (
    r"(?:\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|ninety"
    r"|hundreds?|thousands?|millions?|dozens?|half|halb\w*|single|several|few|both|couple|ein(?:en?|er|es|em)?|zwei|drei|vier|fünf|sechs"
    r"|sieben|acht|neun|zehn|elf|zwölf|dreißig|hundert|once|twice|thrice|\w+fold|\w*mal)\b)"
)
_UNIT = (
    r"(?:seconds?|minutes?|mins?|hours?|hrs?|days?|nights?|weeks?|fortnights?|weekends?|months?|quarters?|terms?|years?|decades?|centur\w+"
    r"|sekunden?|minuten?|stunden?|\w*tage?[ns]?|wochen?|monate?[ns]?|quartal\w*|jahre?[ns]?)"
)
_WHOLE = (  # a while: not the day of "on the third day"
    rf"(?:seconds|minutes|hours|days|nights|weeks|months|years|decades|centuries|sekunden|minuten|stunden|tagen?|wochen"
    rf"|monaten?|jahren?)|(?:an?|whole|entire|full|ganze[nrs]?)\s+{_UNIT}"
)
_DAY = (
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|(?:mon|diens|donners|frei|sams|sonn)tags?|mittwochs?|weekdays?"
    r"|weekends?"
)
_OFTEN = re.compile(
    rf"(?i)\b(?:every|each|always|never|regular\w*|constant\w*|continu\w*|seldom|rarely|sometimes|often|usually|frequent\w*|occasional\w*"
    rf"|once|twice|thrice|times|whenever|any\s*time|as\s+(?:often|many)|(?:bi-?|semi-?|half-?)?(?:hourly|daily|nightly|weekly|monthly|quarterly|yearly|annual(?:ly)?)|\w*ennial(?:ly)?"
    rf"|intervals?|{_DAY}|not|n['’]t|no\s+(?:need|limit)"
    rf"|(?:after|within|alle|nach|innerhalb)\s+(?:[\w.]+\s+){{0,3}}{_UNIT}|after\s+(?:use|each|every)|nach\s+(?:jede\w*|gebrauch)|expires?\s+(?:after|in|every)"
    rf"|jede[nrsm]?|immer|nie(?:mals)?|regelmäßig\w*|oft|selten|täglich\w*|wöchentlich\w*|monatlich\w*|vierteljährlich\w*|halbjährlich\w*|jährlich\w*|\w*mals?|nicht|kein\w*)\b"
    rf"|n['’]t\b|\b{_NUMBER}[\w-]*(?:\s+(?!euros?\b|eur\b|usd\b|dollars?\b|cents?\b)[\w-]+)?\s+(?:an?|per|pro|im|in\s+der|am|/)\s*{_UNIT}\b"
)
_LONG = re.compile(
    rf"(?i){_NUMBER}|\b(?:{_WHOLE}|until|till|bis|as\s+long\s+as|solange|permanent\w*|indefinite\w*|unlimited|forever|for\s+(?:ever|good|life)|unbefristet\w*"
    r"|unbegrenzt|dauerhaft|no\s+(?:limit|longer)|between|from|since|seit|short\w*|long\w*)\b"
)
_MANY = re.compile(
    rf"(?i){_NUMBER}|\b(?:no|none|not|never|unlimited|all|any|many|every\w*|each|number|kein\w*|alle|unbegrenzt|unlimitiert|ohne|without|only|nur|an?)\b|[%]"
)
_MUCH = re.compile(
    rf"(?i){_NUMBER}|\b(?:no|none|not|nothing|free|unlimited|all|any|full\w*|whole|entire\w*|every\w*|most|much|more|less|little|lot|large|huge|small|widely|proportion\w*|kein\w*|alle|nichts"
    r"|voll\w*|ganz\w*|unbegrenzt|gratis|kostenlos\w*|kostenfrei\w*|frei|umsonst|percent\w*|prozent)\b|[%€$£¥]"
)
_PRICED = re.compile(
    r"(?i)[€$£¥%]|\b(?:eur|usd|gbp|chf|sek|nok|dkk|euros?|dollars?|pounds?|pence|cents?|francs?|franken|crowns?|kron\w+|yen|yuan|rupees?|pesos?|percent"
    r"|prozent|free|gratis|kostenlos\w*|kostenfrei\w*|umsonst|included?|inklusive|no\s+(?:charge|cost|fee)|full\s+pay|nothing|\w*million\w*|\w*billion\w*"
    r"|(?:half|twice|double|third|quarter)\b)|(?<![\w:.,])\d[\d.,]*(?![\d:]|\w|\s*:)"
)
_COSTS = re.compile(
    r"(?i)\b(?:costs?|pay|pays|paid|price|priced|charge[sd]?|fees?|salar\w+|wages?|money|budget|allowance|bonus|refund\w*|kostet|kosten|preis\w*|gehalt|lohn|geld"
    r"|zahlt|zahlen|bezahlt|gebühr\w*|zuschuss)\b"
)
_WHEN = re.compile(
    rf"(?i)\d|{_NUMBER}|\b(?:{_DAY}|{_UNIT}|jan(?:uary)?|feb(?:ruary)?|march|april|may|june|july|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?|januar|februar|märz|mai|juni|juli|oktober|dezember|noon|midday|midnight|morning|afternoon|evening|night|spring|summer|autumn|fall|winter"
    r"|christmas|easter|\w*time\w*|today|tomorrow|yesterday|now|then|soon|later|early|late|before|after\w*|until|till|by|during|while|when\w*|if|once|as|since"
    r"|upon|following|first|last|next|end|beginning|start|always|never|daily|weekly|monthly|yearly|annual\w*|every|each|date|deadline|immediate\w*|advance|war"
    r"|age|era|period|reign|mittags?|morgens?|abends?|nachts?|früh\w*|spät\w*|vor|nach|bis|ab|seit|wenn|sobald|während|bei|erst\w*|letzt\w*|nächst\w*|ende|anfang"
    r"|sofort|heute|jetzt|immer|nie|jede\w*|täglich|werktag\w*)\b"
)
_CLOCK = re.compile(
    rf"(?i)\d|{_NUMBER}|\b(?:noon|midday|midnight|morning|afternoon|evening|o['’]clock|mittags?|mitternacht|uhr)\b"
)
_WHERE = re.compile(
    r"(?i)\b(?:in|at|on|near|behind|beside|besides|under|above|below|opposite|inside|outside|by|from|to|into|onto|through|via|around|next|between|across|along|beyond|off|toward\w*|of)\s+"
    r"(?!\d|(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\b|the\s+\d|(?:take|time|be|do|get)\b)\w"
    r"|[/@]|\b(?:room|floor|street|road|building|hall|office|online|there|here|everywhere|where|website|raum|etage|stock|straße|gebäude|im|am|vor|bei|beim|neben|hinter|unter|auf|zu[mr]?|an)\b"
)
_ASKED = tuple(
    (re.compile(rf"(?i){_OPENS}(?:{asked})\b"), shape)
    for asked, shape in (
        (r"how\s+(?:often|frequently|regularly|many\s+times)|wie\s+(?:oft|häufig)", _OFTEN),
        (r"(?:for\s+)?how\s+long|wie\s+lange?", _LONG),
        (r"how\s+many|wie\s*viele", _MANY),
        (r"how\s+much|wie\s*viel|was\s+kostet|wie\s+(?:hoch|teuer)", _MUCH),
        (r"what\s+(?:does|do|did|will|would)\b(?=.{0,80}\bcost(?:\W*$|\s+(?:an?|per|in|on|for|to)\b))", _MUCH),
        (r"what(?:['’]s|\s+is|\s+are)\s+the\s+(?:\w+\s+){0,2}(?:price|cost|fee)s?\s+(?:of|for)", _MUCH),
        (r"(?:(?:at|from|until|by)\s+)?what\s+time(?!\s+of)|(?:(?:um|bis|ab)\s+)?wie\s*viel\s+uhr", _CLOCK),
        (
            (
                r"(?:(?:since|until|till|by|from)\s+)?when(?:['’]s|\s+(?:is|are|was|were|do|does|did|can|could|may|must"
                r"|should|shall|will|would|has|have|had))|(?:(?:seit|bis|ab)\s+)?wann"
            ),
            _WHEN,
        ),
        (
            r"where(?!\s+(?:can|do|does|did|should|must|could)\s+(?:\w+\s+){1,3}(?:money|idea|help)\b)|wo(?:hin|her)?",
            _WHERE,
        ),
        (r"how\s+(?:old|deep|tall|high|heavy|big|large|wide|far|fast)", _LONG),
        (r"wie\s+(?:alt|tief|schwer|groß|breit|weit|schnell)", _LONG),
    )
)
# A day by which something is named or until which it is done: "the deadline for the Monday letter" is on another one.
_OF_A_DAY = re.compile(
    r"(?i)(?<!\bon )\b(?:for|before|after|by|until|till|the|our|your|an?|this|für|vor|nach|bis|de[rnm]|diese\w?)\s+"
    rf"(?:the\s+|de[rnm]\s+)?(?!week)(?:{_DAY})\b"
)
# How long something is valid is not said by how long a button is pressed.
_VALID = re.compile(r"(?i)\b(?:valid|good|gültig)\b")
_LASTS = re.compile(
    r"(?i)\b(?:valid\w*|good|expir\w+|until|till|lasts?|renew\w*|gültig\w*|bis|verfällt|verfallen|(?:läuft|laufen)\b.{0,40}\bab)\b"
)
# "When does it close?" asks for the hours, where there are some, and not for the last day before winter.
_OPEN = re.compile(r"(?i)\b(?:open\w*|clos\w+|shuts?|geöffnet|öffne\w*|schließ\w*|offen)\b")
_SEASON = re.compile(
    r"(?i)\b(?:winter|summer|spring|autumn|season|year|holidays?|christmas|easter|again|date|day|sommer|frühling|frühjahr|herbst|saison|jahr|ferien|feiertag\w*"
    r"|weihnacht\w*|ostern|wieder|tag|jan\w*|feb\w*|mar\w*|apr\w*|may|june?|july?|aug\w*|sept\w*|oct\w*|nov\w*|dec\w*|märz|mai|juni|juli|okt\w*|dez\w*)\b"
)
# "Registration opens on 3 May" tells when; "closed for the winter from 31 October" does not.
_TURN = re.compile(
    r"(?i)\b(?:winter|summer|spring|autumn|season|holidays?|christmas|easter|again|sommer|frühling|herbst|saison|ferien|ostern|wieder|weihnacht\w*|feiertag\w*)\b"
)
_MONTH = r"(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)\w*"
_DAY_OF_YEAR = re.compile(
    rf"(?i)\b\d{{1,2}}\.?\s{_MONTH}|\b{_MONTH}\s\d{{1,2}}\b|\b\d{{4}}-\d\d-\d\d\b|\b\d{{1,2}}\.\d{{1,2}}\.(?:\d|\s|$)"
)
HOUR = re.compile(
    r"(?i)\b\d{1,2}[:.]\d\d\b|\b\d{1,2}\s?(?:[ap]\.?m\b|uhr\b|o['’]clock)|\b(?:noon|midnight|mittags?|mitternacht)\b"
)
_DATE = re.compile(rf"(?i)\b\d{{1,2}}\.?\s{_MONTH}|\b\d{{1,2}}[:.]\d\d\b|\b(?:{_DAY})\b")
# What stands in figures and is neither a number of things nor a price.
_TIMES = re.compile(
    r"(?i)\b\d{1,2}[:.]\d\d\b(?:\s*(?:[ap]\.?m\b|uhr))?|\b\d{1,2}\s?(?:[ap]\.?m\b|uhr\b)|\b\d{4}-\d\d-\d\d\b"
)
_MONEY = re.compile(
    r"(?i)(?:[€$£¥]|\b(?:eur|usd|gbp|chf)\b)\s?\d[\d.,]*|(?<![\d.,])\d[\d.,]*\s?(?:[€$£¥]|(?:eur|usd|gbp|chf|sek|euros?|dollars?|pounds?|francs?|franken)\b)(?:\s(?:a|per|pro)\s\w+)?"
)
_IN_UNITS = re.compile(r"(?i)euros?|dollars?|pounds?|francs?|franken|hours?|stunden|uhr")  # "how many euros?"
_WHILE = re.compile(rf"(?i)(?<![\d.,])(?:\d[\d.,]*|{_NUMBER})(?:\s+(?:working|business|full))?[\s-]{_UNIT}\b")
_YES_OR_NO = re.compile(
    rf"(?i){_OPENS}(?:am|is|are|do|does|did|can|could|may|will|would|must|should|shall|has|have|ist|sind|darf|dürfen|kann|können|gibt|habe?n?|hat|muss)\b"
)
_THING = re.compile(
    r"(?i)\b(?:my|an?|any|our|meine?[nmr]?|eine?[nmr]?|unsere?[nmr]?)\s+(?P<thing>(?:[\w-]+(?:['’]s)?\s+){0,3}?[\w-]+)"
    r"(?=\s*[?.!,;]|\s*$|\s+(?:to|in|into|on|at|for|with|from|of|when|if|while|during|by|about|per|and|or|as|that|which|than|zum?r?|ins?|im|auf|an|mit|für|von|bei"
    r"|mitbringen|mitnehmen|bringen|nehmen|haben|today|tomorrow|here|there|along|too|please|again)\b)"
)
_ALLOWED = re.compile(
    rf"(?i){_OPENS}(?:is|are|ist|sind)\s+(?:the\s+|die\s+|der\s+|das\s+)?(?P<thing>[\w-]+)\s+(?:(?:also|generally|normally|auch|hier)\s+)?"
    r"(?:allowed|permitted|welcome|okay|ok|forbidden|prohibited|banned|possible|erlaubt|gestattet|willkommen|verboten|möglich)\b"
)
_THERE = re.compile(
    rf"(?i){_OPENS}(?:(?:is|are)\s+there|do\s+(?:we|you)\s+have|have\s+(?:we|you)\s+got|gibt\s+es|haben\s+wir)\s+(?:an?\s+|any\s+|eine?[nmr]?\s+)?"
    r"(?P<thing>(?:[\w-]+\s+){0,2}?[\w-]+)(?=\s*[?.!]|\s*$|\s+(?:in|on|at|for|with|near|im|am|auf|für|here|hier)\b)"
)
_OPEN_THING = re.compile(
    rf"(?i){_OPENS}(?:(?:when|at\s+what\s+time|what\s+time|wann)\s+)?(?:is|are|does|do|ist|sind|hat|haben|öffnet|schließt)\s+(?:the|our|der|die|das|unser\w*)\s+"
    r"(?P<thing>(?:[\w-]+\s+){0,2}?[\w-]+)\s+(?:open|close[sd]?|shut|geöffnet|offen|geschlossen)\b"
)
_ASKS_HOURS = re.compile(
    rf"(?i){_OPENS}(?:when|wann|(?:(?:at|from|until|till)\s+)?what\s+time|(?:ab|bis)\s+wann|um\s+wie\s*viel\s+uhr)\b"
)
# What is no thing that a page would name: "can I get an idea of …", "a day", "a chance".
_VAGUE = frozenset(
    """
    day days week weeks month months year years hour hours minute minutes time times lot bit few couple chance way idea
    question problem reason need person people one ones thing things something anything somebody anybody someone anyone
    off own else monday tuesday wednesday thursday friday saturday sunday weekend tag woche monat jahr stunde weile
    frage problem
    """.split()
)


def of_kind(question: str, reading: Reading, passages: Sequence[Passage]) -> Reading:
    """The reading with what lacks the kind of thing, or the thing, that is asked for made no sure answer."""
    lacking = [lacks_thing(question, passage) for passage in passages]
    hours = has_hours(question, passages)

    def lacks_own(text: str, place: int) -> bool:
        """Whether a text of a passage lacks it, be it a sentence or all of it."""
        is_no_hour = hours and HOUR.search(text) is None and not _is_day(text)
        return (
            lacking[place] or is_no_hour or lacks_kind(question, text) or lacks_asked(question, passages[place], text)
        )

    lacks = [lacks_own(passage.text, place) for place, passage in enumerate(passages)]
    units = tuple(
        replace(each, probability=min(each.probability, DOUBTED))
        if lacks_own(_whole(each.unit), each.passage)
        else each
        for each in reading.units
    )
    sections = zip(reading.sections, lacks, strict=True)
    return replace(reading, units=units, sections=tuple(min(one, DOUBTED) if no else one for one, no in sections))


def lacks_kind(question: str, text: str) -> bool:
    """Whether a text has nothing of the kind that a question begins by asking for; False where it asks for no kind."""
    shape = next((shape for asked, shape in _ASKED if asked.match(question)), None)
    if shape is None:
        return False
    days = days_of(_OF_A_DAY.sub(" ", question))
    if days and (said := days_of(text)) and not days & said:  # of Mondays no Friday tells
        return True
    if shape is _MUCH and _COSTS.search(question):
        return _PRICED.search(_WHILE.sub(" ", _TIMES.sub(" ", text))) is None
    if shape is _LONG:
        is_lasting = _VALID.search(question) is None or _LASTS.search(text) is not None
        return not is_lasting or shape.search(_MONEY.sub(" ", text)) is None
    if shape is _WHERE:  # a place is told in too many ways: what tells only the day is none
        return shape.search(text) is None and _DATE.search(text) is not None
    if shape is _MANY:
        return shape.search(text if _IN_UNITS.search(question) else _MONEY.sub(" ", _TIMES.sub(" ", text))) is None
    return shape.search(text) is None


def has_hours(question: str, passages: Sequence[Passage]) -> bool:
    """Whether a question is when a thing opens or closes, and a passage on all that it names tells the time of day."""
    if not _ASKS_HOURS.match(question) or not _OPEN.search(question) or _SEASON.search(question):
        return False
    named, is_german = content_words(_OPEN.sub(" ", question)), language_of(question) == "de"
    return any(
        HOUR.search(passage.text)
        and _OPEN.search(f"{passage.heading} {passage.text}")
        and has_all(f"{passage.source} {passage.heading} {passage.text}", named, is_german=is_german)
        for passage in passages
    )


def _is_day(text: str) -> bool:
    """Whether a text tells a day of the year, and not that of a season."""
    return _DAY_OF_YEAR.search(text) is not None and _TURN.search(text) is None


def lacks_thing(question: str, passage: Passage) -> bool:
    """Whether a question for yes or no is about a thing that a passage does not name: a cat, over dogs."""
    things = _things(question)
    if not things:
        return False
    text, is_german = f"{passage.source} {passage.heading} {passage.text}", language_of(question) == "de"
    return any(not has_all(text, [thing], is_german=is_german) for thing in things)


def _things(question: str) -> list[str]:
    """The nouns that a question for yes or no is about, by their place: "cat" of "can I bring my cat to work?"."""
    found = [_OPEN_THING.match(question)]
    if _YES_OR_NO.match(question):
        found += [_ALLOWED.match(question), _THERE.match(question), *_THING.finditer(question)]
    named = [each["thing"] for each in found if each is not None]
    heads = (each.split()[-1] for each in named)
    return [head for head in dict.fromkeys(heads) if head.casefold() not in _VAGUE and len(head) > 2]


def _whole(unit: Unit) -> str:
    return f"{unit.head} {unit.text}"
