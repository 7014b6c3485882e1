"""One message's understanding to one move, and why. Pure: the whole policy can be read on this page.

    not addressed                        SILENT     it was not for us
    no letter, digit or emoji ("??")     CLARIFY    there is nothing to go by
    emoji alone                          CHAT
    names a technique, asks nothing      IDEATE
    asks what was said before            CHAT       the conversation answers, not the documents
    adds to a technique that is on       IDEATE     unless it is no proposal ("what if …?") and surely small talk, help,
                                                    a complaint or a call for a person, which says "I" or "you"
    says that a reply was wrong          CAPTURE    to be kept, not searched for
    says what was meant instead          ANSWER     "no, I meant the one for managers"
    says sorry                           CHAT
    says how somebody's own day was      CHAT       nothing went wrong with us
    asks on ("and for children?")        ANSWER     where it looks like a wish for ideas or an errand
    says that somebody is stuck          CLARIFY    an answer may help, or ideas: we ask which
    help below 85%, put as a question    ANSWER     the documents say more than a list of abilities
    help, "how do I …?"                  ANSWER     likewise, however sure
    sure (50% and more) of
      ask                                ANSWER
      ideate                             IDEATE
      feedback                           CAPTURE
      help, small talk                   CHAT
      human                              ESCALATE
      complaint                          ANSWER if it asks, or tells of trouble ("my laptop was stolen");
                                         ESCALATE if clearly negative (60%) and no passage helps, else CAPTURE
      out of scope, 70% and more         CHAT       an honest no (85% where it is put as a question), unless it asks
                                                    what the asker may or must do ("can I bring …?")
    anything in doubt                    ANSWER     to search in vain costs little; to miss a question costs trust

After the search, what may be small talk or a call for help and what no passage answers becomes CHAT (`reconsider`).
Atelier's own guide stands back behind the team's documents unless a message is about Atelier (`concerns_us`).
Explicit requests (commands, buttons) never come here: callers act on them directly.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.conversation import amends, apologises, is_stuck, proposes, recalls, rejects, tells_mood
from agent.generation.phrases import kind_of_small_talk
from agent.generation.to_us import may_be_idea
from agent.ideation.techniques import named
from agent.message import Decision, Intent, Move, Sentiment, Understanding
from agent.rewrite import content_words, fragment
from agent.surface import has_words, looks_like_question, says_nothing, striking_words
from agent.understanding import SURE
from retrieval.passage import Passage

CERTAIN_ERRAND = 0.70  # a wrong refusal loses an answerable question, so refusing takes more than SURE
CERTAIN_ERRAND_ASKED = 0.85  # "what's the weather?" against "where is my order?"
CERTAIN_WISH = 0.95  # "what's for lunch?" can look like a wish for ideas
CERTAIN_TALK, FEW = 0.7, 2  # "drill" can look like small talk
CERTAIN_TALK_ASKED = 0.8  # "do you have a pool?" too; "do you have children?" is surer
CERTAIN_TALK_OF_US = 0.95  # "are you open on Sunday?" against "do you sleep?"
INTERRUPTION = 0.8  # in the middle of a technique an idea of two words can look like small talk
CALL = 0.7  # and less often like a call for a person or for help
HELD = 0.5  # the probability from which a passage is believed to answer
HELD_HOW_TO = 0.3  # to "how do I …?" a page of the guide, given with doubt, says more than a list of abilities
PLAIN_HELP = 0.85  # the list of what Atelier can do answers "what can you do?" and not "which files can you read?"
GUIDE = "guide/"  # where the sources of Atelier's own documentation begin
GUIDE_ODDS = 0.2  # of a guide passage among the team's: "how do I update my address?" is seldom about us
TROUBLE = "This tells of trouble with something, so I search for what helps."
OFFERED = "This asks whether there is such a thing, so I search."
STRONG_MOOD = 0.60  # a complaint this clearly negative goes to a person

_OUR_NAME = re.compile(r"\batelier\b", re.IGNORECASE)
# "can I bring my cat?" is about what people may do; "can you bring me a coffee?" is an errand
_ASKS_LEAVE = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|so|and|but|hi|hey|hello|atelier)\b[\s,!.:]*)*"
    r"(?:(?:can|could|may|might|should|must|shall|do|are|am|is)\s+(?:i|we|one|people|employees|visitors|guests|anyone|everybody)"
    r"|(?:is\s+it|am\s+i|are\s+we)\s+(?:ok(?:ay)?|allowed)|(?:kann|könn(?:en|te|ten)|darf|dürf(?:en|te|ten)|muss|müssen|soll|sollen)"
    r"\s+(?:ich|wir|man|jemand))\b",
    re.IGNORECASE,
)
# "how do I delete what I wrote?" and "which model do you use?" are in the guide; "how can you help?" asks for the list
_HOW_TO = re.compile(
    r"^\W*(?:how\s+(?:do|can|could|should|would)\s+(?:i|we)|how\s+to|where\s+(?:do|can)\s+(?:i|we)"
    r"|which\s+\w+|what\s+(?:languages?|techniques?|models?|platforms?|chats?|licen[cs]e|version)"
    r"|can\s+(?:i|we|my|our|others|anybody|anyone)|do(?:es)?\s+(?:you|it|atelier)\s+(?:work|run|send|store|keep|learn|support|use)"
    r"|wie\s+(?:kann|können|muss|soll)\s+(?:ich|wir|man)|welche[rsn]?\s+\w+)\b",
    re.IGNORECASE,
)
# "my laptop was stolen" is no complaint about us, and the documents may say what to do
_BROKEN = (
    r"(?:(?:(?:is|was|are|were|has|have|got|been|['’]s)\s+)+(?:\w+\s+){0,2}(?:broken|stolen|lost|gone|missing|down|stuck|dead|locked|damaged|hacked"
    r"|cracked|jammed|blocked|offline|frozen|leaking|empty|expired|on\s+fire)|(?:does|do|did|is|are|was|will|wo|can|could)(?:n['’]?t|\s+not)\s+\w+"
    r"|cannot\s+\w+|keeps?\s+\w+ing|stopped\s+\w+ing|crash(?:es|ed)|broke(?:\s+down)?|disappeared|fell)\b"
)
_OURS = r"(?!(?:\w+\s+)?(?:answers?|repl(?:y|ies)|bot|atelier|chat|sources?|conversation|antworten?|quellen?)\b)"
_TROUBLE = re.compile(
    r"^\W*(?:(?:help|hi|hey|hello|so|oh|no|ok(?:ay)?|sorry|atelier|and|but|hilfe|hallo|und|oh\s+nein)\b\W*)*"
    rf"(?:(?:my|our)\s+{_OURS}(?:\w+\s+){{1,3}}?(?:is|was|are|were|has|have|does|do|did|will|can|got|keeps?|stopped|isn|wasn|aren|doesn"
    rf"|don|didn|won|can)\b|(?:the|my|our|a)\s+{_OURS}(?:[\w-]+\s+){{1,5}}?{_BROKEN}"
    r"|(?:i|we)(?:['’]ve|\s+have)?\s+(?:just\s+|accidentally\s+)?(?:found|lost|broke|forgot|forgotten|misplaced|missed|dropped|spilled|deleted)\b"
    r"|(?:i|we)\s+(?:can['’]?t|cannot)\s+(?:log|sign|find|open|reach|connect|print|access|get\s+in)\b"
    r"|(?:someone|somebody)\s+(?:stole|took|hacked|broke)\b"
    rf"|mein(?:e[mnr]?)?\s+{_OURS}(?:[\w-]+\s+){{1,4}}?(?:wurde|ist|war|hat|geht|funktioniert|startet|lässt|läuft|druckt)\b"
    rf"|(?:der|die|das|unser\w*)\s+{_OURS}(?:[\w-]+\s+){{1,5}}?(?:(?:ist|wurde|sind)\s+(?:\w+\s+){{0,2}}(?:kaputt|weg|gestohlen|geklaut|defekt|verschwunden"
    r"|gesperrt|leer|verloren|verstopft)|(?:geht|gehen|funktioniert|funktionieren|startet|druckt)\s+(?:\w+\s+){0,2}nicht)\b"
    r"|ich\s+habe?\s+(?:[\w-]+\s+){1,4}(?:verloren|vergessen|verlegt|verpasst)\b|ich\s+(?:komme|kann)\s+(?:(?!dein|euer|eure)[\w-]+\s+){0,4}nicht\b(?!\s+weiter))",
    re.IGNORECASE,
)
# what only Atelier itself can be asked: "which model do you use?", "is my data sent anywhere?"
_OF_US = re.compile(
    r"\b(?:do|does|did|can|could|are|will|have|has)\s+(?:you|it)\s+(?:\w+\s+)?(?:run|running|store|storing|send|sending|keep|remember|learn|learning|speak|support|train|trained"
    r"|cost|quote|search|forget|read|understand|use|using|work|need|connect|call)\b"
    r"|\b(?:my|our)\s+(?:data|messages|questions|words|chats?|conversations?|documents|files)\s+(?:\w+\s+)?(?:sent|stored|kept|saved|uploaded|shared|read|seen|safe|private|used|go|going|leave)\b"
    r"|\b(?:kannst|bist|hast|benutzt|verwendest|speicherst|nutzt|merkst|lernst|läufst|arbeitest|sprichst|verstehst|liest)\s+du\b"
    r"|\b(?:meine|unsere)\s+(?:daten|nachrichten|fragen|dokumente|gespräche)\s+(?:\w+\s+){0,3}(?:gesendet|geschickt|gespeichert|hochgeladen|sicher|gelesen|weitergegeben)\b",
    re.IGNORECASE,
)
_HAVE = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|so|and|but|hi|hey|hello|atelier)\b[\s,!.:]*)*(?:do\s+(?:you|we)\s+(?:\w+\s+)?(?:have|offer|sell|provide|serve|accept|take)"
    r"|have\s+(?:you|we)\s+got|(?:habt\s+ihr|haben\s+(?:sie|wir)|gibt\s+es))\s+(?!(?:a\s+|any\s+|ein(?:e|en)?\s+)?(?:time|minute|moment|second|zeit|momente?)\b)\w",
    re.IGNORECASE,
)
_OF_TEAM = re.compile(  # "are you open on Sunday?", "do you tow?"
    r"^\W*(?:(?:ok(?:ay)?|so|and|but|hi|hey|hello)\b[\s,!.:]*)*(?:(?:are|do|will|can)\s+you|(?:habt|seid|macht)\s+ihr)\s+"
    r"(?!have\s+(?:a\s+|any\s+)?(?:time|minute|moment|second)\b)\w",
    re.IGNORECASE,
)
_FACT = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|so|and|but|hi|hey|hello|atelier)\b[\s,!.:]*)*(?:what['’]?s|what\s+(?:is|are|was)|when|where|who|how\s+(?:much|many|long|far|old))\b",
    re.IGNORECASE,
)
_FOR_IDEAS = re.compile(
    r"\b(?:ideas?|ways?|names?|slogans?|titles?|taglines?|could|should|might|would|else|suggest\w*|options?|alternatives?|good|best|better|new|fun|creative|brainstorm\w*)\b",
    re.IGNORECASE,
)
_TALK = (Intent.HELP, Intent.SMALL_TALK)
_INTERRUPTS = {
    Intent.HUMAN: CALL,
    Intent.HELP: CALL,
    Intent.SMALL_TALK: INTERRUPTION,
    Intent.COMPLAINT: INTERRUPTION,
}
_PLAIN = {
    Intent.ASK: (Move.ANSWER, "This is a question, so I search the documents."),
    Intent.IDEATE: (Move.IDEATE, "This asks for ideas, so I help to think."),
    Intent.FEEDBACK: (Move.CAPTURE, "This is feedback, so I note it."),
    Intent.HELP: (Move.CHAT, "This asks what I can do, so I tell."),
    Intent.SMALL_TALK: (Move.CHAT, "This is small talk, so I just reply."),
    Intent.HUMAN: (Move.ESCALATE, "A person is asked for, so I say how to reach one."),
}


def decide(
    understanding: Understanding,
    *,
    text: str,
    addressed: bool = True,
    thinking: bool = False,
    replied: bool = False,
) -> Decision:
    """Decide what to do about a message. Never raises.

    thinking: whether the conversation is in the middle of a technique and the message can add to it. replied: whether
    Atelier has said something in this conversation that the message may be about.
    text: the message's words, for their form (is it put as a question, does it say anything). addressed: whether the
    message was meant for Atelier: a mention, a direct message, or a thread it takes part in.
    """
    intent, confidence = understanding.intent, understanding.confidence
    if not addressed:
        return Decision(Move.SILENT, "This was not addressed to me, so I stay silent.")
    if says_nothing(text):
        return Decision(Move.CLARIFY, "There are no words to go by, so I ask what is meant.")
    if not has_words(text):
        return Decision(Move.CHAT, "These are only signs, no words, so I just reply.")

    asks = looks_like_question(text)
    if named(text) is not None and not asks:
        return Decision(Move.IDEATE, "A technique is named, so we use it.")
    if apologises(text):
        return Decision(Move.CHAT, "Somebody says sorry, so I just reply.")
    if recalls(text) is not None:
        return Decision(Move.CHAT, "This asks what was said before, so I look into our conversation.")
    interrupts = confidence >= _INTERRUPTS.get(intent, 2.0) and not may_be_idea(text, understanding)
    if thinking and (proposes(text) or not interrupts):
        return Decision(Move.IDEATE, "We are thinking something through, so I take this as part of it.")
    if replied and rejects(text):
        return Decision(Move.CAPTURE, "This says that what I said was wrong, so I note it.")
    if replied and amends(text) is not None:
        return Decision(Move.ANSWER, "This says what was meant, so I search for that.")
    if intent in (Intent.COMPLAINT, Intent.FEEDBACK, Intent.SMALL_TALK) and "?" not in text and tells_mood(text):
        return Decision(Move.CHAT, "This is about how somebody's day is, so I just reply.")
    if intent in (Intent.COMPLAINT, Intent.FEEDBACK) and is_stuck(text):
        return Decision(Move.CLARIFY, "Somebody does not get on; an answer may help, or ideas, so I ask which.")
    if intent is Intent.HELP and asks and (confidence < PLAIN_HELP or _HOW_TO.match(text)):
        return Decision(Move.ANSWER, f"This may ask what I can do ({confidence:.0%}); the documents say it better.")
    if intent in (Intent.COMPLAINT, Intent.OUT_OF_SCOPE, Intent.FEEDBACK) and tells_trouble(text):
        return Decision(Move.ANSWER, TROUBLE)
    if intent in (Intent.HELP, Intent.SMALL_TALK) and asks and _OF_US.search(text):
        return Decision(Move.ANSWER, "This asks how I work, and my guide says it.")
    if intent is Intent.IDEATE and confidence < CERTAIN_WISH and _FACT.match(text) and not _FOR_IDEAS.search(text):
        return Decision(Move.ANSWER, "This asks for a fact, so I search the documents.")
    if (
        replied
        and intent in (Intent.IDEATE, Intent.OUT_OF_SCOPE)
        and "?" in text
        and content_words(fragment(text) or "")
    ):
        return Decision(Move.ANSWER, "This asks on about what was just said, so I search the documents.")
    if intent is Intent.SMALL_TALK and confidence < CERTAIN_TALK_ASKED and _HAVE.match(text):
        return Decision(Move.ANSWER, OFFERED)
    is_of_us = intent is not Intent.SMALL_TALK or confidence >= CERTAIN_TALK_OF_US or not asks
    if not is_of_us and _OF_TEAM.match(text) and kind_of_small_talk(text) == "otherwise":
        return Decision(Move.ANSWER, "This may be asked of the team and not of me, so I search.")
    is_word = intent is Intent.SMALL_TALK and confidence < CERTAIN_TALK and len(text.split()) <= FEW
    if is_word and kind_of_small_talk(text) == "otherwise":
        return Decision(Move.ANSWER, "This may be small talk or a word to look up, so I search.")
    if intent is Intent.OUT_OF_SCOPE and len(text.split()) == 1:
        return Decision(Move.ANSWER, "One word is no errand yet, so I look it up.")
    if confidence < SURE:
        return Decision(Move.ANSWER, f"I am not sure what this wants ({confidence:.0%}), so I search, to be safe.")
    if intent is Intent.COMPLAINT and len(text.split()) <= FEW and not striking_words(text):
        return Decision(Move.ANSWER, "This may be a complaint, but blames nothing, so I search.")
    if intent is Intent.COMPLAINT:
        return _answer_complaint(understanding, asks=asks)
    if intent is Intent.OUT_OF_SCOPE:
        if _ASKS_LEAVE.match(text):
            return Decision(Move.ANSWER, "This asks what one may do, so I search the documents.")
        if confidence >= (CERTAIN_ERRAND_ASKED if asks else CERTAIN_ERRAND):
            return Decision(Move.CHAT, "This is an errand that I cannot run from a chat, so I say so.")
        return Decision(Move.ANSWER, f"This may be an errand ({confidence:.0%}); the documents may still know.")
    return Decision(*_PLAIN[intent])


def reconsider(decision: Decision, understanding: Understanding, best: float, text: str) -> Decision:
    """The decision in the light of the search. best: the highest probability that a passage answers, 0 without any."""
    if decision.reason == TROUBLE and best < HELD and understanding.intent is Intent.COMPLAINT:
        answered = _answer_complaint(understanding, asks=looks_like_question(text))
        return answered if answered.move is Move.ESCALATE else decision  # nobody has complained of us: no apology
    if decision.reason == OFFERED:
        return decision
    is_sure = understanding.confidence >= SURE
    held = HELD_HOW_TO if understanding.intent is Intent.HELP and _HOW_TO.match(text) else HELD
    is_talk = is_sure or not looks_like_question(text) or kind_of_small_talk(text) != "otherwise"
    if decision.move is Move.ANSWER and understanding.intent in _TALK and is_talk and best < held:
        return Decision(Move.CHAT, "The documents hold nothing on this, and it may be no question, so I just reply.")
    return decision


def tells_trouble(text: str) -> bool:
    """Whether a message tells of trouble with something that is not ours: "my laptop was stolen"."""
    return _TROUBLE.match(text) is not None


def concerns_us(intent: Intent, text: str) -> bool:
    """Whether a message is about Atelier itself, so that its own guide may answer before the team's documents."""
    return intent is Intent.HELP or _OUR_NAME.search(text) is not None or _OF_US.search(text) is not None


def ours_back(passages: Sequence[Passage]) -> list[Passage]:
    """`passages` with those of the guide made less likely, best first; as they are where there are no others."""
    if all(map(is_ours, passages)):
        return list(passages)
    rescored = [replace(each, score=less_likely(each.score)) if is_ours(each) else each for each in passages]
    return sorted(rescored, key=lambda passage: -passage.score)


def is_ours(passage: Passage) -> bool:
    """Whether a passage is from the guide that comes with Atelier."""
    return passage.source.startswith(GUIDE)


def less_likely(probability: float) -> float:
    """What is left of the probability that a passage of the guide answers, where the team has documents of its own."""
    return GUIDE_ODDS * probability / (GUIDE_ODDS * probability + 1 - probability)


def _answer_complaint(understanding: Understanding, *, asks: bool) -> Decision:
    if asks:
        return Decision(Move.ANSWER, "This is a complaint that asks something, so I search for what helps.")
    if understanding.sentiment is Sentiment.NEGATIVE and understanding.sentiment_confidence >= STRONG_MOOD:
        return Decision(Move.ESCALATE, "This is a complaint and clearly negative, so a person should see it.")
    return Decision(Move.CAPTURE, "This is a complaint, so I note it.")
