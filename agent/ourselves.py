"""What is asked of Atelier itself and what no document has to say: the time, a sum, who reads this, how it is deleted.

Each form has to fit the whole message, so that "what time is the meeting?" stays a question for the documents. Pure.
"""

import ast
import operator
import re
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from agent.generation.phrases import phrase
from agent.message import primary_language

LARGEST = 1e10  # beyond, digits would be missing
_LONGEST = 120  # characters: what is longer says more
_OPENS = (
    r"^\W*(?:(?:ok(?:ay)?|so|and|but|hi|hey|hello|hallo|atelier|please|sorry|wait|well|also|und|aber|bitte|sag\s+mal|eigentlich)\b[\s,.!:]*)*"
    r"(?:(?:can|could)\s+you\s+(?:please\s+)?(?:tell\s+me\s+)?|(?:kannst|könntest)\s+du\s+(?:mir\s+)?(?:bitte\s+)?(?:sagen[\s,]+)?)?"
)
_ENDS = (
    r"(?:[\s,]+(?:now|right\s+now|today|please|then|here|again"
    r"|exactly|actually|jetzt|gerade|heute|bitte|denn|eigentlich|hier|genau|alles))*[\s?!.]*$"
)
_SAID = (
    r"(?:(?:what|everything|anything|all)\s+(?:that\s+)?(?:i|we)(?:['’]ve|\s+have)?\s+(?:write|wrote|written|say|said"
    r"|type|typed|ask|asked|tell\s+you|told\s+you)|(?:my|our"
    r"|these|this|the)\s+(?:\w+\s+)?(?:data|messages?|questions?|chats?|conversations?|words)|this|it|that|here)"
)
# "Remind me how long it takes" asks, and wants no alarm.
_NO_QUESTION = (
    r"(?!(?:[\s,]+(?:again|please|bitte|doch|kurz|mal|noch|nochmals?))*[\s,]+(?:what|when|where|who|whom|whose|which|how|why|if"
    r"|whether|of|about|was|wann|wo|wer|wen|wem|wie|wieso|warum|welche[rnms]?|ob|an)\b)"
)
_GESAGT = (
    r"(?:(?:das|alles)?[\s,]*was\s+(?:ich|wir)\s+(?:hier\s+)?(?:schreiben?"
    r"|geschrieben\s+haben?|sagen?|gesagt\s+haben?|frage[n]?)"
    r"|(?:meine|unsere|die|meinen|unseren|den)\s+(?:\w+\s+)?(?:daten"
    r"|nachrichten|fragen|gespräche?|unterhaltung)|(?:das|dies|es|alles)(?:\s+hier)?|hier)"
)


class Asked(StrEnum):
    """What is asked of us."""

    TIME = "time"
    SUM = "sum"
    PRIVACY = "privacy"
    DELETION = "deletion"
    PROGRAM = "program"
    OUTSIDE = "outside"  # the weather, a reminder, a translation: what we cannot do from here


_FORMS = {
    Asked.TIME: (
        r"(?:what(?:['’]s|\s+is)?\s+(?:the\s+)?(?:current\s+)?(?:time"
        r"|date)(?:\s+(?:is\s+it|it\s+is))?|what\s+(?:day|date)\s+(?:is\s+(?:it"
        r"|today)|do\s+we\s+have)|what(?:['’]s|\s+is)\s+today['’]?s\s+date"
        r"|(?:do\s+you\s+know\s+)?what\s+time\s+it\s+is|wie\s+(?:spät\s+(?:ist|haben)|viel\s+uhr\s+(?:ist|haben))\s+(?:es|wir)(?:\s+ist)?|wie\s+spät\s+es\s+ist|welche[rns]?\s+(?:tag|wochentag|datum)\s+(?:ist|haben\s+wir)"
        r"|den\s+wievielten\s+haben\s+wir|was\s+ist\s+heute\s+für\s+ein\s+tag)"
    ),
    Asked.SUM: (
        r"(?:(?:what(?:['’]s|\s+is)|how\s+much\s+is|calculate|compute|was\s+(?:ist|sind|ergibt)|wie\s?viel\s+(?:ist"
        r"|sind)|rechne?)\s+|(?=[\d\s.,()-]*[+*×÷x]))(?P<sum>(?!\d+[-/]\d+[\s=?!.]*$)[\d\s.,+\-*/×x÷()]*\d\s*[+\-*/×x÷]\s*[\d\s.,+\-*/×x÷()]*\d\)*)\s*(?:=)?"
    ),
    Asked.PRIVACY: (
        rf"(?:(?:do|does|will|did|are)\s+(?:you|it|atelier)\s+(?:also\s+)?(?:store"
        rf"|stor(?:e|ing)|sav(?:e|ing)|keep(?:ing)?|record(?:ing)?"
        rf"|log(?:ging)?|remember|track(?:ing)?|share|send|learn\s+from"
        rf"|train\s+on)\s+{_SAID}(?:\s+(?:anywhere|to\s+\w+|with\s+\w+|here|private))?"
        rf"|(?:is|are)\s+{_SAID}(?:\s+(?:chat|conversation|data))?\s+(?:private|confidential|secure|safe|secret|stored|saved|recorded|logged|anonymous)"
        rf"|who\s+(?:can|could|else\s+can|will|may|all\s+can)\s+(?:read|see|access)\s+{_SAID}"
        rf"|can\s+(?:my|our|the|other|any)?\s*(?:boss|manager|team\s*lead|employer|admins?|administrators?|company|colleagues?|others?|people|anyone|anybody|someone|hr)(?:\s+else)?\s+(?:read|see|access)\s+{_SAID}"
        rf"|(?:speicherst|behältst|merkst|protokollierst|sendest|schickst|teilst)\s+du\s+(?:dir\s+)?{_GESAGT}(?:\s+(?:irgendwo|weiter|hin|ins?\s+\w+))?"
        rf"|(?:wird|werden)\s+{_GESAGT}\s+(?:gespeichert|aufgezeichnet|protokolliert|gelesen|weitergegeben|mitgelesen)"
        rf"|(?:ist|sind)\s+{_GESAGT}\s+(?:privat|vertraulich|sicher|anonym|geheim)"
        rf"|wer\s+(?:kann|darf|sieht|liest)\s+{_GESAGT}(?:\s+(?:mit)?(?:lesen|sehen))?|was\s+passiert\s+mit\s+{_GESAGT}"
        rf"|kann\s+(?:mein(?:e)?|der|die|unser(?:e)?)\s+(?:chef(?:in)?|vorgesetzter?|firma|arbeitgeber|kollegen?)\s+{_GESAGT}\s*(?:mit)?(?:lesen|sehen))"
    ),
    Asked.DELETION: (
        r"(?:delete|erase|remove|wipe|forget|clear)\s+(?:(?:all\s+)?(?:of\s+)?my\s+(?:data"
        r"|messages|chats?|history|account|conversations?)|everything(?:\s+(?:about\s+me"
        r"|i\s+(?:said|wrote|told\s+you)|you\s+know\s+about\s+me))?"
        r"|(?:all\s+about\s+)?me|what\s+i\s+(?:said|wrote|told\s+you)"
        r"|(?:this|our|the)\s+(?:chat|conversation|history))"
        r"|(?:lösche?|vergiss|entferne?)\s+(?:bitte\s+)?(?:alles(?:\s+(?:über|von)\s+mi[rc]h?)?|(?:alle\s+)?meine\s+(?:daten|nachrichten|fragen)|mich|was\s+ich\s+(?:gesagt|geschrieben)\s+habe|(?:das|dieses|unser)\s+(?:gespräch|chat))|(?:alles|meine\s+daten|das\s+gespräch)\s+(?:löschen|vergessen)"
    ),
    Asked.PROGRAM: (
        r"(?:bist\s+du\s+(?:(?:ein(?:e)?|der|die|wirklich|eigentlich"
        r"|nur|ein\s+echter)\s+)*(?:(?:chat)?bot|roboter|mensch"
        r"|maschine|ki|programm|echt|chat\s?gpt|gpt|claude|gemini|copilot))"
    ),
    Asked.OUTSIDE: (
        r"(?:(?:what(?:['’]s|\s+is|\s+will)|how(?:['’]s|\s+is"
        r"|\s+will))\s+the\s+weather(?:\s+(?:be|like|going\s+to\s+be))*(?:\s+(?:like"
        r"|today|tomorrow|outside|in\s+\w+))*|wie\s+(?:ist|wird)\s+(?:das"
        r"|denn\s+das)\s+wetter(?:\s+(?:heute|morgen|in\s+\w+))*"
        rf"|wake\s+(?:me|us)\b.{{0,80}}|remind\s+(?:me|us)\b{_NO_QUESTION}.{{0,80}}"
        r"|set\s+(?:a|an|the)\s+(?:timer|alarm|reminder)\b.{0,60}"
        rf"|erinner(?:e|st)?\s+(?:du\s+)?(?:mich|uns)\b{_NO_QUESTION}.{{0,80}}"
        r"|translate\s+[\"“'„].{1,80}|(?:fix|debug|run|refactor)\s+(?:this|my|the)\s+(?:code|script|function|bug)\b.{0,100}"
        r"|übersetze?\s+[\"“'„].{1,80})"
    ),
}
_COMPILED = {kind: re.compile(f"{_OPENS}(?:{form}){_ENDS}", re.IGNORECASE | re.DOTALL) for kind, form in _FORMS.items()}
# Whose words there are: "who can read this?" right after an answer is about the document.
_OURS = re.compile(
    r"\b(?:i|we|you|my|our|me|us|here|atelier|chats?|conversations?|messages?|data|ich|wir|du|mein\w*|unser\w*|hier|gespräch\w*"
    r"|unterhaltung|nachrichten|daten|fragen)\b",
    re.IGNORECASE,
)
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def asked_of_us(text: str) -> Asked | None:
    """What a message asks of Atelier itself, where it asks nothing else; mostly None."""
    if len(text) > _LONGEST:
        return None
    return next((kind for kind, form in _COMPILED.items() if form.match(text)), None)


def may_mean_answer(kind: Asked, text: str) -> bool:
    """Whether a message may be about what was just answered: "is this confidential?"."""
    return kind is Asked.PRIVACY and _OURS.search(text) is None


def told_of_us(kind: Asked, text: str, language: str, now: datetime) -> str:
    """What is said to it; empty where nothing can be: a sum without an end. now: with its time zone."""
    if kind is Asked.SUM:
        found = _COMPILED[kind].match(text)
        result = reckoned(found["sum"], language) if found is not None else ""
        return phrase("self", "sum", language=language).format(result=result) if result else ""
    said = phrase("self", kind, language=language)
    if kind is Asked.TIME:
        day = phrase("self", "days", language=language).split()[now.weekday()]
        return said.format(time=f"{now:%H:%M}", zone=now.tzname() or "UTC", day=day, date=f"{now:%Y-%m-%d}")
    return said


def reckoned(written: str, language: str = "") -> str:
    """What a sum of plain numbers comes to, as it is read; empty where it has no result.

    language: in which it is written; German parts thousands with dots, and has a comma before what is less than one.
    """
    is_german = primary_language(language) == "de"
    plain = re.sub(rf"(?<=\d){'[.]' if is_german else ','}(?=\d{{3}}(?!\d))", "", written)
    plain = plain.replace("×", "*").replace("x", "*").replace("÷", "/").replace(",", ".")
    try:
        result = _value(ast.parse(plain.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        return ""
    if abs(result) >= LARGEST:
        return ""
    return f"{result:.10g}".replace(".", "," if is_german else ".")


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(op=ast.USub(), operand=of):
            return -_value(of)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](_value(left), _value(right))
        case _:
            raise ValueError("This is no plain sum.")
