"""The process that reads strangers' files for `Reader`: bounded memory, no writing, answers as JSON lines.

A request is one line, {"path", "seconds"}. The answer is [text, heading, page, line, whole] for each section, then
{"title"}; or {"unreadable": message}. Out of memory the process ends with OUT_OF_MEMORY.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from retrieval.errors import UnreadableFile
from retrieval.loading.read import load

MEGABYTES = 512  # that reading a file may take, the process itself included
OUT_OF_MEMORY = 77  # exit status


def main() -> None:
    # Libraries may print to the standard output: the answers get a descriptor of their own.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _limit()
        _send(answers, {"ready": True})
        answers.flush()
        for line in sys.stdin.buffer:
            request = json.loads(line)
            # Should the parent be killed, nobody else would end a file that never ends.
            signal.alarm(int(request["seconds"]) + 5)
            try:
                _answer(Path(request["path"]), answers)
            except MemoryError:
                os._exit(OUT_OF_MEMORY)
            except BrokenPipeError:
                os._exit(0)  # nobody listens any more
            signal.alarm(0)


def _answer(path: Path, answers: BinaryIO) -> None:
    try:
        document = load(path)
        for section in document.sections:
            _send(answers, [section.text, section.heading, section.page, section.line, section.whole])
        _send(answers, {"title": document.title})
    except UnreadableFile as error:
        _send(answers, {"unreadable": str(error)})
    answers.flush()


def _send(answers: BinaryIO, value: object) -> None:
    answers.write(json.dumps(value, ensure_ascii=False).encode("utf-8", errors="replace") + b"\n")


def _limit() -> None:
    """Bound memory, files and processes of this process, as far as the system knows such bounds (macOS: not memory)."""
    bounds = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NOFILE: 64}
    with contextlib.suppress(OSError):
        mapped, resident = map(int, Path("/proc/self/statm").read_text(encoding="ascii").split()[:2])
        # Address space is what can be bounded: what is mapped but not used yet (libraries) comes on top.
        bounds[resource.RLIMIT_AS] = MEGABYTES * 1_000_000 + (mapped - resident) * resource.getpagesize()
    for kind, bound in bounds.items():
        _soft, hard = resource.getrlimit(kind)
        with contextlib.suppress(ValueError, OSError):
            ceiling = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
            resource.setrlimit(kind, (ceiling, ceiling))


if __name__ == "__main__":
    main()
