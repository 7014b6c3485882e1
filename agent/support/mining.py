"""Questions that people settled among themselves in a channel's threads: one asked, another answered, it was accepted.

    Ann: How do I get a badge?      a question begins the thread
    Ben: At the reception, …        somebody else's words
    Ann: Thanks!                    or ✅ on the answer: of anybody but who gave it; 👍, 🙏 … count from who asked

Nothing of it is an answer yet: what is found here is proposed, and a person decides. Pure.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent.surface import looks_like_question

LEAST_ASKED, LEAST_ANSWERED = 3, 4  # words
LONGEST = 2_000  # characters of a question or an answer
SETTLED = frozenset({"✅", "✔", "☑"})  # says that it is done, whoever sets it
PRAISE = SETTLED | frozenset({"👍", "🙏", "❤", "💯", "🎉", "🙌", "👌", "🥳"})  # from who asked
_THANKS = re.compile(
    r"\b(?:thanks?|thank you|thx|ty|cheers|(?:that|this|it) (?:worked|works|helped|did it|solved it)|solved|perfect"
    r"|danke\w*|vielen dank|hat (?:geklappt|geholfen)|passt|merci|gracias|grazie|obrigad[oa])\b|谢谢|ありがとう",
    re.IGNORECASE,
)
_BUT = re.compile(
    r"\b(?:but|still|unfortunately|doesn['’]?t|didn['’]?t|not (?:work|help)|anyway|in advance|no,? thanks"
    r"|aber|trotzdem|leider|immer noch|nicht|im voraus)\b|\?",
    re.IGNORECASE,
)
_MENTION = re.compile(r"<[@!#][^<>]*>|(?<!\w)@\w+")


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a thread. account: empty where no person wrote it. reactions: emoji, and whose."""

    id: str
    account: str
    text: str
    reactions: tuple[tuple[str, frozenset[str]], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the answer that was accepted."""

    question: Said
    answer: Said


def pairs(threads: Iterable[Sequence[Said]]) -> list[Pair]:
    """What each thread settled, if it did. threads: their messages, oldest first; the first began the thread."""
    found = (_pair(thread) for thread in threads)
    return [each for each in found if each is not None]


def _pair(thread: Sequence[Said]) -> Pair | None:
    if len(thread) < 2:
        return None
    question, *replies = thread
    if not question.account or not looks_like_question(question.text) or not _fits(question.text, LEAST_ASKED):
        return None
    others = [each for each in replies if each.account not in ("", question.account)]
    marked = [each for each in others if _is_marked(each, question.account)]
    answer = marked[-1] if marked else _thanked(question.account, replies)
    is_one = answer is not None and _fits(answer.text, LEAST_ANSWERED) and not looks_like_question(answer.text)
    return Pair(question, answer) if answer is not None and is_one else None


def _thanked(asker: str, replies: Sequence[Said]) -> Said | None:
    """The last words of somebody else before its asker gave thanks; None where the asker had more to ask afterwards."""
    answer, last = None, None
    for each in replies:
        if each.account and each.account != asker:
            last = each
        elif each.account == asker and last is not None:
            is_thanks = _THANKS.search(each.text) is not None and _BUT.search(each.text) is None
            answer = last if is_thanks else None if looks_like_question(each.text) else answer
    return answer


def _is_marked(answer: Said, asker: str) -> bool:
    for emoji, who in answer.reactions:
        plain = emoji.rstrip("\ufe0f")
        if (plain in PRAISE and asker in who) or (plain in SETTLED and who - {answer.account}):
            return True
    return False


def _fits(text: str, least: int) -> bool:
    return len(_MENTION.sub(" ", text).split()) >= least and len(text) <= LONGEST
