"""One message's understanding to one move, and why. Pure: the whole policy can be read on this page.

    not addressed                        SILENT     it was not for us
    no letter, digit or emoji ("??")     CLARIFY    there is nothing to go by
    emoji alone                          CHAT
    sure (50% and more) of
      ask                                ANSWER
      ideate                             IDEATE
      feedback                           CAPTURE
      help, small talk                   CHAT
      human                              ESCALATE
      complaint                          ANSWER if it asks, ESCALATE if clearly negative (60%), else CAPTURE
      out of scope, 70% and more         CHAT       an honest no
    small talk or help in doubt          CHAT, unless it is put as a question
    anything else in doubt               ANSWER     to search in vain costs little; to miss a question costs trust

Explicit requests (commands, buttons) never come here: callers act on them directly.
"""

from agent.message import Decision, Intent, Move, Sentiment, Understanding
from agent.surface import has_words, looks_like_question, says_nothing
from agent.understanding import SURE

CERTAIN_ERRAND = 0.70  # a wrong refusal loses an answerable question, so refusing takes more than SURE
STRONG_MOOD = 0.60  # a complaint this clearly negative goes to a person

_PLAIN = {
    Intent.ASK: (Move.ANSWER, "This is a question, so I search the documents."),
    Intent.IDEATE: (Move.IDEATE, "This asks for ideas, so I help to think."),
    Intent.FEEDBACK: (Move.CAPTURE, "This is feedback, so I note it."),
    Intent.HELP: (Move.CHAT, "This asks what I can do, so I tell."),
    Intent.SMALL_TALK: (Move.CHAT, "This is small talk, so I just reply."),
    Intent.HUMAN: (Move.ESCALATE, "A person is asked for, so I call one."),
}


def decide(understanding: Understanding, *, text: str, addressed: bool = True) -> Decision:
    """Decide what to do about a message. Never raises.

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
    if confidence < SURE:
        if intent in (Intent.SMALL_TALK, Intent.HELP) and not asks:
            return Decision(Move.CHAT, f"I am not sure what this wants ({confidence:.0%}), and it asks nothing.")
        return Decision(Move.ANSWER, f"I am not sure what this wants ({confidence:.0%}), so I search, to be safe.")
    if intent is Intent.COMPLAINT:
        return _answer_complaint(understanding, asks=asks)
    if intent is Intent.OUT_OF_SCOPE:
        if confidence >= CERTAIN_ERRAND:
            return Decision(Move.CHAT, "This is an errand that I cannot run from a chat, so I say so.")
        return Decision(Move.ANSWER, f"This may be an errand ({confidence:.0%}); the documents may still know.")
    return Decision(*_PLAIN[intent])


def _answer_complaint(understanding: Understanding, *, asks: bool) -> Decision:
    if asks:
        return Decision(Move.ANSWER, "This is a complaint that asks something, so I search for what helps.")
    if understanding.sentiment is Sentiment.NEGATIVE and understanding.sentiment_confidence >= STRONG_MOOD:
        return Decision(Move.ESCALATE, "This is a complaint and clearly negative, so I call a person.")
    return Decision(Move.CAPTURE, "This is a complaint, so I note it.")
