"""Questions with answers: in records by their field names, in running text by `Q:` and `A:`."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_QUESTION_FIELDS = ("question", "q", "query", "prompt", "instruction", "frage", "pregunta", "问题", "問題", "質問")
_ANSWER_FIELDS = ("answer", "a", "response", "reply", "completion", "antwort", "respuesta", "réponse", "答案", "回答")
LONGEST_QUESTION = 400  # characters; a longer one is text to be searched, not a heading

_QUESTION = r"(?:Q|Question|Frage|Pregunta|问题?|問題?|質問)"
_ANSWER = r"(?:A|Answer|Antwort|Respuesta|Réponse|答案?|回答)"
_LABEL = (
    r"[ \t]{{0,3}}(?:[-*+>][ ]+|\#{{1,6}}[ ]+)?(?:\*\*|__)?"  # in a list, quotation or heading; in bold
    r"{}(?:[ ]?\d{{1,4}})?(?:\*\*|__)?[ ]?[:\uff1a](?:\*\*|__)?[ \t]*"
)
_QUESTION_LINE = re.compile(_LABEL.format(_QUESTION), re.IGNORECASE)
_ANSWER_LINE = re.compile(_LABEL.format(_ANSWER), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines [start, ...) of a text: plain text, or the answer to `question`."""

    start: int
    text: str
    question: str | None


def field_of(names: Sequence[str], record: Mapping[str, object]) -> str | None:
    """The key of `record` that is the first of `names` present, compared without case."""
    keys = {key.strip().casefold(): key for key in record}
    return next((keys[name] for name in names if name in keys), None)


def pair_fields(record: Mapping[str, object]) -> tuple[str, str] | None:
    """The keys of a question and its answer, when the record has both."""
    question, answer = field_of(_QUESTION_FIELDS, record), field_of(_ANSWER_FIELDS, record)
    return (question, answer) if question is not None and answer is not None else None


def stretches(lines: Sequence[str], start: int, end: int, code: Collection[int] = ()) -> Iterator[Stretch]:
    """Cut lines [start, end) into plain text and question-answer pairs, in order; nothing is left out.

    A question whose answer does not follow stays plain text; lines in `code` ask nothing.
    """
    plain = start
    questions = [i for i in range(start, end) if i not in code and _QUESTION_LINE.match(lines[i])]
    for asked, until in pairwise([*questions, end]):
        answered = next((i for i in range(asked + 1, until) if _ANSWER_LINE.match(lines[i])), None)
        if answered is None:
            continue
        if plain < asked:
            yield Stretch(plain, "\n".join(lines[plain:asked]), None)
        question = " ".join(lines[asked:answered])
        first = _without_label(_ANSWER_LINE, lines[answered])
        answer = "\n".join([first, *lines[answered + 1 : until]])
        yield Stretch(answered, answer, " ".join(_without_label(_QUESTION_LINE, question).split()))
        plain = until
    if plain < end:
        yield Stretch(plain, "\n".join(lines[plain:end]), None)


def _without_label(label: re.Pattern[str], line: str) -> str:
    match = label.match(line)
    rest = line[match.end() :] if match else line
    for mark in ("**", "__"):  # `**Q: all of it bold**`
        if rest.rstrip().endswith(mark) and rest.count(mark) % 2:
            rest = rest.rstrip().removesuffix(mark)
    return rest
