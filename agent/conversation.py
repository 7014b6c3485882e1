"""What a message does in the conversation: rejects an answer, asks what was said before, proposes something. Pure."""

import re
from collections.abc import Sequence
from typing import Literal

from agent.message import History
from agent.summary import quoted
from agent.surface import looks_like_question

ALL = 8  # messages listed at most
WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")  # as people write one: "doctor's", "part-time", "2nd"
_LONGEST_APOLOGY = 120  # characters
Recall = Literal[
    "first", "asked", "all", "said"
]  # a question of theirs: the first, the last, or all; or our last words

_AT_FIRST = r"^\W*(?:(?:ok(?:ay)?|so|well|and|but|hey|please|sorry|wait|hm+|atelier|now|then)\b[\s,:.!]*)*"
_AT_LAST = (
    r"(?:\s+(?:again|before|earlier|just\s+now|first|last|so\s+far|today|please|until\s+now|that|this|to\s+me|you|me))*"
    r"\W*$"
)
_DENIED = (
    r"(?:(?:just|simply|totally|completely|plain(?:ly)?|still|so|all|quite|really|definitely)\s+)*"
    r"(?:wrong|incorrect|false|mistaken|nonsense|untrue|outdated|out\s+of\s+date|a\s+mistake|an\s+error|rubbish)\b"
)
_APPROVED = (
    r"(?:(?:quite|really|at\s+all|even|entirely)\s+)*(?:right|true|correct|helpful|it\b|"
    r"what\s+i\s+(?:asked|meant|wanted|said|need(?:ed)?|was\s+(?:asking|looking))|the\s+(?:right\s+)?answer|an\s+answer)"
)
_REJECTS = re.compile(
    rf"""^\W*(?:(?:no+|nope|nah|sorry|hm+|well|but|actually|oh|ok(?:ay)?|wait|i\s+think|i'?m\s+afraid)\b[\s,.!:;–-]*)*
    (?:
      (?:that|this|it|(?:your|the|this|that)\s+(?:(?:last|previous)\s+)?(?:answer|reply|source)|you)
      (?:
        (?:['’]s|['’]re|\s+is|\s+are|\s+was|\s+were|\s+looks|\s+seems)\s+(?:{_DENIED}|not\s+{_APPROVED})
        |\s+(?:is|are|was|were)n['’]?t\s+{_APPROVED}
        |\s+(?:does|did)(?:n['’]?t|\s+not)\s+(?:really\s+)?(?:answer|help)\b
        |\s+(?:got|have|had)\s+(?:it|that|this)\s+wrong\b
        |\s+mis(?:understood|read)\b
      )
      |{_DENIED}(?:\s+(?:answer|reply|source|document))?[\s!.]*$
      |not\s+{_APPROVED}
    )""",
    re.IGNORECASE | re.VERBOSE,
)
# "no, I meant the one for managers": the question before with another word in it
_AMENDS = re.compile(
    r"""^\W*(?:(?:no+|nope|nah|sorry|hm+|well|but|actually|oh|ok(?:ay)?|wait|nein|doch|ach|also|aber|das|that['’]?s\s+(?:wrong|not\s+it)|not\s+that(?:\s+one)?)\b
    [\s,.!:;–-]*)*
    (?:i\s+(?:rather\s+)?(?:meant?|was\s+(?:asking|talking)\s+about|(?:want(?:ed)?|need(?:ed)?)\s+to\s+know\s+about|asked\s+(?:for|about))
    |ich\s+(?:meinte|meine|wollte|frag(?:t)?e\s+nach))\s+(?!(?:to|well|it|no|nur|bloß|es|ja|mich|dich|dir|euch)\b)
    (?:(?:the|die|den|das)\s+(?:ones?\s+|der\s+)?(?=for\b|in\b|on\b|of\b|from\b|with\b|für\b|im\b|von\b|mit\b))?(?P<meant>[^?!]{1,120}?)[\s?.!]*$""",
    re.IGNORECASE | re.VERBOSE,
)
# "are you stupid?" has the form of a question and asks nothing
_SCOLDS = re.compile(
    r"""^\W*(?:(?:no+|oh|wow|omg|wtf|hey|but|and|ok(?:ay)?|man|dude|seriously|atelier|mann|sag\s+mal)\b[\s,.!:?–-]*)*
    (?:
      (?:are\s+you|you(?:['’]?re|\s+are)?|u\s+r|r\s+u)\s+
      (?:(?:so|really|just|completely|totally|such|that|fucking|a|an)\s+)*
      (?:stupid|dumb|idiot|moron|useless|crazy|mad|insane|drunk|blind|deaf|serious|joking|kidding(?:\s+me)?)
      (?:\s+or\s+(?:what|something))?
      |(?:bist\s+du|du\s+bist)\s+(?:(?:so|echt|wirklich|einfach|total|ein|eigentlich)\s+)*
      (?:blöd|dumm|doof|bescheuert|nutzlos|idiot|blind|taub)
    )[\s!?.]*$""",
    re.IGNORECASE | re.VERBOSE,
)
_ASKS_OF_US = (
    r"(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?(?:tell\s+me\s+|remind\s+me\s+(?:of\s+)?)?"
    r"|(?:tell|remind)\s+me\s+)?"
)
_ASKED = re.compile(
    rf"{_AT_FIRST}{_ASKS_OF_US}(?:what\s+(?:(?:did|have|had)\s+i\s+(?:just\s+)?(?:ask(?:ed)?|sa(?:y|id)|want(?:ed)?|writ(?:e|ten))"
    rf"|(?:(?:was|were|are)\s+)?my\s+(?:(?:very|last|first|previous|earlier)\s+)*(?:questions?|messages?)(?:\s+(?:was|were))?"
    rf"|i\s+(?:just\s+)?(?:asked|said)){_AT_LAST})",
    re.IGNORECASE,
)
_SAID = re.compile(
    rf"{_AT_FIRST}{_ASKS_OF_US}(?:what\s+(?:did|have)\s+you\s+(?:just\s+)?(?:sa(?:y|id)|answer(?:ed)?|t(?:ell|old)|repl(?:y|ied)|mean)"
    rf"|what\s+(?:was|were)\s+your\s+(?:(?:last|previous|first)\s+)?(?:answers?|repl(?:y|ies)|words)|what\s+you\s+(?:just\s+)?said"
    rf"|repeat(?:\s+(?:that|this|it|yourself|(?:your|the)\s+(?:last\s+|previous\s+)?(?:answer|reply)))?|say\s+(?:that|it)\s+again"
    rf"|come\s+again){_AT_LAST}",
    re.IGNORECASE,
)
_ALL = re.compile(
    rf"{_AT_FIRST}{_ASKS_OF_US}(?:what\s+(?:did|have|were|are)\s+we\s+(?:been\s+)?(?:just\s+)?(?:talk|discuss|speak|spoken)(?:ed|ing)?(?:\s+about)?"
    rf"|what\s+(?:was|is)\s+(?:this|our)\s+(?:conversation|chat|talk)\s+about"
    rf"|(?:summari[sz]e|recap|sum\s+up)\s+(?:this|our|the)\s+(?:conversation|chat|talk)"
    rf"|(?:show|give|tell)\s+(?:me\s+)?(?:this|our|the|my)\s+(?:conversation|chat|talk|history)){_AT_LAST}",
    re.IGNORECASE,
)
_GERMAN_FIRST = r"^\W*(?:(?:ok(?:ay)?|und|also|sag\s+mal|bitte|nochmal|hm+)\b[\s,:.!]*)*"
_GERMAN_LAST = (
    r"(?:\s+(?:noch\s*mal|noch|gerade|eben|vorhin|vorher|zuletzt|zuerst|als\s+erstes|bisher|denn|bitte|gesagt|gefragt"
    r"|geschrieben|wissen\s+wollen))*\W*$"
)
_GERMAN_SHAPES: tuple[tuple[Recall, str], ...] = (
    (
        "first",
        r"was\s+(?:habe|hab|hatte)\s+ich\s+(?:dich\s+)?(?:(?:ganz\s+)?zuerst|als\s+erstes|am\s+anfang)|was\s+war\s+meine\s+erste\s+frage|meine\s+erste\s+frage",
    ),
    (
        "asked",
        r"was\s+(?:habe|hab|hatte)\s+ich\s+(?:dich\s+)?(?:gerade|eben|vorhin|vorher|zuletzt|noch\s*mal)?|was\s+war\s+(?:noch\s*mal\s+)?meine\s+(?:letzte\s+)?frage",
    ),
    (
        "said",
        r"was\s+(?:hast|hattest)\s+du\s+(?:mir\s+)?(?:gerade|eben|vorhin|zuletzt)?|wiederhol(?:e|en)?(?:\s+(?:das|deine\s+(?:letzte\s+)?antwort))?|was\s+war\s+deine\s+(?:letzte\s+)?antwort",
    ),
    (
        "all",
        r"(?:worüber|über\s+was)\s+haben\s+wir\s+(?:gerade\s+|bisher\s+)?(?:geredet|gesprochen)|fass(?:e)?\s+(?:unser|das|dieses)\s+gespräch\s+zusammen|zeig(?:e)?\s+(?:mir\s+)?(?:unser|das)\s+gespräch",
    ),
)
_GERMAN_RECALLS = tuple(
    (kind, re.compile(f"{_GERMAN_FIRST}(?:{shape}){_GERMAN_LAST}", re.IGNORECASE)) for kind, shape in _GERMAN_SHAPES
)

_PROPOSES = re.compile(
    r"^\W*(?:(?:and|or|ok|so)\s+)?(?:what\s+if|what\s+about|how\s+about|could\s+we|should\s+we|why\s+not|why\s+don['’]?t\s+we)\b"
    r"|^\W*(?:(?:und|oder|also|ok)\s+)?(?:wie\s+wär(?:e\s+es|['’]?s)|was\s+wäre,?\s+wenn|(?:könnten|sollten)\s+wir|warum\s+nicht)\b",
    re.IGNORECASE,
)
# Of somebody's own mood or day: nothing that went wrong with what we said.
LOW = (
    r"(?:\b(?:i|we)(?:['’]ve)? (?:just |have |really )*(?:had|have|having|been having|been through)"
    r"|\b(?:it|this|that|today|yesterday)(?:['’]s| is| was| has)(?: just| really)*(?: been)?"
    r"|\bwhat|^\W*(?:had|having|been)|\bhaving|\bi['’]m having) (?:such )?an? (?:(?:really|very|so|pretty|quite) )?"
    r"(?:terrible|awful|bad|hard|horrible|rough|tough|stressful|lousy|exhausting) "
    r"(?:day|week|morning|night|month|weekend|evening)\b"
    r"(?! (?:for|at|with) (?!(?:me|us|all of us|everyone|work|home)\b))"
    r"|\bi(?:['’]m| am| feel| am feeling|['’]m feeling) (?:(?:so|very|really|a bit|quite|too) )*"
    r"(?:sad|tired|exhausted|stressed|lonely|overwhelmed|burn(?:ed|t) out|depressed|miserable)\b"
    r"(?! of\b| (?:by|from|with) (?:you|your|this|that|these)\b)"
    r"|\bi (?:really |just )?(?:hate|can['’]t stand) (?:my (?:job|work|boss|manager|life)|mondays|it here)\b"
    r"|\bmy (?:boss|manager|colleague|coworker|team ?lead) is (?:(?:such "
    r"|just |really |a |an )*)(?:idiot|jerk|nightmare|bully|stupid|mean|unfair)\b"
    r"|\bmein(?:e)? (?:chef(?:in)?|kolleg(?:e|in)) ist (?:(?:so "
    r"|echt |ein |eine )*)(?:idiot(?:in)?|blöd|gemein|unfair|doof)\b"
    r"|\bich hasse (?:meinen job|meine arbeit|montage)\b"
    r"|\b(?:schrecklich|schlimm|schlecht|hart|anstrengend|furchtbar)e[nrs]? "
    r"(?:tag|woche|morgen|abend|nacht|monat|wochenende)\b(?! (?:für|mit|bei) (?!(?:mich|mir|uns|alle)\b))"
    r"|\bich (?:bin|fühle mich) (?:(?:so|sehr|echt|ziemlich|total) )*"
    r"(?:traurig|müde|erschöpft|gestresst|einsam|überfordert|ausgebrannt|niedergeschlagen)\b"
)
_APOLOGY = re.compile(
    r"^\W*(?:(?:oh|ok(?:ay)?|ah|hey|well|yes|no|hm+)\b\W*)*(?:(?:i['’]?m|i am)\s+)?(?:(?:so|very|really)\s+)*"
    r"(?:sorry|apolog(?:ies|i[sz]e)|my (?:bad|mistake|apologies)|(?:es )?tut mir leid|entschuldig(?:ung|e)|verzeihung"
    r"|lo siento)\b(?:\W+(?:(?:about|for|wegen|für)\b"
    r"|(?:i|that|it|ich|das)\s+(?:was|am|did|should|shouldn|got|lost|came|war|wollte|hätte)\b)[^?]{0,60})?\W*$",
    re.IGNORECASE,
)
_LOW = re.compile(LOW, re.IGNORECASE)
_STUCK = re.compile(
    r"^\W*(?:(?:hi|hey|hello|help|so|ok(?:ay)?|well|atelier)\b\W*)*(?:i['’]?m|i am|we['’]?re|we are)\s+"
    r"(?:(?:a bit|so|totally|really|completely|just|still|kind of)\s+)*stuck\s+(?:with|on|in|at)\s+(?!you)\w"
    r"|^\W*(?:(?:hallo|hi|hey|hilfe|also|ok(?:ay)?|atelier)\b\W*)*(?:ich|wir)\s+"
    r"(?:(?:stecken?|hängen?|komm(?:e|en)?)\s+(?:(?:gerade|grad|etwas|ziemlich|total|immer noch|leider|einfach)\s+)*"
    r"(?:bei[mn]?|mit|in|im|an|am)\s+(?!(?:dir|dein\w*)\b)\w[^?]*"
    r"\b(?:fest|(?:nicht|nicht mehr|kaum)\s+(?:weiter|voran)))\W*$",
    re.IGNORECASE,
)


def rejects(text: str) -> bool:
    """Whether a message says that what it answers to was wrong: "no, that's wrong", "that isn't what I asked"."""
    if _SCOLDS.match(text):
        return True
    return _REJECTS.match(text) is not None and not looks_like_question(_REJECTS.sub("", text, count=1))


def amends(text: str) -> str | None:
    """What was meant instead, where a message says that it was misread: "no, I meant the one for managers"."""
    found = _AMENDS.match(text)
    return found["meant"].strip() if found is not None else None


def is_stuck(text: str) -> bool:
    """Whether somebody says that they do not get on with something: "I'm stuck with my presentation"."""
    return _STUCK.match(text) is not None and "?" not in text


def recalls(text: str) -> Recall | None:
    """What of the conversation a message asks for: "what did I ask before?", "what did you just say?"; mostly None."""
    if (german := next((kind for kind, form in _GERMAN_RECALLS if form.match(text)), None)) is not None:
        return german
    if _SAID.match(text):
        return "said"
    if _ALL.match(text):
        return "all"
    if not _ASKED.match(text):
        return None
    if re.search(r"\bfirst\b", text, re.IGNORECASE):
        return "first"
    return "all" if re.search(r"\b(?:questions|messages|so far)\b", text, re.IGNORECASE) else "asked"


def proposes(text: str) -> bool:
    """Whether a message is put as a question and proposes something: "what if we …", "wie wäre es mit …"."""
    return _PROPOSES.match(text) is not None


def recalled(wanted: Recall, history: History) -> Sequence[str]:
    """The words of the conversation that were asked for, in order; none when nothing was said yet."""
    if wanted == "said":
        return [line.text for line in history.lines if line.role == "assistant"][-1:]
    told = [quoted(item) for item in history.summary.split("\n") if item.startswith("User: ")]
    told += [line.text for line in history.lines if line.role == "user" and not recalls(line.text)]
    return told[:1] if wanted == "first" else told[-1:] if wanted == "asked" else told[-ALL:]


def apologises(text: str) -> bool:
    """Whether somebody says that they are sorry: "sorry, I was rude"."""
    return len(text) <= _LONGEST_APOLOGY and _APOLOGY.match(text) is not None


def tells_mood(text: str) -> bool:
    """Whether somebody says that their day was bad, or how low they are."""
    return _LOW.search(text) is not None
