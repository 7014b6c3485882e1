"""What ideas are wanted for, read out of a wish: "names for our café" of "let's brainstorm names for our café"."""

import re

from agent.german import language_of
from agent.ideation.techniques import named

_LEAD_IN = re.compile(
    r"""^\W*(?:(?:ok(?:ay)?|so|well|hey|hi|hello|atelier|please|now|great)\b[\s,:!]*)*
    (?:/ideate\s+
    |(?:(?:can|could|would|will)\s+(?:you|we)\s+)?(?:please\s+)?(?:help\s+(?:me|us)\s+(?:to\s+)?)?
      (?:let'?s\s+|let\s+us\s+|(?:i|we)(?:'d|\s+would)?\s+(?:want|like|need)\s+(?:to\s+)?|(?:i|we)\s+need\s+)?
      (?:(?:write|compose|draft|invent|create|make)(?:\s+(?:me|us)(?=\s))?|brainstorm(?:ing)?|ideate|think(?:\s+(?:of|up|about|through))?|come\s+up\s+with|generate|collect|find|give\s+(?:me|us)|suggest
        |use|try|do|apply|start|run|play|explore|go\s+through|work\s+with|have)\b(?!-\w)
    |(?:i|we)(?:['’]ve|\s+have)\s+(?:got\s+)?(?=(?:an?|some|a\s+few|this|many)\s+(?:\w+\s+)?ideas?\b)
    |(?:any|some|more|new|creative|fresh|good)\s+(?=ideas|names|suggestions|ways)
    |(?:i|we)(?:'d|\s+would)?\s+(?:need|want|like|could\s+use|look(?:ing)?\s+for)\s+(?=.*\b(?:ideas?|ways|suggestions)\b)
    |(?:i|we)\s+(?:need|want)\s+(?!to\b)(?=\w)
    |(?:i'm|we're|i\s+am|we\s+are)\s+looking\s+for\s+(?=.*\b(?:ideas?|ways|suggestions)\b)
    |what\s+(?:could|can|should|might)\s+(?:we|i)\s+(?:do|try)\b
    |what\s+(?:are|(?:would|could|might)\s+be)\s+(?:some\s+)?
    |(?:i'?m|we'?re|i\s+am|we\s+are)\s+(?:(?:a\s+bit|so|totally|really|completely|just|still|kind\s+of)\s+)*stuck\s+(?:with|on|in|at)\b
    |let'?s(?=\s+(?:on|for|about)\b)
    |(?=how\s+(?:could|can|might|should|do)\s+(?:we|i)\b|ideas?\b|brainstorm)
    )[\s:–-]*""",
    re.IGNORECASE | re.VERBOSE,
)
_OBJECT = re.compile(
    r"""^(?:(?:a|an|the|some|any|a\s+few|a\s+lot\s+of|more|new|creative|fresh|good|crazy|wild|our|\d+|two|three|five|ten)\s+)*
    (?:ideas?|suggestions?|concepts?|options?|possibilities|ways|brainstorm(?:ing)?(?:\s+session)?|session)\b
    (?:[\s,]*please\b(?=\s*:))?[\s:–-]*""",
    re.IGNORECASE | re.VERBOSE,
)
_CONNECTOR = re.compile(
    r"^(?:(?:about|on|for|of|over|around|regarding|with|at|using)\s+)*"
    r"(?P<verb>(?:to|how\s+(?:to|(?:we|i)\s+(?:can|could|should|might)|(?:can|could|should|might|do)\s+(?:we|i)))\s+)?",
    re.IGNORECASE,
)
_GERMAN_LEAD = re.compile(
    r"""^\W*(?:(?:ok(?:ay)?|also|so|hallo|hey|hi|hilfe|bitte|atelier|jetzt|gut)\b[\s,:!]*)*
    (?:/ideate\s+)?
    (?:(?:kannst|könntest)\s+du\s+)?
    (?:(?:ich|wir)\s+(?:brauchen?|suchen?|möchten?|wollen|will|hätten?\s+gern)\s+
    |(?:ich|wir)\s+(?:stecken?|hängen?|kommen?|komm)\s+(?:(?:gerade|grad|etwas|ziemlich|total|immer\s+noch|leider|einfach)\s+)*
    (?:bei(?:m|\s+der)?|mit|in|im|an|am)\s+
    |lass(?:t)?\s+uns\s+|gib\s+(?:mir|uns)\s+|hilf\s+(?:mir|uns)\s+(?:bei(?:m|\s+der)?\s+)?|brainstorm(?:ing|en|e)?\b\s*
    |(?:nimm|nehmen\s+wir|mit|nutze?|verwende)\s+)?
    (?:(?:bitte|mal|noch|ein\s+paar|einige|neue|gute|gemeinsam|zusammen|etwas|zehn|drei|fünf|\d+)\s+)*
    (?:(?:ein|eine|das|die)\s+(?=brainstorm|ideen))?
    (?:(?:brainstorm(?:ing|en)?|ideen(?:runde|sammlung)|ideen?|vorschläge|einfälle)\b\s*)?
    (?:(?:machen|starten|beginnen|sammeln)\b\s*(?=[:–,-]|für|zu|über))?[\s:–,-]*
    (?:(?:für|zu[mr]?|über|an)\s+)?""",
    re.IGNORECASE | re.VERBOSE,
)
_MINE = re.compile(r"^mein(?=(?:e[mnrs]?)?\b)", re.IGNORECASE)
_GERMAN_TAIL = re.compile(
    r"(?<![\s,.!?:;-])[\s,.!?:;-]*+(?:\b(?:nicht\s+(?:mehr\s+)?(?:weiter|voran)|(?-i:fest)|nachdenken|überlegen|sammeln|finden|ausdenken|brainstormen|machen|bitte|zusammen|jetzt|heute)\b[\s,.!?:;-]*+)*$",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(?<![\s,.!?:;-])[\s,.!?:;-]*+(?:\b(?:please|together|with\s+(?:me|us)|now|today)\b[\s,.!?:;-]*+)*$", re.IGNORECASE
)
# "how can we reduce meetings? I need fresh ideas", "I'm stuck, give me some ideas": the wish around the topic
_WISH_AFTER = re.compile(
    r"(?<=[?!.,;])\s+(?:please\s+)?(?:(?:i|we)(?:'d|\s+would)?\s+(?:really\s+)?(?:need|want|like)|(?:give|suggest)(?:\s+(?:me|us))?)\s+"
    r"(?:(?:some|any|a\s+few|more|new|fresh|good|creative|your|\d+)\s+)*(?:ideas|suggestions)[\s!.?]*$",
    re.IGNORECASE,
)
_NOT_YET = re.compile(
    r"^\W*(?:i'?m|we'?re|i\s+am|we\s+are)\s+(?:(?:a\s+bit|so|totally|really|completely|just|still)\s+)*"
    r"(?:stuck|out\s+of\s+ideas)\s*(?:[,.!;:–-]\s*|$)",
    re.IGNORECASE,
)
_DOUBLED = re.compile(r"[^aeiou]*[aeiou][bdgklmnprt]$", re.IGNORECASE)  # get, plan, stop
_NO_TOPIC = frozenset(
    "idea ideas it this that something anything me us some help please brainstorm brainstorming creative fun one "
    "idee ideen bitte hilfe etwas was für uns mir".split()
)
# "how might a museum welcome visitors?": whose subject is not the people who ask
_QUESTION = re.compile(
    r"(?:how|what|which|where|who|why|when)\b(?:\s+\w+){0,3}?\s+(?:could|can|might|should|would|will|does|do|is|are)\s+\w.*",
    re.IGNORECASE,
)
_READ = 2000  # characters of a message: a wish says what for at its beginning
_LONGEST_TOPIC = 120  # characters: longer ones are a text, not a topic


def topic_of(message: str) -> str:
    """What ideas are wanted for, as it fits into a sentence: "names for our cat café"; "" when none is said."""
    text = " ".join(message.strip().split("\n")[0][:_READ].split())
    technique = named(text)
    if technique is not None:
        names = "|".join(re.escape(name) for name in sorted(technique.names, key=len, reverse=True))
        text = re.sub(
            rf"(?:\b(?:using|with|by|via|use|try|do|mit|per)\s+)?(?:the\s+)?(?<!\w)(?:{names})(?!\w)(?:\s+(?:technique|method))?",
            " ",
            text,
            flags=re.IGNORECASE,
        )
        text = " ".join(text.split())
    if language_of(message) == "de":
        text = _GERMAN_TAIL.sub("", _GERMAN_LEAD.sub("", text, count=1)).strip()
        text = _MINE.sub("dein", text, count=1)
        return "" if _says_nothing(text) else _short(text)
    text = _NOT_YET.sub("", _WISH_AFTER.sub("", text), count=1)
    text = _LEAD_IN.sub("", text, count=1)
    text = _OBJECT.sub("", text, count=1)
    connector = _CONNECTOR.match(text)
    text = _trimmed(text[connector.end() :]) if connector else text
    if connector and connector["verb"]:
        verb, space, rest = text.partition(" ")
        text = f"{_gerund(verb)}{space}{rest}"
    if _QUESTION.fullmatch(text):
        return f'the question "{text[0].upper()}{text[1:]}?"'
    return "" if _says_nothing(text) else text


def _says_nothing(text: str) -> bool:
    return {word.casefold() for word in re.findall(r"\w+", text)} <= _NO_TOPIC


def _gerund(verb: str) -> str:
    """Of "reduce" as "reducing", so that a wish fits into a sentence."""
    if verb.endswith("ing") or not verb.isalpha():
        return verb
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and len(verb) > 2:
        return f"{verb[:-1]}ing"
    return f"{verb}{verb[-1]}ing" if _DOUBLED.fullmatch(verb) else f"{verb}ing"


def _trimmed(text: str) -> str:
    """A topic as it stands within a sentence, "my" and "our" turned round to "your"."""
    text = _TAIL.sub("", text.strip())
    text = re.sub(r"(?i)\b(?:my|our)\b", "your", text)
    text = re.sub(r"(?i)\b(?:me|us)\b", "you", text)
    return _short(text)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TOPIC else f"{text[:_LONGEST_TOPIC].rsplit(' ', 1)[0]} …"
