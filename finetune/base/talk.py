"""Talk to learn: small talk and requests in the project's own words, ideas, support, and other people's conversations.

Under the project's own persona stands only what Atelier may say. Sets whose replies promise more (bookings, orders) or
know more (general questions) teach language under system messages of their own.
"""

import json
import random
import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from agent.ideation.techniques import techniques
from agent.message import Intent, Line, Move
from finetune.base.reading import labelled, persona
from finetune.base.sources import rows
from finetune.base.trees import Said, Tree, asked_of, spoken, told

SHARE = 8  # short conversations that share one system message
SUPPORT = "You answer customers' requests in a shop's support chat. Be friendly, and give the steps."
ORDERS = "You take orders and bookings in a chat, and ask for what you need to know."
PEOPLE = "You are chatting with a friend about this and that."
GENERAL = "You are a helpful assistant. Answer briefly."
_INTENTS = {
    "help": (Intent.HELP, Move.CHAT),
    "out_of_scope": (Intent.OUT_OF_SCOPE, Move.CHAT),
    "feedback": (Intent.FEEDBACK, Move.CAPTURE),
    "complaint": (Intent.COMPLAINT, Move.CAPTURE),
    "human": (Intent.HUMAN, Move.ESCALATE),
}
_KINDS = (  # small talk of the project's own rows by its words, first match
    ("how_are_you", r"how (are|is|r) (you|u|it)|how('s| is) (life|your day)|what'?s up|whats up|wie geht"),
    ("weekend", r"weekend|holiday|vacation"),
    ("thanks", r"\b(thank|thanks|thx|tysm|cheers|appreciat)"),
    ("goodbye", r"\b(bye|goodbye|see you|good night|cya|later|ciao)\b"),
    ("joke", r"\b(joke|funny)\b"),
    ("laugh", r"\b(ha(ha)+|lol|hehe)\b|😂"),
    ("praise", r"\b(great|awesome|perfect|nice|cool|love|well done|brilliant|good (job|bot|work))\b"),
    ("sorry", r"\b(sorry|my bad|oops)\b"),
    ("bot", r"\b(are you|you) (a |an )?(real |human|bot|robot|ai|person)"),
    ("name", r"\b(who are you|your name)\b"),
    ("greeting", r"\b(hi|hello|hey|hiya|yo|gm|morning|good (morning|evening|afternoon)|greetings)\b"),
)
_ITEM = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.):])\s*(.+)$", re.MULTILINE)
_OUT_OF_SCOPE = frozenset(
    "alarm timer reminder_update todo_list_update shopping_list_update calendar_update play_music next_song smart_home "
    "order make_call text share_location find_phone flip_coin roll_dice book_flight book_hotel car_rental uber "
    "restaurant_reservation schedule_meeting pay_bill transfer freeze_account weather time current_location "
    "flight_status what_song distance traffic".split()
)


@cache
def words() -> dict[str, Any]:
    """The project's own replies, which chat holds the starter to: agent/generation/starter.toml."""
    return tomllib.loads(files("agent.generation").joinpath("starter.toml").read_text(encoding="utf-8"))


def own(folder: Path, rng: random.Random) -> Iterator[Tree]:
    """Small talk, help, feedback, what is out of scope, and talks of several turns, all under the persona."""
    turns: list[tuple[Intent, Move, Said]] = []
    for text, label in _own_messages():
        if label in _INTENTS:
            turns.append((*_INTENTS[label], Said(text, rng.choice(words()[label][label]))))
        elif label == "small_talk":
            kind = next((name for name, pattern in _KINDS if re.search(pattern, text, re.IGNORECASE)), "other")
            turns.append((Intent.SMALL_TALK, Move.CHAT, Said(text, rng.choice(words()["small_talk"][kind]))))
        elif label == "ask":
            turns.append((Intent.ASK, Move.ANSWER, Said(text, rng.choice(words()["nothing"]["nothing"]))))
            if rng.random() < 0.3:
                topic = " ".join(re.sub(r"[?.!]", "", text).split()[-3:])
                reply = rng.choice(words()["clarify"]["clarify"]).format(topic=topic)
                turns.append((Intent.ASK, Move.CLARIFY, Said(topic, reply)))
    for row in rows(folder, "clinc150/train"):
        kind = words()["clinc"].get(row["intent"])
        if kind == "help":
            turns.append((Intent.HELP, Move.CHAT, Said(row["text"], rng.choice(words()["help"]["help"]))))
        elif kind:
            turns.append((Intent.SMALL_TALK, Move.CHAT, Said(row["text"], rng.choice(words()["small_talk"][kind]))))
        elif row["intent"] in _OUT_OF_SCOPE and rng.random() < 0.3:
            reply = rng.choice(words()["out_of_scope"]["out_of_scope"])
            turns.append((Intent.OUT_OF_SCOPE, Move.CHAT, Said(row["text"], reply)))
    rng.shuffle(turns)
    for some in _by(turns, SHARE):
        yield told(some, _before(rng), persona(rng))
    for _ in range(3):
        for talk in words()["persona"]["talks"]:
            yield _talk(talk, rng)


def _talk(talk: Sequence[str], rng: random.Random) -> Tree:
    """The last turn of a talk is learned, or one before it."""
    end = rng.randrange(1, len(talk), 2)
    history = [Line("assistant" if i % 2 else "user", text) for i, text in enumerate(talk[: end - 1])]
    return told([(Intent.SMALL_TALK, Move.CHAT, Said(talk[end - 1], talk[end]))], history)


def _before(rng: random.Random) -> list[Line]:
    """Now and then the conversation has begun already."""
    if rng.random() < 0.6:
        return []
    talk = rng.choice(words()["persona"]["talks"])
    return [Line("assistant" if i % 2 else "user", text) for i, text in enumerate(talk[:2])]


def ideas(folder: Path, rng: random.Random) -> Iterator[Tree]:
    """A question and at most three ideas, from dolly's lists; and the questions of the techniques."""
    turns: list[tuple[Intent, Move, Said]] = []
    topics = []
    for row in rows(folder, "dolly15k/train"):
        if row["category"] not in ("brainstorming", "creative_writing", "general_qa") or row["context"]:
            continue
        items = [" ".join(item.split()) for item in _ITEM.findall(row["response"])]
        items = [item for item in items if 6 <= len(item) <= 140 and "<|" not in item]
        if len(items) < 3 or "<|" in row["instruction"] or len(row["instruction"]) > 300:
            continue
        topics.append(row["instruction"])
        for _ in range(2 if len(items) > 5 else 1):
            chosen = rng.sample(items, 3)
            listed = "\n".join(f"{number}. {item}" for number, item in enumerate(chosen, 1))
            question, offer = rng.choice(words()["ideate"]["questions"]), rng.choice(words()["ideate"]["offer"])
            turns.append((Intent.IDEATE, Move.IDEATE, Said(row["instruction"], f"{question}\n\n{offer}\n\n{listed}")))
    for text, label in _own_messages():
        if label == "ideate":
            technique = rng.choice(techniques())
            topic = (
                " ".join(re.sub(r"^(.*?\b(?:for|about|on|of|to)\b)\s+", "", text).split()[:8]).rstrip("?!.") or "this"
            )
            said = Said(text, f"{technique.ask(0, topic)}\n\nYour ideas first, one a line.")
            turns.append((Intent.IDEATE, Move.IDEATE, said))
    rng.shuffle(turns)
    for some in _by(turns, SHARE):
        yield told(some, (), persona(rng))


def instructed(folder: Path, rng: random.Random) -> Iterator[Tree]:
    """Dolly and the seed tasks under a plain system message; as passages what dolly answers in a context's words."""
    plain: list[list[Line]] = []
    for row in rows(folder, "dolly15k/train"):
        question, context, reply = row["instruction"].strip(), row["context"].strip(), row["response"].strip()
        if len(reply) > 1200 or len(context) > 4000 or "<|" in question + context + reply or not reply:
            continue
        if context and reply in context and len(reply) <= 300:
            pieces = _pieces(context, rng)
            number = next((n for n, piece in enumerate(pieces, 1) if reply in piece), 0)
            if number:
                passages = labelled(pieces, ["Notes"] * len(pieces), rng)
                yield asked_of(passages, [Said(question, f"{reply} [{number}]")], persona(rng))
                continue
        message = f"{context}\n\n{question}" if context else question
        plain.append([Line("user", message), Line("assistant", reply)])
    for row in rows(folder, "self_instruct_seed/train"):
        message = f"{row['instruction']}\n\n{row['input']}".strip()
        if len(message) + len(row["output"]) < 2500:
            plain.append([Line("user", message), Line("assistant", row["output"])])
    rng.shuffle(plain)
    for some in _by(plain, 4):
        yield spoken(GENERAL, some)


def _pieces(context: str, rng: random.Random) -> list[str]:
    """A context in paragraphs of about a passage's length."""
    pieces: list[str] = []
    for paragraph in context.split("\n"):
        if pieces and len(pieces[-1]) + len(paragraph) < rng.randint(300, 900):
            pieces[-1] = f"{pieces[-1]}\n{paragraph}".strip()
        elif paragraph.strip():
            pieces.append(paragraph.strip())
    return pieces[:6]


def support(folder: Path, rng: random.Random) -> Iterator[Tree]:
    turns = []
    for row in rows(folder, "bitext_support/train"):
        reply = row["response"].replace("\r\n", "\n")
        turns.append([Line("user", row["instruction"]), Line("assistant", reply)])
    rng.shuffle(turns)
    for some in _by(turns, SHARE):
        yield spoken(SUPPORT, some)


def conversations(folder: Path, rng: random.Random) -> Iterator[Tree]:
    """Topical-Chat, Schema-Guided Dialogue and Taskmaster-4."""
    for name in ("topical_chat/valid_freq", "topical_chat/valid_rare"):
        for row in rows(folder, name):
            yield spoken(
                PEOPLE, [_alternating([(turn["speaker"] == "agent_1", turn["text"]) for turn in row["turns"]])]
            )
    for name in ("sgd/train", "taskmaster4/train"):
        found = [
            _alternating([(turn["speaker"] == "user", turn["text"]) for turn in row["turns"]])
            for row in rows(folder, name)
        ]
        rng.shuffle(found)
        for some in _by(found, 3):
            yield spoken(ORDERS, some)


def _alternating(turns: Sequence[tuple[bool, str]]) -> list[Line]:
    lines: list[Line] = []
    for is_user, text in turns:
        role = "user" if is_user else "assistant"
        if not text.strip() or "<|" in text or (not lines and role == "assistant"):
            continue
        if lines and lines[-1].role == role:
            lines[-1] = Line(lines[-1].role, f"{lines[-1].text}\n{text.strip()}")
        else:
            lines.append(Line("user" if is_user else "assistant", text.strip()))
    return lines


def _own_messages() -> list[tuple[str, str | None]]:
    lines = files("finetune").joinpath("data", "intents.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["text"], row["label"]) for row in map(json.loads, lines) if row["text"].strip()]


def _by(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
