"""Real payloads made wrong: values of other kinds, keys gone or doubled, texts and numbers nobody sends."""

import json
import random
from copy import deepcopy
from typing import Any

Json = Any  # a JSON value, whose shape is what is broken here

HUGE = "x" * 50_000
TEXTS = (
    "", " ", "\0", "a\0b", "\ud800", "\udfff\ud800", "\u202e\u200b\U000e0041", "🧑‍🚀" * 300, "\r\n\t\x1b[31m", HUGE,
    "<@U1><!channel>&amp;&lt;", "../../etc/passwd", "' OR 1=1 --", "%00%ff", "{}", "[]", "null", "-1", "1e999",
    "9" * 400, "slack/acme/x/y", "out:1", "true",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**53, -(2**63), 2**64, 10**300, 0.5, -1e300, 5e-324)
ODD: tuple[Json, ...] = (None, True, False, [], {}, [[]], [None], {"": ""}, {"type": "message"}, [[[[[[]]]]]])


def mutated(dice: random.Random, value: Json) -> Json:
    """A copy of an object with one to three things wrong."""
    copy = json.loads(json.dumps(value))
    for _ in range(dice.randint(1, 3)):
        holder, key = _somewhere(dice, copy)
        if holder is not None:
            _break(dice, holder, key)
            copy = json.loads(json.dumps(copy))  # nothing in it twice: the next wrong stands in one place
    return copy


def encoded(dice: random.Random, value: Json) -> bytes:
    """As JSON; one in twenty with doubled keys, one in twenty with escapes for everything."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    kind = dice.randrange(20)
    if kind == 0 and text.startswith('{"'):
        text = text[:-1] + "," + text[1:]  # every key of the object twice
    elif kind == 1:
        text = json.dumps(value, indent=dice.randint(0, 9))
    return text.encode()


def _somewhere(dice: random.Random, value: Json) -> tuple[Json, Json]:
    """An object or a list, and a key in it: as likely deep down as at the top."""
    places: list[tuple[Json, Json]] = []
    level = [value]
    while level:
        node = level.pop()
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        places += [(node, key) for key in keys]
        level += [node[key] for key in keys if isinstance(node[key], dict | list)]
    return dice.choice(places) if places else (None, None)


def _break(dice: random.Random, holder: Json, key: Json) -> None:
    kind, old = dice.randrange(9), holder[key]
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = dice.choice(TEXTS)
    elif kind == 2:
        holder[key] = dice.choice(NUMBERS)
    elif kind == 3:
        holder[key] = deepcopy(dice.choice(ODD))
    elif kind == 4:  # a number as a text, a text as a number, and either in a list
        swapped = str(old) if isinstance(old, int | float) else len(old) if isinstance(old, str) else [old]
        holder[key] = dice.choice([swapped, [old], {"value": old}])
    elif kind == 5 and isinstance(holder, dict):
        holder[dice.choice([*holder, *TEXTS])] = old
    elif kind == 5:
        holder += [old] * dice.choice([1, 200])
    elif kind == 6:
        deep = old
        for _ in range(dice.choice([3, 15, 29, 70])):
            deep = [deep] if dice.random() < 0.5 else {"a": deep}
        holder[key] = deep
    elif kind == 7 and isinstance(old, str):
        at = dice.randint(0, len(old))
        holder[key] = old[:at] + dice.choice(TEXTS) + old[at:]
    elif isinstance(old, dict | list):
        holder[key] = type(old)()
    else:
        holder[key] = -old if isinstance(old, int | float) and not isinstance(old, bool) else None


def swapped(value: Json, other: dict[Json, Json]) -> Json:
    """A copy in which every text or number that is a key of `other` is what stands there."""
    if isinstance(value, dict):
        return {key: swapped(each, other) for key, each in value.items()}
    if isinstance(value, list):
        return [swapped(each, other) for each in value]
    return value if isinstance(value, bool) or value is None else other.get(value, value)
