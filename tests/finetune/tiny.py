"""What a whole job needs, small: a model folder, conversations, a recipe that trains for a second."""

import json
import random
from pathlib import Path

from finetune.job import Order
from finetune.recipe import Recipe

RECIPE = Recipe(rank=4, epochs=4.0, batch_tokens=512, max_tokens=256, learning_rate=5e-3, evaluations=2, dropout=0.0)
WORDS = (
    "amber anchor apple arrow atlas autumn badge bakery balcony bamboo barrel basket beacon bench bicycle blanket "
    "bottle bridge bronze bucket button cabin cactus camera candle canvas carpet castle cellar chalk cherry circle "
    "clock cloud coffee compass copper cotton cradle crystal curtain desert diamond dragon drawer eagle engine fabric "
    "falcon feather fiddle flame forest fossil garden ginger glacier globe gravel guitar hammer harbour helmet honey "
    "island ivory jacket jungle kettle kitchen ladder lantern lemon library lizard magnet maple marble meadow mirror "
    "monkey mountain needle nickel ocean olive orchard oyster paddle palace paper pearl pepper piano pigeon pillow "
    "planet pocket potato prism pumpkin quartz rabbit ribbon river rocket saddle salmon sandal shadow silver spider "
    "spruce square statue tablet temple thunder ticket timber tomato tower tunnel turtle valley velvet violin walnut "
    "weaver window winter wolf yarn zebra"
).split()


def conversation(number: int) -> list[dict[str, str]]:
    """A question and its answer. No two are nearly alike: rows that are would be left out."""
    drawn = random.Random(number).sample(WORDS, 14)
    asked, replied = " ".join(drawn[:6]), " ".join(drawn[6:])
    return [
        {"role": "user", "content": f"Where is the {asked}?"},
        {"role": "assistant", "content": f"Behind the {replied}."},
    ]


def chats(file: Path, rows: int = 48) -> Path:
    """A file of conversations, as a team would hand them over."""
    file.write_text("".join(json.dumps({"messages": conversation(number)}) + "\n" for number in range(rows)))
    return file


def order_of(base: Path, *files: Path, recipe: Recipe = RECIPE, **settings: object) -> Order:
    given = {"name": "team", "base": str(base), "recipe": recipe, "files": tuple(map(str, files)), "max_tokens": 4}
    given |= settings
    return Order(**given)
