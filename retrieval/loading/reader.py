"""Files of strangers are read in a process of their own, so that none of them can stop, bloat or crash this one."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from retrieval.document import Document, Section
from retrieval.errors import UnreadableFile
from retrieval.loading.source import shown_name
from retrieval.loading.worker import MEGABYTES, OUT_OF_MEMORY

_FILES_A_WORKER, _BYTES_A_WORKER = 5_000, 50_000_000  # then a fresh one, as memory once fragmented stays so
_START_SECONDS = 60.0
_LONGEST_ANSWER = 400_000_000  # bytes
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")  # of the environment: no token, no password
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from retrieval.loading.worker import main; main()"


class Reader:
    """One worker process, started at the first file and replaced when it fails. Threads take turns.

    >>> with Reader() as reader:  # doctest: +SKIP
    ...     document = reader.read(Path("handbook.pdf"))
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker. A later `read` starts another."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def read(self, path: Path, seconds: float = 10.0) -> Document:
        """As `load`, within `seconds` and 512 MB. Raises UnreadableFile, also when the worker had to be killed."""
        with self._lock:
            if self._worker is None or self._worker.is_used_up():
                self.close()
                self._worker = _Worker()
            try:
                return self._worker.read(path, seconds)
            finally:
                if not self._worker.is_idle:
                    self.close()


class _Worker:
    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        # -I: a json.py among the user's documents must not be imported, so no PYTHONPATH and no current folder.
        places = [str(Path(__file__).parents[2]), *(place for place in sys.path if place)]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-I", "-B", "-X", "utf8", "-c", _BOOT, json.dumps(places)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={**environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C in the terminal is for the parent, which then ends this
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(_pipe(self._process.stdout), selectors.EVENT_READ)
        self.stop = weakref.finalize(self, _stop, self._process, self._selector)
        self.is_idle = False
        self._files = self._bytes = 0
        try:
            ready = next(self._answers(time.monotonic() + _START_SECONDS), None)
        except TimeoutError:
            ready = None
        if ready is None:
            self.stop()
            raise UnreadableFile(
                "The process that reads files did not start. Run `atelier doctor` to see what is missing."
            )
        self.is_idle = True

    def is_used_up(self) -> bool:
        is_old = self._files >= _FILES_A_WORKER or self._bytes >= _BYTES_A_WORKER
        return is_old or self._process.poll() is not None

    def read(self, path: Path, seconds: float) -> Document:
        name = shown_name(path)
        self.is_idle = False
        self._files += 1
        with contextlib.suppress(OSError, ValueError):  # the worker says what is wrong with it
            self._bytes += path.stat().st_size
        sections: list[Section] = []
        try:
            self._ask(path, seconds)
            for answer in self._answers(time.monotonic() + seconds):
                if isinstance(answer, list):
                    sections.append(_section(answer))
                    continue
                self.is_idle = True
                if "unreadable" in answer:
                    raise UnreadableFile(str(answer["unreadable"]))
                return Document(str(answer["title"]), tuple(sections))
        except TimeoutError as error:
            raise UnreadableFile(
                f"{name} took longer than {seconds:g} seconds to read, so it was left out. Split it into smaller files."
            ) from error
        except (BrokenPipeError, ValueError, TypeError, KeyError) as error:
            raise self._failure(name) from error
        raise self._failure(name)

    def _ask(self, path: Path, seconds: float) -> None:
        stdin = _pipe(self._process.stdin)
        stdin.write(json.dumps({"path": str(path.absolute()), "seconds": seconds}).encode() + b"\n")
        stdin.flush()

    def _answers(self, deadline: float) -> Iterator[Any]:
        """The worker's lines until it ends. Raises TimeoutError at the deadline, ValueError for what is no JSON."""
        descriptor = _pipe(self._process.stdout).fileno()
        rest = bytearray()  # of a line that is not whole yet, which may be all of a large document
        received = 0
        while received < _LONGEST_ANSWER:
            left = deadline - time.monotonic()
            if left <= 0 or not self._selector.select(left):  # it is late also where the worker never stops talking
                raise TimeoutError
            piece = os.read(descriptor, 1 << 20)
            if not piece:
                return
            received += len(piece)
            *lines, last = piece.split(b"\n")
            for line in lines:
                yield json.loads(rest + line)
                rest.clear()
            rest += last

    def _failure(self, name: str) -> UnreadableFile:
        """What the end of the process says about the file."""
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            status = 0
        if status == OUT_OF_MEMORY:
            return UnreadableFile(
                f"{name} needed more than {MEGABYTES} MB of memory, so it was left out. Split it into smaller files."
            )
        how = f" ({signal.Signals(-status).name})" if -status in signal.valid_signals() else ""
        return UnreadableFile(
            f"{name} made its reader crash{how}: it is damaged, or needed more than {MEGABYTES} MB of memory. "
            "Open it in its own program and save it again, or split it."
        )


def _section(answer: list[Any]) -> Section:
    """A section from what the worker sent; a hostile file may have taken it over, so nothing is believed."""
    text, heading, page, line, whole = answer
    numbers = [None if number is None else int(number) for number in (page, line)]
    return Section(str(text), tuple(map(str, heading)), numbers[0], numbers[1], bool(whole))


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _stop(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> None:
    process.kill()
    process.wait()
    selector.close()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # what it still held unsent is for nobody
                stream.close()
