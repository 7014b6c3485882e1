"""Small models, examples and recipes to train in tests."""

import random
from dataclasses import replace
from functools import cache
from pathlib import Path

from agent.generation.rendering import ChatMessage
from finetune.example import Example, Origin
from finetune.recipe import Recipe

THINGS = "leave travel lunch parking laptops training badges visitors".split()
NAMES = dict(zip(THINGS, "Ada Bo Cy Di Ed Fay Gus Hal".split(), strict=True))
ANSWERS = {thing: f"Ask {name} about {thing}." for thing, name in NAMES.items()}
RECIPE = Recipe(
    dropout=0.1,
    batch_tokens=128,
    max_tokens=256,
    learning_rate=0.02,
    epochs=1,
    max_steps=8,
    evaluations=2,
    save_seconds=0,
)


@cache
def examples(count: int, seed: int = 0) -> tuple[Example, ...]:
    """Questions that have one answer each, so that a small model can learn them; of unlike lengths."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        thing = draw.choice(THINGS)
        question = f"{'Hello there. ' * draw.randrange(4)}Who knows about {thing}?"
        messages = (ChatMessage("user", question), ChatMessage("assistant", ANSWERS[thing]))
        made.append(Example(messages, Origin(f"made:{number}")))
    return tuple(made)


def unlike(example: Example) -> Example:
    """The same question with an answer of other letters: the better the rest is learned, the unlikelier it becomes."""
    asked, _ = example.messages
    return replace(example, messages=(asked, ChatMessage("assistant", "会议🙂在星期一")))


def weights_of(folder: Path) -> bytes:
    (path,) = folder.glob("*.safetensors")
    return path.read_bytes()
