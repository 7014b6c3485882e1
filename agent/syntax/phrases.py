"""What a text is about: its noun phrases without praise, blame and articles. Pure."""

from collections.abc import Iterable, Sequence

from agent.surface import striking_words
from agent.syntax.words import Sentence

_NAMES = ("NOUN", "PROPN")
_JOINED = frozenset({"compound", "flat", "goeswith", "fixed"})  # of one name: coffee machine, New York
_BLAND = frozenset(
    "thing things stuff lot lots bit kind sort way ways time times day days week weeks month months year years today "
    "tomorrow yesterday moment people person guy guys everyone anyone someone team one ones number part end rest case "
    "example question idea point fact reason minute minutes hour hours thanks thank morning evening night".split()
)  # what nearly every message is about
LONGEST = 4  # words of a phrase


def key_phrases(sentences: Iterable[Sentence], most: int = 6) -> list[str]:
    """The noun phrases, each once, in the order of the text, as `topic_of` writes them."""
    found: dict[str, None] = {}
    for sentence in sentences:
        for i, (tag, relation) in enumerate(zip(sentence.tags, sentence.relations, strict=True)):
            if tag in _NAMES and relation.partition(":")[0] not in _JOINED:
                name = topic_of([sentence.words[k].text for k in _phrase(sentence, i)], is_name=tag == "PROPN")
                if name:
                    found[name] = None
    return list(found)[:most]


def topic_of(words: Sequence[str], *, is_name: bool = False) -> str:
    """One spelling of a phrase: small letters, the last word in the singular; empty where it says nothing."""
    lower = [word.lower() for word in words]
    if not lower or all(word in _BLAND or len(word) < 2 or not any(map(str.isalpha, word)) for word in lower):
        return ""
    if not is_name:
        lower[-1] = singular(lower[-1])
    return " ".join(lower)


def singular(word: str) -> str:
    """An English noun in the singular, by its ending."""
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is", "news")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    return word[:-1]


def _phrase(sentence: Sentence, head: int) -> list[int]:
    """The words around `head` that belong to its name, without a gap."""
    inside = {head}
    for i in sorted(range(len(sentence.words)), key=lambda i: abs(i - head)):
        if sentence.heads[i] - 1 in inside and i not in inside and _belongs(sentence, i):
            inside.add(i)
    first = last = head
    while first - 1 in inside:
        first -= 1
    while last + 1 in inside:
        last += 1
    return list(range(max(first, last - LONGEST + 1), last + 1))


def _belongs(sentence: Sentence, i: int) -> bool:
    relation = sentence.relations[i].partition(":")[0]
    if relation in _JOINED:
        return True
    word = sentence.words[i].text
    return relation == "amod" and sentence.tags[i] == "ADJ" and not striking_words(word) and word.isalpha()
