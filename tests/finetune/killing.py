"""Kills training at many points and lets it finish: `… tests.finetune.killing FOLDER KILLS [METHOD [FIRST OF]]`.

With FIRST and OF these are the kills from the FIRST on of a series of OF, which strike elsewhere than those before.

Each run is a child of its own, forked from a process that has imported everything and computed nothing. Half of the
kills strike at an access to the job's files, so also in the middle of writing a checkpoint; the others at a chosen
moment. A run that goes on may be killed again. Prints what came of it as JSON.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from finetune.recipe import Method
from finetune.training import checkpoints
from finetune.training.loop import train
from tests.finetune.learning import RECIPE, examples, weights_of

ACCESSES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.link"}
AGAIN = 0.3  # the share of kills after which the next run of the same job is killed too


def run(base: Path, job: Path, method: Method) -> None:
    recipe = replace(RECIPE, method=method, rank=4)
    train(base, examples(40), examples(8, seed=1), recipe, job)


def fork(work: Callable[[], None]) -> int:
    """Start a child that does `work` and ends; its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, the child ends here and the parent reports it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def finished(pid: int) -> bool:
    """Wait for a child: True if it ended by itself, False if it was killed. Raises RuntimeError if it failed."""
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    if status:
        raise RuntimeError(f"a run failed (status {status}): its error stands above")
    return True


def watch(job: Path, at: int, count: Path | None = None) -> None:
    """Let this process be killed at its `at`-th access to the job's files. count: file to write their number into."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in ACCESSES and arguments and str(job) in str(arguments[0]):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)
            elif count is not None:
                descriptor = os.dup(COUNTER)
                os.pwrite(descriptor, str(seen).encode(), 0)
                os.close(descriptor)

    sys.addaudithook(hook)


COUNTER = -1


def main(folder: Path, kills: int, method: Method, first: int = 0, of: int = 0) -> dict[str, int]:
    global COUNTER  # noqa: PLW0603 - open before the fork, so that counting opens nothing itself
    base, draw = folder / "model", random.Random(first + kills)
    counter = folder / "count"
    COUNTER = os.open(counter, os.O_RDWR | os.O_CREAT)

    def counted() -> None:
        watch(folder / "whole", -1, counter)
        run(base, folder / "whole", method)

    began = time.monotonic()
    assert finished(fork(counted))
    seconds = time.monotonic() - began
    accesses, expected = int(counter.read_text()), weights_of(folder / "whole" / "adapter")
    struck = resumed = equal = torn = runs = 0
    while struck < kills:
        job, runs = folder / "job", runs + 1
        shutil.rmtree(job, ignore_errors=True)
        again = True
        while again and struck < kills:
            if struck % 2 == 0:
                at = 1 + ((first + struck) * accesses) // (of or kills) if runs % 2 else draw.randint(1, accesses)

                def work(at: int = at) -> None:
                    watch(job, at)  # noqa: B023 - runs before the loop goes on
                    run(base, job, method)  # noqa: B023 - as above

                pid = fork(work)
            else:
                pid = fork(lambda: run(base, job, method))  # noqa: B023 - as above
                time.sleep(draw.uniform(0.02, seconds))
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed = not finished(pid)
            struck += killed
            torn += killed and any((job / "checkpoints").glob(".step-*"))
            again = killed and draw.random() < AGAIN
            if not killed:
                break
        resumed += any((job / "checkpoints").glob("step-*")) if (job / "checkpoints").exists() else 0
        assert finished(fork(lambda: run(base, job, method)))  # noqa: B023 - as above
        left = len(list((job / "checkpoints").glob("step-*")))
        assert left <= checkpoints.KEPT, f"{left} checkpoints are left"
        equal += weights_of(job / "adapter") == expected
    return {
        "kills": struck,
        "jobs": runs,
        "equal": equal,
        "went on from a checkpoint": resumed,
        "died while writing one": torn,
        "accesses": accesses,
    }


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    chosen = Method(sys.argv[3] if len(sys.argv) > 3 else "lora")
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), chosen, *map(int, sys.argv[4:6]))))
