"""Sentences that a model might say of a passage, made from SQuAD: true, altered, denied, unrelated.

True ones stand there word for word, lightly changed, or in other words: a question that somebody asked of the passage,
turned into a statement with its answer. Each false one is made of a true one.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.generation.facts import figures
from agent.generation.sentences import cut
from retrieval.tokens import words
from tests.benchmarks.squad import Article, Asked

QUOTED, REWORDED = "true, nearly word for word", "true, in other words"
NUMBER, NAME, SWAPPED = "altered number", "altered name", "name of the same passage"
DENIED, UNRELATED, BESIDE = "denied", "unrelated", "of another passage of the article"
TRUE = (QUOTED, REWORDED)
ALTERED = (NUMBER, NAME)
KINDS = (QUOTED, REWORDED, NUMBER, NAME, SWAPPED, DENIED, UNRELATED, BESIDE)
_SUBJECT = re.compile(r"(?i)^(who|what|which [a-z]+(?: [a-z]+)?) (?!do\b|does\b|did\b)([a-z]+(?:ed|s|t)?\b.*)\?$")
_COUNTED = re.compile(r"(?i)^how many (\w+(?: \w+)?) (?:did|does|do) (.+)\?$")
_WHEN = re.compile(r"(?i)^(?:when|in what year|what year) (?:did|does) (.+)\?$")
_WAS = re.compile(
    r"(?i)^(?:when|in what year) (?:was|were) "
    r"((?:the |an? )?(?:[A-Z][\w'-]+ ?){1,4}|(?:the |an? )?\w+) (\w+ed .*|\w+ed)\?$"
)
_AUXILIARY = re.compile(
    r"\b(is|was|are|were|has|have|had|can|could|will|would|may|might|must|should|did|does|do)\b(?! not\b)"
)
_NUMERAL = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?!\d)|(?<![\w.,])\d+(?:\.\d+)?(?![\w,.]\d)")
_LISTED = re.compile(r"(?<![^\n])\d+[.)] ")  # the number of a list's item says nothing
_RUN = re.compile(r"(?<=[a-z,;] )[A-Z][\w'-]+(?: [A-Z][\w'-]+){0,2}")
_WORDED = {
    2: "two",
    3: "three",
    4: "four",
    5: "five",
    6: "six",
    7: "seven",
    8: "eight",
    9: "nine",
    10: "ten",
    11: "eleven",
    12: "twelve",
}


@dataclass(frozen=True, slots=True)
class Made:
    """A sentence said of a passage. kind: one of KINDS."""

    text: str
    passage: str
    kind: str

    @property
    def is_true(self) -> bool:
        return self.kind in TRUE


def made(articles: Sequence[Article], per_article: int, seed: int) -> list[Made]:
    """About `per_article` true sentences of each article, and the false ones made of them."""
    chance = random.Random(seed)
    runs = {article.title: [_RUN.findall(text) for text in article.texts.values()] for article in articles}
    found: list[Made] = []
    for article in articles:
        others = [each for title, texts in runs.items() if title != article.title for run in texts for each in run]
        true = [*_quoted(article, per_article, chance), *_reworded(article, per_article, chance)]
        for each in true:
            found.append(each)
            found += _false(each, article, articles, others, chance)
    return found


def _quoted(article: Article, count: int, chance: random.Random) -> Iterator[Made]:
    texts = list(article.texts.values())
    for text in chance.sample(texts, min(count, len(texts))):
        sentences = [unit.text for unit in cut(text) if 6 <= len(unit.text.split()) <= 40]
        if sentences:
            yield Made(_varied(chance.choice(sentences), chance), text, QUOTED)


def _reworded(article: Article, count: int, chance: random.Random) -> Iterator[Made]:
    pairs = [(statement(each), each) for each in article.questions if each.answers]
    usable = [(text, each) for text, each in pairs if text]
    for text, each in chance.sample(usable, min(count, len(usable))):
        yield Made(text, article.texts[each.passage], REWORDED)


def statement(asked: Asked) -> str:
    """A question and its answer as one sentence; "" where its form is none of those that this can turn."""
    answer, text = min(asked.answers, key=len).strip().rstrip("."), asked.text.strip()
    if found := _COUNTED.match(text):
        return f"{_capital(found[2])} {answer} {found[1]}."
    if found := _WHEN.match(text):
        return f"{_capital(found[1])} in {answer.removeprefix('in ')}."
    if found := _WAS.match(text):
        return f"{_capital(found[1])} was {found[2]} in {answer.removeprefix('in ')}."
    found = _SUBJECT.match(text)
    if found and (
        found[1].lower() == "who"
        or found[2].split()[0] in ("is", "was", "are", "were", "has", "had", "won", "caused", "led", "became")
    ):
        return f"{_capital(answer)} {found[2]}."
    return ""


def _varied(sentence: str, chance: random.Random) -> str:
    """The sentence shortened, or with figures written otherwise, as a model might say it."""
    text = re.sub(r"\s*\([^()]*\)", "", sentence) if chance.random() < 0.5 else sentence
    if chance.random() < 0.4 and (cut_off := re.match(r"(.{30,}?), (?:which|who|where|and|but|with)\b", text)):
        text = f"{cut_off[1]}."
    if chance.random() < 0.3 and (
        opening := re.match(r"(?:In|On|At|During|After|However|Although)\b[^,]{2,40}, (.{25,})", text)
    ):
        text = _capital(opening[1])
    if chance.random() < 0.5:
        text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    return re.sub(
        r"(?<![\w.,])([2-9]|1[0-2])(?![\w.,]\d|[\w%:])",
        lambda n: _WORDED[int(n[1])] if chance.random() < 0.5 else n[1],
        text,
    )


def _false(
    true: Made, article: Article, articles: Sequence[Article], others: Sequence[str], chance: random.Random
) -> Iterator[Made]:
    numerals = [each for each in _NUMERAL.finditer(true.text) if not _LISTED.match(true.text, each.start())]
    if numerals:
        number = chance.choice(numerals)
        yield Made(
            true.text[: number.start()] + _another(number[0], chance) + true.text[number.end() :], true.passage, NUMBER
        )
    named = list(_RUN.finditer(true.text)) or [
        run for run in re.finditer(r"^[A-Z][\w'-]+ [A-Z][\w'-]+", true.text) if true.kind == REWORDED
    ]
    if named:
        name = chance.choice(named)

        def with_name(other: str) -> str:
            return true.text[: name.start()] + other + true.text[name.end() :]

        said = set(words(true.passage))
        other = chance.choice(others)
        if not set(words(other)) <= said:  # else it is none of another text
            yield Made(with_name(other), true.passage, NAME)
        own = set(words(true.text))  # a name put in for itself, with another mark behind it, would alter nothing
        beside = [each for each in _RUN.findall(true.passage) if not set(words(each)) & own]
        if beside:
            yield Made(with_name(chance.choice(beside)), true.passage, SWAPPED)
    if negated := _negated(true.text, chance):
        yield Made(negated, true.passage, DENIED)
    elsewhere = chance.choice(articles)
    if elsewhere.title != article.title:
        text = chance.choice(list(elsewhere.texts.values()))
        yield Made(chance.choice(cut(text)).text, true.passage, UNRELATED)
    texts = [text for text in article.texts.values() if text != true.passage]
    if texts:
        yield Made(chance.choice(cut(chance.choice(texts))).text, true.passage, BESIDE)


def _another(number: str, chance: random.Random) -> str:
    """Another number that looks like this one."""
    value = number
    while figures(value).values == figures(number).values:
        if re.fullmatch(r"1\d{3}|20\d\d", number):
            value = str(int(number) + chance.choice([-1, 1]) * chance.randint(1, 30))
        elif len(number) < 3:
            value = str(max(1, int(number) + chance.choice([-1, 1]) * chance.randint(1, max(2, int(number) // 2 + 1))))
        else:
            value = re.sub(r"\d", lambda _: str(chance.randint(1, 9)), number)
    return value


def _negated(text: str, chance: random.Random) -> str:
    if re.search(r"\b(?:not|never|no)\b", text):
        return re.sub(r"\b(?:not|never|no)\s", "", text, count=1) if chance.random() < 0.5 else ""
    found = list(_AUXILIARY.finditer(text))
    if not found:
        return ""
    verb = chance.choice(found)
    word = "never" if chance.random() < 0.2 else "not"
    return f"{text[: verb.end()]} {word}{text[verb.end() :]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
