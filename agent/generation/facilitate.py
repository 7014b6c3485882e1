"""Facilitation without a language model: techniques' questions one a turn, people's ideas first, sparks after. Pure.

Where a session stands is read off the conversation: a reply names its technique as *Title* once, when it begins.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.conversation import proposes, rejects
from agent.generation.phrases import phrase, phrases
from agent.generation.sentences import Kind, cut
from agent.ideation.stimuli import things
from agent.ideation.techniques import Technique, choose, named, techniques
from agent.message import Line, Prompt
from agent.surface import looks_like_question
from retrieval.passage import Passage

_LEAD_IN = re.compile(
    r"""^\W*(?:(?:ok(?:ay)?|so|well|hey|hi|hello|atelier|please|now|great)\b[\s,:!]*)*
    (?:/ideate\s+
    |(?:(?:can|could|would|will)\s+(?:you|we)\s+)?(?:please\s+)?(?:help\s+(?:me|us)\s+(?:to\s+)?)?
      (?:let'?s\s+|let\s+us\s+|(?:i|we)(?:'d|\s+would)?\s+(?:want|like|need)\s+(?:to\s+)?|(?:i|we)\s+need\s+)?
      (?:brainstorm(?:ing)?|ideate|think(?:\s+(?:of|up|about|through))?|come\s+up\s+with|generate|collect|find|give\s+(?:me|us)|suggest
        |use|try|do|apply|start|run|play|explore|go\s+through|work\s+with|have)\b
    |(?:any|some|more|new|creative|fresh|good)\s+(?=ideas|names|suggestions|ways)
    |(?:i|we)(?:'d|\s+would)?\s+(?:need|want|like|could\s+use|look(?:ing)?\s+for)\s+(?=.*\b(?:ideas?|ways|suggestions)\b)
    |(?:i'm|we're|i\s+am|we\s+are)\s+looking\s+for\s+(?=.*\b(?:ideas?|ways|suggestions)\b)
    |what\s+(?:could|can|should|might)\s+(?:we|i)\s+(?:do|try)\b
    |let'?s(?=\s+(?:on|for|about)\b)
    |(?=how\s+(?:could|can|might|should)\s+(?:we|i)\b|ideas?\b|brainstorm)
    )\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_OBJECT = re.compile(
    r"""^(?:(?:a|an|the|some|any|a\s+few|a\s+lot\s+of|more|new|creative|fresh|good|crazy|wild|our|\d+|two|three|five|ten)\s+)*
    (?:ideas?|suggestions?|concepts?|options?|possibilities|ways|brainstorm(?:ing)?(?:\s+session)?|session)\b
    \s*""",
    re.IGNORECASE | re.VERBOSE,
)
_CONNECTOR = re.compile(
    r"^(?:(?:about|on|for|of|over|around|regarding|with|at|using)\s+)*"
    r"(?P<verb>(?:to|how\s+(?:to|(?:we|i)\s+(?:can|could|should|might)|(?:can|could|should|might)\s+(?:we|i)))\s+)?",
    re.IGNORECASE,
)
_ORDER = re.compile(r"^\s*/ideate\s+", re.IGNORECASE)
_TAIL = re.compile(r"[\s,.!?:;-]*(?:\b(?:please|together|with\s+(?:me|us)|now|today)\b[\s,.!?:;-]*)*$", re.IGNORECASE)
_MOVES_ON = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|please|and|the)\s+)*(?:next|go\s+on|continue|skip|more|another(?:\s+(?:one|question))?|weiter|further)"
    r"(?:\s+(?:question|round|one|please))?\W*$",
    re.IGNORECASE,
)
_CHANGES = re.compile(
    r"\b(?:another|different|other|change|switch|new)\s+(?:the\s+)?(?:technique|method|way|approach)\b", re.IGNORECASE
)
_ENDS = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|i\s+think|let'?s|we|that'?s|i'?m|we'?re|now)\s+)*(?:stop|done|finish(?:ed)?|enough|end|that'?s\s+(?:all|it)|wrap\s+up)\b",
    re.IGNORECASE,
)
# What starts afresh while a session runs, where "use recycled paper" or "give students a discount" are ideas.
_AFRESH = re.compile(
    r"/ideate\b|\b(?:brainstorm(?:ing)?|ideate|ideas\s+(?:for|on|about|how)|ways\s+to)\b"
    r"|^\W*(?:let'?s|help\s+(?:me|us))\s+think\b|^\W*how\s+(?:could|can|might|should)\s+(?:we|i)\b",
    re.IGNORECASE,
)
# Who asks for ideas, or has none, has not given one.
_ASKS_US = re.compile(
    r"""^\W*(?:(?:ok(?:ay)?|so|well|hm+|sorry|please|and|but|now|ich\s+habe|i(?:['’]ve|\s+have)(?:\s+got)?)\b[\s,.!:]*)*
    (?:(?:absolutely\s+)?no\s+(?:clue|ideas?)(?:\s+(?:at\s+all|yet|left|sorry))?|keine\s+(?:ahnung|idee(?:n)?)(?:\s+mehr)?
    |(?:i\s+)?(?:really\s+)?(?:do\s+not|don['’]?t)\s+know|nothing\s+comes\s+to\s+(?:my\s+)?mind|i(?:['’]m|\s+am)\s+stuck|we(?:['’]re|\s+are)\s+stuck
    |you\s+(?:tell\s+me|first|start|go\s+first|do\s+it)|your\s+turn|sag\s+du|du\s+zuerst
    |(?:(?:can|could|would|will)\s+you\s+)?(?:please\s+)?(?:(?:give|show|tell|suggest|make)\s+(?:me|us)?\s*|gib\s+mir\s+)
      (?:(?:a|an|some|any|a\s+few|more|your|an?other|one|two|three|four|five|ten|ein\s+paar|\d{1,2})\s+)*(?:good\s+|new\s+|wild\s+)?
      (?:ideas?|examples?|suggestions?|hints?|ideen|beispiele?)
    |(?:any|some|more|your)\s+(?:ideas|suggestions|examples)|(?:do\s+)?you\s+have\s+(?:any|some)\s+ideas
    |(?:please\s+)?(?:help|inspire)\s+(?:me|us)(?:\s+out)?|hilf\s+mir)
    (?:[\s,.;–-]+(?:you\s+tell\s+(?:me|us)|please|then|now|sag\s+du|bitte|mal|help\s+me|give\s+me\s+(?:some|one)))*[\s!?.]*$""",
    re.IGNORECASE | re.VERBOSE,
)
_COMPLAINS = re.compile(
    r"^\W*(?:(?:but|and|sorry|ok(?:ay)?|well)\b[\s,]*)*(?:this|that|it|you)(?:['’]?s|['’]?re|\s+(?:is|are|was))\s+(?:(?:so|really|just|all|a|such|"
    r"complete(?:ly)?|total(?:ly)?)\s+)*(?:stupid|dumb|silly|useless|boring|pointless|crap|shit|bullshit|rubbish|nonsense|annoying|waste\s+of"
    r"\s+time)\W*$",
    re.IGNORECASE,
)
_WANTS_OURS = re.compile(
    r"(?i)\b(?:give|suggest|show|tell)\s+(?:me|us)?\s*(?:\w+\s+){0,3}(?:ideas|suggestions|ways)\b|\bcome\s+up\s+with\b"
)
_LISTS = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|so|now|please|and|great)\b[\s,]*)*(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?|let'?s\s+)?"
    r"(?:(?:summari[sz]e|recap|sum\s+up|list|show|collect|read\s+(?:out|back)|give\s+me|what\s+(?:are|were)|which\s+(?:are|were))"
    r"(?:\s+me)?(?:\s+(?:a\s+)?(?:list|summary)\s+of)?\s+(?:all\s+)?(?:of\s+)?(?:our|my|the|your|these|those|all)\s+"
    r"(?:(?:own|collected|best)\s+)?ideas|summari[sz]e|summary|sum\s+up|recap|what\s+do\s+we\s+have|"
    r"what\s+ideas\s+(?:do|did)\s+we\s+have)(?:\s+(?:so\s+far|until\s+now|please|again|yet))*\W*$",
    re.IGNORECASE,
)
_DOUBLED = re.compile(r"[^aeiou]*[aeiou][bdgklmnprt]$", re.IGNORECASE)  # get, plan, stop
_NO_TOPIC = frozenset(
    "idea ideas it this that something anything me us some help please brainstorm brainstorming creative fun one".split(
        " "
    )
)
POINTS = 3  # starting points at a time
SPARK = 0.25  # a passage less likely to have to do with the topic is noise, not a spark
_LONGEST_TOPIC = 120  # characters: longer ones are a text, not a topic
_MARK = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s*")


@dataclass(frozen=True, slots=True)
class Session:
    """What the conversation says of the session that runs. asked: questions put so far. ideas: people's, in order."""

    technique: Technique
    topic: str
    asked: int
    ideas: tuple[str, ...]


def facilitate(prompt: Prompt) -> str:
    """The next turn of thinking together: a technique's question, and what people and documents gave so far."""
    bare = _ORDER.sub("", prompt.message)
    if steers(bare):  # "/ideate next" is no topic
        prompt = replace(prompt, message=bare)
    lines = prompt.history.lines
    session, technique, topic = running(lines), named(prompt.message), topic_of(prompt.message)
    if lists(prompt.message):
        return _list(session or latest(lines), goes_on=session is not None)
    if session is None:
        return _open(prompt, technique, topic or _last_topic(lines))
    if topic and _AFRESH.search(prompt.message):
        return _open(prompt, technique, topic)
    if technique is not None:
        return _open(prompt, technique, topic or session.topic)
    if _CHANGES.search(prompt.message):
        return _open(prompt, None, session.topic)
    if _ENDS.match(prompt.message):
        return _close(session)
    if asks_us(prompt.message):
        return f"{_points(prompt, session.topic)}\n\n{phrase('ideate', 'argue', prompt.history)}"
    return _go_on(prompt, session)


def topic_of(message: str) -> str:
    """What ideas are wanted for, as it fits into a sentence: "names for our cat café"; "" when none is said."""
    text = message.strip().split("\n")[0]
    technique = named(text)
    if technique is not None:
        names = "|".join(re.escape(name) for name in sorted(technique.names, key=len, reverse=True))
        text = re.sub(
            rf"(?:\b(?:using|with|by|via|use|try|do)\s+)?(?:the\s+)?(?<!\w)(?:{names})(?!\w)(?:\s+(?:technique|method))?",
            " ",
            text,
            flags=re.IGNORECASE,
        )
        text = " ".join(text.split())
    text = _LEAD_IN.sub("", text, count=1)
    text = _OBJECT.sub("", text, count=1)
    connector = _CONNECTOR.match(text)
    text = _trimmed(text[connector.end() :]) if connector else text
    if connector and connector["verb"]:
        verb, space, rest = text.partition(" ")
        text = f"{_gerund(verb)}{space}{rest}"
    known = {word.casefold() for word in re.findall(r"\w+", text)}
    return "" if not known or known <= _NO_TOPIC else text


def contributes(message: str) -> bool:
    """Whether a message can add to a technique: any that is no question, and proposals ("what if we …?")."""
    return not looks_like_question(message) or proposes(message)


def asks_us(message: str) -> bool:
    """Whether somebody in a session has no idea, or asks for ours: "no idea, you tell me"."""
    return _ASKS_US.match(message) is not None


def lists(message: str) -> bool:
    """Whether a message asks for the ideas so far: "summarise our ideas"."""
    return _LISTS.match(message) is not None


def running(lines: Sequence[Line]) -> Session | None:
    """The session a conversation is in, or None."""
    session, is_on = _followed(lines)
    return session if is_on else None


def latest(lines: Sequence[Line]) -> Session | None:
    """The last session of a conversation, be it over or not; None when there was none."""
    return _followed(lines)[0]


def _followed(lines: Sequence[Line]) -> tuple[Session | None, bool]:
    """The last session, and whether it is still on."""
    technique, asked, topic, ideas, is_on = None, 0, "", list[str](), False
    for i, line in enumerate(lines):
        if line.role == "assistant":
            begun = next((each for each in techniques() if _begins(line.text, each)), None)
            if begun is not None:
                said = lines[i - 1].text if i and lines[i - 1].role == "user" else ""
                kept = _topic_said(line.text, begun)
                if (kept and kept != topic) or not is_on:
                    ideas.clear()
                technique, asked, topic, is_on = begun, 1, kept or topic_of(said) or topic, True
            elif not is_on or technique is None:
                continue
            elif phrase("ideate", "collected") in line.text or phrase("ideate", "nothing_yet")[:40] in line.text:
                is_on = False
            elif any(technique.ask(n, topic) in line.text for n in range(asked, len(technique.rounds))):
                asked += 1
        elif is_on and not _is_order(line.text) and contributes(line.text):
            ideas += _ideas_in(line.text)
    return (Session(technique, topic, asked, tuple(ideas)), is_on) if technique is not None else (None, False)


def _begins(text: str, technique: Technique) -> bool:
    return bool(_topic_said(text, technique))


def _topic_said(text: str, technique: Technique) -> str:
    for name in ("open", "open_named"):
        shape = phrase("ideate", name)
        pattern = re.escape(shape).replace(r"\{topic\}", "(?P<topic>.+?)")
        pattern = pattern.replace(r"\{title\}", re.escape(technique.title)).replace(r"\{when\}", ".+?")
        found = re.match(rf"{pattern}(?=\n|$)", text)
        if found:
            return found["topic"]
    return ""


def _open(prompt: Prompt, technique: Technique | None, topic: str) -> str:
    if not topic:
        return phrase("ideate", "no_topic")
    chosen = technique or choose(topic, prompt.history.lines)
    shape = phrase("ideate", "open_named" if technique else "open")
    opening = shape.format(topic=topic, title=chosen.title, when=chosen.when)
    ours = [_points(prompt, topic)] if _WANTS_OURS.search(prompt.message) else []
    return "\n\n".join([opening, chosen.ask(0, topic), *ours, phrase("ideate", "invite", prompt.history)])


def _points(prompt: Prompt, topic: str) -> str:
    """Three questions to argue with, made from the topic and from things that have nothing to do with it."""
    turn = len(prompt.history.lines) // 2
    shapes, given = phrases("ideate", "points"), things()
    chosen = [shapes[(POINTS * turn + i) % len(shapes)] for i in range(POINTS)]
    thing = given[zlib.crc32(f"{topic}/{turn}".encode()) % len(given)]
    listed = "\n".join(f"- {shape.format(topic=topic, thing=thing)}" for shape in chosen)
    first, more = phrases("ideate", "offered")
    said = more if any(first in line.text for line in prompt.history.lines) else first
    return f"{said}\n\n{listed}"


def _go_on(prompt: Prompt, session: Session) -> str:
    ideas = [] if _is_order(prompt.message) else _ideas_in(prompt.message)
    now = Session(session.technique, session.topic, session.asked, (*session.ideas, *ideas))
    parts = [phrase("ideate", "received", prompt.history).format(count=_counted(len(now.ideas)))] if ideas else []
    if now.asked >= len(now.technique.rounds):
        return "\n\n".join([*parts, phrase("ideate", "done").format(title=now.technique.title), _close(now)])
    parts.append(now.technique.ask(now.asked, now.topic))
    spark = _spark(prompt.passages, now) if now.technique.stimulus else ""
    return "\n\n".join([*parts, spark or phrase("ideate", "go_on", prompt.history)])


def _close(session: Session) -> str:
    others = [each.title for each in techniques() if each.id != session.technique.id]
    start = len(session.topic) % len(others)
    named_others = f"*{others[start]}* or *{others[(start + 3) % len(others)]}*".replace("*", "")
    if not session.ideas:
        return phrase("ideate", "nothing_yet").format(others=named_others)
    choose_one = phrase("ideate", "choose").format(others=named_others)
    return "\n\n".join([phrase("ideate", "collected"), _numbered(session.ideas), choose_one])


def _list(session: Session | None, *, goes_on: bool) -> str:
    """The ideas so far; the session goes on where it was."""
    if session is None or not session.ideas:
        return phrase("ideate", "none_yet" if goes_on else "none")
    opening = phrase("ideate", "listed").format(topic=session.topic, count=_counted(len(session.ideas)))
    return "\n\n".join(
        [opening, _numbered(session.ideas), phrase("ideate", "listed_end" if goes_on else "listed_over")]
    )


def _numbered(ideas: Sequence[str]) -> str:
    return "\n".join(f"{i}. {idea}" for i, idea in enumerate(ideas, 1))


def _spark(passages: Sequence[Passage], session: Session) -> str:
    """A sentence of the documents that nobody has been shown in this session: another one each round."""
    found = [
        (unit.text, number)
        for number, passage in enumerate(passages, 1)
        if passage.score >= SPARK
        for unit in cut(passage.text)
        if unit.kind is Kind.SENTENCE and 40 <= len(unit.text) <= 220 and not unit.announces
    ]
    if not found:
        return ""
    text, number = found[(session.asked - 1) % len(found)]
    quote = text.replace('"', "'")
    return phrase("ideate", "spark").format(quote=quote, citation=f"[{number}]")


def _gerund(verb: str) -> str:
    """Of "reduce" as "reducing", so that a wish fits into a sentence."""
    if verb.endswith("ing") or not verb.isalpha():
        return verb
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and len(verb) > 2:
        return f"{verb[:-1]}ing"
    return f"{verb}{verb[-1]}ing" if _DOUBLED.fullmatch(verb) else f"{verb}ing"


def _last_topic(lines: Sequence[Line]) -> str:
    """The topic of the last session, where a message only says "let's use six hats"."""
    said = [line.text for line in lines if line.role == "assistant"]
    topics = (_topic_said(text, technique) for text in reversed(said) for technique in techniques())
    return next((topic for topic in topics if topic), "")


def steers(text: str) -> bool:
    """Whether a message only moves a session on, ends it, or asks for its ideas: "next", "that's all"."""
    return bool(_MOVES_ON.match(text) or _ENDS.match(text) or lists(text))


def _is_order(text: str) -> bool:
    """Whether a message says how to go on, or what it thinks of that, and so is no idea itself."""
    text = _ORDER.sub("", text)
    steered = _MOVES_ON.match(text) or _CHANGES.search(text) or _ENDS.match(text) or lists(text) or named(text)
    return bool(steered or asks_us(text) or rejects(text) or _COMPLAINS.match(text))


def _ideas_in(text: str) -> list[str]:
    """One idea a line; a single line may hold several, set apart by semicolons."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) == 1 and ";" in lines[0]:
        lines = lines[0].split(";")
    found = [_MARK.sub("", line).strip() for line in lines]
    return [idea for idea in found if re.search(r"\w", idea)]


def _counted(count: int) -> str:
    return "one idea" if count == 1 else f"{count} ideas"


def _trimmed(text: str) -> str:
    """A topic as it stands within a sentence, "my" and "our" turned round to "your"."""
    text = _TAIL.sub("", text.strip())
    text = re.sub(r"(?i)\b(?:my|our)\b", "your", text)
    text = re.sub(r"(?i)\b(?:me|us)\b", "you", text)
    return text if len(text) <= _LONGEST_TOPIC else f"{text[:_LONGEST_TOPIC].rsplit(' ', 1)[0]} …"
