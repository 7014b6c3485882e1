"""A follow-up ("and for Germany?") made whole from the conversation, before it is searched. Pure, and without a model.

Only the search sees the rewritten words; the person's message stays as it is. A complete question is never touched:
words of an old topic in a new question cost more than they give.
"""

import re
from itertools import pairwise

from agent.conversation import recalls, rejects
from agent.message import History

LOOK_BACK = 6  # user lines: a chain of follow-ups longer than this has left its first topic

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_FUNCTION_WORDS = frozenset(
    """
    a about after again all also am an and any are as at be because been before being but by can could details
    did do does doing done else ever example examples explain first for from get go got had happen happened
    happens has have having he hello her here hers hey hi him his how i if in into is it its itself just last
    least less let like long lot make many may me mean means might more most much must my need next no not now
    of off often ok okay on once one ones only or other others our out over own per please really same say says
    second shall she should so some soon still such sure take takes tell than thank thanks that the their theirs
    them then there these they thing things third this those though time to too under until up us use used very
    was way we well were what when where whether which while who whom whose why will with within without work
    works would yes yet you your
    """.split()
)
_PREPOSITIONS = frozenset("about after at before by during for from in into of on to under with without within".split())
_DETERMINERS = frozenset("the my our your".split())
_ENDS_PHRASE = "|".join(sorted(_PREPOSITIONS | {"and", "or", "is", "are", "when", "if"}))
# "and for Germany?", "what about the second floor?", "or with a discount?"
_CONTINUES = re.compile(
    r"^(?:(?:ok(?:ay)?|so|but|and|or|then|also)[\s,]+)*(?:(?:what|how)\s+(?:about|if\s+it(?:'s|\s+is))|and|or|same)\b[\s,]*"
    r"(?P<rest>.+?)[\s?.!]*$",
    re.IGNORECASE | re.DOTALL,
)
# "what about sick leave?": another thing of the same kind, asked the same way
_ANOTHER = re.compile(r"\b(?:what|how)\s+about\b", re.IGNORECASE)
_KIND = re.compile(r"\b(?:how\s+(?:much|many)|which|of|for|about|my|our)\s+(?=\w)", re.IGNORECASE)
_POINTS_BACK = re.compile(
    r"\b(?:its?|they|them|their|theirs|he|she|him|his|hers?|those|these|(?:the\s+)?(?:former|latter)|there"
    r"|the\s+(?:first|second|third|last|other|next|same)(?:\s+ones?)?|(?:that|this)(?=\s*(?:$|[?.!,]"
    r"|(?:is|was|does|did|do|can|could|will|would|mean|means|work|works|cost|costs|apply|applies|happen|one|too)\b)))\b",
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
_CHINESE_CONTINUES = re.compile(r"^(?:那么?|还有)?(?P<rest>.{1,12}?)呢\s*[?？]?$")


def standalone(message: str, history: History) -> str:
    """`message` as it would be asked without the conversation; unchanged when it already stands alone."""
    topic = ""
    for line in [line.text for line in history.lines if line.role == "user"][-LOOK_BACK:]:
        if content_words(line) and not rejects(line) and not recalls(line):
            topic = _complete(line, topic)
    return _complete(message, topic)


def content_words(text: str) -> list[str]:
    """The words that carry a topic, as written, in order."""
    return [word for word in _WORD.findall(text) if word.casefold() not in _FUNCTION_WORDS]


def _complete(message: str, topic: str) -> str:
    if not topic:
        return message
    if (found := _CHINESE_CONTINUES.match(message.strip())) is not None:
        return f"{topic} {found['rest']}"
    own = content_words(message)
    words = _WORD.findall(message)
    if (found := _CONTINUES.match(message.strip())) is not None and len(own) <= 4 and not _has_clause(found["rest"]):
        return _replace_slot(topic, found["rest"], is_another=_ANOTHER.search(message) is not None)
    asks_us = re.search(r"\byour?\b", message, re.IGNORECASE) and not _points_back(message)  # "who are you?"
    if not own and len(words) <= 8 and not asks_us:  # "why?", "how long?", "can you explain that?"
        return f"{' '.join(content_words(topic)) or topic} {message}"
    if len(own) <= 3 and _points_back(message):
        # it brings its own verb, so that of the topic would only mislead: "add documents" and "how do I install it?"
        return f"{' '.join(content_words(_VERB.sub(' ', topic)) or content_words(topic))} {message}"
    return message


def _has_clause(rest: str) -> bool:
    """Whether what follows "and" is a question of its own: "and how do I install it?" is not a slot."""
    words = [word.casefold() for word in _WORD.findall(rest)]
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
    }


def _points_back(message: str) -> bool:
    return bool(_POINTS_BACK.search(_IS_IT.sub(" ", _EMPTY_IT.sub(" ", message))))


def _replace_slot(topic: str, rest: str, *, is_another: bool) -> str:
    """`topic` with the phrase that `rest` stands in for replaced: where it can, the one after the same small word.

    is_another: `rest` is asked about as the topic was ("what about …"); else it may only add to it.
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
    name = _last_name(topic)
    if name is not None and words and first not in _PREPOSITIONS:
        return topic.replace(name, rest)
    if is_another and first not in _PREPOSITIONS and (span := _kind(topic)) is not None:
        return topic[: span[0]] + rest + topic[span[1] :]
    return f"{topic.rstrip(' ?.!')} {rest}"


def _kind(topic: str) -> tuple[int, int] | None:
    """Where the thing stands that a question counts, chooses or names: "vacation" in "how many days of vacation"."""
    for opening in reversed(list(_KIND.finditer(topic))):
        start = end = opening.end()
        for word in _WORD.finditer(topic, start):
            if word[0].casefold() in _FUNCTION_WORDS or topic[end : word.start()].strip():
                break
            end = word.end()
        if end > start:
            return start, end
    return None


def _last_name(topic: str) -> str | None:
    """The last capitalised name in a question, not counting its first word."""
    spans = list(_WORD.finditer(topic))[1:]
    names = [found for found in spans if found[0][:1].isupper() and found[0] != "I"]
    if not names:
        return None
    start, end = names[-1].span()
    for before, after in reversed(list(pairwise(names))):
        if after.start() == start and topic[before.end() : start].isspace():
            start = before.start()
    return topic[start:end]
