# Redraft: `make try` shows it at work, `make test` runs its tests; both set up what they need in .venv/.
#
#   TORCH_INDEX=URL   a CPU-only PyTorch package index for `make test`, `train` and `bench` on plain Linux,
#                     where the default torch wheel brings gigabytes of CUDA libraries
#   PYTHON=python3.12 which Python to make the environment from (3.11 or newer)

PYTHON ?= python3
TORCH_INDEX ?=
ifneq ($(TORCH_INDEX),)
export PIP_EXTRA_INDEX_URL := $(TORCH_INDEX)
endif
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
RECIPE ?= tiny
SECONDS_TO_TRAIN ?= 3600
SHAPE ?= model

.PHONY: help try test test-editors lint train bench bench-peers clean gpu-wheels gpu-corpus gpu-site gpu-train gpu-pack gpu-test gpu-bench gpu-forwards gpu-kernels

help:
	@echo "make try    set up (about 250 MB) and see Redraft complete, fix and refactor real code"
	@echo "make test   set up with PyTorch (about 1 GB) and run the tests"
	@echo "make test-editors  install real editors in .hosts/ and drive them with the real server"
	@echo "make lint   ruff, pyright, import-linter; what is in TypeScript, where Node.js is installed"
	@echo "make train  RECIPE=nano|tiny|base SECONDS_TO_TRAIN=3600: train a model from nothing"
	@echo "make bench  start, memory and time per request on this machine"
	@echo "make bench-peers  SHAPE=model|30m|60m|0.5b: other engines beside ours (compiles llama.cpp; 15 minutes on two cores)"

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
	@$(PIP) --editable '.[train,dev]'
	@touch $@ $(VENV)/.base

try: $(VENV)/.base
	@$(BIN)/python -I -m lsp_server.tour

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -q

# Each script installs one editor in .hosts/NAME and does nothing where it is already there.
# A test that fails is run once more, and counted as such: a browser on a busy machine may be late.
test-editors: $(VENV)/.dev
	@for script in tests/e2e/hosts/*.sh; do sh "$$script" .hosts || exit 1; done
	@REQUIRE_EDITORS=1 $(BIN)/python -m pytest -q --reruns 1 tests/e2e/editors

lint: $(VENV)/.dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright && $(BIN)/lint-imports
	@sh editor-clients/check.sh

# glibc gives large blocks back to the kernel at every step and gets them again page by page: without that a step is a
# sixth shorter (LOG.md).
KEEP_MEMORY := MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=8589934592 GLIBC_TUNABLES=glibc.malloc.hugetlb=1

train: $(VENV)/.dev
	@$(KEEP_MEMORY) $(BIN)/redraft train $(RECIPE) --budget-seconds $(SECONDS_TO_TRAIN)

bench: $(VENV)/.dev
	@$(BIN)/redraft bench

$(VENV)/.peers: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Redraft with PyTorch, transformers and llama.cpp, which is compiled here"
	@$(PIP) --editable '.[peers]'
	@touch $@ $(VENV)/.base

bench-peers: $(VENV)/.peers
	@$(BIN)/redraft bench peers --shape $(SHAPE)

clean:
	rm -rf $(VENV) .hosts runs build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# On a machine with a GPU these use its own Python, which must have torch, onnx and onnxruntime. Where it has no
# network, `make gpu-wheels` on another machine fetches what else is needed into wheels/, to be copied along.
#   CORPUS        a folder made by `redraft train corpus` or `make gpu-corpus`
#   OUT           the run's folder; a second call continues what is there
#   GPU_SECONDS   wall clock for everything: training, packaging, measuring
GPU_PYTHON ?= python3
GPU_DEVICE ?= cuda
GPU_RECIPE ?= base
GPU_SITE ?= /tmp/redraft-site
GPU_SECONDS ?= 1200
GPU_EVALUATE ?= 100
GPU_MEGABYTES ?= 46
GPU_WORKERS ?= 12
CORPUS ?= corpus
OUT ?= runs/$(GPU_RECIPE)
GPU_RUN := PYTHONPATH=$(GPU_SITE) $(GPU_PYTHON)
GPU_NEEDS := rapidfuzz tree-sitter tree-sitter-python rich markdown-it-py mdurl pygments psutil pathspec jinja2 markupsafe
GPU_TESTS := $(addprefix tests/model/,test_gpu.py test_gpu_backend.py test_graphs.py test_pool.py test_failures.py families/test_convert.py) tests/kernels
PLATFORMS := $(foreach p,manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux1,--platform $(p)_x86_64)

gpu-wheels: | $(BIN)/python
	@$(BIN)/python -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
	  $(PLATFORMS) --constraint constraints.txt --dest wheels $(GPU_NEEDS)

# A part of the corpus that is small enough to be copied along, in packed/.
gpu-corpus: $(VENV)/.dev
	@$(BIN)/redraft train pack --corpus $(CORPUS) --out packed --megabytes $(GPU_MEGABYTES)

gpu-site:
	@[ ! -d wheels ] || $(GPU_PYTHON) -m pip install --quiet --no-index --no-deps --upgrade --target $(GPU_SITE) wheels/*.whl

gpu-train: gpu-site
	$(GPU_RUN) -m lsp_server train $(GPU_RECIPE) --device $(GPU_DEVICE) --corpus $(CORPUS) --out $(OUT) \
	  --budget-seconds $(GPU_SECONDS) --workers $(GPU_WORKERS) --evaluate $(GPU_EVALUATE) --json

# The checkpoint in pieces of 15 MB: `cat model.safetensors.* > model.safetensors` puts the weights together.
gpu-pack:
	mkdir -p $(OUT)/packed
	cp $(OUT)/checkpoint/config.json $(OUT)/checkpoint/graph.onnx $(OUT)/checkpoint/tokenizer.json $(OUT)/checkpoint/README.md $(OUT)/packed/
	split --bytes 15M $(OUT)/checkpoint/model.safetensors $(OUT)/packed/model.safetensors.

gpu-test: gpu-site
	REQUIRE_GPU=1 $(GPU_RUN) -m pytest -q -m gpu -p no:cacheprovider $(GPU_TESTS)

gpu-bench: gpu-site
	$(GPU_RUN) -m lsp_server bench --backend torch --json

# Forwards and traces of whole networks of published shapes, random weights; 8B takes about 60 GB for a while.
GPU_SHAPES ?= 0.5b 1.7b 8b
gpu-forwards: gpu-site
	$(GPU_RUN) -m lsp_server bench gpu --shape $(GPU_SHAPES) --json

# Each kernel beside its reference and what memory allows, at the shapes of an 8B network. Needs torch and Triton only.
gpu-kernels:
	$(GPU_PYTHON) -m kernels.bench --json
