"""What somebody wrote behind `/finetune`, as a wish. Pure."""

from dataclasses import dataclass

VERBS = ("run", "list", "show", "cancel", "resume", "promote", "rollback", "compare")
_SWITCHES = {"rated": "rated", "knowledge": "knowledge", "documents": "knowledge"}
_VALUES = ("recipe", "name")
_NAMED = {"show": 1, "cancel": 1, "resume": 1, "promote": 1, "compare": 2, "list": 0, "rollback": 0}


@dataclass(frozen=True, slots=True)
class Wish:
    """name: of a job or a version; of `run`, what the versions are called. other: the second version to compare."""

    verb: str
    name: str = ""
    other: str = ""
    recipe: str = ""
    rated: bool = False
    knowledge: bool = False


def wish_of(text: str) -> Wish | None:
    """`run rated recipe small-cpu`, or with the terminal's dashes, which phones make one long one of. None: no wish."""
    words = [word.lstrip("-–—") if word[:1] in "-–—" else word for word in text.split()]
    if not words or words[0].lower() not in VERBS:
        return None
    verb, rest = words[0].lower(), words[1:]
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
