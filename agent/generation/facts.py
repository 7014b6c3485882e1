"""What of a sentence can be held against a text to the letter: numbers, dates, names, and what is denied. Pure.

Numbers are compared by value, however they are written ("1,200", "1.2 thousand", "twelve hundred"), dates by their
parts ("5 May 2020", "2020-05-05"), names by their words without endings. English, German and Chinese are read.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from retrieval.tokens import fold, words

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SCALES |= {"tausend": 1000, "millionen": 10**6, "mio": 10**6, "milliarden": 10**9, "mrd": 10**9, "bn": 10**9}
_SCALES |= {"hundert": 100, "mn": 10**6}
_GERMAN = (
    "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn "
    "achtzehn neunzehn"
).split()
_GERMAN_TENS = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
_ORDINALS = {"third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12, "second": 2, "first": 1}
_WORDS: dict[str, int] = {word: value for value, word in enumerate(_ONES)}
_WORDS |= {word: 10 * value for value, word in enumerate(_TENS, 2)}
_WORDS |= {word: value for value, word in enumerate(_GERMAN)}
_WORDS |= {word: 10 * value for value, word in enumerate(_GERMAN_TENS, 2)}
_WORDS |= _ORDINALS | {f"{word}th": value for value, word in enumerate(_ONES) if value > 3 and word != "twelve"}
_WORDS |= {"twice": 2, "once": 1, "dozen": 12, "einmal": 1, "zweimal": 2, "double": 2, "triple": 3}
# These are seldom figures: they are looked for in a text, but no sentence is doubted for them.
_LOOSE = frozenset("one first second once zero null eins einmal double third".split())
_MONTHS = (
    ("january", "jan", "januar"), ("february", "feb", "februar"), ("march", "mar", "märz"), ("april", "apr"),
    ("may", "mai"), ("june", "jun", "juni"), ("july", "jul", "juli"), ("august", "aug"),
    ("september", "sep", "sept"), ("october", "oct", "oktober"), ("november", "nov"), ("december", "dec", "dezember"),
)  # fmt: skip
_MONTH_OF = {name: number for number, names in enumerate(_MONTHS, 1) for name in names}
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_SLASHED = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./](\d{2,4})\b")
_FIGURE = re.compile(
    r"(?<![\w.,])[-−]?(\d{1,3}(?:[,.’'\u202f\u00a0 ]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)?)"
    r"(?:st|nd|rd|th)?(?:\s?(hundred|thousand|million|billion|trillion|tausend|millionen|mio|milliarden|mrd|bn|mn)\b)?",
    re.IGNORECASE,
)
_ORDERED = {"first": 1, "second": 2, "third": 3} | {
    word: value
    for value, word in enumerate("erste zweite dritte vierte fünfte sechste siebte achte neunte zehnte".split(), 1)
}
# A place in time tells how something is, "on the third day", and no one thing from another, as "the third party" does.
_ORDINAL = re.compile(
    rf"(?i)(?<![\w-])({'|'.join(_ORDERED)})[mnrs]?\s+(?:(?:working|business|calendar|full|whole|volle\w*)\s+)?"
    r"(?:\w*days?|weeks?|weekends?|months?|quarters?|years?|hours?|times?|attempts?|reminders?|\w*tag(?:es?)?|\w*woche\w*"
    r"|\w*monate?s?|quartals?|jahre?s?|stunde|mal|versuch\w*|mahnung"
    r"|floor|stock|stockwerk|etage)\b"
)
_FULL_HOUR = re.compile(r"(?<=\d):00\b")
_PAIR = re.compile(r"(?<![\w:])(\d{1,2}):(?!00\b)(\d{1,2})(?![\w:])")
_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St)\.?\s$")
_CLOCK = re.compile(r"\b(\d{1,2})(?:[:.](\d\d))?\s?([ap])\.?m\b", re.IGNORECASE)
_CODE = re.compile(r"\b(?=[\w-]{0,100}\d)(?=[\w-]{0,100}[^\W\d_])[^\W_][\w-]*[^\W_]\b")
_NO_CODE = re.compile(r"\d+(?:st|nd|rd|th|s|am|pm|k|m|bn|h|min|km|cm|mm|kg|g|gb|mb|er|ten?)", re.IGNORECASE)
_TOKEN = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_COUNT = re.compile(
    rf"(?i)(?<![\w.,-])((?:\d[\d.,]*|{'|'.join(_WORDS)})(?:(?:[-–]|\s(?:to|and|or|bis|und|oder)\s)(?:\d[\d.,]*))?)"
    r"((?:[ -][^\W\d_]+){1,3})"
)
_HAN = {"一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10}
_HAN_FIGURE = re.compile("([二两三四五六七八九十]{1,3})(?=[年月日天周个小分次名人元岁])")
_NAME = re.compile(r"(?<![\w'’-])[^\W\d_a-z](?:[^\W\d_]|[.&](?=[^\W\d_])|['’-](?=[^\W\d_]))*")
_OPENS = re.compile(r"(?:^|[.!?:;]\s+|[\"“”„»«(\[]|\n)\s*$")
_NO_NAME = frozenset(
    "mr mrs ms dr prof st i i'm i'd i've i'll a an the "
    "this that these those it its he she they we you your our my his her their there here "
    "in on at of for to from by with and or but if when while as after before during since until although however "
    "because so then thus no not yes what who which where why how also both each every all some many most more please "
    "note e.g i.e der die das ein eine es er sie wir ihr ja nein".split()
)
_NEGATORS = re.compile(
    r"(?i)\b(?:not|never|no|none|nobody|nothing|neither|nor|without|cannot|\w+n['’]t|nicht|kein\w*|nie|niemals|ohne|niemand)\b"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """values: every number, months as -1..-12. certain: those that a sentence can be held to, each with its words."""

    values: frozenset[float]
    certain: tuple[tuple[float, str], ...]


def figures(text: str) -> Figures:
    """The numbers and dates of a text."""
    found = list(_figures(text))
    values = {value for value, _, _ in found}
    values |= {float(clock[1]) for clock in _CLOCK.finditer(text)}  # of 2 pm one may say "at 2"
    certain = tuple(dict.fromkeys((value, shown) for value, shown, is_certain in found if is_certain))
    return Figures(frozenset(values), certain)


def measured(text: str) -> tuple[tuple[float, str], ...]:
    """What a text surely counts, each with its words, and its places in time: "on the first day"."""
    given = figures(text).certain
    places = ((float(_ORDERED[found[1].lower()]), found[1]) for found in _ORDINAL.finditer(text))
    return tuple(dict.fromkeys((*given, *places)))


def is_month(text: str) -> bool:
    """Whether a text begins with a month's name, with whatever marks before it."""
    found = _TOKEN.search(text[:20])
    return found is not None and found[0].lower() in _MONTH_OF and not text[: found.start()].strip(" .")


def lacking_figures(sentence: Figures, text: Figures) -> list[str]:
    """The figures of a sentence, as written, that a text does not have."""
    return [shown for value, shown in sentence.certain if not _has_figure(value, text.values)]


def _has_figure(value: float, values: frozenset[float]) -> bool:
    if value in values or (0 < value <= 12 and -value in values):
        return True
    return any(abs(value - other) <= 1e-9 * abs(value) for other in values) if abs(value) >= 1000 else False


def _figures(text: str) -> Iterator[tuple[float, str, bool]]:
    """Each number with its words, and whether it is surely one."""
    rest = text
    for shape in (_ISO, _SLASHED):
        for date in shape.finditer(rest):
            year, *days = map(int, date.groups() if shape is _ISO else reversed(date.groups()))
            yield float(year + 2000 * (year < 100)), date[0], True
            for part in days:  # either may be the month
                yield float(part), date[0], True
                yield -float(part), date[0], False
        rest = shape.sub(" ", rest)
    for clock in _CLOCK.finditer(rest):
        yield float(int(clock[1]) % 12 + 12 * (clock[3] in "pP")), clock[0], True
        if clock[2] and int(clock[2]):
            yield 1e6 + 100 * (int(clock[1]) % 12 + 12 * (clock[3] in "pP")) + float(clock[2]), clock[0], True
    rest = _CLOCK.sub(" ", rest)
    for pair in _PAIR.finditer(rest):  # 9:30, 5:1: taken apart, either half stands in many a text
        yield 1e6 + 100 * float(pair[1]) + float(pair[2]), pair[0], True
        yield from ((float(half), pair[0], False) for half in pair.groups())
    rest = _PAIR.sub(" ", rest)
    for number in _FIGURE.finditer(_FULL_HOUR.sub("", rest)):
        value = _value(number[1]) * _SCALES.get((number[2] or "").lower(), 1)
        yield value, number[0].strip(), True
    for number in _HAN_FIGURE.finditer(rest):
        yield float(_han(number[1])), number[1], True
    yield from _spelled(rest)


def _spelled(text: str) -> Iterator[tuple[float, str, bool]]:
    """Number words, put together: "two hundred and five", "twenty-one"; months."""
    total = group = 0
    shown: list[str] = []
    tokens = [part for token in _TOKEN.finditer(text) for part in _parts(token, text)]
    for word, is_capital, begins, near in [*tokens, ("", False, False, False)]:
        folded = word.lower()
        value, scale = _WORDS.get(folded), _SCALES.get(folded, 0) if len(folded) > 2 else 0
        fits = group % 100 == 0 or (group % 100 >= 20 and group % 10 == 0 and (value or 10) < 10)
        if value is not None and shown and fits:
            group += value
        elif scale == 100 and shown:
            group = max(group, 1) * scale
        elif scale and shown:
            total, group = total + max(group, 1) * scale, 0
        elif folded == "and" and shown and (group >= 100 or total):
            continue
        else:
            if shown:
                yield float(total + group), " ".join(shown), len(shown) > 1 or shown[0].lower() not in _LOOSE
            total, group, shown = 0, value or 0, []
            if value is None:
                yield from _month(word, near=near, is_sure=is_capital and not begins)
                continue
        shown.append(word)


def _month(word: str, *, near: bool, is_sure: bool) -> Iterator[tuple[float, str, bool]]:
    """A month's name; "may" and "march" only beside a figure, or written large within a sentence."""
    month = _MONTH_OF.get(word.lower())
    if month and (near or is_sure or (word[0].isupper() and len(word) > 3)):
        is_certain = near or (len(word) > 3 and (is_sure or word.lower() not in ("march", "april", "june", "august")))
        yield -float(month), word, is_certain


def _parts(token: re.Match[str], text: str) -> Iterator[tuple[str, bool, bool, bool]]:
    """A word, or those of a hyphenated number; whether it is capital, begins a sentence, stands by a figure."""
    begins = _OPENS.search(text[max(0, token.start() - 4) : token.start()]) is not None
    before, after = text[max(0, token.start() - 5) : token.start()], text[token.end() : token.end() + 4]
    near = bool(re.search(r"\d\W{0,4}$", before) or re.match(r"\W{0,3}\d", after))
    parts = token[0].split("-")
    if len(parts) > 1 and not all(part.lower() in _WORDS or part.lower() in _SCALES for part in parts):
        parts = [token[0]]
    for part in parts:
        yield part, part[0].isupper(), begins, near


def _value(text: str) -> float:
    """The number of 1,234.5 and 1.234,5 and 1 234 and 1.5.

    A separator before three digits is no point, unless it is the only one behind a zero.
    """
    plain = re.sub(r"[’'\u202f\u00a0 ]", "", text)
    commas, points = plain.count(","), plain.count(".")
    if commas and points:
        point = max(plain.rfind(","), plain.rfind("."))
        whole = re.sub(r"[,.]", "", plain[:point])
        return float(f"{whole}.{plain[point + 1 :]}")
    mark = "," if commas else "." if points else ""
    if mark and (plain.count(mark) > 1 or (len(plain.rpartition(mark)[2]) == 3 and not plain.startswith("0"))):
        return float(plain.replace(mark, ""))
    return float(plain.replace(",", "."))


def _han(text: str) -> int:
    tens, ten, ones = text.partition("十")
    if not ten:
        return _HAN.get(text[-1], 0)
    return 10 * (_HAN.get(tens, 1) if tens else 1) + (_HAN.get(ones, 0) if ones else 0)


@dataclass(frozen=True, slots=True)
class Names:
    """certain: those that can be nothing else. opening: the sentence's first word, where it may be one; or empty."""

    certain: tuple[str, ...]
    opening: str


def names(sentence: str, *, is_german: bool = False) -> Names:
    """The names of a sentence, and codes like B-52. German writes every noun large, so there only codes are certain."""
    certain = [code for code in _CODE.findall(sentence) if not _NO_CODE.fullmatch(code)]
    opening = ""
    for found in _NAME.finditer(sentence):
        name = re.sub(r"['’]s$", "", found[0])
        if name.lower().strip(".") in _NO_NAME or name.lower().rstrip(".") in _MONTH_OF or name.lower() in _WORDS:
            continue
        letters = name.partition("-")[0].replace(".", "")
        is_acronym = len(letters) > 1 and (letters.isupper() or letters[1:-1] != letters[1:-1].lower())  # also ZnMoO
        is_titled = _TITLE.search(sentence[max(0, found.start() - 8) : found.start()]) is not None
        if not is_titled and _OPENS.search(sentence[max(0, found.start() - 4) : found.start()]) and not is_acronym:
            opening = opening or name
        elif is_acronym or is_titled or not is_german:
            certain.append(name)
    return Names(tuple(dict.fromkeys(certain)), opening)


def lacking_names(named: Iterable[str], known: frozenset[str]) -> list[str]:
    """Those of the names that a text with the words `known` (of `known_words`) does not have."""
    return [name for name in named if not all(_has_name(word, known) for word in words(name.replace(".", "")))]


def broken_names(sentence: str, texts: Iterable[str]) -> list[str]:
    """Names side by side that stand in the texts, but never by each other: "Marie Einstein" of "Marie Curie met …".

    Of 371 true sentences from SQuAD's training passages none was doubted for it, of 320 with a name exchanged 30.
    """
    named = names(sentence)
    sure = {*named.certain, named.opening}
    beside = [
        (left[0], right[0])
        for left, right in pairwise(_TOKEN.finditer(sentence))
        if left[0] in sure and right[0] in sure and sentence[left.end() : right.start()] == " "
    ]
    rows = [words(text) for text in texts] if beside else []
    found = []
    for left_name, right_name in beside:
        first, second = words(left_name)[-1:], words(right_name)[:1]
        places = [[[i for i, word in enumerate(row) if [word] == each] for each in (first, second)] for row in rows]
        are_there = any(one for one, _ in places) and any(two for _, two in places)
        if are_there and not any(0 < b - a <= 3 for one, two in places for a in one for b in two):
            found.append(f"{left_name} {right_name}")
    return found


def miscounted(sentence: str, texts: Sequence[str]) -> list[str]:
    """Numbers of a sentence that stand in the texts beside something else: "30 hours" of "28 hours … on March 30".

    Of 479 true sentences from SQuAD's training passages none was doubted for it, of 125 with another number 19.
    """
    own = [(number, thing) for number, thing in _counted(sentence, 1) if len(number.values) == 1]
    if not own:
        return []
    near = [pair for text in texts for pair in _counted(text, 1)]
    around = [pair for text in texts for pair in _counted(text, 3)]
    found = []
    for number, thing in own:
        (value,) = number.values
        counts = {other for held, what in near if what == thing for other in held.values}
        if counts and not any(what == thing and value in held.values for held, what in around):
            found += [shown for _, shown in number.certain[:1]]
    return found


def _counted(text: str, reach: int) -> Iterator[tuple[Figures, str]]:
    """Each number, or range of them, with the stem of what it counts: of one of the `reach` words behind it."""
    for found in _COUNT.finditer(text):
        number = figures(found[1])
        for thing in found[2].replace("-", " ").split()[:reach]:
            if len(thing) > 2 and thing.islower() and thing not in _NO_NAME and thing not in _WORDS:
                yield number, thing[: max(4, len(thing) - 2)].rstrip("s")


def known_words(text: str) -> frozenset[str]:
    """The index words of a text, with acronyms as one word, also those that its capitals make."""
    plain = re.sub(r"\b(?:[^\W\d_]\.){2,}", lambda found: found[0].replace(".", "") + " ", text)
    capitals = re.findall(r"(?:\b[A-Z][\w-]{1,60}+(?:\s++(?:(?:of|and|the|for|&)\s++)?))+[A-Z][\w-]{1,60}", plain)
    made = {fold("".join(word[0] for word in run.split() if word[0].isupper())) for run in capitals}
    joined = {fold(word).replace("-", "") for word in re.findall(r"(?<!\w)\w++(?:-\w++)+", plain)}
    return frozenset(words(plain)) | made | joined


def _has_name(word: str, known: frozenset[str]) -> bool:
    if word in known or fold(word).replace("-", "") in known:
        return True
    if len(word) < 5:
        return False
    return any(other.startswith(word) or (len(other) >= 5 and word.startswith(other)) for other in known)


_REACH = 120  # characters that hold three words


def denied(text: str) -> frozenset[str]:
    """The words that stand within the reach of a negation: the next three."""
    found: set[str] = set()
    for negator in _NEGATORS.finditer(text):
        clause = re.split(r"[.;:,!?]|\bbut\b|\baber\b", text[negator.end() : negator.end() + _REACH], maxsplit=1)[0]
        found.update([word for word in words(clause) if len(word) > 2][:3])
    return frozenset(found)


def is_negated(text: str) -> bool:
    return _NEGATORS.search(text) is not None
