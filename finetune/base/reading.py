"""Reading to learn: questions on given passages, answered with a span and its citation, or openly refused.

Two sources: people's questions (SQuAD), and gaps cut into the sentences of an encyclopedia. Passages come shuffled and
with distractors, labelled like a team's own files; a question whose passage is away, or whose names were exchanged, is
refused.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from agent.message import Line
from agent.prompt import PERSONA
from finetune.base.sources import rows
from finetune.base.trees import Said, Tree, asked_of
from retrieval.passage import Passage

REFUSAL = "The passages do not answer that."
LONGEST_QUOTE = 260  # characters
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[A-Z\"'(\[])")
_ABBREVIATED = re.compile(r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|No|vs|etc|Jr|Sr|Inc|Ltd|Co|Gen|Col|Lt|Rev|Prof|ca|c)\.)$")
_NAME = re.compile(r"\b(?:[A-Z][\w'’-]+(?:\s+(?:of\s+the\s+|of\s+|the\s+)?[A-Z][\w'’-]+)*)|\b\d[\d,.]*\d\b|\b\d+\b")
_WORD = re.compile(r"[^\W\d_]+|\d+")
_PROPER = re.compile(r"(?<=[a-z0-9,] )([A-Z][a-zà-ÿ]{2,})\b")  # a capital within a sentence
_CALENDAR = frozenset(
    "January February March April May June July August September October November December "
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
)
RENAMED = 0.5  # share of the prompts whose names are exchanged
_ENDINGS = (".md", ".txt", ".pdf", ".docx", ".html", "")
_FOLDERS = ("", "", "handbook/", "docs/", "notes/", "wiki/", "team/", "projects/")
_SIZES = ((1, 15), (2, 20), (3, 35), (4, 15), (5, 15))  # passages in a prompt, and how often


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    passage: int  # its place in the article
    answer: str
    start: int  # where the answer stands in the passage


@dataclass(frozen=True, slots=True)
class Article:
    title: str
    texts: tuple[str, ...]
    questions: tuple[Question, ...]


@cache
def articles(folder: Path) -> list[Article]:
    """SQuAD v1.1's training articles; dev is for measuring alone."""
    texts: dict[str, list[str]] = {}
    places: dict[str, tuple[str, int]] = {}
    questions: dict[str, list[Question]] = {}
    for row in rows(folder, "squad/train_v1.1.passages"):
        of_title = texts.setdefault(row["title"], [])
        places[row["pid"]] = row["title"], len(of_title)
        of_title.append(row["text"])
    for row in rows(folder, "squad/train_v1.1.questions"):
        if row["pid"] not in places:
            continue
        title, place = places[row["pid"]]
        answer = row["answers"][0]
        if "<|" not in row["question"] and len(answer["text"]) <= 160:
            questions.setdefault(title, []).append(
                Question(" ".join(row["question"].split()), place, answer["text"].strip(), answer["start"])
            )
    return [Article(title, tuple(some), tuple(questions.get(title, ()))) for title, some in texts.items()]


def questions_asked(article: Article, others: Sequence[Article], rng: random.Random) -> Iterator[Tree]:
    """One pass over an article: every question once where its passage is shown, and some where it is not."""
    order = list(range(len(article.texts)))
    rng.shuffle(order)
    while order:
        size = rng.choices([n for n, _ in _SIZES], [often for _, often in _SIZES])[0]
        shown, order = order[:size], order[size:]
        texts = [article.texts[i] for i in shown]
        titles = [article.title] * len(shown)
        while len(texts) < size or (size < 5 and rng.random() < 0.12):
            other = rng.choice(others)
            place = rng.randrange(len(texts) + 1)
            texts.insert(place, rng.choice(other.texts))
            titles.insert(place, other.title)
            shown = [*shown[:place], -1, *shown[place:]]
        texts, titles, shown = texts[:6], titles[:6], shown[:6]
        asked = [(each, shown.index(each.passage)) for each in article.questions if each.passage in shown]
        whole = " ".join(texts).casefold()
        away = [each for each in article.questions if each.passage not in shown and each.answer.casefold() not in whole]
        away = rng.sample(away, min(len(away), max(1, round(len(asked) * rng.uniform(0.15, 0.55)))))
        words = renaming(texts, others, rng) if rng.random() < RENAMED else {}
        asked = [(_renamed(each, texts[number], words), number) for each, number in asked]
        texts, titles = [said_anew(text, words) for text in texts], [said_anew(title, words) for title in titles]
        turns = [answered(texts, number, question, rng) for question, number in asked]
        turns += [refused(said_anew(each.text, words), rng) for each in away]
        changed = [exchanged(each.text, texts[number], rng) for each, number in asked if rng.random() < 0.15]
        turns += [refused(each, rng) for each in changed if each]
        lines = _before(article, rng) if rng.random() < 0.3 else []
        if lines:
            turns = [leaning(said, lines[0].text, article.title, rng) for said in turns]
        rng.shuffle(turns)
        if turns:
            yield asked_of(labelled(texts, titles, rng), turns, persona(rng), lines)


def _before(article: Article, rng: random.Random) -> list[Line]:
    """A question of the same article that was answered before, on passages that are shown no more."""
    lines = []
    for question in rng.sample(article.questions, min(rng.randint(1, 2), len(article.questions))):
        said = answered(article.texts, question.passage, question, rng)
        mark = f"[{rng.randint(1, 3)}]"  # memory keeps the reply as it was shown, numbered in its own prompt
        reply = REFUSAL if rng.random() < 0.15 else re.sub(r"\[\d+\]$", mark, said.reply) + said.quote
        lines += [Line("user", said.message), Line("assistant", reply)]
    return lines


def leaning(said: Said, before: str, title: str, rng: random.Random) -> Said:
    """The question with a pronoun for the article's name, as people ask on, where the last question had named it."""
    name = title.replace("_", " ")
    if name not in before or name not in said.message or rng.random() < 0.5:
        return said
    pronoun = rng.choice(("it", "they", "this"))
    message = said.message.replace(f"{name}'s", {"it": "its", "they": "their", "this": "its"}[pronoun])
    return replace(said, message=message.replace(f"the {name}", pronoun).replace(name, pronoun))


def renaming(texts: Sequence[str], others: Sequence[Article], rng: random.Random) -> dict[str, str]:
    """Most names and figures of the texts, each with another in its place.

    What an encyclopedia says can be learned by heart; what it says of names that were drawn by lot must be read.
    """
    names = {found[1] for text in texts for found in _PROPER.finditer(text)} - _CALENDAR
    donors = [found[1] for _ in range(4) for found in _PROPER.finditer(rng.choice(rng.choice(others).texts))]
    words = {}
    for name in sorted(names):
        if donors and rng.random() < 0.75:
            words[name] = rng.choice(donors)
    for figure in sorted({each for text in texts for each in re.findall(r"(?<!\w)\d{2,}(?!\w)", text)}):
        if rng.random() < 0.75:
            kept = 2 if re.fullmatch(r"1[5-9]\d\d|20\d\d", figure) else 0
            rest = "".join(rng.choices("0123456789", k=len(figure) - kept - (not kept)))
            words[figure] = figure[:kept] + rest if kept else rng.choice("123456789") + rest
    return words


def said_anew(text: str, words: Mapping[str, str]) -> str:
    """The text with `words` exchanged."""
    return _WORD.sub(lambda found: words.get(found[0], found[0]), text) if words else text


def _renamed(question: Question, passage: str, words: Mapping[str, str]) -> Question:
    return Question(
        said_anew(question.text, words),
        question.passage,
        said_anew(question.answer, words),
        len(said_anew(passage[: question.start], words)),
    )


def answered(texts: Sequence[str], number: int, question: Question, rng: random.Random) -> Said:
    text, start = texts[number], question.start
    if text[start : start + len(question.answer)] != question.answer:
        start = max(text.find(question.answer), 0)
    mark = f"[{number + 1}]"
    sentence = sentence_at(text, start, start + len(question.answer))
    quote = f'\n"{sentence}"' if len(sentence) <= LONGEST_QUOTE else ""
    return Said(worded(question.text, rng), f"{question.answer} {mark}", quote)


def refused(question: str, rng: random.Random) -> Said:
    return Said(worded(question, rng), REFUSAL)


def worded(question: str, rng: random.Random) -> str:
    """As people type it: mostly as it stands."""
    chance = rng.random()
    if chance < 0.08:
        return question.rstrip("?").rstrip()
    if chance < 0.16:
        return question[:1].lower() + question[1:]
    if chance < 0.2:
        return f"{rng.choice(('Hi! ', 'Hey, ', 'Please: ', 'Do you know: ', 'Quick question: '))}{question}"
    return question.lower() if chance < 0.23 else question


def persona(rng: random.Random) -> str:
    """The project's own nearly always; sometimes another, since a team may set one."""
    if rng.random() < 0.93:
        return PERSONA
    return rng.choice(
        (
            "You are a helpful colleague. You answer from the team's documents.",
            "You are the assistant of a small team. Be brief and exact.",
            "You are Nora, who answers questions from documents and cites them.",
        )
    )


def labelled(texts: Sequence[str], titles: Sequence[str], rng: random.Random) -> list[Passage]:
    """The texts as search would hand them over, with sources and headings as teams' files have them."""
    style, ending, folder = rng.random(), rng.choice(_ENDINGS), rng.choice(_FOLDERS)
    found = []
    for number, (text, title) in enumerate(zip(texts, titles, strict=True)):
        plain = title.replace("_", " ")
        slug = rng.choice((title, plain.casefold().replace(" ", "-"), plain)) if style < 0.5 else title
        page = rng.randint(1, 40) if ending in (".pdf", ".docx") else None
        line = rng.randint(1, 400) if page is None and ending else None
        heading = plain if style < 0.7 else ""
        found.append(Passage(number, text, f"{folder}{slug}{ending}", heading, page, line, "t/everyone", 0.5))
    return found


def sentence_at(text: str, start: int, end: int) -> str:
    """The sentence of `text` that holds its characters `start` to `end`."""
    first, last = 0, len(text)
    for found in _SENTENCE.finditer(text):
        if _ABBREVIATED.search(text[: found.start()]):
            continue
        if found.end() <= start:
            first = found.end()
        elif found.start() >= end:
            last = found.start() + len(found[0].rstrip())
            break
    return " ".join(text[first:last].split())


def exchanged(question: str, passage: str, rng: random.Random) -> str | None:
    """The question with a name or a figure of the passage in the place of its own, which nothing answers any more."""
    own = [found for found in _NAME.finditer(question) if found.start() > 0]
    if not own:
        return None
    chosen = rng.choice(own)
    is_figure = chosen[0][0].isdigit()
    others = [name for name in _NAME.findall(passage) if name[0].isdigit() == is_figure and name not in question]
    if not others:
        return None
    return f"{question[: chosen.start()]}{rng.choice(others)}{question[chosen.end() :]}"


def gaps(title: str, text: str, others: Sequence[str], rng: random.Random) -> Tree | None:
    """Passages of an encyclopedia's article; its sentences with a name or figure asked for. None if it is too short.

    others: passages of other articles, for distraction.
    """
    paragraphs = [each for each in text.split("\n") if 120 <= len(each) <= 1200 and "<|" not in each][:12]
    if not paragraphs:
        return None
    size = min(rng.choices([n for n, _ in _SIZES], [often for _, often in _SIZES])[0], len(paragraphs) + 1)
    start = rng.randrange(max(1, len(paragraphs) - size + 1))
    own = paragraphs[start : start + size]
    texts = own if len(own) == size else [*own, rng.choice(others)]
    rng.shuffle(texts)
    turns = []
    for number, passage in enumerate(texts):
        found = [each for each in _NAME.finditer(passage) if each.start() > 0 and len(each[0]) > 1]
        for chosen in rng.sample(found, min(4, len(found))):
            sentence = sentence_at(passage, chosen.start(), chosen.end())
            if sentence.count(chosen[0]) == 1 and 40 <= len(sentence) <= LONGEST_QUOTE:
                turns.append(_gap(sentence, chosen[0], number + 1, rng))
    away = [paragraph for paragraph in paragraphs if paragraph not in texts] or list(others)
    for passage in rng.sample(away, min(2, len(away))):
        names = [each for each in _NAME.finditer(passage) if each.start() > 0 and len(each[0]) > 1]
        if names:
            chosen = rng.choice(names)
            sentence = sentence_at(passage, chosen.start(), chosen.end())
            if 40 <= len(sentence) <= LONGEST_QUOTE and sentence.count(chosen[0]) == 1:
                turns.append(Said(_gap(sentence, chosen[0], 1, rng).message, REFUSAL))
    if not turns:
        return None
    rng.shuffle(turns)
    return asked_of(labelled(texts, [title] * len(texts), rng), turns, persona(rng))


def _gap(sentence: str, name: str, number: int, rng: random.Random) -> Said:
    """A question cut from a sentence: a stretch of it with a question word where the name stood."""
    if rng.random() < 0.2:
        return Said(f"What is said about {name}?", f'"{sentence}" [{number}]')
    if re.fullmatch(r"1\d{3}|20\d\d", name):
        word = rng.choice(("what year", "which year", "when"))
    elif name[0].isdigit():
        word = rng.choice(("how many", "how much", "what number"))
    else:
        word = rng.choice(("who", "what", "which", "where", "whom or what"))
    before, _, after = sentence.partition(name)
    left, right = before.split(), after.split()
    left, right = left[-rng.randint(2, 12) :], right[: rng.randint(2, 12)]
    middle = " ".join([*left, word, *right]).rstrip(".,;: ")
    if rng.random() < 0.5:
        middle = middle[:1].upper() + middle[1:]
    return Said(f"{middle}?", f"{name} [{number}]", f'\n"{sentence}"')
