"""What somebody wrote behind `/finetune`, as a wish. Pure."""

import re
from dataclasses import dataclass, replace

VERBS = ("run", "list", "show", "cancel", "resume", "promote", "rollback", "compare")
_SWITCHES = {"rated": "rated", "knowledge": "knowledge", "documents": "knowledge"}
_VALUES = ("recipe", "name")
_DASHES = re.compile(r"^[-–—]+(?!\d)")  # a chat of Telegram's has a number with a minus
_SLACKS = re.compile(r"#([CG][A-Z0-9]{7,})")
_NAMED = {"show": 1, "cancel": 1, "resume": 1, "compare": 2, "list": 0, "rollback": 0}


@dataclass(frozen=True, slots=True)
class Wish:
    """name: of a job or a version; of `run`, what the versions are called. other: the second version to compare.

    share, channel, here: where a version answers on trial; here: where the command was given. None of them: no trial.
    """

    verb: str
    name: str = ""
    other: str = ""
    recipe: str = ""
    rated: bool = False
    knowledge: bool = False
    share: float | None = None
    channel: str = ""
    here: bool = False


def wish_of(text: str) -> Wish | None:
    """`run rated recipe small-cpu`, or with the terminal's dashes, which phones make one long one of. None: no wish."""
    words = [_DASHES.sub("", word) for word in text.split()]
    if not words or words[0].lower() not in VERBS:
        return None
    verb, rest = words[0].lower(), words[1:]
    if verb == "promote":
        return _promotion(rest)
    if verb != "run":
        name, other = [*rest, "", ""][:2]
        return Wish(verb, name, other) if len(rest) <= _NAMED[verb] else None
    switches: set[str] = set()
    values: dict[str, str] = {}
    while rest:
        word = rest.pop(0).lower()
        if word in _SWITCHES:
            switches.add(_SWITCHES[word])
        elif word in _VALUES and rest:
            values[word] = rest.pop(0)
        else:
            return None
    return Wish(
        verb,
        values.get("name", ""),
        recipe=values.get("recipe", ""),
        rated="rated" in switches,
        knowledge="knowledge" in switches,
    )


def _promotion(rest: list[str]) -> Wish | None:
    """`promote team-2`, or on trial: `promote team-2 share 10%`, `… channel C0123ABCD`, `… here`; `share 0` ends it."""
    wish = Wish("promote")
    while rest:
        word = rest.pop(0)
        match word.lower():
            case "here":
                wish = replace(wish, here=True)
            case "share" if rest and (share := _share(rest.pop(0))) is not None:
                wish = replace(wish, share=share)
            case "channel" if rest and (channel := _channel(rest.pop(0))):
                wish = replace(wish, channel=channel)
            case "share" | "channel":
                return None
            case _ if wish.name:
                return None
            case _:
                wish = replace(wish, name=word)
    return wish


def _share(text: str) -> float | None:
    """`0.1` or `10%`."""
    found = re.fullmatch(r"(\d{1,3}(?:[.,]\d{1,4})?|[.,]\d{1,4})(%?)", text)
    return float(found[1].replace(",", ".")) / (100 if found[2] else 1) if found else None


def _channel(text: str) -> str:
    """Its id, as it is or behind Slack's sign; empty for a name, which no trial would ever match."""
    linked = _SLACKS.fullmatch(text)
    return linked[1] if linked else "" if text.startswith("#") else text
