"""Who somebody is: of the sentences that name a person, those that say so, by role or relation. Pure.

"Tom Baker gave a talk" answers nothing to "who is Tom Baker?"; "the support team is led by Tom Baker" does.
"""

import re

from agent.conversation import WORD

_ASKS = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|so|and|but|hi|hey|hello|atelier|please|und|also)\b[\s,]*)*"
    r"(?:do\s+you\s+know\s+|(?:can|could)\s+you\s+tell\s+me\s+|tell\s+me\s+|weißt\s+du[\s,]+)?"
    r"(?:who(?:['’]s|\s+is|\s+was)|wer\s+(?:ist|war)|¿?qui[ée]n\s+(?:es|fue)|qui\s+est|谁是)\s*(?P<name>[^\s?!.,;:][^?!,;:]{0,60}?)"
    r"(?:\s+(?:exactly|anyway|again|please|eigentlich|denn|genau))*[\s?!.？]*$",
    re.IGNORECASE,
)
# "who is responsible for the keys?", "who is the head of Sales?", "wer ist Geschäftsführer?" ask for a name, give none
_NO_NAME = frozenset(
    """
    a an the our my your this that these those responsible in for of to at on with going doing using allowed able
    it he she they there here who you we i me not new der die das den dem ein eine für zuständig verantwortlich
    mein unser du ich es sie er wir im am el la los las un una le les leading running working coming
    """.split()
)
_LONGEST_NAME = 4  # words
_LONGEST_QUESTION = 120  # characters
_TITLES = frozenset("mr mrs ms miss dr prof herr frau señor señora sr sra monsieur madame".split())
_ROLES = (
    r"(?:chief|head|lead|leader|manager|director|chair(?:man|woman|person)?|ceo|cto|cfo|coo|officer|president|secretary|assistant|engineer|coordinator"
    r"|contact|owner|founder|partner|doctor|nurse|professor|teacher|treasurer|designer|developer|colleague|boss|supervisor|administrator"
    r"|representative|spokes\w+|member|deputy|receptionist|accountant|lawyer|consultant|specialist|intern|trainee"
    r"|\w*leiter(?:in)?|leitung|\w*chef(?:in)?|vorstand\w*|\w*vorsitz\w*|ansprechpartner(?:in)?|geschäftsführ\w*|\w*beauftragte\w*|inhaber(?:in)?"
    r"|\w*meister(?:in)?|\w*verantwortliche\w*|assistent(?:in)?|sekretär(?:in)?|arzt|ärztin|gründer(?:in)?|stellvertret\w*"
    r"|directora?|jef[ea]|responsable|encargad[oa]|directeur|directrice|chef(?:fe)?)"
)
_ROLE = re.compile(rf"{_ROLES}|betriebsr[aä]t\w*|\w*helfer(?:in)?|\w*sprecher(?:in)?", re.IGNORECASE)
_BEFORE = re.compile(
    rf"(?:\b(?:led|headed|run|managed|chaired|founded|owned|directed|represented|supervised|coordinated|overseen|covered)\s+by"
    rf"|\b(?:geleitet|geführt|betreut|vertreten|gegründet)\s+von|\b{_ROLES}\b[^.;!?]{{0,40}}(?:\b(?:is|are|was|were|ist|sind|war|es|est)|[:,(–-])"
    rf"|\b(?:our|the|unser\w*|der|die)\s+(?:\w+\s+){{0,3}}{_ROLES}\b,?)\s*(?:(?:now|currently|also|derzeit|jetzt)\s+)?(?:(?:mr|mrs|ms|dr|prof|herr|frau)\.?\s+)*(?-i:[A-ZÄÖÜ]\w+\s+)?$",
    re.IGNORECASE,
)
_DOES = (
    r"(?:leads?|heads?|runs?|manages?|directs?|chairs?|founded|co-?founded|owns?|represents?|coordinates?|oversees|supervises|works?|serves?|acts?|joined"
    r"|looks\s+after|takes\s+care\s+of|is\s+(?:responsible|in\s+charge|on\s+call)|leitet|führt|verantwortet|betreut|vertritt|arbeitet|gründete|dirige|trabaja|dirig[ée]e?)"
)
_AFTER = re.compile(
    rf"^(?-i:\s++[A-ZÄÖÜ](?:\.|[\w'’-]+)){{0,2}}\s*+(?:[,(–:-]\s*(?:(?:who|der|die)\s+)?(?:(?:is|was|ist|war)\s+)?(?:(?:the|our|an?|unser\w*|der|die|ein\w*)\s+)?(?:\w+\s+){{0,4}}{_ROLES}\b"
    rf"|(?:(?:also|now|currently)\s+)?{_DOES}\b"
    r"|\)?\s*(?:zuständig|verantwortlich|responsible)\b|\)\s*[:–-]"
    r"|(?:from|of|in|aus|von|vom)\s+(?:(?:the|our|der|dem|unser\w*)\s+)?(?-i:(?:[A-ZÄÖÜ][\w-]+\s+)?(?:Operations|Team|Department|HR|IT|Sales|Support|Finance|Marketing|Engineering"
    r"|Legal|Facilities|Reception|[A-ZÄÖÜ]?\w*[aA]bteilung|Buchhaltung|Vertrieb|Einkauf))\b"
    rf"|(?:is|was|became|has\s+been|ist|war|wurde|es|fue|est)\s+(?:(?:also|now|currently|derzeit|jetzt)\s+)?"
    rf"(?:(?:the|our|an?|one\s+of|responsible|in\s+charge|zuständig|verantwortlich|unser\w*|der|die|ein\w*|el|la|una?|le)\b|(?:\w+\s+){{0,3}}{_ROLES}\b))",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"\b(?:role|title|position|job|function|team|department|funktion|rolle|abteilung|aufgabe|cargo|poste)\s*:",
    re.IGNORECASE,
)


def asked_of(question: str) -> str:
    """The name in "who is Ann Smith?"; empty where none is asked of."""
    found = _ASKS.match(question) if len(question) <= _LONGEST_QUESTION else None
    if found is None:
        return ""
    words = [word.casefold() for word in WORD.findall(found["name"])]
    if not 0 < len(words) <= _LONGEST_NAME or _NO_NAME.intersection(words) or any(map(_ROLE.fullmatch, words)):
        return ""
    return found["name"].strip()


_WHOM = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|so|and|but|also|hi|hey|hello|please|und|aber)\b[\s,]*)*"
    r"(?:who(?:['’]s|\s+is|\s+are)\s+(?:responsible|in\s+charge|(?:the\s+|my\s+)?(?:right\s+)?(?:contact|person)(?:\s+person)?)\s+(?:for|of)"
    r"|whom?\s+(?:do|should|can|must|could)\s+(?:i|we|one)\s+(?:ask|contact|talk\s+to|speak\s+to|speak\s+with|turn\s+to|call|e-?mail|write\s+to|see)\s+(?:about|for|regarding)"
    r"|who\s+(?:looks\s+after|takes\s+care\s+of|handles|deals\s+with)"
    r"|wer\s+kümmert\s+sich\s+um|wer\s+ist\s+(?:hier\s+)?(?:zuständig|verantwortlich)\s+für|an\s+wen\s+(?:wende|kann)\s+ich\s+(?:mich\s+)?(?:wegen|bei|mit)"
    r"|wen\s+(?:frage|kontaktiere)\s+ich\s+(?:wegen|zu[mr]?|nach|bei)|wer\s+ist\s+(?:hier\s+)?für)\s+"
    r"(?P<what>[^?!.;]{2,60}?)(?:\s+(?:zuständig|verantwortlich|wenden|fragen|please|bitte))*[\s?!.]*$",
    re.IGNORECASE,
)
_SOMEBODY = re.compile(
    r"(?<![\w.+-])[\w.+-]+@[\w-]+|\b(?:Mr|Mrs|Ms|Dr|Prof|Herr|Frau)\.?\s+[A-ZÄÖÜ]\w+|\b[A-ZÄÖÜ][a-zäöüß]+\s+[A-ZÄÖÜ][a-zäöüß]+(?:-[A-ZÄÖÜ][a-zäöüß]+)?\b"
    r"|\b(?i:team\s*leads?|managers?|teamleitung|vorgesetzte\w*|office)\b"
)


def asked_whom(question: str) -> str:
    """For what somebody is asked after: "keys" of "who is responsible for keys?"; mostly empty."""
    found = _WHOM.match(question) if len(question) <= _LONGEST_QUESTION else None
    return found["what"].strip() if found is not None else ""


def names_somebody(text: str) -> bool:
    """Whether a text gives a person, a role or an address to turn to."""
    return _SOMEBODY.search(text) is not None


def names(text: str, name: str) -> bool:
    """Whether a text names somebody, by all of the name."""
    said = {word.casefold() for word in WORD.findall(text)}
    return set(_bare(name)) <= said


def says_who(text: str, name: str) -> bool:
    """Whether a sentence that names somebody says who that is: by a role, or by what they lead or look after."""
    if _FIELD.search(text):
        return True
    return any(
        _BEFORE.search(text[: found.start()]) or _AFTER.search(text[found.end() :])
        for found in re.finditer(r"\s+".join(map(re.escape, _bare(name))), text, re.IGNORECASE)
    )


def _bare(name: str) -> list[str]:
    """The words of a name without titles, unless it has no others."""
    words = [word.casefold() for word in WORD.findall(name)]
    return [word for word in words if word not in _TITLES] or words
