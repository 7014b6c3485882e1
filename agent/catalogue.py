"""The documents there are, when somebody asks for them: "what documents do you have?". Pure."""

import re
from collections.abc import Sequence

from agent.generation.phrases import phrase
from agent.policy import GUIDE

LISTED = 20  # documents named at most
_THEM = r"(?:documents?|docs|files|sources|knowledge(?:\s+base)?)"
_ASKS = re.compile(
    rf"""^\W*(?:(?:hi|hey|hello|ok(?:ay)?|so|and|but|please|atelier|hallo|und|bitte)\b[\s,!.:]*)*
    (?:
      (?:what(?:['’]s\s+in\s+|\s+(?:are|is)\s+(?:in\s+)?)(?:your|the|our|my)\s+|(?:what|which)\s+(?:(?:your|the|our|my)\s+)?){_THEM}
        (?:\s+(?:(?:do|did|have|can|are|is)\s+)?(?:you\s+|there\s+|we\s+|i\s+)?(?:currently\s+|already\s+)?
        (?:have|got|know|read|hold|see|use|search|there|stored|loaded|ingested|given|give)?(?:\s+(?:about|of|access\s+to|you|in|so\s+far|now))*)?
      |(?:(?:can|could|would|will)\s+you\s+)?(?:please\s+)?(?:list|show|name|tell)\s+(?:me\s+|us\s+)?(?:all\s+)?(?:of\s+)?(?:(?:your|the|our|my|all)\s+)?
        (?:known\s+)?{_THEM}(?:\s+(?:you|that\s+you)\s+(?:have|know|can\s+(?:read|see)))?
      |(?:welche|was\s+für)\s+(?:dokumente|dateien|unterlagen|quellen)\s+(?:hast|kennst|liest|siehst|gibt|habe[nt]?|sind)
        (?:\s+(?:du|es|wir|ich|da|alle|gelesen|bekommen))*
      |(?:zeige?|nenne?|liste)\s+(?:mir\s+|uns\s+)?(?:bitte\s+)?(?:alle|deine|unsere|die)\s+(?:dokumente|dateien|unterlagen|quellen)(?:\s+auf)?
    )(?:\s+(?:please|bitte|now|again|mal))*\W*$""",
    re.IGNORECASE | re.VERBOSE,
)
# "which files can you read?" is about kinds of files, and the guide answers it; "which sources did you use?" and "show
# me the sources" are about the last answer, and "which documents do we use?" about the team's work
_OTHERS = re.compile(
    r"\bcan\s+(?:you|i|we)\s+(?:read|use|give|search)\b|\b(?:did\s+you|we|i)\s+use\b|\b(?:the\s+sources|die\s+quellen)\W*$",
    re.IGNORECASE,
)

_IDEA = re.compile(r"ideas/[^/]+-[0-9a-f]{8}$")  # what earlier sessions said is no document of theirs


def asks_for_documents(text: str) -> bool:
    """Whether a message asks which documents there are, and nothing of what they say."""
    return _ASKS.match(text) is not None and _OTHERS.search(text) is None


def listed(sources: Sequence[str], language: str) -> str:
    """The names of documents, of those that the asker may read; Atelier's own guide is mentioned last, by one word."""
    readable = [source for source in sources if not _IDEA.match(source)]
    theirs = [source for source in readable if not source.startswith(GUIDE)]
    parts = [phrase("documents", "several" if len(theirs) > 1 else "one" if theirs else "none", language=language)]
    if theirs:
        parts[0] = parts[0].format(count=len(theirs))
        lines = [f"- {source}" for source in theirs[:LISTED]]
        if len(theirs) > LISTED:
            lines.append("- " + phrase("documents", "more", language=language).format(count=len(theirs) - LISTED))
        parts.append("\n".join(lines))
    if len(theirs) < len(readable):
        parts.append(phrase("documents", "guide", language=language))
    return "\n\n".join(parts)
