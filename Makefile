# The two commands: `make run` and `make test`. Both set up what they need on a machine that has only Python.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
OUT ?= runs
PIP_ARGS ?=
READY = $(VENV)/.ready

.PHONY: run test lint perf clean

run: $(READY)
	$(BIN)/python -m genbench run digits --out $(OUT)

# Side by side, each in one thread: threads that wait for each other on a busy machine cost more than they bring.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

perf: $(READY)
	$(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS) -e ".[perf]"
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.performance --out results

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check $(PIP_ARGS) -e ".[dev]"
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info
