"""An explanation of how a message was understood, in a person's words and language."""

from collections.abc import Iterator, Sequence

from agent.explain import Explanation, Reading, Weighed
from agent.understanding import SURE
from connectors.desk.texts import say

SHOWN = 90  # characters of an example


def explained(explanation: Explanation, language: str) -> str:
    """Of each head the label with its chance, the words that decided, and the nearest examples, as Markdown."""
    if not explanation.readings:
        return "\n".join([say(language, "why_no_heads"), *explanation.understanding.reasons])
    return "\n\n".join("\n".join(_lines(explanation, each, language)) for each in explanation.readings)


def as_json(explanation: Explanation) -> dict[str, object]:
    """The same for scripts."""
    understanding = explanation.understanding
    return {
        "text": explanation.text,
        "intent": understanding.intent,
        "sentiment": understanding.sentiment,
        "doubtful": understanding.confidence < SURE,
        "reasons": list(understanding.reasons),
        "heads": {each.kind: _reading(each) for each in explanation.readings},
    }


def _lines(explanation: Explanation, reading: Reading, language: str) -> Iterator[str]:
    understanding = explanation.understanding
    label, chance = reading.label, reading.confidence
    is_rule = reading.kind == "intent" and understanding.intent != reading.label
    if is_rule:
        label, chance = understanding.intent, understanding.confidence
    yield say(language, f"why_head_{reading.kind}", label=_name(label), chance=f"{chance:.0%}")
    if is_rule:
        yield say(language, "why_rule", label=_name(reading.label), chance=f"{reading.confidence:.0%}")
        return
    if not reading.is_near:
        yield say(language, "why_far")
    elif reading.kind != "sentiment" and chance < SURE:
        yield say(language, "why_doubtful")
    second, how = reading.second
    if how >= 0.05:
        yield say(language, "why_second", second=_name(second), chance=f"{how:.0%}")
    if reading.words:
        yield say(language, "why_words", words=_weighed(reading.words, language))
    else:
        yield say(language, "why_no_words")
    if reading.against:
        yield say(language, "why_against", words=_weighed(reading.against, language))
    if reading.decisive:
        words = ", ".join(f"“{each.word}”" for each in reading.decisive)
        name = "why_turned" if reading.is_turned else "why_steady"
        yield say(language, name, words=words, turned=_name(reading.turned))
    if reading.examples:
        yield say(language, "why_examples")
    for each in reading.examples:
        text = each.text if len(each.text) <= SHOWN else f"{each.text[:SHOWN].rstrip()} …"
        yield say(language, "why_example", text=text, label=_name(each.label), likeness=f"{each.likeness:.2f}")


def _weighed(words: Sequence[Weighed], language: str) -> str:
    return ", ".join(say(language, "why_word", word=each.word, left=f"{each.left:.0%}") for each in words)


def _name(label: str) -> str:
    return label.replace("_", " ")


def _reading(reading: Reading) -> dict[str, object]:
    def weighed(words: Sequence[Weighed]) -> list[dict[str, object]]:
        return [{"word": each.word, "delta": round(each.delta, 3), "left": round(each.left, 4)} for each in words]

    return {
        "label": reading.label,
        "confidence": round(reading.confidence, 4),
        "second": [reading.second[0], round(reading.second[1], 4)],
        "words": weighed(reading.words),
        "against": weighed(reading.against),
        "left_out_together": weighed(reading.decisive),
        "then": reading.turned,
        "is_like_an_example": reading.is_near,
        "examples": [
            {"text": each.text, "label": each.label, "likeness": round(each.likeness, 3)} for each in reading.examples
        ],
    }
