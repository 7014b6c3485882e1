"""Whether an example says anything new: repetitions, contradictions, and what must stay on one side of the split."""

import hashlib
import re
from dataclasses import dataclass

from finetune.example import Example
from finetune.examples.problems import Code
from finetune.examples.similar import Signature, Similar, plain, signature, similarity

LINKED = 0.7  # similarity of two prompts from which they stand on one side of the split
NEAR = 0.8  # of prompts and of replies, from which a row is a near-duplicate
_PASSAGES = re.compile(r"<passages>\n.*?\n</passages>", re.DOTALL)


def asked_and_replied(example: Example) -> tuple[str, str]:
    """What people ask in an example, without the passages beside it, and the replies that are learned."""
    asked = "\n".join(_PASSAGES.sub("", each.content) for each in example.messages if each.role == "user")
    replies = [
        each.content
        for i, each in enumerate(example.messages)
        if each.role == "assistant" and i not in example.untrained
    ]
    return asked.strip(), "\n".join(replies)


@dataclass(slots=True)
class _Kept:
    place: str
    rating: int
    is_held_out: bool
    replied: str
    sign: Signature | None = None

    def reply(self) -> Signature:
        """Of the reply, made when it is first asked for: most prompts are like no other."""
        if self.sign is None:
            self.sign = signature(plain(self.replied))
        return self.sign


class Repeats:
    """Remembers the examples that were kept, in order. links: pairs of them, by index, with much the same prompt."""

    def __init__(self) -> None:
        self.links: list[tuple[int, int]] = []
        self._kept: list[_Kept] = []
        self._exact: dict[bytes, int] = {}
        self._similar = Similar(LINKED)

    def refusal(self, example: Example, *, is_held_out: bool) -> tuple[Code, str] | None:
        """Why the example says nothing new, as code and message; None when it was kept."""
        asked, replied = asked_and_replied(example)
        asked = plain(asked)
        exact = hashlib.sha256(f"{asked}\0{plain(replied)}".encode("utf-8", "replace")).digest()
        if exact in self._exact:
            return self._same(example, self._kept[self._exact[exact]], is_held_out=is_held_out)
        sign = signature(asked)
        matches = self._similar.find(sign)
        new = _Kept(example.origin.place, example.rating, is_held_out, replied)
        for match in matches:
            kept = self._kept[match.key]
            if match.similarity >= NEAR and similarity(new.reply(), kept.reply()) >= NEAR:
                if kept.is_held_out and not is_held_out:
                    return Code.OVERLAP, f"It is held out, or nearly so, at {kept.place}."
                if kept.rating == example.rating:
                    return Code.NEAR_DUPLICATE, f"It says nearly the same as {kept.place}."
        key = len(self._kept)
        self._exact[exact] = key
        self._similar.add(key, sign)
        self._kept.append(new)
        self.links += [(match.key, key) for match in matches]
        return None

    @staticmethod
    def _same(example: Example, kept: _Kept, *, is_held_out: bool) -> tuple[Code, str]:
        if kept.is_held_out and not is_held_out:
            return Code.OVERLAP, f"It is held out at {kept.place}."
        if kept.rating * example.rating < 0:
            return Code.CONTRADICTION, f"{kept.place} says the same, and was rated the other way."
        return Code.DUPLICATE, f"It says the same as {kept.place}."
