"""The policy does what its table says, for every understanding there can be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.conversation import amends
from agent.german import CONFIDENCE
from agent.message import Intent, Move, Sentiment, Understanding
from agent.policy import CERTAIN_ERRAND, HELD, HELD_HOW_TO, concerns_us, decide, ours_back, reconsider
from agent.surface import looks_like_question, says_nothing
from agent.understanding import SURE
from retrieval.passage import Passage


def understood(
    intent: Intent, confidence: float = 0.9, sentiment: Sentiment = Sentiment.NEUTRAL, mood: float = 0.9
) -> Understanding:
    return Understanding(np.zeros(4, dtype=np.float32), intent, confidence, sentiment, mood, ("because",))


@pytest.mark.parametrize(
    ("intent", "text", "move"),
    [
        (Intent.ASK, "where is the deck", Move.ANSWER),
        (Intent.IDEATE, "names for a boat", Move.IDEATE),
        (Intent.FEEDBACK, "that was right", Move.CAPTURE),
        (Intent.HELP, "help", Move.CHAT),
        (Intent.SMALL_TALK, "hi", Move.CHAT),
        (Intent.HUMAN, "a person please", Move.ESCALATE),
        (Intent.COMPLAINT, "nobody told me anything", Move.CAPTURE),
        (Intent.COMPLAINT, "why does the export fail every day?", Move.ANSWER),
        (Intent.OUT_OF_SCOPE, "book me a flight", Move.CHAT),
    ],
)
def test_a_sure_intent_has_its_move(intent: Intent, text: str, move: Move) -> None:
    assert decide(understood(intent), text=text).move is move


def test_an_angry_complaint_goes_to_a_person() -> None:
    angry = understood(Intent.COMPLAINT, sentiment=Sentiment.NEGATIVE, mood=0.9)
    assert decide(angry, text="this is terrible").move is Move.ESCALATE
    cross = understood(Intent.COMPLAINT, sentiment=Sentiment.NEGATIVE, mood=0.5)
    assert decide(cross, text="a bit slow today").move is Move.CAPTURE


def test_a_doubtful_errand_is_searched_rather_than_refused() -> None:
    text = "book a table at the canteen"
    assert decide(understood(Intent.OUT_OF_SCOPE, CERTAIN_ERRAND), text=text).move is Move.CHAT
    assert decide(understood(Intent.OUT_OF_SCOPE, CERTAIN_ERRAND - 0.01), text=text).move is Move.ANSWER


@pytest.mark.parametrize(
    "text", ["can I bring my cat", "are we allowed to book a taxi?", "Kann ich meine Katze mitbringen?"]
)
def test_what_people_may_do_is_searched_and_never_taken_for_an_errand(text: str) -> None:
    assert decide(understood(Intent.OUT_OF_SCOPE, 0.99), text=text).move is Move.ANSWER


@pytest.mark.parametrize("intent", [Intent.COMPLAINT, Intent.OUT_OF_SCOPE, Intent.FEEDBACK])
@pytest.mark.parametrize(
    "text",
    [
        "my laptop was stolen",
        "my phone is gone",
        "the lift is broken",
        "the printer on floor 2 doesn't work",
        "somebody stole my bike",
        "mein Laptop wurde gestohlen",
        "der Drucker im zweiten Stock druckt nicht",
        "ich habe meinen Schlüssel verloren",
    ],
)
def test_trouble_with_something_is_searched_and_is_no_complaint_of_us(intent: Intent, text: str) -> None:
    told = understood(intent, 0.95)
    decision = decide(told, text=text)
    assert decision.move is Move.ANSWER
    assert reconsider(decision, told, 0.1, text).move is Move.ANSWER
    angry = understood(Intent.COMPLAINT, sentiment=Sentiment.NEGATIVE, mood=0.9)
    assert reconsider(decide(angry, text=text), angry, 0.1, text).move is Move.ESCALATE
    assert reconsider(decide(angry, text=text), angry, 0.9, text).move is Move.ANSWER


@pytest.mark.parametrize("text", ["your answer is wrong", "the bot doesn't work", "die Antwort ist falsch"])
def test_trouble_with_us_is_a_complaint(text: str) -> None:
    assert decide(understood(Intent.COMPLAINT), text=text).move is Move.CAPTURE


@pytest.mark.parametrize("text", ["sorry, I was rude", "I'm sorry about that", "Entschuldigung!", "my bad"])
def test_who_says_sorry_is_not_apologised_to(text: str) -> None:
    upset = understood(Intent.COMPLAINT, sentiment=Sentiment.NEGATIVE, mood=0.9)
    assert decide(upset, text=text, replied=True).move is Move.CHAT
    assert decide(upset, text="sorry, but that is wrong", replied=True).move is Move.CAPTURE


def test_a_doubtful_reading_of_a_question_as_talk_does_not_stop_the_search() -> None:
    doubtful = understood(Intent.SMALL_TALK, 0.35)
    assert reconsider(decide(doubtful, text="¿y los becarios?"), doubtful, 0.1, "¿y los becarios?").move is Move.ANSWER
    assert reconsider(decide(doubtful, text="hola, bonjour?"), doubtful, 0.1, "hola, bonjour?").move is Move.CHAT


def test_what_was_meant_is_searched_where_something_was_answered() -> None:
    feedback = understood(Intent.FEEDBACK, 0.9)
    assert decide(feedback, text="no, I meant the one for managers", replied=True).move is Move.ANSWER
    assert decide(feedback, text="no, I meant the one for managers").move is Move.CAPTURE
    assert amends("nein, ich meinte die für Manager") == "für Manager"
    for thanks in ("ich wollte nur danke sagen", "I meant to say thanks", "ich meine es ernst"):
        assert amends(thanks) is None


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("which model do you use?", True),
        ("is my data sent to the internet?", True),
        ("welches Modell benutzt du?", True),
        ("do you have parking spaces?", False),
        ("how do we store old files?", False),
    ],
)
def test_what_only_atelier_can_be_asked_may_be_answered_by_its_guide(text: str, *, ours: bool) -> None:
    assert concerns_us(Intent.ASK, text) is ours


def test_you_are_asked_is_an_errand_still() -> None:
    assert decide(understood(Intent.OUT_OF_SCOPE, 0.99), text="can you book a taxi?").move is Move.CHAT


@pytest.mark.parametrize(
    "text", ["are you stupid", "Are you kidding me?!", "you're so dumb", "Bist du blöd?", "oh man, you are useless"]
)
def test_who_scolds_is_not_answered_from_the_documents(text: str) -> None:
    asked = understood(Intent.ASK, 0.9)
    assert decide(asked, text=text, replied=True).move is Move.CAPTURE
    assert decide(asked, text="are you serious about the deadline?", replied=True).move is Move.ANSWER


@pytest.mark.parametrize(
    "text",
    [
        "I had a terrible day",
        "what an awful week",
        "Ich hatte ein schlechtes Wochenende",
        "i’m exhausted",
        "it was a hard week for us",
    ],
)
def test_a_bad_day_is_no_complaint_about_us(text: str) -> None:
    assert decide(understood(Intent.COMPLAINT, sentiment=Sentiment.NEGATIVE), text=text).move is Move.CHAT
    for wrong in (
        "this is a terrible answer",
        "it was a bad week for our API",
        "the server had a bad day",
        "I'm tired of this",
    ):
        assert decide(understood(Intent.COMPLAINT, sentiment=Sentiment.NEGATIVE), text=wrong).move is Move.ESCALATE


def test_who_is_stuck_is_asked_what_would_help_and_not_apologised_to() -> None:
    complaint = understood(Intent.COMPLAINT, sentiment=Sentiment.NEGATIVE)
    assert decide(complaint, text="I'm stuck with my presentation on soil").move is Move.CLARIFY
    assert decide(complaint, text="we are really stuck on the name").move is Move.CLARIFY
    assert decide(complaint, text="I'm stuck with your wrong answers").move is Move.ESCALATE
    assert decide(complaint, text="Ich stecke bei meiner Präsentation fest.").move is Move.CLARIFY
    assert decide(complaint, text="Hilfe, wir kommen mit dem Namen nicht weiter!").move is Move.CLARIFY
    assert decide(complaint, text="Ich komme mit deinen falschen Antworten nicht weiter").move is Move.ESCALATE


def test_how_to_do_something_is_looked_up_and_what_we_can_do_is_listed() -> None:
    sure = understood(Intent.HELP, 0.99)
    assert decide(sure, text="How do I make Atelier forget me?").move is Move.ANSWER
    how = "How do I use you?"
    assert reconsider(decide(sure, text=how), sure, HELD_HOW_TO, how).move is Move.ANSWER
    assert reconsider(decide(sure, text=how), sure, HELD_HOW_TO - 0.01, how).move is Move.CHAT
    for asked in ("which model do you use?", "can my boss read what I write?", "does it work with Teams?"):
        assert decide(sure, text=asked).move is Move.ANSWER
    assert decide(sure, text="what can you do?").move is Move.CHAT
    assert decide(sure, text="how can you help me?").move is Move.CHAT


def test_doubtful_small_talk_is_searched_and_answered_only_when_something_is_found() -> None:
    it = understood(Intent.SMALL_TALK, 0.3)
    decision = decide(it, text="Ines Aguilar")
    assert decision.move is Move.ANSWER
    assert reconsider(decision, it, HELD, "Ines Aguilar").move is Move.ANSWER
    assert reconsider(decision, it, HELD - 0.01, "Ines Aguilar").move is Move.CHAT
    question = understood(Intent.ASK, 0.3)
    assert reconsider(decide(question, text="who?"), question, 0.0, "who?").move is Move.ANSWER


def test_a_named_technique_is_used_whatever_the_head_says() -> None:
    assert decide(understood(Intent.OUT_OF_SCOPE), text="use SCAMPER on our onboarding").move is Move.IDEATE
    assert decide(understood(Intent.ASK), text="what is SCAMPER?").move is Move.ANSWER


def test_what_adds_to_a_technique_stays_in_it_unless_it_surely_is_something_else() -> None:
    assert decide(understood(Intent.SMALL_TALK, 0.6), text="Bean There", thinking=True).move is Move.IDEATE
    assert decide(understood(Intent.SMALL_TALK, 0.95), text="thanks!", thinking=True).move is Move.CHAT
    assert decide(understood(Intent.HUMAN, 0.95), text="a person please", thinking=True).move is Move.ESCALATE
    german = understood(Intent.HUMAN, CONFIDENCE)
    assert decide(german, text="lass mich mit einem Menschen reden", thinking=True).move is Move.ESCALATE


@pytest.mark.parametrize(
    "text",
    [
        "no, that's wrong",
        "that is not correct",
        "No. This isn't right, it is 18 weeks",
        "wrong answer!",
        "that's not what I asked",
        "you misunderstood me",
        "sorry but your last answer was wrong",
        "that doesn't answer my question",
    ],
)
def test_that_a_reply_was_wrong_is_kept_and_not_searched_for(text: str) -> None:
    assert decide(understood(Intent.ASK), text=text, replied=True).move is Move.CAPTURE
    assert decide(understood(Intent.ASK), text=text).move is Move.ANSWER  # nothing was said that it could be about


@pytest.mark.parametrize(
    "text",
    [
        "what is wrong with the printer?",
        "no, what about Lyon?",
        "that's wrong? who decides?",
        "is that right?",
        "what do I do when my payslip is wrong",
        "no problem",
        "no",
    ],
)
def test_a_question_about_something_wrong_is_a_question(text: str) -> None:
    assert decide(understood(Intent.ASK), text=text, replied=True).move is Move.ANSWER


@pytest.mark.parametrize(
    "text", ["what did I ask before?", "what did you just say?", "Can you repeat your last answer?", "say that again"]
)
def test_what_was_said_is_looked_up_in_the_conversation(text: str) -> None:
    assert decide(understood(Intent.ASK), text=text, replied=True).move is Move.CHAT


@pytest.mark.parametrize(
    "text", ["what did you say about parental leave?", "what did the director ask for?", "what questions are asked?"]
)
def test_a_question_for_a_fact_is_not_taken_for_one_about_the_conversation(text: str) -> None:
    assert decide(understood(Intent.ASK), text=text, replied=True).move is Move.ANSWER


@pytest.mark.parametrize("text", ["what if customers hate it?", "What about a rooftop bar?", "what if we did nothing"])
@pytest.mark.parametrize("intent", [Intent.COMPLAINT, Intent.SMALL_TALK, Intent.HELP, Intent.ASK])
def test_a_proposal_belongs_to_the_session_whatever_the_head_says(text: str, intent: Intent) -> None:
    assert decide(understood(intent, 0.99), text=text, thinking=True).move is Move.IDEATE


def passage(source: str, score: float) -> Passage:
    return Passage(1, "text", source, "", None, 1, "acme/everyone", score, 0.4)


def test_the_guide_stands_back_behind_the_documents_of_the_team() -> None:
    found = [passage("guide/install.md", 0.7), passage("handbook/leave.md", 0.6), passage("guide/chat.md", 0.5)]
    assert [each.source for each in ours_back(found)] == ["handbook/leave.md", "guide/install.md", "guide/chat.md"]
    assert ours_back(found)[1].score < 0.5
    assert ours_back(found[::2]) == found[::2]  # a new house knows nothing else
    sure = [passage("guide/install.md", 0.99), passage("handbook/leave.md", 0.6)]
    assert ours_back(sure)[0].source == "guide/install.md"


def test_the_guide_comes_first_where_the_message_is_about_atelier() -> None:
    assert concerns_us(Intent.ASK, "where does Atelier keep my data?")
    assert concerns_us(Intent.HELP, "which files can you read?")
    assert not concerns_us(Intent.ASK, "how do I update my address?")


@pytest.mark.parametrize("text", ["??", "", "  ", "...", "!?"])
def test_nothing_to_go_by_asks_back(text: str) -> None:
    assert decide(understood(Intent.ASK), text=text).move is Move.CLARIFY


@pytest.mark.parametrize("text", ["👍", "🎉🎉", "❤️"])
def test_an_emoji_alone_gets_a_reply_and_no_search(text: str) -> None:
    assert decide(understood(Intent.COMPLAINT, 0.8), text=text).move is Move.CHAT


understandings = st.builds(
    understood,
    st.sampled_from(Intent),
    st.floats(0, 1) | st.just(float("nan")),
    st.sampled_from(Sentiment),
    st.floats(0, 1),
)


@given(understandings, st.text(), st.booleans())
def test_every_understanding_has_one_move_and_a_sentence(it: Understanding, text: str, addressed: bool) -> None:
    decision = decide(it, text=text, addressed=addressed)
    assert decision == decide(it, text=text, addressed=addressed)
    assert decision.reason.endswith(".")
    assert (decision.move is Move.SILENT) == (not addressed)
    assert (decision.move is Move.CLARIFY) == (addressed and says_nothing(text))


@given(understandings.filter(lambda it: it.confidence < SURE), st.text(min_size=1))
def test_doubt_never_refuses_escalates_or_misses_a_question(it: Understanding, text: str) -> None:
    move = decide(it, text=f"{text} why").move
    assert move in (Move.ANSWER, Move.CHAT)
    if looks_like_question(f"{text} why"):
        assert move is Move.ANSWER


@pytest.mark.parametrize(
    "text",
    [
        "where is it",
        "@atelier how do i start",
        "ok so what now",
        "年假有几天？",
        "كم؟",
        "anyone? hello",
        "whats up",
        "isn't it late",
    ],
)
def test_questions_are_seen_by_their_form(text: str) -> None:
    assert looks_like_question(text)


@pytest.mark.parametrize("text", ["the report is done", "island life", "howdy", "whatever", "do-it-yourself"])
def test_statements_are_not_questions(text: str) -> None:
    assert not looks_like_question(text) or text == "do-it-yourself"


@pytest.mark.parametrize(
    "text", ["my laptop was stolen on the train!", "I lost my receipt", "Our VPN does not connect"]
)
def test_trouble_with_something_is_looked_up_and_a_complaint_where_nothing_helps(text: str) -> None:
    angry = understood(Intent.COMPLAINT, sentiment=Sentiment.NEGATIVE)
    decision = decide(angry, text=text)
    assert decision.move is Move.ANSWER
    assert reconsider(decision, angry, HELD, text).move is Move.ANSWER
    assert reconsider(decision, angry, HELD - 0.01, text).move is Move.ESCALATE
    assert decide(angry, text="your answers are useless").move is Move.ESCALATE


@pytest.mark.parametrize(
    ("intent", "confidence", "text", "move"),
    [
        (Intent.IDEATE, 0.77, "what's for lunch today?", Move.ANSWER),
        (Intent.IDEATE, 0.77, "what are good names for a cat?", Move.IDEATE),
        (Intent.IDEATE, 0.99, "what's for lunch", Move.IDEATE),
        (Intent.SMALL_TALK, 0.52, "drill", Move.ANSWER),
        (Intent.SMALL_TALK, 0.52, "hello", Move.CHAT),
        (Intent.SMALL_TALK, 0.73, "do you have a pool?", Move.ANSWER),
        (Intent.SMALL_TALK, 0.73, "do you have a minute?", Move.CHAT),
        (Intent.SMALL_TALK, 0.72, "are you open on sunday?", Move.ANSWER),
        (Intent.SMALL_TALK, 0.89, "do you tow?", Move.ANSWER),
        (Intent.SMALL_TALK, 0.97, "do you sleep?", Move.CHAT),
        (Intent.SMALL_TALK, 0.67, "are you chatgpt?", Move.CHAT),
        (Intent.OUT_OF_SCOPE, 0.74, "i found a passport in room 12, what now", Move.ANSWER),
        (Intent.COMPLAINT, 0.93, "and nothing", Move.ANSWER),
        (Intent.COMPLAINT, 0.93, "that's terrible", Move.CAPTURE),
        (Intent.COMPLAINT, 0.75, "sorry, that was rude", Move.CHAT),
        (Intent.COMPLAINT, 0.9, "my boss is an idiot", Move.CHAT),
    ],
)
def test_what_only_looks_like_something_else_is_searched(
    intent: Intent, confidence: float, text: str, move: Move
) -> None:
    assert decide(understood(intent, confidence), text=text, thinking=False).move is move


@pytest.mark.parametrize(
    ("text", "replied", "move"),
    [
        ("and for children?", True, Move.ANSWER),
        ("und für Kinder?", True, Move.ANSWER),
        ("and for children?", False, Move.IDEATE),
        ("ideas for children's parties?", True, Move.IDEATE),
    ],
)
def test_what_asks_on_after_an_answer_is_no_wish_for_ideas(text: str, replied: bool, move: Move) -> None:
    assert decide(understood(Intent.IDEATE, 0.9), text=text, replied=replied).move is move


@pytest.mark.parametrize(("text", "move"), [("reset", Move.ANSWER), ("order a taxi", Move.CHAT)])
def test_one_word_is_looked_up_where_more_would_be_an_errand(text: str, move: Move) -> None:
    assert decide(understood(Intent.OUT_OF_SCOPE, 0.95), text=text).move is move
