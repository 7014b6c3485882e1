"""An answer made of quotes: the sentences, lists and commands that hold it, word for word, each with its source. Pure.

Where a heading asks what the person asks, the section below it is the answer; else the best sentences are. When neither
is likely enough, the nearest find is quoted as no more than that: a paraphrase shares few words with what answers it.
When nothing is near, it says that the documents do not hold the answer.
"""

import re
from collections.abc import Iterable, Sequence

from agent.generation.adjectives import picks_one
from agent.generation.doubts import forbids, lacks_name, other_language, turns
from agent.generation.evidence import Reading, Scored
from agent.generation.forms import has_all
from agent.generation.phrases import LANGUAGES, phrase
from agent.generation.sentences import Kind, Unit
from agent.generation.who import asked_of, asked_whom, names, names_somebody, says_who
from agent.german import language_of
from agent.rewrite import content_words
from retrieval.passage import Passage
from retrieval.tokens import is_unspaced, words

# Of SQuAD train questions absent from the fit, half of which nothing answers, .24 are answered wrongly from HOLDS on
# and .73 of the others rightly (`fit_reading`); from UNSURE on .35 and .79.
HOLDS = 0.30  # from here on an answer is given as one
UNSURE = 0.15  # from here on it is given as the nearest find
# So is a passage that the search believes in although its words say little; chosen on half of `benchmarks/handbook.py`.
NEAR = 0.4  # the search's probability that it answers
ALIKE = 0.35  # and its cosine with the question
BY_WORDS = 0.7  # the probability where vectors did not vote
RELATED = 0.3  # the cosine below which a passage is not even named: it would be noise
SECTION = 0.5  # from here on a section by its heading is preferred to a sentence up to CLOSE likelier
CLOSE = 0.25
LONGEST = 800  # characters quoted, as far as whole blocks allow
FIND = 400  # of them where the find may be none
SHORT_LIST = 300  # characters: a list up to this length is never torn apart
SENTENCES = 3  # quoted from prose at most
NAMED = 2  # sentences that name somebody
NEAREST = 3  # documents named when none answers
# Footnote marks of the source would be read as ours; commands and code are never touched.
_FOOTNOTE = re.compile(r"(?<![^\S\n])[^\S\n]*\[\s*\d{1,3}(?:\s*,\s*\d{1,3})*\s*\]")
_WORDS = re.compile(r"\w")
_DATED = re.compile(
    r"\W*(?:last\s+)?(?:updated?|changed|modified|reviewed|revised|version|stand|zuletzt\s+\w+|aktualisiert|geändert|gültig\s+ab|valid\s+from)\b"
    r"(?:\s*:.{0,30}|\s+(?:(?:on|in|am|vom|im)\s+)?(?:[^\W\d_]+\.?\s+)?v?\d.{0,20})$",
    re.IGNORECASE,
)
_ASKS_AGE = re.compile(
    r"\b(?:when|date|updated?|version|valid|old|current|changed|reviewed|wann|stand|datum|aktuell|gültig|alt|geändert)\b",
    re.IGNORECASE,
)
_LEANS_BACK = re.compile(
    r"(?:It|They|This|That|These|Those|He|She|His|Her|Its|Their|Then|There|Such|However|Therefore|Otherwise|Es|Sie|Er|Dies\w*|"
    r"Dann|其|它|他|她|这|此|该)(?=[\s'’]|[\u4e00-\u9fff])"
)


_ASKS_FOR_STEPS = re.compile(
    r"(?i)\b(?:how (?:do|does|can|could|should|to|would)|what (?:do|does|must|should|are)|which|steps?|list)\b"
    r"|\b(?:wie|welche|was)\b|怎么|如何"
)


def answer(question: str, reading: Reading, passages: Sequence[Passage], language: str = "") -> str:
    """The reply to a question, with citations [n] of `passages` counted from 1. language: of our own words."""
    said, is_answer = _said(question, reading, passages, language)
    other = "" if is_answer else other_language(question, passages)
    return f"{said}\n\n{phrase('answer', f'other_{other}', language=language)}" if other else said


def _said(question: str, reading: Reading, passages: Sequence[Passage], language: str) -> tuple[str, bool]:
    """The words, and whether they are given as the answer."""
    worded = [scored for scored in reading.units if has_words(scored.unit.text)]
    if not _ASKS_AGE.search(question):  # "Last updated: 3 March" says nothing but that
        worded = [scored for scored in worded if not is_dated(scored.unit.text)] or worded
    best = max(worded, key=lambda scored: scored.probability, default=None)
    if best is None:
        return phrase("answer", "nothing", language=language), False
    if (what := asked_whom(question)) and (told := _whom(what, question, worded)):
        return told, True
    if name := asked_of(question):
        said = _who(name, worded, reading, language)
        return said, not refuses(said)
    sections = [likely if has_words(passages[i].text) else 0.0 for i, likely in enumerate(reading.sections)]
    section = max(range(len(passages)), key=lambda i: (sections[i], -i))
    whole = sections[section]
    certainty = max(best.probability, whole)
    is_section = is_whole(whole, best.probability)
    is_other = lacks_name(question, passages[section if is_section else best.passage])
    likeliest = best.unit.text
    is_other = is_other or (not is_section and (turns(question, likeliest) or forbids(question, likeliest)))
    is_other = is_other or picks_one(question, passages[section].text if is_section else likeliest)
    if certainty >= HOLDS and not is_other:
        if is_section:
            return "\n\n".join(_pieces(reading, passages, section)), True
        return sentences_around(question, reading, best), True
    found = _nearest(passages)
    if certainty >= UNSURE:
        found = section if whole > best.probability else best.passage
    if found is None:
        return _not_held(passages, language), False
    return f"{phrase('answer', 'unsure', language=language)}\n\n{_find(question, reading, found)}", False


def _who(name: str, units: Sequence[Scored], reading: Reading, language: str) -> str:
    """Who somebody is, where a sentence says it; else that they are only named, and where; else that they are not."""
    naming = sorted((each for each in units if names(each.unit.text, name)), key=lambda each: -each.probability)
    telling = [each for each in naming if says_who(each.unit.text, name)]
    if not naming:
        return phrase("answer", "nothing", language=language)
    quotes = []
    for each in (telling or naming)[:NAMED]:
        here = [scored.unit for scored in reading.of(each.passage)]
        is_entry = each.unit.kind is Kind.ITEM  # the others of a list are about others
        places = [each.place] if is_entry else completed({each.place}, here, steps=False)
        quotes.append(runs([here[place] for place in places], places, each.passage + 1))
    quoted = "\n\n".join(dict.fromkeys(quotes))
    return quoted if telling else f"{phrase('answer', 'named', language=language)}\n\n{quoted}"


def _whom(what: str, question: str, units: Sequence[Scored]) -> str:
    """Who is there for something: the sentence or entry that has its words and names somebody; else empty."""
    asked, is_german = content_words(what), language_of(question) == "de"
    found = [
        each for each in units if names_somebody(each.unit.text) and has_all(each.unit.text, asked, is_german=is_german)
    ]
    best = max(found, key=lambda each: each.probability, default=None)
    return "" if best is None or not asked else quote([best.unit], best.passage + 1)


def is_whole(section: float, sentence: float) -> bool:
    """Whether a section is quoted rather than its likeliest sentence: by the chance that each answers."""
    return section > sentence or (section >= SECTION and section >= sentence - CLOSE)


def unmarked(text: str) -> str:
    """A text without footnote marks of its own, which would be read as citations of ours."""
    return _FOOTNOTE.sub(_as_read, text).lstrip() if "[" in text else text


def _as_read(mark: re.Match[str]) -> str:
    """Nothing of a footnote; "[0, 10]" is a range, since no note is numbered 0, and keeps its numbers."""
    is_range = re.search(r"(?<!\d)0+(?!\d)", mark[0])
    return mark[0].replace("[", "(").replace("]", ")") if is_range else ""


def has_words(text: str) -> bool:
    """Whether there is something to quote beside footnote marks and invisible characters."""
    return _WORDS.search(unmarked(text)) is not None


def is_dated(text: str) -> bool:
    """Whether a text says nothing but how old a document is: "Last updated: 3 March 2026"."""
    return _DATED.match(text.strip()) is not None


def leans_back(sentence: str) -> bool:
    """Whether a sentence begins with a word that stands for something said before it."""
    return _LEANS_BACK.match(sentence) is not None


def refuses(reply: str) -> bool:
    """Whether a reply of ours says that the documents do not hold the answer."""
    own = (phrase("answer", name, language=language) for name in ("nothing", "not_held") for language in LANGUAGES)
    return reply.startswith(tuple(own))


def is_open(reply: str) -> bool:
    """Whether a reply of ours says that nothing answers, or gives the nearest with doubt."""
    return refuses(reply) or reply.startswith(tuple(phrase("answer", "unsure", language=each) for each in LANGUAGES))


def tells_language(reply: str) -> bool:
    """Whether a reply of ours says already that documents are in another language."""
    told = (phrase("answer", f"other_{each}", language=language) for each in ("de", "en") for language in LANGUAGES)
    return any(said in reply for said in told)


def _nearest(passages: Sequence[Passage]) -> int | None:
    """The place of the likeliest passage, if it is near the question at all."""
    worded = [
        (place, passage)
        for place, passage in enumerate(passages)
        if has_words(passage.text) and not is_dated(passage.text)
    ]
    if not worded:
        return None
    place, passage = max(worded, key=lambda pair: pair[1].score)
    if passage.similarity is None:
        return place if passage.score >= BY_WORDS else None
    return place if passage.score >= NEAR and passage.similarity >= ALIKE else None


def _not_held(passages: Sequence[Passage], language: str) -> str:
    named: dict[str, str] = {}
    for number, passage in enumerate(passages, 1):
        if passage.score >= BY_WORDS if passage.similarity is None else passage.similarity >= RELATED:
            name = unmarked(passage.heading) or passage.source
            named.setdefault(name, f"- {name} [{number}]")
    if not named:
        return phrase("answer", "nothing", language=language)
    listed = "\n".join(list(named.values())[:NEAREST])
    said, end = (phrase("answer", name, language=language) for name in ("not_held", "not_held_end"))
    return f"{said}\n\n{listed}\n\n{end}"


def _find(question: str, reading: Reading, passage: int) -> str:
    """A short passage as it stands, so that people can judge; of a long one the best sentence."""
    units = reading.of(passage)
    if sum(len(scored.unit.text) for scored in units) <= FIND:
        return quote([scored.unit for scored in units], passage + 1)
    return sentences_around(question, reading, max(units, key=lambda scored: scored.probability))


def _pieces(reading: Reading, passages: Sequence[Passage], chosen: int) -> Iterable[str]:
    """A section, and with a short one its other pieces, where the search found it in several: the rows of a table."""
    place = passages[chosen].source, passages[chosen].heading
    others = [
        i
        for i, passage in enumerate(passages)
        if (passage.source, passage.heading) == place and reading.sections[i] >= SECTION and passage.heading
    ]
    together = sorted({chosen, *others}, key=lambda i: (passages[i].page or 0, passages[i].line or 0, i))
    if sum(len(passages[i].text) for i in together) > LONGEST:
        together = [chosen]
    return [_section(reading.of(i), i) for i in together]


def _section(units: Sequence[Scored], passage: int) -> str:
    """The section from its beginning; a long one from the block on that holds its best sentence."""
    start = 0
    if sum(len(scored.unit.text) for scored in units) > LONGEST:
        best = max(units, key=lambda scored: scored.probability)
        if sum(len(scored.unit.text) for scored in units[: best.place + 1]) > LONGEST:
            start = next(i for i, scored in enumerate(units) if scored.unit.block == best.unit.block)
            start -= start > 0 and units[start - 1].unit.announces
    taken: list[Scored] = []
    length = 0
    for scored in units[start:]:
        whole = taken and scored.unit.block == taken[-1].unit.block and scored.unit.kind is Kind.ITEM
        announced = taken and taken[-1].unit.announces
        if length + len(scored.unit.text) > LONGEST and taken and not (announced or (whole and length < 2 * LONGEST)):
            break
        taken.append(scored)
        length += len(scored.unit.text)
    return quote([scored.unit for scored in taken], passage + 1)


def sentences_around(question: str, reading: Reading, best: Scored) -> str:
    """The best unit with what it needs to be understood, and others nearly as good."""
    ranked = sorted(reading.units, key=lambda scored: -scored.probability)
    floor = max(HOLDS, 0.6 * best.probability)
    good = [best, *(scored for scored in ranked if scored.probability >= floor and has_words(scored.unit.text))]
    chosen = list({" ".join(words(scored.unit.text)): scored for scored in reversed(good)}.values())[::-1]  # each once
    chosen = sorted(chosen, key=lambda scored: (scored is not best, -scored.probability))[:SENTENCES]
    order = list(dict.fromkeys(scored.passage for scored in chosen))
    parts: list[str] = []
    length = 0
    for passage in order:
        units = reading.of(passage)
        here = [scored.unit for scored in units]
        wanted = {scored.place for scored in chosen if scored.passage == passage}
        if passage == best.passage:
            wanted |= _beside(question, best, here) if reading.is_read else _exceptions(question, best, here)
        steps = _ASKS_FOR_STEPS.search(question) is not None
        places = completed(wanted | (_up_to_list(wanted, here) if steps else set()), here, steps=steps)
        part = runs([units[place].unit for place in places], places, passage + 1)
        if parts and length + len(part) > LONGEST:
            break
        parts.append(part)
        length += len(part)
    return "\n\n".join(parts)


def _exceptions(question: str, best: Scored, units: Sequence[Unit]) -> set[int]:
    """The sentences beside the best one that have a long word of the question which it lacks.

    "All may …. Students may not." Which of them answers is the trained reader's to tell; without it both are quoted.
    """
    lacks = {word[:8] for word in words(question) if len(word) > 5} - {word[:8] for word in words(best.unit.text)}
    beside = {best.place - 1, best.place + 1}.intersection(range(len(units)))
    alike = {place for place in beside if units[place].block == best.unit.block and best.unit.kind is Kind.SENTENCE}
    return {place for place in alike if lacks & {word[:8] for word in words(units[place].text)}}


def _beside(question: str, best: Scored, units: Sequence[Unit]) -> set[int]:
    """The sentences beside the best one that have what the question begins with, where that one lacks it.

    "Dogs are welcome on Fridays. Cats are not allowed." Are dogs allowed? Read word by word, each has one of the two.
    """
    subject = set(words(" ".join(content_words(question)[:1])))
    if best.unit.kind is not Kind.SENTENCE or subject & set(words(f"{best.unit.head} {best.unit.text}")):
        return set()
    beside = {best.place - 1, best.place + 1}.intersection(range(len(units)))
    alike = {place for place in beside if units[place].block == best.unit.block}
    return {place for place in alike if subject & set(words(units[place].text))}


def _up_to_list(places: set[int], units: Sequence[Unit]) -> set[int]:
    """What stands between a chosen sentence and the list or command that its paragraph leads up to."""
    found = set()
    for place in places:
        rest = [i for i in range(place, len(units)) if units[i].block == units[place].block]
        if units[place].kind is Kind.SENTENCE and units[rest[-1]].announces:
            found.update(rest)
    return found


def completed(places: set[int], units: Sequence[Unit], *, steps: bool) -> list[int]:
    """`places` and what belongs to them: a list's other entries, a command's introduction, what a pronoun leans on."""
    wanted = set(places)
    for place in places:
        unit = units[place]
        if unit.kind is Kind.ITEM:
            entries = [i for i, other in enumerate(units) if other.block == unit.block]
            together = steps or len(places.intersection(entries)) > 1
            if sum(len(units[i].text) for i in entries) <= (LONGEST if together else SHORT_LIST):
                wanted.update(entries)
        if (
            unit.kind is Kind.SENTENCE
            and place
            and units[place - 1].block == unit.block
            and _LEANS_BACK.match(unit.text)
        ):
            wanted.add(place - 1)
    for place in sorted(wanted):
        if units[place].announces and place + 1 < len(units):
            following = [i for i in range(place + 1, len(units)) if units[i].block == units[place + 1].block]
            wanted.update(following if units[place + 1].kind is not Kind.SENTENCE else following[:1])
        elif place and units[place].kind is not Kind.SENTENCE:
            first = next(i for i, other in enumerate(units) if other.block == units[place].block)
            if first and (units[first - 1].announces or units[place].kind is Kind.CODE):
                wanted.add(first - 1)
    return sorted(wanted)


def runs(units: Sequence[Unit], places: Sequence[int], number: int) -> str:
    """Units of one passage; where something between them was left out, each stretch carries its own citation."""
    stretches: list[list[Unit]] = []
    for i, unit in enumerate(units):
        if i and places[i] == places[i - 1] + 1:
            stretches[-1].append(unit)
        else:
            stretches.append([unit])
    quoted = [quote(stretch, number) for stretch in stretches]
    plain = all(unit.kind is Kind.SENTENCE for unit in units)
    return (" " if plain else "\n\n").join(quoted)


def quote(units: Sequence[Unit], number: int) -> str:
    """Consecutive units as Markdown, cited once: after the prose that comes first, else after the last block."""
    blocks: list[tuple[Kind, str]] = []
    before: Unit | None = None
    for unit in units:
        text = unit.text if unit.kind is Kind.CODE else unmarked(unit.text)
        if not text:  # nothing but footnote marks
            continue
        if before is not None and unit.block == before.block:
            blocks[-1] = (unit.kind, blocks[-1][1] + _between(unit.kind, blocks[-1][1], text) + text)
        else:
            blocks.append((unit.kind, f"{unmarked(unit.head)}\n{text}" if unit.head else text))
        before = unit
    return "\n\n".join(_cited(blocks, f"[{number}]"))


def _between(kind: Kind, before: str, after: str) -> str:
    if kind is not Kind.SENTENCE:
        return "\n"
    return "" if is_unspaced(before[-1]) or is_unspaced(after[0]) else " "


def _cited(blocks: Sequence[tuple[Kind, str]], mark: str) -> Iterable[str]:
    """The blocks with the citation where it reads best: at the end of the last prose or list."""
    texts = [text for _, text in blocks]
    places = [i for i, (kind, _) in enumerate(blocks) if kind in (Kind.SENTENCE, Kind.ITEM, Kind.FIELD)]
    if places:
        texts[places[-1]] += f" {mark}"
        return texts
    return [*texts, mark]
