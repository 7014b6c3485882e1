"""Why a session refuses something, in sentences for people."""

from typing import NoReturn

from retrieval.errors import AtelierError

_SENTENCES = {
    "no_session": "That session does not exist. Open one with a topic, or check the code.",
    "runs_already": "A session runs here already. Close it first, or use a thread of its own for the new one.",
    "no_topic": "Tell me what to think about: a topic or a question.",
    "closed": "This session is over. Open a new one to go on.",
    "other_tenant": "That session belongs to another team.",
    "not_facilitator": "Only who facilitates the session can do that. Ask them, or have it handed over to you.",
    "empty": "There are no words in that, so there is nothing to put on the board.",
    "too_long": "That is longer than {most} characters. An idea is a sentence or two: shorten it, or send its parts.",
    "too_many": "The board holds {most} contributions already. Merge or withdraw some first.",
    "not_now": "In the phase “{phase}” that cannot be done. {when}",
    "no_idea": "There is no idea {idea} on the board, or it does not stand any more.",
    "not_yours": "That idea is somebody else's. Its author or the facilitator can change it.",
    "too_few": "Name at least two different ideas to merge.",
    "no_parts": "Name at least two parts to split the idea into.",
    "wants_question": "Questions are wanted now that begin with {begins}. Answers come later.",
    "wants": "Now {wanted} are wanted, and this reads like one of the {read}. Keep it for its turn, or insist.",
    "quota": "You have given your {quota} for this round. Look what the next one brings.",
    "no_dimension": "Write a dimension with two or more values, like “price: free, once, monthly”.",
    "no_technique": "There is no technique called {technique!r}. Known are: {known}.",
    "no_stage": "No technique runs at the moment.",
    "no_dots": "You have {left} of {dots} dots left. Take some from another idea first.",
    "not_ballot": "This session votes by {ballot}.",
    "no_criterion": "There is no criterion {criterion!r}. It is voted on: {known}.",
    "bad_score": "Give 1 to 5: 5 is best.",
    "same_idea": "Name two different ideas to compare.",
    "hidden": "That idea is not shown yet, so nothing can be done with it.",
    "no_member": "They do not take part in this session. They join by writing or pressing something in it.",
    "bad_cell": "Give one value of each dimension: {dimensions}.",
    "near": "That repeats idea {idea}, so it was not put on the board.",
    "bad_rules": "{problem}",
    "no_action": "There is no action {action} in this session.",
    "no_wording": "Give the words the question is to have.",
    "bad_time": "Give the minutes as a number from 1 to {most}.",
}


class SessionRefused(AtelierError):
    """A session did not do something. reason: which sentence; values: what stands in it, to be said in other words."""

    def __init__(self, reason: str, values: dict[str, object]) -> None:
        super().__init__(_SENTENCES[reason].format(**values))
        self.reason = reason
        self.values = values


def refuse(reason: str, **values: object) -> NoReturn:
    """Raises SessionRefused."""
    raise SessionRefused(reason, values)
