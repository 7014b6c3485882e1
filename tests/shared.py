"""What all workers of a run share: a folder that whoever comes first makes, and that is only read afterwards."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name` of this run, which `make` fills."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # each worker has a folder of its own in the run's
    folder, draft = root / name, root / f".{name}"
    with FileLock(root / f"{name}.lock"):
        if not folder.exists():
            shutil.rmtree(draft, ignore_errors=True)  # of one that failed
            make(draft)
            draft.rename(folder)
    return folder
