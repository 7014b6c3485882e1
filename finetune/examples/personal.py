"""Where personal data and secrets stand in a text, by shape, check digit and the words before them. Pure.

Names are found where the caller knows them, after a form of address, and where somebody states or signs with one; there
is no model of names here. Addresses, birthdays and what a sentence tells about somebody are not found.
"""

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter

from agent.secret_shapes import secret_spans
from finetune.examples.checksums import IBAN_LENGTH, is_card, is_chinese_id, is_french_id, is_iban


class Kind(StrEnum):
    """What a stretch is; its placeholder is the kind in brackets."""

    SECRET = "secret"  # noqa: S105 - a kind, no password
    EMAIL = "email"
    BANK_ACCOUNT = "bank account"
    CARD = "card"
    IDENTITY = "identity number"
    IP = "ip address"
    PHONE = "phone"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Found:
    kind: Kind
    start: int
    end: int


_start = attrgetter("start")
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]*-----|\Z)")
_PASSWORD = re.compile(
    r"(?i)(?:\b(?:pass(?:word|wort|phrase|code)?|pwd|secret|(?:api|access|auth|secret)?[_ -]?(?:key|token)|kennwort|"
    r"contraseña|mot de passe|bearer|pin)|密码|口令)[\"']?"
    r"(?P<says>\s{0,3}(?:is|ist|was|lautet|es|est|to|[:=：是])\s{0,3}|\s)"
    r"[\"'`]?(?P<value>[^\s\"'`<>,;]{4,200})"
)
_CALL = re.compile(r"[(\[{$%]|^\*+$|^\.{2,}")
_EMAIL = re.compile(
    r"(?<![A-Za-z\dÀ-ɏ_.+%-])(?!git@)[A-Za-z\dÀ-ɏ_.+%-]{1,64}(?:[@＠]|\s?[\[(]\s?at\s?[\])]\s?)[^\W_][\w-]{0,62}"
    r"(?:(?:\.|\s?[\[(]\s?(?:dot|punkt)\s?[\])]\s?)[^\W_][\w-]{0,62}){0,5}"
    r"(?:\.|\s?[\[(]\s?(?:dot|punkt)\s?[\])]\s?)(?!(?:png|jpe?g|gif|svg|webp|pdf|js|css|py)\b)[^\W\d_]{2,24}(?![\w-])",
    re.IGNORECASE,
)
# ASCII: a number may stand between Chinese characters without a space.
_IBAN_START = re.compile(r"(?<![\w-])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9]{4})", re.ASCII)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)", re.ASCII)
_US_ID = re.compile(
    r"(?<![\w.+-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-]|\.\d)"
    r"|(?i:(?<=ssn )|(?<=ssn: )|(?<=security number )|(?<=security number: ))(?!000|666|9)\d{3} ?\d{2} ?\d{4}(?!\w)",
    re.ASCII,
)
_UK_ID = re.compile(r"(?<!\w)(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D](?!\w)", re.ASCII)
_CHINESE_ID = re.compile(r"(?<!\w)[1-9]\d{16}[\dXx](?!\w)", re.ASCII)
_FRENCH_ID = re.compile(r"(?<![\w.-])[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?\d{2} ?\d{3} ?\d{3} ?\d{2}(?!\w)", re.ASCII)
_IP4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)", re.ASCII)
_IP6 = re.compile(r"(?<![\w:.])[23][0-9a-fA-F]{3}(?::{1,2}[0-9a-fA-F]{1,4}){2,7}(?![\w:])", re.ASCII)
_VERSION_BEFORE = re.compile(
    r"(?i)(?:\bv|versions?|release|build|firmware|upgrade(?:d)? (?:to|from)|==|>=|<=|~=|\^|版本)\W{0,3}$"
)
_NUMBER_BEFORE = re.compile(
    r"(?i)(?:\b(?:order|ticket|invoice|case|ref(?:erence)?|tracking|parcel|sku|part|serial|isbn|issue|build|commit|version|"
    r"article|item|product|bestell\w*|rechnung\w*|auftrag\w*|artikel\w*|vorgang\w*)|订单|单号|编号|型号|#)"
    r"\W{0,3}(?:numbers?|no|nr|id|code|nummer|号)?[\s.:#：]{0,4}$"
)
_SEPARATED = r"[\s().\-/\u2010-\u2013]{0,3}"
_PHONES = (
    re.compile(rf"(?<![\w+.,/-])\+\d{{1,3}}{_SEPARATED}(?:\d{_SEPARATED}){{5,12}}\d(?!\w)", re.ASCII),
    re.compile(rf"(?<![\w+.,/-])00[1-9]\d{{0,2}}[\s()\-/]{{1,3}}(?:\d{_SEPARATED}){{5,11}}\d(?!\w)", re.ASCII),
    re.compile(r"(?<![\w.,/-])(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[\s.-])\d{3}[\s.-]\d{4}(?![\w-]|[.,]\d)", re.ASCII),
    re.compile(r"(?<![\w.,/:-])\(?0\d{1,5}\)?[\s/-]{1,3}\d{2,8}(?:[ -]?\d{2,4}){0,4}(?![\w:]|[.,/]\d)", re.ASCII),
    re.compile(r"(?<![\w.,/:-])0[1-9]\d{8,10}(?![\w-]|[.,/]\d)", re.ASCII),
    re.compile(r"(?<![\w.-])1[3-9]\d([ -]?)\d{4}\1\d{4}(?![\w-]|\.\d)", re.ASCII),
)
_PHONE_AFTER = re.compile(
    r"(?i)(?:\b(?:tel(?:efon|ephone)?|phone|mobile|cell|call(?: me)?|fax|handy|hotline|whatsapp|ring|dial|durchwahl)"
    r"|电话|手机|致电)[.\s:：]{0,3}(?:numbers?|no\.?|nr\.?|nummer|号码)?[\s:：]{0,2}"
    r"(?:is|ist|at|on|me at|me on|unter|是|为)?[\s:：]{0,2}"
    r"(?P<value>[\d(+][\d\s().\-/]{4,18}\d)(?!\w)"
)
_DATE = re.compile(r"\(?\d{1,4}[./-]\d{1,2}[./-]\d{1,4}(?!\d)|\(?\d{4}[-/]\d{2}(?!\d)")
_SLACK_MENTION = re.compile(
    r"<@[UWB][A-Z0-9]{5,20}(?:\|[^>\n]{0,80})?>|(?<![\w@/.])(?:@[UW][A-Z0-9]{2,12}|[UW](?=[A-Z]*\d)[A-Z0-9]{8,12})(?!\w)"
)
_TELEGRAM_LINK = re.compile(r"tg://user\?id=\d{4,15}|(?<![\w.])t\.me/(?!joinchat|\+)[A-Za-z]\w{4,31}")
_HANDLE = re.compile(r"(?<![\w@/.:=\"'(\[<`-])@(?P<name>[A-Za-z][\w.-]{1,38}\w)(?![\w/(@=]|\.\w)")
_NO_HANDLE = frozenset(  # to everybody, and what programs write so
    "here channel everyone all team group room media import charset property dataclass staticmethod classmethod "
    "override param params return returns throws deprecated since see author todo test before after latest next types "
    "cached_property pytest abstractmethod supports font-face keyframes layer container page tailwind apply include "
    "mixin extend use atelier try catch finally throw interface implementation end selector synthesize autowired bean "
    "component service controller restcontroller repository entity column requestmapping getmapping postmapping".split()
)  # fmt: skip
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_NAME_WORD = r"[A-ZÄÖÜÀ-Þ][\w-]+(?:['’](?!s\b)\w+)*"
_NAME = rf"{_NAME_WORD}(?:[ \t]+(?:(?:van|von|de|der|den|da|di|la|le)[ \t]+)?{_NAME_WORD}){{0,2}}"
_ADDRESSED = re.compile(
    r"(?<!\w)(?:Mr|Mrs|Ms|Mx|Dr|Prof|Herrn?|Frau|Mme|Mlle|Sr|Sra|Señora?)\b\.?[ \t]+"
    rf"(?:Dr\.?[ \t]+)?(?P<value>{_NAME})"
)
_STATED = re.compile(
    r"(?:\b[Mm]y (?:full )?name is|\b[Ii]ch hei(?:ß|ss)e|\b[Mm]ein Name ist|\b[Mm]e llamo|\b[Jj]e m['’]appelle)[ \t]+"
    rf"(?P<value>{_NAME})"
)
_STATED_CHINESE = re.compile(r"(?:我叫|我的名字是|我的名字叫|姓名[:：])\s*(?P<value>[\u4e00-\u9fff]{2,4})")
_SIGNED = re.compile(
    r"\b(?:[Rr]egards|[Bb]est wishes|[Ss]incerely|[Yy]ours truly|[Cc]heers|[Gg]rüßen?|[Gg]ruß|[Cc]ordialement|"
    rf"[Ss]aludos)[,.!]?[ \t]*\n+[ \t]*(?P<value>{_NAME})[ \t]*(?=\n|$)"
)
# Most texts hold none of these, and need not be searched for what begins with them.
_DIGIT = re.compile(r"\d")
_PASSWORD_WORDS = (
    "pass", "pwd", "secret", "key", "token", "kennwort", "contraseña", "bearer", "pin", "密码", "口令",
)  # fmt: skip
_NAME_WORDS = (
    "mr", "ms", "mx", "dr", "prof", "herr", "frau", "mme", "mlle", "sr", "señor", "name", "heiß", "heiss", "llamo",
    "appelle", "regards", "wishes", "sincerely", "truly", "cheers", "grüß", "gruß", "cordialement", "saludos",
    "叫", "名",
)  # fmt: skip


class Finder:
    """Finds personal data and secrets. names: of people, and account ids, that are known and stand for a person."""

    def __init__(self, names: Collection[str] = ()) -> None:
        known = sorted({name.strip() for name in names if len(name.strip()) > 2}, key=len, reverse=True)
        parts = [r"[ \t]+".join(map(re.escape, name.split())) for name in known]
        self._known = re.compile(rf"(?<![\w@])@?(?:{'|'.join(parts)})(?!\w)") if parts else None

    def find(self, text: str) -> list[Found]:
        """The stretches found, in order and without overlap; of two that overlap, the surer kind or the longer one."""
        taken: list[Found] = []
        for found in self._candidates(text):
            place = bisect_right(taken, found.start, key=_start)
            is_free_before = not place or taken[place - 1].end <= found.start
            if is_free_before and (place == len(taken) or found.end <= taken[place].start):
                taken.insert(place, found)
        return taken

    def _candidates(self, text: str) -> Iterator[Found]:
        """Surest first."""
        has_digit, lower = _DIGIT.search(text) is not None, text.lower()
        if has_digit or "://" in text or "PRIVATE KEY" in text:
            yield from _keys(text)
        if any(word in lower for word in _PASSWORD_WORDS):
            yield from _passwords(text)
        if "@" in text or "＠" in text or "at)" in lower or "at]" in lower or "at )" in lower or "at ]" in lower:
            for match in _EMAIL.finditer(text):
                yield Found(Kind.EMAIL, *match.span())
        if has_digit:
            yield from _accounts(text)
            yield from _numbers(text)
        yield from self._names(text, lower)

    def _names(self, text: str, lower: str) -> Iterator[Found]:
        shapes = [_TELEGRAM_LINK] if "t.me" in text or "tg:" in text else []
        for shape in [_SLACK_MENTION, *shapes]:
            for match in shape.finditer(text):
                yield Found(Kind.PERSON, *match.span())
        if self._known is not None:
            for match in self._known.finditer(text):
                yield Found(Kind.PERSON, *match.span())
        if "@" in text:
            code = [match.span() for match in _CODE.finditer(text)]
            for match in _HANDLE.finditer(text):
                inside = any(start <= match.start() < end for start, end in code)
                if not inside and match["name"].lower() not in _NO_HANDLE:
                    yield Found(Kind.PERSON, *match.span())
        if any(word in lower for word in _NAME_WORDS):
            for shape in (_ADDRESSED, _STATED, _STATED_CHINESE, _SIGNED):
                for match in shape.finditer(text):
                    yield Found(Kind.PERSON, *match.span("value"))


def _keys(text: str) -> Iterator[Found]:
    for match in _KEY_BLOCK.finditer(text):
        yield Found(Kind.SECRET, *match.span())
    for start, end in secret_spans(text):
        yield Found(Kind.SECRET, start, end)


def _passwords(text: str) -> Iterator[Found]:
    for match in _PASSWORD.finditer(text):
        value = match["value"].rstrip(".:?)")
        if _is_password(value, stated=bool(match["says"].strip())):
            yield Found(Kind.SECRET, match.start("value"), match.start("value") + len(value))


def _is_password(value: str, *, stated: bool) -> bool:
    """A word that mixes kinds of characters. stated: after `:`, `=` or "is"; else only what no word looks like."""
    if _CALL.search(value) or len(value) < 4:
        return False
    digits = sum(each.isdigit() for each in value)
    letters = sum(each.isalpha() for each in value)
    special = sum(not each.isalnum() and each not in "-_./" for each in value)
    if stated:
        return (digits > 0 and (letters > 0 or digits >= 4)) or (letters > 0 and special > 0)
    return len(value) >= 16 and digits > 1 and letters > 1


def _accounts(text: str) -> Iterator[Found]:
    for match in _IBAN_START.finditer(text):
        length = IBAN_LENGTH.get(match[0][:2].upper(), 0)
        at, compact = match.start(), ""
        while at < len(text) and len(compact) < length:
            if text[at].isalnum():
                compact += text[at].upper()
            elif text[at] not in " -" or text[at - 1] in " -":
                break
            at += 1
        if length and is_iban(compact) and not text[at : at + 1].isalnum():
            yield Found(Kind.BANK_ACCOUNT, match.start(), at)
    for match in _CARD.finditer(text):
        if is_card(re.sub(r"\D", "", match[0])) and not _NUMBER_BEFORE.search(text[: match.start()][-30:]):
            yield Found(Kind.CARD, *match.span())
    checked = ((_CHINESE_ID, is_chinese_id), (_FRENCH_ID, is_french_id))
    for shape, proves in checked:
        for match in shape.finditer(text):
            if proves(match[0].replace(" ", "")):
                yield Found(Kind.IDENTITY, *match.span())
    for shape in (_US_ID, _UK_ID):
        for match in shape.finditer(text):
            yield Found(Kind.IDENTITY, *match.span())


def _numbers(text: str) -> Iterator[Found]:
    for shape in (_IP4, _IP6):
        for match in shape.finditer(text):
            if _is_public(match[0]) and not _VERSION_BEFORE.search(text[: match.start()][-20:]):
                yield Found(Kind.IP, *match.span())
    for match in _PHONE_AFTER.finditer(text):
        if _is_phone(match["value"], 6):
            yield Found(Kind.PHONE, *match.span("value"))
    for shape in _PHONES:
        for match in shape.finditer(text):
            if _is_phone(match[0], 8) and not _NUMBER_BEFORE.search(text[: match.start()][-30:]):
                yield Found(Kind.PHONE, *match.span())


def _is_phone(text: str, least: int) -> bool:
    digits = [each for each in text if each.isdigit()]
    return least <= len(digits) <= 15 and len(set(digits)) > 2 and not _DATE.match(text)  # bits are no phone either


def _is_public(text: str) -> bool:
    """Whether an address leads to somebody: not private, local or reserved, which documentation is full of."""
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False
