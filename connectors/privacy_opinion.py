"""A person's messages that were counted in watched channels, for the copy of their data."""

from typing import TypedDict

from sqlalchemy import Engine

from agent.opinion.monitor import Monitor


class HeardCopy(TypedDict):
    """A message that was counted in a watched channel. text, topics: where its author had agreed."""

    at: str
    channel: str
    negative: float
    positive: float
    topics: list[str]
    text: str


def heard_of(engine: Engine, person: str) -> list[HeardCopy]:
    """Raises StoreError."""
    return [
        HeardCopy(
            at=each.at.isoformat(),
            channel=each.channel,
            negative=round(each.negative, 3),
            positive=round(each.positive, 3),
            topics=list(each.topics),
            text=each.text,
        )
        for each in Monitor(engine).of(person)
    ]
