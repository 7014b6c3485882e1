"""The house keeps its plan: imports go down, heavy libraries have one home, files stay short and say what they are."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("retrieval", "agent", "finetune", "connectors")
LONGEST = 410  # lines; about 400
UNSAFE = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}  # reading them can run code

modules = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
files = [*modules, *sorted((ROOT / "tests").rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """The top-level packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_imports_only_go_down() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    # in a process of its own: it silences every logger of the one that it runs in
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_is_longer_than_a_sitting() -> None:
    assert names([path for path in files if len(path.read_text("utf-8").splitlines()) > LONGEST]) == []


def test_every_module_says_what_it_is() -> None:
    assert names([path for path in modules if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]) == []


def test_faiss_has_one_home() -> None:
    assert names([path for path in modules if "faiss" in imported(path)]) == ["retrieval/structure.py"]


def test_nothing_reads_a_format_that_can_run_code() -> None:
    assert names([path for path in modules if UNSAFE & set(imported(path))]) == []
    for call in ("torch.load(", "trust_remote_code=True", "allow_pickle=True", "yaml.load("):
        assert names([path for path in modules if call in path.read_text("utf-8")]) == []


def test_every_error_of_ours_is_drawn_in_the_tree() -> None:
    errors = ast.parse((ROOT / "retrieval/errors.py").read_text("utf-8"))
    drawn = ast.get_docstring(errors) or ""
    for node in errors.body:
        if isinstance(node, ast.ClassDef):
            assert node.name in drawn
