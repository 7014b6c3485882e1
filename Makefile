# make chat: set up everything and talk.   make test: set up everything and pass the tests.
PYTHON ?= python3
FAISS ?= cpu
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# An index that carries CPU wheels of torch, for Linux machines without a GPU (pytorch.org names it).
TORCH_INDEX ?=
EXTRA_INDEX := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX),)

.PHONY: chat test check bench bench-understanding battery format clean
.DELETE_ON_ERROR:

chat: $(VENV)/.ready
	$(BIN)/atelier chat

# Five workers, also on two cores, each with one thread for arithmetic: tests wait for servers and processes about as
# long as they compute. A file's tests stay together, and the slowest files begin (tests/conftest.py).
test: $(VENV)/.ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.ready-dev
	$(BIN)/python -m tests.benchmarks $(NAMES)

# Understanding whole: own intents and moods, public sets by layers of a task's own. Hours; finished runs are kept.
bench-understanding: $(VENV)/.ready-dev
	$(BIN)/python -m tests.benchmarks understanding intents tasks syntax explain fairness opinion

battery: $(VENV)/.ready-dev
	$(BIN)/python -m tests.battery $(NAMES)

format: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Atelier needs Python 3.11 or newer: make PYTHON=python3.12 chat"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Packages are compiled as they are imported: compiling all of them takes longer than the first start (--no-compile).
# So what they are compiled to must be kept: a start without it takes twice the time, each time.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL = $(PIP) install -q --no-compile $(EXTRA_INDEX) -c constraints.txt
define ANNOUNCE
	@echo "Setting up (once). Where pip finds no CPU wheel of torch on Linux it takes the CUDA build, several gigabytes;"
	@echo "on a machine without a GPU stop now and run: make TORCH_INDEX=<the CPU wheel index named on pytorch.org> $(MAKECMDGOALS)"
endef

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(ANNOUNCE)
	$(PIP_INSTALL) -e '.[$(FAISS)]'
	@touch $@

$(VENV)/.ready-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(ANNOUNCE)
	$(PIP_INSTALL) -e '.[$(FAISS),dev,foreign]'
	@touch $(VENV)/.ready $@
