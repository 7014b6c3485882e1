"""What a file may not teach: words of people who have not agreed to be learned from, by whatever way they came into it.

A file's rows are the administrator's. Where a row is signed with the account of somebody who has not agreed, or is
theirs by its words, it is left out. Words are somebody's own where they are long (`OWN`): two people write a short
question alike by chance, so a short one counts only together with the answer that it was given in the chat.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.generation.rendering import ChatMessage
from agent.memory_tables import accounts, persons, places, turns
from finetune.examples.chats import author_key
from finetune.examples.problems import Code, Problem, Read, Rejected
from finetune.examples.similar import plain
from retrieval.audience import check_tenant
from retrieval.database import reading

if TYPE_CHECKING:
    from finetune.example import Example

OWN = 40  # letters and digits of a message that hardly two people write alike
_CITED = re.compile(r"\[\s*\d{1,2}(?:\s*,\s*\d{1,2})*\s*\]")  # numbers of sources are counted anew in an export
_SIGNS = re.compile(r"[\W_]+")
_WHY = "Somebody who has not agreed to be learned from (/consent) wrote it in a chat, or is named as its author."


@dataclass(frozen=True, slots=True)
class Withheld:
    """authors: as files may name people who have not agreed. words: digests of what they wrote, and was answered."""

    authors: frozenset[str] = frozenset()
    words: frozenset[bytes] = frozenset()

    def reaches(self, author: str, messages: Sequence[ChatMessage]) -> bool:
        """Whether a row of a file is theirs. author: as `author_key` writes it, or empty."""
        if author in self.authors:
            return True
        for number, message in enumerate(messages):
            if message.role == "user" and self.words:
                reply = messages[number + 1].content if number + 1 < len(messages) else ""
                if not self.words.isdisjoint(_digests(message.content, reply)):
                    return True
        return False

    def reaches_row(self, row: Mapping[str, Any]) -> bool:
        """The same of a row of sealed data; what no file gave has its people's ids, and is judged by them."""
        origin = row.get("origin")
        if origin is None or not is_of_file(origin["person"], origin["documents"]):
            return False
        messages = [ChatMessage(each["role"], each["content"]) for each in row.get("messages", ())]
        return self.reaches(origin["person"], messages)


NOBODY = Withheld()


def is_of_file(person: str, documents: Iterable[str]) -> bool:
    """Whether an example came from a file: those of turns have a person of ours, those of passages a document."""
    return not person.startswith("p-") and not any(documents)


def withheld(engine: Engine, tenant: str, person: str = "") -> Withheld:
    """Of everybody of a tenant who has not agreed, or of one person whatever they said. Raises StoreError."""
    who = persons.c.id == person if person else ~persons.c.consent
    named = sa.select(accounts.c.account, accounts.c.person).join(persons, persons.c.id == accounts.c.person).where(who)
    said = sa.select(turns.c.text, turns.c.reply).join(persons, persons.c.id == turns.c.author).where(who)
    if tenant:
        said = said.join(places, places.c.key == turns.c.place).where(places.c.tenant == check_tenant(tenant))
    with reading(engine) as connection:
        found = [(row.account, row.person) for row in connection.execute(named)]
        theirs = _people(connection, tenant, found)
        authors = {part for each, whose in found if whose in theirs for part in (each, each.rsplit(":", 1)[-1])}
        words: set[bytes] = set()
        for row in connection.execute(said).yield_per(1000):
            words.update(_digests(row.text, row.reply))
    return Withheld(frozenset(map(author_key, authors)), frozenset(words))


def parted(read: Read, them: Withheld) -> Read:
    """What a file gave, without the rows that are theirs; nothing of those is copied."""
    kept: list[Example] = []
    gone: list[Problem] = []
    for example in read.examples:
        if them.reaches(example.origin.person, example.messages):
            gone.append(Problem(example.origin.place, Code.NO_CONSENT, _WHY))
        else:
            kept.append(example)
    rejected = (*read.rejected, *(Rejected(each.place, (each,)) for each in gone))
    return Read(tuple(kept), (*read.problems, *gone), rejected, read.source)


def _people(connection: Connection, tenant: str, found: Sequence[tuple[str, str]]) -> set[str]:
    """Of people with their accounts those whom a tenant's file may name: all but who is of other tenants alone.

    A guest of a shared channel keeps the name of a workspace of their own, which is no tenant here.
    """
    if not tenant:
        return {whose for _, whose in found}
    others = sa.select(places.c.tenant).where(places.c.tenant != tenant).distinct()
    wrote = sa.select(turns.c.author).join(places, places.c.key == turns.c.place).where(places.c.tenant == tenant)
    elsewhere = set(connection.execute(others).scalars())
    here = {whose for account, whose in found if _tenant(account) not in elsewhere}
    return here | set(connection.execute(wrote.distinct()).scalars())


def _tenant(account: str) -> str:
    """Of `platform:tenant:id`; empty for an account of no platform."""
    parts = account.split(":", 2)
    return parts[1] if len(parts) == 3 else ""


def _digests(asked: str, replied: str) -> list[bytes]:
    """Of a message that is somebody's own by its length, and of a message with its answer."""
    own = _bare(asked)
    found = [_digest(own)] if len(own) >= OWN else []
    if own and (answer := _bare(replied)):
        found.append(_digest(f"{own}\0{answer}"))
    return found


def _bare(text: str) -> str:
    """Letters and digits alone: quotes, spaces and marks change on the way through an export."""
    return _SIGNS.sub("", _CITED.sub("", plain(text)))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
