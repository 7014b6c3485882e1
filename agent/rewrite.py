"""A follow-up ("and for Germany?") made whole from the conversation, before it is searched. Pure, and without a model.

Only search and reader see the rewritten words; the person's message stays as it is. A complete question is never
touched: words of an old topic in a new question cost more than they give.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from agent.conversation import WORD, amends, recalls, rejects
from agent.generation.phrases import kind_of_small_talk
from agent.german import FUNCTION_WORDS, language_of
from agent.looking_back import looks_back
from agent.message import History

Alike = Callable[[str, Sequence[str]], Sequence[float]]  # how near each of some phrases is to a first, by cosine

LOOK_BACK = 6  # user lines: a chain of follow-ups longer than this has left its first topic
# "what about contractors?" after "... do full-time employees have?": the nearest phrase gives way to the new one, where
# it is near enough, and nearer than any other; looked at on two dozen pairs.
NEAR, APART = 0.33, 0.1
NEAR_ADDED = (
    0.5  # where the new one may only add to what was asked: "and for part-time staff?", "and in the first year?"
)

_CLITIC = re.compile(r"^(\w+)['’](?:s|re|m|d|ll|ve)$|^(\w+)n['’]t$")  # "what's", "doesn't"
_FUNCTION_WORDS = frozenset(
    """
    a about after again ain all also am an and any are as at be because been before being but by ca can could details
    did do does doing done else ever example examples explain first for from get go got had happen happened
    happens has have having he hello her here hers hey hi him his how i if in into is it its itself just last
    least less let like long lot make many may me mean means might more most much must my need next no not now
    of off often ok okay on once one ones only or other others our out over own per please really same say says
    second sha shall she should so some soon still such sure take takes tell than thank thanks that the their theirs
    them then there these they thing things third this those though time to too under until up us use used very
    was way we well were what when where whether which while who whom whose why will with within without wo work
    works would yes yet you your
    """.split()
)
_SAYS_OF = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|so|and|but|also|und)\b[\s,]*)*(?:what\s+(?:does|do)\s+(?:the|our|your|my|that)\s+(?P<name>(?:[\w-]+\s+){1,4})say\s+(?:about|on)"
    r"|was\s+(?:steht|sagt)\s+(?:im|in|das|die|der)\s+(?:(?:der|dem|den|unsere[rmn]?)\s+)?(?P<seite>(?:[\w-]+\s+){1,4})(?:über|zu[mr]?))\s+"
    r"(?P<what>[^\s?!.][^?!.]{1,99})[\s?!.]*$",
    re.IGNORECASE,
)
_PAGES = frozenset(
    """
    document documents doc docs file files page pages handbook manual guide guidelines policy policies rules text wiki
    dokument dokumente datei seite handbuch anleitung richtlinie richtlinien regeln leitfaden unterlagen
    """.split()
)
_PREPOSITIONS = frozenset(
    "about after at before by during for from in into of on to under with without within "
    "für im bei mit nach ohne vor seit".split()
)
_DETERMINERS = frozenset("the my our your".split())
_BEFORE_NOUN = re.compile(
    r"\b(?:the|an?|my|our|your|die|der|das|den|dem|mein\w*|unser\w*|euer|eure\w*|el|la|los|las|les?)\s+$", re.IGNORECASE
)
_ENDS_PHRASE = "|".join(sorted(_PREPOSITIONS | {"and", "or", "is", "are", "when", "if"}))
# "and for Germany?", "what about the second floor?", "or with a discount?"
_CONTINUES = re.compile(
    r"^[¿\s]*(?:(?:ok(?:ay)?|so|but|and|or|then|also|und|oder|aber|dann)[\s,]+)*"
    r"(?:(?:what|how)\s+(?:about|if\s+it(?:'s|\s+is))|was\s+ist\s+mit|wie\s+(?:ist|steht|sieht)\s+es\s+(?:mit|bei)|and|or|same"
    r"|und|oder|y|et|qu[ée]\s+(?:hay|pasa)\s+(?:de|con)|qu['’]en\s+est-il\s+de)\b[\s,]*"
    r"(?P<rest>.+?)(?:\s+(?:too|as\s+well|also|auch|aus))?[\s?.!]*$",
    re.IGNORECASE | re.DOTALL,
)
# "on Saturdays too?", "for interns?"
_FRAGMENT = re.compile(
    r"^(?P<rest>(?:about|after|at|before|during|for|from|in|on|with|without|für|im|in|am|an|bei|mit|nach|ohne|vor|seit)\s+"
    r"[^?.!,]+?)(?:\s+(?:too|as\s+well|also|auch))?\s*[?]+$",
    re.IGNORECASE,
)
# "what about sick leave?": another thing of the same kind, asked the same way
_ANOTHER = re.compile(r"\b(?:what|how)\s+about\b|\bwas\s+ist\s+mit\b|\bes\s+(?:mit|bei)\b", re.IGNORECASE)
_KIND = re.compile(r"\b(?:how\s+(?:much|many)|which|of|for|about|my|our)\s+(?=\w)", re.IGNORECASE)
_POINTS_BACK = re.compile(
    r"\b(?:its?|they|them|their|theirs|he|she|him|his|hers?|those|these|(?:the\s+)?(?:former|latter)|there"
    r"|the\s+(?:first|second|third|last|other|next|same)(?:\s+ones?)?|(?:that|this)(?=\s*(?:$|[?.!,]"
    r"|(?:is|was|does|did|do|can|could|will|would|mean|means|work|works|cost|costs|apply|applies|happen|one|too)\b)))\b",
    re.IGNORECASE,
)
_GERMAN_POINTS_BACK = re.compile(
    r"\b(?:das(?=\s*(?:[?.!,]|$|(?:auch|so|noch|denn|immer|nur|alles|für|bei|in|mit)\b))|es(?!\s+(?:gibt|geht)\b)|dort|dafür|dazu|darüber|davon|dabei|damit|daran"
    r"|ihn|ihm|deren|dessen|diese[rsnm]?(?=\s*[?.!,]|$))\b",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:(?:do|does|did|can|could|should|will|would|must|may)\s+(?:i|we|you|they|he|she)|to)\s+\w+", re.IGNORECASE
)
# "it" that points at nothing: "is it possible to …", "how long does it take to …"
_EMPTY_IT = re.compile(
    r"\bit\s+(?:possible|ok|okay|allowed|true|safe|legal|necessary|takes?\s+to|cost\s+to)\b", re.IGNORECASE
)
_IS_IT = re.compile(
    r"\bis\s+(?:it|there)\s+(?:possible|ok|okay|allowed|true|safe|legal|necessary|an?y?)\b", re.IGNORECASE
)
_CHAT = 4  # words: what is longer may thank and ask
_SLOT, _BARE, _POINTING = 4, 8, 3  # words of a follow-up: what it puts in, all of it, what it brings along
_LONGEST_FOLLOW_UP = 200  # characters: what is longer stands alone
_PHRASES = 24  # of a question, of which one gives way: what has more is a text, and each costs an encoder's time
_CHINESE_CONTINUES = re.compile(r"^(?:那么?|还有)?(?P<rest>.{1,12}?)呢\s*[?？]?$")


def standalone(message: str, history: History, alike: Alike | None = None) -> str:
    """`message` as it would be asked without the conversation; unchanged when it already stands alone.

    alike: tells which phrase of the question before gives way to that of a follow-up; asked in such a case only.
    """
    framed = _SAYS_OF.match(message) if len(message) <= _LONGEST_FOLLOW_UP else None
    if framed is not None and content_words(framed["what"]):  # "what does the travel policy say about meals?"
        called = content_words(framed["name"] or framed["seite"])
        is_named = any(word.casefold() not in _PAGES for word in called)  # any page is a handbook, and says nothing
        return " ".join([framed["what"], *(called if is_named else ())])
    if framed is not None:
        message = framed["what"]
    topic = ""
    for line in [line.text for line in history.lines if line.role == "user"][-LOOK_BACK:]:
        if _asks_something(line):
            topic = _complete(line, topic, alike)
    return _complete(message, topic, alike)


def _unjoined(word: str) -> list[str]:
    """The word that another was joined to: "does" of "doesn't"."""
    found = _CLITIC.match(word)
    return [part for part in found.groups() if part] if found is not None else []


def content_words(text: str) -> list[str]:
    """The words that carry a topic, as written, in order."""
    found = [word for word in WORD.findall(text) if not _FUNCTION_WORDS & {low := word.casefold(), *_unjoined(low)}]
    return [word for word in found if word.casefold() not in FUNCTION_WORDS] if language_of(text) == "de" else found


def fragment(message: str) -> str | None:
    """What a follow-up without a verb puts in: "part-time staff" of "and what about part-time staff?"; mostly None."""
    flat = " ".join(message.split())  # in a run of spaces these forms would look for their end once for each
    found = (_CONTINUES.match(flat) or _FRAGMENT.match(flat)) if len(flat) <= _LONGEST_FOLLOW_UP else None
    if found is None or len(content_words(message)) > _SLOT or _has_clause(found["rest"]):
        return None
    return found["rest"]


_TO_US = re.compile(
    r"\byour?\b|\b(?:wer|was|wie)\s+(?:bist|kannst|heißt|machst|tust)\s+du(?:\s+(?:denn|eigentlich|so|genau|alles))*\W*$",
    re.IGNORECASE,
)


def _asks_something(line: str) -> bool:
    """Whether a line of a person's can be what later ones go on from: not thanks, and nothing about an answer."""
    if not content_words(line) or recalls(line) or looks_back(line) is not None:
        return False
    if rejects(line) and amends(line) is None:
        return False
    return "?" in line or len(line.split()) > _CHAT or kind_of_small_talk(line) == "otherwise"


def _complete(message: str, topic: str, alike: Alike | None) -> str:
    if not topic:
        return message
    if (found := _CHINESE_CONTINUES.match(message.strip())) is not None:
        return f"{topic} {found['rest']}"
    own = content_words(message)
    if (instead := amends(message)) is not None:  # "no, I meant the one for managers"
        is_slot = len(content_words(instead)) <= _SLOT and not _has_clause(instead)
        return _replace_slot(topic, instead, alike, is_another=False, least=NEAR) if is_slot else instead
    if (rest := fragment(message)) is not None:
        is_another = _ANOTHER.search(message) is not None
        return _replace_slot(topic, rest, alike, is_another=is_another) or message
    asks_us = _TO_US.search(message) and not _points_back(message)  # "who are you?", "wer bist du?"
    if not own and len(WORD.findall(message)) <= _BARE and not asks_us:  # "why?", "how long?", "can you explain that?"
        return _pointing(message, topic)
    if len(own) <= _POINTING and _points_back(message):
        # it brings its own verb, so that of the topic would only mislead: "add documents" and "how do I install it?"
        return f"{' '.join(content_words(_VERB.sub(' ', topic)) or content_words(topic))} {message}"
    return message


def _pointing(message: str, topic: str) -> str:
    return f"{' '.join(content_words(topic)) or topic} {message}"


_GERMAN_CLAUSE = frozenset(
    "wie warum wieso wann wo wer wem wen was welche welcher welches woher wohin womit ist sind hat haben kann können "
    "darf dürfen muss müssen soll sollen gibt gilt wird werden bekomme bekommt bekommen".split()
)


def _has_clause(rest: str) -> bool:
    """Whether what follows "and" is a question of its own: "and how do I install it?" is not a slot."""
    words = [word.casefold() for word in WORD.findall(rest)]
    return bool(words) and words[0] in {
        "how",
        "why",
        "when",
        "where",
        "who",
        "which",
        "what",
        "is",
        "are",
        "do",
        "does",
        "can",
        "could",
        "should",
        "will",
        *_GERMAN_CLAUSE,
    }


def _points_back(message: str) -> bool:
    if language_of(message) == "de":
        return _GERMAN_POINTS_BACK.search(message) is not None
    return bool(_POINTS_BACK.search(_IS_IT.sub(" ", _EMPTY_IT.sub(" ", message))))


def _replace_slot(topic: str, rest: str, alike: Alike | None, *, is_another: bool, least: float = NEAR_ADDED) -> str:
    """`topic` with the phrase that `rest` stands in for replaced: where it can, the one after the same small word.

    Empty where nothing in it is of the kind. is_another: `rest` is asked about as the topic was ("what about …"); else
    it may only add to it. least: how near a phrase must be that gives way to what may only add.
    """
    words = rest.split()
    first = words[0].casefold() if words else ""
    if first in _PREPOSITIONS or (is_another and first in _DETERMINERS):
        slot = re.compile(
            rf"\b{re.escape(first)}\s+(?:(?:the|a|an|my|our|your)\s+)?[^\s?.!,]+"
            rf"(?:\s+(?!(?:{_ENDS_PHRASE})\b)[^\s?.!,]+)*",
            re.IGNORECASE,
        )
        found = list(slot.finditer(topic))
        if found:
            return topic[: found[-1].start()] + rest + topic[found[-1].end() :]
    bare = rest.partition(" ")[2] if first in _PREPOSITIONS else rest
    if alike is not None and (near := _nearest(topic, bare, alike, NEAR if is_another else least)) is not None:
        before = (
            _BEFORE_NOUN.sub("", topic[: near[0]])
            if _BEFORE_NOUN.match(f"{bare.partition(' ')[0]} ")
            else topic[: near[0]]
        )
        return f"{before}{bare}{topic[near[1] :]}"
    name = _last_name(topic) if language_of(topic) != "de" else None  # where every noun has a capital
    is_name = alike is None or any(word[:1].isupper() for word in words)
    if name is not None and words and is_name and first not in _PREPOSITIONS:
        return topic.replace(name, rest)
    if is_another and first not in _PREPOSITIONS and (span := _kind(topic)) is not None:
        return topic[: span[0]] + rest + topic[span[1] :]
    if is_another and alike is not None and language_of(topic) != "de":  # of German the encoder knows too little
        return ""  # like nothing in the question before: "what about trains?" after one on hotels
    return f"{topic.rstrip(' ?.!')} {rest}"


def _nearest(topic: str, phrase: str, alike: Alike, least: float) -> tuple[int, int] | None:
    """Where the phrase of `topic` stands that another one takes the place of: the nearest, if it plainly is that."""
    phrases: list[tuple[int, int]] = []
    content = set(content_words(topic))
    for word in WORD.finditer(topic):
        if word[0] not in content:
            continue
        if phrases and topic[phrases[-1][1] : word.start()].isspace():
            phrases[-1] = phrases[-1][0], word.end()
        else:
            phrases.append(word.span())
    if not 0 < len(phrases) <= _PHRASES or not content_words(phrase):
        return None
    near = alike(phrase, [topic[start:end] for start, end in phrases])
    order = sorted(range(len(phrases)), key=lambda place: -near[place])
    is_plain = len(order) == 1 or near[order[0]] - near[order[1]] >= APART
    start, end = phrases[order[0]]
    is_name = start > 0 and topic[start].isupper() and phrase.islower()  # "what about trains?" is no other London
    return (start, end) if near[order[0]] >= (NEAR_ADDED if is_name else least) and is_plain else None


def _kind(topic: str) -> tuple[int, int] | None:
    """Where the thing stands that a question counts, chooses or names: "vacation" in "how many days of vacation"."""
    for opening in reversed(list(_KIND.finditer(topic))):
        start = end = opening.end()
        for word in WORD.finditer(topic, start):
            if word[0].casefold() in _FUNCTION_WORDS or topic[end : word.start()].strip():
                break
            end = word.end()
        if end > start:
            return start, end
    return None


def _last_name(topic: str) -> str | None:
    """The last capitalised name in a question, not counting its first word."""
    spans = list(WORD.finditer(topic))[1:]
    names = [found for found in spans if found[0][:1].isupper() and found[0] != "I"]
    if not names:
        return None
    start, end = names[-1].span()
    for before, after in reversed(list(pairwise(names))):
        if after.start() == start and topic[before.end() : start].isspace():
            start = before.start()
    return topic[start:end]
