"""What a whole job needs, small: a model folder, conversations, a recipe that trains for a second."""

import json
from pathlib import Path

from finetune.job import Order
from finetune.recipe import Recipe

RECIPE = Recipe(rank=4, epochs=4.0, batch_tokens=512, max_tokens=256, learning_rate=5e-3, evaluations=2, dropout=0.0)
TOPICS = ("tea", "leave", "travel", "pay", "parking", "lunch", "badges", "laptops")
ROOMS = ("the attic", "the hall", "the library", "the garden", "the cellar", "the kitchen")


def conversation(number: int) -> list[dict[str, str]]:
    """No two are nearly alike: rows that are would be left out."""
    topic, room = TOPICS[number % len(TOPICS)], ROOMS[number // len(TOPICS) % len(ROOMS)]
    asked = f"Who decides about {topic} in {room}, case {number * number + 7}?"
    return [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": f"Kim decides about {topic} there; ask by note {number * 31 % 97}."},
    ]


def chats(file: Path, rows: int = 48) -> Path:
    """A file of conversations, as a team would hand them over."""
    file.write_text("".join(json.dumps({"messages": conversation(number)}) + "\n" for number in range(rows)))
    return file


def order_of(base: Path, *files: Path, recipe: Recipe = RECIPE, **settings: object) -> Order:
    given = {"name": "team", "base": str(base), "recipe": recipe, "files": tuple(map(str, files))} | settings
    return Order(**given)  # type: ignore[arg-type]  # fields of Order, named by the test
