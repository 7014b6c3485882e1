"""The log says what happened without secrets and without what people wrote."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from connectors.logs import set_up

KEY = "xoxb-123456789012-abcdefghijkl-ABCDEFGHIJKLMNOPQRSTUVWX"
log = logging.getLogger("atelier.test")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, disabled = list(root.handlers), root.level, root.manager.disable
    logging.disable(logging.NOTSET)  # what other tests and their libraries have silenced is not asked here
    log.setLevel(logging.INFO)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.disable(disabled)


def stumble(words: str) -> None:
    try:
        dict[str, str]()[words]
    except KeyError as error:
        raise ValueError(f"cannot read {words}") from error


def written(form, words: str) -> str:
    stream = io.StringIO()
    set_up(form, stream)
    log.info("The token is %s.", KEY)
    try:
        stumble(words)
    except ValueError:
        log.exception("It failed.")
    return stream.getvalue()


def test_json_lines_hold_what_happened_and_where() -> None:
    first, second = (json.loads(line) for line in written("json", "my secret wish").splitlines())
    assert (first["level"], first["logger"]) == ("info", "atelier.test")
    assert first["message"].startswith("The token is ")
    assert second["message"] == "It failed."
    assert second["error"].startswith("ValueError at ")
    assert " from KeyError at " in second["error"]
    assert first["time"].endswith("+00:00")


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_and_nobodys_words(form: str) -> None:
    text = written(form, "my secret wish")
    assert KEY not in text
    assert "my secret wish" not in text
    assert len(text.splitlines()) == 2
