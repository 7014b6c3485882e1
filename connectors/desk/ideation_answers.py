"""Who is answered how: to all, to one alone, as a word on a button; and why a session refused something."""

from dataclasses import replace

from agent.events import Command, Outgoing, Post, Press
from agent.ideation.refusals import SessionRefused
from connectors.desk.texts import prefix, say

Asking = Command | Press | Post


def answer(event: Asking, text: str) -> Outgoing:
    """For who asked: in Slack nobody else sees it, in a group of Telegram it is a word on the button."""
    said = Outgoing(event.place, text, to=event.account)
    if event.place.platform == "slack":
        return said if event.direct else replace(said, audience="one")
    if isinstance(event, Press) and not event.direct:
        return replace(said, audience="one", press=event.id)
    return said


def secretly(event: Asking, text: str) -> Outgoing:
    """What is nobody else's: who voted for what."""
    said = answer(event, text)
    if said.audience == "one" or event.direct:
        return said
    return replace(said, text=say(event.language, "ideation_done"))


def refused_said(event: Asking, refused: SessionRefused) -> str:
    """Why a session did not do it, in the reader's language where there are words for it."""
    name, p = f"ideation_refused_{refused.reason}", prefix(event.place.platform)
    try:
        return say(event.language, name, p=p, **refused.values)
    except KeyError:
        return str(refused)
