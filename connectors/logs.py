"""The log of `atelier serve`: lines for people, or a JSON object a line; secrets masked, no traces with values."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Literal

from agent.secret_shapes import mask_secrets

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def set_up(form: Literal["text", "json"], stream: IO[str] | None = None) -> logging.Handler:
    """Send every logger's lines to `stream` (the standard error output). Returns the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Json() if form == "json" else Text("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    return handler


class Text(logging.Formatter):
    """One line a record; an exception by its kind and place, as its text can hold what somebody wrote."""

    def formatException(self, ei: _Raised) -> str:  # noqa: N802 - logging's name
        return where(ei)

    def formatStack(self, stack_info: str) -> str:  # noqa: ARG002, N802 - logging's signature
        return ""

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # made by another handler, perhaps with the text
        return mask_secrets(super().format(record)).replace("\n", " ")


class Json(Text):
    """`{"time", "level", "logger", "message"}` and `"error"` where something was raised."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask_secrets(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = where(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def where(raised: _Raised) -> str:
    """`ValueError at module.py:12` of what was raised, and of what it was raised from."""
    kind, error, trace = raised
    if kind is None or error is None:
        return ""
    frames = traceback.extract_tb(trace)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    cause = error.__cause__
    behind = f" from {where((type(cause), cause, cause.__traceback__))}" if cause is not None else ""
    return f"{kind.__name__}{place}{behind}"
