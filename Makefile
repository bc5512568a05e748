# Everything a user or a contributor runs. Needs python3 (3.11 or newer) with venv; the rest is installed on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install system demo test check bench clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1: /p' $(MAKEFILE_LIST)

system: ## install what Qt needs from Debian (as root), or say what is missing
	@sh tools/system-packages.sh

install: $(STAMP) ## make .venv with exactly the versions of constraints.txt

# The constraints matter: without them pip may take another torch, which on Linux is several gigabytes.
$(STAMP): pyproject.toml constraints.txt
	@echo "Installing into $(VENV): a few minutes the first time"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

demo: system install ## a brain, its labels and the attention of every epoch: a window, or files where there is no display
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
		$(BIN)/napari-scse demo; \
	else \
		echo "No display: the demo writes to demo-output/"; \
		$(BIN)/napari-scse demo --headless demo-output; \
	fi

test: system install ## all tests, on a virtual screen
	$(BIN)/python -m pytest

check: system install ## lint, format, types, import rules, manifest
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py
	$(BIN)/npe2 validate napari.yaml
	$(BIN)/npe2 validate napari-scse --imports

bench: install ## how long a slice takes on this machine
	$(BIN)/python benchmarks/inference.py

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist demo-output .pytest_cache .mypy_cache .ruff_cache
