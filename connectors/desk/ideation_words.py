"""What somebody wrote behind `/ideate`, as a wish; and which ideas a message holds. Pure."""

import re
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from agent.generation.steering import contributes, is_talk
from agent.ideation.acts import Phase

FORMATS = ("md", "csv", "json", "html", "png")
_ALONE = {  # words that are a wish when nothing follows
    "board": "board", "next": "next", "map": "map", "figures": "figures", "close": "close", "spark": "spark",
    "wider": "wider", "deeper": "deeper", "help": "help", "lead": "lead", "leave": "leave", "export": "export",
    "groups": "groups", "group": "groups", "results": "results",
    "techniques": "techniques", "recommend": "recommend", "merge": "merge", "write": "write",
    "reveal": "phase", "vote": "phase", "collect": "phase", "discuss": "phase", "decide": "phase",
    "enrich": "phase", "reframe": "phase", "ideas": "board", "criteria": "criteria", "rate": "rate",
}  # fmt: skip
_ENDS = frozenset("stop end finish quit exit done cancel abort stopp ende schluss fertig abbrechen beenden".split())
_ALSO = {  # other words for what is done with numbered ideas while a session runs
    "take": "decide", "pick": "decide", "choose": "decide", "nimm": "decide", "rename": "edit", "reword": "edit",
    "rephrase": "edit", "change": "edit", "combine": "merge", "remove": "withdraw", "delete": "withdraw",
    "drop": "withdraw",
}  # fmt: skip
_TO = re.compile(r"(?:(?P<how>in|as)|(?:in)?to|zu)(?:\s+|:\s*)|[:=]\s*", re.IGNORECASE)
_WHY = re.compile(r"(?:because|since|as|weil|da)\b", re.IGNORECASE)
_QUOTED = re.compile(r"^[\"'“”„]([^\"“”„]+)[\"'“”]$")  # all of a text
ALIKE = 0.8  # of a single word and a wish, by `difflib`: "nxt"
_NUMBERED = frozenset("edit withdraw tag split good problem better deeper done score cell".split())
_SEVERAL = frozenset({"merge", "vote", "decide"})  # numbers, then perhaps words
_WORDED = frozenset({"idea", "action", "technique", "use", "question", "criteria"})
_OPTIONS = frozenset({"blind", "anyone", "quiet", "pairs", "private"})
_NUMBER = re.compile(r"#?(\d{1,5})[.,:]?")
_BULLET = re.compile(r"^\s*(?:[-*•–+]|\(?\d{1,2}[.)])\s+")
_TO_ANOTHER = re.compile(r"\s*(<@|@\w)")
_CHATTER = frozenset(
    "ok okay yes yep yeah no nope lol haha hehe thanks thx thank cool nice great super wow hi hello hey bye done sure "
    "ja nein doch danke toll gut hallo moin tschüss genau stimmt klar".split()
)
_ECHO = re.compile(  # "haha yes that would be fun": what is said of what somebody else wrote
    r"\W*(?:(?:ha(?:ha)+|lol|hehe|yes|yeah|yep|oh|wow|ok|okay|ja|nein|no|genau|stimmt)\b\W*)*"
    r"(?:that|this|it|das|es)\W?\s*(?:would|could|might|s|is|was|sounds|looks|wäre|ist|war|klingt|wird|könnte)\b",
    re.IGNORECASE,
)
ECHO = 7  # words of one at most
_PLAIN = {  # what people call it where they write no command
    "merge": "merge", "combine": "merge", "join": "merge", "verbinde": "merge", "vereine": "merge",
    "vote": "vote", "stimme": "vote", "withdraw": "withdraw", "remove": "withdraw", "delete": "withdraw",
    "drop": "withdraw", "entferne": "withdraw", "streiche": "withdraw", "lösche": "withdraw",
    "take": "decide", "pick": "decide", "choose": "decide", "nimm": "decide", "nehmen": "decide",
}  # fmt: skip
_ORDERED = re.compile(
    r"(?:(?:please|bitte|let['’]?s|let\s+us|we|we['’]?ll|wir)\s+)?(?P<verb>\w+)\s+(?:for\s+|für\s+)?(?:(?:ideas?|ideen?|numbers?|nummern?)\s+)?"
    r"(?P<numbers>#?\d{1,3}(?:[\s,&+]+(?:(?:and|und|with|mit)\s+)?#?\d{1,3})*)"
    r"(?:\s+(?:together|zusammen|please|bitte))?\s*[.!]*",
    re.IGNORECASE,
)
_IDEA = r"(?:(?:idea|idee|number|nummer)\s+)?#?(?P<number>\d{1,3})"
_SURELY = r"(?:(?:idea|idee|number|nummer)\s+#?|#)(?P<number>\d{1,3})"  # "change 2 to 4 people a team" may be one
_RENAMED = tuple(
    re.compile(
        rf"(?:please\s+|bitte\s+)?(?:{verb})\s+{idea}(?:\s*:|\s+(?:{to})(?:\s*:)?)\s+(?P<text>\S[^\n]*?){end}",
        re.IGNORECASE,
    )
    for verb, idea, to, end in (
        ("rename", _IDEA, "to|into|as", ""),
        ("reword|rephrase", _IDEA, "to|into", ""),  # not "in fewer words", "as a question"
        ("change", _SURELY, "to|into", ""),
        ("benenne", _IDEA, r"zu|in|um\s+in", r"(?:\s+um)?"),
        ("nenne", _IDEA, r"um\s+in", ""),
        ("nenne", _IDEA, "in", r"\s+um"),
        ("ändere", _SURELY, "zu|in", ""),
    )
)


@dataclass(frozen=True, slots=True)
class Wish:
    """numbers: of ideas, as people write them. text: what follows them. options: how a session is to be held."""

    verb: str
    numbers: tuple[str, ...] = ()
    text: str = ""
    options: dict[str, str] = field(default_factory=dict)


def wish_of(text: str, *, is_running: bool) -> Wish | None:
    """What is wanted; None where it reads as a topic. is_running: a session runs here, so it may be about that."""
    first, _, rest = " ".join(text.split()).partition(" ")
    word, rest = first.lower().lstrip("-–—"), rest.strip()
    if not word:
        return Wish("board" if is_running else "help")
    if not rest and word in _ALONE:
        return Wish(_ALONE[word], text=word)
    if not rest and word in _ENDS:
        return Wish("close", text="close")
    if word in ("new", "session") and rest:
        return _opening(rest)
    if word == "join" and re.fullmatch(r"[A-Za-z0-9 -]{4,12}", rest):
        return Wish("join", text=rest)
    if word == "export" and rest.lower() in FORMATS:
        return Wish("export", text=rest.lower())
    if word == "phase" and rest.lower() in set(Phase):
        return Wish("phase", text=rest.lower())
    numbers, words = _numbers(rest)
    if word in ("more", "minutes") and numbers and not words:
        return Wish("more", numbers)
    if numbers and (word in _SEVERAL or word in _NUMBERED):
        return Wish(word, numbers if word in _SEVERAL else numbers[:1], _after(rest, numbers, word))
    if is_running and numbers and word in _ALSO:
        wish = Wish(_ALSO[word], numbers, words)
        if wish.verb == "edit":
            given = re.sub(r"^#?\d+[.,]?\s*", "", rest)
            to = _TO.match(given)
            if word == "rename" or not words or (to and not to["how"]):  # else it says how: "rephrase 2 shorter"
                return Wish("edit", numbers[:1], given[to.end() if to else 0 :])
        elif not words or (wish.verb == "decide" and _WHY.match(words)):  # else: "take 2 minutes to breathe"
            return replace(wish, numbers=numbers[:1]) if wish.verb == "withdraw" else wish
    if is_running and word in _WORDED:
        return Wish("technique" if word == "use" else word, text=_behind(text, first))
    return _near(word, rest, numbers, is_running=is_running)


def _near(word: str, rest: str, numbers: tuple[str, ...], *, is_running: bool) -> Wish | None:
    """The order that a mistyped word was meant to be: "nxt"; with what follows it where a session runs: "mrege 1 3"."""
    known = frozenset[str]()
    if not rest:
        known = frozenset(_ALONE)
    elif is_running:
        known = frozenset({"export"}) if rest.lower() in FORMATS else _SEVERAL | _NUMBERED if numbers else known
    near = get_close_matches(word, sorted(known), 1, ALIKE)
    return Wish("near", text=" ".join(filter(None, (near[0], rest)))) if near else None


def ordered(text: str) -> Wish | None:
    """What a message in a session orders in plain words and says nothing beside: "merge 1 and 3", "vote for 2"."""
    if renamed := next(filter(None, (each.fullmatch(text.strip()) for each in _RENAMED)), None):
        return Wish("edit", (renamed["number"],), _QUOTED.sub(r"\1", renamed["text"]))
    found = _ORDERED.fullmatch(text.strip())
    verb = _PLAIN.get(found["verb"].lower()) if found is not None else None
    if found is None or verb is None:
        return None
    numbers = tuple(dict.fromkeys(re.findall(r"\d+", found["numbers"])))
    fits = {"merge": len(numbers) > 1, "withdraw": len(numbers) == 1}.get(verb, True)
    return Wish(verb, numbers) if fits else None


def _opening(rest: str) -> Wish:
    """`new blind dots 5 minutes 10 how might we …`: how it is to be held stands in front of the topic."""
    options: dict[str, str] = {}
    words = rest.split()
    while words:
        word = words[0].lower().lstrip("-–—").rstrip(",")
        if word in _OPTIONS:
            options[word] = "yes"
            words = words[1:]
        elif word in ("dots", "minutes") and len(words) > 1 and words[1].isdigit():
            options[word] = words[1]
            words = words[2:]
        else:
            break
    return Wish("new", text=" ".join(words), options=options)


def _numbers(rest: str) -> tuple[tuple[str, ...], str]:
    """The numbers that stand in front, and the words behind them."""
    found: list[str] = []
    words = re.split(r"[\s+]+", rest)
    while words and (number := _NUMBER.fullmatch(words[0])) is not None:
        found.append(number[1])
        words = words[1:]
        while len(words) > 1 and words[0].lower() in ("and", "und", "&", "with", "mit", ","):
            words = words[1:]
    return tuple(dict.fromkeys(found)), " ".join(words)


def _after(rest: str, numbers: tuple[str, ...], word: str) -> str:
    """The words behind the numbers, with their line ends lost but nothing else; of a single number the first only."""
    if word in _SEVERAL:
        return _numbers(rest)[1].lstrip(":").strip()
    return re.sub(r"^#?\d+[.,:]?\s*", "", rest, count=1) if numbers else rest


def _behind(text: str, first: str) -> str:
    return text.strip().removeprefix(first).strip()


def ideas_in(text: str, *, questions: bool = False) -> tuple[str, ...]:
    """The ideas that a message holds: one, or one a line where it is a list.

    None in chatter, questions and talk to somebody. questions: they are what is wanted now.
    """
    if _TO_ANOTHER.match(text):
        return ()
    lines = [line for line in text.splitlines() if line.strip()]
    is_list = len(lines) >= 2 and any(map(_BULLET.match, lines))
    listed = [_BULLET.sub("", line).strip() for line in lines if not line.rstrip().endswith(":")]  # no heading
    found = listed if is_list else [_BULLET.sub("", " ".join(text.split()))]
    return tuple(each for each in found if _is_one(each, questions=questions))


def _is_one(text: str, *, questions: bool) -> bool:
    words = re.findall(r"\w+", text.casefold())
    if not words or all(word in _CHATTER or word.isdigit() for word in words):
        return False
    if len(words) <= ECHO and _ECHO.match(text):
        return False
    return not is_talk(text) and (questions or contributes(text))
