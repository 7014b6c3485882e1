"""Labelled rows for the intent and sentiment heads: the project's own, and public sets mapped onto our labels.

Only sets whose licence lets the trained weights be shipped are trained on; `HELD_OUT` sources only measure.
A row without a label teaches doubt: keyboard noise, stray words and languages the encoder does not know should come out
with no confident label at all.
"""

import gzip
import json
import random
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from agent.message import Intent, Sentiment
from retrieval.errors import UnreadableFile

Kind = Literal["intent", "sentiment", "topic"]  # topic: labels of a team's own
OWN = "atelier"
LICENCES = {
    OWN: "Apache-2.0",
    "bitext_support": "CDLA-Sharing-1.0",
    "clinc150": "CC BY 3.0",
    "covid_faq": "Apache-2.0",
    "dolly15k": "CC BY-SA 3.0",
    "squad": "CC BY-SA 4.0",
    "topical_chat": "CDLA-Sharing-1.0",
    "banking77": "CC BY 4.0",
    "sgd": "CC BY-SA 4.0",
    "taskmaster4": "CC BY 4.0",
    "sst": "none stated (measurement only)",
    "tweeteval_sentiment": "none stated (measurement only)",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A text and what it is: an Intent or Sentiment value, or None where no label should be believed."""

    text: str
    label: str | None
    source: str


# clinc150 intents by what a colleague with documents does about them. Intents that are neither clearly a question nor
# clearly an errand ("cancel", "repeat", "calculator", "translate", "meal_suggestion", ...) are left out.
_CLINC = {
    Intent.SMALL_TALK: "greeting goodbye thank_you tell_joke fun_fact how_old_are_you do_you_have_pets are_you_a_bot "
    "what_is_your_name what_are_your_hobbies where_are_you_from who_made_you who_do_you_work_for "
    "meaning_of_life yes no maybe user_name",
    Intent.HELP: "what_can_i_ask_you",
    Intent.OUT_OF_SCOPE: "alarm timer reminder_update todo_list_update shopping_list_update calendar_update play_music "
    "next_song update_playlist smart_home order make_call text share_location find_phone flip_coin roll_dice "
    "change_volume change_speed change_accent change_language whisper_mode sync_device reset_settings "
    "book_flight book_hotel car_rental uber restaurant_reservation cancel_reservation schedule_meeting "
    "schedule_maintenance pay_bill transfer freeze_account order_checks weather time date traffic "
    "current_location flight_status calendar what_song distance gas tire_pressure",
    Intent.ASK: "oil_change_how jump_start tire_change interest_rate international_fees improve_credit_score routing "
    "replacement_card_duration calories cook_time food_last ingredient_substitution ingredients_list "
    "nutrition_info recipe accept_reservations definition spelling insurance direct_deposit next_holiday "
    "payday taxes w2 rollover_401k carry_on international_visa plug_type timezone travel_alert vaccines "
    "gas_type apr measurement_conversion oil_change_when application_status",
}
_CLINC_LABELS = {name: intent.value for intent, names in _CLINC.items() for name in names.split()}
_BITEXT_LABELS = {"contact_human_agent": Intent.HUMAN, "complaint": Intent.COMPLAINT, "review": Intent.FEEDBACK}
_ASKING = re.compile(r"\?|^(how|what|where|which|who|when|why|is|are|do|does|can|could|would|will)\b", re.IGNORECASE)
_ASKING_HOW = re.compile(
    r"\b(how|what|where|which|help|assist\w*|possible|method|way|there|e-?mail|address|do (you|u|ya))\b", re.IGNORECASE
)
_IDEAS = re.compile(r"\bideas?\b|brainstorm|\bcome up with\b|\bnames? for\b|\bthink (of|up)\b|creative", re.IGNORECASE)
_LISTED_WAYS = re.compile(r"\bsuggest|\bways?\b|\btips\b", re.IGNORECASE)
_MOODS: dict[str, Sentiment] = {Intent.COMPLAINT.value: Sentiment.NEGATIVE} | dict.fromkeys(
    (Intent.ASK.value, Intent.IDEATE.value, Intent.HUMAN.value, Intent.OUT_OF_SCOPE.value), Sentiment.NEUTRAL
)
_EMOTIONS = {"Happy": Sentiment.POSITIVE, "Neutral": Sentiment.NEUTRAL} | dict.fromkeys(
    ("Angry", "Disgusted", "Sad", "Fearful"), Sentiment.NEGATIVE
)


def own_rows(kind: Kind) -> list[Row]:
    """The rows written for this project, in the register of team chat. Raises UnreadableFile.

    Rows of plain intents lend the sentiment head their mood: a complaint is negative, a question neutral.
    """
    if kind == "intent":
        written = _packaged("intents.jsonl")
        known = {row.text for row in written}
        return written + [row for row in noise() if row.text not in known]
    rows = _packaged("sentiments.jsonl")
    known = {row.text for row in rows}
    lent = (Row(row.text, _MOODS.get(row.label or ""), OWN) for row in _packaged("intents.jsonl"))
    return rows + [row for row in lent if row.label is not None and row.text not in known]


def noise() -> list[Row]:
    """Nothing at all, digits, and keys hit at random: no label should be believed of these."""
    keys = random.Random("noise")
    texts = ["", *(str(keys.randrange(10**size)) for size in range(1, 9) for _ in range(5))]
    for _ in range(120):
        letters = keys.choice(("qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz"))
        words = ("".join(keys.choices(letters, k=keys.randint(2, 7))) for _ in range(keys.randint(1, 3)))
        texts.append(" ".join(words))
    return [Row(text, None, OWN) for text in dict.fromkeys(texts)]


def _packaged(name: str) -> list[Row]:
    try:
        lines = files("finetune").joinpath("data", name).read_text(encoding="utf-8").splitlines()
        return [Row(row["text"], row["label"], OWN) for row in map(json.loads, lines)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableFile(f"The labelled rows finetune/data/{name} cannot be read: {error}.") from error


def shared_rows(kind: Kind, folder: Path, *, cap: int, seed: int) -> list[Row]:
    """Rows of the public sets that may be trained on, at most `cap` for each source and label. Absent sets are skipped.

    Raises UnreadableFile where a set is there but damaged.
    """
    readers = {"intent": _INTENT_SOURCES, "sentiment": _SENTIMENT_SOURCES}[kind]
    return _gather(readers, folder, cap=cap, seed=seed)


def held_out_rows(kind: Kind, folder: Path, *, cap: int, seed: int) -> list[Row]:
    """Rows of the sources that no head is ever trained on."""
    readers = {"intent": _INTENT_HELD_OUT, "sentiment": _SENTIMENT_HELD_OUT}[kind]
    return _gather(readers, folder, cap=cap, seed=seed)


Pair = tuple[str, str | None]
Reader = Callable[[Path], Iterator[Pair]]


def _gather(readers: dict[str, Reader], folder: Path, *, cap: int, seed: int) -> list[Row]:
    rows: list[Row] = []
    for source, reader in readers.items():
        if not (folder / source).is_dir():
            continue
        by_label: dict[str | None, dict[str, None]] = {}
        try:
            for text, label in reader(folder / source):
                by_label.setdefault(label, {})[text] = None
        except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
            raise UnreadableFile(f"The data set {source} in {folder} is damaged ({error}). Fetch it again.") from error
        for label, texts in by_label.items():
            chosen = list(texts)
            random.Random(f"{seed} {source} {label}").shuffle(chosen)
            rows += [Row(text, label, source) for text in chosen[:cap]]
    return rows


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _clinc(folder: Path) -> Iterator[Pair]:
    for row in _read(folder / "train.jsonl.gz"):
        if label := _CLINC_LABELS.get(row["intent"]):
            yield row["text"], label


def _bitext(folder: Path) -> Iterator[Pair]:
    for row in _read(folder / "train.jsonl.gz"):
        text, label = row["instruction"], _BITEXT_LABELS.get(row["intent"])
        if label is None:
            if _ASKING.search(text) and row["intent"] != "contact_customer_service":
                yield text, Intent.ASK
        elif label is Intent.HUMAN or not _ASKING_HOW.search(text):  # "how do I file a complaint" is a question
            yield text, label


def _dolly(folder: Path) -> Iterator[Pair]:
    for row in _read(folder / "train.jsonl.gz"):
        text, kind = row["instruction"], row["category"]
        if len(text) > 300:
            continue
        if kind == "brainstorming" and _IDEAS.search(text):  # a third of the category asks for facts
            yield text, Intent.IDEATE
        elif kind in ("open_qa", "closed_qa") and not _IDEAS.search(text) and not _LISTED_WAYS.search(text):
            yield text, Intent.ASK


def _squad(folder: Path) -> Iterator[Pair]:
    for row in _read(folder / "train_v1.1.questions.jsonl.gz"):
        yield row["question"].strip(), Intent.ASK


def _topical_talk(folder: Path) -> Iterator[Pair]:
    for row in _read(folder / "valid_freq.jsonl.gz"):
        for turn in row["turns"]:
            if "?" not in turn["text"] and len(turn["text"].split()) <= 16:
                yield turn["text"], Intent.SMALL_TALK


def _foreign_questions(folder: Path) -> Iterator[Pair]:
    for row in _read(folder / "faq.jsonl.gz"):
        if row["lang"] != "en":
            yield row["question"], None


def _banking(folder: Path) -> Iterator[Pair]:
    for row in _read(folder / "train.jsonl.gz"):
        if row["text"].rstrip().endswith("?"):
            yield row["text"], Intent.ASK


def _sgd(folder: Path) -> Iterator[Pair]:
    errands = re.compile(r"Reserve|Buy|Book|Schedule|Transfer|Play|GetRide|SetAlarm|AddAlarm|AddEvent|GetWeather")
    for dialogue in _read(folder / "test.jsonl.gz"):
        for turn in dialogue["turns"]:
            if turn["speaker"] != "user":
                continue
            acts, text = set(turn["acts"]), turn["text"]
            if acts <= {"THANK_YOU", "GOODBYE", "NEGATE"} and "THANK_YOU" in acts:
                yield text, Intent.SMALL_TALK
            elif "INFORM_INTENT" in acts and errands.match((turn.get("intents") or [""])[0]):
                yield text, Intent.OUT_OF_SCOPE
            elif acts == {"REQUEST"} and "?" in text:
                yield text, Intent.ASK


def _taskmaster(folder: Path) -> Iterator[Pair]:
    for name in ("dev", "test"):
        for dialogue in _read(folder / f"{name}.jsonl.gz"):
            turns = [turn["text"] for turn in dialogue["turns"] if turn["speaker"] == "user"]
            if turns and re.search(r"\b(want|like|order|get|have|need)\b", turns[0], re.IGNORECASE):
                yield turns[0], Intent.OUT_OF_SCOPE
            if len(turns) > 1 and re.search(r"\bthank|\bbye\b", turns[-1], re.IGNORECASE):
                yield turns[-1], Intent.SMALL_TALK


def _topical_mood(folder: Path) -> Iterator[Pair]:
    for name in ("valid_freq", "valid_rare"):
        for row in _read(folder / f"{name}.jsonl.gz"):
            for turn in row["turns"]:
                if label := _EMOTIONS.get(turn["sentiment"]):
                    yield turn["text"], label


def _labelled(*names: str) -> Reader:
    def read(folder: Path) -> Iterator[Pair]:
        for name in names:
            for row in _read(folder / f"{name}.jsonl.gz"):
                yield row["text"], row["label"]

    return read


_INTENT_SOURCES: dict[str, Reader] = {
    "bitext_support": _bitext,
    "clinc150": _clinc,
    "covid_faq": _foreign_questions,
    "dolly15k": _dolly,
    "squad": _squad,
    "topical_chat": _topical_talk,
}
_INTENT_HELD_OUT: dict[str, Reader] = {"banking77": _banking, "sgd": _sgd, "taskmaster4": _taskmaster}
_SENTIMENT_SOURCES: dict[str, Reader] = {"topical_chat": _topical_mood}
_SENTIMENT_HELD_OUT: dict[str, Reader] = {
    "sst": _labelled("train"),
    "tweeteval_sentiment": _labelled("train_rebuilt"),
}
