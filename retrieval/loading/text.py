"""Bytes to text in whatever encoding they came, and text to what a person sees of it.

Invisible characters are where instructions to a language model hide ("ASCII smuggling" with Unicode's tag block,
zero-width characters, variation selectors, bidirectional overrides), so none of them reaches the store.
"""

import codecs
import re
import unicodedata

from retrieval.loading.source import LARGEST_TEXT, MEGABYTE, Source

_BYTE_ORDER_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's: it is tried first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 32_768
_FEW = 64  # so few non-ASCII bytes are no evidence for a statistical guess; Western European is likeliest

# Scripts whose letters join: there ZERO WIDTH (NON-)JOINER is spelling, everywhere else it is only invisible.
_JOINING = "\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17ff\u1800-\u18af\ufb50-\ufdff\ufe70-\ufefc"
_EMOJI = "\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # control characters but tab and line breaks
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0"  # soft hyphen, fillers
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"  # zero width, bidirectional, variation
    "\ufff0-\ufffc\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff"  # annotation, non-characters, lone surrogates
    "\U000e0000-\U000e0fff"  # tags, more variation selectors
    "]+"
)
_JOINER = re.compile(f"(?<![{_JOINING}{_EMOJI}])[\u200c\u200d]+|[\u200c\u200d]+(?![\u200c\u200d{_JOINING}{_EMOJI}])")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # of terminals, in logs
_OTHER_BREAKS = re.compile("[\x0b\x0c\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MAY_HIDE = re.compile(r"[^\t\n -~]")


def clean(text: str) -> str:
    """The characters of `text` that a person sees, composed (NFC). The number of lines stays."""
    if not _MAY_HIDE.search(text):
        return text
    if "\x1b" in text:
        text = _COLOUR.sub("", text)
    text = _INVISIBLE.sub("", _OTHER_BREAKS.sub(" ", text))
    if "\u200c" in text or "\u200d" in text:
        text = _JOINER.sub("", text)
    return unicodedata.normalize("NFC", text)


def clean_line(text: str) -> str:
    """As `clean`, on one line: every run of white space is one space."""
    return " ".join(clean(text).split())


def decode(source: Source, declared: str | None = None) -> str:
    r"""The file's text with `\n` line ends. `declared`: the encoding the file itself names, believed over a guess.

    Raises UnreadableFile when it is too large, or no text.
    """
    if len(source.content) > LARGEST_TEXT:
        raise source.unreadable(f"holds more than {LARGEST_TEXT // MEGABYTE} MB of text. Split it into smaller files.")
    text = _decode(source.content, declared)
    beginning = text[:_SAMPLE]
    if len(_CONTROLS.findall(beginning)) > len(beginning) / 50:
        raise source.unreadable("is not text but some binary format.")
    if not text.strip():
        raise source.unreadable("is empty: it holds nothing but white space.")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _decode(content: bytes, declared: str | None) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    wide = _utf16_without_mark(content[:4096])
    if wide is not None:
        return content.decode(wide, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_legacy(content, declared)


def _utf16_without_mark(beginning: bytes) -> str | None:
    half = len(beginning) // 2
    if half < 2:
        return None
    even, odd = beginning[0::2].count(0), beginning[1::2].count(0)
    if odd > 0.4 * half and even < 0.1 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.1 * half:
        return "utf-16-be"
    return None


def _decode_legacy(content: bytes, declared: str | None) -> str:
    lines = content.split(b"\n")
    foreign = [line for line in lines if not line.isascii()]
    if sum(_is_utf8(line) for line in foreign) * 2 > len(foreign):  # UTF-8 into which something else was pasted
        return "\n".join(_decode_line(line) for line in lines)
    encoding = _known(declared) or _guess(b"\n".join(foreign)[:_SAMPLE])
    return content.decode(encoding, errors="replace")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _decode_line(line: bytes) -> str:
    return line.decode("utf-8") if _is_utf8(line) else line.decode("cp1252", errors="replace")


def _known(encoding: str | None) -> str | None:
    try:
        return codecs.lookup(encoding).name if encoding else None
    except (LookupError, ValueError):
        return None


def _guess(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    high = sum(byte > 127 for byte in sample)
    if high < _FEW and high < 0.3 * len(sample):
        return "cp1252"
    best = from_bytes(sample).best()
    return best.encoding if best is not None else "cp1252"
