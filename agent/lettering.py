"""Letters for pictures: Pillow's own font has English letters only; others come from a font of the machine's.

Where the machine has none of those looked for, what is missing is written out, ü as ue and é as e, so that no word is
full of holes.
"""

import unicodedata
from functools import cache

from PIL import ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
LOOKED_FOR = (  # found by name where systems keep fonts: Linux, Windows, macOS
    "DejaVuSans.ttf", "LiberationSans-Regular.ttf", "NotoSans-Regular.ttf", "arial.ttf", "Arial Unicode.ttf",
    "Helvetica.ttc",
)  # fmt: skip
_PLAIN = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "æ": "ae", "ø": "o", "ł": "l",
     "Ł": "L", "„": '"', "“": '"', "”": '"', "’": "'", "‘": "'", "–": "-", "—": "-", "×": "x", "€": "EUR", "…": "..."}
)  # fmt: skip


def lettered(text: str, size: int) -> tuple[str, Font]:
    """A text and the font to write it in, at so many pixels: as it is, or as it can be written here."""
    ours = ImageFont.load_default(size)
    if not any(_is_missing(char, ours) for char in set(text)):
        return text, ours
    found = _of_machine(size)
    if found is not None and not any(_is_missing(char, found) for char in set(text)):
        return text, found
    font = found or ours
    return "".join(char if not _is_missing(char, font) else _written_out(char) for char in text), font


def write(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    ink: str,
    *,
    anchor: str = "la",
    width: float | None = None,
) -> float:
    """Write a line of text; how long it became. width: pixels after which it ends in an ellipsis."""
    shown, font = lettered(" ".join(text.split()), size)
    if width is not None and pen.textlength(shown, font) > width:
        end = "..." if _is_missing("…", font) else "…"
        while shown and pen.textlength(shown + end, font) > width:
            shown = shown[:-1]
        shown = shown.rstrip(" ,") + end
    pen.text(at, shown, ink, font, anchor=anchor)
    return pen.textlength(shown, font)


@cache
def _of_machine(size: int) -> ImageFont.FreeTypeFont | None:
    for name in LOOKED_FOR:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None


def _is_missing(char: str, font: Font) -> bool:
    if char.isspace() or char.isascii():
        return False
    drawn, hole = font.getmask(char), font.getmask("\uffff")
    return drawn.size == hole.size and bytes(drawn) == bytes(hole)


def _written_out(char: str) -> str:
    plain = char.translate(_PLAIN)
    if plain != char:
        return plain
    return "".join(each for each in unicodedata.normalize("NFD", char) if each.isascii()) or "?"
