# Redraft: `make try` shows it at work, `make test` runs its tests; both set up what they need in .venv/.
#
#   TORCH_INDEX=URL   a CPU-only PyTorch package index for `make test`, `train` and `bench` on plain Linux,
#                     where the default torch wheel brings gigabytes of CUDA libraries
#   PYTHON=python3.12 which Python to make the environment from (3.11 or newer)

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
RECIPE ?= tiny
SECONDS_TO_TRAIN ?= 3600

.PHONY: help try test lint train bench clean gpu-train gpu-test gpu-bench

help:
	@echo "make try    set up (about 250 MB) and see Redraft complete, fix and refactor real code"
	@echo "make test   set up with PyTorch (about 1 GB) and run the tests"
	@echo "make lint   ruff, pyright, import-linter"
	@echo "make train  RECIPE=nano|tiny|base SECONDS_TO_TRAIN=3600: train a model from nothing"
	@echo "make bench  start, memory and time per request on this machine"

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "Redraft needs Python 3.11 or newer, and there is no '$(PYTHON)' here."; \
	  echo "Install it (Debian, Ubuntu: apt install python3 python3-venv), or name yours: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Redraft needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) comes without venv. Install it (Debian, Ubuntu: apt install python3-venv) and try again."; exit 1; }
	@echo "making the environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Redraft (no PyTorch)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Redraft with PyTorch and the test tools"
	@$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) --editable '.[train,dev]'
	@touch $@ $(VENV)/.base

try: $(VENV)/.base
	@$(BIN)/python -I -m lsp_server.tour

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -q

lint: $(VENV)/.dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright && $(BIN)/lint-imports

train: $(VENV)/.dev
	@$(BIN)/redraft train $(RECIPE) --budget-seconds $(SECONDS_TO_TRAIN)

bench: $(VENV)/.dev
	@$(BIN)/redraft bench

clean:
	rm -rf $(VENV) runs build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# On a machine with a GPU these use its own Python, which must have torch; nothing is installed.
# CORPUS is a folder made by `redraft train corpus`; OUT keeps the run, which a second call continues.
GPU_PYTHON ?= python3
CORPUS ?= corpus
OUT ?= runs/base
GPU_SECONDS ?= 1200

gpu-train:
	$(GPU_PYTHON) -m lsp_server train base --device cuda --corpus $(CORPUS) --out $(OUT) \
	  --budget-seconds $(GPU_SECONDS) --workers 12 --evaluate 500 --json

gpu-test:
	REQUIRE_GPU=1 $(GPU_PYTHON) -m pytest -q -m gpu

gpu-bench:
	$(GPU_PYTHON) -m lsp_server bench --backend torch --json
