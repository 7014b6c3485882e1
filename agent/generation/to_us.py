"""What in a brainstorm is said to Atelier and not to the topic, though nothing in its form is a question's. Pure.

"Explain the leave policy" asks the documents, "explain the jargon on a poster" is an idea: words that order us decide
together with how surely the message reads as a question. "Send the numbers before the meeting" is an idea, since there
is nothing else that we could make of it; "send me the numbers" is not.
"""

import re

from agent.message import Intent, Understanding
from agent.surface import striking_words

ASKED = 0.7  # how surely a message that orders us asks for something
_SHORT = 4  # words of a call for help or for a person that names nobody: "human please"
_LEAST = 3  # words of an idea that reads like feedback: "less is more"
_POLITE = (
    r"^\W*(?:(?:ok(?:ay)?|so|and|but|now|just|hey|hi|please|atelier|wait|sorry|quick|bitte|und|also|mal)\b[\s,.!:]*)*"
)
_ORDERS_US = re.compile(
    rf"{_POLITE}(?:summari[sz]e|sum\s+up|outline|explain|describe|define|find|search|look\s+(?:up|for|in)|check|tell|show|give|list"
    r"|erklär(?:e)?|suche?|such|finde?|nenne?|beschreib(?:e)?|schau)\b",
    re.IGNORECASE,
)
_PLAINLY_ASKS = re.compile(
    rf"{_POLITE}(?:(?:i|we)\s+(?:have|['’]?ve\s+got|got)\s+(?:a|another|one\s+(?:more)?)\s*(?:quick\s+|short\s+)?question\b|(?:a\s+|one\s+)?(?:quick\s+|another\s+)?question\s*[:,–-]"
    r"|(?:i|we)\s+(?:want|need|would\s+like|wish)\s+to\s+(?:know|ask)\b|(?:i|we)['’]d\s+like\s+to\s+(?:know|ask)\b|(?:i|we)\s+(?:wonder|was\s+wondering)\b"
    r"|(?:tell|remind)\s+me\s+(?:about|what|when|where|who|how|why|which|if|whether)\b|look\s+up\s+(?:the|our|my|what|when|where|how)\b"
    r"|(?:search|look)\s+(?:through\s+|in\s+|into\s+)?(?:the|our|my)\s+(?:\w+\s+)?(?:handbook|documents?|docs|files?|guide|wiki|policy|policies|manual)\b"
    r"|(?:show|open)\s+me\s+(?:the|our|my)\s+(?:\w+\s+)?(?:handbook|documents?|docs|file|guide|wiki|policy|policies|manual|page)\W*$"
    r"|(?:summari[sz]e|outline|explain)\s+(?:the|our|my)\s+(?:[\w-]+\s+){0,3}(?:handbook|documents?|docs|guide(?:lines?)?|policy|policies|manual|contract|rules|terms)\b(?:\s+(?:please|for\s+me|to\s+me))*\W*$"
    r"|(?:ich\s+(?:habe|hab)\s+(?:eine|noch\s+eine)\s+(?:kurze\s+)?frage|(?:kurze\s+)?frage\s*[:,–-]|ich\s+(?:will|möchte|würde\s+gern(?:e)?)\s+(?:wissen|fragen)|sag\s+mir\s+(?:was|wann|wo|wer|wie|ob)))",
    re.IGNORECASE,
)
_OF_ONESELF = re.compile(r"\b(?:i|i['’]?m|me|my|mine|myself|ich|mir|mich|mein(?:e[mnrs]?)?)\b", re.IGNORECASE)
_OF_US = re.compile(
    r"\b(?:i|i['’]?m|me|my|we|us|you|your|this|that|it|answers?|repl(?:y|ies)|atelier|bot|sources?|ich|mir|mich|mein\w*|wir|uns|du|dir|dich|dein\w*"
    r"|das|dies\w*|es|antwort\w*)\b",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"^\W*(?:get|bring|fetch|call|connect|transfer|put|hol(?:e)?|verbinde)\b(?!.*\b(?:each|every|jede[mnrs]?)\b).*\b(?:human|agent|operator|representative|mensch(?:en)?|mitarbeiter)\b"
    r"(?!.*\b(?:instead|first|statt)\b)",
    re.IGNORECASE,
)


def asks_documents(text: str, understanding: Understanding) -> bool:
    """Whether a message orders us to tell something: "tell me the deadline", "summarise the leave policy"."""
    is_asked = understanding.intent is Intent.ASK and understanding.confidence >= ASKED
    return _PLAINLY_ASKS.match(text) is not None or (is_asked and _ORDERS_US.match(text) is not None)


def may_be_idea(text: str, understanding: Understanding) -> bool:
    """Whether words that read as a call for a person, an errand or a complaint say nothing of us or who writes."""
    words = len(text.split())
    match understanding.intent:
        case Intent.OUT_OF_SCOPE:
            return words > 1 and not _OF_ONESELF.search(text)  # "remind me to call Bob"
        case Intent.HUMAN:
            return words > _SHORT and not (_OF_ONESELF.search(text) or _PERSON.match(text))
        case Intent.HELP | Intent.COMPLAINT | Intent.FEEDBACK:
            return words >= _LEAST and not (_OF_US.search(text) or striking_words(text))
        case _:
            return False
