"""The words Atelier says without a language model: data in `phrases.toml`, chosen without chance.

`phrases.de.toml` has them in German; what is missing there is said in English.
"""

import re
import tomllib
from functools import cache
from importlib.resources import files

from agent.conversation import LOW
from agent.message import History, primary_language
from agent.surface import mood_of_signs

_SMALL_TALK = {
    "thanks": r"\b(?:thanks?|thank you|thx|cheers|merci|danke?|gracias)\b|谢谢|ありがとう",
    "how_are_you": r"\bhow (?:are|r) (?:you|u|things)\b|\bhow(?:'s| is) it going\b|\bwhat['’]?s up\b"
    r"|^\W*(?:was|wa)?sup\W*$|\bwie geht(?:'?s| es)\b|你好吗",
    "who": r"\b(?:who|what) (?:exactly )?(?:are|r) (?:you|u)(?: exactly)?\W*$|\bwhat(?:'s| is) your name\b"
    r"|\b(?:are|r) (?:you|u) (?:(?:really|just|even|actually) )?(?:a |an |the )?(?:\w+ )?"
    r"(?:(?:chat)?bots?|robot|human|person|machine|ai|real|chat ?gpt|gpt[\w.-]*|claude|gemini|copilot|siri|alexa)\b"
    r"|\bwho (?:made|built|created|wrote|trained|developed) (?:you|u)\b"
    r"|\bwer hat dich (?:gemacht|gebaut|entwickelt|programmiert)\b"
    r"|\bintroduce yourself\b|\bwer bist du\b|\bwie heißt du\b|\bwer oder was bist du\b"
    r"|\bbist du (?:ein |eine |der |die )?(?:\w+ )?"
    r"(?:(?:chat)?bot|roboter|mensch|maschine|ki|echt|chat ?gpt|gpt[\w.-]*|claude|gemini|copilot|siri|alexa)\b|你是谁",
    "low": LOW,
    "opinion": r"\bwhat (?:do|would) you think (?:of|about)\b"
    r"|\bwhat(?:['’]s| is| are) your (?:opinion|view|thoughts|favou?rites?)\b"
    r"|\bdo you (?:like|love|hate|prefer|enjoy)\b|\bwas hältst du von\b|\bwie findest du\b|\bmagst du\b",
    "fact": r"\b(?:a|another|some|any) (?:\w+ )?facts?\b|\bfun facts?\b",
    "joke": r"\bjokes?\b|\bsomething funny\b|\bwitz\b",
    "goodbye": r"\b(?:bye|goodbye|good night|see you|ciao|tschüss?|later"
    r"|bis (?:morgen|bald|später|dann)|auf wiedersehen|schönen feierabend)\b|再见",
    "greeting": r"^\W*(?:hi|hello|hey|hallo|yo|moin|good (?:morning|afternoon|evening|day)"
    r"|guten? (?:morgen|tag|abend)|grüß (?:gott|dich|euch)"
    r"|greetings|bonjour|hola|servus)\b|你好",
    "praise": r"\b(?:great|awesome|nice|perfect|excellent|cool|brilliant"
    r"|good (?:job|work|bot)|well done|love (?:it|this)|super|toll|prima|klasse|perfekt)\b",
    "sorry": r"\b(?:sorry|apolog(?:ies|i[sz]e)|my bad|tut mir leid|entschuldigung|verzeihung|lo siento)\b",
    "nevermind": (
        r"^\W*(?:(?:oh|ok|no|well|ach|na)\b\W*)?(?:never ?mind|nvm|forget (?:about )?(?:it|that)|vergiss (?:es|das)"
        r"|egal|schon gut)\b"
    ),
    "refusal": r"^\W*(?:no|nope|nah|nein|nö|ne)\W*$",
    "agreement": r"^\W*(?:ok(?:ay)?|yes|yep|sure|fine|alright|got it|i see|right"
    r"|ja|gerne?|genau|alles klar|verstehe|passt)\b",
}


TRANSLATED = frozenset({"de"})
LANGUAGES = ("", *sorted(TRANSLATED))  # of the phrases; "" is English


@cache
def _phrases(language: str = "") -> dict[str, dict[str, str | list[str]]]:
    name = f"phrases.{language}.toml" if language else "phrases.toml"
    return tomllib.loads((files("agent.generation") / name).read_text("utf-8"))


def phrase(room: str, name: str, history: History = History(), language: str = "") -> str:  # noqa: B008 - a frozen value
    """A phrase; of several variants, the one whose turn it is at this length of the conversation.

    language: `de`, `de-AT`; English where it is not translated.
    """
    bare = primary_language(language)
    own = _phrases(bare).get(room, {}) if bare in TRANSLATED else {}
    found = own.get(name) or _phrases()[room][name]
    return found.strip() if isinstance(found, str) else found[len(history.lines) // 2 % len(found)]


def phrases(room: str, name: str, language: str = "") -> list[str]:
    """All variants of a phrase, in English where it is not translated."""
    bare = primary_language(language)
    own = _phrases(bare).get(room, {}) if bare in TRANSLATED else {}
    found = own.get(name) or _phrases()[room][name]
    return [found] if isinstance(found, str) else found


def small_talk(message: str, history: History, language: str = "") -> str:
    """A short reply to a greeting, thanks and the like."""
    return phrase("chat", kind_of_small_talk(message), history, language)


def kind_of_small_talk(message: str) -> str:
    """`greeting`, `thanks`, …: by its words, or `cheers`, `frowns` by an emoji alone; `otherwise` where none shows."""
    if (mood := mood_of_signs(message)) != 0:
        return "cheers" if mood > 0 else "frowns"
    return next((name for name, shape in _SMALL_TALK.items() if re.search(shape, message, re.IGNORECASE)), "otherwise")
