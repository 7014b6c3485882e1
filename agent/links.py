"""Links, images and mentions in outgoing text: what is not on the allow-list becomes plain words.

Nothing here tries to recognise bad links. A link stays only when it is plainly `http(s)://HOST...` with a host that is
on the list; everything else that a chat client could make clickable or fetch loses its scheme and gets `[.]` for the
dots of its host. Every rule deletes or breaks up what triggers it, so applying them until nothing changes terminates.
"""

import html
import re
from collections.abc import Collection

_DOT = "[.\u3002\uff0e\uff61\u2024\ufe52]"  # the characters that browsers read as the dot of a host
_COLON, _SLASH = "[:\uff1a\ufe55]", r"[/\\\uff0f\u2044\u2215]"
_DOTS = re.compile(rf"(?<!\[){_DOT}|(?<=\[){_DOT}(?!\])")  # not the dot of an earlier [.]
_SLASHES = re.compile(r"[/\\\uff0f\u2044\u2215]{2}")
# Top-level domains that chat clients link without a scheme. Country codes that are also words or file suffixes
# (it, is, md, py, rs) are left out here: `install.md` is far more often a file. With a path they count all the same.
_BARE = re.compile(
    "com|org|net|edu|gov|mil|int|io|dev|app|ai|co|me|info|biz|xyz|online|site|top|club|shop|store|tech|link|click|live|"
    "icu|cloud|page|space|website|agency|network|zone|email|services|systems|onion|"
    "uk|de|fr|nl|eu|us|ca|au|nz|jp|cn|ru|br|ch|se|fi|dk|pt|gr|cz|pl|at|be|es|hu|ro|bg|hr|sk|si|lt|lv|ee|ua|tr|il|in|id|"
    "kr|tw|hk|sg|th|vn|ph|za|ng|ke|mx|ar|cl|pe|gg|tv|ly|to|so|cc|ws|su"
)
_FILES = re.compile(
    "c|cfg|conf|cpp|cs|css|csv|cxx|d|dll|docx?|exe|gif|git|go|gz|h|hpp|html?|ini|ipynb|java|jpe?g|jsx?|jsonl?|local|lock|"
    "log|lua|map|md|odt|pdf|php|png|pptx?|py|rb|rs|rst|sh|so|sql|svg|tar|tex|tmp|toml|tsx?|tsv|txt|wav|whl|xlsx?|xml|ya?ml"
)
_IN_SENTENCES = re.compile("At|Be|In|Me|So|To|Us|Id|Co")  # "Stop.In the end": a forgotten space, not a host

# Possessive quantifiers and closing marks looked for first keep matching linear on a long hostile line.
_LABEL = r"((?:[^\[\]]|\[[^\[\]]{0,300}+\]){0,600}+)"
_TARGET = (
    r"\(\s*+(<[^<>]*+>|[^\s()<>]*+(?:\([^\s()<>]*+\)[^\s()<>]*+)*+)\s*+(?:\"[^\"]*+\"|'[^']*+'|\([^()]*+\))?+\s*+\)"
)
_IMAGE = re.compile(rf"!\[{_LABEL}\]{_TARGET}")
_APART = re.compile(rf"(!\[{_LABEL}\]{_TARGET})(?=[/\\])")  # a path after an image would hang on its label
_LINK = re.compile(rf"\[{_LABEL}\]{_TARGET}")
_TAG = re.compile(
    r"(?i)</?(?:a|applet|area|audio|base|body|button|embed|form|frame|frameset|head|html|iframe|image|img|input|link|"
    r"map|marquee|math|meta|object|picture|portal|script|source|style|svg|template|track|use|video)(?=[\s/>])[^<>]*>"
    r"|<\w(?=[^<>]*>)[^<>]*?[\s/\"'](?:href|src|srcset|style|action|formaction|background|poster|data|on\w+)\s*=[^<>]*>"
)
_SLACK = re.compile(r"<([!@#])([^<>|\n]*)(?:\|([^<>\n]*))?>")
_SLACK_LINK = re.compile(r"<((?:https?|mailto|tel|slack|tg)[^<>|\s]*)\|([^<>\n]*)>", re.IGNORECASE)
_MENTION = re.compile(r"([@\uff20\ufe6b])(?=(?:channel|here|everyone|all|group|team)(?![\w-]))", re.IGNORECASE)
_SCRIPT = re.compile(rf"(?i)\b(javascript|vbscript|mailto|data(?={_COLON}\s?[\w.+-]+/[\w.+-]+[;,])){_COLON}(?=\S)")
_AUTHORITY = r"[^\s/?#<>\"'`\\|\uff0f\u2044\u2215]+"
_SCHEME = (
    rf"(?:(?:[^\W\d_][\w+.-]{{0,40}})?{_COLON}{_SLASH}{{2,}}"  # any scheme with //
    rf"|https?{_COLON}{_SLASH}?(?=\w)"  # browsers forgive missing slashes
    rf"|(?<![:\w/\\\uff0f\u2044\u2215]){_SLASH}{{2,}}(?=\w[\w-]*{_DOT}))"  # //host of the page's own scheme
)
_URL = re.compile(rf"((?:{_SCHEME})+)({_AUTHORITY})", re.IGNORECASE)
_CODE_URL = re.compile(rf"((?:(?:https?|ftps?|hxxps?|wss?){_COLON}{_SLASH}*)+)({_AUTHORITY})", re.IGNORECASE)
_PLAIN_SCHEME = re.compile(r"https?://", re.IGNORECASE)
# A host begins where a word does, or behind its first two dashes: tried behind each, a long line takes quadratic time.
# No name has more than 127 parts (RFC 1035, 2.3.4): of a longer one nothing could be opened. Where 200 parts in a row
# are no host, the first 73 are passed over: from there a host that begins later would have more than 127.
_BEGINS = rf"(?<![\w-])(?:(?<![@/\\])(?:[_-]++(?<=-))?+(?<![\w\])]{_DOT})|(?>[\w-]*?--)[_-]*+)"
_PART = rf"[^\W_](?:[\w-]*[^\W_])?{_DOT}"
_HOST = re.compile(
    rf"{_BEGINS}(?:((?:{_PART}){{1,200}})(xn--[\w-]+|[^\W\d_]{{2,}})(?![\w@-])(:\d+(?=/)|[/?](?=[\w?=&%#]))?"
    rf"|(?:{_PART}){{1,73}}+)"
)
# What hangs together by @, and the one form of it that is left as it is: an address as Telegram's library reads one
# (td/telegram/MessageEntity.cpp, is_email_address). Behind any other @ a client may find a host to link.
_AROUND_AT = re.compile(r"(?<![\w.+@-])[\w.+-]*+(?:@[\w.+-]*+)++")
_MAIL = re.compile(r"[.+-]*\w[\w.+-]*@(?:\w(?:[\w-]{0,28}\w)?\.){1,6}[A-Za-z]{2,8}[.+-]*")
_INLINE_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)[^`]+\1(?!`)")
_LOOPBACK = re.compile(
    r"(?:[^\s@]*@)?(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)(?::\d+)?[).,;:!?\]*_]*", re.IGNORECASE
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ESCAPE = re.compile(r"\\(?=[!-/:-@\[-`{-~])")
_TRAILING = ").,;:!?]}*_~"


class AllowedHosts:
    """Which hosts may be linked. An entry `acme.com` allows that host alone, `*.acme.com` also everything below it."""

    def __init__(self, entries: Collection[str]) -> None:
        hosts = {re.split(r"[/?#]", _PLAIN_SCHEME.sub("", entry.strip().lower()))[0] for entry in entries} - {""}
        self._exact = {host.removeprefix("*.") for host in hosts}
        self._below = tuple(host[1:] for host in hosts if host.startswith("*."))

    def authority(self, authority: str) -> bool:
        """Whether `host` or `host:port` is allowed. Anything else in an authority (a user, a password) is not."""
        host, _, port = authority.rstrip(_TRAILING).lower().partition(":")
        return (port.isdigit() or not port) and (host in self._exact or host.endswith(self._below or ("\0",)))

    def url(self, url: str) -> bool:
        found = _PLAIN_SCHEME.match(url)
        return found is not None and self.authority(re.split(r"[/?#\\]", url[found.end() :], maxsplit=1)[0])


def undisguised(unit: str) -> str:
    r"""One unit of Markdown with what a converter would turn into the characters of a link written as those.

    `https:&#47;&#47;host` and `https://host\@other` are links only after the conversion (CommonMark 2.4 and 2.5).
    """
    if "&" in unit:
        unit = _ENTITY.sub(_character, unit)
    return _ESCAPE.sub("", unit) if "\\" in unit and "//" in unit else unit


def _character(entity: re.Match[str]) -> str:
    character = html.unescape(entity[0])
    is_markup = len(character) != 1 or character in "<>&\"'`" or character.isspace()
    return entity[0] if is_markup else character


def without_links(unit: str, allowed: AllowedHosts, *, code: bool) -> str:
    """One unit of text with off-list links, images and mass mentions made plain. code: it stands in a code block.

    In code only what carries a scheme is touched, and addresses of the reader's own machine stay: a command must
    still work when it is copied.
    """
    if "<" in unit:
        unit = _SLACK.sub(_plain_control, unit)
    if code:
        unit = _CODE_URL.sub(lambda found: _plain_url(found, allowed, loopback=True), unit)
    else:
        if "](" in unit:
            unit = _LINK.sub(lambda found: _plain_link(found, allowed), _IMAGE.sub(r"\1", _APART.sub(r"\1 ", unit)))
        if "<" in unit:
            unit = _TAG.sub("", _SLACK_LINK.sub(lambda found: _plain_slack_link(found, allowed), unit))
        unit = _SCRIPT.sub(lambda found: "" if found[1].lower() == "mailto" else f"{found[1]} ", unit)
        if _SLASHES.search(unit) or "http" in unit.lower():
            unit = _URL.sub(lambda found: _plain_url(found, allowed, loopback=False), unit)
        unit = _outside_code(unit, allowed)
    return _MENTION.sub(r"\1 ", unit)


def _plain_control(found: re.Match[str]) -> str:
    """Slack's <!channel>, <@U12>, <#C12|name>, <!subteam^S1|@name>, <!date^...|words>: their readable part."""
    kind, name, label = found[1], found[2], found[3]
    if label:
        return label
    return f"{'#' if kind == '#' else '@'}{name.partition('^')[0]}" if name.strip() else found[0].strip("<>")


def _plain_link(found: re.Match[str], allowed: AllowedHosts) -> str:
    label, target = found[1], found[2].strip("<>")
    if allowed.url(target):
        return found[0]
    shown = _PLAIN_SCHEME.match(target) and target not in label
    return f"{label} ({target})" if shown else label


def _plain_slack_link(found: re.Match[str], allowed: AllowedHosts) -> str:
    return found[0] if allowed.url(found[1]) else found[2]


def _plain_url(found: re.Match[str], allowed: AllowedHosts, *, loopback: bool) -> str:
    scheme, authority = found[1], found[2]
    if _PLAIN_SCHEME.fullmatch(scheme) and allowed.authority(authority):
        return found[0]
    if loopback and _LOOPBACK.fullmatch(authority.rstrip(").,;:!?*_")):
        return found[0]
    host = authority.rstrip(_TRAILING)  # the full stop after an address is the sentence's
    return _DOTS.sub("[.]", host) + authority[len(host) :]


def _outside_code(unit: str, allowed: AllowedHosts) -> str:
    """Bare hosts made plain, but not inside `code`, where `app.info` is an attribute and no client links."""
    parts, end = [], 0
    for code in _INLINE_CODE.finditer(unit):
        parts += [_without_hosts(unit[end : code.start()], allowed), code[0]]
        end = code.end()
    return "".join([*parts, _without_hosts(unit[end:], allowed)])


def _without_hosts(prose: str, allowed: AllowedHosts) -> str:
    def plain(text: str) -> str:
        return _HOST.sub(lambda found: _plain_host(found, allowed), text)

    def around_at(found: re.Match[str]) -> str:
        return found[0] if _MAIL.fullmatch(found[0]) else "@".join(map(plain, found[0].split("@")))

    return plain(_AROUND_AT.sub(around_at, prose) if "@" in prose else prose)


def _plain_host(found: re.Match[str], allowed: AllowedHosts) -> str:
    if found[1] is None:
        return found[0]
    labels, top, tail = found[1], found[2].lower(), found[3] or ""
    if tail[:1] in ("/", "?"):
        linked = not _FILES.fullmatch(top) or labels.lower().startswith("www.")
    else:
        linked = _BARE.fullmatch(top) is not None and not _IN_SENTENCES.fullmatch(found[2])
    if not (linked or top.startswith("xn--") or labels.lower().startswith("www.")) or allowed.authority(labels + top):
        return found[0]
    return found[0][: found.start(1) - found.start()] + _DOTS.sub("[.]", labels) + found[2] + tail
