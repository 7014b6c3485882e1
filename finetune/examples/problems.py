"""What can be wrong with training data: stable codes, each problem with its place, and what was read beside it."""

from dataclasses import dataclass, field
from enum import StrEnum

from finetune.example import Example

MOST_REFUSED = 100_000  # rows of one source; a file with more of them is another kind of file


class Severity(StrEnum):
    """What a problem does to the data."""

    FILE = "file"  # nothing more of the file is read
    ROW = "row"  # the row is not trained on; it is in the quarantine with its reasons
    NOTE = "note"  # the row is kept, changed or worth a look


class Code(StrEnum):
    """Codes never change their meaning; EXPLAINED says each in a sentence."""

    # of a file
    NOT_JSONL = "not_jsonl"
    TOO_LARGE = "too_large"
    EMPTY_FILE = "empty_file"
    TOO_MANY = "too_many"
    # of a line
    NOT_UTF8 = "not_utf8"
    LINE_TOO_LONG = "line_too_long"
    BAD_JSON = "bad_json"
    NO_MESSAGES = "no_messages"
    BAD_MESSAGE = "bad_message"
    BAD_ROLE = "bad_role"
    TOOLS = "tools"
    NOT_TEXT = "not_text"
    BAD_WEIGHT = "bad_weight"
    BAD_RATING = "bad_rating"
    EMPTY_CONTENT = "empty_content"
    ROLE_ORDER = "role_order"
    NO_ASSISTANT = "no_assistant"
    IGNORED_FIELD = "ignored_field"
    # of a rated turn
    NO_CONSENT = "no_consent"
    TIED = "tied"
    CUT_REPLY = "cut_reply"
    INCOMPLETE = "incomplete"
    DOCUMENT_GONE = "document_gone"
    # of any example
    CLEANED = "cleaned"
    CONTROL_TOKENS = "control_tokens"
    REDACTED = "redacted"
    LANGUAGE = "language"
    TOO_LONG = "too_long"
    NO_TRAINABLE_TOKEN = "no_trainable_token"  # noqa: S105 - a code, no password
    DUPLICATE = "duplicate"
    CONTRADICTION = "contradiction"
    NEAR_DUPLICATE = "near_duplicate"
    OVERLAP = "overlap"
    AUTHOR_SHARE = "author_share"


EXPLAINED = {
    Code.NOT_JSONL: "the file is no chat JSONL: one JSON object a line",
    Code.TOO_LARGE: "the file is larger than what is read",
    Code.EMPTY_FILE: "the file holds no row",
    Code.TOO_MANY: f"more than {MOST_REFUSED:,} rows are unusable, so the rest was not read",
    Code.NOT_UTF8: "the line is not UTF-8",
    Code.LINE_TOO_LONG: "the line is longer than what is read",
    Code.BAD_JSON: "the line is not one JSON object",
    Code.NO_MESSAGES: "the row has no list of messages",
    Code.BAD_MESSAGE: "a message is not an object with a role and a text",
    Code.BAD_ROLE: "a role is none of system, user and assistant",
    Code.TOOLS: "the row calls tools or functions, which Atelier does not have",
    Code.NOT_TEXT: "a message holds something that is not text",
    Code.BAD_WEIGHT: "a weight is neither 0 nor 1, or not an assistant message's",
    Code.BAD_RATING: "a rating is none of -1, 0 and 1",
    Code.EMPTY_CONTENT: "a message is empty",
    Code.ROLE_ORDER: "the roles are not an optional system message, then user and assistant in turns",
    Code.NO_ASSISTANT: "there is no assistant message to learn",
    Code.IGNORED_FIELD: "a field is not read",
    Code.NO_CONSENT: "somebody whose words are in it has not agreed to be learned from",
    Code.TIED: "as many found the reply good as bad",
    Code.CUT_REPLY: "the reply was stopped before its end",
    Code.INCOMPLETE: "the prompt or the reply is not kept whole any more",
    Code.DOCUMENT_GONE: "a document in it was deleted",
    Code.CLEANED: "invisible characters were taken out, or letters brought to their usual spelling",
    Code.CONTROL_TOKENS: "a text holds control tokens of a chat template",
    Code.REDACTED: "personal data or secrets were replaced by placeholders",
    Code.LANGUAGE: "the language is another than most rows', or could not be told",
    Code.TOO_LONG: "the row is longer than the recipe's max_tokens, and rows are never cut",
    Code.NO_TRAINABLE_TOKEN: "no token of the row would be learned",
    Code.DUPLICATE: "the row stands there already",
    Code.CONTRADICTION: "the same reply was rated good in one row and bad in another",
    Code.NEAR_DUPLICATE: "a row that says nearly the same stands there already",
    Code.OVERLAP: "the row is (nearly) one of the held-out rows",
    Code.AUTHOR_SHARE: "its author wrote more than the recipe's author_share of the rows",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. place: `file:line`, `turn ID` or `passage ID`. message: for a person, without the row's own text.

    document: the source of that passage. It is shown and not kept: documents are deleted, names and all.
    """

    place: str
    code: Code
    message: str
    severity: Severity = Severity.ROW
    document: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.code} {self.message}"

    @property
    def in_full(self) -> str:
        found_in = f" of {self.document}" if self.document else ""
        return f"{self.place}{found_in}: {self.code} {self.message}"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that is not trained on. excerpt: its beginning, for the quarantine; empty where it may not be copied."""

    place: str
    problems: tuple[Problem, ...]
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows came from. sha256: of the file's bytes, or of what was read. licence: as the administrator states."""

    kind: str  # "chats", "turns" or "passages"
    name: str
    sha256: str
    rows: int  # that were looked at
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """What one source gave: the usable examples, and everything that is wrong with the others.

    problems: all of them, in order, those of the rejected rows too.
    """

    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]
    rejected: tuple[Rejected, ...] = ()
    source: Source = field(default=Source("none", "", "", 0))
