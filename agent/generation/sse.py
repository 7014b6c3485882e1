"""The words in a stream of chat completion chunks (server-sent events), without any I/O.

https://html.spec.whatwg.org/multipage/server-sent-events.html; every server sends a chunk as one `data:` line.
"""

import json
from collections.abc import Iterator

MAX_LINE = 1 << 20  # bytes
CHARACTERS_A_TOKEN = 100  # far above any real reply's mean


class BadStream(Exception):
    """The stream is not what was agreed; the message goes on after "The model server at ..."."""


class ChatStream:
    """Fed with bytes as they come; gives the reply's text. max_tokens: what was asked for, which bounds the text."""

    def __init__(self, max_tokens: int) -> None:
        self._room = max_tokens * CHARACTERS_A_TOKEN
        self._rest = bytearray()
        self._said = False
        self.done = False

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The texts that `chunk` completes. Raises BadStream."""
        self._rest += chunk
        if len(self._rest) > MAX_LINE:
            raise BadStream("sent a line without end.")
        if b"\n" not in chunk:
            return
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            if self.done or not line.startswith(b"data:"):
                continue
            text = self._text_of(line.removeprefix(b"data:").strip())
            if not self._said:
                text = text.lstrip()
            if text:
                self._said = True
                self._room -= len(text)
                if self._room < 0:
                    raise BadStream("sent much more than it was asked for.")
                yield text

    def check(self) -> None:
        """Raises BadStream unless the reply came to its end, with words in it."""
        if not self.done:
            raise BadStream(
                "broke off in the middle of its answer, or did not answer with a stream of chat completions."
            )
        if not self._said:
            raise BadStream("said nothing.")

    def _text_of(self, data: bytes) -> str:
        if data == b"[DONE]":
            self.done = True
            return ""
        try:
            event = json.loads(data)
            if event.get("error"):
                error = event["error"]
                raise BadStream(f"reported: {error.get('message') if isinstance(error, dict) else error}")
            if not event["choices"]:
                return ""  # the chunk that counts tokens
            choice = event["choices"][0]
            text = (choice.get("delta") or {}).get("content") or ""
            finish = choice.get("finish_reason")
            whole: str = text.encode("utf-8", "replace").decode()  # half a surrogate pair fits into no store
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as problem:
            raise BadStream("sent something that is not a chat completion.") from problem
        if finish is not None:
            self.done = True
        return whole
