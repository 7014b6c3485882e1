"""robots.txt by RFC 9309: the groups for us, the longest path that fits, `*` and `$`. Pure."""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

AGENT = "atelier"  # the product token that a site may name
MOST = 500 * 1024  # bytes that are read of a file, as the RFC asks for
LONGEST_DELAY = 60.0  # seconds that a site may have us wait between two pages
_LINE = re.compile(r"\s*([\w-]+)\s*:\s*([^#]*)")
_ESCAPED = re.compile("%([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Robots:
    """rules: path patterns with whether they allow. delay: seconds that are wanted between two requests."""

    rules: tuple[tuple[str, bool], ...] = ()
    delay: float = 0.0

    @classmethod
    def of(cls, content: bytes, agent: str = AGENT) -> "Robots":
        """From a file's content. What cannot be understood is left out."""
        groups: dict[str, _Group] = {}
        here: list[_Group] = []
        is_naming = False  # lines of `User-agent` that follow each other share what comes below
        for line in content[:MOST].decode("utf-8", "replace").removeprefix("\ufeff").splitlines():
            found = _LINE.match(line)
            if found is None:
                continue
            name, value = found[1].lower(), found[2].strip()
            if name == "user-agent":
                here = here if is_naming else []
                here.append(groups.setdefault(_token(value), _Group([])))
                is_naming = True
                continue
            if name in ("allow", "disallow"):
                is_naming = False
                for group in here if value else []:
                    group.rules.append((_normal(value), name == "allow"))
            elif name == "crawl-delay":
                is_naming = False
                for group in here:
                    group.delay = _seconds(value)
        chosen = groups.get(agent) or groups.get("*")
        return cls() if chosen is None else cls(tuple(chosen.rules), chosen.delay)

    def allows(self, url: str) -> bool:
        """Whether a page may be read; of rules that fit equally well the one that allows."""
        parts = urlsplit(url)
        path = _normal((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        fitting = [(len(pattern), may) for pattern, may in self.rules if _fits(pattern, path)]
        return path == "/robots.txt" or max(fitting, default=(0, True))[1]


EVERYTHING = Robots()
NOTHING = Robots((("/", False),))


@dataclass(slots=True)
class _Group:
    rules: list[tuple[str, bool]]
    delay: float = 0.0


def _token(value: str) -> str:
    """`Atelier/1.0` is `atelier`."""
    return value if value == "*" else re.split(r"[^A-Za-z_-]", value, maxsplit=1)[0].lower()


def _seconds(value: str) -> float:
    try:
        return min(max(0.0, float(value)), LONGEST_DELAY)  # not a number counts as none
    except ValueError:
        return 0.0


def _normal(path: str) -> str:
    """One spelling for each path: what need not be escaped is not, and escapes are in capitals."""
    escaped = quote(path.encode("utf-8", "replace"), safe="/?&=*$+,;:@!'()~-._%[]|")
    return _ESCAPED.sub(lambda found: _plain(int(found[1], 16)) or found[0].upper(), escaped)


def _plain(code: int) -> str:
    """The letter, digit or mark that no address has to escape; empty for all others."""
    letter = chr(code)
    return letter if code < 128 and (letter.isalnum() or letter in "-._~") else ""


def _fits(pattern: str, path: str) -> bool:
    """Whether a path begins with the pattern; `*` is anything, a last `$` the end. In steps of length by length."""
    pattern, is_whole = (pattern[:-1], True) if pattern.endswith("$") else (pattern, False)
    parts = pattern.split("*")
    if not path.startswith(parts[0]):
        return False
    if len(parts) == 1:
        return not is_whole or path == parts[0]
    at = len(parts[0])
    *middle, last = parts[1:]
    for part in middle:  # the first place that fits leaves the most for what follows
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    if is_whole:
        return len(path) - len(last) >= at and path.endswith(last)
    return path.find(last, at) >= 0
