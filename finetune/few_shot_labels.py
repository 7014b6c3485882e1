"""What administrators said in chat that messages are about: those that wait, and those that the next training reads.

Only a message's turn is named, so its words go when its author deletes them, takes consent back or is forgotten. In
private chats nobody's messages wait but one's own.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Engine

from agent.erasure import lock_memory
from agent.memory_tables import labels, persons, places, put, turns
from agent.message import Place
from finetune.few_shot_messages import LONGEST
from finetune.heads_data import Row
from retrieval.audience import everyone
from retrieval.database import reading, writing

CHAT = "chat"  # the source of rows that people wrote: their words are shown to nobody
MOST = 400  # messages that may wait, the latest: each is read by the encoder
NONE = ""  # of no intent; a message that was skipped has no label at all
_OWN = "chat-"  # begins the names of audiences that are one conversation's


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stored message of somebody who agreed to be learned from. readers: the audiences of where it was written."""

    turn: str
    text: str
    place: Place
    author: str
    readers: frozenset[str]

    def may_be_read(self, held: Iterable[str], tenant: str) -> bool:
        """Whether it was written where nobody held an audience that is not among `held`."""
        named = {each for each in self.readers if not each.partition("/")[2].startswith(_OWN)}
        return named <= {everyone(tenant), *held}


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows to learn from, and whose words each is, in the same order."""

    rows: tuple[Row, ...]
    authors: tuple[str, ...]

    def known(self, names: Collection[str], texts: Collection[str] = ()) -> "Labelled":
        """Those with one of these labels, and with none of these texts."""
        pairs = zip(self.rows, self.authors, strict=True)
        kept = [(row, author) for row, author in pairs if row.label in names and row.text not in texts]
        return Labelled(tuple(row for row, _ in kept), tuple(author for _, author in kept))


NOTHING = Labelled((), ())


@dataclass(frozen=True, slots=True)
class Labels:
    """Thread-safe, and safe beside other processes. Every method raises StoreError."""

    engine: Engine
    tenant: str

    def waiting(self) -> list[Waiting]:
        """The latest messages that nobody has looked at, each text once, the latest first; commands are no messages."""
        is_new = turns.c.id.not_in(sa.select(labels.c.turn))
        found: dict[str, Waiting] = {}
        for each in self._agreed(is_new):
            if each.text and not each.text.startswith("/"):
                found.setdefault(each.text, each)
        return list(found.values())

    def get(self, turns_: Sequence[str]) -> dict[str, Waiting]:
        """Those of these turns whose authors agree still, by turn."""
        return {each.turn: each for each in self._agreed(turns.c.id.in_(turns_))}

    def put(self, turn: str, label: str | None) -> bool:
        """Keep what a message is about; whether it is there still. label: NONE for no intent, None where skipped."""
        with writing(self.engine) as connection:
            lock_memory(connection)
            author = sa.select(turns.c.id).join(persons, persons.c.id == turns.c.author)
            if connection.execute(author.where(turns.c.id == turn, persons.c.consent)).first() is None:
                return False
            put(connection, labels, {"turn": turn, "label": label, "at": datetime.now(UTC)})
        return True

    def rows(self) -> Labelled:
        """What was said to be of an intent, by people who agree still."""
        asked = (
            sa.select(turns.c.text, turns.c.author, labels.c.label)
            .join(labels, labels.c.turn == turns.c.id)
            .join(persons, persons.c.id == turns.c.author)
            .join(places, places.c.key == turns.c.place)
            .where(persons.c.consent, places.c.tenant == self.tenant, labels.c.label != NONE)
            .order_by(labels.c.at)
        )
        found: dict[str, tuple[Row, str]] = {}
        with reading(self.engine) as connection:
            for each in connection.execute(asked):
                text = each.text.strip()[:LONGEST]
                found[text] = Row(text, each.label, CHAT), each.author
        return Labelled(tuple(row for row, _ in found.values()), tuple(author for _, author in found.values()))

    def _agreed(self, which: sa.ColumnElement[bool]) -> list[Waiting]:
        of_place = (places.c.platform, places.c.tenant, places.c.channel, places.c.thread)
        asked = (
            sa.select(turns.c.id, turns.c.text, turns.c.author, turns.c.readers, *of_place)
            .join(persons, persons.c.id == turns.c.author)
            .join(places, places.c.key == turns.c.place)
            .where(which, persons.c.consent, places.c.tenant == self.tenant)
            .order_by(turns.c.sent.desc())
            .limit(MOST)
        )
        with reading(self.engine) as connection:
            return [
                Waiting(
                    row.id,
                    row.text.strip()[:LONGEST],
                    Place(row.platform, row.tenant, row.channel, row.thread),
                    row.author,
                    frozenset(row.readers),
                )
                for row in connection.execute(asked)
            ]
