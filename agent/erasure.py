"""The right to be forgotten, inside memory: a person's turns go, and their words leave everybody else's turns.

What other people wrote stays as they wrote it, also where it quotes the forgotten person; that is counted and said.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from agent import buttons
from agent.ideation import persons as ideation
from agent.memory_tables import (
    StoredHistory,
    StoredLine,
    accounts,
    channel_rules,
    feedback,
    persons,
    places,
    summaries,
    turns,
    wrong_codes,
)
from agent.message import Place
from agent.opinion import persons as opinion
from agent.summary import CUT, clip, quoted, sentences
from agent.support import persons as support

REMOVED = "[removed]"
TELLING = 18  # UTF-8 bytes from which a sentence is somebody's own: "Thank you!" is everyone's
_HEAD = 6  # characters that index the telling sentences
_PART = 500  # turns read at a time
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_LOCK = 0xA7E11E13  # PostgreSQL's advisory lock that orders these acts, any number of our own


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What forgetting one person reached.

    turns: their messages, each with the reply to it. summaries: dropped, and made afresh from what remains. ratings:
    given by them, or to replies they got. cleaned: other people's turns whose context or reply held their words.
    quoting: messages in which other people quote them, left as they are. cases: of theirs, emptied of every word.
    ideas: theirs in sessions, with remarks and votes. heard: messages of theirs that were counted in watched channels.
    """

    accounts: int = 0
    turns: int = 0
    summaries: int = 0
    ratings: int = 0
    cleaned: int = 0
    quoting: int = 0
    cases: int = 0
    ideas: int = 0
    heard: int = 0


class _Words:
    """Somebody's words, for recognising them elsewhere."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = set(texts)
        self._sentences = {_core(clip(each)) for text in self._texts for each in sentences(text)} - {""}
        self._telling: dict[str, list[str]] = {}
        for sentence in sorted(self._sentences, key=len, reverse=True):
            if len(sentence.encode()) >= TELLING:
                self._telling.setdefault(sentence[:_HEAD], []).append(sentence)

    def wrote(self, line: str) -> bool:
        """Whether `line` is one of the texts, whole or shortened."""
        start = line.removesuffix(CUT)
        return line in self._texts or (start != line and any(text.startswith(start) for text in self._texts))

    def said(self, sentence: str) -> bool:
        return _core(sentence) in self._sentences

    def cut_from(self, text: str) -> str:
        """`text` with [removed] in place of their telling sentences, wherever they stand in it."""
        kept: list[str] = []
        at = copied = 0
        while at < len(text):
            candidates = self._telling.get(text[at : at + _HEAD], ())
            found = next((each for each in candidates if text.startswith(each, at)), None)
            if found is None:
                at += 1
                continue
            kept += [text[copied:at], REMOVED]
            at = copied = at + len(found)
        return "".join([*kept, text[copied:]])

    def quoted_in(self, text: str) -> bool:
        return self.cut_from(text) != text


@dataclass(frozen=True, slots=True)
class _Theirs:
    """words: what the person wrote. replies: what they were told. sources: of the documents made from their words.

    entries: ids, as passages have them, of curated answers that went with them.
    """

    words: _Words
    replies: _Words
    sources: frozenset[str]
    entries: frozenset[int] = frozenset()

    def are_in(self, button: buttons.Meaning, left: Collection[str]) -> bool:
        """Whether a button holds a sentence of theirs or to them, or stands in a place that only they had been in."""
        told = self.words.quoted_in(button.value) or self.replies.quoted_in(button.value)
        return told or button.place.key in left


def lock_memory(connection: Connection, *, exclusive: bool = False) -> None:
    """First in every write transaction on turns: those that keep words run side by side, one that deletes runs alone.

    On SQLite every write transaction runs alone anyway.
    """
    if connection.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock if exclusive else sa.func.pg_advisory_xact_lock_shared
        connection.execute(sa.select(lock(_LOCK)))


def erase(connection: Connection, person: str, sources: Collection[str]) -> Forgotten:
    """Delete everything about `person`. `sources`: of documents made from their words, deleted already.

    Call inside a write transaction that holds memory's lock exclusively.
    """
    own = turns.c.author == person
    said = connection.execute(sa.select(turns.c.id, turns.c.text, turns.c.reply).where(own)).all()
    entries = support.drop_curated(connection, person)
    words, replies = _Words(row.text for row in said), _Words(row.reply for row in said)
    theirs = _Theirs(words, replies, frozenset(sources), entries)
    cleaned, quoting = _clean_others(connection, person, theirs)
    here = sa.select(turns.c.place).where(own)
    dropped = connection.execute(summaries.delete().where(summaries.c.place.in_(here))).rowcount
    rated = sa.select(turns.c.id).where(own)
    ratings = connection.execute(
        feedback.delete().where((feedback.c.person == person) | feedback.c.turn.in_(rated))
    ).rowcount
    gone = connection.execute(turns.delete().where(own)).rowcount
    left = drop_empty_places(connection)
    names = {person, *(row.id for row in said)}
    named = sa.select(accounts.c.account).where(accounts.c.person == person)
    known_by = connection.execute(named).scalars().all()
    gone_with = buttons.about(
        connection,
        lambda each: each.names(names) or theirs.are_in(each, left) or each.place.is_chat_of(known_by),
    )
    buttons.drop(connection, gone_with)
    connection.execute(wrong_codes.delete().where(wrong_codes.c.account.in_(named)))
    chats = [Place(*each.split(":", 2)).key for each in known_by]  # as Telegram calls a private chat
    connection.execute(channel_rules.delete().where(channel_rules.c.channel.in_(chats)))
    erased = ideation.erase(connection, person, known_by, sources, lambda texts: _Words(texts).cut_from)
    cases = support.erase(connection, person, known_by)
    heard = opinion.erase(connection, person, known_by)
    known = connection.execute(accounts.delete().where(accounts.c.person == person)).rowcount
    connection.execute(persons.delete().where(persons.c.id == person))
    return Forgotten(known, gone, dropped, ratings, cleaned, quoting, cases, erased.ideas + erased.votes, heard=heard)


def take_back(connection: Connection, turn: str) -> bool:
    """Delete one turn whose message its author deleted, and its words from what follows; whether it was there.

    Call inside a write transaction that holds memory's lock exclusively.
    """
    row = connection.execute(sa.select(turns.c.place, turns.c.text, turns.c.reply).where(turns.c.id == turn)).first()
    if row is None:
        return False
    theirs = _Theirs(_Words([row.text]), _Words([row.reply]), frozenset())
    _clean(connection, (turns.c.place == row.place) & (turns.c.id != turn), theirs)
    connection.execute(summaries.delete().where(summaries.c.place == row.place))
    connection.execute(turns.delete().where(turns.c.id == turn))
    drop_empty_places(connection)
    buttons.drop(connection, buttons.about(connection, lambda each: each.names({turn}) or theirs.are_in(each, ())))
    return True


def drop_empty_places(connection: Connection) -> frozenset[str]:
    """A private chat's id is its person's, so places without turns go too; the keys of those that went.

    Needs memory's lock, exclusively.
    """
    used = sa.exists().where(turns.c.place == places.c.key)
    folded = sa.exists().where(summaries.c.place == places.c.key)
    return frozenset(connection.execute(places.delete().where(~used, ~folded).returning(places.c.key)).scalars())


def _clean_others(connection: Connection, person: str, theirs: _Theirs) -> tuple[int, int]:
    here = sa.select(turns.c.place).where(turns.c.author == person)
    others = turns.c.author != person
    if not (theirs.sources or theirs.entries):  # a document of theirs can have been evidence anywhere
        others &= turns.c.place.in_(here)
    return _clean(connection, others, theirs)


def _clean(connection: Connection, others: sa.ColumnElement[bool], theirs: _Theirs) -> tuple[int, int]:
    """How many of these turns were cleaned, and how many quote the person in what others wrote."""
    named = "id text history passages reply sources claims".split()
    query = sa.select(*(turns.c[name] for name in named))
    cleaned = quoting = 0
    last = ""
    while rows := connection.execute(query.where(others, turns.c.id > last).order_by(turns.c.id).limit(_PART)).all():
        last = rows[-1].id
        for row in rows:
            quoting += theirs.words.quoted_in(row.text)
            if changed := _changes(row, theirs):
                connection.execute(turns.update().where(turns.c.id == row.id).values(changed))
                cleaned += 1
    return cleaned, quoting


def _changes(row: sa.Row[*tuple[Any, ...]], theirs: _Theirs) -> dict[str, object]:
    """The columns of somebody else's turn that need another value, with that value."""
    removed = [each for each in row.passages if each["source"] in theirs.sources or each["id"] in theirs.entries]
    gone = {each["id"] for each in removed}
    cited = _Words(each["text"] for each in removed)
    clean = {
        "claims": [
            each | {part: cited.cut_from(theirs.words.cut_from(each[part])) for part in ("text", "lacks")}
            for each in row.claims
        ],
        "history": _clean_history(row.history, theirs),
        "passages": [each for each in row.passages if each["id"] not in gone],
        "reply": cited.cut_from(theirs.words.cut_from(row.reply)),
        "sources": [each for each in row.sources if each["passage"] not in gone],
    }
    return {name: value for name, value in clean.items() if getattr(row, name) != value}


def _clean_history(history: StoredHistory, theirs: _Theirs) -> StoredHistory:
    items = [
        item
        for item in history["summary"].split("\n")
        if not (theirs.words.said(quoted(item)) or theirs.replies.said(quoted(item)) or theirs.words.quoted_in(item))
    ]
    lines: list[StoredLine] = []
    to_them = False
    for line in history["lines"]:
        if line["role"] == "user":
            to_them = theirs.words.wrote(line["text"])
        if not to_them:  # the reply to a line of theirs goes with it
            text = line["text"] if line["role"] == "user" else theirs.words.cut_from(line["text"])
            lines.append({"role": line["role"], "text": text})
    return {"summary": "\n".join(items), "lines": lines}


def _core(sentence: str) -> str:
    return _EDGES.sub("", sentence)
