"""Training in several processes: started by torchrun under the job's worker, each runs this module.

They end with a checkpoint when the job is cancelled, when the worker asks them to, and when the worker is gone: nobody
would register what they made, and the next worker is to go on from where they stopped.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from finetune import job as jobs
from finetune.job import Job, Progress
from finetune.training.outcome import Outcome
from finetune.training.processes import command
from retrieval.errors import AtelierError, FinetuneError

WORKER = "ATELIER_WORKER"  # the environment's name for the worker's process id
ENDING, RESULT = ".ending", ".together.json"
LOOK = 0.5  # seconds


def train_together(job: Job, stopping: Callable[[], bool]) -> Outcome:
    """Start the processes and wait for them; they tell how far they are by themselves. Raises FinetuneError."""
    folder = job.folder
    for name in (ENDING, RESULT):
        (folder / name).unlink(missing_ok=True)
    started = subprocess.Popen(  # noqa: S603 - our own interpreter, a folder of ours
        command("finetune.together", [str(folder)], job.order.recipe.processes),
        env={**os.environ, WORKER: str(os.getpid())},
        stdin=subprocess.DEVNULL,
    )
    try:
        while started.poll() is None:
            if stopping():
                (folder / ENDING).touch()
            time.sleep(LOOK)
    except BaseException:
        started.terminate()
        raise
    finally:
        started.wait()
        (folder / ENDING).unlink(missing_ok=True)
    try:
        result = json.loads((folder / RESULT).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise FinetuneError(f"A training process ended without a word. {folder / jobs.LOG} may say why.") from error
    if "failure" in result:
        raise FinetuneError(result["failure"])
    adapter = Path(result.pop("adapter")) if result.get("adapter") else None
    return Outcome(**{**result, "adapter": adapter})


def main(folder: Path) -> int:
    """One of the processes; the first speaks for all."""
    from finetune.steps import train_job

    worker, is_first = int(os.environ[WORKER]), os.environ.get("RANK", "0") == "0"

    def stopping() -> bool:
        is_asked = (folder / jobs.CANCEL).exists() or (folder / ENDING).exists()
        return is_asked or not _lives(worker)

    def told(progress: Progress) -> None:
        jobs.show_progress(folder, progress)

    try:
        outcome = train_job(jobs.read(folder), told, stopping)
        result = {**asdict(outcome), "adapter": str(outcome.adapter) if outcome.adapter else ""}
    except AtelierError as error:
        result = {"failure": str(error)}
    if is_first:
        with suppress(OSError):
            (folder / RESULT).write_text(json.dumps(result), "utf-8")
    return 0


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
