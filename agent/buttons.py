"""What a button stands for: a short id in the message, its meaning in the store, for as long as it may be pressed.

Platforms hold little in a button (Telegram 64 bytes) and hand back whatever a client sends, so only the id travels.
"""

import hashlib
import re
import secrets
import string
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from agent.memory_tables import buttons, put
from agent.message import Place
from retrieval.database import writing
from retrieval.prepared import Prepared

ALPHABET = string.ascii_letters + string.digits
LENGTH = 12  # 62 ** 12, about 3 * 10 ** 21 ids
_MANY = 500  # rows in one statement
_PRUNED_EVERY = 60.0  # seconds, where buttons are kept along with other things
_BUTTON = re.compile(f"[A-Za-z0-9]{{{LENGTH}}}")
_NAMES = re.compile("p-[0-9a-f]{16}|[0-9a-f]{26}")  # the ids of persons and of turns


@dataclass(frozen=True, slots=True)
class Meaning:
    """kind: what pressing it does (`rate`). value: on what (a turn's id). place: where it was shown."""

    kind: str
    value: str
    place: Place

    def names(self, ids: set[str]) -> bool:
        """Whether the value names one of these persons or turns, alone or among other things."""
        return not ids.isdisjoint(_NAMES.findall(self.value))


def id_for(key: str) -> str:
    """The id that always belongs to `key`: a re-run after a crash makes the same button."""
    number = int.from_bytes(hashlib.sha256(key.encode(errors="surrogatepass")).digest())
    letters = []
    for _ in range(LENGTH):
        number, letter = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[letter])
    return "".join(letters)


class Buttons:
    """Buttons in the store. Thread-safe, and safe beside other processes. Every method raises StoreError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pruned = float("-inf")

    def make(self, kind: str, value: str, place: Place, minutes: int, *, key: str = "") -> str:
        """The id of a button that works for `minutes`.

        key: with one the id is `id_for(key)`, and making it again renews the same button.
        """
        (made,) = self._make({id_for(key) if key else _new_id(): Meaning(kind, value, place)}, minutes)
        return made

    def make_many(self, meanings: Sequence[Meaning], minutes: int, *, key: str = "") -> tuple[str, ...]:
        """The ids of several buttons, in order, in one transaction. key: the n-th, from 0, is `id_for("{key}/{n}")`."""
        ids = [id_for(f"{key}/{number}") if key else _new_id() for number in range(len(meanings))]
        return self._make(dict(zip(ids, meanings, strict=True)), minutes)

    def make_keyed(self, meanings: Mapping[str, Meaning], minutes: int) -> tuple[str, ...]:
        """The ids of several buttons by their keys, in order, in one transaction."""
        return self._make({id_for(key): meaning for key, meaning in meanings.items()}, minutes)

    def look_up(self, button: str) -> Meaning | None:
        """What a button stands for; None when nothing, or not any more."""
        if not _BUTTON.fullmatch(button):  # a client can send anything, also what no database takes
            return None
        rows = _VALID.ask(self._engine, {"button": button, "now": datetime.now(UTC)})
        return Meaning(rows[0][0], rows[0][1], Place(*rows[0][2:])) if rows else None

    def keeping(self, meanings: Mapping[str, Meaning], minutes: int) -> Callable[[Connection], None]:
        """What stores the buttons of these ids (`id_for`) in somebody else's transaction, which may be repeated."""

        def keep(connection: Connection) -> None:
            now = datetime.now(UTC)
            if (clock := time.monotonic()) > self._pruned + _PRUNED_EVERY:
                self._pruned = clock
                _prune(connection, now)
            _store(connection, meanings, now + timedelta(minutes=minutes))

        return keep

    def _make(self, made: dict[str, Meaning], minutes: int) -> tuple[str, ...]:
        now = datetime.now(UTC)
        with writing(self._engine) as connection:
            _prune(connection, now)
            _store(connection, made, now + timedelta(minutes=minutes))
        return tuple(made)


def about(connection: Connection, is_theirs: Callable[[Meaning], bool]) -> dict[str, Meaning]:
    """Buttons, by id, whose meaning `is_theirs`."""
    found = ((row.id, _meaning(row)) for row in connection.execute(sa.select(buttons)))
    return {button: meaning for button, meaning in found if is_theirs(meaning)}


def drop(connection: Connection, ids: Collection[str]) -> None:
    listed = sorted(ids)
    for start in range(0, len(listed), _MANY):
        connection.execute(buttons.delete().where(buttons.c.id.in_(listed[start : start + _MANY])))


def _new_id() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def _meaning(row: sa.Row[*tuple[object, ...]]) -> Meaning:
    return Meaning(row.kind, row.value, Place(row.platform, row.tenant, row.channel, row.thread))


_MEANING = [buttons.c[name] for name in ("kind", "value", "platform", "tenant", "channel", "thread")]
_VALID = Prepared(
    sa.select(*_MEANING).where(buttons.c.id == sa.bindparam("button"), buttons.c.expires > sa.bindparam("now"))
)


def _store(connection: Connection, made: Mapping[str, Meaning], expires: datetime) -> None:
    rows = []
    for button in sorted(made):  # one order for all, so that two who renew the same ones cannot deadlock
        meaning = made[button]
        place = meaning.place
        row = {"id": button, "kind": meaning.kind, "value": meaning.value, "platform": place.platform}
        row |= {"tenant": place.tenant, "channel": place.channel, "thread": place.thread}
        rows.append(row | {"expires": expires})
    put(connection, buttons, *rows)


def _prune(connection: Connection, now: datetime) -> None:
    """Delete what expired, a part at a time; those that another process is deleting are left to it."""
    expired = sa.select(buttons.c.id).where(buttons.c.expires <= now).limit(_MANY).with_for_update(skip_locked=True)
    drop(connection, connection.execute(expired).scalars().all())
